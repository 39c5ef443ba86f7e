//! Orders of the cross account: placing, cancelling, filling, closing, liquidating.

use uuid::Uuid;

use super::super::orders::MAX_QUANTITY;
use super::super::{
    Cause, Engine, Event, LedgerKind, News, OrderEvent, PositionEvent, Refusal, rule,
};
use crate::simulator::cross::{Cross, Order, OrderState, OrderType, Position};
use crate::simulator::money::{self, Price, Side, cross as maths};

/// A new order whose fields have the right types; the rules are checked here.
#[derive(Clone, Debug)]
pub(in crate::simulator) struct NewOrder {
    pub(in crate::simulator) side: Side,
    pub(in crate::simulator) quantity: i64,
    /// Limit price; `None` for a market order.
    pub(in crate::simulator) limit: Option<Price>,
    pub(in crate::simulator) client_id: Option<String>,
}

impl Engine {
    /// Places a limit order or executes a market order.
    pub(in crate::simulator) fn cross_place(
        &mut self,
        key: &str,
        new: NewOrder,
        cause: Cause,
    ) -> Result<Order, Refusal> {
        if !(1..=MAX_QUANTITY).contains(&new.quantity) {
            return rule(
                "quantity",
                format!("quantity must be from 1 to {MAX_QUANTITY}"),
            );
        }
        self.check_client_id(key, new.client_id.as_deref())?;
        let (last, most) = (self.last, self.choices.max_live_trades);
        let price = new.limit.unwrap_or_else(|| self.quote(new.side));
        let order = Order {
            id: self.next_id(),
            kind: match new.limit {
                Some(_) => OrderType::Limit,
                None => OrderType::Market,
            },
            side: new.side,
            quantity: new.quantity,
            price,
            fee: 0,
            state: OrderState::Open,
            created_at: cause.now,
            ended_at: None,
            client_id: new.client_id,
            approach: last.cmp(&price),
        };
        let account = self.account(key)?;
        let tier = account.tier();
        affordable(&account.cross, &order, tier)?;
        if new.limit.is_none() {
            return self.execute(key, order, OrderEvent::New, LedgerKind::CrossFilled, cause);
        }
        if account.cross.open.len() >= most {
            return rule("type", format!("at most {most} open orders"));
        }
        account.cross.open.push(order.clone());
        self.record_order(key, cause, LedgerKind::CrossOpened, &order);
        self.tell_order(key, OrderEvent::New, &order);
        self.tell_position(key, PositionEvent::New, cause)?;
        Ok(order)
    }

    /// Withdraws an open order.
    pub(in crate::simulator) fn cross_cancel(
        &mut self,
        key: &str,
        id: Uuid,
        cause: Cause,
    ) -> Result<Order, Refusal> {
        let cross = &mut self.account(key)?.cross;
        let Some(index) = cross.open.iter().position(|order| order.id == id) else {
            return if cross.done.iter().any(|order| order.id == id) {
                self.wrong_state("the order is already filled or canceled")
            } else {
                Err(Refusal::UnknownTrade)
            };
        };
        let order = cross.end(index, OrderState::Canceled, cause.now);
        self.record_order(key, cause, LedgerKind::CrossCanceled, &order);
        self.tell_order(key, OrderEvent::Canceled, &order);
        self.tell_position(key, PositionEvent::Cancel, cause)?;
        Ok(order)
    }

    /// Withdraws every open order; the answer lists them.
    pub(in crate::simulator) fn cross_cancel_all(
        &mut self,
        key: &str,
        cause: Cause,
    ) -> Result<Vec<Order>, Refusal> {
        let open = &self.account(key)?.cross.open;
        let ids: Vec<Uuid> = open.iter().map(|order| order.id).collect();
        ids.into_iter()
            .map(|id| self.cross_cancel(key, id, cause))
            .collect()
    }

    /// Closes the position by an opposite market order of its full size.
    pub(in crate::simulator) fn cross_close(
        &mut self,
        key: &str,
        cause: Cause,
    ) -> Result<Order, Refusal> {
        let position = self.account(key)?.cross.position;
        if position.is_flat() {
            return self.wrong_state("there is no position to close");
        }
        let price = self.exit_quote(position.side());
        let order = self.closing_order(position, OrderType::Market, price, cause);
        self.execute(key, order, OrderEvent::New, LedgerKind::CrossClosed, cause)
    }

    /// What a new price does: a liquidation, or the orders that it touches. An order that is not
    /// affordable any more when it is touched is withdrawn instead.
    pub(in crate::simulator::engine) fn trigger_cross(
        &mut self,
        key: &str,
        last: Price,
        cause: Cause,
    ) {
        let Ok(account) = self.account(key) else {
            return;
        };
        let (position, tier) = (account.cross.position, account.tier());
        if position.is_liquidated_at(last) {
            return self.liquidate_cross(key, position, tier, cause);
        }
        let touched: Vec<Uuid> = account
            .cross
            .open
            .iter()
            .filter(|order| order.is_touched_at(last))
            .map(|order| order.id)
            .collect();
        for id in touched {
            // Neither can be refused: the order was found open a line ago.
            let _ = self.fill_cross(key, id, tier, cause);
        }
    }

    fn fill_cross(&mut self, key: &str, id: Uuid, tier: u8, cause: Cause) -> Result<(), Refusal> {
        let cross = &mut self.account(key)?.cross;
        let Some(index) = cross.open.iter().position(|order| order.id == id) else {
            return Ok(());
        };
        let order = cross.open.remove(index);
        if affordable(cross, &order, tier).is_err() {
            cross.open.insert(index, order);
            return self.cross_cancel(key, id, cause).map(|_| ());
        }
        self.execute(
            key,
            order,
            OrderEvent::Limit,
            LedgerKind::CrossFilled,
            cause,
        )
        .map(|_| ())
    }

    /// The loss is the margin above the maintenance margin (the quoted price is a tick rounding of
    /// it), and the fee comes out of the maintenance margin; what is left of that stays.
    fn liquidate_cross(&mut self, key: &str, position: Position, tier: u8, cause: Cause) {
        let Some(level) = position.liquidation() else {
            return;
        };
        let reserve = position.maintenance().min(position.margin);
        let mut order = self.closing_order(position, OrderType::Liquidation, level, cause);
        order.fee = money::fee(position.size(), level, tier).min(reserve);
        let Ok(account) = self.account(key) else {
            return;
        };
        let held = &mut account.cross.position;
        held.execute(-position.quantity, level, 0);
        held.margin = reserve - order.fee;
        let lost = held.margin - position.margin;
        let order = finish(&mut account.cross, order, cause.now);
        self.record_cross(key, cause, LedgerKind::CrossLiquidated, order.id, |entry| {
            entry.amount = Some(lost);
            entry.quantity = Some(order.side.signed(order.quantity));
            entry.price = Some(order.price.to_f64());
        });
        self.tell_order(key, OrderEvent::New, &order);
        let _ = self.tell_position(key, PositionEvent::Liquidation, cause);
    }

    fn closing_order(
        &mut self,
        position: Position,
        kind: OrderType,
        price: Price,
        cause: Cause,
    ) -> Order {
        Order {
            id: self.next_id(),
            kind,
            side: position.side().opposite(),
            quantity: position.size(),
            price,
            fee: 0,
            state: OrderState::Open,
            created_at: cause.now,
            ended_at: None,
            client_id: None,
            approach: std::cmp::Ordering::Equal,
        }
    }

    /// Fills an order at its price: fee, position, ledger, events.
    fn execute(
        &mut self,
        key: &str,
        mut order: Order,
        event: OrderEvent,
        kind: LedgerKind,
        cause: Cause,
    ) -> Result<Order, Refusal> {
        let account = self.account(key)?;
        order.fee = money::fee(order.quantity, order.price, account.tier());
        account.volume += order.quantity;
        let delta = order.side.signed(order.quantity);
        let cross = &mut account.cross;
        cross.position.execute(delta, order.price, order.fee);
        let order = finish(cross, order, cause.now);
        self.record_order(key, cause, kind, &order);
        self.tell_order(key, event, &order);
        let news = match event {
            OrderEvent::Limit => PositionEvent::Limit,
            _ => PositionEvent::New,
        };
        self.tell_position(key, news, cause)?;
        Ok(order)
    }

    fn record_order(&mut self, key: &str, cause: Cause, kind: LedgerKind, order: &Order) {
        let filled = order.state == OrderState::Filled;
        self.record_cross(key, cause, kind, order.id, |entry| {
            entry.amount = filled.then_some(order.fee);
            entry.quantity = filled.then(|| order.side.signed(order.quantity));
            entry.price = Some(order.price.to_f64());
            entry.client_id.clone_from(&order.client_id);
        });
    }

    fn tell_order(&mut self, key: &str, event: OrderEvent, order: &Order) {
        self.outbox.push(Event {
            key: key.to_owned(),
            news: News::Order(event, Box::new(order.clone())),
        });
    }
}

/// Whether the margin bears the position that the order would leave, at the order's own price.
/// What only makes a position smaller is always borne.
fn affordable(cross: &Cross, order: &Order, tier: u8) -> Result<(), Refusal> {
    let held = cross.position;
    let mut after = held;
    let fee = money::fee(order.quantity, order.price, tier);
    after.execute(order.side.signed(order.quantity), order.price, fee);
    let shrinks = after.is_flat()
        || (after.quantity.signum() == held.quantity.signum() && after.size() < held.size());
    if shrinks {
        return Ok(());
    }
    let most = maths::max_position(held.leverage);
    if after.size() > most {
        return rule(
            "quantity",
            format!("the position may be {most} USD at this leverage"),
        );
    }
    if fee > held.margin || after.free(order.price, cross.in_orders()) <= 0 {
        return rule("quantity", "insufficient cross margin");
    }
    Ok(())
}

/// Ends an executed order, which was never among the open ones or has left them.
fn finish(cross: &mut Cross, mut order: Order, now: i64) -> Order {
    order.state = OrderState::Filled;
    order.ended_at = Some(cross.next_time(now));
    cross.done.push(order.clone());
    order
}
