//! Rows become domain types one by one: one that cannot be read is told, and harms no other.

use sea_orm::{ConnectionTrait, FromQueryResult, Statement};

use super::error::StoreError;

/// What a list found: the rows that can be read, and why the others cannot.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed<T> {
    /// The rows, in the order asked for.
    pub rows: Vec<T>,
    /// One [`StoreError::Corrupt`] for each row that cannot be read.
    pub unreadable: Vec<StoreError>,
}

/// Queries rows of `table` and turns each into a `T`; `id` names the column that names a row.
pub(crate) async fn list<M, T, C>(
    db: &C,
    query: Statement,
    table: &'static str,
    id: &str,
) -> Result<Listed<T>, StoreError>
where
    M: FromQueryResult,
    T: TryFrom<M, Error = StoreError>,
    C: ConnectionTrait,
{
    let mut listed = Listed {
        rows: vec![],
        unreadable: vec![],
    };
    for row in db.query_all_raw(query).await? {
        let read = M::from_query_result(&row, "").map_err(|error| {
            let id = row.try_get::<String>("", id).unwrap_or_default();
            StoreError::corrupt(table, &id, error)
        });
        match read.and_then(T::try_from) {
            Ok(row) => listed.rows.push(row),
            Err(error) => listed.unreadable.push(error),
        }
    }
    Ok(listed)
}

impl<T> Listed<T> {
    /// The first row; the error of the first that cannot be read where none can; `None` where
    /// there is none at all.
    pub(crate) fn first(self) -> Result<Option<T>, StoreError> {
        match self.rows.into_iter().next() {
            Some(row) => Ok(Some(row)),
            None => self.unreadable.into_iter().next().map_or(Ok(None), Err),
        }
    }
}
