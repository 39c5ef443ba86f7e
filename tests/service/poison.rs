//! What dies every time it is started is set aside, alone, and comes back when it can.

use serde_json::json;
use vigia::domain::connection::Health;
use vigia::supervision::failpoint::{self, Deed, Place};
use vigia::telemetry::Event;

use crate::harness::{DANGER, Script, Stage, adding, adding_but};

/// Deaths within the window that are one too many.
const TOO_MANY: u32 = 6;

async fn stage() -> Stage {
    let windows = Script::new().with("supervision.quarantine_ms", 2500);
    windows.play().await
}

/// The names of all that died, was started again, or set aside.
fn touched(stage: &mut Stage) -> Vec<(&'static str, String)> {
    let events = stage.events().iter();
    let lives = events.filter_map(|event| match event {
        Event::ActorDied { actor, .. }
        | Event::ActorRestarted { actor, .. }
        | Event::ActorQuarantined { actor, .. } => Some((event.name(), actor.clone())),
        _ => None,
    });
    lives.collect()
}

async fn quarantined(stage: &mut Stage, name: &str) {
    stage
        .wait_until(
            &format!("{name} is set aside"),
            |event| matches!(event, Event::ActorQuarantined { actor, .. } if actor == name),
        )
        .await;
    let deaths = touched(stage);
    let count = |what: &str| deaths.iter().filter(|(event, _)| *event == what).count();
    assert_eq!(count("actor.died"), TOO_MANY as usize);
    assert_eq!(count("actor.restarted"), TOO_MANY as usize - 1);
    assert!(deaths.iter().all(|(_, actor)| actor == name), "{deaths:?}");
}

#[actix::test]
async fn an_automation_that_dies_whenever_it_starts_is_set_aside_alone() {
    let mut stage = stage().await;
    let (alpha, poisoned) = stage.guarded("alpha", adding()).await;
    let (beta, _) = stage.guarded("beta", adding()).await;
    let sibling = adding_but(&json!({ "margin_threshold": 0.9 }));
    let sibling = stage.guard(&alpha, sibling).await;
    stage.armed(&sibling).await;
    stage.mark();
    let name = format!("automation/{poisoned}");
    failpoint::set(
        "automation.started",
        Some(poisoned.as_str()),
        Deed::Panic(TOO_MANY - 1),
    );
    stage.app().crash(&name, Place::Handler);
    quarantined(&mut stage, &name).await;
    stage.control.set_price(DANGER).unwrap();
    stage.done(&beta).await;
    assert_eq!(stage.effects(&alpha).len(), 0, "its guard is set aside");
    stage.control.set_price(91_500.0).unwrap();
    stage.done(&alpha).await;
    assert_eq!(stage.fired(&sibling), 1, "the account's other guard acts");
    assert!(touched(&mut stage).iter().all(|(_, actor)| *actor == name));
    stage.end().await;
}

#[actix::test]
async fn a_connection_that_dies_whenever_it_starts_is_set_aside_and_comes_back() {
    let mut stage = stage().await;
    let (alpha, guard) = stage.guarded("alpha", adding()).await;
    let (beta, _) = stage.guarded("beta", adding()).await;
    stage.mark();
    let deed = Deed::Panic(TOO_MANY - 1);
    failpoint::set("connection.started", Some(&alpha.name), deed);
    let name = alpha.connection();
    stage.app().crash(&name, Place::Handler);
    quarantined(&mut stage, &name).await;
    let id = alpha.id.clone();
    stage
        .wait_until("its state says so", |event| {
            matches!(event, Event::ConnectionState { account, to: Health::Quarantined, .. } if account.id == id)
        })
        .await;
    assert_eq!(stage.view(&alpha).health, Health::Quarantined);
    stage.control.set_price(DANGER).unwrap();
    stage.done(&beta).await;
    assert_eq!(stage.effects(&alpha).len(), 0);
    assert!(touched(&mut stage).iter().all(|(_, actor)| *actor == name));
    stage.done(&alpha).await;
    assert_eq!(stage.fired(&guard), 1);
    assert_eq!(stage.effects(&alpha).len(), 1);
    assert_eq!(stage.effects(&beta).len(), 1);
    stage.end().await;
}

/// The timer that would have brought it back finds another in its place, and lets it live.
#[actix::test]
async fn what_was_started_anew_meanwhile_is_not_started_again() {
    let mut stage = stage().await;
    let (alpha, guard) = stage.guarded("alpha", adding()).await;
    let name = alpha.connection();
    stage.mark();
    let deed = Deed::Panic(TOO_MANY - 1);
    failpoint::set("connection.started", Some(&alpha.name), deed);
    stage.app().crash(&name, Place::Handler);
    quarantined(&mut stage, &name).await;
    let store = stage.app().shared.store.clone();
    let now = stage.clock.utc();
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
    stage.mark();
    store
        .set_account_active(&alpha.name, true, now)
        .await
        .unwrap();
    stage.armed(&guard).await;
    // Another guard that is armed after the quarantine would have ended: time has passed.
    tokio::time::sleep(std::time::Duration::from_millis(3000)).await;
    let again = touched(&mut stage);
    assert!(again.is_empty(), "started again for nothing: {again:?}");
    stage.end().await;
}

/// As above, for an automation.
#[actix::test]
async fn an_automation_that_was_enabled_anew_meanwhile_is_not_started_again() {
    let mut stage = stage().await;
    let (alpha, guard) = stage.guarded("alpha", adding()).await;
    stage.mark();
    let name = format!("automation/{guard}");
    let deed = Deed::Panic(TOO_MANY - 1);
    failpoint::set("automation.started", Some(guard.as_str()), deed);
    stage.app().crash(&name, Place::Handler);
    quarantined(&mut stage, &name).await;
    let (store, now) = (stage.app().shared.store.clone(), stage.clock.utc());
    let disabling = store.set_automation_active(&guard, false, now);
    disabling.await.unwrap();
    let other = adding_but(&json!({ "margin_threshold": 0.9 }));
    let other = stage.guard(&alpha, other).await;
    stage.armed(&other).await;
    stage.mark();
    let enabling = store.set_automation_active(&guard, true, now);
    enabling.await.unwrap();
    stage.armed(&guard).await;
    // Longer than the quarantine would have lasted.
    tokio::time::sleep(std::time::Duration::from_millis(3000)).await;
    let again = touched(&mut stage);
    assert!(again.is_empty(), "started again for nothing: {again:?}");
    stage.end().await;
}
