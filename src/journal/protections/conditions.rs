//! Daily limits as conditions of the statements that fire and let out.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, Func, Query, SelectStatement};

use super::super::{Journal, NewExecution};
use super::counted::{added, added_since, col, count, executions, let_out_since, planned, sum};
use crate::domain::execution::Action;
use crate::domain::protection::{Protections, day_begun};
use crate::domain::rules::Limits;
use crate::store::entity::execution::{Column, Entity};
use crate::store::entity::protection;

/// The conditions under which nothing is [`reached`](super::reached) that forbids an account to act, for the
/// statement that takes the arming away before its execution is written down.
pub(in crate::journal) fn room(
    journal: &Journal,
    new: &NewExecution,
    limits: Limits,
    now: DateTime<Utc>,
) -> Vec<Expr> {
    if new.action.closes() {
        return vec![];
    }
    let (account, begun) = (new.account.as_str(), day_begun(now));
    let own = Own::of(journal.protections, Expr::val(account));
    // Apart, so that neither looks through all that was ever done for the account.
    let sent_at = || col(Column::SendingAt);
    let never_today = sent_at().is_null().or(sent_at().lt(begun));
    let waits = planned().and(never_today);
    let written = value_of(executions(account, let_out_since(begun)))
        .add(value_of(executions(account, waits)));
    let mut room = vec![within(own.executions(), written.add(1i64))];
    if let Some(amount) = new.action.added()
        && !limits.falls_back
    {
        let sum =
            value_of(added(account, added_since(begun))).add(value_of(added(account, planned())));
        room.push(within(own.sats(), sum.add(amount.0)));
    }
    room
}

/// The condition under which an execution may be let out as `action`: the same as [`forbids`](super::forbids) asks,
/// for the row that a statement is about.
pub(in crate::journal) fn allow(
    configured: Protections,
    action: Action,
    now: DateTime<Utc>,
) -> Expr {
    if action.closes() {
        return Expr::val(1).eq(1);
    }
    let begun = day_begun(now);
    let its = |column: Column| Expr::col((Entity, column));
    let others = |select: &mut SelectStatement| {
        let select = select
            .and_where(col(Column::AccountId).eq(its(Column::AccountId)))
            .and_where(col(Column::Id).ne(its(Column::Id)));
        value_of(select.to_owned())
    };
    let own = Own::of(configured, its(Column::AccountId));
    let sent = others(count().and_where(let_out_since(begun)));
    // What was let out before has its place.
    let has_place = its(Column::Attempts).gt(0);
    let allowed = has_place.or(within(own.executions(), sent.add(1i64)));
    let Some(amount) = action.added() else {
        return allowed;
    };
    let added = others(sum().and_where(added_since(begun)));
    allowed.and(within(own.sats(), added.add(amount.0)))
}

/// The limits of an account, as a statement reads them: what it has of its own, or what is configured
/// for all.
struct Own {
    configured: Protections,
    account: Expr,
}

impl Own {
    fn of(configured: Protections, account: Expr) -> Self {
        Self {
            configured,
            account,
        }
    }

    fn executions(&self) -> Expr {
        let configured = self.configured.executions_per_day.map(i64::from);
        self.most(protection::Column::ExecutionsPerDay, configured)
    }

    fn sats(&self) -> Expr {
        let configured = self.configured.sats_per_day.map(|sats| sats.0);
        self.most(protection::Column::SatsPerDay, configured)
    }

    fn most(&self, column: protection::Column, configured: Option<i64>) -> Expr {
        let stored = Query::select()
            .column((protection::Entity, column))
            .from(protection::Entity)
            .and_where(
                Expr::col((protection::Entity, protection::Column::AccountId))
                    .eq(self.account.clone()),
            )
            .to_owned();
        // 0 is none, as it is stored.
        Expr::from(Func::coalesce([
            value_of(stored),
            Expr::val(configured.unwrap_or(0)),
        ]))
    }
}

fn within(most: Expr, used: Expr) -> Expr {
    most.clone().eq(0i64).or(used.lte(most))
}

fn value_of(select: SelectStatement) -> Expr {
    Expr::SubQuery(None, Box::new(select.into()))
}
