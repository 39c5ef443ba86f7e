//! Daily limits of an account, held against what was let out for it today. Firing looks at them, so
//! that nothing is written down that could not be sent; what decides is the statement that lets an
//! execution out, so that no two of them exceed a limit together.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Func, Query, SelectStatement};
use sea_orm::{ConnectionTrait, DatabaseExecutor};
use serde_json::json;

use super::fire::{FireResult, NewExecution};
use super::{Journal, JournalError};
use crate::domain::execution::{Action, State};
use crate::domain::ids::AccountId;
use crate::domain::notice::{Notice, NoticeKind};
use crate::domain::protection::{
    DailyLimit, OwnProtections, Protections, Today, day_begun, day_ends,
};
use crate::domain::rules::Limits;
use crate::domain::units::Sats;
use crate::store::entity::execution::{Column, Entity, Model};
use crate::store::entity::protection;
use crate::store::{StoreError, name_of, protections_of, put_notice};

/// What was let out and was, may have been, or may yet be applied.
const COUNTED: [State; 3] = [State::Sending, State::Done, State::Uncertain];
/// The name under which a statement looks at other executions than its own.
const OTHERS: &str = "others";

impl Journal {
    /// The same journal, which lets out no more than these allow, where an account has no limits of
    /// its own.
    #[must_use]
    pub fn protecting(self, protections: Protections) -> Self {
        Self {
            protections,
            ..self
        }
    }

    /// What holds for an account.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn protections(&self, account: &AccountId) -> Result<Protections, JournalError> {
        let own = self.store.protections(account).await?;
        Ok(own.over(self.protections))
    }

    /// What was let out for an account on the day of a time, and was, may have been, or may yet be
    /// applied.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn today(
        &self,
        account: &AccountId,
        now: DateTime<Utc>,
    ) -> Result<Today, JournalError> {
        let read = self.store.read(async |db| {
            let executions = executions(account.as_str(), let_out_since(day_begun(now)));
            let added = added(account.as_str(), added_since(day_begun(now)));
            let executions = db.query_one(&executions).await?;
            let added = db.query_one(&added).await?;
            Ok::<_, StoreError>(Today {
                executions: figure(executions)?.unsigned_abs(),
                added: Sats(figure(added)?),
            })
        });
        Ok(read.await?)
    }
}

/// What a daily limit counts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Use {
    /// Executions.
    Executions,
    /// Satoshis added to margin.
    Added,
}

impl Journal {
    /// What was let out for each account on the day of a time, and what is planned for it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(super) async fn used_today(
        &self,
        of: Use,
        now: DateTime<Utc>,
    ) -> Result<Vec<(AccountId, i64)>, JournalError> {
        let begun = day_begun(now);
        let waits = col(Column::State).eq(State::Planned.as_str());
        let mut query = match of {
            Use::Executions => count().and_where(let_out_since(begun).or(waits)).to_owned(),
            Use::Added => sum().and_where(added_since(begun).or(waits)).to_owned(),
        };
        let account = (Alias::new(OTHERS), Column::AccountId);
        query.column(account.clone()).group_by_col(account);
        let read = self.store.read(async |db| {
            let rows = db.query_all(&query).await?;
            let row = |row: sea_orm::QueryResult| {
                let account: String = row.try_get("", "account_id")?;
                Ok((AccountId::new(account), row.try_get("", "figure")?))
            };
            rows.into_iter()
                .map(row)
                .collect::<Result<_, sea_orm::DbErr>>()
                .map_err(StoreError::from)
        });
        Ok(read.await?)
    }
}

/// What forbids the account to act once more, if anything does; that is told outside once a day.
pub(super) async fn reached(
    db: &DatabaseExecutor<'_>,
    journal: &Journal,
    new: &NewExecution,
    limits: Limits,
    now: DateTime<Utc>,
) -> Result<Option<FireResult>, StoreError> {
    if new.action.closes() {
        return Ok(None);
    }
    let account = new.account.as_str();
    let protections = of(db, journal.protections, account).await?;
    let begun = day_begun(now);
    // What is written down and was never let out takes its place too: not more is written down than
    // can be let out.
    let executions = executions(account, let_out_since(begun).or(planned()));
    let added = added(account, added_since(begun).or(planned()));
    let found = forbidden(db, protections, new.action, &executions, &added).await?;
    let Some((limit, today)) = found else {
        return Ok(None);
    };
    // Where no margin may be added, the rule says what is done instead.
    if limit == DailyLimit::DailySats && limits.falls_back {
        return Ok(None);
    }
    let until = day_ends(now);
    let told = journal.store.told();
    if told.has(NoticeKind::LimitReached) {
        let notice = Notice {
            kind: NoticeKind::LimitReached,
            id: format!(
                "{}:{account}:{limit}:{}",
                NoticeKind::LimitReached,
                begun.date_naive()
            ),
            account: Some((new.account.clone(), name_of(db, account).await?)),
            at: now,
            data: json!({
                "limit": limit, "protections": protections, "today": today, "until": until,
                "automationId": new.automation, "positionId": new.position,
                "action": new.action,
            }),
        };
        put_notice(db, told, &notice).await?;
    }
    Ok(Some(FireResult::ProtectionReached { limit, until }))
}

/// The limit that forbids to let an execution out as `action`, if one does.
pub(super) async fn forbids(
    db: &DatabaseExecutor<'_>,
    configured: Protections,
    row: &Model,
    action: Action,
    now: DateTime<Utc>,
) -> Result<Option<DailyLimit>, StoreError> {
    let account = row.account_id.as_str();
    let mut protections = of(db, configured, account).await?;
    if row.attempts > 0 {
        protections.executions_per_day = None;
    }
    let not_itself = col(Column::Id).ne(row.id.as_str());
    let begun = day_begun(now);
    let executions = executions(account, let_out_since(begun).and(not_itself.clone()));
    let added = added(account, added_since(begun).and(not_itself));
    let found = forbidden(db, protections, action, &executions, &added).await?;
    Ok(found.map(|(limit, _)| limit))
}

/// The conditions under which nothing is [`reached`] that forbids an account to act, for the
/// statement that takes the arming away before its execution is written down.
pub(super) fn room(
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

/// The condition under which an execution may be let out as `action`: the same as [`forbids`] asks,
/// for the row that a statement is about.
pub(super) fn allow(configured: Protections, action: Action, now: DateTime<Utc>) -> Expr {
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

async fn of(
    db: &DatabaseExecutor<'_>,
    configured: Protections,
    account: &str,
) -> Result<Protections, StoreError> {
    let own = protections_of(db, account).await?;
    let own = own.as_ref().map(OwnProtections::from).unwrap_or_default();
    Ok(own.over(configured))
}

async fn forbidden(
    db: &DatabaseExecutor<'_>,
    protections: Protections,
    action: Action,
    executions: &SelectStatement,
    added: &SelectStatement,
) -> Result<Option<(DailyLimit, Today)>, StoreError> {
    let mut today = Today::default();
    if action.closes() {
        return Ok(None);
    }
    if protections.executions_per_day.is_some() {
        today.executions = figure(db.query_one(executions).await?)?.unsigned_abs();
    }
    if protections.sats_per_day.is_some() && action.added().is_some() {
        today.added = Sats(figure(db.query_one(added).await?)?);
    }
    Ok(protections
        .forbids(today, action)
        .map(|limit| (limit, today)))
}

pub(super) fn col(column: Column) -> Expr {
    Expr::col((Alias::new(OTHERS), column))
}

/// Let out since a time, and applied as far as anybody knows. What was partly applied before it
/// failed has an outcome; what is planned again after it was let out holds its place.
pub(super) fn let_out_since(begun: DateTime<Utc>) -> Expr {
    let kept = COUNTED.into_iter().chain([State::Planned]);
    let applied = col(Column::State)
        .is_in(kept.map(State::as_str))
        .or(col(Column::Outcome).is_not_null());
    col(Column::SendingAt).gte(begun).and(applied)
}

fn planned() -> Expr {
    col(Column::State).eq(State::Planned.as_str())
}

/// What is planned again is known not to have been added.
pub(super) fn added_since(begun: DateTime<Utc>) -> Expr {
    col(Column::SendingAt)
        .gte(begun)
        .and(col(Column::State).is_in(COUNTED.map(State::as_str)))
}

pub(super) fn count() -> SelectStatement {
    Query::select()
        .expr_as(Func::count(col(Column::Id)), "figure")
        .from_as(Entity, Alias::new(OTHERS))
        .to_owned()
}

pub(super) fn sum() -> SelectStatement {
    let sum = Expr::from(Func::sum(col(Column::AddedSats)));
    let sum = Func::coalesce([sum, Expr::val(0i64)]);
    Query::select()
        .expr_as(Expr::from(sum).cast_as("bigint"), "figure")
        .from_as(Entity, Alias::new(OTHERS))
        .to_owned()
}

fn executions(account: &str, which: Expr) -> SelectStatement {
    let of_account = col(Column::AccountId).eq(account);
    count().and_where(of_account).and_where(which).to_owned()
}

fn added(account: &str, which: Expr) -> SelectStatement {
    let of_account = col(Column::AccountId).eq(account);
    sum().and_where(of_account).and_where(which).to_owned()
}

fn value_of(select: SelectStatement) -> Expr {
    Expr::SubQuery(None, Box::new(select.into()))
}

fn figure(row: Option<sea_orm::QueryResult>) -> Result<i64, StoreError> {
    let figure = row.map(|row| row.try_get("", "figure")).transpose()?;
    Ok(figure.unwrap_or_default())
}
