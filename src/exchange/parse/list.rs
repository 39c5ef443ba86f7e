//! Lists of trades, read one by one: a trade that cannot be read spoils no other, and is never
//! taken for one that is not there.

use serde::de::DeserializeOwned;

use super::{OpenOrder, Unreadable, is_open, is_running, open_order, position};
use crate::domain::ids::PositionId;
use crate::domain::position::Position;
use crate::exchange::answer::unreadable;
use crate::exchange::error::{Effect, ExchangeError};
use crate::exchange::wire::{Head, Raw, Trade};

/// A trade of a list that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableTrade {
    /// Its id, if at least that can be read.
    pub id: Option<PositionId>,
    /// What is wrong with it.
    pub problem: String,
}

/// The running isolated trades, as far as they can be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Running {
    /// Those that can be read.
    pub positions: Vec<Position>,
    /// Those that run too, but cannot be read.
    pub unreadable: Vec<UnreadableTrade>,
}

impl Running {
    /// Whether a trade that is not among the positions may run all the same, unread. What is last
    /// known of such a trade must be kept.
    pub fn may_hold(&self, id: PositionId) -> bool {
        may_hold(&self.unreadable, id)
    }

    /// All positions, for whom an incomplete list is of no use.
    ///
    /// # Errors
    /// Where a trade cannot be read; it names the first.
    pub fn whole(self) -> Result<Vec<Position>, ExchangeError> {
        whole(self.positions, &self.unreadable)
    }
}

/// The open orders (limit orders that wait for their price), as far as they can be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OpenOrders {
    /// Those that can be read.
    pub orders: Vec<OpenOrder>,
    /// Those that are open too, but cannot be read.
    pub unreadable: Vec<UnreadableTrade>,
}

impl OpenOrders {
    /// Whether an order that is not among the readable ones may be open all the same, unread.
    pub fn may_hold(&self, id: PositionId) -> bool {
        may_hold(&self.unreadable, id)
    }
}

fn may_hold(unreadable: &[UnreadableTrade], id: PositionId) -> bool {
    unreadable
        .iter()
        .any(|trade| trade.id.is_none_or(|unread| unread == id))
}

fn whole<T>(readable: Vec<T>, unread: &[UnreadableTrade]) -> Result<Vec<T>, ExchangeError> {
    match unread.first() {
        None => Ok(readable),
        Some(trade) => {
            let id = trade.id.map(|id| format!(" {id}")).unwrap_or_default();
            let problem = Unreadable(format!("trade{id}: {}", trade.problem));
            Err(unreadable(Effect::Reads)(problem))
        }
    }
}

pub(in crate::exchange) fn running(list: &[Raw]) -> Running {
    let (positions, unreadable) = read(list, is_running, position);
    Running {
        positions,
        unreadable,
    }
}

pub(in crate::exchange) fn open_orders(list: &[Raw]) -> OpenOrders {
    let (orders, unreadable) = read(list, is_open, open_order);
    OpenOrders { orders, unreadable }
}

fn read<T>(
    list: &[Raw],
    belongs: impl Fn(&Trade) -> bool,
    parse: impl Fn(&Trade) -> Result<T, Unreadable>,
) -> (Vec<T>, Vec<UnreadableTrade>) {
    let (mut readable, mut unread) = (vec![], vec![]);
    for raw in list {
        let trade: Result<Trade, _> = serde_json::from_str(raw.get()).map_err(Unreadable::from);
        match trade {
            Ok(trade) if !belongs(&trade) => {}
            trade => match trade.and_then(|trade| parse(&trade)) {
                Ok(item) => readable.push(item),
                Err(Unreadable(problem)) => unread.push(UnreadableTrade {
                    id: id_of(raw),
                    problem,
                }),
            },
        }
    }
    (readable, unread)
}

fn id_of(raw: &Raw) -> Option<PositionId> {
    let json: serde_json::Value = serde_json::from_str(raw.get()).ok()?;
    json.get("id")?.as_str()?.parse().ok().map(PositionId)
}

/// The one item of a list that is looked for; the others need not be readable beyond what tells
/// them apart.
pub(in crate::exchange) fn find<T: DeserializeOwned>(
    list: &[Raw],
    is_it: impl Fn(&Head) -> bool,
) -> Result<Option<T>, Unreadable> {
    for raw in list {
        let head: Head = serde_json::from_str(raw.get())?;
        if is_it(&head) {
            return Ok(Some(serde_json::from_str(raw.get())?));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::super::isolated::tests::TRADE;
    use super::*;

    const BAD: PositionId = PositionId(uuid::Uuid::from_u128(7));
    const OTHER: PositionId = PositionId(uuid::Uuid::from_u128(8));

    fn list(trades: &[&str]) -> Vec<Raw> {
        serde_json::from_str(&format!("[{}]", trades.join(","))).unwrap()
    }

    fn bad(from: &str, to: &str) -> String {
        TRADE
            .replace("d0b9f9a0-4f6e-4a5a-8b7a-7f0f5f9a8a1e", &BAD.to_string())
            .replace(from, to)
    }

    #[test]
    fn a_trade_that_cannot_be_read_spoils_no_other_and_is_named() {
        for (from, to, named) in [
            (
                "\"side\":\"buy\"",
                "\"side\":\"up\\u202ewards\"",
                "up wards",
            ),
            ("\"quantity\":1000", "\"quantity\":\"many\"", "many"),
            ("\"margin\":100000,", "", "margin"),
            (
                "\"liquidation\":90909.5",
                "\"liquidation\":0",
                "liquidation",
            ),
        ] {
            let running = running(&list(&[TRADE, &bad(from, to)]));
            assert_eq!(running.positions.len(), 1);
            let [unread] = &running.unreadable[..] else {
                panic!("{running:?}")
            };
            assert_eq!(unread.id, Some(BAD));
            assert!(unread.problem.contains(named), "{}", unread.problem);
            assert!(running.may_hold(BAD) && !running.may_hold(OTHER));
            let error = running.whole().unwrap_err();
            assert!(error.message.contains(&BAD.to_string()), "{error}");
        }
    }

    #[test]
    fn a_trade_without_a_readable_id_may_be_any() {
        let running = running(&list(&[TRADE, "[]", "{\"id\":5}"]));
        assert_eq!((running.positions.len(), running.unreadable.len()), (1, 2));
        assert!(running.may_hold(OTHER));
    }

    #[test]
    fn what_does_not_run_is_neither_running_nor_unreadable() {
        let closed = TRADE.replace("\"closed\":false", "\"closed\":true");
        let running = running(&list(&[&closed]));
        assert_eq!(running, Running::default());
        assert_eq!(open_orders(&list(&[TRADE])), OpenOrders::default());
        let open = TRADE.replace("\"running\":true", "\"running\":false");
        assert_eq!(open_orders(&list(&[&open])).orders.len(), 1);
    }

    #[test]
    fn what_is_looked_for_must_be_readable_and_so_must_be_who_the_others_are() {
        let ours = TRADE.replace("\"clientId\":\"\"", "\"clientId\":\"ours\"");
        let is_ours = |head: &Head| head.client_id.as_deref() == Some("ours");
        let found = |list: &[Raw]| find::<Trade>(list, is_ours);
        let others = bad("\"side\":\"buy\"", "\"side\":\"up\"");
        assert!(found(&list(&[&others, &ours])).unwrap().is_some());
        assert!(found(&list(&[&others])).unwrap().is_none());
        let broken = ours.replace("\"side\":\"buy\"", "\"side\":\"up\"");
        assert!(found(&list(&[&broken])).is_err());
        assert!(found(&list(&["{\"id\":5}", &ours])).is_err());
    }
}
