//! An isolated trade, as the exchange keeps it.

use std::cmp::Ordering;

use uuid::Uuid;

use super::money::{self, Nano, Price, Side};

/// How a trade was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TradeType {
    Limit,
    Market,
}

/// Where a trade is in its life. `Closed` and `Canceled` are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TradeState {
    Open,
    Running,
    Closed,
    Canceled,
}

/// A stop that follows the best price seen since it was set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Trailing {
    /// Fraction of the price, for the maths.
    pub(super) distance: Nano,
    /// The number as the user sent it, for echoing.
    pub(super) shown: f64,
    /// Highest (long) or lowest (short) last price since the stop was set.
    pub(super) best: Price,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Trade {
    pub(super) id: Uuid,
    pub(super) kind: TradeType,
    pub(super) side: Side,
    pub(super) quantity: i64,
    /// As answered: echoed for new trades, effective afterwards.
    pub(super) leverage: f64,
    pub(super) margin: i64,
    /// Fee reserve that is left; negative after a close whose fee was larger than the reserve.
    pub(super) maintenance: i64,
    /// Reference of the P&L: limit, then fill price, then moved by cash-in.
    pub(super) price: Price,
    pub(super) entry_price: Price,
    pub(super) entry_margin: i64,
    pub(super) exit_price: Option<Price>,
    pub(super) liquidation: Price,
    /// Zero when unset.
    pub(super) stoploss: Price,
    pub(super) trailing: Option<Trailing>,
    /// Zero when unset.
    pub(super) takeprofit: Price,
    pub(super) opening_fee: i64,
    pub(super) closing_fee: i64,
    /// Realised; a running trade's is computed when asked, see [`Trade::pl_at`].
    pub(super) realised: i64,
    pub(super) sum_funding_fees: i64,
    pub(super) sum_cash_in_pl: i64,
    pub(super) sum_cash_in_margin: i64,
    pub(super) state: TradeState,
    pub(super) created_at: i64,
    pub(super) filled_at: Option<i64>,
    pub(super) closed_at: Option<i64>,
    pub(super) client_id: Option<String>,
    /// Where the last price stood, seen from the limit, when the order was placed.
    pub(super) approach: Ordering,
}

impl Trade {
    /// P&L in satoshis at the last price: 0 while open, realised when closed.
    pub(super) fn pl_at(&self, last: Price) -> i64 {
        match self.state {
            TradeState::Running => money::profit(self.side, self.quantity, self.price, last),
            TradeState::Closed => self.realised,
            TradeState::Open | TradeState::Canceled => 0,
        }
    }

    /// Leverage and liquidation follow from margin and price after either has changed.
    pub(super) fn reprice(&mut self) {
        self.leverage = money::leverage_of(self.quantity, self.margin, self.price);
        self.liquidation = money::liquidation(self.side, self.quantity, self.price, self.margin);
    }

    /// Whether `price` is at the level or further in the direction in which this side loses.
    fn losing_beyond(&self, price: Price, level: Price) -> bool {
        match self.side {
            Side::Buy => price <= level,
            Side::Sell => price >= level,
        }
    }

    pub(super) fn is_liquidated_at(&self, last: Price) -> bool {
        // A short that cannot be liquidated is quoted at the highest price: never reached.
        !(self.side == Side::Sell && self.liquidation == Price::MAX)
            && self.losing_beyond(last, self.liquidation)
    }

    pub(super) fn stops_at(&self, last: Price) -> bool {
        !self.stoploss.is_zero() && self.losing_beyond(last, self.stoploss)
    }

    pub(super) fn takes_profit_at(&self, last: Price) -> bool {
        !self.takeprofit.is_zero()
            && match self.side {
                Side::Buy => last >= self.takeprofit,
                Side::Sell => last <= self.takeprofit,
            }
    }

    /// A limit order is a touch order: it fills when the price reaches or crosses it from the
    /// side where the price was when it was placed. Placed exactly at the price, it fills next.
    pub(super) fn is_touched_at(&self, last: Price) -> bool {
        match self.approach {
            Ordering::Greater => last <= self.price,
            Ordering::Less => last >= self.price,
            Ordering::Equal => true,
        }
    }

    /// Moves a trailing stop after the price has moved; it never loosens.
    pub(super) fn trail(&mut self, last: Price) {
        let side = self.side;
        if let Some(trailing) = &mut self.trailing {
            let better = match side {
                Side::Buy => last > trailing.best,
                Side::Sell => last < trailing.best,
            };
            if better {
                trailing.best = last;
                self.stoploss = money::trailing_stop(side, last, trailing.distance);
            }
        }
    }
}
