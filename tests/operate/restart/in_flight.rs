//! Requests that were signed with credentials which are refused by the time they arrive: each is made
//! again with those that took their place, and nothing of the refusal sticks to the account.

use std::time::Duration;

use vigia::domain::connection::{Health, Transport::Websocket};
use vigia::domain::execution::State;
use vigia::simulator::{Fault, LedgerKind};
use vigia::telemetry::Event;

use super::credentials::{another_key, rotate};
use crate::harness::{
    ADD_MARGIN, CLOSE, DANGER, RUNNING, Script, Stage, TRADE, Trader, adding, closing, reducing,
};

/// How late a request arrives: after the change of keys, and while its signature is still good.
const LATE_MS: u64 = 3_000;
const GOOD_MS: i64 = 6_000;

fn script() -> Script {
    Script::new().with("execution.request_validity_ms", GOOD_MS)
}

/// The next such request with the present key arrives late.
fn late(stage: &Stage, trader: &Trader, method: &str, route: &str) {
    let late = Fault::DelayRequest { ms: LATE_MS };
    let late = late.on_key(&trader.key).on_route(route).on_method(method);
    stage.control.inject(late.times(1)).unwrap();
}

/// Another key takes over, and the old one is refused from then on.
async fn goes_over(stage: &mut Stage, trader: &Trader) {
    let new = another_key(stage, trader);
    stage.mark();
    rotate(stage, trader, &new).await;
    let id = trader.id.clone();
    stage
        .wait_until(
            "they are taken up",
            |event| matches!(event, Event::AccountRestarted { account, .. } if account.id == id),
        )
        .await;
    stage.control.revoke_key(&trader.key);
}

/// The old key was refused, and nobody took the account for refused.
fn never_unauthorized(stage: &mut Stage) {
    let refused = stage.control.requests().by_status.get(&401).copied();
    assert!(refused.is_some_and(|times| times > 0), "it was not refused");
    let unauthorized = |event: &&Event| {
        let to = Health::Unauthorized;
        matches!(event, Event::ConnectionState { to: found, .. } if *found == to)
    };
    let found: Vec<_> = stage.events().iter().filter(unauthorized).collect();
    assert!(found.is_empty(), "{found:?}");
}

/// Why things were put off.
fn deferred(stage: &mut Stage) -> Vec<String> {
    let why = |event: &Event| match event {
        Event::Deferred { why, .. } => Some(why.clone()),
        _ => None,
    };
    stage.events().iter().filter_map(why).collect()
}

async fn is_sent_again(guard: serde_json::Value, route: &str, kind: LedgerKind) {
    let mut stage = script().play().await;
    let (alpha, _) = stage.guarded("alpha", guard).await;
    stage.live_over(&alpha, Websocket).await;
    late(&stage, &alpha, "POST", route);
    stage.mark();
    stage.control.set_price(DANGER).unwrap();
    let id = alpha.id.clone();
    stage
        .wait_until(
            "it is sent",
            |event| matches!(event, Event::Sending { account, .. } if account.id == id),
        )
        .await;
    goes_over(&mut stage, &alpha).await;
    stage.done(&alpha).await;
    let why = deferred(&mut stage);
    assert!(why.len() == 1 && why[0].contains("401"), "{why:?}");
    assert_eq!(stage.kinds(&alpha), [kind]);
    assert_eq!(stage.states(&alpha).await, [State::Done]);
    never_unauthorized(&mut stage);
    stage.end().await;
}

/// Which may be signed anew at any time, and is refused again.
#[actix::test]
async fn a_close_is_sent_again_with_the_new_credentials() {
    is_sent_again(closing(), CLOSE, LedgerKind::Closed).await;
}

/// Which is not signed anew so late.
#[actix::test]
async fn added_margin_is_sent_again_with_the_new_credentials() {
    is_sent_again(adding(), ADD_MARGIN, LedgerKind::MarginAdded).await;
}

#[actix::test]
async fn a_reading_before_a_close_is_made_again_with_the_new_credentials() {
    // No reading but the first, so that the book is old when the guard wants to close.
    let script = script().with("connection.read_far_ms", 60_000);
    let mut stage = script.with("connection.read_near_ms", 60_000).play().await;
    let (alpha, _) = stage.guarded("alpha", closing()).await;
    stage.live_over(&alpha, Websocket).await;
    let (account, clock) = (stage.account(&alpha), stage.app().shared.clock);
    stage
        .until("the book is old", || {
            let view = account.view.load();
            let row = view.row(alpha.position).unwrap();
            row.age(clock.mono()) > Duration::from_secs(2)
        })
        .await;
    drop(account);
    late(&stage, &alpha, "GET", RUNNING);
    let asked = stage.asked("GET", RUNNING);
    stage.control.set_price(DANGER).unwrap();
    let control = stage.control.clone();
    let running = format!("GET {}", RUNNING.trim_start_matches("/v3"));
    stage
        .until("it reads", || control.requests().of(&running) > asked)
        .await;
    goes_over(&mut stage, &alpha).await;
    stage.done(&alpha).await;
    assert_eq!(stage.kinds(&alpha), [LedgerKind::Closed]);
    assert_eq!(stage.states(&alpha).await, [State::Done]);
    never_unauthorized(&mut stage);
    stage.end().await;
}

#[actix::test]
async fn the_second_leg_of_a_reduction_is_sent_again_with_the_new_credentials() {
    let mut stage = script().play().await;
    let (alpha, _) = stage.guarded("alpha", reducing()).await;
    stage.live_over(&alpha, Websocket).await;
    stage.mark();
    // The first leg's answer gives us the time to make the second one late.
    let slow = Fault::DelayReply { ms: 300 }.on_key(&alpha.key);
    stage.control.inject(slow.on_route(CLOSE).times(1)).unwrap();
    stage.control.set_price(DANGER).unwrap();
    stage.applied(&alpha, LedgerKind::Closed, 1).await;
    late(&stage, &alpha, "POST", TRADE);
    let (control, opening) = (stage.control.clone(), "POST /futures/isolated/trade");
    let asked = control.requests().of(opening);
    stage
        .until("the second leg is sent", || {
            control.requests().of(opening) > asked
        })
        .await;
    goes_over(&mut stage, &alpha).await;
    stage.done(&alpha).await;
    assert_eq!(
        stage.kinds(&alpha),
        [LedgerKind::Closed, LedgerKind::Filled]
    );
    assert_eq!(stage.states(&alpha).await, [State::Done]);
    never_unauthorized(&mut stage);
    stage.end().await;
}
