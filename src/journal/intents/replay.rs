//! Taking over: what stands in the file goes into the store, each execution in one transaction, which
//! may be repeated.

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query, UpdateStatement};
use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DatabaseExecutor, EntityTrait, IntoActiveModel, QueryTrait,
};
use serde_json::Value;

use super::super::aftermath::Aftermath;
use super::super::arming::{ARMED, FIRED};
use super::super::audit::{self, Pen, Written};
use super::super::execution::{Columns, Execution, Source, TABLE};
use super::super::fire::find_by_key;
use super::super::sending::owns;
use super::super::{Journal, JournalError, succession};
use super::record::Intent;
use crate::domain::execution::State;
use crate::store::entity::{arming, automation, execution};
use crate::store::{Epoch, Kind, StoreError};

/// What taking over came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// The store says what the file said.
    Over,
    /// It says how the execution ended, as it did before; that stays.
    Ended(State),
    /// Its trigger key is another execution's, which stays; this one stands beside it.
    Beside,
    /// Its trigger key is another execution's, and this one was never sent: it is dropped.
    Dropped,
}

impl Journal {
    /// Brings the store to what the file says of one execution.
    ///
    /// # Errors
    /// [`JournalError::NotOwner`], and as every write.
    pub(super) async fn take_over(&self, intent: Intent) -> Result<Taken, JournalError> {
        let (epoch, aftermath) = (self.epoch, self.aftermath());
        let pen = self.pen()?;
        let (taken, written) = self
            .store
            .write(Kind::Several, move |db| {
                Box::pin(async move { write(db, epoch, aftermath, pen, intent).await })
            })
            .await?;
        if let Some(written) = written {
            self.witness.note(written);
        }
        Ok(taken)
    }
}

async fn write(
    db: &DatabaseExecutor<'_>,
    epoch: Epoch,
    aftermath: Aftermath,
    pen: Pen,
    intent: Intent,
) -> Result<(Taken, Option<Written>), JournalError> {
    if db.query_one(&owns(epoch)).await?.is_none() {
        return Err(JournalError::NotOwner);
    }
    let Intent {
        execution: mut row,
        entry,
        ..
    } = intent;
    let (id, text) = (row.id, row.id.to_string());
    let stands = execution::Entity::find_by_id(&text).one(db).await?;
    let taken = match stands {
        Some(stands) => {
            let columns = Columns {
                table: TABLE,
                id: &text,
            };
            let state: State = columns.parse("state", &stands.state)?;
            if state.is_final() {
                let taken = match state == row.state {
                    true => Taken::Over,
                    false => Taken::Ended(state),
                };
                return Ok((taken, audit::standing(db, id).await?));
            }
            db.execute(&bring(&row)?).await?;
            Taken::Over
        }
        None => {
            let taken = match find_by_key(db, &row.trigger_key).await? {
                Some(_) if row.state == State::Planned => return Ok((Taken::Dropped, None)),
                Some(_) => {
                    row.trigger_key = format!("{}:beside:{id}", row.trigger_key);
                    Taken::Beside
                }
                None => Taken::Over,
            };
            insert(db, &row).await?;
            taken
        }
    };
    if taken == Taken::Over && row.source == Source::Live {
        fire(db, &row).await?;
    }
    let mut written = None;
    if row.state == State::Done {
        let outcome = row.outcome.as_ref().unwrap_or(&Value::Null);
        succession::of_outcome(db, id, outcome, row.created_at).await?;
        if let Some(entry) = entry {
            written = Some(pen.write(db, id, row.account.to_string(), &entry).await?);
        }
    }
    if let Some(ended_at) = row.finished_at.filter(|_| row.state.is_final()) {
        aftermath.of(db, id, ended_at).await?;
    }
    Ok((taken, written))
}

fn json(value: impl serde::Serialize) -> Result<Value, StoreError> {
    serde_json::to_value(value)
        .map_err(|error| StoreError::Refused(format!("cannot be stored as JSON: {error}")))
}

fn model(row: &Execution) -> Result<execution::Model, StoreError> {
    Ok(execution::Model {
        id: row.id.to_string(),
        trigger_key: row.trigger_key.clone(),
        source: row.source.as_str().to_owned(),
        automation_id: row.automation.to_string(),
        account_id: row.account.to_string(),
        user_id: row.user.to_string(),
        position_id: row.position.to_string(),
        rule_version: row.rule_version,
        episode: row.episode,
        state: row.state.as_str().to_owned(),
        action: json(row.action)?,
        decision: json(&row.decision)?,
        before: row.before.map(json).transpose()?,
        attempts: row.attempts.cast_signed(),
        reason: row.reason.clone(),
        evidence: row.evidence.clone(),
        outcome: row.outcome.clone(),
        epoch: row.epoch.map(|epoch| epoch.0),
        created_at: row.created_at,
        sending_at: row.sending_at,
        finished_at: row.finished_at,
        protective: row.decision.is_protective(),
        added_sats: row.action.added().map(|sats| sats.0),
    })
}

async fn insert(db: &DatabaseExecutor<'_>, row: &Execution) -> Result<(), JournalError> {
    let row = model(row)?.into_active_model().reset_all();
    let mut insert = execution::Entity::insert(row).into_query();
    insert.on_conflict(OnConflict::new().do_nothing().to_owned());
    if db.execute(&insert).await?.rows_affected() == 0 {
        // A write that was under way has landed just now: it is looked at again.
        return Err(StoreError::unavailable("the journal changed; try again").into());
    }
    Ok(())
}

/// What a step may change of a row that has not ended.
fn bring(row: &Execution) -> Result<UpdateStatement, StoreError> {
    use execution::Column;
    let model = model(row)?;
    let open = State::ALL.into_iter().filter(|state| !state.is_final());
    Ok(Query::update()
        .table(execution::Entity)
        .value(Column::State, model.state)
        .value(Column::Action, model.action)
        .value(Column::Before, model.before)
        .value(Column::Attempts, model.attempts)
        .value(Column::Reason, model.reason)
        .value(Column::Evidence, model.evidence)
        .value(Column::Outcome, model.outcome)
        .value(Column::Epoch, model.epoch)
        .value(Column::SendingAt, model.sending_at)
        .value(Column::AddedSats, model.added_sats)
        .value(Column::FinishedAt, model.finished_at)
        .and_where(Expr::col(Column::Id).eq(model.id))
        .and_where(Expr::col(Column::State).is_in(open.map(State::as_str)))
        .to_owned())
}

/// Its episode has fired, unless a later one stands. With an automation that was removed its arming
/// has gone.
async fn fire(db: &DatabaseExecutor<'_>, row: &Execution) -> Result<(), JournalError> {
    use arming::Column;
    let its = automation::Entity::find_by_id(row.automation.as_str());
    if its.one(db).await?.is_none() {
        return Ok(());
    }
    let fired = arming::ActiveModel {
        automation_id: Set(row.automation.to_string()),
        position_id: Set(row.position.to_string()),
        rule_version: Set(row.rule_version),
        episode: Set(row.episode),
        state: Set(FIRED.to_owned()),
        execution_id: Set(Some(row.id.to_string())),
        armed_at: Set(row.created_at),
        fired_at: Set(Some(row.created_at)),
    };
    let of = |column| Expr::col((arming::Entity, column));
    let mut same = of(Column::Episode).eq(row.episode);
    if !row.decision.fallback {
        // What was done in its place stands there already, or it does itself.
        same = same.and(of(Column::State).eq(ARMED));
    }
    let earlier = of(Column::Episode).lt(row.episode);
    let key = [
        Column::AutomationId,
        Column::PositionId,
        Column::RuleVersion,
    ];
    let changed = [
        Column::Episode,
        Column::State,
        Column::ExecutionId,
        Column::FiredAt,
    ];
    let conflict = OnConflict::columns(key)
        .update_columns(changed)
        .action_and_where(earlier.or(same))
        .to_owned();
    let mut insert = arming::Entity::insert(fired).into_query();
    insert.on_conflict(conflict);
    db.execute(&insert).await?;
    Ok(())
}
