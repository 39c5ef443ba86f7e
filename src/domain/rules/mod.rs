//! Automations' configurations and what they decide. A configuration is parsed once, with every
//! error at once; a rule that exists can be obeyed.

pub mod auto_entry;
mod fields;
pub mod margin_guard;
mod positions;
pub mod tp_sl;

#[cfg(test)]
mod agreement;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::levels::Level;
use super::position::{MarginMode, Position};
use super::units::Price;

pub use auto_entry::AutoEntry;
pub use fields::FieldError;
use fields::Fields;
pub use margin_guard::MarginGuard;
pub use positions::{Lineage, Positions};
pub use tp_sl::TpSl;

/// The kinds of automation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleKind {
    /// Keeps positions from liquidation.
    MarginGuard,
    /// Moves take-profit and stop-loss, or closes.
    TpSl,
    /// Opens positions.
    AutoEntry,
}

impl RuleKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::MarginGuard, Self::TpSl, Self::AutoEntry];

    /// The name under which it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MarginGuard => "margin_guard",
            Self::TpSl => "tp_sl",
            Self::AutoEntry => "auto_entry",
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
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            format!("`{text}` is no type of automation; known are {known}")
        })
    }
}

/// What a rule is evaluated for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Subject<'a> {
    /// One position.
    Position(&'a Position),
    /// The market: an entry has no position yet.
    Market,
}

impl<'a> From<&'a Position> for Subject<'a> {
    fn from(position: &'a Position) -> Self {
        Self::Position(position)
    }
}

/// When an episode follows one that has fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rearming {
    /// After the cooldown, also while the condition still is true: it guards as long as the danger
    /// lasts.
    WhileTrue,
    /// Once the condition has become false and the cooldown has passed: one execution a crossing.
    OnceFalse,
}

/// How often a rule may act.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Executions on one day (UTC).
    pub per_day: Option<u32>,
    /// Executions in all; then the automation is completed.
    pub in_all: Option<u32>,
    /// Whether something is done instead where no margin can be added.
    pub falls_back: bool,
}

/// A rule that can be obeyed.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// See [`MarginGuard`].
    MarginGuard(MarginGuard),
    /// See [`TpSl`].
    TpSl(TpSl),
    /// See [`AutoEntry`].
    AutoEntry(AutoEntry),
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
            RuleKind::TpSl => TpSl::parse(config).map(Self::TpSl),
            RuleKind::AutoEntry => AutoEntry::parse(config).map(Self::AutoEntry),
        }
    }

    /// Whether it is for this position. An entry is for none.
    pub fn is_for(&self, position: &Position, lineage: &Lineage) -> bool {
        match self {
            Self::MarginGuard(guard) => guard.positions.include(position, lineage),
            Self::TpSl(rule) => {
                // A cross position has no take-profit and no stop-loss that could be set.
                (rule.action.closes() || position.mode == MarginMode::Isolated)
                    && rule.positions.include(position, lineage)
            }
            Self::AutoEntry(_) => false,
        }
    }

    /// Whether it watches the market rather than positions.
    pub fn is_entry(&self) -> bool {
        matches!(self, Self::AutoEntry(_))
    }

    /// Whether it fires at a price. What it is not for does not fire.
    pub fn is_reached(&self, subject: Subject<'_>, at: Price) -> bool {
        match (self, subject) {
            (Self::MarginGuard(guard), Subject::Position(position)) => {
                guard.is_reached(position, at)
            }
            (Self::TpSl(rule), Subject::Position(position)) => rule.is_reached(position, at),
            (Self::AutoEntry(entry), Subject::Market) => entry.is_reached(at),
            (Self::MarginGuard(_) | Self::TpSl(_), Subject::Market)
            | (Self::AutoEntry(_), Subject::Position(_)) => false,
        }
    }

    /// The prices at which it fires.
    pub fn level(&self, subject: Subject<'_>) -> Level {
        match (self, subject) {
            (Self::MarginGuard(guard), Subject::Position(position)) => guard.level(position),
            (Self::TpSl(rule), Subject::Position(position)) => rule.level(position),
            (Self::AutoEntry(entry), Subject::Market) => entry.level(),
            (Self::MarginGuard(_) | Self::TpSl(_), Subject::Market)
            | (Self::AutoEntry(_), Subject::Position(_)) => Level::default(),
        }
    }

    /// The least time from the end of one execution to the next episode.
    pub fn cooldown(&self) -> Duration {
        match self {
            Self::MarginGuard(guard) => guard.cooldown,
            Self::TpSl(rule) => rule.cooldown,
            Self::AutoEntry(_) => Duration::ZERO,
        }
    }

    /// When it may fire again.
    pub fn rearming(&self) -> Rearming {
        match self {
            Self::MarginGuard(_) => Rearming::WhileTrue,
            Self::TpSl(_) | Self::AutoEntry(_) => Rearming::OnceFalse,
        }
    }

    /// How often it may act.
    pub fn limits(&self) -> Limits {
        match self {
            Self::MarginGuard(guard) => Limits {
                per_day: guard.max_per_day,
                in_all: None,
                falls_back: guard.falls_back(),
            },
            Self::TpSl(_) => Limits::default(),
            Self::AutoEntry(entry) => Limits {
                per_day: None,
                in_all: Some(entry.max_entries),
                falls_back: false,
            },
        }
    }

    /// Its kind.
    pub fn kind(&self) -> RuleKind {
        match self {
            Self::MarginGuard(_) => RuleKind::MarginGuard,
            Self::TpSl(_) => RuleKind::TpSl,
            Self::AutoEntry(_) => RuleKind::AutoEntry,
        }
    }
}

const DEFAULT_COOLDOWN_SECONDS: i64 = 60;
const A_DAY_IN_SECONDS: i64 = 86_400;

fn cooldown(fields: &mut Fields<'_>) -> Duration {
    let seconds = fields.whole("cooldown_seconds", 0..=A_DAY_IN_SECONDS, "seconds");
    Duration::from_secs(seconds.unwrap_or(DEFAULT_COOLDOWN_SECONDS).unsigned_abs())
}

/// A price that an order may have.
fn price_field(fields: &mut Fields<'_>, field: &'static str) -> Option<Price> {
    const ALLOWED: &str = "a price in USD from 1 to 100000000, a multiple of 0.5";
    let usd = fields.number(field, ALLOWED, |usd| {
        let price = Price::from_usd(usd).filter(|price| (Price::MIN..=Price::MAX).contains(price));
        price.is_some_and(|price| price.is_on_tick() && price.usd() == usd)
    })?;
    Price::from_usd(usd)
}
