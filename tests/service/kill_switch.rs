//! The kill switch: nothing is sent from the moment it is on, for what it is on for and for nothing
//! else; and it can be taken off again.

use serde_json::json;
use vigia::domain::kill_switch::Reach;
use vigia::telemetry::Event;

use crate::harness::{CALM, DANGER, Stage, adding, closing};

async fn on(stage: &Stage, reach: &Reach, allows_protective: bool) {
    let store = &stage.app().shared.store;
    let on = store.kill_switch_on(reach, allows_protective, None, stage.clock.utc());
    on.await.unwrap();
}

async fn off(stage: &Stage, reach: &Reach) {
    let store = &stage.app().shared.store;
    assert!(
        store
            .kill_switch_off(reach, stage.clock.utc())
            .await
            .unwrap()
    );
}

#[actix::test]
async fn an_account_is_held_back_alone_and_guarded_again_when_the_switch_is_off() {
    let mut stage = Stage::set().await;
    let (alpha, _) = stage.guarded("alpha", closing()).await;
    let (beta, _) = stage.guarded("beta", closing()).await;
    let reach = Reach::Account(alpha.id.clone());
    on(&stage, &reach, false).await;
    stage.mark();
    stage.control.set_price(DANGER).unwrap();
    stage.done(&beta).await;
    stage.alarm(&alpha, "kill_switch").await;
    // Its next attempts, which a trigger that still stands makes, are held back as well.
    stage.control.set_price(CALM).unwrap();
    stage.control.set_price(DANGER).unwrap();
    assert!(stage.executions(&alpha).await.is_empty());
    off(&stage, &reach).await;
    stage.done(&alpha).await;
    assert_eq!(stage.effects(&alpha).len(), 1);
    let told = |event: &&Event| {
        matches!(
            event,
            Event::Alarm {
                what: "kill_switch",
                ..
            }
        )
    };
    assert_eq!(stage.events().iter().filter(told).count(), 1, "told once");
    stage.end().await;
}

#[actix::test]
async fn protective_actions_go_on_where_the_switch_allows_them() {
    let mut stage = Stage::set().await;
    let (alpha, _) = stage.guarded("alpha", adding()).await;
    let entry = json!({ "side": "b", "quantity": 1000, "trigger_price": DANGER });
    let (beta, _) = stage.entering("beta", entry).await;
    on(&stage, &Reach::Service, true).await;
    stage.mark();
    stage.control.set_price(DANGER).unwrap();
    stage.done(&alpha).await;
    stage.alarm(&beta, "kill_switch").await;
    assert!(stage.effects(&beta).is_empty());
    off(&stage, &Reach::Service).await;
    stage.done(&beta).await;
    stage.end().await;
}

#[actix::test]
async fn a_switch_holds_through_a_restart() {
    let mut stage = Stage::set().await;
    let (alpha, guard) = stage.guarded("alpha", closing()).await;
    on(&stage, &Reach::Automation(guard), false).await;
    stage.stop().await;
    stage.control.set_price(DANGER).unwrap();
    stage.mark();
    stage.start_again().await;
    stage.alarm(&alpha, "kill_switch").await;
    assert!(stage.effects(&alpha).is_empty());
    stage.end().await;
}
