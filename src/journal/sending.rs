//! Letting an execution out: `sending` is durable before the request leaves, and only the owner of
//! the latest epoch gets it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use sea_orm::sea_query::{Expr, ExprTrait, LockType, Query, SelectStatement, UpdateStatement};
use sea_orm::{ConnectionTrait, DatabaseExecutor, DbBackend, EntityTrait, QueryResult, Statement};

use super::execution::{Columns, TABLE};
use super::{Journal, JournalError, protections};
use crate::domain::execution::{Action, Before, SkipReason, State};
use crate::domain::ids::ExecutionId;
use crate::domain::protection::Protections;
use crate::store::entity::execution::{Column, Entity, Model};
use crate::store::entity::{account, automation, owner};
use crate::store::{Acting, Course, Epoch, Kind, StoreError, TRADING, Turn, held_back, paused};

/// Whether an execution may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Began {
    /// It may, now, once.
    Sending {
        /// The how-manieth time, from 1.
        attempt: u32,
    },
    /// It may not. Nothing was written.
    Refused(Refusal),
}

/// Why an execution may not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Something forbids it now: to be written with [`Journal::skip`]; but what another process has
    /// taken over ([`SkipReason::NotOwner`]) is best left to that process, which recovers it.
    Skip(SkipReason),
    /// It is out already. After an error of [`Journal::begin_sending`] whose caller alone carries
    /// this execution, that is the lost answer's own doing, and nothing was sent.
    AlreadySending,
    /// It has ended so.
    Ended(State),
}

impl Journal {
    /// Lets an execution out to be sent as `action`, if it is planned, this process is the owner,
    /// its automation, the version of the rule and its account are those that may act, its account is
    /// not paused, no kill switch is on for it, and no daily limit of its account is exceeded.
    /// `before` is what a later proof will be held against.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`], [`StoreError::Busy`].
    pub(super) async fn stored_begin_sending(
        &self,
        id: ExecutionId,
        action: Action,
        before: Option<Before>,
        now: DateTime<Utc>,
    ) -> Result<Began, JournalError> {
        if !self.goes_in_doubt(action) {
            self.check_lease()?;
        }
        let letting_out = LettingOut {
            id,
            action,
            before,
            epoch: self.epoch,
            protections: self.protections,
            now,
        };
        let began = self
            .store
            .write_usual(Turn::LetOut, Kind::One, letting_out)
            .await;
        // The answer may have come late, as to a process that was stopped meanwhile.
        if !self.goes_in_doubt(action) {
            self.check_lease()?;
        }
        began
    }

    /// Whether an action may be sent while the right to trade is in doubt, as far as the lease says:
    /// sent by two, it has the effect of once.
    pub(super) fn goes_in_doubt(&self, action: Action) -> bool {
        self.has_intents && matches!(action, Action::ClosePosition)
    }

    pub(super) fn check_lease(&self) -> Result<(), JournalError> {
        Ok(self.check_right()?)
    }

    /// Takes back an execution that is known not to have been applied, to be sent again.
    ///
    /// # Errors
    /// [`JournalError::WrongState`] unless it is sending, [`JournalError::TakenOver`],
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`], [`StoreError::Busy`].
    pub(super) async fn stored_back_to_planned(
        &self,
        id: ExecutionId,
        why: &str,
        _now: DateTime<Utc>,
    ) -> Result<(), JournalError> {
        let update = self
            .step(id, State::Planned)
            .value(Column::Reason, why)
            .to_owned();
        self.take_step(id, State::Planned, update).await
    }

    /// The update that takes an execution to a state, from every state that leads there by itself,
    /// unless a later owner has sent it. (`uncertain` leads nowhere by itself.)
    pub(super) fn step(&self, id: ExecutionId, to: State) -> UpdateStatement {
        let from = State::ALL.into_iter().filter(|from| leads(*from, to));
        let ours = Expr::col(Column::Epoch)
            .is_null()
            .or(Expr::col(Column::Epoch).lte(self.epoch.0));
        Query::update()
            .table(Entity)
            .value(Column::State, to.as_str())
            .and_where(Expr::col(Column::Id).eq(id.to_string()))
            .and_where(Expr::col(Column::State).is_in(from.map(State::as_str)))
            .and_where(ours)
            .to_owned()
    }

    pub(super) async fn take_step(
        &self,
        id: ExecutionId,
        to: State,
        update: UpdateStatement,
    ) -> Result<(), JournalError> {
        self.store
            .write(Kind::One, move |db| {
                Box::pin(async move {
                    match db.execute(&update).await?.rows_affected() {
                        0 => Err(refused(db, id, to).await),
                        _ => Ok(()),
                    }
                })
            })
            .await
    }
}

/// Whether an execution goes from one state to another without a person's word.
pub(super) fn leads(from: State, to: State) -> bool {
    from != State::Uncertain && from.may_become(to)
}

/// The letting out of an execution.
struct LettingOut {
    id: ExecutionId,
    action: Action,
    before: Option<Before>,
    epoch: Epoch,
    protections: Protections,
    now: DateTime<Utc>,
}

impl Course for LettingOut {
    type Answer = Began;
    type Error = JournalError;

    fn usual(&self) -> Result<Vec<Statement>, StoreError> {
        Ok(vec![DbBackend::Sqlite.build(&self.statement()?)])
    }

    fn went_as_usual(&self, rows: &[QueryResult]) -> Result<Began, JournalError> {
        let row = rows
            .first()
            .ok_or_else(|| StoreError::no_execution(self.id))?;
        Ok(sending(row)?)
    }

    fn run<'c>(
        self: Arc<Self>,
        db: &'c DatabaseExecutor<'c>,
    ) -> BoxFuture<'c, Result<Began, JournalError>> {
        Box::pin(async move { self.write(db).await })
    }
}

fn sending(row: &QueryResult) -> Result<Began, StoreError> {
    let attempts: i32 = row.try_get("", "attempts")?;
    Ok(Began::Sending {
        attempt: attempts.unsigned_abs(),
    })
}

impl LettingOut {
    async fn write(&self, db: &DatabaseExecutor<'_>) -> Result<Began, JournalError> {
        // All rows: a statement that returns is durable only when it has run to its end.
        let rows = db.query_all(&self.statement()?).await?;
        let Some(row) = rows.first() else {
            let refusal = match why_not(db, self.id, self.epoch).await? {
                Some(refusal) => refusal,
                None => self.over_limit(db).await?,
            };
            return Ok(Began::Refused(refusal));
        };
        Ok(sending(row)?)
    }

    fn statement(&self) -> Result<UpdateStatement, StoreError> {
        let json = |value: Result<serde_json::Value, serde_json::Error>| {
            value.map_err(|error| StoreError::Refused(format!("cannot be stored as JSON: {error}")))
        };
        let before = self.before.map(|before| json(serde_json::to_value(before)));
        let its = Acting::its();
        Ok(Query::update()
            .table(Entity)
            .value(Column::State, State::Sending.as_str())
            .value(Column::Action, json(serde_json::to_value(self.action))?)
            .value(Column::Before, before.transpose()?)
            .value(Column::Attempts, Expr::col(Column::Attempts).add(1))
            .value(Column::Epoch, self.epoch.0)
            .value(Column::SendingAt, self.now)
            .value(Column::AddedSats, self.action.added().map(|sats| sats.0))
            .and_where(Expr::col(Column::Id).eq(self.id.to_string()))
            .and_where(Expr::col(Column::State).eq(State::Planned.as_str()))
            .and_where(Expr::exists(owns(self.epoch)))
            .and_where(Expr::exists(automation_acts()))
            .and_where(Expr::exists(account_acts()))
            .and_where(Expr::exists(paused(&its)).not())
            .and_where(Expr::exists(held_back(&its)).not())
            .and_where(protections::allow(self.protections, self.action, self.now))
            .returning(Query::returning().column(Column::Attempts))
            .to_owned())
    }

    async fn over_limit(&self, db: &DatabaseExecutor<'_>) -> Result<Refusal, JournalError> {
        let (row, _) = found(db, self.id).await?;
        let forbids = protections::forbids(db, self.protections, &row, self.action, self.now);
        match forbids.await? {
            Some(limit) => Ok(Refusal::Skip(limit.into())),
            None => {
                let what = "what forbade the sending is gone again; try again";
                Err(StoreError::unavailable(what).into())
            }
        }
    }
}

/// Finds a row where `epoch` is the latest claim.
pub(super) fn owns(epoch: Epoch) -> SelectStatement {
    Query::select()
        .expr(Expr::val(1))
        .from(owner::Entity)
        .and_where(Expr::col(owner::Column::Name).eq(TRADING))
        .and_where(Expr::col(owner::Column::Epoch).eq(epoch.0))
        // Where others may claim meanwhile, this waits for their claim and then sees it.
        .lock(LockType::Share)
        .to_owned()
}

fn automation_acts() -> SelectStatement {
    use automation::Column as Of;
    Query::select()
        .expr(Expr::val(1))
        .from(automation::Entity)
        .and_where(Expr::col((automation::Entity, Of::Id)).equals((Entity, Column::AutomationId)))
        .and_where(
            Expr::col((automation::Entity, Of::RuleVersion)).equals((Entity, Column::RuleVersion)),
        )
        .and_where(Expr::col((automation::Entity, Of::IsActive)).eq(true))
        .to_owned()
}

fn account_acts() -> SelectStatement {
    use account::Column as Of;
    Query::select()
        .expr(Expr::val(1))
        .from(account::Entity)
        .and_where(Expr::col((account::Entity, Of::Id)).equals((Entity, Column::AccountId)))
        .and_where(Expr::col((account::Entity, Of::IsActive)).eq(true))
        .to_owned()
}

async fn why_not(
    db: &DatabaseExecutor<'_>,
    id: ExecutionId,
    epoch: Epoch,
) -> Result<Option<Refusal>, JournalError> {
    let (row, state) = found(db, id).await?;
    match state {
        State::Planned => {}
        State::Sending => return Ok(Some(Refusal::AlreadySending)),
        ended => return Ok(Some(Refusal::Ended(ended))),
    }
    let owner = owner::Entity::find_by_id(TRADING).one(db).await?;
    if owner.is_none_or(|owner| owner.epoch != epoch.0) {
        return Ok(Some(Refusal::Skip(SkipReason::NotOwner)));
    }
    let automation = automation::Entity::find_by_id(&row.automation_id)
        .one(db)
        .await?;
    if automation.is_none_or(|found| !found.is_active || found.rule_version != row.rule_version) {
        return Ok(Some(Refusal::Skip(SkipReason::AutomationDisabled)));
    }
    let account = account::Entity::find_by_id(&row.account_id).one(db).await?;
    if account.is_none_or(|account| !account.is_active) {
        return Ok(Some(Refusal::Skip(SkipReason::AccountDisabled)));
    }
    Ok(why_stopped(db, id).await?.map(Refusal::Skip))
}

/// What holds an execution back, if anything does.
async fn why_stopped(
    db: &DatabaseExecutor<'_>,
    id: ExecutionId,
) -> Result<Option<SkipReason>, StoreError> {
    let its = Acting::its();
    if db
        .query_one(&where_stands(id, paused(&its)))
        .await?
        .is_some()
    {
        return Ok(Some(SkipReason::AccountPaused));
    }
    let held = db.query_one(&where_stands(id, held_back(&its))).await?;
    Ok(held.map(|_| SkipReason::KillSwitch))
}

fn where_stands(id: ExecutionId, hold: SelectStatement) -> SelectStatement {
    Query::select()
        .expr(Expr::val(1))
        .from(Entity)
        .and_where(Expr::col(Column::Id).eq(id.to_string()))
        .and_where(Expr::exists(hold))
        .to_owned()
}

/// Why a step was not taken.
pub(super) async fn refused(
    db: &DatabaseExecutor<'_>,
    id: ExecutionId,
    wanted: State,
) -> JournalError {
    match found(db, id).await {
        Ok((_, found)) if leads(found, wanted) => JournalError::TakenOver { execution: id },
        Ok((_, found)) => JournalError::WrongState {
            execution: id,
            found,
            wanted,
        },
        Err(error) => error,
    }
}

/// The row of an execution and its state.
pub(super) async fn found(
    db: &DatabaseExecutor<'_>,
    id: ExecutionId,
) -> Result<(Model, State), JournalError> {
    let text = id.to_string();
    let row = Entity::find_by_id(&text).one(db).await?;
    let row = row.ok_or_else(|| StoreError::no_execution(id))?;
    let columns = Columns {
        table: TABLE,
        id: &text,
    };
    let state = columns.parse("state", &row.state)?;
    Ok((row, state))
}
