//! A store of its own, for tests: in a file, or on a server of PostgreSQL where `VIGIA_TEST_STORE` is
//! `postgres`.

#[path = "../../tests/postgres/server.rs"]
mod server;

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Account, Automation, NewAccount, NewAutomation, Store, Vault};
use crate::domain::credentials::Credentials;
use crate::domain::ids::UserId;
use crate::domain::rules::RuleKind;

pub(crate) use server::Server;

pub(crate) struct Fixture {
    pub(crate) folder: TempDir,
    pub(crate) store: Store,
    /// `None`: the store is a file.
    pub(crate) server: Option<Server>,
    key: String,
}

pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + chrono::Duration::seconds(seconds)
}

pub(crate) fn guard() -> Value {
    json!({"action": "close_position", "margin_threshold": 0.7, "metric": "margin_used"})
}

impl Fixture {
    /// Open and migrated, wherever this run of the tests wants it.
    pub(crate) async fn new() -> Self {
        let fixture = Self::empty().await;
        fixture.store.migrate().await.unwrap();
        fixture
    }

    /// Open and without tables, wherever this run of the tests wants it.
    pub(crate) async fn empty() -> Self {
        match std::env::var("VIGIA_TEST_STORE").as_deref() {
            Ok("postgres") => Self::open(Some(Server::start())).await,
            Ok("sqlite") | Err(_) => Self::open(None).await,
            Ok(other) => panic!("VIGIA_TEST_STORE={other}: sqlite or postgres"),
        }
    }

    /// Open and migrated, in a file.
    pub(crate) async fn in_a_file() -> Self {
        let fixture = Self::open(None).await;
        fixture.store.migrate().await.unwrap();
        fixture
    }

    /// Open and migrated, on a server of PostgreSQL.
    pub(crate) async fn on_a_server() -> Self {
        let fixture = Self::open(Some(Server::start())).await;
        fixture.store.migrate().await.unwrap();
        fixture
    }

    async fn open(server: Option<Server>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = Vault::generate_key_text().unwrap();
        let key = key.expose_secret().to_owned();
        let vault = Vault::from_key_text(&key).unwrap();
        let url = url(&folder, server.as_ref());
        let store = Store::open(&url, Some(vault)).await.unwrap();
        Self {
            folder,
            store,
            server,
            key,
        }
    }

    /// The file, where it is one.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("vigia.db")
    }

    pub(crate) fn url(&self) -> String {
        url(&self.folder, self.server.as_ref())
    }

    pub(crate) fn is_a_file(&self) -> bool {
        self.server.is_none()
    }

    /// A second store on the same database, as a second process would have it.
    pub(crate) async fn second(&self) -> Store {
        let vault = Vault::from_key_text(&self.key).unwrap();
        Store::open(&self.url(), Some(vault)).await.unwrap()
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

    /// A whole table of a server, as text.
    pub(crate) async fn dumped(&self, table: &str) -> String {
        use sea_orm::{ConnectionTrait, Statement};
        let sql = format!("SELECT string_agg({table}::text, chr(10)) AS rows FROM {table}");
        let read = self.store.read(async |db| {
            let query = Statement::from_string(db.get_database_backend(), sql);
            let row = db.query_one_raw(query).await?.unwrap();
            Ok::<String, super::StoreError>(row.try_get("", "rows")?)
        });
        read.await.unwrap()
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

fn url(folder: &TempDir, server: Option<&Server>) -> String {
    match server {
        Some(server) => server.url(),
        None => {
            let path = folder.path().join("vigia.db");
            format!("sqlite://{}?mode=rwc", path.display())
        }
    }
}
