//! Cross margin as the exchange keeps it: one net position per account, its orders, its history.

use std::cmp::Ordering;

use uuid::Uuid;

use super::money::{self, Price, Side, cross as maths};

/// Leverage of an account that never chose one.
const FIRST_LEVERAGE: i64 = 1;

/// How an order was executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OrderType {
    Limit,
    Market,
    Liquidation,
}

/// Where an order is in its life. `Filled` and `Canceled` are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OrderState {
    Open,
    Filled,
    Canceled,
}

/// One order of the cross account.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Order {
    pub(super) id: Uuid,
    pub(super) kind: OrderType,
    pub(super) side: Side,
    pub(super) quantity: i64,
    /// Limit, or execution price.
    pub(super) price: Price,
    /// Satoshis; 0 until filled.
    pub(super) fee: i64,
    pub(super) state: OrderState,
    pub(super) created_at: i64,
    /// When it was filled or canceled.
    pub(super) ended_at: Option<i64>,
    pub(super) client_id: Option<String>,
    /// Where the last price stood, seen from the limit, when the order was placed.
    pub(super) approach: Ordering,
}

impl Order {
    /// Touched from the side from which the price comes, like an isolated limit order.
    pub(super) fn is_touched_at(&self, last: Price) -> bool {
        match self.approach {
            Ordering::Greater => last <= self.price,
            Ordering::Less => last >= self.price,
            Ordering::Equal => true,
        }
    }
}

/// Satoshis moved between the balance and the cross margin.
#[derive(Clone, Debug)]
pub(super) struct Transfer {
    pub(super) id: Uuid,
    pub(super) time: i64,
    /// Positive for a deposit, negative for a withdrawal.
    pub(super) amount: i64,
}

/// One funding payment of the cross position.
#[derive(Clone, Debug)]
pub(super) struct FundingFee {
    pub(super) time: i64,
    pub(super) settlement_id: Uuid,
    /// Satoshis, positive when paid.
    pub(super) fee: i64,
}

/// The net position and the margin under it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Position {
    /// The same for the account's whole life, flat or not.
    pub(super) id: Uuid,
    /// Satoshis; realised profit and loss, fees and funding are in it already.
    pub(super) margin: i64,
    /// Signed US dollars: negative is short.
    pub(super) quantity: i64,
    pub(super) leverage: i64,
    /// Zero when flat.
    pub(super) entry: Price,
    /// Since the position was opened.
    pub(super) trading_fees: i64,
    /// Since the position was opened; positive when paid.
    pub(super) funding_fees: i64,
    /// Realised since the position was opened.
    pub(super) realised: i64,
    /// P&L in total when the position was last changed.
    pub(super) pl_then: i64,
    pub(super) updated_at: i64,
}

impl Position {
    fn new(id: Uuid, margin: i64) -> Self {
        Position {
            id,
            margin,
            quantity: 0,
            leverage: FIRST_LEVERAGE,
            entry: Price::ZERO,
            trading_fees: 0,
            funding_fees: 0,
            realised: 0,
            pl_then: 0,
            updated_at: 0,
        }
    }

    pub(super) fn is_flat(&self) -> bool {
        self.quantity == 0
    }

    pub(super) fn side(&self) -> Side {
        if self.quantity < 0 {
            Side::Sell
        } else {
            Side::Buy
        }
    }

    pub(super) fn size(&self) -> i64 {
        self.quantity.abs()
    }

    /// Satoshis that the position binds: notional over leverage.
    pub(super) fn running_margin(&self) -> i64 {
        if self.is_flat() {
            return 0;
        }
        maths::running_margin(self.size(), self.entry, self.leverage)
    }

    pub(super) fn maintenance(&self) -> i64 {
        if self.is_flat() {
            return 0;
        }
        maths::maintenance(self.size(), self.entry)
    }

    /// Where the loss is the margin without the maintenance margin; `None` when flat.
    pub(super) fn liquidation(&self) -> Option<Price> {
        if self.is_flat() {
            return None;
        }
        let held = self.margin - self.maintenance();
        Some(money::liquidation(
            self.side(),
            self.size(),
            self.entry,
            held,
        ))
    }

    pub(super) fn is_liquidated_at(&self, last: Price) -> bool {
        match (self.liquidation(), self.side()) {
            (None, _) => false,
            (Some(level), Side::Buy) => last <= level,
            // A short that cannot be liquidated is quoted at the highest price: never reached.
            (Some(level), Side::Sell) => level != Price::MAX && last >= level,
        }
    }

    /// P&L that is not realised, at `price`.
    pub(super) fn running_pl(&self, price: Price) -> i64 {
        if self.is_flat() {
            return 0;
        }
        money::profit(self.side(), self.size(), self.entry, price)
    }

    /// P&L since the position was opened, realised or not.
    pub(super) fn total_pl(&self, last: Price) -> i64 {
        self.realised + self.running_pl(last)
    }

    /// Margin that nothing binds at `price`: a loss binds margin, a profit frees none.
    pub(super) fn free(&self, price: Price, in_orders: i64) -> i64 {
        let loss = self.running_pl(price).min(0);
        self.margin + loss - self.maintenance() - self.running_margin() - in_orders
    }

    /// Puts satoshis of profit or loss into the margin; what is not there cannot be lost.
    pub(super) fn book(&mut self, amount: i64) {
        self.margin = (self.margin + amount).max(0);
    }

    fn realise(&mut self, profit: i64) {
        self.realised += profit;
        self.book(profit);
    }

    /// Makes the running profit part of the margin: the entry is the price from now on.
    pub(super) fn rebase(&mut self, price: Price) {
        let profit = self.running_pl(price);
        self.entry = price;
        self.realise(profit);
    }

    /// Executes `delta` signed dollars at `price` for `fee`.
    ///
    /// Dollars on the same side average the entry. A reduction books its profit and keeps the
    /// entry; its loss is carried on in the entry of what is left, as far as a price can carry
    /// it. A flip starts anew at the execution price.
    pub(super) fn execute(&mut self, delta: i64, price: Price, fee: i64) {
        let (held, side, entry) = (self.quantity, self.side(), self.entry);
        let after = held + delta;
        self.book(-fee);
        self.trading_fees += fee;
        if held == 0 {
            self.open(price, fee);
        } else if held.signum() == delta.signum() {
            self.entry = maths::average_entry(held.abs(), entry, delta.abs(), price);
        } else if after.signum() != held.signum() {
            self.book(money::profit(side, held.abs(), entry, price));
            if after == 0 {
                self.open(Price::ZERO, 0);
            } else {
                self.open(price, fee);
            }
        } else {
            let part = money::profit(side, delta.abs(), entry, price);
            match maths::carried_entry(side, held.abs(), entry, after.abs(), price) {
                Some(carried) => self.entry = carried,
                None => self.realise(part),
            }
        }
        self.quantity = after;
    }

    /// Starts the sums of a new position; with a zero price, of none.
    fn open(&mut self, entry: Price, fee: i64) {
        self.entry = entry;
        self.trading_fees = fee;
        self.funding_fees = 0;
        self.realised = 0;
    }
}

/// The cross side of an account.
#[derive(Debug)]
pub(super) struct Cross {
    pub(super) position: Position,
    /// In the order of their creation.
    pub(super) open: Vec<Order>,
    /// Filled and canceled, oldest first. Grows with the run, like the ledger.
    pub(super) done: Vec<Order>,
    pub(super) transfers: Vec<Transfer>,
    pub(super) funding_fees: Vec<FundingFee>,
    last_time: i64,
}

impl Cross {
    pub(super) fn new(id: Uuid, margin: i64) -> Self {
        Cross {
            position: Position::new(id, margin),
            open: Vec::new(),
            done: Vec::new(),
            transfers: Vec::new(),
            funding_fees: Vec::new(),
            last_time: 0,
        }
    }

    /// What open orders bind: their notional over the leverage.
    pub(super) fn in_orders(&self) -> i64 {
        let leverage = self.position.leverage;
        let bound = |order: &Order| maths::running_margin(order.quantity, order.price, leverage);
        self.open.iter().map(bound).sum()
    }

    /// Whether this price fills an order or liquidates the position.
    pub(super) fn is_reached_at(&self, last: Price) -> bool {
        self.position.is_liquidated_at(last)
            || self.open.iter().any(|order| order.is_touched_at(last))
    }

    /// A time for something that pages are cut by: later than all before it.
    pub(super) fn next_time(&mut self, now: i64) -> i64 {
        self.last_time = now.max(self.last_time + 1);
        self.last_time
    }

    /// Moves an open order to what has ended.
    pub(super) fn end(&mut self, index: usize, state: OrderState, now: i64) -> Order {
        let mut order = self.open.remove(index);
        order.state = state;
        order.ended_at = Some(self.next_time(now));
        self.done.push(order.clone());
        order
    }
}
