//! Funding: when it is settled, and what it does.

use super::{Cause, Engine, EventKind, Settlement};
use crate::simulator::account::FundingFee;
use crate::simulator::ledger::LedgerKind;
use crate::simulator::money::{self, Price};
use crate::simulator::pacing::Speed;
use crate::simulator::trade::TradeState;

/// Milliseconds between settlements: 00:00, 08:00 and 16:00 UTC.
const PERIOD: i64 = 8 * 3_600_000;

/// The first settlement after a time, milliseconds.
fn next_after(time: i64) -> i64 {
    (time.div_euclid(PERIOD) + 1) * PERIOD
}

/// Where the tape is in its own time, and when its next settlement comes by the server's.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Schedule {
    tape: Option<i64>,
    next: Option<i64>,
}

impl Engine {
    /// The next settlement by the server's clock, milliseconds: that of the tape, where there is a
    /// tape with a pace, else that of the clock itself.
    pub(in crate::simulator) fn next_funding(&self, now: i64) -> i64 {
        let of_the_tape = self.schedule.next.filter(|next| *next > now);
        of_the_tape.unwrap_or_else(|| next_after(now))
    }

    /// Lets the tape reach a time of its own; `true` when a settlement lies between this and the
    /// one before. A gap over several of them is settled once.
    pub(in crate::simulator) fn reach(&mut self, tape: i64, speed: Speed, now: i64) -> bool {
        let passed = self.schedule.tape;
        let wait = u64::try_from(next_after(tape) - tape).unwrap_or_default();
        let wait = speed.scale(std::time::Duration::from_millis(wait));
        let wait = wait.and_then(|wait| i64::try_from(wait.as_millis()).ok());
        self.schedule = Schedule {
            tape: Some(tape),
            next: wait.map(|wait| now.saturating_add(wait)),
        };
        passed.is_some_and(|passed| tape >= next_after(passed))
    }

    /// Settles funding for all cross positions and running trades. Of a trade, a cost leaves the
    /// margin and a revenue goes to the balance. Leverage may exceed 100 by it; the next price liquidates what it must.
    pub(in crate::simulator) fn settle_funding(&mut self, rate: f64, fixing: Price, now: i64) {
        let settlement = Settlement {
            id: self.next_id(),
            time: now,
            rate,
            fixing,
        };
        let nano = Engine::nano(rate);
        let to_margin = self.choices.funding_revenue_to_margin;
        let mut changed = Vec::new();
        let keys: Vec<String> = self.accounts.keys().cloned().collect();
        for key in keys {
            self.settle_cross_funding(&key, &settlement, nano);
        }
        for (key, account) in &mut self.accounts {
            for trade in &mut account.live {
                if trade.state != TradeState::Running {
                    continue;
                }
                let fee = money::funding(trade.side, trade.quantity, fixing, nano);
                if fee == 0 {
                    continue;
                }
                if fee > 0 {
                    // A trade keeps at least a satoshi, so that its leverage stays a number.
                    trade.margin = (trade.margin - fee).max(1);
                    trade.reprice();
                } else if to_margin {
                    trade.margin -= fee;
                    trade.reprice();
                } else {
                    account.balance -= fee;
                }
                trade.sum_funding_fees += fee;
                account.funding_fees.push(FundingFee {
                    time: now,
                    settlement_id: settlement.id,
                    trade_id: trade.id,
                    fee,
                });
                changed.push((key.clone(), fee, trade.clone()));
            }
        }
        for (key, fee, trade) in changed {
            let cause = Cause::engine(now);
            self.record(
                &key,
                cause,
                LedgerKind::Funding,
                &trade,
                Some(fee),
                Some(fixing),
            );
            self.emit(&key, EventKind::Funding { fee, at: now }, &trade);
        }
        self.settlements.push(settlement);
    }
}
