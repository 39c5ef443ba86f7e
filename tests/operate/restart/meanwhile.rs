//! What happens while the new connection is on its way: the old one sees to it, and the new one knows.
//! The new one's reading is made early and answered late, so that it shows what was before.

use std::time::Duration;

use serde_json::json;
use vigia::actors::{Refresh, RestartAccount, RestartRefused, Restarted};
use vigia::domain::connection::Transport::Websocket;
use vigia::domain::rules::RuleKind;
use vigia::simulator::{Fault, LedgerKind};
use vigia::telemetry::Event;

use crate::harness::{CALM, DANGER, RUNNING, Script, Stage, Trader, adding_but};

/// How late readings are answered.
const LATE: Duration = Duration::from_secs(1);
/// How long a price stays that fires something: all of it passes before a reading is answered.
const SPIKE: Duration = Duration::from_millis(600);

/// A restart that is under way, of an account whose readings are answered late.
struct Underway(actix_rt::task::JoinHandle<Result<Restarted, RestartRefused>>);

impl Underway {
    async fn begin(stage: &mut Stage, trader: &Trader) -> Self {
        let late = Fault::DelayReply {
            ms: LATE.as_millis() as u64,
        };
        let late = late.on_key(&trader.key).on_route(RUNNING);
        stage.control.inject(late).unwrap();
        let asked = stage.asked("GET", RUNNING);
        let supervisor = stage.app().shared.supervisor.clone();
        let id = trader.id.clone();
        let underway = Self(actix_rt::spawn(async move {
            let restarted = supervisor.ask(RestartAccount(id)).await;
            restarted.expect("the supervisor answers")
        }));
        let control = stage.control.clone();
        let running = format!("GET {}", RUNNING.trim_start_matches("/v3"));
        stage
            .until("the new one reads", || {
                control.requests().of(&running) > asked
            })
            .await;
        underway
    }

    async fn end(self, stage: &Stage) {
        assert!(!self.0.is_finished(), "it went on meanwhile");
        self.0.await.unwrap().unwrap();
        stage.control.clear_faults();
    }
}

async fn alone(name: &str) -> (Stage, Trader) {
    // Far from its own readings, so that the first one answered late is the new connection's.
    let script = Script::new().with("connection.read_far_ms", 60_000);
    let mut stage = script.with("connection.read_near_ms", 60_000).play().await;
    let trader = stage.trader(name).await;
    let supervisor = stage.app().shared.supervisor.clone();
    supervisor.ask(Refresh).await.unwrap();
    stage.live_over(&trader, Websocket).await;
    (stage, trader)
}

/// Breaking before making would leave a second in which nobody is armed.
#[actix::test]
async fn a_price_that_comes_and_goes_meanwhile_fires_once() {
    const SPIKES: usize = 4;
    let (mut stage, alpha) = alone("alpha").await;
    for (direction, takeprofit) in [("profit", 190_000), ("loss", 180_000)] {
        let rule = json!({
            "action": "update_tp", "new_takeprofit": takeprofit, "trigger_pnl_percentage": 100,
            "pnl_basis": "quantity", "direction": direction, "cooldown_seconds": 0,
        });
        let rule = stage.automation(&alpha, RuleKind::TpSl, rule).await;
        stage.armed(&rule).await;
    }
    for spike in 0..SPIKES {
        let underway = Underway::begin(&mut stage, &alpha).await;
        stage.mark();
        let aside = if spike % 2 == 0 { 1_000.0 } else { -1_000.0 };
        stage.control.set_price(CALM + aside).unwrap();
        let fired = stage.wait_until("it fires", |event| matches!(event, Event::Done { .. }));
        let fired = tokio::time::timeout(SPIKE, fired).await;
        assert!(fired.is_ok(), "nobody saw the price of spike {spike}");
        stage.control.set_price(CALM).unwrap();
        stage.price_seen(CALM).await;
        underway.end(&stage).await;
    }
    assert_eq!(stage.kinds(&alpha), [LedgerKind::TakeprofitSet; SPIKES]);
    stage.end().await;
}

/// The new connection is told what was done: its reading shows a margin of before, at which its guard
/// would add once more.
#[actix::test]
async fn what_is_done_meanwhile_is_not_done_again() {
    let (mut stage, alpha) = alone("alpha").await;
    let config = adding_but(&json!({ "cooldown_seconds": 0 }));
    let guard = stage.guard(&alpha, config).await;
    stage.armed(&guard).await;
    let underway = Underway::begin(&mut stage, &alpha).await;
    stage.control.set_price(DANGER).unwrap();
    stage.done(&alpha).await;
    underway.end(&stage).await;
    // Whatever it would do again, it would do now.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(stage.kinds(&alpha), [LedgerKind::MarginAdded]);
    stage.end().await;
}

/// The new connection is told what the old one's socket says: its reading shows a trade that is gone.
#[actix::test]
async fn a_trade_that_is_closed_meanwhile_is_not_known_again() {
    let (mut stage, alpha) = alone("alpha").await;
    let account = stage.account(&alpha);
    // The new one gets no socket of its own, to hear it from.
    let refused = Fault::RefuseUpgrades { status: 503 };
    stage.control.inject(refused).unwrap();
    let underway = Underway::begin(&mut stage, &alpha).await;
    let position = alpha.position;
    stage.close_by_hand(&alpha, position).await;
    stage
        .until("the old one knows", || account.view.load().rows.is_empty())
        .await;
    underway.end(&stage).await;
    let view = stage.view(&alpha);
    assert!(view.rows.is_empty(), "{:?}", view.rows);
    stage.end().await;
}
