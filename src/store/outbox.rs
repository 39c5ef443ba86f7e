//! The outbox: what is to be told to a receiver outside, written down in the transaction of what it
//! tells of. It is told from here, again and again until that succeeds or has no sense any more.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Func, OnConflict, Query};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, DatabaseExecutor, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait,
};
use serde::Serialize;

use super::entity::account;
use super::entity::notification::{ActiveModel, Column, Entity, Model};
use super::{Kind, Listed, Store, StoreError, list};
use crate::domain::ids::AccountId;
use crate::domain::notice::{Kinds, Notice, NoticeKind};

const TABLE: &str = "notifications";

/// Where a notice stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeState {
    /// To be told.
    Waiting,
    /// The receiver took it.
    Delivered,
    /// It was tried for too long, or the receiver will never take it.
    GivenUp,
}

impl NoticeState {
    const ALL: [Self; 3] = [Self::Waiting, Self::Delivered, Self::GivenUp];

    /// The name under which it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::GivenUp => "given_up",
        }
    }
}

/// A notice as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredNotice {
    /// Notices are numbered in the order of writing.
    pub seq: i64,
    /// The id that its receiver knows it by.
    pub id: String,
    /// What it tells of.
    pub kind: NoticeKind,
    /// The account that it is about, if it is about one.
    pub account: Option<AccountId>,
    /// As it is sent, to the byte.
    #[serde(skip)]
    pub body: String,
    /// Where it stands.
    pub state: NoticeState,
    /// How often it was tried.
    pub attempts: u32,
    /// What the receiver answered last, or why there was no answer.
    pub answer: Option<String>,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// When it is tried next.
    pub due_at: DateTime<Utc>,
    /// When it was delivered or given up.
    pub ended_at: Option<DateTime<Utc>>,
}

impl TryFrom<Model> for StoredNotice {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        let corrupt = |what: String| StoreError::corrupt(TABLE, &row.seq.to_string(), what);
        let kind = row.kind.parse().map_err(&corrupt)?;
        let state = NoticeState::ALL.into_iter();
        let state = state.into_iter().find(|state| state.as_str() == row.state);
        let state = state.ok_or_else(|| corrupt(format!("unknown state `{}`", row.state)))?;
        Ok(Self {
            seq: row.seq,
            id: row.event_id,
            kind,
            account: Some(row.account_id)
                .filter(|id| !id.is_empty())
                .map(AccountId::new),
            body: row.body,
            state,
            attempts: row.attempts.unsigned_abs(),
            answer: row.answer,
            created_at: row.created_at,
            due_at: row.due_at,
            ended_at: row.ended_at,
        })
    }
}

/// Writes a notice down, where its kind is told at all. Whether it was written: one of the same id
/// that stands already is left as it is.
pub(crate) async fn put(
    db: &DatabaseExecutor<'_>,
    told: Kinds,
    notice: &Notice,
) -> Result<bool, StoreError> {
    if !told.has(notice.kind) {
        return Ok(false);
    }
    let account = notice.account.as_ref();
    let row = ActiveModel {
        seq: NotSet,
        event_id: Set(notice.id.clone()),
        kind: Set(notice.kind.as_str().to_owned()),
        account_id: Set(account.map_or_else(String::new, |(id, _)| id.to_string())),
        body: Set(notice.body()),
        state: Set(NoticeState::Waiting.as_str().to_owned()),
        attempts: Set(0),
        answer: Set(None),
        created_at: Set(notice.at),
        due_at: Set(notice.at),
        ended_at: Set(None),
    };
    let mut insert = Entity::insert(row).into_query();
    insert.on_conflict(OnConflict::column(Column::EventId).do_nothing().to_owned());
    Ok(db.execute(&insert).await?.rows_affected() > 0)
}

/// The name of an account, for whoever reads a notice; its id where it is gone.
pub(crate) async fn name_of(db: &DatabaseExecutor<'_>, id: &str) -> Result<String, StoreError> {
    let query = Query::select()
        .column(account::Column::AccountName)
        .from(account::Entity)
        .and_where(Expr::col(account::Column::Id).eq(id))
        .to_owned();
    match db.query_one(&query).await? {
        Some(row) => Ok(row.try_get("", "account_name")?),
        None => Ok(id.to_owned()),
    }
}

impl Store {
    /// A handle of the same store that writes down notices of these kinds with what they tell of.
    pub fn telling(self, told: Kinds) -> Self {
        Self { told, ..self }
    }

    /// The kinds of notices that this handle writes down.
    pub fn told(&self) -> Kinds {
        self.told
    }

    /// Writes a notice down, where its kind is told at all. Whether it was written: one of the same
    /// id may stand already.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Busy`].
    pub async fn tell(&self, notice: Notice) -> Result<bool, StoreError> {
        let told = self.told;
        if !told.has(notice.kind) {
            return Ok(false);
        }
        self.write(Kind::One, move |db| {
            Box::pin(async move { put(db, told, &notice).await })
        })
        .await
    }

    /// At most `most` notices that may be tried now, in their order. Behind one of an account that
    /// may not be tried yet, its later ones wait: they arrive in the order in which they happened.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn notices_due(
        &self,
        now: DateTime<Utc>,
        most: u64,
    ) -> Result<Listed<StoredNotice>, StoreError> {
        let earlier = Alias::new("earlier");
        let of = |column: Column| Expr::col((earlier.clone(), column));
        let blocked = Query::select()
            .expr(Expr::val(1))
            .from_as(Entity, earlier.clone())
            .and_where(of(Column::State).eq(NoticeState::Waiting.as_str()))
            .and_where(of(Column::AccountId).equals((Entity, Column::AccountId)))
            .and_where(of(Column::Seq).lte(Expr::col((Entity, Column::Seq))))
            .and_where(of(Column::DueAt).gt(now))
            .to_owned();
        let query = Entity::find()
            .filter(Column::State.eq(NoticeState::Waiting.as_str()))
            .filter(Expr::exists(blocked).not())
            .order_by_asc(Column::Seq)
            .limit(most);
        self.list_notices(query).await
    }

    /// The latest notices, the latest first; of one state only, if one is given.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn notices(
        &self,
        state: Option<NoticeState>,
        most: u64,
    ) -> Result<Listed<StoredNotice>, StoreError> {
        let mut query = Entity::find().order_by_desc(Column::Seq).limit(most);
        if let Some(state) = state {
            query = query.filter(Column::State.eq(state.as_str()));
        }
        self.list_notices(query).await
    }

    /// What was last told of each account's state.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn told_of_accounts(&self) -> Result<Vec<StoredNotice>, StoreError> {
        let kinds = NoticeKind::OF_HEALTH.map(NoticeKind::as_str);
        let latest = Query::select()
            .expr(Func::max(Expr::col(Column::Seq)))
            .from(Entity)
            .and_where(Expr::col(Column::Kind).is_in(kinds))
            .group_by_col(Column::AccountId)
            .to_owned();
        let query = Entity::find().filter(Expr::col(Column::Seq).in_subquery(latest));
        Ok(self.list_notices(query).await?.rows)
    }

    async fn list_notices(
        &self,
        query: sea_orm::Select<Entity>,
    ) -> Result<Listed<StoredNotice>, StoreError> {
        self.read(async |db| {
            let query = query.build(db.get_database_backend());
            list::<Model, StoredNotice, _>(db, query, TABLE, "event_id").await
        })
        .await
    }

    /// Writes down what came of an attempt. `due_at` is when it is tried next; `None`: never.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Busy`].
    pub async fn notice_tried(
        &self,
        seq: i64,
        state: NoticeState,
        answer: String,
        due_at: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let ended = (state != NoticeState::Waiting).then_some(now);
        let mut update = Query::update();
        update
            .table(Entity)
            .value(Column::State, state.as_str())
            .value(Column::Attempts, Expr::col(Column::Attempts).add(1))
            .value(Column::Answer, answer)
            .value(Column::EndedAt, ended)
            .and_where(Expr::col(Column::Seq).eq(seq))
            .and_where(Expr::col(Column::State).eq(NoticeState::Waiting.as_str()));
        if let Some(due_at) = due_at {
            update.value(Column::DueAt, due_at);
        }
        self.write(Kind::One, move |db| {
            Box::pin(async move {
                db.execute(&update).await?;
                Ok(())
            })
        })
        .await
    }

    /// Keeps the outbox bounded: takes out the oldest that wait, beyond `most`, and what ended
    /// before `ended_before` or, of what ended, the oldest beyond `most`. Answers how many waited.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Busy`].
    pub async fn trim_outbox(
        &self,
        most: u64,
        ended_before: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        self.write(Kind::Several, move |db| {
            Box::pin(async move {
                let waits = Expr::col(Column::State).eq(NoticeState::Waiting.as_str());
                let old = Query::delete()
                    .from_table(Entity)
                    .and_where(waits.clone().not())
                    .and_where(Expr::col(Column::EndedAt).lt(ended_before))
                    .to_owned();
                db.execute(&old).await?;
                beyond(db, waits.clone().not(), most).await?;
                beyond(db, waits, most).await
            })
        })
        .await
    }
}

/// Takes out the oldest of some rows, so that the `most` latest stay.
async fn beyond(db: &DatabaseExecutor<'_>, which: Expr, most: u64) -> Result<u64, StoreError> {
    let first_kept = Query::select()
        .column(Column::Seq)
        .from(Entity)
        .and_where(which.clone())
        .order_by(Column::Seq, sea_orm::Order::Desc)
        .limit(1)
        .offset(most.saturating_sub(1))
        .to_owned();
    let Some(row) = db.query_one(&first_kept).await? else {
        return Ok(0);
    };
    let first_kept: i64 = row.try_get("", "seq")?;
    let delete = Query::delete()
        .from_table(Entity)
        .and_where(which)
        .and_where(Expr::col(Column::Seq).lt(first_kept))
        .to_owned();
    Ok(db.execute(&delete).await?.rows_affected())
}
