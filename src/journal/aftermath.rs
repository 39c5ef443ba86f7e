//! What else follows from the end of an execution, in its transaction: it is told outside, and an
//! account that fails again and again is paused.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseExecutor};
use serde_json::json;

use super::sending::found;
use super::{Journal, JournalError};
use crate::domain::execution::State;
use crate::domain::ids::{AccountId, ExecutionId};
use crate::domain::notice::{Kinds, Notice, NoticeKind};
use crate::domain::protection::{Omen, OwnProtections, Protections, omen, paused_because};
use crate::store::entity::execution::Model;
use crate::store::{
    forget_failures, name_of, note_failure, pause, protections_of, put_notice, tell_of_pause,
};

/// Who pauses an account whose executions fail in a row.
const PROTECTION: &str = "protection";
/// The longest text of a reason in a pause's, in characters.
const LAST_MOST: usize = 200;

/// An account was paused because its executions failed in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paused {
    /// Why.
    pub reason: String,
}

/// What is looked at when an execution has ended.
#[derive(Clone, Copy)]
pub(super) struct Aftermath {
    told: Kinds,
    configured: Protections,
}

impl Journal {
    pub(super) fn aftermath(&self) -> Aftermath {
        Aftermath {
            told: self.store.told(),
            configured: self.protections,
        }
    }
}

impl Aftermath {
    /// What follows from an end by itself.
    pub(super) async fn of(
        self,
        db: &DatabaseExecutor<'_>,
        id: ExecutionId,
        now: DateTime<Utc>,
    ) -> Result<Option<Paused>, JournalError> {
        let (row, state) = found(db, id).await?;
        self.tell(db, id, &row, state, now).await?;
        match omen(state, row.reason.as_deref()) {
            Omen::None => Ok(None),
            Omen::Good => {
                forget_failures(db, &row.account_id).await?;
                Ok(None)
            }
            Omen::Bad => self.one_more_failure(db, &row, state, now).await,
        }
    }

    /// The same of what was done for an account. What is told of nobody need not be read for it.
    pub(super) async fn of_done(
        self,
        db: &DatabaseExecutor<'_>,
        id: ExecutionId,
        account: &str,
        now: DateTime<Utc>,
    ) -> Result<(), JournalError> {
        if self.told.has(NoticeKind::ExecutionDone) {
            self.told_of(db, id, now).await?;
        }
        forget_failures(db, account).await?;
        Ok(())
    }

    /// Tells of an end, whoever brought it about.
    pub(super) async fn told_of(
        self,
        db: &DatabaseExecutor<'_>,
        id: ExecutionId,
        now: DateTime<Utc>,
    ) -> Result<(), JournalError> {
        let (row, state) = found(db, id).await?;
        self.tell(db, id, &row, state, now).await
    }

    async fn one_more_failure(
        self,
        db: &DatabaseExecutor<'_>,
        row: &Model,
        state: State,
        now: DateTime<Utc>,
    ) -> Result<Option<Paused>, JournalError> {
        let account = row.account_id.as_str();
        let Some(failures) = note_failure(db, account).await? else {
            return Ok(None);
        };
        let own = protections_of(db, account).await?;
        let own = own.as_ref().map(OwnProtections::from).unwrap_or_default();
        let most = own.over(self.configured).failures_in_a_row.map(i64::from);
        if most.is_none_or(|most| failures < most) {
            return Ok(None);
        }
        let last = row.reason.as_deref().unwrap_or(state.as_str());
        let last: String = last.chars().take(LAST_MOST).collect();
        let reason = paused_because(failures, &last);
        let id = AccountId::new(account);
        let update = pause(&id, Some(reason.clone()), PROTECTION, now);
        if db.execute(&update).await?.rows_affected() == 0 {
            return Ok(None);
        }
        let data = json!({ "reason": reason, "by": PROTECTION });
        tell_of_pause(db, self.told, NoticeKind::AccountPaused, &id, now, data).await?;
        Ok(Some(Paused { reason }))
    }

    async fn tell(
        self,
        db: &DatabaseExecutor<'_>,
        id: ExecutionId,
        row: &Model,
        state: State,
        now: DateTime<Utc>,
    ) -> Result<(), JournalError> {
        let kind = match state {
            State::Done => NoticeKind::ExecutionDone,
            State::Failed => NoticeKind::ExecutionFailed,
            State::Uncertain => NoticeKind::ExecutionUncertain,
            State::Planned | State::Sending | State::Skipped => return Ok(()),
        };
        if !self.told.has(kind) {
            return Ok(());
        }
        let account = row.account_id.as_str();
        let account = (AccountId::new(account), name_of(db, account).await?);
        let data = json!({
            "executionId": row.id, "automationId": row.automation_id, "userId": row.user_id,
            "positionId": row.position_id, "source": row.source, "rule": row.decision["rule"],
            "wanted": row.decision["wanted"], "price": row.decision["price"],
            "metric": row.decision["metric"], "metricValue": row.decision["metricValue"],
            "action": row.action, "attempts": row.attempts, "reason": row.reason,
            "outcome": row.outcome, "evidence": row.evidence,
        });
        let notice = Notice::of_end(kind, id, account, now, data);
        put_notice(db, self.told, &notice).await?;
        Ok(())
    }
}
