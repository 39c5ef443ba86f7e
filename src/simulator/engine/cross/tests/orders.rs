//! Orders that wait, are withdrawn, canceled and told.

use super::*;
use crate::simulator::engine::OrderEvent;

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
