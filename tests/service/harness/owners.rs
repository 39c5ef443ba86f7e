//! Positions of other kinds, and what owners do with them at the exchange themselves.

use serde_json::Value;
use vigia::domain::ids::{AutomationId, PositionId};
use vigia::domain::position::Side;
use vigia::domain::rules::RuleKind;
use vigia::domain::units::{Sats, Usd};
use vigia::exchange::{NewCrossOrder, NewTrade};
use vigia::journal::{AuditFilter, AuditRow};
use vigia::simulator::{AccountConfig, CrossPositionView, LedgerKind, TradeView};

use super::{MARGIN, Stage, Trader};

const QUANTITY: Usd = Usd(10_000);

/// A market order for a long of 10,000 USD.
pub fn long(leverage: f64) -> NewTrade {
    NewTrade::market(Side::Buy, QUANTITY, leverage, own_id())
}

/// A market order for a short of 10,000 USD.
pub fn short(leverage: f64) -> NewTrade {
    NewTrade::market(Side::Sell, QUANTITY, leverage, own_id())
}

fn own_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

impl Stage {
    /// An account of this shape, without a position.
    pub async fn client(
        &mut self,
        name: &str,
        shape: impl FnOnce(AccountConfig) -> AccountConfig,
    ) -> Trader {
        let trader = self.at_the_exchange(name, shape);
        self.serve(trader).await
    }

    /// An account with as much cross margin as a long of 10x has, and a cross position of so many
    /// USD.
    pub async fn cross_trader(&mut self, name: &str, side: Side, quantity: i64) -> Trader {
        let mut trader = self.at_the_exchange(name, |config| config.with_cross_margin(MARGIN));
        let (who, now) = (&trader.credentials, self.rest.clock().now());
        self.rest.cross_leverage(who, 20, now).await.unwrap();
        self.order_by_hand(&trader, side, quantity).await;
        let reading = self.rest.cross_position(&trader.credentials).await.unwrap();
        trader.position = reading.position.unwrap().id;
        self.serve(trader).await
    }

    /// An account with a long cross position of 10,000 USD that is guarded now.
    pub async fn cross_guarded(&mut self, name: &str, config: Value) -> (Trader, AutomationId) {
        let trader = self.cross_trader(name, Side::Buy, QUANTITY.0).await;
        let guard = self.guard(&trader, config).await;
        self.armed(&guard).await;
        (trader, guard)
    }

    /// An account with a long position of 10x and a rule that watches it now.
    pub async fn ruled(&mut self, name: &str, config: Value) -> (Trader, AutomationId) {
        let trader = self.trader(name).await;
        let rule = self.automation(&trader, RuleKind::TpSl, config).await;
        self.armed(&rule).await;
        (trader, rule)
    }

    /// An account without a position whose entry waits for its price now.
    pub async fn entering(&mut self, name: &str, config: Value) -> (Trader, AutomationId) {
        let shape = |config: AccountConfig| config.with_cross_margin(MARGIN);
        let trader = self.client(name, shape).await;
        let entry = self.automation(&trader, RuleKind::AutoEntry, config).await;
        self.armed(&entry).await;
        (trader, entry)
    }

    /// The owner sends a market order of the cross account.
    pub async fn order_by_hand(&self, trader: &Trader, side: Side, quantity: i64) {
        let order = NewCrossOrder {
            side,
            quantity: Usd(quantity),
            client_id: own_id(),
        };
        let (who, now) = (&trader.credentials, self.rest.clock().now());
        self.rest.cross_order(who, &order, now).await.unwrap();
    }

    /// The owner deposits into the cross account.
    pub async fn deposit_by_hand(&mut self, trader: &Trader, amount: i64) {
        self.note(trader, LedgerKind::CrossDeposited, Some(amount));
        let (who, now) = (&trader.credentials, self.rest.clock().now());
        let depositing = self.rest.cross_deposit(who, Sats(amount), now);
        depositing.await.unwrap();
    }

    /// The owner takes the take-profit away.
    pub async fn drop_takeprofit(&mut self, trader: &Trader) {
        self.note(trader, LedgerKind::TakeprofitSet, None);
        let (who, now) = (&trader.credentials, self.rest.clock().now());
        let dropping = self.rest.remove_takeprofit(who, trader.position, now);
        dropping.await.unwrap();
    }

    /// What the service did to an account, by the exchange's own ledger, in a word each.
    pub fn kinds(&self, trader: &Trader) -> Vec<LedgerKind> {
        let effects = self.effects(trader);
        effects.iter().map(|entry| entry.kind).collect()
    }

    /// An account's running trades, by the exchange.
    pub fn running(&self, trader: &Trader) -> Vec<TradeView> {
        let trades = self.control.account(&trader.key).unwrap().trades;
        trades.into_iter().filter(|trade| trade.running).collect()
    }

    /// An account's cross position, by the exchange.
    pub fn cross(&self, trader: &Trader) -> CrossPositionView {
        self.control.cross(&trader.key).unwrap()
    }

    /// Waits until the exchange has applied so many changes of a kind to an account, by whomever.
    pub async fn applied(&mut self, trader: &Trader, kind: LedgerKind, count: usize) {
        let (control, key) = (self.control.clone(), trader.key.clone());
        self.until(
            &format!("{count} times {kind:?} for {}", trader.name),
            || {
                let ledger = control.ledger();
                let ours =
                    |entry: &&vigia::simulator::LedgerEntry| entry.key == key && entry.kind == kind;
                ledger.iter().filter(ours).count() >= count
            },
        )
        .await;
    }

    /// The audit entries of an account, the first first.
    pub async fn audit(&self, trader: &Trader) -> Vec<AuditRow> {
        let filter = AuditFilter {
            account: Some(trader.id.clone()),
            automation: None,
            limit: 1000,
        };
        let listed = self.app().shared.journal.audit_entries(&filter).await;
        let mut rows = listed.unwrap().rows;
        rows.sort_by_key(|row| row.seq);
        rows
    }

    /// The position that a reduction has left.
    pub fn successor(&self, trader: &Trader) -> PositionId {
        self.running(trader)[0].id.parse().unwrap()
    }
}
