//! What changes in the store while the service runs is followed.

use vigia::domain::connection::Transport::Websocket;

use crate::harness::{CALM, DANGER, Stage, adding, closing};

/// Waits until the service has taken over what is stored: an account added last is guarded.
async fn followed(stage: &mut Stage) {
    stage.guarded("follower", adding()).await;
}

#[actix::test]
async fn an_automation_that_is_disabled_fires_no_more_and_enabled_again_it_does() {
    let mut stage = Stage::set().await;
    let (alpha, guard) = stage.guarded("alpha", closing()).await;
    let (beta, _) = stage.guarded("beta", adding()).await;
    let (store, now) = (stage.app().shared.store.clone(), stage.clock.utc());
    store
        .set_automation_active(&guard, false, now)
        .await
        .unwrap();
    followed(&mut stage).await;
    stage.mark();
    stage.control.set_price(DANGER).unwrap();
    stage.done(&beta).await;
    assert_eq!(stage.fired(&guard), 0);
    store
        .set_automation_active(&guard, true, now)
        .await
        .unwrap();
    stage.done(&alpha).await;
    assert_eq!(stage.fired(&guard), 1);
    assert_eq!(stage.effects(&alpha).len(), 1);
    stage.end().await;
}

#[actix::test]
async fn an_account_that_is_disabled_is_let_go_and_enabled_again_it_is_guarded() {
    let mut stage = Stage::set().await;
    let (alpha, guard) = stage.guarded("alpha", closing()).await;
    let (beta, _) = stage.guarded("beta", adding()).await;
    stage.live_over(&alpha, Websocket).await;
    let (store, now) = (stage.app().shared.store.clone(), stage.clock.utc());
    store
        .set_account_active(&alpha.name, false, now)
        .await
        .unwrap();
    let (control, key) = (stage.control.clone(), alpha.key.clone());
    stage
        .until("its socket is closed", || {
            let sockets = control.sockets();
            sockets
                .iter()
                .all(|socket| socket.key.as_deref() != Some(&key))
        })
        .await;
    assert!(!stage.app().shared.accounts.load().contains_key(&alpha.id));
    stage.mark();
    stage.control.set_price(DANGER).unwrap();
    stage.done(&beta).await;
    assert_eq!(stage.fired(&guard), 0);
    store
        .set_account_active(&alpha.name, true, now)
        .await
        .unwrap();
    stage.done(&alpha).await;
    assert_eq!(stage.effects(&alpha).len(), 1);
    stage.end().await;
}

#[actix::test]
async fn accounts_and_automations_that_are_added_are_served() {
    let mut stage = Stage::set().await;
    let (alpha, first) = stage.guarded("alpha", adding()).await;
    let second = stage.guard(&alpha, closing()).await;
    stage.armed(&second).await;
    let (beta, _) = stage.guarded("beta", adding()).await;
    assert!((stage.control.price() - CALM).abs() < 0.01);
    stage.mark();
    stage.control.set_price(DANGER).unwrap();
    stage.done(&alpha).await;
    stage.done(&beta).await;
    assert!(stage.fired(&first) + stage.fired(&second) >= 1);
    stage.end().await;
}
