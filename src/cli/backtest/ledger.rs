//! The account of a replay: its balance, its positions, and what commands and the market do to
//! them, by the exchange's rules.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::super::opened::{self, Order};
use super::holding::{EndedBy, Ending, Held, Holding, Tally};
use super::spec::Spec;
use crate::domain::execution::{Action, Opening, Reopening};
use crate::domain::ids::PositionId;
use crate::domain::maths::cross::{CrossAccount, Exposure};
use crate::domain::maths::fees::{FeeTier, Reserve, credit, trading_fee};
use crate::domain::maths::{self, funding};
use crate::domain::position::{MarginMode, Position};
use crate::domain::units::{Price, Sats};

/// The account.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    pub balance: Sats,
    pub tier: FeeTier,
    pub holdings: Vec<Holding>,
    /// Positions opened so far: their ids are counted.
    opened: u128,
}

/// What the exchange says to a command.
pub(super) type Answer = Result<(), String>;

impl Ledger {
    pub fn new(balance: Sats, tier: FeeTier) -> Self {
        Self {
            balance,
            tier,
            holdings: vec![],
            opened: 0,
        }
    }

    fn next_id(&mut self) -> PositionId {
        self.opened += 1;
        PositionId(Uuid::from_u128(self.opened))
    }

    /// Puts a position there that was opened before the replay. `cross_margin` is what the cross
    /// account holds.
    ///
    /// # Errors
    /// There is a cross position already, or its margin does not carry it.
    pub fn place(
        &mut self,
        spec: &Spec,
        cross_margin: Sats,
        first: Price,
        at: DateTime<Utc>,
    ) -> Answer {
        let id = self.next_id();
        let entry = spec.entry.unwrap_or(first);
        let order = Order {
            side: spec.side,
            quantity: spec.quantity,
            price: entry,
            leverage: spec.leverage,
        };
        let (held, paid_in) = match spec.mode {
            MarginMode::Isolated => {
                let mut trade = opened::trade(order, self.tier, id, at);
                trade.stoploss = spec.stoploss;
                trade.takeprofit = spec.takeprofit;
                let paid_in = trade.margin + trade.maintenance_margin;
                (Held::Isolated(trade), paid_in)
            }
            MarginMode::Cross => {
                let exposure = Exposure {
                    side: spec.side,
                    quantity: spec.quantity,
                    entry,
                };
                self.carried(exposure, cross_margin, spec.leverage)?;
                let account = CrossAccount {
                    margin: cross_margin,
                    exposure: Some(exposure),
                };
                (Held::Cross(account), cross_margin)
            }
        };
        self.holdings.push(Holding {
            label: spec.to_string(),
            id,
            leverage: spec.leverage,
            since: at,
            tally: Tally {
                paid_in,
                ..Tally::default()
            },
            ending: None,
            held,
        });
        Ok(())
    }

    /// A cross account without a position, for entries.
    pub fn place_cross_account(&mut self, margin: Sats, at: DateTime<Utc>) {
        let id = self.next_id();
        let account = CrossAccount {
            margin,
            exposure: None,
        };
        self.holdings.push(Holding {
            label: "cross account".to_owned(),
            id,
            leverage: 1.0,
            since: at,
            tally: Tally {
                paid_in: margin,
                ..Tally::default()
            },
            ending: None,
            held: Held::Cross(account),
        });
    }

    fn carried(&self, exposure: Exposure, margin: Sats, leverage: f64) -> Answer {
        let is_cross = |holding: &Holding| matches!(holding.held, Held::Cross(_));
        if self.holdings.iter().any(is_cross) {
            return Err("an account has one cross position".to_owned());
        }
        let times = leverage as i64;
        if exposure.is_carried_by(margin, times) {
            return Ok(());
        }
        let needed = exposure.running_margin(times) + exposure.maintenance_margin();
        Err(format!(
            "a cross margin of {margin} does not carry this position: it takes more than {needed} \
             (--cross-margin)"
        ))
    }

    /// Carries out a command on the position at `index`.
    pub fn apply(&mut self, index: usize, action: Action, at: Price, now: DateTime<Utc>) -> Answer {
        let tier = self.tier;
        let Some(holding) = self.holdings.get_mut(index) else {
            return Err("there is no such position".to_owned());
        };
        match (action, &mut holding.held) {
            (Action::ClosePosition | Action::CrossClose { .. }, _) => {
                self.end(index, EndedBy::Rule, at, at, now);
            }
            (Action::AddMargin { amount }, Held::Isolated(trade)) => {
                *trade = maths::with_margin_added(trade, amount);
                self.pay_in(index, amount);
            }
            (Action::CrossDeposit { amount }, Held::Cross(account)) => {
                account.margin += amount;
                self.pay_in(index, amount);
            }
            (Action::UpdateTp { to }, Held::Isolated(trade)) => trade.takeprofit = Some(to),
            (Action::UpdateSl { to }, Held::Isolated(trade)) => trade.stoploss = Some(to),
            (Action::CrossReduce { side, quantity }, Held::Cross(account)) => {
                *account = account.filled(side, quantity, at, tier);
                holding.tally.trading_fees += trading_fee(quantity, at, tier);
            }
            (Action::CloseToReopen { keep }, Held::Isolated(trade)) => {
                let leg = Reopening::of(trade, keep, at, now);
                return self.reopen(index, leg, at, now);
            }
            (action, _) => return Err(format!("{} does not fit this position", action.as_str())),
        }
        Ok(())
    }

    fn pay_in(&mut self, index: usize, amount: Sats) {
        self.balance = self.balance - amount;
        if let Some(holding) = self.holdings.get_mut(index) {
            holding.tally.paid_in += amount;
            holding.tally.margin_added += amount;
        }
    }

    /// Closes a trade and opens what is kept of it.
    fn reopen(&mut self, index: usize, leg: Reopening, at: Price, now: DateTime<Utc>) -> Answer {
        self.end(index, EndedBy::Rule, at, at, now);
        let leg = leg.with_valid_stops(at);
        let id = self.next_id();
        let order = Order {
            side: leg.side,
            quantity: leg.quantity,
            price: at,
            leverage: leg.leverage,
        };
        let mut trade = opened::trade(order, self.tier, id, now);
        trade.stoploss = leg.stoploss;
        trade.takeprofit = leg.takeprofit;
        let debit = debit(&trade);
        if debit > self.balance {
            return Err(format!("closed_not_reopened: it takes {debit}"));
        }
        self.balance = self.balance - debit;
        if let Some(holding) = self.holdings.get_mut(index) {
            holding.id = id;
            holding.since = now;
            holding.ending = None;
            holding.tally.paid_in += debit;
            holding.tally.trading_fees += trade.opening_fee;
            holding.held = Held::Isolated(trade);
        }
        Ok(())
    }

    /// Opens a position at the market.
    pub fn enter(&mut self, action: Action, at: Price, now: DateTime<Utc>) -> Answer {
        match action {
            Action::Open(opening) => self.open(opening, at, now),
            Action::CrossOpen(opening) => self.cross_open(opening, at),
            other => Err(format!("{} opens nothing", other.as_str())),
        }
    }

    fn open(&mut self, opening: Opening, at: Price, now: DateTime<Utc>) -> Answer {
        let id = self.next_id();
        let order = Order {
            side: opening.side,
            quantity: opening.quantity,
            price: at,
            leverage: opening.leverage,
        };
        let mut trade = opened::trade(order, self.tier, id, now);
        trade.stoploss = opening.stoploss;
        trade.takeprofit = opening.takeprofit;
        let debit = debit(&trade);
        if debit > self.balance {
            return Err(format!("insufficient balance: it takes {debit}"));
        }
        self.balance = self.balance - debit;
        let tally = Tally {
            paid_in: debit,
            trading_fees: trade.opening_fee,
            ..Tally::default()
        };
        let (side, leverage) = (opening.side.direction(), opening.leverage);
        self.holdings.push(Holding {
            label: format!("entry {side}:{}@{at}x{leverage}", opening.quantity.0),
            id,
            leverage,
            since: now,
            tally,
            ending: None,
            held: Held::Isolated(trade),
        });
        Ok(())
    }

    /// Adds to the account's cross position.
    fn cross_open(&mut self, opening: Opening, at: Price) -> Answer {
        let tier = self.tier;
        for holding in &mut self.holdings {
            let Held::Cross(account) = &mut holding.held else {
                continue;
            };
            let after = account.filled(opening.side, opening.quantity, at, tier);
            let leverage = opening.leverage as i64;
            let carries = |exposure: Exposure| exposure.is_carried_by(after.margin, leverage);
            if !after.exposure.is_none_or(carries) {
                return Err("the cross margin does not carry it".to_owned());
            }
            holding.leverage = opening.leverage;
            holding.tally.trading_fees += trading_fee(opening.quantity, at, tier);
            *account = after;
            return Ok(());
        }
        Err("there is no cross margin: give --cross-margin".to_owned())
    }

    /// Ends the position at `index`: `price` is what its P&L is taken at, `seen` the market's.
    pub fn end(
        &mut self,
        index: usize,
        by: EndedBy,
        price: Price,
        seen: Price,
        now: DateTime<Utc>,
    ) {
        let tier = self.tier;
        let Some(holding) = self.holdings.get_mut(index) else {
            return;
        };
        match &mut holding.held {
            Held::Isolated(trade) => {
                let fee = trading_fee(trade.quantity, price, tier);
                let pl = match by {
                    EndedBy::Liquidation => -trade.margin,
                    _ => maths::pl(trade, price),
                };
                let back = credit(trade.margin, trade.maintenance_margin, fee, pl).or_zero();
                holding.tally.trading_fees += fee;
                holding.tally.paid_out += back;
                self.balance += back;
                holding.held = Held::Nothing;
            }
            Held::Cross(account) => {
                let Some(exposure) = account.exposure.take() else {
                    return;
                };
                let fee = trading_fee(exposure.quantity, price, tier);
                holding.tally.trading_fees += fee;
                account.margin = match by {
                    // Of the margin only what was reserved is left, after the fee.
                    EndedBy::Liquidation => (exposure.maintenance_margin() - fee).or_zero(),
                    _ => account.margin + exposure.pl(price) - fee,
                };
            }
            Held::Nothing => return,
        }
        holding.ending = Some(Ending {
            by,
            time: now,
            price: seen,
        });
    }

    /// Settles funding for all positions.
    pub fn settle(&mut self, fixing: Price, rate: f64) {
        for holding in &mut self.holdings {
            let Some(position) = holding.position() else {
                continue;
            };
            let fee = funding::fee(position.side, position.quantity, fixing, rate);
            holding.tally.funding += fee;
            match &mut holding.held {
                Held::Isolated(trade) => {
                    *trade = funding::settled(trade, fee);
                    let received = (-fee).or_zero();
                    holding.tally.paid_out += received;
                    self.balance += received;
                }
                Held::Cross(account) => account.margin = account.margin - fee,
                Held::Nothing => {}
            }
        }
    }
}

fn debit(trade: &Position) -> Sats {
    Reserve::of(trade.quantity, trade.price, trade.liquidation).debit(trade.margin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::position::Side;
    use crate::domain::units::Usd;

    fn price(usd: f64) -> Price {
        Price::from_usd(usd).unwrap()
    }

    fn ledger(spec: &str, cross_margin: i64) -> Ledger {
        let mut ledger = Ledger::new(Sats(1_000_000), FeeTier::One);
        let spec = spec.parse().unwrap();
        let placed = ledger.place(&spec, Sats(cross_margin), price(100_000.0), at());
        placed.unwrap();
        ledger
    }

    fn at() -> DateTime<Utc> {
        DateTime::UNIX_EPOCH
    }

    #[test]
    fn a_liquidation_costs_margin_and_reserve_and_a_close_the_loss_and_its_fee() {
        let mut lost = ledger("long:1000@100000x10", 0);
        lost.end(
            0,
            EndedBy::Liquidation,
            price(90_909.0),
            price(90_909.0),
            at(),
        );
        let result = lost.holdings[0].result(price(80_000.0), lost.tier);
        assert_eq!(result, Sats(-101_100));
        assert_eq!(lost.balance, Sats(1_000_000));
        let mut closed = ledger("long:1000@100000x10", 0);
        closed
            .apply(0, Action::ClosePosition, price(95_000.0), at())
            .unwrap();
        let result = closed.holdings[0].result(price(80_000.0), closed.tier);
        assert_eq!(result, Sats(-52_632 - 1052));
        assert_eq!(closed.balance, Sats(1_000_000 + 101_100 - 52_632 - 1052));
    }

    #[test]
    fn margin_that_is_added_is_not_lost() {
        let mut ledger = ledger("long:1000@100000x10", 0);
        let add = Action::AddMargin {
            amount: Sats(76_471),
        };
        ledger.apply(0, add, price(95_000.0), at()).unwrap();
        let position = ledger.holdings[0].position().unwrap();
        assert_eq!(position.liquidation, price(85_000.0));
        let result = ledger.holdings[0].result(price(95_000.0), ledger.tier);
        assert_eq!(result, Sats(-52_632 - 1052));
    }

    #[test]
    fn a_reduction_pays_two_fees_and_keeps_the_rest_at_the_new_price() {
        let mut ledger = ledger("long:1000@100000x10:sl=91000:tp=94500", 0);
        let reduce = Action::CloseToReopen { keep: Usd(700) };
        ledger.apply(0, reduce, price(95_000.0), at()).unwrap();
        let holding = &ledger.holdings[0];
        let position = holding.position().unwrap();
        assert_eq!(
            (position.quantity, position.price),
            (Usd(700), price(95_000.0))
        );
        assert_eq!(position.stoploss, Some(price(91_000.0)));
        assert_eq!(position.takeprofit, None, "it would be under the price");
        assert_eq!(holding.tally.trading_fees, Sats(1052 + 736));
        let result = holding.result(price(95_000.0), ledger.tier);
        assert_eq!(result, Sats(-52_632 - 1052 - 736 - 736));
    }

    #[test]
    fn a_cross_position_is_reduced_fed_and_liquidated_on_its_account() {
        let mut ledger = ledger("long:1000@100000x10:cross", 500_000);
        let deposit = Action::CrossDeposit {
            amount: Sats(100_000),
        };
        ledger.apply(0, deposit, price(95_000.0), at()).unwrap();
        let reduce = Action::CrossReduce {
            side: Side::Sell,
            quantity: Usd(400),
        };
        ledger.apply(0, reduce, price(110_000.0), at()).unwrap();
        let position = ledger.holdings[0].position().unwrap();
        assert_eq!(position.quantity, Usd(600));
        assert_eq!(position.margin, Sats(600_000 + 36_364 - 363));
        ledger.end(
            0,
            EndedBy::Liquidation,
            price(50_000.0),
            price(50_000.0),
            at(),
        );
        assert_eq!(ledger.holdings[0].position(), None);
        let spec = "long:1000@100000x10:cross".parse().unwrap();
        let error = ledger.place(&spec, Sats(500_000), price(1.0), at());
        assert!(error.unwrap_err().contains("one cross position"));
    }

    #[test]
    fn funding_is_paid_from_the_margin_and_received_on_the_balance() {
        let mut paid = ledger("long:1000@100000x10", 0);
        paid.settle(price(100_500.0), 0.0001);
        assert_eq!(paid.holdings[0].position().unwrap().margin, Sats(99_900));
        let mut received = ledger("short:1000@100000x10", 0);
        received.settle(price(100_500.0), 0.0001);
        assert_eq!(received.balance, Sats(1_000_100));
        let result = received.holdings[0].result(price(100_000.0), received.tier);
        assert_eq!(result, Sats(100 - 1000));
    }
}
