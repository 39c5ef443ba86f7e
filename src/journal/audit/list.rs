//! The latest entries, for people.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use serde::Serialize;

use super::super::execution::Columns;
use super::super::queries::LIST_LIMIT;
use super::super::{Journal, JournalError};
use super::rows::TABLE;
use crate::domain::audit::Entry;
use crate::domain::ids::{AccountId, AutomationId, ExecutionId};
use crate::store::entity::audit;
use crate::store::{Listed, StoreError, list};

/// Which audit entries to list.
#[derive(Clone, Debug)]
pub struct AuditFilter {
    /// Of this account only.
    pub account: Option<AccountId>,
    /// Of this automation only.
    pub automation: Option<AutomationId>,
    /// At most so many, the latest.
    pub limit: u64,
}

impl Default for AuditFilter {
    fn default() -> Self {
        Self {
            account: None,
            automation: None,
            limit: LIST_LIMIT,
        }
    }
}

/// A stored audit entry.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AuditRow {
    /// Its number: entries are numbered in the order of writing.
    pub seq: i64,
    /// The execution that it tells of.
    #[serde(rename = "executionId")]
    pub execution: ExecutionId,
    /// The account.
    #[serde(rename = "accountId")]
    pub account: AccountId,
    /// The entry.
    #[serde(flatten)]
    pub entry: Entry,
}

impl TryFrom<audit::Model> for AuditRow {
    type Error = StoreError;

    fn try_from(row: audit::Model) -> Result<Self, StoreError> {
        let columns = Columns {
            table: TABLE,
            id: &row.seq.to_string(),
        };
        Ok(Self {
            seq: row.seq,
            execution: columns.parse("execution_id", &row.execution_id)?,
            account: AccountId::new(row.account_id),
            entry: Entry {
                automation_id: AutomationId::new(row.automation_id),
                kind: row.kind,
                message: row.message,
                data: row.data,
                timestamp: row.timestamp,
            },
        })
    }
}

impl Journal {
    /// The latest audit entries that a filter lets through, the latest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn audit_entries(
        &self,
        filter: &AuditFilter,
    ) -> Result<Listed<AuditRow>, JournalError> {
        use audit::Column;
        let mut query = audit::Entity::find()
            .order_by_desc(Column::Seq)
            .limit(filter.limit);
        if let Some(account) = &filter.account {
            query = query.filter(Column::AccountId.eq(account.as_str()));
        }
        if let Some(automation) = &filter.automation {
            query = query.filter(Column::AutomationId.eq(automation.as_str()));
        }
        self.store
            .read(async |db| {
                let query = query.build(db.get_database_backend());
                let listed =
                    list::<audit::Model, AuditRow, _>(db, query, TABLE, "execution_id").await;
                listed.map_err(JournalError::from)
            })
            .await
    }
}
