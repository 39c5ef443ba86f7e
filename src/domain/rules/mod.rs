//! Automations' configurations and what they decide. A configuration is parsed once, with every
//! error at once; a rule that exists can be obeyed.

mod fields;
pub mod margin_guard;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::levels::Level;
use super::position::Position;
use super::units::Price;

pub use fields::FieldError;
pub use margin_guard::MarginGuard;

/// The kinds of automation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleKind {
    /// Keeps positions from liquidation.
    MarginGuard,
}

impl RuleKind {
    /// The name under which it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MarginGuard => "margin_guard",
        }
    }
}

impl fmt::Display for RuleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for RuleKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "margin_guard" => Ok(Self::MarginGuard),
            "tp_sl" | "auto_entry" => Err(format!(
                "automations of type {text} are not carried out by this version"
            )),
            _ => Err(format!(
                "`{text}` is no type of automation; known is: margin_guard"
            )),
        }
    }
}

/// A rule that can be obeyed.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// See [`MarginGuard`].
    MarginGuard(MarginGuard),
}

impl Rule {
    /// Reads a configuration.
    ///
    /// # Errors
    /// Every field that is unknown, missing, of the wrong type, out of range or in contradiction
    /// with another, each with what is allowed.
    pub fn parse(kind: RuleKind, config: &Value) -> Result<Self, Vec<FieldError>> {
        match kind {
            RuleKind::MarginGuard => MarginGuard::parse(config).map(Self::MarginGuard),
        }
    }

    /// Whether it fires for a position at a price.
    pub fn is_reached(&self, position: &Position, at: Price) -> bool {
        match self {
            Self::MarginGuard(guard) => guard.is_reached(position, at),
        }
    }

    /// The prices at which it fires for a position.
    pub fn level(&self, position: &Position) -> Level {
        match self {
            Self::MarginGuard(guard) => guard.level(position),
        }
    }

    /// The least time from the end of one execution to the next episode.
    pub fn cooldown(&self) -> Duration {
        match self {
            Self::MarginGuard(guard) => guard.cooldown,
        }
    }

    /// Its kind.
    pub fn kind(&self) -> RuleKind {
        match self {
            Self::MarginGuard(_) => RuleKind::MarginGuard,
        }
    }
}
