//! Requests whose outcome is not known: the exchange is asked, and nothing happens twice.

use std::time::Duration;

use serde_json::json;
use vigia::domain::connection::Health;
use vigia::domain::execution::{CLOSE_ROW_AGE, State};
use vigia::simulator::{Fault, Injection};
use vigia::telemetry::Event;

use crate::harness::{
    ADD_MARGIN, CLOSE, DANGER, MARGIN, RUNNING, Script, Stage, Trader, adding, adding_but, closing,
};

fn status(status: u16, code: Option<&str>, retry_after: Option<f64>) -> Fault {
    Fault::Status {
        status,
        code: code.map(str::to_owned),
        retry_after,
        plain: false,
    }
}

/// Alpha's guard fires while its next command meets a fault.
async fn under(fault: Fault, route: &str, guard: serde_json::Value) -> (Stage, Trader) {
    let mut stage = Stage::set().await;
    let (alpha, _) = stage.guarded("alpha", guard).await;
    stage.mark();
    let once: Injection = fault.on_key(&alpha.key).on_route(route).times(1);
    stage.control.inject(once).unwrap();
    stage.control.set_price(DANGER).unwrap();
    (stage, alpha)
}

/// Applied, whatever became of the answer: proven, done once, never sent again.
async fn applied_and_proven(fault: Fault, route: &str, guard: serde_json::Value) {
    let (mut stage, alpha) = under(fault, route, guard).await;
    stage.done(&alpha).await;
    assert_eq!(stage.states(&alpha).await, [State::Done]);
    assert_eq!(stage.effects(&alpha).len(), 1);
    assert_eq!(stage.asked("POST", route), 1, "sent again");
    let outcome = stage.executions(&alpha).await.remove(0).outcome.unwrap();
    assert!(!outcome["proof"].is_null(), "{outcome}");
    stage.end().await;
}

#[actix::test]
async fn margin_whose_reply_is_lost_is_proven() {
    applied_and_proven(Fault::LoseReply, ADD_MARGIN, adding()).await;
}

#[actix::test]
async fn margin_whose_reply_is_cut_is_proven() {
    applied_and_proven(Fault::TruncateBody, ADD_MARGIN, adding()).await;
}

#[actix::test]
async fn margin_whose_reply_cannot_be_read_is_proven() {
    applied_and_proven(Fault::MalformedBody, ADD_MARGIN, adding()).await;
}

#[actix::test]
async fn margin_that_is_never_answered_is_proven() {
    applied_and_proven(Fault::Hang { apply: true }, ADD_MARGIN, adding()).await;
}

#[actix::test]
async fn a_close_whose_reply_is_lost_is_proven() {
    applied_and_proven(Fault::LoseReply, CLOSE, closing()).await;
}

#[actix::test]
async fn a_close_whose_reply_cannot_be_read_is_proven() {
    applied_and_proven(Fault::MalformedBody, CLOSE, closing()).await;
}

/// Not applied, though nobody said so: proven after the request can no longer be accepted, and
/// then decided anew.
async fn not_applied_and_done_anew(fault: Fault) {
    let (mut stage, alpha) = under(fault, ADD_MARGIN, adding()).await;
    assert_eq!(stage.failed(&alpha).await, "not_applied");
    let failed = stage.executions(&alpha).await.remove(0);
    let window = failed.finished_at.unwrap() - failed.before.unwrap().signed_at;
    assert!(
        window.num_milliseconds() >= 2000,
        "proven after only {window}"
    );
    stage.done(&alpha).await;
    assert_eq!(stage.states(&alpha).await, [State::Failed, State::Done]);
    assert_eq!(stage.effects(&alpha).len(), 1);
    stage.end().await;
}

#[actix::test]
async fn margin_whose_request_is_lost_is_added_anew_after_the_proof() {
    not_applied_and_done_anew(Fault::DropRequest).await;
}

#[actix::test]
async fn margin_whose_request_hangs_is_added_anew_after_the_proof() {
    not_applied_and_done_anew(Fault::Hang { apply: false }).await;
}

#[actix::test]
async fn a_500_on_added_margin_is_an_unknown_outcome() {
    not_applied_and_done_anew(status(500, None, None)).await;
}

#[actix::test]
async fn a_503_without_the_engines_code_is_an_unknown_outcome() {
    not_applied_and_done_anew(status(503, Some("GATEWAY"), None)).await;
}

/// The client has given up; the margin arrives all the same, while its signature still holds.
#[actix::test]
async fn margin_that_arrives_after_the_client_gave_up_is_added_once() {
    let valid = Script::new().with("execution.request_validity_ms", 8000);
    let mut stage = valid.play().await;
    let (alpha, guard) = stage.guarded("alpha", adding()).await;
    stage.mark();
    let late = Fault::DelayRequest { ms: 6000 };
    let once = late.on_key(&alpha.key).on_route(ADD_MARGIN).times(1);
    stage.control.inject(once).unwrap();
    let started = stage.clock.mono();
    stage.control.set_price(DANGER).unwrap();
    stage.done(&alpha).await;
    // Whoever was done too early meets the late one now.
    let (clock, arrived) = (stage.clock, started + Duration::from_millis(6500));
    let has_arrived = || clock.mono() > arrived;
    stage.until("the late request arrives", has_arrived).await;
    assert_eq!(stage.states(&alpha).await, [State::Done]);
    assert_eq!((stage.effects(&alpha).len(), stage.fired(&guard)), (1, 1));
    assert_eq!(stage.margin(&alpha), 2 * MARGIN);
    stage.end().await;
}

/// Refused before it was applied, for a while: sent again, not earlier than asked, once.
async fn retried(fault: Fault, route: &str, guard: serde_json::Value, not_before_ms: i64) {
    let (mut stage, alpha) = under(fault, route, guard).await;
    stage.done(&alpha).await;
    assert_eq!(stage.states(&alpha).await, [State::Done]);
    assert_eq!(stage.asked("POST", route), 2);
    let effects = stage.effects(&alpha);
    assert_eq!(effects.len(), 1);
    let row = stage.executions(&alpha).await.remove(0);
    let after = effects[0].time - row.created_at.timestamp_millis();
    assert!(after >= not_before_ms, "sent again after {after} ms");
    stage.end().await;
}

#[actix::test]
async fn an_engine_that_is_unavailable_is_asked_again() {
    let unavailable = status(503, Some("SERVICE_UNAVAILABLE"), None);
    retried(unavailable, ADD_MARGIN, adding(), 0).await;
}

#[actix::test]
async fn a_429_is_obeyed() {
    let slow_down = status(429, None, Some(1.5));
    retried(slow_down, ADD_MARGIN, adding(), 1500).await;
}

#[actix::test]
async fn a_503_that_names_a_time_is_obeyed() {
    let later = status(503, Some("SERVICE_UNAVAILABLE"), Some(1.5));
    retried(later, ADD_MARGIN, adding(), 1500).await;
}

#[actix::test]
async fn a_429_on_a_close_is_obeyed() {
    retried(status(429, None, Some(1.5)), CLOSE, closing(), 1500).await;
}

#[actix::test]
async fn a_401_is_signed_again_once() {
    retried(status(401, None, None), ADD_MARGIN, adding(), 0).await;
}

/// Alpha's key is revoked, and its guard is in danger. How often may it be told so in 4 s?
async fn a_revoked_key_makes_no_storm(guard: serde_json::Value) {
    /// Two readings that may be under way at once (balance and cross account, or the trades), and the
    /// guard's own tries after 0, 1 and 3 s; each signed twice.
    const MOST: u64 = 10;
    let mut stage = Stage::set().await;
    let (alpha, _) = stage.guarded("alpha", guard).await;
    let (beta, _) = stage.guarded("beta", adding()).await;
    stage.mark();
    assert!(stage.control.revoke_key(&alpha.key));
    let id = alpha.id.clone();
    stage
        .wait_until("alpha is unauthorized", |event| {
            matches!(event, Event::ConnectionState { account, to: Health::Unauthorized, .. } if account.id == id)
        })
        .await;
    // A close then wants a reading first.
    let (account, clock) = (stage.account(&alpha), stage.clock);
    stage
        .until("alpha's row is old", || {
            let view = account.view.load();
            let row = view.rows.first();
            row.is_some_and(|row| row.age(clock.mono()) > CLOSE_ROW_AGE)
        })
        .await;
    stage.control.set_price(DANGER).unwrap();
    stage.done(&beta).await;
    // How often it is asked in this time is what is tested.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let refused = stage.control.requests().by_status.get(&401).copied();
    assert!(refused.unwrap_or(0) <= MOST, "{refused:?} answers of 401");
    assert_eq!(stage.view(&alpha).health, Health::Unauthorized);
    let noticed = |event: &Event| matches!(event, Event::ConnectionState { account, .. } if account.id == beta.id);
    assert!(!stage.events().iter().any(noticed), "beta noticed");
    assert_eq!(stage.effects(&beta).len(), 1);
    stage.end().await;
}

#[actix::test]
async fn a_revoked_key_makes_no_storm_of_added_margin() {
    a_revoked_key_makes_no_storm(adding()).await;
}

#[actix::test]
async fn a_revoked_key_makes_no_storm_of_closes() {
    a_revoked_key_makes_no_storm(closing()).await;
}

/// What became of the margin cannot be asked with a key that is refused: it is asked again as
/// seldom as the account itself, and settled once the key is accepted again.
#[actix::test]
async fn a_proof_makes_no_storm_of_a_refused_key() {
    let pause = Script::new().with("connection.refused_pause_ms", 3000);
    let mut stage = pause.play().await;
    let (alpha, _) = stage.guarded("alpha", adding()).await;
    stage.mark();
    let lost = Fault::LoseReply.on_key(&alpha.key).on_route(ADD_MARGIN);
    stage.control.inject(lost.times(1)).unwrap();
    let refused = Fault::RevokedKey.on_key(&alpha.key);
    stage.control.inject(refused.on_route(RUNNING)).unwrap();
    stage.control.set_price(DANGER).unwrap();
    stage
        .wait_until("alpha is unauthorized", |event| {
            matches!(
                event,
                Event::ConnectionState {
                    to: Health::Unauthorized,
                    ..
                }
            )
        })
        .await;
    // Almost as long as the pause, in which nothing is to be asked.
    tokio::time::sleep(Duration::from_millis(2800)).await;
    let answers = stage.control.requests().by_status.get(&401).copied();
    assert!(answers.unwrap_or(0) <= 4, "{answers:?} answers of 401");
    stage.control.clear_faults();
    stage.done(&alpha).await;
    assert_eq!(stage.effects(&alpha).len(), 1);
    stage.end().await;
}

/// While one added margin waits for its proof, another one of the same position would spoil it:
/// nobody could say any more which of the two was applied.
#[actix::test]
async fn a_position_under_proof_gets_no_other_margin_meanwhile() {
    let mut stage = Stage::set().await;
    let first = adding_but(&json!({ "margin_threshold": 0.5, "add_margin_amount": 10_000 }));
    let second = adding_but(&json!({ "add_margin_amount": 20_000 }));
    let (alpha, _) = stage.guarded("alpha", first).await;
    let later = stage.guard(&alpha, second).await;
    stage.armed(&later).await;
    stage.mark();
    let lost = Fault::DropRequest.on_key(&alpha.key);
    let once = lost.on_route(ADD_MARGIN).times(1);
    stage.control.inject(once).unwrap();
    stage.control.set_price(95_000.0).unwrap();
    stage
        .wait_until("the first is sent", |event| {
            matches!(event, Event::Sending { .. })
        })
        .await;
    stage.control.set_price(DANGER).unwrap();
    let told = stage.wait_for("an end of the first", |event| match event {
        Event::Failed { reason, .. } => Some(reason.clone()),
        Event::Uncertain { evidence, .. } => Some(evidence.clone()),
        _ => None,
    });
    assert_eq!(told.await, "not_applied");
    stage.done(&alpha).await;
    stage
        .until("both are added", {
            let (control, key) = (stage.control.clone(), alpha.key.clone());
            move || control.account(&key).unwrap().trades[0].margin == MARGIN + 30_000
        })
        .await;
    stage.stands(&alpha, State::Done).await;
    stage.end().await;
}
