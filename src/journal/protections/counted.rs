//! What counts towards a daily limit, as queries.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Func, Query, SelectStatement};

use crate::domain::execution::State;
use crate::store::StoreError;
use crate::store::entity::execution::{Column, Entity};

/// What was let out and was, may have been, or may yet be applied.
const COUNTED: [State; 3] = [State::Sending, State::Done, State::Uncertain];
/// The name under which a statement looks at other executions than its own.
pub(super) const OTHERS: &str = "others";

pub(in crate::journal) fn col(column: Column) -> Expr {
    Expr::col((Alias::new(OTHERS), column))
}

/// Let out since a time, and applied as far as anybody knows. What was partly applied before it
/// failed has an outcome; what is planned again after it was let out holds its place.
pub(in crate::journal) fn let_out_since(begun: DateTime<Utc>) -> Expr {
    let kept = COUNTED.into_iter().chain([State::Planned]);
    let applied = col(Column::State)
        .is_in(kept.map(State::as_str))
        .or(col(Column::Outcome).is_not_null());
    col(Column::SendingAt).gte(begun).and(applied)
}

pub(super) fn planned() -> Expr {
    col(Column::State).eq(State::Planned.as_str())
}

/// What is planned again is known not to have been added.
pub(in crate::journal) fn added_since(begun: DateTime<Utc>) -> Expr {
    col(Column::SendingAt)
        .gte(begun)
        .and(col(Column::State).is_in(COUNTED.map(State::as_str)))
}

pub(in crate::journal) fn count() -> SelectStatement {
    Query::select()
        .expr_as(Func::count(col(Column::Id)), "figure")
        .from_as(Entity, Alias::new(OTHERS))
        .to_owned()
}

pub(in crate::journal) fn sum() -> SelectStatement {
    let sum = Expr::from(Func::sum(col(Column::AddedSats)));
    let sum = Func::coalesce([sum, Expr::val(0i64)]);
    Query::select()
        .expr_as(Expr::from(sum).cast_as("bigint"), "figure")
        .from_as(Entity, Alias::new(OTHERS))
        .to_owned()
}

pub(super) fn executions(account: &str, which: Expr) -> SelectStatement {
    let of_account = col(Column::AccountId).eq(account);
    count().and_where(of_account).and_where(which).to_owned()
}

pub(super) fn added(account: &str, which: Expr) -> SelectStatement {
    let of_account = col(Column::AccountId).eq(account);
    sum().and_where(of_account).and_where(which).to_owned()
}

pub(super) fn figure(row: Option<sea_orm::QueryResult>) -> Result<i64, StoreError> {
    let figure = row.map(|row| row.try_get("", "figure")).transpose()?;
    Ok(figure.unwrap_or_default())
}
