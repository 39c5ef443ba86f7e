//! How much of the outbox waits to be delivered.

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, Func, Query, SelectStatement};

use super::entity::notification::{Column, Entity};
use super::{NoticeState, Store, StoreError};
use crate::domain::ids::AccountId;

impl Store {
    /// How many notices wait.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn notices_waiting(&self) -> Result<u64, StoreError> {
        self.counted(&waiting()).await
    }

    /// How many notices of one account wait.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn notices_waiting_of(&self, account: &AccountId) -> Result<u64, StoreError> {
        let of_account = Expr::col(Column::AccountId).eq(account.as_str());
        self.counted(waiting().and_where(of_account)).await
    }

    async fn counted(&self, query: &SelectStatement) -> Result<u64, StoreError> {
        self.read(async |db| {
            let row = db.query_one(query).await?;
            let count = row.map(|row| row.try_get::<i64>("", "count")).transpose()?;
            Ok(count.unwrap_or_default().unsigned_abs())
        })
        .await
    }
}

fn waiting() -> SelectStatement {
    Query::select()
        .expr_as(Func::count(Expr::col(Column::Seq)), "count")
        .from(Entity)
        .and_where(Expr::col(Column::State).eq(NoticeState::Waiting.as_str()))
        .to_owned()
}
