//! What may be done for accounts today, and what of it was, of many at once: for whoever looks.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, SelectStatement};
use sea_orm::{ConnectionTrait, EntityTrait, QueryFilter};
use serde::{Deserialize, Serialize};

use super::protections::{added_since, col, count, let_out_since, sum};
use super::{Journal, JournalError};
use crate::domain::ids::AccountId;
use crate::domain::protection::{OwnProtections, Protections, Today, day_begun, day_ends};
use crate::domain::units::Sats;
use crate::store::StoreError;
use crate::store::entity::execution::Column;
use crate::store::entity::protection;

/// Up to so many accounts are asked for one by one, by the index; of more all are read at once.
const ONE_BY_ONE: usize = 150;

/// What may be done for an account, and what of it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// What holds for it.
    pub holds: Protections,
    /// What of that is its own.
    pub own: OwnProtections,
    /// What was let out today (UTC) and was, may have been, or may yet be applied.
    pub today: Today,
    /// When the day ends, and the count of it begins anew.
    pub until: DateTime<Utc>,
    /// How many of its executions have failed in a row.
    pub failures: u64,
}

impl Journal {
    /// What may be done for each of these accounts, and what of it was on the day of a time.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn usage(
        &self,
        accounts: &[AccountId],
        now: DateTime<Utc>,
    ) -> Result<HashMap<AccountId, Usage>, JournalError> {
        let begun = day_begun(now);
        let named = (accounts.len() <= ONE_BY_ONE).then(|| {
            let ids = accounts.iter().map(AccountId::as_str);
            ids.map(str::to_owned).collect::<Vec<_>>()
        });
        let of_each = |mut select: SelectStatement| {
            select.column(Column::AccountId);
            if let Some(named) = &named {
                select.and_where(col(Column::AccountId).is_in(named.clone()));
            }
            select.group_by_col(Column::AccountId).to_owned()
        };
        let executions = of_each(count().and_where(let_out_since(begun)).to_owned());
        let added = of_each(sum().and_where(added_since(begun)).to_owned());
        let mut own = protection::Entity::find();
        if let Some(named) = &named {
            own = own.filter(Expr::col(protection::Column::AccountId).is_in(named.clone()));
        }
        let read = self.store.read(async |db| {
            let executions = figures(db.query_all(&executions).await?)?;
            let added = figures(db.query_all(&added).await?)?;
            Ok::<_, StoreError>((executions, added, own.all(db).await?))
        });
        let (executions, added, own) = read.await?;
        let own: HashMap<_, _> = own.iter().map(|row| (&*row.account_id, row)).collect();
        let of = |account: &AccountId| {
            let row = own.get(account.as_str());
            let own = row.map_or_else(OwnProtections::default, |row| OwnProtections::from(*row));
            let figure = |of: &HashMap<String, i64>| of.get(account.as_str()).copied();
            Usage {
                holds: own.over(self.protections),
                own,
                today: Today {
                    executions: figure(&executions).unwrap_or_default().unsigned_abs(),
                    added: Sats(figure(&added).unwrap_or_default()),
                },
                until: day_ends(now),
                failures: row.map_or(0, |row| row.failed.unsigned_abs()),
            }
        };
        Ok(accounts.iter().map(|id| (id.clone(), of(id))).collect())
    }
}

fn figures(rows: Vec<sea_orm::QueryResult>) -> Result<HashMap<String, i64>, StoreError> {
    let figure = |row: sea_orm::QueryResult| {
        Ok((row.try_get("", "account_id")?, row.try_get("", "figure")?))
    };
    rows.into_iter().map(figure).collect()
}
