//! Daily limits of an account, held against what was let out for it today. Firing looks at them, so
//! that nothing is written down that could not be sent; what decides is the statement that lets an
//! execution out, so that no two of them exceed a limit together.

mod conditions;
mod counted;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Alias, ExprTrait, SelectStatement};
use sea_orm::{ConnectionTrait, DatabaseExecutor};
use serde_json::json;

pub(super) use conditions::{allow, room};
use counted::{OTHERS, added, executions, figure, planned};
pub(super) use counted::{added_since, col, count, let_out_since, sum};

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
use crate::store::entity::execution::{Column, Model};
use crate::store::{StoreError, name_of, protections_of, put_notice};

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
