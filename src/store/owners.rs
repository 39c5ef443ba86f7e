//! Ownership: which process trades. Its epoch only ever grows; what a process of an earlier epoch
//! still wants to send is refused in the statement that would have let it.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use serde::Serialize;

use super::entity::owner;
use super::{Kind, Store, StoreError};

/// The name under which the right to trade is claimed.
pub(crate) const TRADING: &str = "trading";

/// The number of a claim of ownership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Epoch(pub i64);

impl Epoch {
    /// Of a process that has claimed nothing and may send nothing: the command line's.
    pub const NONE: Self = Self(0);
}

/// Who owns the right to trade.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Owner {
    /// In its own words, see [`describe_holder`](super::folder::describe_holder).
    pub holder: String,
    /// The number of its claim.
    pub epoch: Epoch,
    /// When it claimed.
    pub claimed_at: DateTime<Utc>,
}

impl Store {
    /// Takes the right to trade from whoever had it, under a new epoch.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Busy`].
    pub async fn claim_ownership(
        &self,
        holder: &str,
        now: DateTime<Utc>,
    ) -> Result<Epoch, StoreError> {
        use owner::Column;
        let raised = OnConflict::column(Column::Name)
            .update_columns([Column::Holder, Column::ClaimedAt])
            .value(
                Column::Epoch,
                Expr::col((owner::Entity, Column::Epoch)).add(1),
            )
            .to_owned();
        let claim = Query::insert()
            .into_table(owner::Entity)
            .columns([
                Column::Name,
                Column::Holder,
                Column::Epoch,
                Column::ClaimedAt,
            ])
            .values([TRADING.into(), holder.into(), 1i64.into(), now.into()])
            .map_err(|error| StoreError::unavailable(error.to_string()))?
            .on_conflict(raised)
            .returning(Query::returning().column(Column::Epoch))
            .to_owned();
        self.write(Kind::One, move |db| {
            Box::pin(async move {
                // All rows: a statement that returns is durable only when it has run to its end.
                let rows = db.query_all(&claim).await?;
                let row = rows.first().ok_or_else(|| {
                    StoreError::unavailable("the claim was not written; claim again")
                })?;
                Ok(Epoch(row.try_get("", "epoch")?))
            })
        })
        .await
    }

    /// Who has the right to trade; `None` if nobody ever claimed it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn owner(&self) -> Result<Option<Owner>, StoreError> {
        let found = self.read(async |db| {
            let by_name = owner::Entity::find().filter(owner::Column::Name.eq(TRADING));
            Ok::<_, StoreError>(by_name.one(db).await?)
        });
        Ok(found.await?.map(|row| Owner {
            holder: row.holder,
            epoch: Epoch(row.epoch),
            claimed_at: row.claimed_at,
        }))
    }
}
