//! Accounts of the stage, and what their owners do at the exchange themselves.

use std::sync::Arc;

use serde_json::Value;
use vigia::actors::{Account, View};
use vigia::domain::credentials::Credentials;
use vigia::domain::ids::{AccountId, AutomationId, PositionId, UserId};
use vigia::domain::position::Position;
use vigia::domain::rules::RuleKind;
use vigia::domain::units::Sats;
use vigia::exchange::NewTrade;
use vigia::simulator::{AccountConfig, LedgerKind};
use vigia::store::{NewAccount, NewAutomation};
use vigia::telemetry::Event;

use super::owners::long;
use super::{NETWORK, Stage};

/// Enough for everything.
const RICH: i64 = 200_000_000;

/// An account and its open position.
#[derive(Clone)]
pub struct Trader {
    /// Its name, which no other of this process has.
    pub name: String,
    pub key: String,
    pub id: AccountId,
    pub position: PositionId,
    pub credentials: Credentials,
}

impl Trader {
    /// The name of its connection in logs.
    pub fn connection(&self) -> String {
        format!("connection/{}", self.name)
    }
}

impl Stage {
    /// An account with a long position of 10x.
    pub async fn trader(&mut self, name: &str) -> Trader {
        self.trader_with(name, RICH, 10).await
    }

    /// An account with so many satoshis, and a long position of this leverage.
    pub async fn trader_with(&mut self, name: &str, balance: i64, leverage: i64) -> Trader {
        let shape = move |config: AccountConfig| AccountConfig {
            balance_sats: balance,
            ..config
        };
        self.trader_of(name, shape, long(leverage as f64)).await
    }

    /// An account of this shape, and its position.
    pub async fn trader_of(
        &mut self,
        name: &str,
        shape: impl FnOnce(AccountConfig) -> AccountConfig,
        trade: NewTrade,
    ) -> Trader {
        let mut trader = self.at_the_exchange(name, shape);
        let now = self.rest.clock().now();
        let opening = self.rest.open(&trader.credentials, &trade, now);
        trader.position = opening.await.unwrap().id;
        self.serve(trader).await
    }

    /// An account that the exchange alone knows.
    pub(super) fn at_the_exchange(
        &self,
        name: &str,
        shape: impl FnOnce(AccountConfig) -> AccountConfig,
    ) -> Trader {
        let name = format!("{name}-{}", &uuid::Uuid::new_v4().simple().to_string()[..8]);
        let config = AccountConfig::new(&name, "secret", "phrase", RICH);
        self.control.add_account(shape(config));
        Trader {
            id: AccountId::new(""),
            key: name.clone(),
            credentials: Credentials::new(&*name, "secret", "phrase"),
            name,
            position: PositionId::MARKET,
        }
    }

    /// The service is given an account.
    pub(super) async fn serve(&mut self, trader: Trader) -> Trader {
        let new = NewAccount {
            user_id: UserId::new("owner"),
            name: trader.name.clone(),
            network: NETWORK.to_owned(),
            credentials: trader.credentials.clone(),
        };
        let stored = self.app().shared.store.add_account(new, self.clock.utc());
        let trader = Trader {
            id: stored.await.unwrap().id,
            ..trader
        };
        self.traders.push(trader.clone());
        trader
    }

    /// A guard in the store; it is not waited for.
    pub async fn guard(&self, trader: &Trader, config: Value) -> AutomationId {
        self.automation(trader, RuleKind::MarginGuard, config).await
    }

    /// An automation in the store; it is not waited for.
    pub async fn automation(&self, trader: &Trader, kind: RuleKind, config: Value) -> AutomationId {
        let new = NewAutomation {
            account: trader.id.clone(),
            kind,
            config,
            live: true,
            active: true,
        };
        let store = &self.app().shared.store;
        store
            .add_automation(new, self.clock.utc())
            .await
            .unwrap()
            .id
    }

    /// An account with a position of 10x that is guarded now.
    pub async fn guarded(&mut self, name: &str, config: Value) -> (Trader, AutomationId) {
        let trader = self.trader(name).await;
        let guard = self.guard(&trader, config).await;
        self.armed(&guard).await;
        (trader, guard)
    }

    /// Waits until a guard may fire.
    pub async fn armed(&mut self, guard: &AutomationId) {
        let wanted = guard.clone();
        self.wait_for(&format!("guard {guard} is armed"), |event| {
            matches!(event, Event::Armed { automation, .. } if *automation == wanted).then_some(())
        })
        .await;
    }

    /// The owner opens a long position.
    pub async fn open(&self, who: &Credentials, leverage: i64) -> Position {
        let trade = long(leverage as f64);
        let now = self.rest.clock().now();
        self.rest.open(who, &trade, now).await.unwrap()
    }

    /// The owner closes a position.
    pub async fn close_by_hand(&mut self, trader: &Trader, position: PositionId) {
        self.note(trader, LedgerKind::Closed, None);
        let now = self.rest.clock().now();
        let closing = self.rest.close(&trader.credentials, position, now);
        closing.await.unwrap();
    }

    /// The owner adds margin.
    pub async fn add_by_hand(&mut self, trader: &Trader, position: PositionId, amount: i64) {
        self.note(trader, LedgerKind::MarginAdded, Some(amount));
        let (who, now) = (&trader.credentials, self.rest.clock().now());
        let adding = self.rest.add_margin(who, position, Sats(amount), now);
        adding.await.unwrap();
    }

    /// What the story does not count as the service's, although it may look so.
    pub fn note(&mut self, trader: &Trader, kind: LedgerKind, amount: Option<i64>) {
        let by_hand = self.by_hand.entry(trader.key.clone()).or_default();
        by_hand.push((kind, amount));
    }

    /// The account as the service knows it.
    pub fn account(&self, trader: &Trader) -> Arc<Account> {
        let accounts = self.app().shared.accounts.load();
        Arc::clone(accounts.get(&trader.id).expect("the account is served"))
    }

    /// What the service knows of the account.
    pub fn view(&self, trader: &Trader) -> Arc<View> {
        self.account(trader).view.load_full()
    }

    /// The margin of an account's first position, by the exchange.
    pub fn margin(&self, trader: &Trader) -> i64 {
        let account = self.control.account(&trader.key).unwrap();
        let id = trader.position.to_string();
        let trade = account.trades.iter().find(|trade| trade.id == id);
        trade.unwrap().margin
    }
}
