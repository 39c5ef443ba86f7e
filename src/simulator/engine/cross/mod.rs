//! The cross account: margin in and out, leverage, funding. Orders are in [`orders`].

mod orders;
#[cfg(test)]
mod tests;

use uuid::Uuid;

use super::{
    Cause, Engine, Event, LedgerEntry, LedgerKind, News, PositionEvent, Refusal, Settlement, rule,
};
use crate::simulator::cross::{Cross, FundingFee, Position, Transfer};
use crate::simulator::money::{self, Nano, cross as maths};

pub(in crate::simulator) use orders::NewOrder;

/// Highest leverage of the cross position.
const MAX_LEVERAGE: i64 = 100;

impl Engine {
    /// Moves `amount` satoshis from the balance into the cross margin.
    pub(in crate::simulator) fn cross_deposit(
        &mut self,
        key: &str,
        amount: i64,
        cause: Cause,
    ) -> Result<Position, Refusal> {
        if amount < 1 {
            return rule("amount", "amount must be at least 1 sat");
        }
        let account = self.account(key)?;
        if amount > account.balance {
            return rule("amount", "insufficient balance");
        }
        account.balance -= amount;
        account.cross.position.margin += amount;
        self.transfer(key, amount, cause)?;
        self.cross_changed(
            key,
            cause,
            LedgerKind::CrossDeposited,
            PositionEvent::Deposit,
            amount,
        )
    }

    /// Moves `amount` satoshis of free cross margin to the balance.
    pub(in crate::simulator) fn cross_withdraw(
        &mut self,
        key: &str,
        amount: i64,
        cause: Cause,
    ) -> Result<Position, Refusal> {
        if amount < 1 {
            return rule("amount", "amount must be at least 1 sat");
        }
        let last = self.last;
        let account = self.account(key)?;
        let cross = &mut account.cross;
        // All of it when nothing binds it; else something must stay above what is bound.
        let idle = cross.position.is_flat() && cross.open.is_empty();
        let most = if idle {
            cross.position.margin
        } else {
            cross.position.free(last, cross.in_orders()) - 1
        };
        if amount > most {
            return rule("amount", "more than the free cross margin");
        }
        cross.position.margin -= amount;
        account.balance += amount;
        self.transfer(key, -amount, cause)?;
        self.cross_changed(
            key,
            cause,
            LedgerKind::CrossWithdrawn,
            PositionEvent::Withdraw,
            amount,
        )
    }

    /// Sets the leverage. Where the free margin is short for it, a running profit is realised
    /// into the margin first.
    pub(in crate::simulator) fn cross_leverage(
        &mut self,
        key: &str,
        leverage: i64,
        cause: Cause,
    ) -> Result<Position, Refusal> {
        if !(1..=MAX_LEVERAGE).contains(&leverage) {
            return rule("leverage", format!("must be from 1 to {MAX_LEVERAGE}"));
        }
        let last = self.last;
        let cross = &mut self.account(key)?.cross;
        let before = cross.position;
        cross.position.leverage = leverage;
        if !before.is_flat() && cross.position.free(last, cross.in_orders()) <= 0 {
            if cross.position.running_pl(last) > 0 {
                cross.position.rebase(last);
            }
            if cross.position.free(last, cross.in_orders()) <= 0 {
                cross.position = before;
                return rule("leverage", "insufficient cross margin for this leverage");
            }
        }
        if cross.position.size() > maths::max_position(leverage) {
            cross.position = before;
            return rule("leverage", "the position is too large for this leverage");
        }
        self.cross_changed(
            key,
            cause,
            LedgerKind::CrossLeverageSet,
            PositionEvent::Leverage,
            leverage,
        )
    }

    /// Settles funding of one cross position: cost and revenue both change the margin.
    pub(in crate::simulator::engine) fn settle_cross_funding(
        &mut self,
        key: &str,
        settlement: &Settlement,
        rate: Nano,
    ) {
        let Ok(account) = self.account(key) else {
            return;
        };
        let cross = &mut account.cross;
        let position = &mut cross.position;
        let fee = money::funding(position.side(), position.size(), settlement.fixing, rate);
        if position.is_flat() || fee == 0 {
            return;
        }
        position.book(-fee);
        position.funding_fees += fee;
        cross.funding_fees.push(FundingFee {
            time: settlement.time,
            settlement_id: settlement.id,
            fee,
        });
        let cause = Cause::engine(settlement.time);
        // Cannot be refused: the account was found a line ago.
        let _ = self.cross_changed(
            key,
            cause,
            LedgerKind::CrossFunding,
            PositionEvent::Funding,
            fee,
        );
    }

    /// Lists a transfer.
    fn transfer(&mut self, key: &str, amount: i64, cause: Cause) -> Result<(), Refusal> {
        let id = self.next_id();
        let cross = &mut self.account(key)?.cross;
        let time = cross.next_time(cause.now);
        cross.transfers.push(Transfer { id, time, amount });
        Ok(())
    }

    /// Records and tells a change of the position that no order made.
    fn cross_changed(
        &mut self,
        key: &str,
        cause: Cause,
        kind: LedgerKind,
        event: PositionEvent,
        amount: i64,
    ) -> Result<Position, Refusal> {
        let id = self.account(key)?.cross.position.id;
        self.record_cross(key, cause, kind, id, |entry| entry.amount = Some(amount));
        self.tell_position(key, event, cause)
    }

    fn record_cross(
        &mut self,
        key: &str,
        cause: Cause,
        kind: LedgerKind,
        id: Uuid,
        figures: impl FnOnce(&mut LedgerEntry),
    ) {
        let mut entry = self.entry(key, cause, kind, id);
        figures(&mut entry);
        self.ledger.push(entry);
    }

    /// Dates the position and tells its owner.
    fn tell_position(
        &mut self,
        key: &str,
        event: PositionEvent,
        cause: Cause,
    ) -> Result<Position, Refusal> {
        let last = self.last;
        let cross: &mut Cross = &mut self.account(key)?.cross;
        cross.position.updated_at = cause.now;
        cross.position.pl_then = cross.position.total_pl(last);
        let (position, in_orders) = (cross.position, cross.in_orders());
        self.outbox.push(Event {
            key: key.to_owned(),
            news: News::Position {
                event,
                position: Box::new(position),
                in_orders,
                last,
            },
        });
        Ok(position)
    }
}
