//! Choosing the next jobs and taking them in hand.

use std::collections::HashMap;

use sea_orm::ColumnTrait;
use sea_orm::sea_query::{Expr, ExprTrait, LockBehavior, LockType, Order, Query, SelectStatement};
use sea_orm::{
    ConnectionTrait, DatabaseExecutor, DbErr, EntityTrait, FromQueryResult, QueryFilter,
};

use super::Shared;
use super::database::{read, write};
use super::entity::{Column, Entity, Model};
use crate::queue::{JobState, QueueError};

/// Jobs of one automation that are in hand at once. They run one after the other anyway, so a
/// flood of one automation must not fill the hands.
const OF_ONE_AUTOMATION: usize = 4;

/// What waits.
pub(super) struct Waits {
    /// Whether a job can be taken now.
    pub(super) due: bool,
    /// When the next can, if none can now.
    pub(super) next_due: Option<i64>,
}

/// Which jobs can be taken.
#[derive(Clone)]
pub(super) struct Choice {
    /// How many at most.
    pub(super) room: usize,
    /// How many are in hand already, by automation.
    pub(super) in_hand: HashMap<String, usize>,
}

impl Choice {
    fn full(&self) -> Vec<String> {
        let full = self.in_hand.iter();
        let full = full.filter(|(_, count)| **count >= OF_ONE_AUTOMATION);
        full.map(|(automation, _)| automation.clone()).collect()
    }
}

impl Shared {
    /// Whether jobs can be taken, without writing.
    pub(super) async fn look(&self, choice: &Choice) -> Result<Waits, QueueError> {
        let now = self.now();
        let first = turn(&self.options.name, now, choice.full(), &[], 1);
        let later = Query::select()
            .expr(Expr::col(Column::DueAt).min())
            .from(Entity)
            .and_where(Expr::col(Column::Queue).eq(self.options.name.as_str()))
            .and_where(Expr::col(Column::State).eq(JobState::Waiting.as_str()))
            .and_where(Expr::col(Column::DueAt).gt(now))
            .to_owned();
        read(&*self.database, move |db| {
            Box::pin(async move {
                let due = db.query_one(&first).await?.is_some();
                let next_due = match db.query_one(&later).await? {
                    Some(row) if !due => row.try_get_by_index(0)?,
                    _ => None,
                };
                Ok(Waits { due, next_due })
            })
        })
        .await
    }

    /// Takes the jobs whose turn it is, under this lease.
    pub(super) async fn take(
        &self,
        choice: Choice,
        lease: String,
    ) -> Result<Vec<Model>, QueueError> {
        let now = self.now();
        let turn = {
            let queue = self.options.name.clone();
            move |full: Vec<String>, chosen: &[i64], room: usize| {
                let mut turn = turn(&queue, now, full, chosen, room);
                // Several processes may take at once where the database lets them; none waits for
                // another. Whoever only looks may not lock.
                turn.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
                turn
            }
        };
        let until = now.saturating_add(super::millis(self.options.lock));
        write(&*self.database, move |db| {
            Box::pin(async move {
                let chosen = choose(db, choice, turn).await?;
                if chosen.is_empty() {
                    return Ok(vec![]);
                }
                let taken = Query::update()
                    .table(Entity)
                    .value(Column::State, JobState::Active.as_str())
                    .value(Column::Lease, lease)
                    .value(Column::LeaseUntil, until)
                    .value(Column::TakenAt, now)
                    .and_where(Expr::col(Column::Number).is_in(chosen.iter().copied()))
                    .to_owned();
                db.execute(&taken).await?;
                let rows = Entity::find().filter(Column::Number.is_in(chosen.iter().copied()));
                let mut rows = rows.all(db).await?;
                let turn = |row: &Model| chosen.iter().position(|number| *number == row.number);
                rows.sort_by_key(turn);
                Ok(rows)
            })
        })
        .await
    }
}

#[derive(FromQueryResult)]
struct Candidate {
    number: i64,
    automation: Option<String>,
}

async fn choose<'c>(
    db: &'c DatabaseExecutor<'c>,
    mut choice: Choice,
    turn: impl Fn(Vec<String>, &[i64], usize) -> SelectStatement,
) -> Result<Vec<i64>, DbErr> {
    let mut chosen = vec![];
    loop {
        let room = choice.room - chosen.len();
        if room == 0 {
            return Ok(chosen);
        }
        let candidates = db.query_all(&turn(choice.full(), &chosen, room)).await?;
        let mut passed_over = false;
        for row in &candidates {
            let candidate = Candidate::from_query_result(row, "")?;
            if let Some(automation) = candidate.automation {
                let in_hand = choice.in_hand.entry(automation).or_default();
                if *in_hand >= OF_ONE_AUTOMATION {
                    passed_over = true;
                    continue;
                }
                *in_hand += 1;
            }
            chosen.push(candidate.number);
        }
        // Each round fills an automation, so there is an end.
        if !passed_over {
            return Ok(chosen);
        }
    }
}

/// Jobs whose turn it is, the next first: by priority, then as they became due.
fn turn(queue: &str, now: i64, full: Vec<String>, chosen: &[i64], room: usize) -> SelectStatement {
    let mut turn = Query::select();
    turn.columns([Column::Number, Column::Automation])
        .from(Entity)
        .and_where(Expr::col(Column::Queue).eq(queue))
        .and_where(Expr::col(Column::State).eq(JobState::Waiting.as_str()))
        .and_where(Expr::col(Column::DueAt).lte(now))
        .order_by(Column::Priority, Order::Asc)
        .order_by(Column::DueAt, Order::Asc)
        .order_by(Column::Number, Order::Asc)
        .limit(room as u64);
    if !full.is_empty() {
        let others = Expr::col(Column::Automation).is_not_in(full);
        turn.and_where(Expr::col(Column::Automation).is_null().or(others));
    }
    if !chosen.is_empty() {
        turn.and_where(Expr::col(Column::Number).is_not_in(chosen.iter().copied()));
    }
    turn
}
