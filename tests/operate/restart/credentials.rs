//! Other credentials are stored for an account, by another process, while it is served.

use std::time::Duration;

use sea_orm::{ConnectionTrait, Database};
use vigia::app;
use vigia::domain::connection::{Health, Transport::Websocket};
use vigia::domain::credentials::Credentials;
use vigia::domain::execution::State;
use vigia::simulator::LedgerKind;
use vigia::telemetry::Event;

use crate::harness::{DANGER, Script, Stage, Trader, adding};

/// Stores other credentials as another process would.
pub(super) async fn rotate(stage: &Stage, trader: &Trader, to: &Credentials) {
    let vault = app::open_vault(&stage.settings).unwrap();
    let sealed = vault.seal(&trader.id, to).unwrap();
    let file = stage.settings.data_dir.join("vigia.db");
    let other = Database::connect(format!("sqlite://{}", file.display()))
        .await
        .unwrap();
    let statement = format!(
        "UPDATE user_exchange_accounts SET credentials = '{sealed}', \
         credentials_version = credentials_version + 1 WHERE id = '{}'",
        trader.id
    );
    let update = other.execute_unprepared(&statement).await.unwrap();
    assert_eq!(update.rows_affected(), 1);
    other.close().await.unwrap();
}

/// A key of the same account at the exchange.
pub(super) fn another_key(stage: &Stage, trader: &Trader) -> Credentials {
    let key = format!("{}-2", trader.key);
    assert!(stage.control.add_key(&trader.key, &key, "new", "newer"));
    Credentials::new(key, "new", "newer")
}

/// Waits until the account is served with what was stored for it.
async fn taken_up(stage: &mut Stage, trader: &Trader) {
    let restarted = |event: &Event| matches!(event, Event::AccountRestarted { account, .. } if account.id == trader.id);
    stage.wait_until("they are taken up", restarted).await;
}

#[actix::test]
async fn stored_credentials_are_taken_up_and_the_old_ones_used_until_then() {
    let mut stage = Script::new().play().await;
    let (alpha, _) = stage.guarded("alpha", adding()).await;
    stage.live_over(&alpha, Websocket).await;
    let new = another_key(&stage, &alpha);
    stage.mark();
    rotate(&stage, &alpha, &new).await;
    taken_up(&mut stage, &alpha).await;
    assert!(stage.control.revoke_key(&alpha.key), "the old one is gone");
    let before = stage.control.requests_of(&alpha.key);
    stage.live_over(&alpha, Websocket).await;
    stage.control.set_price(DANGER).unwrap();
    stage.done(&alpha).await;
    assert_eq!(stage.kinds(&alpha), [LedgerKind::MarginAdded]);
    assert_eq!(
        stage.control.requests_of(&alpha.key),
        before,
        "nothing more is asked with the old key"
    );
    let unauthorized = |event: &Event| {
        matches!(
            event,
            Event::ConnectionState {
                to: Health::Unauthorized,
                ..
            }
        )
    };
    assert!(!stage.events().iter().any(unauthorized));
    stage.end().await;
}

#[actix::test]
async fn refused_credentials_are_not_taken_up_and_the_operator_is_told() {
    let mut stage = Script::new().play().await;
    let (alpha, _) = stage.guarded("alpha", adding()).await;
    stage.live_over(&alpha, Websocket).await;
    let bad = Credentials::new("nobody's", "no", "none");
    stage.mark();
    rotate(&stage, &alpha, &bad).await;
    stage.alarm(&alpha, "credentials_refused").await;
    assert_eq!(stage.view(&alpha).health, Health::Live);
    stage.control.set_price(DANGER).unwrap();
    stage.done(&alpha).await;
    assert_eq!(stage.states(&alpha).await, [State::Done]);
    // Tried once: the next attempt is due after `connection.refused_pause_ms`.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let tried = |event: &&Event| matches!(event, Event::AccountRestarting { .. });
    assert_eq!(stage.events().iter().filter(tried).count(), 1);
    // Others that are stored meanwhile are tried at once.
    let good = another_key(&stage, &alpha);
    stage.mark();
    rotate(&stage, &alpha, &good).await;
    taken_up(&mut stage, &alpha).await;
    stage.end().await;
}
