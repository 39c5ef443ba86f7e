//! Owners of accounts, and what they do at the exchange themselves.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::iter;
use serde_json::{Value, json};
use vigia::actors::Account;
use vigia::domain::connection::{Health, Transport};
use vigia::domain::credentials::Credentials;
use vigia::domain::ids::{AccountId, UserId};
use vigia::domain::position::Side;
use vigia::domain::rules::RuleKind;
use vigia::domain::units::Usd;
use vigia::exchange::{NewTrade, Rest};
use vigia::simulator::AccountConfig;
use vigia::store::{NewAccount, NewAutomation};
use vigia::telemetry::Event;

use super::{NETWORK, Stage};

/// Enough for everything.
const RICH: i64 = 2_000_000_000;
const QUANTITY: Usd = Usd(10_000);
const LEVERAGE: f64 = 10.0;
/// Owners who do something at once.
const AT_ONCE: usize = 32;

/// A guard that adds so many satoshis once 70 % of the margin are lost.
pub fn guarding(amount: i64) -> Value {
    json!({
        "action": "add_margin", "add_margin_amount": amount,
        "metric": "margin_used", "margin_threshold": 0.7,
    })
}

/// A guard that closes once 70 % of the margin are lost.
pub fn closing() -> Value {
    json!({ "action": "close_position", "metric": "margin_used", "margin_threshold": 0.7 })
}

/// An owner of an account.
#[derive(Clone)]
pub struct Owner {
    pub key: String,
    pub id: AccountId,
    pub credentials: Credentials,
}

impl Owner {
    /// Opens a long position of 10x.
    pub async fn open(&self, rest: &Rest) {
        let own_id = uuid::Uuid::new_v4().to_string();
        let trade = NewTrade::market(Side::Buy, QUANTITY, LEVERAGE, own_id);
        let opened = rest.open(&self.credentials, &trade, rest.clock().now());
        opened.await.expect("an open position");
    }
}

impl Stage {
    /// So many accounts, each with a long position of 10x under such a guard, armed; returned when
    /// all are live.
    pub async fn owners(&self, count: usize, guard: &Value) -> Vec<Owner> {
        let mark = self.ears.mark();
        let owners = iter(0..count).map(|number| self.owner(number, guard));
        let owners: Vec<_> = owners.buffer_unordered(AT_ONCE).collect().await;
        self.armed(mark, count).await;
        self.until("all accounts are live", || {
            let live = |owner: &Owner| self.account(owner).view.load().health == Health::Live;
            owners.iter().all(live)
        })
        .await;
        owners
    }

    async fn owner(&self, number: usize, guard: &Value) -> Owner {
        let key = format!("owner-{number}");
        let config = AccountConfig::new(&key, "secret", "phrase", RICH);
        self.control.add_account(config);
        let credentials = Credentials::new(&*key, "secret", "phrase");
        let mut owner = Owner {
            key,
            id: AccountId::new(""),
            credentials,
        };
        owner.open(&self.rest).await;
        let (store, now) = (&self.app.shared.store, self.clock.utc());
        let new = NewAccount {
            user_id: UserId::new("owner"),
            name: owner.key.clone(),
            network: NETWORK.to_owned(),
            credentials: owner.credentials.clone(),
        };
        owner.id = store.add_account(new, now).await.expect("an account").id;
        let new = NewAutomation {
            account: owner.id.clone(),
            kind: RuleKind::MarginGuard,
            config: guard.clone(),
            live: true,
            active: true,
        };
        store.add_automation(new, now).await.expect("a guard");
        owner
    }

    /// Each owner opens one more position; returned when all of them are guarded.
    pub async fn open_more(&self, owners: &[Owner]) {
        let mark = self.ears.mark();
        let opening = iter(owners).map(|owner| owner.open(&self.rest));
        opening.buffer_unordered(AT_ONCE).collect::<()>().await;
        self.armed(mark, owners.len()).await;
    }

    async fn armed(&self, mark: usize, count: usize) {
        let armed = |_, event: &Event| matches!(event, Event::Armed { .. }).then_some(());
        self.ears.hear("guards are armed", mark, count, armed).await;
    }

    /// Waits until all accounts are served over their sockets.
    pub async fn over_sockets(&self, owners: &[Owner]) {
        self.until("all accounts are on their sockets", || {
            let on_socket =
                |owner| self.account(owner).view.load().transport == Transport::Websocket;
            owners.iter().all(on_socket)
        })
        .await;
    }

    /// An account as the service knows it.
    ///
    /// # Panics
    /// Before the service has taken it over.
    pub fn account(&self, owner: &Owner) -> Arc<Account> {
        let accounts = self.app.shared.accounts.load();
        Arc::clone(accounts.get(&owner.id).expect("the account is served"))
    }
}
