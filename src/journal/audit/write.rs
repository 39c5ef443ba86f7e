//! Adding an entry at the end of the chain.

use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, DatabaseExecutor, DbBackend, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect, Statement,
};

use super::super::{Journal, JournalError};
use super::chain::{Chain, Link, Said, canonical};
use crate::domain::audit::Entry;
use crate::domain::ids::ExecutionId;
use crate::store::StoreError;
use crate::store::entity::audit::{self, Column};

/// Held until the commit, so that two processes do not follow on the same entry. SQLite has one
/// writer at a time.
const ONE_AT_A_TIME: &str = "SELECT pg_advisory_xact_lock(8462377502)";

/// What came of adding an entry; it counts once that is committed.
#[derive(Clone, Debug)]
pub(in crate::journal) struct Written {
    /// The entry.
    pub(in crate::journal) link: Link,
    /// The entry that was known to be there, and is not as it was.
    pub(in crate::journal) missing: Option<Link>,
}

/// The entry of an execution, which an earlier attempt has added, and whose answer was lost.
pub(in crate::journal) async fn standing(
    db: &DatabaseExecutor<'_>,
    execution: ExecutionId,
) -> Result<Option<Written>, JournalError> {
    let entry = audit::Entity::find()
        .select_only()
        .columns([Column::Seq, Column::Hash])
        .filter(Column::ExecutionId.eq(execution.to_string()))
        .into_tuple::<(i64, Option<String>)>();
    let written = entry.one(db).await?.and_then(|(seq, hash)| {
        let hash = hash?;
        let link = Link { seq, hash };
        Some(Written {
            link,
            missing: None,
        })
    });
    Ok(written)
}

/// Adds entries.
#[derive(Debug)]
pub(in crate::journal) struct Pen {
    chain: Chain,
    /// An entry that has been committed.
    known: Option<Link>,
}

impl Journal {
    /// # Errors
    /// [`StoreError::Vault`] without the master key.
    pub(in crate::journal) fn pen(&self) -> Result<Pen, StoreError> {
        Ok(Pen {
            chain: self.chain()?,
            known: self.witness.known(),
        })
    }
}

impl Pen {
    /// Adds an entry after the last one.
    pub(in crate::journal) async fn write(
        &self,
        db: &DatabaseExecutor<'_>,
        execution: ExecutionId,
        account_id: String,
        entry: &Entry,
    ) -> Result<Written, JournalError> {
        let backend = db.get_database_backend();
        if backend == DbBackend::Postgres {
            let lock = Statement::from_string(backend, ONE_AT_A_TIME);
            db.query_one_raw(lock).await?;
        }
        let (before, missing) = last(db, self.known.as_ref()).await?;
        let execution = execution.to_string();
        let data = canonical(&entry.data.to_string()).unwrap_or_default();
        let said = Said {
            automation: entry.automation_id.as_str(),
            execution: &execution,
            account: &account_id,
            kind: &entry.kind,
            message: &entry.message,
            data: &data,
            timestamp: &entry.timestamp,
        };
        let hash = self.chain.hash(before.as_deref(), said);
        let row = audit::ActiveModel {
            seq: NotSet,
            automation_id: Set(entry.automation_id.to_string()),
            execution_id: Set(execution),
            account_id: Set(account_id),
            kind: Set(entry.kind.clone()),
            message: Set(entry.message.clone()),
            data: Set(entry.data.clone()),
            timestamp: Set(entry.timestamp.clone()),
            prev_hash: Set(before),
            hash: Set(Some(hash.clone())),
        };
        let inserted = audit::Entity::insert(row).exec(db).await;
        let seq = inserted.map_err(StoreError::from)?.last_insert_id;
        Ok(Written {
            link: Link { seq, hash },
            missing,
        })
    }
}

/// The hash of the last entry; and the known one, where it is not there as it was.
async fn last(
    db: &DatabaseExecutor<'_>,
    known: Option<&Link>,
) -> Result<(Option<String>, Option<Link>), JournalError> {
    type Hashed = (i64, Option<String>);
    let columns = [Column::Seq, Column::Hash];
    let hashes = || audit::Entity::find().select_only().columns(columns);
    if let Some(known) = known {
        // Few: it, and what was committed since.
        let since = hashes()
            .filter(Column::Seq.gte(known.seq))
            .order_by_asc(Column::Seq);
        let since: Vec<Hashed> = since.into_tuple().all(db).await?;
        let stands = |(seq, hash): &Hashed| *seq == known.seq && hash.as_ref() == Some(&known.hash);
        if since.first().is_some_and(stands) {
            let last = since.into_iter().next_back();
            return Ok((last.and_then(|(_, hash)| hash), None));
        }
    }
    let last = hashes().order_by_desc(Column::Seq);
    let last: Option<Hashed> = last.into_tuple().one(db).await?;
    Ok((last.and_then(|(_, hash)| hash), known.cloned()))
}
