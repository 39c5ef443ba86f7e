//! Pauses of accounts. One that stands holds back from the moment it is written, in every process
//! that uses this store: nothing fires and nothing is let out for a paused account. Its connection
//! and its health go on.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement, UpdateStatement};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseExecutor, EntityTrait, QueryFilter};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::entity::account::{Column, Entity, Model};
use super::{Acting, Kind, Store, StoreError, forget_failures, name_of, put_notice};
use crate::domain::ids::AccountId;
use crate::domain::notice::{Kinds, Notice, NoticeKind};
use crate::domain::text;

/// A pause that stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pause {
    /// Since when.
    pub since: DateTime<Utc>,
    /// Why, in words.
    pub reason: Option<String>,
    /// Who did it: `operator`, or what of the service did.
    pub by: String,
}

impl Pause {
    pub(super) fn stored(row: &Model) -> Option<Self> {
        Some(Self {
            since: row.paused_since?,
            reason: row.paused_reason.clone(),
            by: row.paused_by.clone().unwrap_or_default(),
        })
    }
}

impl Store {
    /// All pauses that stand, by account.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn pauses(&self) -> Result<Vec<(AccountId, Pause)>, StoreError> {
        let paused = Entity::find().filter(Column::PausedSince.is_not_null());
        let rows = self.read(async |db| Ok::<_, StoreError>(paused.all(db).await?));
        let rows = rows.await?.into_iter();
        Ok(rows
            .filter_map(|row| Some((AccountId::new(&row.id), Pause::stored(&row)?)))
            .collect())
    }

    /// Pauses an account, durably. One that is paused already keeps its first reason. Answers
    /// whether it was this that paused it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`], [`StoreError::Busy`].
    pub async fn pause_account(
        &self,
        id: &AccountId,
        reason: Option<String>,
        by: &str,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let reason = text::reason(reason);
        let data = json!({ "reason": reason, "by": by });
        let update = pause(id, reason, by, now);
        let tells = (NoticeKind::AccountPaused, data);
        self.turn(id, update, tells, now).await
    }

    /// Lets a paused account go on; its failures in a row are counted anew. Answers whether it was
    /// paused.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`], [`StoreError::Busy`].
    pub async fn resume_account(
        &self,
        id: &AccountId,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let resume = Query::update()
            .table(Entity)
            .value(Column::PausedSince, None::<DateTime<Utc>>)
            .value(Column::PausedReason, None::<String>)
            .value(Column::PausedBy, None::<String>)
            .value(Column::UpdatedAt, now)
            .and_where(Expr::col(Column::Id).eq(id.as_str()))
            .and_where(Expr::col(Column::PausedSince).is_not_null())
            .to_owned();
        let tells = (NoticeKind::AccountResumed, json!({}));
        self.turn(id, resume, tells, now).await
    }

    async fn turn(
        &self,
        id: &AccountId,
        update: UpdateStatement,
        (kind, data): (NoticeKind, Value),
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let (id, told) = (id.clone(), self.told());
        self.write_first(Kind::Several, move |db| {
            Box::pin(async move {
                if db.execute(&update).await?.rows_affected() > 0 {
                    if kind == NoticeKind::AccountResumed {
                        forget_failures(db, id.as_str()).await?;
                    }
                    tell_of(db, told, kind, &id, now, data).await?;
                    return Ok(true);
                }
                match db.query_one(&exists(&id)).await? {
                    Some(_) => Ok(false),
                    None => Err(StoreError::no_account(id.as_str())),
                }
            })
        })
        .await
    }
}

/// Pauses an account unless it is paused: one row, or none. For transactions that write more.
pub(crate) fn pause(
    id: &AccountId,
    reason: Option<String>,
    by: &str,
    now: DateTime<Utc>,
) -> UpdateStatement {
    Query::update()
        .table(Entity)
        .value(Column::PausedSince, now)
        .value(Column::PausedReason, reason)
        .value(Column::PausedBy, by)
        .value(Column::UpdatedAt, now)
        .and_where(Expr::col(Column::Id).eq(id.as_str()))
        .and_where(Expr::col(Column::PausedSince).is_null())
        .to_owned()
}

/// Finds the pause that holds back what would act.
pub(crate) fn paused(what: &Acting) -> SelectStatement {
    Query::select()
        .expr(Expr::val(1))
        .from(Entity)
        .and_where(Expr::col((Entity, Column::Id)).eq(what.account.clone()))
        .and_where(Expr::col((Entity, Column::PausedSince)).is_not_null())
        .to_owned()
}

/// Writes down that an account was paused or goes on, where that is told.
pub(crate) async fn tell_of(
    db: &DatabaseExecutor<'_>,
    told: Kinds,
    kind: NoticeKind,
    id: &AccountId,
    now: DateTime<Utc>,
    data: Value,
) -> Result<(), StoreError> {
    if !told.has(kind) {
        return Ok(());
    }
    let notice = Notice {
        kind,
        id: format!("{kind}:{id}:{}", now.timestamp_millis()),
        account: Some((id.clone(), name_of(db, id.as_str()).await?)),
        at: now,
        data,
    };
    put_notice(db, told, &notice).await.map(drop)
}

fn exists(id: &AccountId) -> SelectStatement {
    Query::select()
        .expr(Expr::val(1))
        .from(Entity)
        .and_where(Expr::col(Column::Id).eq(id.as_str()))
        .to_owned()
}
