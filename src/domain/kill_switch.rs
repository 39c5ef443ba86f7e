//! The kill switch: what it holds back is not sent, however well founded.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::ids::{AccountId, AutomationId};

/// What a kill switch is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "scope", content = "target")]
pub enum Reach {
    /// Everything.
    Service,
    /// One account.
    Account(AccountId),
    /// One automation.
    Automation(AutomationId),
}

/// A kill switch that is on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KillSwitch {
    /// What it is for.
    #[serde(flatten)]
    pub reach: Reach,
    /// Whether protective actions go on: those of margin guards, and stop-losses.
    pub allows_protective: bool,
    /// Why it is on, in the operator's words.
    pub reason: Option<String>,
    /// Since when.
    pub since: DateTime<Utc>,
}

impl Reach {
    /// The kind of thing that it is for, as it is stored.
    pub fn scope(&self) -> &'static str {
        match self {
            Self::Service => SERVICE,
            Self::Account(_) => ACCOUNT,
            Self::Automation(_) => AUTOMATION,
        }
    }

    /// The id of what it is for; empty for everything.
    pub fn target(&self) -> &str {
        match self {
            Self::Service => "",
            Self::Account(id) => id.as_str(),
            Self::Automation(id) => id.as_str(),
        }
    }

    /// What is stored as this scope and target; `None` for a scope that is none.
    pub fn stored(scope: &str, target: &str) -> Option<Self> {
        match scope {
            SERVICE => Some(Self::Service),
            ACCOUNT => Some(Self::Account(AccountId::new(target))),
            AUTOMATION => Some(Self::Automation(AutomationId::new(target))),
            _ => None,
        }
    }
}

/// The scopes, as they are stored.
pub const SERVICE: &str = "service";
/// See [`SERVICE`].
pub const ACCOUNT: &str = "account";
/// See [`SERVICE`].
pub const AUTOMATION: &str = "automation";

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service => f.write_str("everything"),
            Self::Account(id) => write!(f, "account {id}"),
            Self::Automation(id) => write!(f, "automation {id}"),
        }
    }
}
