//! One account: credentials, balance, trades, cross margin.

use uuid::Uuid;

use super::config::AccountConfig;
use super::cross::Cross;
use super::money;
use super::trade::{Trade, TradeState};

/// One funding payment of one trade.
#[derive(Clone, Debug)]
pub(super) struct FundingFee {
    pub(super) time: i64,
    pub(super) settlement_id: Uuid,
    pub(super) trade_id: Uuid,
    /// Satoshis, positive when paid.
    pub(super) fee: i64,
}

#[derive(Debug)]
pub(super) struct Account {
    pub(super) config: AccountConfig,
    pub(super) user_id: Uuid,
    /// Satoshis that are free for new margin.
    pub(super) balance: i64,
    pub(super) revoked: bool,
    /// Open and running trades, in the order of their creation.
    pub(super) live: Vec<Trade>,
    /// Closed and canceled trades, oldest first. Grows with the run, like the ledger.
    pub(super) done: Vec<Trade>,
    pub(super) funding_fees: Vec<FundingFee>,
    pub(super) cross: Cross,
    /// US dollars traded; nothing runs for the 30 days after which the exchange forgets them.
    pub(super) volume: i64,
    last_end: i64,
}

impl Account {
    pub(super) fn new(config: AccountConfig, user_id: Uuid, cross_id: Uuid) -> Self {
        Account {
            balance: config.balance_sats,
            cross: Cross::new(cross_id, config.cross_margin_sats),
            config,
            user_id,
            revoked: false,
            volume: 0,
            live: Vec::new(),
            done: Vec::new(),
            funding_fees: Vec::new(),
            last_end: 0,
        }
    }

    /// Fee tier: the one that was given, or what the traded volume has reached, whichever is
    /// better.
    pub(super) fn tier(&self) -> u8 {
        self.config.fee_tier.max(money::tier_of(self.volume))
    }

    pub(super) fn may(&self, scope: &str) -> bool {
        self.config.permissions.iter().any(|have| have == scope)
    }

    /// Moves the trade at `position` of the live list to the done list.
    ///
    /// Its end is at least a millisecond after the previous one's: pages are cut by that time,
    /// so two equal ones at a page's edge would hide a trade.
    pub(super) fn finish(&mut self, position: usize, state: TradeState, now: i64) -> &mut Trade {
        let mut trade = self.live.remove(position);
        self.last_end = now.max(self.last_end + 1);
        trade.state = state;
        trade.closed_at = Some(self.last_end);
        self.done.push(trade);
        let last = self.done.len() - 1;
        &mut self.done[last]
    }

    pub(super) fn live_position(&self, id: Uuid) -> Option<usize> {
        self.live.iter().position(|trade| trade.id == id)
    }

    pub(super) fn is_done(&self, id: Uuid) -> bool {
        self.done.iter().any(|trade| trade.id == id)
    }
}
