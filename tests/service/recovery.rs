//! What was under way when the service stopped, or when an account was let go, is taken up again.

use std::time::Duration;

use vigia::domain::execution::{Action, Decision, Seen, State};
use vigia::domain::ids::ExecutionId;
use vigia::domain::rules::Limits;
use vigia::domain::units::{Price, Sats};
use vigia::journal::{FireResult, NewExecution};
use vigia::simulator::Fault;
use vigia::supervision::failpoint::{self, Deed, Place};
use vigia::telemetry::Event;

use crate::harness::{ADD_MARGIN, DANGER, MARGIN, RUNNING, Script, Stage, adding, adding_but};

/// A stage whose guard has sent margin of which nobody knows what became.
async fn in_doubt(fault: Fault) -> (Stage, crate::harness::Trader) {
    let mut stage = Script::new().play().await;
    let (alpha, _) = stage.guarded("alpha", adding()).await;
    stage.mark();
    // Nothing can be proven before the stop.
    let unread = Fault::status(503);
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
    let letting_go = store.set_account_active(&alpha.name, false, now);
    letting_go.await.unwrap();
    let (shared, id) = (stage.app().shared.clone(), alpha.id.clone());
    stage
        .until("the account is let go", || {
            !shared.accounts.load().contains_key(&id)
        })
        .await;
    // An intake that starts now knows nothing of the account.
    stage.app().crash("intake", Place::Handler);
    stage.restarted("intake", 1).await;
    stage.control.clear_faults();
    let taking_up = store.set_account_active(&alpha.name, true, now);
    taking_up.await.unwrap();
    stage.stands(&alpha, State::Done).await;
    assert_eq!(stage.states(&alpha).await, [State::Done]);
    assert_eq!(stage.effects(&alpha).len(), 1);
    stage.end().await;
}

/// The store wrote a trigger down, but its answer was lost on the way to the automation.
#[actix::test]
async fn a_trigger_that_stands_but_was_told_to_nobody_is_carried_out() {
    let mut stage = Stage::set().await;
    let (alpha, guard) = stage.guarded("alpha", adding()).await;
    stage.mark();
    let seen = Seen {
        price: Price::from_usd(DANGER).unwrap(),
        age: Duration::ZERO,
    };
    let position = stage.view(&alpha).rows[0].position.clone();
    let stored = stage.app().shared.store.automation(&guard).await.unwrap();
    let rule = stored.rule().unwrap();
    let written = NewExecution {
        id: ExecutionId(uuid::Uuid::now_v7()),
        automation: guard.clone(),
        account: alpha.id.clone(),
        user: stored.user_id.clone(),
        position: alpha.position,
        rule_version: stored.rule_version,
        episode: 1,
        action: Action::AddMargin {
            amount: Sats(MARGIN),
        },
        decision: Decision::of(&rule, (&position).into(), seen),
    };
    let id = written.id;
    let fired = stage
        .app()
        .shared
        .journal
        .fire(written, Limits::default(), stage.clock.utc());
    assert_eq!(fired.await.unwrap(), FireResult::Fired);
    stage.control.set_price(DANGER).unwrap();
    stage.done(&alpha).await;
    let rows = stage.executions(&alpha).await;
    assert_eq!((rows.len(), rows[0].id), (1, id));
    assert_eq!(stage.effects(&alpha).len(), 1);
    stage.end().await;
}

/// The answer to its own command died with the connection. What the account looked like before is
/// not what it looks like now: nothing is decided on it.
#[actix::test]
async fn a_new_connection_decides_nothing_on_what_the_old_one_knew() {
    let aside = Script::new().with("supervision.quarantine_ms", 2000);
    let mut stage = aside.play().await;
    let no_socket = Fault::RefuseUpgrades { status: 503 };
    stage.control.inject(no_socket).unwrap();
    let at_once = adding_but(&serde_json::json!({ "cooldown_seconds": 0 }));
    let (alpha, guard) = stage.guarded("alpha", at_once).await;
    stage.mark();
    let late = Fault::DelayReply { ms: 1200 }.on_key(&alpha.key);
    let once = late.on_route(ADD_MARGIN).times(1);
    stage.control.inject(once).unwrap();
    let slow = Fault::DelayReply { ms: 2500 }.on_key(&alpha.key);
    stage.control.inject(slow.on_route(RUNNING)).unwrap();
    stage.control.set_price(DANGER).unwrap();
    let (control, key) = (stage.control.clone(), alpha.key.clone());
    stage
        .until("the margin is added", || {
            control.account(&key).unwrap().trades[0].margin == 2 * MARGIN
        })
        .await;
    // Nobody is there when the answer comes.
    let deed = Deed::Panic(5);
    failpoint::set("connection.started", Some(&alpha.name), deed);
    stage.app().crash(&alpha.connection(), Place::Handler);
    stage.done(&alpha).await;
    // Set aside, it shows nothing at all.
    let view = stage.view(&alpha);
    assert!(view.rows.iter().all(|row| row.position.margin.0 == MARGIN));
    stage.restarted(&alpha.connection(), 6).await;
    let (shared, id) = (stage.app().shared.clone(), alpha.id.clone());
    stage
        .until("the account is read again", || {
            let view = shared.accounts.load()[&id].view.load_full();
            let margin = |row: &vigia::actors::Row| row.position.margin.0;
            view.rows.iter().any(|row| margin(row) == 2 * MARGIN)
        })
        .await;
    let (effects, fired) = (stage.effects(&alpha).len(), stage.fired(&guard));
    assert_eq!((effects, fired), (1, 1), "decided on an old book");
    stage.control.clear_faults();
    stage.end().await;
}

/// Until it was looked up, nobody knows whether margin is on its way: margin that another guard adds
/// meanwhile would be taken for it.
#[actix::test]
async fn what_must_be_looked_up_is_not_proven_by_the_margin_of_another_guard() {
    let mut stage = Script::new().alone().play().await;
    let (alpha, _) = stage.guarded("alpha", adding()).await;
    let second = stage.guard(&alpha, adding()).await;
    stage.armed(&second).await;
    stage.mark();
    failpoint::set("execution.sending", None, Deed::Panic(1));
    stage.control.set_price(DANGER).unwrap();
    stage
        .wait_until("one fails", |event| matches!(event, Event::Failed { .. }))
        .await;
    stage.done(&alpha).await;
    assert_eq!(stage.states(&alpha).await, [State::Failed, State::Done]);
    assert_eq!(stage.effects(&alpha).len(), 1);
    stage.end().await;
}
