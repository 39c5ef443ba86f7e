//! What was under way when the service stopped, or when an account was let go, is taken up again.

use vigia::domain::execution::State;
use vigia::simulator::Fault;
use vigia::supervision::failpoint::Place;
use vigia::telemetry::Event;

use crate::harness::{ADD_MARGIN, DANGER, MARGIN, RUNNING, Script, Stage, adding, adding_but};

/// A stage whose guard has sent margin of which nobody knows what became.
async fn in_doubt(fault: Fault) -> (Stage, crate::harness::Trader) {
    let mut stage = Script::new().play().await;
    let (alpha, _) = stage.guarded("alpha", adding()).await;
    stage.mark();
    // Nothing can be proven before the stop.
    let unread = Fault::Status {
        status: 503,
        code: None,
        retry_after: None,
        plain: false,
    };
    let once = fault.on_key(&alpha.key).on_route(ADD_MARGIN).times(1);
    stage.control.inject(once).unwrap();
    stage
        .control
        .inject(unread.on_key(&alpha.key).on_route(RUNNING))
        .unwrap();
    stage.control.set_price(DANGER).unwrap();
    stage
        .wait_until("margin is sent", |event| {
            matches!(event, Event::Sending { .. })
        })
        .await;
    let (control, key) = (stage.control.clone(), alpha.key.clone());
    stage
        .until("the fault is spent", || {
            let add =
                |fault: &vigia::simulator::Injection| fault.route.as_deref() == Some(ADD_MARGIN);
            !control
                .faults()
                .iter()
                .any(|fault| fault.key.as_deref() == Some(&key) && add(fault))
        })
        .await;
    (stage, alpha)
}

#[actix::test]
async fn margin_in_doubt_is_proven_after_a_restart_of_the_service() {
    let (mut stage, alpha) = in_doubt(Fault::LoseReply).await;
    stage.stop().await;
    stage.control.clear_faults();
    stage.start_again().await;
    stage.stands(&alpha, State::Done).await;
    assert_eq!(stage.states(&alpha).await, [State::Done]);
    assert_eq!(stage.effects(&alpha).len(), 1);
    assert_eq!(stage.margin(&alpha), 2 * MARGIN);
    stage.end().await;
}

#[actix::test]
async fn margin_that_was_not_applied_is_added_after_a_restart_of_the_service() {
    let (mut stage, alpha) = in_doubt(Fault::DropRequest).await;
    stage.stop().await;
    stage.control.clear_faults();
    stage.start_again().await;
    stage.stands(&alpha, State::Done).await;
    assert_eq!(stage.states(&alpha).await, [State::Failed, State::Done]);
    assert_eq!(stage.effects(&alpha).len(), 1);
    stage.end().await;
}

/// What is done stays done: a restart arms nothing anew before the cooldown.
#[actix::test]
async fn after_a_restart_nothing_is_done_again() {
    let mut stage = Stage::set().await;
    let (alpha, _) = stage
        .guarded(
            "alpha",
            adding_but(&serde_json::json!({ "add_margin_amount": 1000 })),
        )
        .await;
    let (beta, _) = stage
        .guarded(
            "beta",
            adding_but(&serde_json::json!({ "margin_threshold": 0.9 })),
        )
        .await;
    stage.mark();
    stage.control.set_price(DANGER).unwrap();
    stage.done(&alpha).await;
    for _ in 0..2 {
        stage.stop().await;
        stage.start_again().await;
    }
    stage.mark();
    stage.control.set_price(91_500.0).unwrap();
    stage.done(&beta).await;
    assert_eq!(
        stage.effects(&alpha).len(),
        1,
        "the danger lasts, the cooldown too"
    );
    assert_eq!(stage.effects(&beta).len(), 1);
    stage.end().await;
}

#[actix::test]
async fn what_an_account_left_behind_is_taken_up_when_it_is_served_again() {
    let (mut stage, alpha) = in_doubt(Fault::LoseReply).await;
    let (store, now) = (stage.app().shared.store.clone(), stage.clock.utc());
    store
        .set_account_active(&alpha.name, false, now)
        .await
        .unwrap();
    let (shared, id) = (stage.app().shared.clone(), alpha.id.clone());
    stage
        .until("the account is let go", || {
            !shared.accounts.load().contains_key(&id)
        })
        .await;
    // An intake that starts now knows nothing of the account.
    stage.app().crash("intake", Place::Handler);
    stage.restarted("intake", 1).await;
    let (beta, _) = stage.guarded("beta", adding()).await;
    stage.done(&beta).await;
    stage.control.clear_faults();
    store
        .set_account_active(&alpha.name, true, now)
        .await
        .unwrap();
    stage.stands(&alpha, State::Done).await;
    assert_eq!(stage.states(&alpha).await, [State::Done]);
    assert_eq!(stage.effects(&alpha).len(), 1);
    stage.end().await;
}

/// The answer to its own command died with the connection. What the account looked like before is
/// not what it looks like now: nothing is decided on it.
#[actix::test]
async fn a_new_connection_decides_nothing_on_what_the_old_one_knew() {
    let mut stage = Stage::set().await;
    stage
        .control
        .inject(Fault::RefuseUpgrades { status: 503 })
        .unwrap();
    let at_once = adding_but(&serde_json::json!({ "cooldown_seconds": 0 }));
    let (alpha, guard) = stage.guarded("alpha", at_once).await;
    stage.mark();
    let late = Fault::DelayReply { ms: 800 }.on_key(&alpha.key);
    stage
        .control
        .inject(late.on_route(ADD_MARGIN).times(1))
        .unwrap();
    stage.control.set_price(DANGER).unwrap();
    let (control, key) = (stage.control.clone(), alpha.key.clone());
    stage
        .until("the margin is added", || {
            control.account(&key).unwrap().trades[0].margin == 2 * MARGIN
        })
        .await;
    // From here on no reading arrives, and the connection dies as the answer comes.
    let slow = Fault::DelayReply { ms: 1500 }.on_key(&alpha.key);
    stage.control.inject(slow.on_route(RUNNING)).unwrap();
    let name = alpha.connection();
    vigia::supervision::failpoint::set(
        "connection.started",
        Some(&alpha.name),
        vigia::supervision::failpoint::Deed::Panic(4),
    );
    stage.app().crash(&name, Place::Handler);
    stage.restarted(&name, 5).await;
    stage.done(&alpha).await;
    let (shared, id) = (stage.app().shared.clone(), alpha.id.clone());
    stage
        .until("the account is read again", || {
            let view = shared.accounts.load()[&id].view.load_full();
            view.rows
                .iter()
                .any(|row| row.position.margin.0 == 2 * MARGIN)
        })
        .await;
    assert_eq!(
        stage.effects(&alpha).len(),
        1,
        "margin was added on an old book"
    );
    assert_eq!(stage.fired(&guard), 1);
    stage.control.clear_faults();
    stage.end().await;
}
