//! How often an automation has acted, held against how often it may; then what its account may.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, Func, Query};
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
    if let Some(most) = limits.in_all {
        let version = Expr::col(Column::RuleVersion).eq(rule_version);
        if acted(db, automation, version).await? >= u64::from(most) {
            return Ok(Some(FireResult::Completed));
        }
    }
    if let Some(most) = limits.per_day {
        let since = Expr::col(Column::CreatedAt).gte(day_begun(now));
        if acted(db, automation, since).await? >= u64::from(most) {
            let until = day_ends(now);
            return Ok(Some(FireResult::LimitReached { until }));
        }
    }
    Ok(None)
}

async fn acted(
    db: &DatabaseExecutor<'_>,
    automation: &AutomationId,
    which: Expr,
) -> Result<u64, StoreError> {
    let query = Query::select()
        .expr_as(Func::count(Expr::col(Column::Id)), "count")
        .from(Entity)
        .and_where(Expr::col(Column::AutomationId).eq(automation.as_str()))
        .and_where(Expr::col(Column::State).is_in(COUNTED.map(State::as_str)))
        .and_where(which)
        .to_owned();
    let Some(row) = db.query_one(&query).await? else {
        return Ok(0);
    };
    let count: i64 = row.try_get("", "count")?;
    Ok(count.unsigned_abs())
}
