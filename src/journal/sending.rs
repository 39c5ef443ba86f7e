//! Letting an execution out: `sending` is durable before the request leaves, and only the owner of
//! the latest epoch gets it.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, LockType, Query, SelectStatement, UpdateStatement};
use sea_orm::{ConnectionTrait, DatabaseExecutor, EntityTrait};

use super::execution::{Columns, TABLE};
use super::letting_out::LettingOut;
use super::{Journal, JournalError};
use crate::domain::execution::{Action, Before, SkipReason, State};
use crate::domain::ids::ExecutionId;
use crate::store::entity::execution::{Column, Entity, Model};
use crate::store::entity::owner;
use crate::store::{Epoch, Kind, StoreError, TRADING, Turn};

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
