//! Stop-loss and take-profit: setting, moving, removing.

use uuid::Uuid;

use super::{Cause, Engine, NewTrade, Refusal, Stop, rule};
use crate::simulator::ledger::LedgerKind;
use crate::simulator::money::{self, Nano, Price, Side};
use crate::simulator::trade::{Trade, TradeState, Trailing};

impl Engine {
    /// Sets, replaces or (with [`Stop::None`]) removes the stop-loss of a live trade.
    pub(in crate::simulator) fn set_stoploss(
        &mut self,
        key: &str,
        id: Uuid,
        stop: Stop,
        cause: Cause,
    ) -> Result<Trade, Refusal> {
        let position = self.find_live(key, id)?;
        let last = self.last;
        let account = self.account(key)?;
        let mut trade = account.live[position].clone();
        let before = (
            trade.stoploss,
            trade.trailing.map(|trailing| trailing.shown),
        );
        match stop {
            Stop::Fixed(price) if before == (price, None) => {
                return rule("value", "the stop-loss already has this value");
            }
            Stop::Trailing(distance) if before.1 == Some(distance) => {
                return rule("value", "the stop-loss already has this distance");
            }
            Stop::None if before.0.is_zero() && before.1.is_none() => {
                return rule("value", "there is no stop-loss to remove");
            }
            _ => {}
        }
        let from = reference(&trade, last);
        apply_stop(&mut trade, stop, from, "value")?;
        account.live[position] = trade.clone();
        let price = Some(trade.stoploss);
        self.record(key, cause, LedgerKind::StoplossSet, &trade, None, price);
        Ok(trade)
    }

    /// Sets, replaces or (with [`Price::ZERO`]) removes the take-profit of a live trade.
    pub(in crate::simulator) fn set_takeprofit(
        &mut self,
        key: &str,
        id: Uuid,
        price: Price,
        cause: Cause,
    ) -> Result<Trade, Refusal> {
        let position = self.find_live(key, id)?;
        let last = self.last;
        let account = self.account(key)?;
        let mut trade = account.live[position].clone();
        if trade.takeprofit == price {
            return rule("value", "the take-profit already has this value");
        }
        let from = reference(&trade, last);
        apply_takeprofit(&mut trade, price, from, "value")?;
        account.live[position] = trade.clone();
        self.record(
            key,
            cause,
            LedgerKind::TakeprofitSet,
            &trade,
            None,
            Some(price),
        );
        Ok(trade)
    }

    /// The stops that came with a new order.
    pub(super) fn check_new_stops(
        &self,
        trade: &mut Trade,
        order: &NewTrade,
    ) -> Result<(), Refusal> {
        let from = if order.limit.is_some() {
            trade.price
        } else {
            self.last
        };
        apply_takeprofit(trade, order.takeprofit, from, "takeprofit")?;
        apply_stop(trade, order.stop, from, "stoploss")
    }

    fn find_live(&mut self, key: &str, id: Uuid) -> Result<usize, Refusal> {
        let account = self.account(key)?;
        match account.live_position(id) {
            Some(position) => Ok(position),
            None if account.is_done(id) => {
                self.wrong_state("the trade is already closed or canceled")
            }
            None => Err(Refusal::UnknownTrade),
        }
    }
}

/// Stops of an open order are judged by its limit price, those of a running trade by the last.
fn reference(trade: &Trade, last: Price) -> Price {
    if trade.state == TradeState::Open {
        trade.price
    } else {
        last
    }
}

fn apply_stop(
    trade: &mut Trade,
    stop: Stop,
    from: Price,
    field: &'static str,
) -> Result<(), Refusal> {
    match stop {
        Stop::None => {
            trade.stoploss = Price::ZERO;
            trade.trailing = None;
        }
        // Never beyond the take-profit: that is always on the other side of `from`.
        Stop::Fixed(price) => {
            let liquidation = trade.liquidation;
            let (valid, range) = match trade.side {
                Side::Buy => (
                    liquidation <= price && price < from,
                    format!("from {liquidation:?} to below {from:?}"),
                ),
                Side::Sell => (
                    from < price && price <= liquidation,
                    format!("above {from:?} to {liquidation:?}"),
                ),
            };
            if !valid {
                return rule(field, format!("the stop-loss must be {range}"));
            }
            trade.stoploss = price;
            trade.trailing = None;
        }
        Stop::Trailing(shown) => {
            if !(0.001..=10.0).contains(&shown) {
                return rule(field, "a trailing distance must be from 0.001 to 10");
            }
            let distance = Nano::from_f64(shown);
            trade.stoploss = money::trailing_stop(trade.side, from, distance);
            trade.trailing = Some(Trailing {
                distance,
                shown,
                best: from,
            });
        }
    }
    Ok(())
}

fn apply_takeprofit(
    trade: &mut Trade,
    price: Price,
    from: Price,
    field: &'static str,
) -> Result<(), Refusal> {
    if price.is_zero() {
        trade.takeprofit = Price::ZERO;
        return Ok(());
    }
    let (valid, range) = match trade.side {
        Side::Buy => {
            let above = from.max(trade.entry_price);
            (price > above, format!("above {above:?}"))
        }
        Side::Sell => (price < from, format!("below {from:?}")),
    };
    if !valid {
        return rule(field, format!("the take-profit must be {range}"));
    }
    trade.takeprofit = price;
    Ok(())
}
