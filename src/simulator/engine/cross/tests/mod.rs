//! The cross account, driven directly: netting, requirements, limits, liquidation, funding.

mod ends;
mod margin;
mod netting;
mod orders;

use super::super::{AccountConfig, News};
use super::*;
use crate::simulator::cross::{OrderState, OrderType};
use crate::simulator::money::{Price, Side};

const KEY: &str = "k";

fn usd(price: f64) -> Price {
    Price::from_f64(price).unwrap()
}

/// An exchange at 100,000 USD, one account with so much cross margin at 10x.
fn engine(margin: i64) -> Engine {
    let mut engine = Engine::new(1, usd(100_000.0), Price::ZERO);
    let account = AccountConfig::new(KEY, "s", "p", 1_000_000).with_cross_margin(margin);
    engine.add_account(account);
    engine.cross_leverage(KEY, 10, api(0)).unwrap();
    engine.take_events();
    engine
}

fn api(now: i64) -> Cause {
    Cause {
        now,
        request_timestamp: Some(now),
    }
}

fn order(side: Side, quantity: i64, limit: Option<f64>) -> NewOrder {
    NewOrder {
        side,
        quantity,
        limit: limit.map(usd),
        client_id: Some("c1".into()),
    }
}

impl Engine {
    fn market(&mut self, side: Side, quantity: i64) -> Result<i64, Refusal> {
        self.cross_place(KEY, order(side, quantity, None), api(1))
            .map(|order| order.fee)
    }

    fn held(&self) -> Position {
        self.accounts[KEY].cross.position
    }

    fn told(&mut self) -> Vec<String> {
        let name = |event: Event| match event.news {
            News::Order(event, _) => format!("order {event:?}"),
            News::Position { event, .. } => format!("position {event:?}"),
            News::Trade(kind, _) => format!("trade {kind:?}"),
        };
        self.take_events().into_iter().map(name).collect()
    }

    fn kinds(&self) -> Vec<LedgerKind> {
        let entries = self.ledger.entries().iter();
        entries.map(|entry| entry.kind).collect()
    }
}
