//! Finding executions again.

use sea_orm::sea_query::{Expr, Func, Query};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
};

use super::execution::{Execution, TABLE};
use super::{Journal, JournalError};
use crate::domain::execution::State;
use crate::domain::ids::{AccountId, AutomationId, ExecutionId};
use crate::store::entity::execution;
use crate::store::{Listed, StoreError, list};

/// How many rows a list holds unless it says otherwise.
pub const LIST_LIMIT: u64 = 100;

/// Which executions to list.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Of this account only.
    pub account: Option<AccountId>,
    /// Of this automation only.
    pub automation: Option<AutomationId>,
    /// In this state only.
    pub state: Option<State>,
    /// At most so many, the latest.
    pub limit: u64,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            account: None,
            automation: None,
            state: None,
            limit: LIST_LIMIT,
        }
    }
}

/// How many executions are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([u64; State::ALL.len()]);

impl Counts {
    /// How many are in a state.
    pub fn of(&self, state: State) -> u64 {
        self.iter()
            .find(|(counted, _)| *counted == state)
            .map_or(0, |(_, count)| count)
    }

    /// Each state with its count.
    pub fn iter(&self) -> impl Iterator<Item = (State, u64)> + '_ {
        State::ALL.into_iter().zip(self.0)
    }
}

impl Journal {
    /// All executions that are planned or sending, oldest first. What cannot be read is told beside
    /// them: it must not keep the others from being recovered.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn unfinished(&self) -> Result<Listed<Execution>, JournalError> {
        use execution::Column;
        let open = State::ALL.into_iter().filter(|state| !state.is_final());
        let query = execution::Entity::find()
            .filter(Column::State.is_in(open.map(State::as_str)))
            .order_by_asc(Column::CreatedAt)
            .order_by_asc(Column::Id);
        let mut listed = self.list_executions(query).await?;
        if let Some(intents) = &self.intents {
            let rows = std::mem::take(&mut listed.rows);
            let current = rows.into_iter().map(|row| intents.current(row));
            listed.rows = current.filter(|row| !row.state.is_final()).collect();
        }
        Ok(listed)
    }

    /// One execution.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Corrupt`], [`StoreError::Unavailable`].
    pub async fn execution(&self, id: ExecutionId) -> Result<Execution, JournalError> {
        if let Some(row) = self.intents.as_ref().and_then(|kept| kept.in_file(id)) {
            return Ok(row);
        }
        let query = execution::Entity::find_by_id(id.to_string());
        let first = self.list_executions(query).await?.first()?;
        first.ok_or_else(|| StoreError::no_execution(id).into())
    }

    /// The latest executions that a filter lets through, the latest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn executions(&self, filter: &Filter) -> Result<Listed<Execution>, JournalError> {
        use execution::Column;
        let mut query = execution::Entity::find()
            .order_by_desc(Column::CreatedAt)
            .order_by_desc(Column::Id)
            .limit(filter.limit);
        if let Some(account) = &filter.account {
            query = query.filter(Column::AccountId.eq(account.as_str()));
        }
        if let Some(automation) = &filter.automation {
            query = query.filter(Column::AutomationId.eq(automation.as_str()));
        }
        if let Some(state) = filter.state {
            query = query.filter(Column::State.eq(state.as_str()));
        }
        self.list_executions(query).await
    }

    pub(super) async fn list_executions(
        &self,
        query: sea_orm::Select<execution::Entity>,
    ) -> Result<Listed<Execution>, JournalError> {
        self.store
            .read(async |db| {
                let query = query.build(db.get_database_backend());
                let listed = list::<execution::Model, Execution, _>(db, query, TABLE, "id").await;
                listed.map_err(JournalError::from)
            })
            .await
    }

    /// How many executions are in each state.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn counts(&self) -> Result<Counts, JournalError> {
        use execution::Column;
        let query = Query::select()
            .column(Column::State)
            .expr_as(Func::count(Expr::col(Column::Id)), "count")
            .from(execution::Entity)
            .group_by_col(Column::State)
            .to_owned();
        self.store
            .read(async |db| {
                let mut counts = Counts::default();
                for row in db.query_all(&query).await? {
                    let (name, count): (String, i64) =
                        (row.try_get("", "state")?, row.try_get("", "count")?);
                    let states = State::ALL.into_iter().zip(&mut counts.0);
                    for (_, slot) in states.filter(|(state, _)| state.as_str() == name) {
                        *slot = count.unsigned_abs();
                    }
                }
                Ok(counts)
            })
            .await
    }
}
