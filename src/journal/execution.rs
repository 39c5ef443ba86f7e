//! An execution as it is stored, in domain types.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::execution::{Action, Before, Decision, SkipReason, State};
use crate::domain::ids::{AccountId, AutomationId, ExecutionId, PositionId, UserId};
use crate::store::entity::execution::Model;
use crate::store::{Epoch, StoreError};

pub(super) const TABLE: &str = "executions";

/// What caused an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A trigger, seen live.
    Live,
    /// A job from the queue.
    Job,
}

impl Source {
    /// The name under which it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Job => "job",
        }
    }
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "live" => Ok(Self::Live),
            "job" => Ok(Self::Job),
            _ => Err(format!("`{text}` is no source; known are live, job")),
        }
    }
}

/// An execution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Execution {
    /// Its id.
    pub id: ExecutionId,
    /// The key of the trigger or job: no two executions have the same.
    pub trigger_key: String,
    /// What caused it.
    pub source: Source,
    /// The automation that acts.
    #[serde(rename = "automationId")]
    pub automation: AutomationId,
    /// The account that it acts for.
    #[serde(rename = "accountId")]
    pub account: AccountId,
    /// The account's owner.
    #[serde(rename = "userId")]
    pub user: UserId,
    /// The position that it acts on.
    #[serde(rename = "positionId")]
    pub position: PositionId,
    /// The version of the rule that decided.
    pub rule_version: i64,
    /// The episode that fired.
    pub episode: i64,
    /// Where it stands.
    pub state: State,
    /// What is intended; from the first sending on, what was sent last.
    pub action: Action,
    /// What was known when it was decided.
    pub decision: Decision,
    /// What was read before margin was added.
    pub before: Option<Before>,
    /// How often it was let out to be sent.
    pub attempts: u32,
    /// Why it was skipped, failed, sent back to be planned, or how it was resolved.
    pub reason: Option<String>,
    /// What was seen of its failure, or of the doubt.
    pub evidence: Option<Value>,
    /// What the exchange answered.
    pub outcome: Option<Value>,
    /// The claim under which it was sent last.
    pub epoch: Option<Epoch>,
    /// When it was written down.
    pub created_at: DateTime<Utc>,
    /// When it was let out last.
    pub sending_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

impl Execution {
    /// Whether something of it may have been sent that is yet to be proven, or completed.
    pub fn has_begun(&self) -> bool {
        self.state == State::Sending
            || (self.state == State::Planned && matches!(self.action, Action::Reopen(_)))
    }

    /// Why it was skipped; `None` if it was not.
    pub fn skipped(&self) -> Option<SkipReason> {
        if self.state != State::Skipped {
            return None;
        }
        self.reason.as_deref().and_then(skip_reason)
    }
}

/// The skip reason that is stored under a name.
pub(super) fn skip_reason(text: &str) -> Option<SkipReason> {
    serde_json::from_value(Value::from(text)).ok()
}

/// Reads the columns of one row, so that an error names the row.
pub(super) struct Columns<'a> {
    pub(super) table: &'static str,
    pub(super) id: &'a str,
}

impl Columns<'_> {
    pub(super) fn parse<T: FromStr<Err: fmt::Display>>(
        &self,
        column: &str,
        text: &str,
    ) -> Result<T, StoreError> {
        text.parse().map_err(|error| self.corrupt(column, error))
    }

    pub(super) fn json<T: DeserializeOwned>(
        &self,
        column: &str,
        value: Value,
    ) -> Result<T, StoreError> {
        serde_json::from_value(value).map_err(|error| self.corrupt(column, error))
    }

    pub(super) fn corrupt(&self, column: &str, error: impl fmt::Display) -> StoreError {
        StoreError::corrupt(self.table, self.id, format!("{column}: {error}"))
    }
}

impl TryFrom<Model> for Execution {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        let columns = Columns {
            table: TABLE,
            id: &row.id,
        };
        let before = row.before.map(|value| columns.json("before", value));
        Ok(Self {
            id: columns.parse("id", &row.id)?,
            source: columns.parse("source", &row.source)?,
            position: columns.parse("position_id", &row.position_id)?,
            state: columns.parse("state", &row.state)?,
            action: columns.json("action", row.action)?,
            decision: columns.json("decision", row.decision)?,
            before: before.transpose()?,
            attempts: u32::try_from(row.attempts)
                .map_err(|error| columns.corrupt("attempts", error))?,
            trigger_key: row.trigger_key,
            automation: AutomationId::new(row.automation_id),
            account: AccountId::new(row.account_id),
            user: UserId::new(row.user_id),
            rule_version: row.rule_version,
            episode: row.episode,
            reason: row.reason,
            evidence: row.evidence,
            outcome: row.outcome,
            epoch: row.epoch.map(Epoch),
            created_at: row.created_at,
            sending_at: row.sending_at,
            finished_at: row.finished_at,
        })
    }
}
