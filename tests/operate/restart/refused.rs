//! Restarts that do not come about: the account goes on as it was, and the operator is told why.

use std::time::Duration;

use vigia::actors::{Refresh, RestartRefused};
use vigia::domain::connection::{Health, Transport::Websocket};
use vigia::domain::execution::State;
use vigia::domain::ids::AccountId;
use vigia::simulator::{Fault, LedgerKind};
use vigia::supervision::failpoint::{self, Deed, Place};
use vigia::telemetry::Event;

use crate::harness::{DANGER, RUNNING, Script, Stage, Trader, adding};

/// How long a restart may take here.
const WITHIN_MS: i64 = 1_000;

fn hasty() -> Script {
    Script::new().with("supervision.restart_ms", WITHIN_MS)
}

/// The old connection serves the account, and acts.
async fn goes_on(stage: &mut Stage, alpha: &Trader) {
    let view = stage.view(alpha);
    assert_eq!(view.health, Health::Live);
    stage.control.set_price(DANGER).unwrap();
    stage.done(alpha).await;
    assert_eq!(stage.kinds(alpha), [LedgerKind::MarginAdded]);
}

async fn told(stage: &mut Stage, refused: &RestartRefused) {
    let wanted = refused.to_string();
    let what = "the operator is told why";
    stage
        .wait_until(
            what,
            |event| matches!(event, Event::AccountRestartRefused { reason, .. } if *reason == wanted),
        )
        .await;
}

#[actix::test]
async fn a_connection_that_cannot_read_does_not_take_over() {
    let mut stage = hasty().play().await;
    let (alpha, _) = stage.guarded("alpha", adding()).await;
    stage.live_over(&alpha, Websocket).await;
    let hangs = Fault::Hang { apply: false };
    let hangs = hangs.on_key(&alpha.key).on_route(RUNNING);
    stage.control.inject(hangs).unwrap();
    stage.mark();
    let refused = stage.restart(&alpha).await.unwrap_err();
    assert!(
        matches!(&refused, RestartRefused::NotLive(why) if why.contains("starting")),
        "{refused}"
    );
    told(&mut stage, &refused).await;
    goes_on(&mut stage, &alpha).await;
    stage.control.clear_faults();
    stage.restart(&alpha).await.unwrap();
    assert_eq!(stage.states(&alpha).await, [State::Done]);
    stage.end().await;
}

#[actix::test]
async fn a_connection_that_is_refused_does_not_take_over() {
    let mut stage = hasty().play().await;
    let (alpha, _) = stage.guarded("alpha", adding()).await;
    stage.live_over(&alpha, Websocket).await;
    let refuses = Fault::status(503);
    let refuses = refuses.on_key(&alpha.key).on_route(RUNNING);
    stage.control.inject(refuses).unwrap();
    let refused = stage.restart(&alpha).await.unwrap_err();
    assert!(refused.to_string().contains("503"), "{refused}");
    goes_on(&mut stage, &alpha).await;
    stage.control.clear_faults();
    stage.end().await;
}

#[actix::test]
async fn a_connection_that_dies_does_not_take_over() {
    let mut stage = Script::new().play().await;
    let (alpha, _) = stage.guarded("alpha", adding()).await;
    stage.live_over(&alpha, Websocket).await;
    failpoint::set("connection.started", Some(&alpha.name), Deed::Panic(1));
    let refused = stage.restart(&alpha).await.unwrap_err();
    assert!(refused.to_string().contains("failpoint"), "{refused}");
    goes_on(&mut stage, &alpha).await;
    stage.restart(&alpha).await.unwrap();
    stage.end().await;
}

#[actix::test]
async fn the_old_connection_may_die_meanwhile() {
    let mut stage = Script::new().play().await;
    let (alpha, _) = stage.guarded("alpha", adding()).await;
    stage.live_over(&alpha, Websocket).await;
    let slow = Fault::DelayReply { ms: 300 };
    let slow = slow.on_key(&alpha.key).on_route(RUNNING);
    stage.control.inject(slow).unwrap();
    let restarting = async {
        let supervisor = stage.app().shared.supervisor.clone();
        supervisor
            .ask(vigia::actors::RestartAccount(alpha.id.clone()))
            .await
    };
    let dying = async {
        tokio::task::yield_now().await;
        stage.app().crash(&alpha.connection(), Place::Handler);
    };
    let (restarted, ()) = tokio::join!(restarting, dying);
    restarted.unwrap().unwrap();
    stage.control.clear_faults();
    goes_on(&mut stage, &alpha).await;
    stage.end().await;
}

#[actix::test]
async fn who_is_not_served_is_not_restarted() {
    let mut stage = Script::new().play().await;
    let (alpha, _) = stage.guarded("alpha", adding()).await;
    let supervisor = stage.app().shared.supervisor.clone();
    let nobody = AccountId::new("nobody");
    let ask = |id: &AccountId| supervisor.ask(vigia::actors::RestartAccount(id.clone()));
    let refused = ask(&nobody).await.unwrap().unwrap_err();
    assert_eq!(refused, RestartRefused::Unknown(nobody));
    let slow = Fault::DelayReply { ms: 500 };
    let slow = slow.on_key(&alpha.key).on_route(RUNNING);
    stage.control.inject(slow).unwrap();
    let (first, second) = tokio::join!(ask(&alpha.id), ask(&alpha.id));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert!(
        [&first, &second].contains(&&Err(RestartRefused::Restarting)),
        "{first:?}, {second:?}"
    );
    assert!(first.is_ok() || second.is_ok(), "{first:?}, {second:?}");
    stage.control.clear_faults();
    let store = &stage.app().shared.store;
    let now = stage.clock.utc();
    store
        .set_account_active(&alpha.name, false, now)
        .await
        .unwrap();
    let refused = stage.restart(&alpha).await.unwrap_err();
    assert_eq!(refused, RestartRefused::Disabled(alpha.name.clone()));
    stage.end().await;
}

/// A pause is followed as soon as the supervisor is told to look; what it was armed for stays in the
/// store, and counts when it ends.
#[actix::test]
async fn a_paused_account_is_restarted_and_stays_paused() {
    let mut stage = Script::new()
        .with("supervision.refresh_ms", 60_000)
        .play()
        .await;
    let refresh = async |stage: &Stage| {
        let supervisor = stage.app().shared.supervisor.clone();
        supervisor.ask(Refresh).await.unwrap();
    };
    let trader = stage.trader("alpha").await;
    let guard = stage.guard(&trader, adding()).await;
    refresh(&stage).await;
    stage.armed(&guard).await;
    stage.live_over(&trader, Websocket).await;
    let store = stage.app().shared.store.clone();
    let why = Some("the owner is away".to_owned());
    let paused = store.pause_account(&trader.id, why, "operator", stage.clock.utc());
    assert!(paused.await.unwrap());
    refresh(&stage).await;
    stage.restart(&trader).await.unwrap();
    stage.control.set_price(DANGER).unwrap();
    stage.price_seen(DANGER).await;
    // Whatever it would decide, it would decide now.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(stage.view(&trader).health, Health::Live, "it is watched");
    assert_eq!(stage.effects(&trader), [], "and nothing is decided");
    store
        .resume_account(&trader.id, stage.clock.utc())
        .await
        .unwrap();
    refresh(&stage).await;
    stage.done(&trader).await;
    assert_eq!(stage.kinds(&trader), [LedgerKind::MarginAdded]);
    stage.end().await;
}

/// What is set aside is not waited for: a restart begins at once.
#[actix::test]
async fn a_quarantined_account_is_started_afresh_at_once() {
    const STARTS: u32 = 5;
    let mut stage = Script::new().play().await;
    let (alpha, _) = stage.guarded("alpha", adding()).await;
    stage.live_over(&alpha, Websocket).await;
    stage.mark();
    let dies = Deed::Panic(STARTS);
    failpoint::set("connection.started", Some(&alpha.name), dies);
    stage.app().crash(&alpha.connection(), Place::Handler);
    let quarantined = |event: &Event| matches!(event, Event::ActorQuarantined { .. });
    stage.wait_until("it is set aside", quarantined).await;
    let account = stage.account(&alpha);
    stage
        .until("it is shown", || {
            account.view.load().health == Health::Quarantined
        })
        .await;
    stage.restart(&alpha).await.unwrap();
    goes_on(&mut stage, &alpha).await;
    stage.end().await;
}
