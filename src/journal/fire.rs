//! Firing: one transaction writes the execution down and takes the arming away, so that there is
//! neither a trigger without an execution nor a second execution of one trigger.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, InsertStatement, OnConflict, Query, UpdateStatement};
use sea_orm::{ConnectionTrait, DatabaseExecutor};

use super::arming::{ARMED, FIRED, stands};
use super::execution::{Columns, Source, TABLE};
use super::sending::{owns, stopped, why_stopped};
use super::{Journal, JournalError, limits};
use crate::domain::execution::{Action, Decision, SkipReason, State, live_trigger_key};
use crate::domain::ids::{AccountId, AutomationId, ExecutionId, PositionId, UserId};
use crate::domain::protection::DailyLimit;
use crate::domain::rules::Limits;
use crate::store::entity::{arming, execution};
use crate::store::{Epoch, Kind, StoreError};

/// The execution of a live trigger, to be written down.
#[derive(Clone, Debug)]
pub struct NewExecution {
    /// A new id.
    pub id: ExecutionId,
    /// The automation that fires.
    pub automation: AutomationId,
    /// Its account.
    pub account: AccountId,
    /// The account's owner.
    pub user: UserId,
    /// The position that it fires for.
    pub position: PositionId,
    /// The version of the rule.
    pub rule_version: i64,
    /// The armed episode.
    pub episode: i64,
    /// What is intended.
    pub action: Action,
    /// What was known when it was decided.
    pub decision: Decision,
}

/// What firing came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FireResult {
    /// The execution stands, planned. A repetition with the same id answers this again, so that an
    /// answer that was lost costs nothing.
    Fired,
    /// This episode was fired before, by this other execution.
    FiredBefore(ExecutionId),
    /// Nothing was written: the automation may not act before this time.
    LimitReached {
        /// When it may again.
        until: DateTime<Utc>,
    },
    /// Nothing was written: the automation has acted as often as it may at all.
    Completed,
    /// Nothing was written: as much was done for the account today as may be.
    ProtectionReached {
        /// What is exhausted.
        limit: DailyLimit,
        /// When the day ends.
        until: DateTime<Utc>,
    },
}

impl Journal {
    /// Writes an execution down and its episode as fired, if the automation's limits let it act.
    ///
    /// # Errors
    /// [`JournalError::NotArmed`] for an episode that is not armed, [`JournalError::NotOwner`] for a
    /// process whose claim was taken over, [`JournalError::Stopped`] while a kill switch is on,
    /// [`JournalError::Paused`] while the account is, [`StoreError::Unavailable`] and
    /// [`StoreError::Busy`], after which it may be repeated with the same id.
    pub(super) async fn stored_fire(
        &self,
        new: NewExecution,
        limits: Limits,
        now: DateTime<Utc>,
    ) -> Result<FireResult, JournalError> {
        let key = live_trigger_key(&new.automation, new.position, new.rule_version, new.episode);
        let insert = insert(&new, &key, Source::Live, now)?;
        let epoch = self.epoch;
        let disarm = disarm(&new, epoch, now);
        let journal = self.clone();
        self.store
            .write(Kind::Several, move |db| {
                Box::pin(async move {
                    let reached = limits::reached(db, &journal, &new, limits, now).await?;
                    if let Some(reached) = reached
                        && find_by_key(db, &key).await?.is_none()
                    {
                        return Ok(reached);
                    }
                    if db.execute(&insert).await?.rows_affected() == 0 {
                        return fired_before(db, &key, new.id).await;
                    }
                    if db.execute(&disarm).await?.rows_affected() == 0 {
                        if db.query_one(&owns(epoch)).await?.is_none() {
                            return Err(JournalError::NotOwner);
                        }
                        match why_stopped(db, new.id).await? {
                            Some(SkipReason::AccountPaused) => return Err(JournalError::Paused),
                            Some(_) => return Err(JournalError::Stopped),
                            None => {}
                        }
                        return Err(not_armed(db, &new, now).await);
                    }
                    Ok(FireResult::Fired)
                })
            })
            .await
    }
}

pub(super) fn insert(
    new: &NewExecution,
    key: &str,
    source: Source,
    now: DateTime<Utc>,
) -> Result<InsertStatement, StoreError> {
    use execution::Column;
    let json = |value: Result<_, serde_json::Error>| {
        value.map_err(|error| StoreError::Refused(format!("cannot be stored as JSON: {error}")))
    };
    let values = [
        (Column::Id, new.id.to_string().into()),
        (Column::TriggerKey, key.into()),
        (Column::Source, source.as_str().into()),
        (Column::AutomationId, new.automation.as_str().into()),
        (Column::AccountId, new.account.as_str().into()),
        (Column::UserId, new.user.as_str().into()),
        (Column::PositionId, new.position.to_string().into()),
        (Column::RuleVersion, new.rule_version.into()),
        (Column::Episode, new.episode.into()),
        (Column::State, State::Planned.as_str().into()),
        (
            Column::Action,
            json(serde_json::to_value(new.action))?.into(),
        ),
        (
            Column::Decision,
            json(serde_json::to_value(&new.decision))?.into(),
        ),
        (Column::Attempts, 0i32.into()),
        (Column::CreatedAt, now.into()),
        (Column::Protective, new.decision.is_protective().into()),
        (
            Column::AddedSats,
            new.action.added().map(|sats| sats.0).into(),
        ),
    ];
    let (columns, values): (Vec<_>, Vec<Expr>) = values.into_iter().unzip();
    let mut insert = Query::insert();
    insert
        .into_table(execution::Entity)
        .columns(columns)
        .values(values)
        .map_err(|error| StoreError::unavailable(error.to_string()))?
        .on_conflict(
            OnConflict::column(Column::TriggerKey)
                .do_nothing()
                .to_owned(),
        );
    Ok(insert)
}

fn disarm(new: &NewExecution, epoch: Epoch, now: DateTime<Utc>) -> UpdateStatement {
    use arming::Column;
    Query::update()
        .table(arming::Entity)
        .value(Column::State, FIRED)
        .value(Column::ExecutionId, new.id.to_string())
        .value(Column::FiredAt, now)
        .and_where(Expr::col(Column::AutomationId).eq(new.automation.as_str()))
        .and_where(Expr::col(Column::PositionId).eq(new.position.to_string()))
        .and_where(Expr::col(Column::RuleVersion).eq(new.rule_version))
        .and_where(Expr::col(Column::Episode).eq(new.episode))
        .and_where(Expr::col(Column::State).eq(ARMED))
        // What an earlier owner wrote down, nobody would carry out.
        .and_where(Expr::exists(owns(epoch)))
        .and_where(Expr::exists(stopped(new.id)).not())
        .to_owned()
}

async fn fired_before(
    db: &DatabaseExecutor<'_>,
    key: &str,
    id: ExecutionId,
) -> Result<FireResult, JournalError> {
    let found = find_by_key(db, key).await?;
    let found = found.ok_or_else(|| StoreError::unavailable("the journal changed; try again"))?;
    Ok(if found == id {
        FireResult::Fired
    } else {
        FireResult::FiredBefore(found)
    })
}

/// The execution with a trigger key.
pub(super) async fn find_by_key(
    db: &DatabaseExecutor<'_>,
    key: &str,
) -> Result<Option<ExecutionId>, StoreError> {
    let query = Query::select()
        .column(execution::Column::Id)
        .from(execution::Entity)
        .and_where(Expr::col(execution::Column::TriggerKey).eq(key))
        .to_owned();
    let Some(row) = db.query_one(&query).await? else {
        return Ok(None);
    };
    let found: String = row.try_get("", "id")?;
    let columns = Columns {
        table: TABLE,
        id: &found,
    };
    columns.parse("id", &found).map(Some)
}

async fn not_armed(
    db: &DatabaseExecutor<'_>,
    new: &NewExecution,
    now: DateTime<Utc>,
) -> JournalError {
    let key = arming::Model {
        automation_id: new.automation.to_string(),
        position_id: new.position.to_string(),
        rule_version: new.rule_version,
        episode: new.episode,
        state: String::new(),
        execution_id: None,
        armed_at: now,
        fired_at: None,
    };
    match stands(db, &key).await {
        Ok(stands) => JournalError::NotArmed {
            episode: new.episode,
            stands,
        },
        Err(error) => error.into(),
    }
}
