//! The commands: one request to the exchange for each action, and what its answer tells.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::super::connection::Learned;
use super::super::shared::Shared;
use super::super::work::Work;
use crate::domain::execution::{Action, Before, Opening, Reopening};
use crate::domain::units::{Sats, Usd};
use crate::exchange::{ClosedTrade, CrossOrder, ExchangeError, NewCrossOrder, NewTrade, StopLoss};

/// What was applied.
pub(super) struct Applied {
    /// What the exchange answered.
    pub(super) outcome: Value,
    /// What is to be opened again, after the first leg of a reduction.
    pub(super) then: Option<Reopening>,
}

impl From<Value> for Applied {
    fn from(outcome: Value) -> Self {
        Self {
            outcome,
            then: None,
        }
    }
}

/// Sends an action's request, once, signed at the time that its proof will count from.
pub(super) async fn apply(
    shared: &Shared,
    work: &Work,
    action: Action,
    before: Before,
) -> Result<Applied, ExchangeError> {
    let (account, id, at) = (&work.account, work.position, before.signed_at);
    let (rest, who) = (&account.rest, &account.credentials);
    let tell = |learned| account.connection.tell(learned);
    let client_id = || work.id.client_id();
    match action {
        Action::AddMargin { amount } => {
            let trade = rest.add_margin(who, id, amount, at).await?;
            let outcome = json!({
                "margin": trade.margin, "liquidation": trade.liquidation,
                "leverage": trade.leverage,
            });
            tell(Learned::Answered(trade, amount));
            Ok(outcome.into())
        }
        Action::ClosePosition | Action::CloseToReopen { .. } => {
            let closed = rest.close(who, id, at).await?;
            tell(Learned::Closed(closed.position.id));
            Ok(Applied {
                then: kept(action, &closed, rest.clock().now()),
                outcome: closing(&closed),
            })
        }
        Action::UpdateTp { to } => {
            let trade = rest.set_takeprofit(who, id, to, at).await?;
            let outcome = json!({ "takeprofit": trade.takeprofit });
            tell(Learned::Answered(trade, Sats::ZERO));
            Ok(outcome.into())
        }
        Action::UpdateSl { to } => {
            let trade = rest.set_stoploss(who, id, StopLoss::Fixed(to), at).await?;
            let outcome = json!({ "stoploss": trade.stoploss });
            tell(Learned::Answered(trade, Sats::ZERO));
            Ok(outcome.into())
        }
        Action::Open(opening) => {
            let trade = rest.open(who, &entry(opening, client_id()), at).await?;
            let outcome = json!({
                "tradeId": trade.id, "price": trade.price, "margin": trade.margin,
                "liquidation": trade.liquidation,
            });
            let spent = trade.margin + trade.maintenance_margin + trade.opening_fee;
            tell(Learned::Answered(trade, spent));
            Ok(outcome.into())
        }
        Action::Reopen(kept) => {
            let trade = rest.open(who, &reopened(kept, client_id()), at).await?;
            let outcome = json!({ "successorId": trade.id, "price": trade.price });
            let spent = trade.margin + trade.maintenance_margin + trade.opening_fee;
            tell(Learned::Answered(trade, spent));
            Ok(outcome.into())
        }
        Action::CrossClose { .. } => {
            let order = rest.cross_close(who, at).await?;
            tell(Learned::CrossChanged(shared.clock.mono()));
            Ok(ordered(&order).into())
        }
        Action::CrossReduce { side, quantity } => {
            let order = NewCrossOrder {
                side,
                quantity,
                client_id: client_id(),
            };
            let order = rest.cross_order(who, &order, at).await?;
            tell(Learned::CrossChanged(shared.clock.mono()));
            Ok(ordered(&order).into())
        }
        Action::CrossOpen(opening) => {
            let order = NewCrossOrder {
                side: opening.side,
                quantity: opening.quantity,
                client_id: client_id(),
            };
            let order = rest.cross_order(who, &order, at).await?;
            tell(Learned::CrossChanged(shared.clock.mono()));
            Ok(ordered(&order).into())
        }
        Action::CrossDeposit { amount } => {
            let reading = rest.cross_deposit(who, amount, at).await?;
            let outcome = json!({
                "margin": reading.margin,
                "liquidation": reading.position.as_ref().map(|position| position.liquidation),
            });
            tell(Learned::CrossAnswered(reading, amount));
            Ok(outcome.into())
        }
    }
}

/// The outcome of a close.
pub(super) fn closing(closed: &ClosedTrade) -> Value {
    json!({
        "pl": closed.pl, "closingFee": closed.closing_fee, "exitPrice": closed.exit_price,
    })
}

/// The outcome of a cross order.
pub(super) fn ordered(order: &CrossOrder) -> Value {
    json!({
        "tradeId": order.id, "price": order.price, "tradingFee": order.trading_fee,
        "quantity": order.quantity,
    })
}

/// What is to be opened again of a trade that was closed for it, `now` in exchange time.
pub(super) fn kept(action: Action, closed: &ClosedTrade, now: DateTime<Utc>) -> Option<Reopening> {
    let Action::CloseToReopen { keep } = action else {
        return None;
    };
    let price = closed.exit_price.unwrap_or(closed.position.price);
    let closed_at = closed.closed_at.unwrap_or(now);
    (keep > Usd(0)).then(|| Reopening::of(&closed.position, keep, price, closed_at))
}

fn entry(opening: Opening, client_id: String) -> NewTrade {
    NewTrade {
        stoploss: opening.stoploss.map(StopLoss::Fixed),
        takeprofit: opening.takeprofit,
        ..NewTrade::market(opening.side, opening.quantity, opening.leverage, client_id)
    }
}

fn reopened(kept: Reopening, client_id: String) -> NewTrade {
    let trailing = kept.trailing_distance.map(StopLoss::Trailing);
    NewTrade {
        stoploss: trailing.or(kept.stoploss.map(StopLoss::Fixed)),
        takeprofit: kept.takeprofit,
        ..NewTrade::market(kept.side, kept.quantity, kept.leverage, client_id)
    }
}
