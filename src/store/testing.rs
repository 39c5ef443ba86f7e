//! A store in a folder of its own, for tests.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Account, Automation, NewAccount, NewAutomation, Store, Vault};
use crate::domain::credentials::Credentials;
use crate::domain::ids::UserId;
use crate::domain::rules::RuleKind;

pub(crate) struct Fixture {
    pub(crate) folder: TempDir,
    pub(crate) store: Store,
    key: String,
}

pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + chrono::Duration::seconds(seconds)
}

pub(crate) fn guard() -> Value {
    json!({"action": "close_position", "margin_threshold": 0.7, "metric": "margin_used"})
}

impl Fixture {
    /// Open and migrated.
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = Vault::generate_key_text().unwrap();
        let key = key.expose_secret().to_owned();
        let vault = Vault::from_key_text(&key).unwrap();
        let path = folder.path().join("vigia.db");
        let store = Store::open(path.to_str().unwrap(), Some(vault))
            .await
            .unwrap();
        store.migrate().await.unwrap();
        Self { folder, store, key }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("vigia.db")
    }

    /// A second store on the same file, as a second process would have it.
    pub(crate) async fn second(&self) -> Store {
        let vault = Vault::from_key_text(&self.key).unwrap();
        let url = format!("sqlite://{}?mode=rwc", self.path().display());
        Store::open(&url, Some(vault)).await.unwrap()
    }

    pub(crate) async fn account(&self, name: &str) -> Account {
        let new = NewAccount {
            user_id: UserId::new("user-1"),
            name: name.to_owned(),
            network: "simulator".to_owned(),
            credentials: Credentials::new("key", "secret", "passphrase"),
        };
        self.store.add_account(new, at(1)).await.unwrap()
    }

    pub(crate) async fn automation(&self, account: &Account) -> Automation {
        let new = NewAutomation {
            account: account.id.clone(),
            kind: RuleKind::MarginGuard,
            config: guard(),
            live: true,
            active: true,
        };
        self.store.add_automation(new, at(2)).await.unwrap()
    }

    /// Runs SQL on the writer's connection, as a careless hand would.
    pub(crate) async fn sql(&self, sql: &str) {
        use sea_orm::ConnectionTrait;
        let sql = sql.to_owned();
        let ran = self.store.write(super::Kind::Alone, move |db| {
            Box::pin(async move {
                db.execute_unprepared(&sql).await?;
                Ok::<_, super::StoreError>(())
            })
        });
        ran.await.unwrap();
    }
}
