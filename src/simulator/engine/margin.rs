//! Margin in and margin out.

use uuid::Uuid;

use super::{Cause, Engine, Refusal, rule};
use crate::simulator::ledger::LedgerKind;
use crate::simulator::money::{self, Price, Side};
use crate::simulator::trade::{Trade, TradeState};

impl Engine {
    /// Moves `amount` satoshis from the balance into a running trade.
    pub(in crate::simulator) fn add_margin(
        &mut self,
        key: &str,
        id: Uuid,
        amount: i64,
        cause: Cause,
    ) -> Result<Trade, Refusal> {
        if amount < 1 {
            return rule("amount", "amount must be at least 1 sat");
        }
        let position = self.find(key, id, TradeState::Running)?;
        let account = self.account(key)?;
        let trade = &account.live[position];
        let most = money::max_margin(trade.quantity, trade.price) - trade.margin;
        if amount > most {
            return rule("amount", "leverage would fall below 1");
        }
        if amount > account.balance {
            return rule("amount", "insufficient balance");
        }
        account.balance -= amount;
        let trade = &mut account.live[position];
        trade.margin += amount;
        trade.reprice();
        let trade = trade.clone();
        self.record(
            key,
            cause,
            LedgerKind::MarginAdded,
            &trade,
            Some(amount),
            None,
        );
        Ok(trade)
    }

    /// Moves `amount` satoshis from a running trade to the balance: first out of its profit,
    /// then out of its margin.
    pub(in crate::simulator) fn cash_in(
        &mut self,
        key: &str,
        id: Uuid,
        amount: i64,
        cause: Cause,
    ) -> Result<Trade, Refusal> {
        if amount < 1 {
            return rule("amount", "amount must be at least 1 sat");
        }
        let position = self.find(key, id, TradeState::Running)?;
        let last = self.last;
        let account = self.account(key)?;
        let mut trade = account.live[position].clone();
        let profit = trade.pl_at(last).max(0);
        let from_profit = amount.min(profit);
        let from_margin = amount - from_profit;
        if from_margin > 0 && profit > 0 {
            trade.price = last;
        } else if from_profit > 0 {
            trade.price = if from_profit == profit {
                last
            } else {
                money::price_after_cash_in(trade.side, trade.quantity, trade.price, from_profit)
            };
        }
        trade.margin -= from_margin;
        if trade.margin < 1 || money::over_max_leverage(trade.quantity, trade.margin, trade.price) {
            return rule("amount", "leverage would rise above 100");
        }
        trade.reprice();
        if trade.is_liquidated_at(last) {
            return rule("amount", "the trade would be liquidated at once");
        }
        trade.sum_cash_in_pl += from_profit;
        trade.sum_cash_in_margin += from_margin;
        let stop_is_beyond = match trade.side {
            Side::Buy => trade.stoploss < trade.liquidation,
            Side::Sell => trade.stoploss > trade.liquidation,
        };
        if trade.trailing.is_none() && !trade.stoploss.is_zero() && stop_is_beyond {
            trade.stoploss = Price::ZERO;
        }
        account.balance += amount;
        account.live[position] = trade.clone();
        self.record(key, cause, LedgerKind::CashedIn, &trade, Some(amount), None);
        Ok(trade)
    }
}
