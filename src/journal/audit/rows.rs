//! Entries as they stand in the table, oldest first, a page at a time: also those that cannot be read
//! as what they should be.

use sea_orm::sea_query::{Alias, Expr, ExprTrait, Order, Query};
use sea_orm::{ConnectionTrait, FromQueryResult};
use serde::Serialize;
use serde_json::Value;

use super::super::{Journal, JournalError};
use super::chain::Said;
use crate::store::StoreError;
use crate::store::entity::audit::{Column, Entity};

pub(super) const TABLE: &str = "automation_logs";
/// How many are read at once.
const PAGE: u64 = 500;

/// An entry as it stands, with what binds it to the one before.
#[derive(Clone, Debug, PartialEq, Serialize, FromQueryResult)]
#[serde(rename_all = "camelCase")]
pub struct Exported {
    /// Its number.
    pub seq: i64,
    /// The automation.
    pub automation_id: String,
    /// The execution.
    pub execution_id: String,
    /// The account.
    pub account_id: String,
    /// The kind of entry.
    #[serde(rename = "type")]
    pub kind: String,
    /// One sentence.
    pub message: String,
    /// The particulars; a text where they are no JSON.
    #[serde(serialize_with = "as_json")]
    pub data: String,
    /// When, ISO 8601.
    pub timestamp: String,
    /// The hash of the entry before it.
    pub prev_hash: Option<String>,
    /// Its own.
    pub hash: Option<String>,
}

fn as_json<S: serde::Serializer>(data: &str, to: S) -> Result<S::Ok, S::Error> {
    match serde_json::from_str::<Value>(data) {
        Ok(value) => value.serialize(to),
        Err(_) => data.serialize(to),
    }
}

impl Exported {
    pub(super) fn said<'a>(&'a self, data: &'a str) -> Said<'a> {
        Said {
            automation: &self.automation_id,
            execution: &self.execution_id,
            account: &self.account_id,
            kind: &self.kind,
            message: &self.message,
            data,
            timestamp: &self.timestamp,
        }
    }
}

impl Journal {
    /// The entries after number `after`, oldest first, some hundreds of them; none at the end.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`] for what is no text.
    pub async fn audit_page(&self, after: i64) -> Result<Vec<Exported>, JournalError> {
        let text = |column: Column| Expr::col(column).cast_as(Alias::new("text"));
        let query = Query::select()
            .columns([
                Column::Seq,
                Column::AutomationId,
                Column::ExecutionId,
                Column::AccountId,
                Column::Message,
                Column::Timestamp,
                Column::PrevHash,
                Column::Hash,
            ])
            .expr_as(Expr::col(Column::Kind), "kind")
            // As it is written, whatever it holds.
            .expr_as(text(Column::Data), "data")
            .from(Entity)
            .and_where(Expr::col(Column::Seq).gt(after))
            .order_by(Column::Seq, Order::Asc)
            .limit(PAGE)
            .to_owned();
        self.store
            .read(async |db| {
                let mut rows = vec![];
                for row in db.query_all(&query).await? {
                    let read = Exported::from_query_result(&row, "");
                    rows.push(read.map_err(|error| {
                        let seq = row.try_get::<i64>("", "seq").unwrap_or_default();
                        StoreError::corrupt(TABLE, &seq.to_string(), error)
                    })?);
                }
                Ok(rows)
            })
            .await
    }
}
