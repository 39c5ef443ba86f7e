//! Placing, cancelling and closing.

use uuid::Uuid;

use super::{Cause, Engine, EventKind, Refusal, rule};
use crate::simulator::ledger::LedgerKind;
use crate::simulator::money::{self, Nano, Price, Side};
use crate::simulator::trade::{Trade, TradeState, TradeType};

/// Largest order, whole US dollars.
pub(super) const MAX_QUANTITY: i64 = 500_000;

/// How large a new trade shall be.
#[derive(Clone, Copy, Debug)]
pub(in crate::simulator) enum Size {
    Quantity(i64),
    Margin(i64),
}

/// A stop-loss as requested.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::simulator) enum Stop {
    None,
    Fixed(Price),
    /// Distance as a fraction of the price.
    Trailing(f64),
}

/// A new trade whose fields have the right types; the rules are checked here.
#[derive(Clone, Debug)]
pub(in crate::simulator) struct NewTrade {
    pub(in crate::simulator) side: Side,
    /// Limit price; `None` for a market order.
    pub(in crate::simulator) limit: Option<Price>,
    pub(in crate::simulator) size: Size,
    pub(in crate::simulator) leverage: f64,
    pub(in crate::simulator) stop: Stop,
    pub(in crate::simulator) takeprofit: Price,
    pub(in crate::simulator) client_id: Option<String>,
}

impl Engine {
    /// Places a limit order or executes a market order.
    pub(in crate::simulator) fn place(
        &mut self,
        key: &str,
        order: NewTrade,
        cause: Cause,
    ) -> Result<Trade, Refusal> {
        let (last, most) = (self.last, self.choices.max_live_trades);
        self.check_client_id(key, order.client_id.as_deref())?;
        let price = order.limit.unwrap_or_else(|| self.quote(order.side));
        let mut trade = self.draft(&order, price, cause)?;
        self.check_new_stops(&mut trade, &order)?;

        let opening = money::reserve(trade.quantity, price);
        trade.maintenance = opening + money::reserve(trade.quantity, trade.liquidation);
        let debit = trade.margin + trade.maintenance;
        let account = self.account(key)?;
        if account.live.len() >= most {
            return rule("type", format!("at most {most} open and running trades"));
        }
        if account.balance < debit {
            return rule("quantity", "insufficient balance");
        }
        account.balance -= debit;
        let kind = if order.limit.is_some() {
            trade.approach = last.cmp(&price);
            LedgerKind::Opened
        } else {
            let tier = account.tier();
            fill(&mut trade, tier, cause.now);
            account.volume += trade.quantity;
            LedgerKind::Filled
        };
        account.live.push(trade.clone());
        let event = if kind == LedgerKind::Opened {
            EventKind::Open
        } else {
            EventKind::Filled
        };
        self.record(key, cause, kind, &trade, Some(trade.margin), Some(price));
        self.emit(key, event, &trade);
        Ok(trade)
    }

    /// Size, leverage and liquidation of a new trade, without stops and without reserves.
    fn draft(&mut self, order: &NewTrade, price: Price, cause: Cause) -> Result<Trade, Refusal> {
        if !(1.0..=100.0).contains(&order.leverage) {
            return rule("leverage", "leverage must be from 1 to 100");
        }
        let leverage = Nano::from_f64(order.leverage);
        let (quantity, margin) = match order.size {
            Size::Quantity(quantity) if self.choices.margin_rounds_up => {
                (quantity, money::margin_up(quantity, price, leverage))
            }
            Size::Quantity(quantity) => (quantity, money::margin_of(quantity, price, leverage)),
            Size::Margin(margin) => (money::quantity_of(margin, price, leverage), margin),
        };
        let field = match order.size {
            Size::Quantity(_) => "quantity",
            Size::Margin(_) => "margin",
        };
        if !(1..=MAX_QUANTITY).contains(&quantity) {
            return rule(field, format!("quantity must be from 1 to {MAX_QUANTITY}"));
        }
        if margin < 1 {
            return rule(field, "margin must be at least 1 sat");
        }
        // By leverage, not by the echoed margin: a margin-sized trade quotes a tick apart.
        let economic = money::margin_of(quantity, price, leverage);
        Ok(Trade {
            id: self.next_id(),
            kind: if order.limit.is_some() {
                TradeType::Limit
            } else {
                TradeType::Market
            },
            side: order.side,
            quantity,
            leverage: order.leverage,
            margin,
            maintenance: 0,
            price,
            entry_price: price,
            entry_margin: margin,
            exit_price: None,
            liquidation: money::liquidation(order.side, quantity, price, economic),
            stoploss: Price::ZERO,
            trailing: None,
            takeprofit: Price::ZERO,
            opening_fee: 0,
            closing_fee: 0,
            realised: 0,
            sum_funding_fees: 0,
            sum_cash_in_pl: 0,
            sum_cash_in_margin: 0,
            state: TradeState::Open,
            created_at: cause.now,
            filled_at: None,
            closed_at: None,
            client_id: order.client_id.clone(),
            approach: std::cmp::Ordering::Equal,
        })
    }

    /// Withdraws an open order.
    pub(in crate::simulator) fn cancel(
        &mut self,
        key: &str,
        id: Uuid,
        cause: Cause,
    ) -> Result<Trade, Refusal> {
        let position = self.find(key, id, TradeState::Open)?;
        let account = self.account(key)?;
        let trade = account
            .finish(position, TradeState::Canceled, cause.now)
            .clone();
        let back = trade.margin + trade.maintenance;
        account.balance += back;
        self.record(key, cause, LedgerKind::Canceled, &trade, Some(back), None);
        self.emit(key, EventKind::Canceled, &trade);
        Ok(trade)
    }

    /// Withdraws every open order; the answer lists them.
    pub(in crate::simulator) fn cancel_all(
        &mut self,
        key: &str,
        cause: Cause,
    ) -> Result<Vec<Trade>, Refusal> {
        let open: Vec<Uuid> = self
            .account(key)?
            .live
            .iter()
            .filter(|trade| trade.state == TradeState::Open)
            .map(|trade| trade.id)
            .collect();
        open.into_iter()
            .map(|id| self.cancel(key, id, cause))
            .collect()
    }

    /// Closes a running trade at the market.
    pub(in crate::simulator) fn close(
        &mut self,
        key: &str,
        id: Uuid,
        cause: Cause,
    ) -> Result<Trade, Refusal> {
        let position = self.find(key, id, TradeState::Running)?;
        let side = self.account(key)?.live[position].side;
        let exit = self.exit_quote(side);
        self.settle(key, position, exit, EventKind::Closed, cause)
    }

    /// Ends a running trade at `exit`: fee, profit or loss, credit, ledger, event.
    pub(super) fn settle(
        &mut self,
        key: &str,
        position: usize,
        exit: Price,
        event: EventKind,
        cause: Cause,
    ) -> Result<Trade, Refusal> {
        let account = self.account(key)?;
        let tier = account.tier();
        let trade = account.finish(position, TradeState::Closed, cause.now);
        let fee = money::fee(trade.quantity, exit, tier);
        if event == EventKind::Liquidation {
            // The loss is exactly the margin (the quoted price is a tick rounding of it), and
            // the fee comes out of the reserve, which is all that is left.
            trade.realised = -trade.margin;
            trade.closing_fee = fee.min(trade.maintenance).max(0);
        } else {
            let pl = money::profit(trade.side, trade.quantity, trade.price, exit);
            trade.realised = pl.max(-trade.margin);
            trade.closing_fee = fee;
        }
        trade.exit_price = Some(exit);
        trade.maintenance -= trade.closing_fee;
        let trade = trade.clone();
        account.volume += trade.quantity;
        // A loss of the whole margin with a fee above the reserve cannot reach the balance.
        account.balance += (trade.margin + trade.maintenance + trade.realised).max(0);
        let kind = match event {
            EventKind::Liquidation => LedgerKind::Liquidated,
            EventKind::Stoploss => LedgerKind::StoplossHit,
            EventKind::Takeprofit => LedgerKind::TakeprofitHit,
            _ => LedgerKind::Closed,
        };
        self.record(key, cause, kind, &trade, Some(trade.realised), Some(exit));
        self.emit(key, event, &trade);
        Ok(trade)
    }

    /// Position of a live trade that must be in `state`.
    pub(super) fn find(
        &mut self,
        key: &str,
        id: Uuid,
        state: TradeState,
    ) -> Result<usize, Refusal> {
        let account = self.account(key)?;
        match account.live_position(id) {
            Some(position) if account.live[position].state == state => Ok(position),
            Some(_) => self.wrong_state("the trade is not in a state that allows this"),
            None if account.is_done(id) => {
                self.wrong_state("the trade is already closed or canceled")
            }
            None => Err(Refusal::UnknownTrade),
        }
    }
}

/// Open to running: the opening fee is taken out of the reserve.
pub(super) fn fill(trade: &mut Trade, tier: u8, now: i64) {
    trade.opening_fee = money::fee(trade.quantity, trade.price, tier);
    trade.maintenance -= trade.opening_fee;
    trade.state = TradeState::Running;
    trade.filled_at = Some(now);
    if let Some(trailing) = &mut trade.trailing {
        trailing.best = trade.price;
    }
}
