//! Attempts to open sockets. Each is written down before it is made, so that a process which is
//! killed at any moment leaves no attempt behind that its successor does not count; at worst one is
//! counted that was not made.

use std::net::IpAddr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};
use serde::{Deserialize, Serialize};

use super::entity::socket_attempt::{Column, Entity, Model};
use super::{Kind, Store, StoreError};

/// An attempt to open a socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketAttempt {
    /// Where to: host and port.
    pub host: String,
    /// From which address of this machine; `None` where the system chooses.
    pub egress: Option<IpAddr>,
    /// Whether it authenticates.
    pub login: bool,
    /// When.
    pub made_at: DateTime<Utc>,
}

impl Store {
    /// Writes an attempt down; those of more than `kept` ago are forgotten.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Busy`]: then it may stand or not, and is not to be
    /// made.
    pub async fn note_socket_attempt(
        &self,
        attempt: SocketAttempt,
        kept: Duration,
    ) -> Result<(), StoreError> {
        let SocketAttempt {
            host,
            egress,
            login,
            made_at,
        } = attempt;
        let row = Model {
            id: uuid::Uuid::now_v7().to_string(),
            host,
            egress: egress.map(|ip| ip.to_string()).unwrap_or_default(),
            login,
            made_at,
        };
        let before = made_at - kept;
        self.write(Kind::Several, move |db| {
            Box::pin(async move {
                let old = Entity::delete_many().filter(Column::MadeAt.lt(before));
                old.exec(db).await?;
                row.into_active_model().insert(db).await?;
                Ok(())
            })
        })
        .await
    }

    /// All attempts that are not forgotten, to whatever host.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn socket_attempts(&self) -> Result<Vec<SocketAttempt>, StoreError> {
        let rows = self.read(async |db| Ok::<_, StoreError>(Entity::find().all(db).await?));
        let attempt = |row: Model| SocketAttempt {
            host: row.host,
            egress: row.egress.parse().ok(),
            login: row.login,
            made_at: row.made_at,
        };
        Ok(rows.await?.into_iter().map(attempt).collect())
    }
}
