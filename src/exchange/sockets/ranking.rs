//! Whose turn it is: sockets go to the accounts nearest to liquidation, and stay where they are
//! unless another needs one much more.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::SocketLimits;
use super::address::Address;
use crate::domain::ids::AccountId;
use crate::domain::nearness::Nearness;

/// Who has not asked for so long wishes no longer.
const FRESH: Duration = Duration::from_secs(3);
/// So long an account may take until it is known how near to liquidation it is.
const UNREAD: Duration = Duration::from_secs(3);
/// How old the order of all accounts may be: making it costs as much as there are accounts.
const ORDER_AGE: Duration = Duration::from_millis(200);
/// So many times nearer to liquidation, an account takes the socket of another at any time.
const AT_ONCE: f64 = 3.0;
/// So many times, it takes one that was kept for long enough. Over 1, or two that are equally near
/// would take turns.
const IN_TIME: f64 = 1.5;

#[derive(Debug, Default)]
pub(super) struct Ranking {
    accounts: HashMap<AccountId, Standing>,
    order: Option<Order>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    expected_at: Duration,
    nearness: Option<Nearness>,
    /// When it last asked for a socket.
    asked_at: Option<Duration>,
    /// How many sockets it has, an old one and its successor at most, and since when.
    sockets: usize,
    since: Duration,
}

impl Standing {
    fn wishes(&self, now: Duration) -> bool {
        self.asked_at.is_some_and(|at| now < at + FRESH)
    }

    fn is_unread(&self, now: Duration) -> bool {
        self.nearness.is_none() && self.sockets == 0 && now < self.expected_at + UNREAD
    }

    fn near(&self) -> Nearness {
        self.nearness.unwrap_or_default()
    }
}

/// Who may connect now, and who gives its socket up.
#[derive(Debug, Default)]
struct Order {
    made_at: Duration,
    turn: HashSet<AccountId>,
    yields: HashSet<AccountId>,
    /// Sockets that are left when all have one that wish for one.
    spare: usize,
}

impl Ranking {
    pub(super) fn expect(&mut self, account: &AccountId, now: Duration) {
        let standing = self.accounts.entry(account.clone()).or_default();
        standing.expected_at = now;
        self.order = None;
    }

    pub(super) fn forget(&mut self, account: &AccountId) {
        self.accounts.remove(account);
    }

    pub(super) fn wishes(
        &mut self,
        account: &AccountId,
        nearness: Option<Nearness>,
        now: Duration,
    ) {
        let standing = self.accounts.entry(account.clone()).or_default();
        standing.asked_at = Some(now);
        standing.nearness = nearness.or(standing.nearness);
    }

    pub(super) fn given(&mut self, account: &AccountId, now: Duration) {
        let standing = self.accounts.entry(account.clone()).or_default();
        standing.asked_at = None;
        standing.since = now;
        standing.sockets += 1;
        if let Some(order) = &mut self.order {
            order.turn.remove(account);
        }
    }

    pub(super) fn gave_back(&mut self, account: &AccountId) {
        if let Some(standing) = self.accounts.get_mut(account) {
            standing.sockets = standing.sockets.saturating_sub(1);
        }
        self.order = None;
    }

    pub(super) fn is_turn_of(
        &mut self,
        account: &AccountId,
        addresses: &mut [Address],
        limits: &SocketLimits,
        now: Duration,
    ) -> bool {
        let order = self.ordered(addresses, limits, now);
        if order.turn.contains(account) {
            return true;
        }
        let spare = order.spare > 0;
        order.spare = order.spare.saturating_sub(1);
        spare
    }

    pub(super) fn keeps(
        &mut self,
        account: &AccountId,
        nearness: Nearness,
        addresses: &mut [Address],
        limits: &SocketLimits,
        now: Duration,
    ) -> bool {
        if let Some(standing) = self.accounts.get_mut(account) {
            standing.nearness = Some(nearness);
        }
        let order = self.ordered(addresses, limits, now);
        // Told once: until its place is free, the next order counts on it.
        !order.yields.remove(account)
    }

    fn ordered(
        &mut self,
        addresses: &mut [Address],
        limits: &SocketLimits,
        now: Duration,
    ) -> &mut Order {
        let old = |order: &Order| now >= order.made_at + ORDER_AGE;
        if self.order.as_ref().is_none_or(old) {
            self.order = Some(self.order(addresses, limits, now));
        }
        self.order.get_or_insert_default()
    }

    fn order(&self, addresses: &mut [Address], limits: &SocketLimits, now: Duration) -> Order {
        let (mut places, mut attempts, mut grants) = (0, 0, 0);
        for address in addresses {
            let free = address.free_places(limits, now);
            let may = address.attempts(limits, now);
            places += free;
            attempts += may;
            grants += free.min(may);
        }
        let unread = self.accounts.values().filter(|one| one.is_unread(now));
        let unread = unread.count();
        let mut wishing: Vec<_> = self
            .accounts
            .iter()
            .filter(|(_, one)| one.wishes(now))
            .collect();
        let others = wishing.iter().filter(|(_, one)| !one.is_unread(now));
        let interested = others.count() + unread;
        let mut order = Order {
            made_at: now,
            spare: grants.saturating_sub(interested),
            ..Order::default()
        };
        if interested > grants {
            // A place that may be due to one that is not known yet is kept free for a moment.
            wishing.retain(|(_, one)| !one.is_unread(now));
            grants = grants.saturating_sub(unread);
        }
        // Of equals always the same.
        wishing.sort_unstable_by(|(a, one), (b, other)| {
            other.near().compare(&one.near()).then_with(|| a.cmp(b))
        });
        let turn = wishing.iter().take(grants).map(|(id, _)| (*id).clone());
        order.turn = turn.collect();
        if unread == 0 && attempts > places {
            order.yields = self.yielding(&wishing[places.min(wishing.len())..], limits, now);
        }
        order
    }

    /// Who gives its socket up for one of those that no place is left for: the farthest for the
    /// nearest, one at a time, so that each is seen to be worth it.
    fn yielding(
        &self,
        left_out: &[(&AccountId, &Standing)],
        limits: &SocketLimits,
        now: Duration,
    ) -> HashSet<AccountId> {
        let Some((_, needy)) = left_out.first() else {
            return HashSet::new();
        };
        let holders = self.accounts.iter().filter(|(_, one)| one.sockets > 0);
        let farthest = holders.min_by(|(a, one), (b, other)| {
            one.near().compare(&other.near()).then_with(|| a.cmp(b))
        });
        let worth = |holder: &Standing| {
            let at_once = needy.near().is_times(AT_ONCE, holder.near());
            let kept = now >= holder.since + limits.kept;
            at_once || kept && needy.near().is_times(IN_TIME, holder.near())
        };
        farthest
            .filter(|(_, holder)| worth(holder))
            .map(|(id, _)| id.clone())
            .into_iter()
            .collect()
    }
}
