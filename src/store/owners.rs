//! Ownership: which process trades. Its epoch only ever grows; what a process of an earlier epoch
//! still wants to send is refused in the statement that would have let it.
//!
//! In a file, whoever holds the data folder claims. On a server, where nobody can hold a folder for
//! all, a claim is a lease that ends by the server's own clock unless it is renewed.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query};
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement};
use serde::{Deserialize, Serialize};

use super::entity::owner;
use super::{Kind, Store, StoreError};

/// The name under which the right to trade is claimed.
pub(crate) const TRADING: &str = "trading";

/// The number of a claim of ownership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
    /// How long its lease still lasts; `None` where it has none, or it has ended.
    pub expires_in: Option<Duration>,
    #[serde(skip)]
    instance: String,
}

/// Who claims a lease.
#[derive(Clone, Copy, Debug)]
pub struct Claimant<'a> {
    /// In its own words, see [`describe_holder`](super::folder::describe_holder).
    pub holder: &'a str,
    /// What only it can be, see [`DataFolder::instance`](super::folder::DataFolder::instance): an
    /// earlier owner of the same is dead.
    pub instance: &'a str,
}

/// What a claim of a lease came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// It is ours, under this number.
    Taken(Epoch),
    /// It is somebody else's.
    Held(Owner),
}

/// By the clock of PostgreSQL alone: those of machines differ.
const CLAIM_LEASE: &str = "\
    INSERT INTO owners (name, holder, epoch, claimed_at, instance, expires_at) \
    VALUES ($1, $2, 1, clock_timestamp(), $3, clock_timestamp() + $4 * interval '1 millisecond') \
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, epoch = owners.epoch + 1, \
    claimed_at = excluded.claimed_at, instance = excluded.instance, \
    expires_at = excluded.expires_at \
    WHERE owners.expires_at IS NULL OR owners.expires_at <= clock_timestamp() \
    OR owners.instance = excluded.instance \
    RETURNING epoch";
const RENEW: &str = "\
    UPDATE owners SET expires_at = clock_timestamp() + $3 * interval '1 millisecond' \
    WHERE name = $1 AND epoch = $2";
const RELEASE: &str = "UPDATE owners SET expires_at = NULL WHERE name = $1 AND epoch = $2";
const OWNER_ON_A_SERVER: &str = "\
    SELECT holder, epoch, claimed_at, instance, \
    (EXTRACT(EPOCH FROM expires_at - clock_timestamp()) * 1000)::bigint AS expires_in_ms \
    FROM owners WHERE name = $1";
const OWNER_IN_A_FILE: &str = "\
    SELECT holder, epoch, claimed_at, instance, NULL AS expires_in_ms FROM owners WHERE name = $1";

#[derive(FromQueryResult)]
struct Row {
    holder: String,
    epoch: i64,
    claimed_at: DateTime<Utc>,
    instance: String,
    expires_in_ms: Option<i64>,
}

impl From<Row> for Owner {
    fn from(row: Row) -> Self {
        let left = row.expires_in_ms.and_then(|left| u64::try_from(left).ok());
        Self {
            holder: row.holder,
            epoch: Epoch(row.epoch),
            claimed_at: row.claimed_at,
            expires_in: left.filter(|left| *left > 0).map(Duration::from_millis),
            instance: row.instance,
        }
    }
}

impl Store {
    /// Takes the right to trade from whoever had it, under a new epoch. Only for whoever holds the
    /// data folder of a store that is not shared.
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

    /// Takes the right to trade for `expire`, under a new epoch, if nobody else has it. Only on a
    /// shared store.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Busy`].
    pub async fn claim_lease(
        &self,
        claimant: Claimant<'_>,
        expire: Duration,
    ) -> Result<Claim, StoreError> {
        let claim = on_server(
            CLAIM_LEASE,
            [
                TRADING.into(),
                claimant.holder.into(),
                claimant.instance.into(),
                milliseconds(expire).into(),
            ],
        );
        let taken = self.write(Kind::One, move |db| {
            Box::pin(async move {
                let rows = db.query_all_raw(claim).await?;
                let epoch = rows.first().map(|row| row.try_get("", "epoch"));
                Ok::<_, StoreError>(epoch.transpose()?.map(Epoch))
            })
        });
        match taken.await? {
            Some(epoch) => Ok(Claim::Taken(epoch)),
            None => match self.owner().await? {
                Some(owner) => Ok(Claim::Held(owner)),
                None => Err(StoreError::unavailable("the claim changed; claim again")),
            },
        }
    }

    /// Who else has a lease that lasts; `None` also where there are no tables yet.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn leaseholder(&self, claimant: Claimant<'_>) -> Result<Option<Owner>, StoreError> {
        match self.owner().await {
            Ok(owner) => Ok(owner
                .filter(|owner| owner.expires_in.is_some() && owner.instance != claimant.instance)),
            Err(StoreError::NotMigrated(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lets a lease last for `expire` from now; says whether it is still ours.
    pub(super) async fn renew_lease(
        &self,
        epoch: Epoch,
        expire: Duration,
    ) -> Result<bool, StoreError> {
        let values = [TRADING.into(), epoch.0.into(), milliseconds(expire).into()];
        self.step_lease(on_server(RENEW, values)).await
    }

    /// Gives a lease back, so that nobody must wait for its end.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Busy`].
    pub async fn release_lease(&self, epoch: Epoch) -> Result<(), StoreError> {
        let released = on_server(RELEASE, [TRADING.into(), epoch.0.into()]);
        self.step_lease(released).await.map(|_| ())
    }

    async fn step_lease(&self, step: Statement) -> Result<bool, StoreError> {
        self.write_first(Kind::One, move |db| {
            Box::pin(async move { Ok(db.execute_raw(step).await?.rows_affected() > 0) })
        })
        .await
    }

    /// Who has the right to trade; `None` if nobody ever claimed it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn owner(&self) -> Result<Option<Owner>, StoreError> {
        let found = self.read(async |db| {
            let backend = db.get_database_backend();
            let sql = match backend {
                DbBackend::Postgres => OWNER_ON_A_SERVER,
                _ => OWNER_IN_A_FILE,
            };
            let query = Statement::from_sql_and_values(backend, sql, [TRADING.into()]);
            let row = db.query_one_raw(query).await?;
            let row = row.map(|row| Row::from_query_result(&row, ""));
            Ok::<_, StoreError>(row.transpose()?)
        });
        Ok(found.await?.map(Owner::from))
    }
}

fn on_server<const N: usize>(sql: &str, values: [sea_orm::Value; N]) -> Statement {
    Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
