//! The engine, driven directly: the golden scenario and the rules around it.

mod ends;
mod margin;
mod scenario;
mod trades;

use super::*;
use crate::simulator::money::Side;
use crate::simulator::trade::TradeState;

const KEY: &str = "k";

fn usd(price: f64) -> Price {
    Price::from_f64(price).unwrap()
}

fn engine(last: f64, balance: i64) -> Engine {
    let mut engine = Engine::new(1, usd(last), Price::ZERO);
    engine.add_account(AccountConfig::new(KEY, "s", "p", balance));
    engine
}

fn api(now: i64) -> Cause {
    Cause {
        now,
        request_timestamp: Some(now),
    }
}

fn order(side: Side, limit: Option<f64>) -> NewTrade {
    NewTrade {
        side,
        limit: limit.map(usd),
        size: Size::Quantity(1000),
        leverage: 10.0,
        stop: Stop::None,
        takeprofit: Price::ZERO,
        client_id: Some("g1".into()),
    }
}

fn balance(engine: &Engine) -> i64 {
    engine.accounts[KEY].balance
}

fn live(engine: &Engine) -> &Trade {
    &engine.accounts[KEY].live[0]
}

fn done(engine: &Engine) -> &Trade {
    engine.accounts[KEY].done.last().unwrap()
}

fn kinds(engine: &mut Engine) -> Vec<EventKind> {
    engine
        .take_events()
        .into_iter()
        .filter_map(|event| match event.news {
            News::Trade(kind, _) => Some(kind),
            _ => None,
        })
        .collect()
}
