//! How often an automation has acted, held against how often it may; then what its account may.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, Func, Query, SelectStatement};
use sea_orm::{ConnectionTrait, DatabaseExecutor};

use super::fire::{FireResult, NewExecution};
use super::{Journal, protections};
use crate::domain::execution::State;
use crate::domain::ids::AutomationId;
use crate::domain::protection::{day_begun, day_ends};
use crate::domain::rules::Limits;
use crate::store::StoreError;
use crate::store::entity::execution::{Column, Entity};

/// Executions in these states count: what may have been, or may yet be, applied.
pub(super) const COUNTED: [State; 4] = [
    State::Planned,
    State::Sending,
    State::Done,
    State::Uncertain,
];

/// What forbids an automation, or its account, to act once more, if anything does.
pub(super) async fn reached(
    db: &DatabaseExecutor<'_>,
    journal: &Journal,
    new: &NewExecution,
    limits: Limits,
    now: DateTime<Utc>,
) -> Result<Option<FireResult>, StoreError> {
    match of_rule(db, &new.automation, new.rule_version, limits, now).await? {
        None => protections::reached(db, journal, new, limits, now).await,
        reached => Ok(reached),
    }
}

async fn of_rule(
    db: &DatabaseExecutor<'_>,
    automation: &AutomationId,
    rule_version: i64,
    limits: Limits,
    now: DateTime<Utc>,
) -> Result<Option<FireResult>, StoreError> {
    if let Some(most) = limits.in_all
        && acted(db, automation, of_version(rule_version)).await? >= u64::from(most)
    {
        return Ok(Some(FireResult::Completed));
    }
    if let Some(most) = limits.per_day
        && acted(db, automation, of_day(now)).await? >= u64::from(most)
    {
        let until = day_ends(now);
        return Ok(Some(FireResult::LimitReached { until }));
    }
    Ok(None)
}

/// The conditions under which nothing is [`reached`], for a statement that writes.
pub(super) fn room(
    journal: &Journal,
    new: &NewExecution,
    limits: Limits,
    now: DateTime<Utc>,
) -> Vec<Expr> {
    let fewer = |which, most: u32| {
        let count = counting(&new.automation, which);
        Expr::SubQuery(None, Box::new(count.into())).lt(i64::from(most))
    };
    let mut room = protections::room(journal, new, limits, now);
    if let Some(most) = limits.in_all {
        room.push(fewer(of_version(new.rule_version), most));
    }
    if let Some(most) = limits.per_day {
        room.push(fewer(of_day(now), most));
    }
    room
}

fn of_version(rule_version: i64) -> Expr {
    Expr::col((Entity, Column::RuleVersion)).eq(rule_version)
}

fn of_day(now: DateTime<Utc>) -> Expr {
    Expr::col((Entity, Column::CreatedAt)).gte(day_begun(now))
}

async fn acted(
    db: &DatabaseExecutor<'_>,
    automation: &AutomationId,
    which: Expr,
) -> Result<u64, StoreError> {
    let Some(row) = db.query_one(&counting(automation, which)).await? else {
        return Ok(0);
    };
    let count: i64 = row.try_get("", "count")?;
    Ok(count.unsigned_abs())
}

fn counting(automation: &AutomationId, which: Expr) -> SelectStatement {
    Query::select()
        .expr_as(Func::count(Expr::col((Entity, Column::Id))), "count")
        .from(Entity)
        .and_where(Expr::col((Entity, Column::AutomationId)).eq(automation.as_str()))
        .and_where(Expr::col((Entity, Column::State)).is_in(COUNTED.map(State::as_str)))
        .and_where(which)
        .to_owned()
}
