//! What a new price does: fills, liquidations, stops.

use super::{Cause, Engine, EventKind};
use crate::simulator::ledger::LedgerKind;
use crate::simulator::money::Price;
use crate::simulator::trade::{Trade, TradeState};

impl Engine {
    /// Applies a new last price to every live trade.
    ///
    /// One event per trade and price: a limit order that fills now is judged by the next price.
    pub(in crate::simulator) fn tick(&mut self, last: Price, now: i64) {
        self.last = last;
        let cause = Cause::engine(now);
        // Collect first: almost always nothing happens, and then nothing is allocated.
        let mut hits: Vec<(String, uuid::Uuid)> = Vec::new();
        let mut cross: Vec<String> = Vec::new();
        for (key, account) in &mut self.accounts {
            cross.extend(account.cross.is_reached_at(last).then(|| key.clone()));
            for trade in &mut account.live {
                if trade.state == TradeState::Running {
                    trade.trail(last);
                }
                if outcome(trade, last).is_some() {
                    hits.push((key.clone(), trade.id));
                }
            }
        }
        for (key, id) in hits {
            self.trigger(&key, id, last, cause);
        }
        for key in cross {
            self.trigger_cross(&key, last, cause);
        }
    }

    fn trigger(&mut self, key: &str, id: uuid::Uuid, last: Price, cause: Cause) {
        let Ok(account) = self.account(key) else {
            return;
        };
        let Some(position) = account.live_position(id) else {
            return;
        };
        match outcome(&account.live[position], last) {
            Some(Outcome::Fill) => {
                let tier = account.tier();
                let trade = &mut account.live[position];
                super::orders::fill(trade, tier, cause.now);
                let trade = trade.clone();
                account.volume += trade.quantity;
                let (amount, price) = (Some(trade.margin), Some(trade.price));
                self.record(key, cause, LedgerKind::Filled, &trade, amount, price);
                self.emit(key, EventKind::Filled, &trade);
            }
            Some(Outcome::Exit(event, exit)) => {
                let stopped = matches!(event, EventKind::Stoploss | EventKind::Takeprofit);
                let side = account.live[position].side;
                let exit = match stopped && self.choices.stops_exit_at_quote {
                    true => self.exit_quote(side),
                    false => exit,
                };
                // Cannot be refused: the trade was found running a line ago.
                let _ = self.settle(key, position, exit, event, cause);
            }
            None => {}
        }
    }
}

enum Outcome {
    Fill,
    Exit(EventKind, Price),
}

/// What this price does to this trade. Liquidation goes before the stop-loss, and that before
/// the take-profit; each exits at its own level, also when the price has jumped past it.
fn outcome(trade: &Trade, last: Price) -> Option<Outcome> {
    match trade.state {
        TradeState::Open => trade.is_touched_at(last).then_some(Outcome::Fill),
        TradeState::Running if trade.is_liquidated_at(last) => {
            Some(Outcome::Exit(EventKind::Liquidation, trade.liquidation))
        }
        TradeState::Running if trade.stops_at(last) => {
            Some(Outcome::Exit(EventKind::Stoploss, trade.stoploss))
        }
        TradeState::Running if trade.takes_profit_at(last) => {
            Some(Outcome::Exit(EventKind::Takeprofit, trade.takeprofit))
        }
        _ => None,
    }
}
