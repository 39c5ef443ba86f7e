//! The cross account, driven directly: netting, requirements, limits, liquidation, funding.

use proptest::prelude::*;

use super::super::{AccountConfig, News, OrderEvent};
use super::*;
use crate::simulator::cross::{OrderState, OrderType};
use crate::simulator::money::{Price, Side};

const KEY: &str = "k";

fn usd(price: f64) -> Price {
    Price::from_f64(price).unwrap()
}

/// An exchange at 100,000 USD, one account with so much cross margin at 10x.
fn engine(margin: i64) -> Engine {
    let mut engine = Engine::new(1, usd(100_000.0), Price::ZERO);
    let account = AccountConfig::new(KEY, "s", "p", 1_000_000).with_cross_margin(margin);
    engine.add_account(account);
    engine.cross_leverage(KEY, 10, api(0)).unwrap();
    engine.take_events();
    engine
}

fn api(now: i64) -> Cause {
    Cause {
        now,
        request_timestamp: Some(now),
    }
}

fn order(side: Side, quantity: i64, limit: Option<f64>) -> NewOrder {
    NewOrder {
        side,
        quantity,
        limit: limit.map(usd),
        client_id: Some("c1".into()),
    }
}

impl Engine {
    fn market(&mut self, side: Side, quantity: i64) -> Result<i64, Refusal> {
        self.cross_place(KEY, order(side, quantity, None), api(1))
            .map(|order| order.fee)
    }

    fn held(&self) -> Position {
        self.accounts[KEY].cross.position
    }

    fn told(&mut self) -> Vec<String> {
        let name = |event: Event| match event.news {
            News::Order(event, _) => format!("order {event:?}"),
            News::Position { event, .. } => format!("position {event:?}"),
            News::Trade(kind, _) => format!("trade {kind:?}"),
        };
        self.take_events().into_iter().map(name).collect()
    }

    fn kinds(&self) -> Vec<LedgerKind> {
        let entries = self.ledger.entries().iter();
        entries.map(|entry| entry.kind).collect()
    }
}

#[test]
fn the_worked_example_and_its_short_mirror() {
    for (side, level) in [(Side::Buy, 66_733.5), (Side::Sell, 199_402.0)] {
        // 1000 sats of it are the fee.
        let mut x = engine(501_000);
        assert_eq!(x.market(side, 1000), Ok(1000));
        let held = x.held();
        assert_eq!((held.margin, held.quantity), (500_000, side.signed(1000)));
        assert_eq!((held.running_margin(), held.maintenance()), (100_000, 1500));
        assert_eq!(held.liquidation(), Some(usd(level)));
        assert_eq!(held.free(usd(100_000.0), 0), 398_500);
        assert_eq!(x.told(), ["order New", "position New"]);
    }
}

#[test]
fn the_same_side_averages_the_entry() {
    let mut x = engine(5_000_000);
    x.market(Side::Buy, 1000).unwrap();
    x.tick(usd(50_000.0), 2);
    x.market(Side::Buy, 2000).unwrap();
    let held = x.held();
    assert_eq!((held.quantity, held.entry), (3000, usd(60_000.0)));
    assert_eq!((held.trading_fees, held.realised), (1000 + 4000, 0));
}

#[test]
fn a_reduction_books_a_profit_and_keeps_the_entry() {
    let mut x = engine(501_000);
    x.market(Side::Buy, 1000).unwrap();
    x.tick(usd(110_000.0), 2);
    assert_eq!(x.market(Side::Sell, 400), Ok(363));
    let held = x.held();
    assert_eq!((held.quantity, held.entry), (600, usd(100_000.0)));
    assert_eq!(
        (held.margin, held.realised),
        (500_000 + 36_364 - 363, 36_364)
    );
    assert_eq!(held.total_pl(x.last), 36_364 + 54_545);
}

#[test]
fn a_reduction_carries_a_loss_on_in_the_entry() {
    let mut x = engine(501_000);
    x.market(Side::Buy, 1000).unwrap();
    x.tick(usd(90_000.0), 2);
    assert_eq!(x.held().running_pl(x.last), -111_111);
    assert_eq!(x.market(Side::Sell, 500), Ok(555));
    let held = x.held();
    assert_eq!((held.quantity, held.entry), (500, usd(112_500.0)));
    assert_eq!((held.margin, held.running_pl(x.last)), (499_445, -111_111));
}

#[test]
fn a_loss_that_no_entry_can_carry_is_realised() {
    let mut x = engine(501_000);
    x.market(Side::Buy, 1000).unwrap();
    x.tick(usd(80_000.0), 2);
    x.market(Side::Sell, 999).unwrap();
    let held = x.held();
    assert_eq!((held.quantity, held.entry), (1, usd(100_000.0)));
    assert_eq!(held.realised, -249_750);
    assert_eq!(held.margin, 500_000 - 249_750 - 1248);
}

#[test]
fn opposite_orders_net_and_then_flip() {
    let mut x = engine(501_000);
    x.market(Side::Buy, 1000).unwrap();
    let id = x.held().id;
    x.tick(usd(110_000.0), 2);
    assert_eq!(x.market(Side::Sell, 1500), Ok(1363));
    let held = x.held();
    assert_eq!(
        (held.quantity, held.entry, held.id),
        (-500, usd(110_000.0), id)
    );
    assert_eq!(held.margin, 500_000 + 90_909 - 1363);
    assert_eq!((held.realised, held.trading_fees), (0, 1363));
    x.market(Side::Buy, 500).unwrap();
    let held = x.held();
    assert!(held.is_flat() && held.liquidation().is_none() && held.entry.is_zero());
    assert_eq!(
        (held.id, held.trading_fees, held.total_pl(x.last)),
        (id, 0, 0)
    );
}

#[test]
fn closing_is_an_opposite_market_order_of_the_full_size() {
    let mut x = engine(501_000);
    assert!(x.cross_close(KEY, api(1)).is_err(), "nothing to close");
    x.market(Side::Sell, 1000).unwrap();
    let closing = x.cross_close(KEY, api(2)).unwrap();
    assert_eq!((closing.kind, closing.side), (OrderType::Market, Side::Buy));
    assert_eq!((closing.quantity, closing.fee), (1000, 1000));
    assert_eq!(
        (closing.state, closing.client_id),
        (OrderState::Filled, None)
    );
    assert_eq!((x.held().quantity, x.held().margin), (0, 499_000));
    use LedgerKind::*;
    assert_eq!(x.kinds(), [CrossLeverageSet, CrossFilled, CrossClosed]);
}

#[test]
fn the_margin_must_bear_the_position() {
    // 1000 USD at 10x: fee 1000, running margin 100,000, maintenance margin 1500.
    let mut x = engine(102_500);
    assert!(x.market(Side::Buy, 1000).is_err(), "nothing would be free");
    let mut x = engine(102_501);
    assert_eq!(x.market(Side::Buy, 1000), Ok(1000));
    assert!(x.market(Side::Buy, 1).is_err());
    assert!(
        x.market(Side::Sell, 3000).is_err(),
        "a flip must be borne too"
    );
    assert!(x.market(Side::Sell, 500).is_ok(), "what shrinks is borne");
    assert_eq!(x.kinds().len(), 3, "refusals are not recorded");
    let mut x = engine(1 << 40);
    assert!(x.market(Side::Buy, 500_001).is_err());
    assert!(x.market(Side::Buy, 0).is_err());
    for _ in 0..29 {
        x.market(Side::Buy, 500_000).unwrap();
    }
    assert!(x.market(Side::Buy, 45_456).is_err(), "14,545,455 at 10x");
    assert!(x.market(Side::Buy, 45_455).is_ok());
    assert!(
        x.cross_leverage(KEY, 11, api(3)).is_err(),
        "too large for 11x"
    );
}

#[test]
fn liquidation_takes_all_but_what_is_left_of_the_maintenance_margin() {
    let mut x = engine(501_000);
    x.market(Side::Buy, 1000).unwrap();
    x.told();
    x.tick(usd(66_734.0), 2);
    assert_eq!(x.held().quantity, 1000);
    x.tick(usd(60_000.0), 3);
    let held = x.held();
    // The fee at 66,733.5 is 1498 of the 1500.
    assert_eq!((held.quantity, held.margin), (0, 2));
    assert_eq!(x.told(), ["order New", "position Liquidation"]);
    let last = x.accounts[KEY].cross.done.last().unwrap().clone();
    assert_eq!(
        (last.kind, last.price),
        (OrderType::Liquidation, usd(66_733.5))
    );
    let entry = x.ledger.entries().last().unwrap();
    assert_eq!(
        (entry.kind, entry.amount),
        (LedgerKind::CrossLiquidated, Some(-499_998))
    );
}

#[test]
fn a_short_without_leverage_is_never_liquidated() {
    let mut x = engine(2_100_000);
    x.market(Side::Sell, 1000).unwrap();
    assert_eq!(x.held().liquidation(), Some(Price::MAX));
    x.tick(Price::MAX, 2);
    assert_eq!(x.held().quantity, -1000);
}

#[test]
fn a_limit_order_waits_binds_margin_and_fills_by_touch() {
    for (side, limit, before, touch) in [
        (Side::Buy, 99_000.0, 99_000.5, 98_999.0),
        (Side::Sell, 99_000.0, 99_000.5, 98_999.0),
        (Side::Buy, 101_000.0, 100_999.5, 101_000.0),
    ] {
        let mut x = engine(501_000);
        let placed = x.cross_place(KEY, order(side, 1000, Some(limit)), api(1));
        assert_eq!(placed.unwrap().fee, 0);
        let bound = x.accounts[KEY].cross.in_orders();
        assert_eq!(bound, maths::running_margin(1000, usd(limit), 10));
        x.tick(usd(before), 2);
        assert!(x.held().is_flat(), "{side:?} {limit}");
        x.tick(usd(touch), 3);
        assert_eq!(x.held().quantity, side.signed(1000));
        assert_eq!(
            (x.held().entry, x.accounts[KEY].cross.in_orders()),
            (usd(limit), 0)
        );
        let told = ["order New", "position New", "order Limit", "position Limit"];
        assert_eq!(x.told(), told);
    }
}

#[test]
fn an_order_that_cannot_be_paid_any_more_is_withdrawn_when_touched() {
    let mut x = engine(120_000);
    let limit = order(Side::Buy, 1000, Some(99_000.0));
    x.cross_place(KEY, limit, api(1)).unwrap();
    // What is bound by the order may not be withdrawn, but the position may eat it.
    assert!(x.cross_withdraw(KEY, 20_000, api(1)).is_err());
    x.accounts.get_mut(KEY).unwrap().cross.position.margin = 90_000;
    x.tick(usd(99_000.0), 2);
    assert!(x.held().is_flat());
    let told = [
        "order New",
        "position New",
        "order Canceled",
        "position Cancel",
    ];
    assert_eq!(x.told(), told);
}

#[test]
fn cancelling_one_and_all() {
    let mut x = engine(501_000);
    let place = |x: &mut Engine| {
        let limit = order(Side::Buy, 10, Some(90_000.0));
        x.cross_place(KEY, limit, api(1)).unwrap().id
    };
    let first = place(&mut x);
    place(&mut x);
    place(&mut x);
    assert_eq!(
        x.cross_cancel(KEY, first, api(2)).unwrap().state,
        OrderState::Canceled
    );
    assert!(matches!(
        x.cross_cancel(KEY, first, api(2)),
        Err(Refusal::WrongState(..))
    ));
    assert_eq!(
        x.cross_cancel(KEY, Uuid::nil(), api(2)),
        Err(Refusal::UnknownTrade)
    );
    assert_eq!(x.cross_cancel_all(KEY, api(2)).unwrap().len(), 2);
    assert_eq!(x.cross_cancel_all(KEY, api(2)).unwrap().len(), 0);
    assert_eq!(x.held().margin, 501_000);
}

#[test]
fn margin_moves_between_balance_and_cross() {
    let mut x = engine(0);
    assert!(x.cross_deposit(KEY, 1_000_001, api(1)).is_err());
    assert!(x.cross_deposit(KEY, 0, api(1)).is_err());
    assert_eq!(
        x.cross_deposit(KEY, 501_000, api(1)).unwrap().margin,
        501_000
    );
    assert_eq!(x.accounts[KEY].balance, 499_000);
    x.market(Side::Buy, 1000).unwrap();
    // Free are 398,500; one of them must stay.
    assert!(x.cross_withdraw(KEY, 398_500, api(2)).is_err());
    assert!(x.cross_withdraw(KEY, 398_499, api(2)).is_ok());
    x.cross_close(KEY, api(3)).unwrap();
    let rest = x.held().margin;
    assert_eq!(x.cross_withdraw(KEY, rest, api(4)).unwrap().margin, 0);
    assert_eq!(x.accounts[KEY].balance, 1_000_000 - 2000);
    let amounts: Vec<_> = x.accounts[KEY]
        .cross
        .transfers
        .iter()
        .map(|t| t.amount)
        .collect();
    assert_eq!(amounts, [501_000, -398_499, -rest]);
    let told = x.told();
    assert!(
        told.contains(&"position Deposit".into()) && told.contains(&"position Withdraw".into())
    );
}

#[test]
fn a_lower_leverage_realises_profit_where_margin_is_short() {
    let mut x = engine(12_500);
    x.market(Side::Buy, 100).unwrap();
    assert!(x.cross_leverage(KEY, 5, api(2)).is_err());
    x.tick(usd(110_000.0), 3);
    let held = x.cross_leverage(KEY, 5, api(4)).unwrap();
    assert_eq!((held.margin, held.entry), (12_400 + 9091, usd(110_000.0)));
    assert_eq!((held.leverage, held.realised), (5, 9091));
    assert!(x.cross_leverage(KEY, 1, api(5)).is_err());
    assert_eq!(x.held(), held, "a refusal changes nothing");
    for bad in [0, 101] {
        assert!(x.cross_leverage(KEY, bad, api(6)).is_err());
    }
}

#[test]
fn funding_changes_the_margin_on_either_side() {
    for (side, paid) in [(Side::Buy, 100), (Side::Sell, -100)] {
        let mut x = engine(501_000);
        x.market(side, 1000).unwrap();
        x.told();
        x.settle_funding(0.0001, usd(100_500.0), 7);
        let held = x.held();
        assert_eq!((held.margin, held.funding_fees), (500_000 - paid, paid));
        assert_eq!(x.accounts[KEY].cross.funding_fees[0].fee, paid);
        assert_eq!(x.told(), ["position Funding"]);
    }
    let mut x = engine(501_000);
    x.settle_funding(0.0001, usd(100_500.0), 7);
    assert!(
        x.told().is_empty(),
        "a flat account neither pays nor receives"
    );
}

#[test]
fn fees_follow_the_tier() {
    for (tier, fee) in [(0, 1000), (1, 800), (2, 700), (3, 600)] {
        let mut x = engine(501_000);
        x.accounts.get_mut(KEY).unwrap().config.fee_tier = tier;
        assert_eq!(x.market(Side::Buy, 1000), Ok(fee));
    }
}

#[test]
fn order_events_carry_their_order() {
    let mut x = engine(501_000);
    x.market(Side::Buy, 10).unwrap();
    let events = x.take_events();
    let News::Order(OrderEvent::New, order) = &events[0].news else {
        panic!("{:?}", events[0]);
    };
    assert_eq!(
        (order.quantity, order.client_id.as_deref()),
        (10, Some("c1"))
    );
}

proptest! {
    /// Whatever is traded, satoshis only leave as fees: an entry on the tick rounds a few of them.
    #[test]
    fn satoshis_are_conserved(
        steps in prop::collection::vec((any::<bool>(), 1_i64..2000, -100_i64..100), 1..40),
    ) {
        let mut x = engine(50_000_000);
        let id = x.held().id;
        let mut price = 100_000.0;
        for (buys, quantity, shift) in steps {
            price += shift as f64 * 5.0;
            x.tick(usd(price), 2);
            let before = x.held();
            let side = if buys { Side::Buy } else { Side::Sell };
            let fee = x.market(side, quantity).unwrap();
            let held = x.held();
            prop_assert_eq!(held.quantity, before.quantity + side.signed(quantity));
            let worth = |of: Position| of.margin + of.running_pl(x.last);
            let entry = held.entry.to_f64().max(1.0);
            let quarter_dollar = held.size() as f64 * 0.25e8 / (entry * entry);
            let lost = worth(before) - fee - worth(held);
            prop_assert!(lost.abs() <= quarter_dollar as i64 + 2, "{before:?} {held:?}");
            prop_assert!(held.free(x.last, 0) > 0 && held.id == id);
        }
    }
}
