//! Jobs: what a producer asks for is done once, and it is told what came of it. Rules that act by
//! jobs alone, rules that also act by themselves, and requests that cannot be.

use std::time::Duration;

use serde_json::{Value, json};
use vigia::domain::connection::Health;
use vigia::domain::ids::AutomationId;
use vigia::domain::rules::RuleKind;
use vigia::queue::{Entry, JobState, NewJob};
use vigia::simulator::{Fault, LedgerKind};
use vigia::store::NewAutomation;

use crate::harness::{ADD_MARGIN, CALM, DANGER, Stage, Trader, adding, closing};

const PATIENCE: Duration = Duration::from_secs(20);

impl Stage {
    /// Waits until an account is served.
    async fn live(&mut self, trader: &Trader) {
        let (shared, id) = (std::sync::Arc::clone(&self.app().shared), trader.id.clone());
        self.until("the account is live", move || {
            let accounts = shared.accounts.load();
            let account = accounts.get(&id);
            account.is_some_and(|account| account.view.load().health == Health::Live)
        })
        .await;
    }

    /// A rule that acts by jobs alone.
    async fn by_job(&self, trader: &Trader, kind: RuleKind, config: Value) -> AutomationId {
        let new = NewAutomation {
            account: trader.id.clone(),
            kind,
            config,
            live: false,
            active: true,
        };
        let store = &self.app().shared.store;
        let added = store.add_automation(new, self.clock.utc()).await;
        added.unwrap().id
    }

    async fn ask(&self, data: Value, attempts: u32) -> String {
        let job = NewJob {
            id: None,
            data,
            priority: 8,
            delay: Duration::ZERO,
            attempts,
            backoff: None,
            keep_completed: None,
            keep_failed: None,
        };
        self.app().shared.jobs.add(job).await.unwrap().id
    }

    /// The job when it has ended.
    async fn answered(&self, id: &str) -> Entry {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let entry = self.app().shared.jobs.show(id).await.unwrap();
            if matches!(entry.state, JobState::Completed | JobState::Failed) {
                return entry;
            }
            assert!(tokio::time::Instant::now() < deadline, "{entry:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What a job for an automation of the harness's owner comes to.
    async fn run(&self, automation: &AutomationId) -> Entry {
        let data = json!({ "userId": "owner", "automationId": automation });
        let id = self.ask(data, 1).await;
        self.answered(&id).await
    }
}

/// The return value, without what every one has.
fn told(entry: &Entry, trader: &Trader, automation: &AutomationId) -> Value {
    assert_eq!(entry.state, JobState::Completed, "{entry:?}");
    let value = entry.return_value.clone().unwrap();
    assert_eq!(value["automationId"], json!(automation));
    assert_eq!(value["userId"], "owner");
    assert_eq!(value["accountId"], json!(trader.id));
    assert_eq!(value["accountName"], json!(trader.name));
    let at = value["timestamp"].as_str().unwrap();
    assert!(chrono::DateTime::parse_from_rfc3339(at).is_ok() && at.ends_with('Z'));
    value
}

#[actix::test]
async fn a_guard_that_acts_by_jobs_alone_acts_when_it_is_asked_and_then_alone() {
    let mut stage = Stage::set().await;
    let alpha = stage.trader("alpha").await;
    stage.live(&alpha).await;
    let guard = stage.by_job(&alpha, RuleKind::MarginGuard, closing()).await;
    let calm = stage.run(&guard).await;
    let value = told(&calm, &alpha, &guard);
    assert_eq!(
        (&value["status"], &value["action"]),
        (&json!("skipped"), &json!("close_position"))
    );
    assert_eq!(value["executions"][0]["reason"], "condition_not_met");
    stage.control.set_price(DANGER).unwrap();
    stage.price_seen(DANGER).await;
    assert_eq!(stage.effects(&alpha).len(), 0, "it acted by itself");
    let danger = stage.run(&guard).await;
    let value = told(&danger, &alpha, &guard);
    assert_eq!(value["status"], "completed");
    let execution = &value["executions"][0];
    assert_eq!(
        (
            &execution["status"],
            &execution["action"],
            &execution["positionId"]
        ),
        (
            &json!("completed"),
            &json!("close_position"),
            &json!(alpha.position)
        )
    );
    assert_eq!(stage.kinds(&alpha), [LedgerKind::Closed]);
    let audit = stage.audit(&alpha).await;
    assert_eq!(audit[0].entry.kind, "margin_guard_executed");
    assert_eq!(json!(audit[0].execution), execution["executionId"]);
    stage.end().await;
}

#[actix::test]
async fn an_entry_is_pending_until_its_price_and_done_when_it_is_there() {
    let mut stage = Stage::set().await;
    let alpha = stage.client("alpha", |config| config).await;
    stage.live(&alpha).await;
    let config = json!({ "side": "b", "quantity": 1000, "trigger_price": 95_000 });
    let entry = stage.by_job(&alpha, RuleKind::AutoEntry, config).await;
    let pending = stage.run(&entry).await;
    let value = told(&pending, &alpha, &entry);
    assert_eq!(value["status"], "pending");
    assert_eq!(value["reason"], "price_not_triggered");
    assert_eq!(value["currentPrice"].as_f64(), Some(CALM));
    assert_eq!(value["triggerPrice"], 95_000);
    stage.control.set_price(94_000.0).unwrap();
    stage.price_seen(94_000.0).await;
    let done = stage.run(&entry).await;
    assert_eq!(told(&done, &alpha, &entry)["status"], "completed");
    let again = stage.run(&entry).await;
    let value = told(&again, &alpha, &entry);
    assert_eq!(
        (&value["status"], &value["reason"]),
        (&json!("skipped"), &json!("completed")),
        "its one entry was made"
    );
    assert_eq!(stage.running(&alpha).len(), 1);
    stage.end().await;
}

#[actix::test]
async fn a_stop_is_moved_by_a_job_and_left_alone_by_the_next() {
    let mut stage = Stage::set().await;
    let alpha = stage.trader("alpha").await;
    stage.live(&alpha).await;
    let config = json!({
        "action": "update_sl", "new_stoploss": 92_000, "trigger_pnl_percentage": 10,
        "pnl_basis": "margin", "direction": "loss",
    });
    let rule = stage.by_job(&alpha, RuleKind::TpSl, config).await;
    stage.control.set_price(95_000.0).unwrap();
    stage.price_seen(95_000.0).await;
    let done = stage.run(&rule).await;
    let value = told(&done, &alpha, &rule);
    assert_eq!(
        (&value["status"], &value["action"]),
        (&json!("completed"), &json!("update_sl"))
    );
    let again = stage.run(&rule).await;
    let value = told(&again, &alpha, &rule);
    assert_eq!(
        (&value["status"], &value["reason"]),
        (&json!("skipped"), &json!("already_set"))
    );
    assert_eq!(stage.kinds(&alpha), [LedgerKind::StoplossSet]);
    stage.end().await;
}

#[actix::test]
async fn a_job_and_the_rule_itself_are_one_effect() {
    let mut stage = Stage::set().await;
    let (alpha, guard) = stage.guarded("alpha", adding()).await;
    stage.mark();
    stage.control.set_price(DANGER).unwrap();
    stage.price_seen(DANGER).await;
    let asked = stage.run(&guard).await;
    let value = told(&asked, &alpha, &guard);
    let execution = value["executions"][0]["executionId"].clone();
    stage.done(&alpha).await;
    let again = stage.run(&guard).await;
    let value = told(&again, &alpha, &guard);
    let remark = &value["executions"][0];
    assert_eq!(stage.effects(&alpha).len(), 1, "{value}");
    // Done by then: the danger is over, or its episode has been executed.
    if remark["reason"] == "already_executed" {
        assert_eq!(remark["executionId"], execution);
    } else {
        assert_eq!(remark["reason"], "condition_not_met", "{value}");
    }
    stage.end().await;
}

#[actix::test]
async fn what_may_be_retried_is_and_what_is_refused_is_not() {
    let mut stage = Stage::set().await;
    let alpha = stage.trader("alpha").await;
    stage.live(&alpha).await;
    let guard = stage.by_job(&alpha, RuleKind::MarginGuard, adding()).await;
    stage.control.set_price(DANGER).unwrap();
    stage.price_seen(DANGER).await;
    let data = json!({ "userId": "owner", "automationId": guard });
    let refused = Fault::status(400)
        .on_key(&alpha.key)
        .on_route(ADD_MARGIN)
        .times(1);
    stage.control.inject(refused).unwrap();
    let final_one = stage.ask(data.clone(), 3).await;
    let failed = stage.answered(&final_one).await;
    assert_eq!((failed.state, failed.attempts_made), (JobState::Failed, 1));
    assert!(failed.failed_reason.unwrap().contains("rejected"));
    let away = Fault::status(503);
    let away = away.on_key(&alpha.key).on_route(ADD_MARGIN).times(2);
    stage.control.inject(away).unwrap();
    let patient = stage.ask(data, 3).await;
    let done = stage.answered(&patient).await;
    assert_eq!(told(&done, &alpha, &guard)["status"], "completed");
    assert_eq!(done.attempts_made, 3);
    assert_eq!(stage.effects(&alpha).len(), 1);
    stage.end().await;
}

#[actix::test]
async fn what_cannot_be_asked_for_fails_with_its_reason_and_stops_nobody_else() {
    let mut stage = Stage::set().await;
    let alpha = stage.trader("alpha").await;
    stage.live(&alpha).await;
    let guard = stage.by_job(&alpha, RuleKind::MarginGuard, closing()).await;
    let disabled = stage.by_job(&alpha, RuleKind::MarginGuard, closing()).await;
    let store = stage.app().shared.store.clone();
    let now = stage.clock.utc();
    store
        .set_automation_active(&disabled, false, now)
        .await
        .unwrap();
    let big = "x".repeat(1 << 20);
    let cases = [
        (json!("no object"), "it is no object"),
        (
            json!({ "userId": 7, "automationId": guard }),
            "userId: is no text",
        ),
        (json!({ "userId": "owner", "automationId": "gone" }), "gone"),
        (
            json!({ "userId": "somebody", "automationId": guard }),
            "does not belong to user somebody",
        ),
        (
            json!({ "userId": "owner", "automationId": disabled }),
            "is disabled",
        ),
        (
            json!({ "userId": "owner", "automationId": guard, "note": big }),
            "bytes",
        ),
    ];
    for (data, reason) in cases {
        let id = stage.ask(data, 3).await;
        let failed = stage.answered(&id).await;
        assert_eq!(
            (failed.state, failed.attempts_made),
            (JobState::Failed, 1),
            "{failed:?}"
        );
        let told = failed.failed_reason.unwrap();
        assert!(told.contains(reason), "{told}");
    }
    let good = stage.run(&guard).await;
    assert_eq!(told(&good, &alpha, &guard)["status"], "skipped");
    store
        .set_account_active(&alpha.name, false, now)
        .await
        .unwrap();
    let failed = stage.run(&guard).await;
    assert!(failed.failed_reason.unwrap().contains("is disabled"));
    stage.end().await;
}
