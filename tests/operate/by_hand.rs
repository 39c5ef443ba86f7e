//! The same verbs by either hand of an operator: over HTTP, and by the command line.

use serde_json::{Value, json};
use vigia::domain::rules::RuleKind;
use vigia::simulator::LedgerKind;

use crate::books::Books;
use crate::desk::Desk;
use crate::scrape::{tree, until};
use crate::stage::{Deed, Owner, START, Stage, THRESHOLD};
use crate::watchman::Watchman;

/// What an entry buys, in USD, once the price has come down to its trigger.
const ENTRY: i64 = 100;

/// How the operator acts.
enum Hand {
    Http(Desk),
    Command,
}

/// What a kill switch is for.
#[derive(Clone, Copy)]
enum Scope<'a> {
    Service,
    Account(&'a str),
    Automation(&'a str),
}

impl Scope<'_> {
    fn path(self) -> String {
        match self {
            Self::Service => "/v1/kill-switches/service".to_owned(),
            Self::Account(name) => format!("/v1/kill-switches/account/{name}"),
            Self::Automation(id) => format!("/v1/kill-switches/automation/{id}"),
        }
    }

    fn options(self) -> Vec<String> {
        match self {
            Self::Service => vec![],
            Self::Account(name) => vec!["--account".to_owned(), name.to_owned()],
            Self::Automation(id) => vec!["--automation".to_owned(), id.to_owned()],
        }
    }
}

impl Hand {
    async fn command(stage: &Stage, words: &[&str], options: &[String]) {
        let options = options.iter().map(String::as_str);
        let words: Vec<_> = words.iter().copied().chain(options).collect();
        stage.cli(&words).await.ok();
    }

    async fn hold(&self, stage: &Stage, scope: Scope<'_>, but_what_protects: bool) {
        match self {
            Self::Http(desk) => {
                let body = json!({ "allowsProtective": but_what_protects, "reason": "a look" });
                desk.put(&scope.path(), body).await.ok();
            }
            Self::Command => {
                let mut options = scope.options();
                if but_what_protects {
                    options.push("--allow-protective".to_owned());
                }
                let words = ["kill-switch", "on", "--reason", "a look"];
                Self::command(stage, &words, &options).await;
            }
        }
    }

    async fn release(&self, stage: &Stage, scope: Scope<'_>) {
        match self {
            Self::Http(desk) => {
                desk.delete(&scope.path()).await.ok();
            }
            Self::Command => Self::command(stage, &["kill-switch", "off"], &scope.options()).await,
        }
    }

    /// `enable`, `disable` or `remove`.
    async fn automation(&self, stage: &Stage, verb: &str, id: &str) {
        match self {
            Self::Http(desk) if verb == "remove" => {
                desk.delete(&format!("/v1/automations/{id}")).await.ok();
            }
            Self::Http(desk) => {
                let path = format!("/v1/automations/{id}/{verb}");
                let answer = desk.post(&path, json!({})).await.ok();
                assert_eq!(answer["inEffect"], json!(true), "{answer}");
            }
            Self::Command => Self::command(stage, &["automation", verb, id], &[]).await,
        }
    }

    /// A guard of an account, which closes.
    async fn guards(&self, stage: &Stage, account: &str) -> String {
        let config = json!({
            "metric": "margin_used", "margin_threshold": THRESHOLD, "action": "close_position",
            "cooldown_seconds": 0,
        });
        let answer = match self {
            Self::Http(desk) => {
                let body = json!({ "account": account, "type": "margin_guard", "config": config });
                desk.post("/v1/automations", body).await.ok()
            }
            Self::Command => {
                let config = config.to_string();
                let words = [
                    "automation",
                    "add",
                    "--account",
                    account,
                    "--type",
                    "margin_guard",
                    "--json",
                    "--offline",
                    "--rule",
                    &config,
                ];
                serde_json::from_str(&stage.cli(&words).await.ok().out).unwrap()
            }
        };
        answer["automation"]["id"].as_str().unwrap().to_owned()
    }
}

/// How often an account was told to be held back.
fn held(watchman: &Watchman, account: &str) -> usize {
    let lines = watchman.lines();
    let is = |line: &&Value| line["what"] == "kill_switch" && line["account_name"] == account;
    lines.iter().filter(is).count()
}

async fn more_than(before: usize, what: &str, watchman: &Watchman, count: impl Fn() -> usize) {
    watchman.until_holds(what, || count() > before).await;
}

/// A new position, watched; then the price falls to where its guard fires.
async fn in_danger(stage: &Stage, watchman: &Watchman, owner: &Owner) {
    let armed = watchman.count("automation.armed");
    let position = stage.open_position(owner, 10).await;
    let what = "a new position is watched";
    more_than(armed, what, watchman, || watchman.count("automation.armed")).await;
    stage.endanger(&position);
}

async fn holds_and_releases(stage: &Stage, watchman: &Watchman, hand: &Hand) {
    let alice = stage.owner("alice");
    stage.take_in(std::slice::from_ref(&alice)).await;
    let bob = stage.owner("bob");
    let entry =
        json!({ "side": "b", "quantity": ENTRY, "leverage": 1, "trigger_price": START * 0.97 });
    stage.automate(&bob, RuleKind::AutoEntry, entry, true).await;
    let carol = stage.owner("carol");
    stage.take_in(std::slice::from_ref(&carol)).await;
    hand.guards(stage, "carol").await;
    let guard = hand.guards(stage, "alice").await;
    let closed_of = |key: &str| {
        let ledger = stage.effects();
        let closed = ledger
            .iter()
            .filter(|entry| entry.kind == LedgerKind::Closed && entry.key == key);
        closed.count()
    };
    let (closed, carols) = (|| closed_of("key-alice"), || closed_of("key-carol"));
    let entered = || {
        let trades = stage.control.account("key-bob").unwrap().trades;
        usize::from(!trades.is_empty())
    };
    until("bob's entry is armed", watchman, || async {
        let told = watchman.lines();
        let armed =
            |line: &Value| line["event"] == "automation.armed" && line["account_name"] == "bob";
        told.iter().any(armed).then_some(())
    })
    .await;

    // What protects goes on, nothing else.
    hand.hold(stage, Scope::Service, true).await;
    in_danger(stage, watchman, &alice).await;
    more_than(0, "the guard acts", watchman, closed).await;
    more_than(0, "the entry is held back", watchman, || {
        held(watchman, "bob")
    })
    .await;
    assert_eq!((entered(), held(watchman, "alice")), (0, 0));
    hand.release(stage, Scope::Service).await;
    more_than(0, "the entry is made", watchman, entered).await;

    // Each scope holds, is seen, and lets go.
    for (scope, word) in [
        (Scope::Automation(&guard), "automation"),
        (Scope::Account("alice"), "account"),
        (Scope::Service, "service"),
    ] {
        let (before, done) = (held(watchman, "alice"), closed());
        hand.hold(stage, scope, false).await;
        let on = tree(stage, "").await.kill_switches;
        let [on] = on.as_slice() else {
            panic!("{word}: {on:?}");
        };
        assert_eq!(
            (on.reach.scope(), on.reason.as_deref()),
            (word, Some("a look"))
        );
        let text = stage.cli(&["status"]).await.ok().out;
        assert!(text.contains("KILL SWITCH"), "{word}: {text}");
        // Others are not held with her, but where all are.
        let others = carols();
        let armed = watchman.count("automation.armed");
        stage.open_position(&carol, 10).await;
        let what = "carol's position is watched";
        more_than(armed, what, watchman, || watchman.count("automation.armed")).await;
        in_danger(stage, watchman, &alice).await;
        more_than(before, word, watchman, || held(watchman, "alice")).await;
        if word != "service" {
            more_than(others, "carol is not held back", watchman, carols).await;
        }
        assert_eq!(closed(), done, "{word}: {}", watchman.told());
        hand.release(stage, scope).await;
        more_than(done, word, watchman, closed).await;
        assert!(tree(stage, "").await.kill_switches.is_empty(), "{word}");
    }

    // A rule that is disabled, or gone, does nothing.
    hand.automation(stage, "disable", &guard).await;
    let rules = || async {
        tree(stage, "?account=alice").await.accounts[0]
            .automations
            .len()
    };
    assert_eq!(rules().await, 0, "in effect when it is answered");
    let done = closed();
    let position = stage.open_position(&alice, 10).await;
    stage.endanger(&position);
    hand.automation(stage, "enable", &guard).await;
    more_than(done, "enabled, it acts", watchman, closed).await;
    let ended = || async {
        let store = stage.store().await;
        let left = Books::read(&store).await.unfinished();
        store.close().await;
        (left == 0).then_some(())
    };
    until("it is written down", watchman, ended).await;
    hand.automation(stage, "remove", &guard).await;
    assert_eq!(rules().await, 0);
    let shown = stage.cli(&["automation", "show", &guard]).await;
    shown.refused(&["there is no automation"]);
    assert_eq!(entered(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_http_what_is_held_back_waits_and_what_is_let_go_acts() {
    let stage = Stage::set().await;
    let watchman = stage.start();
    let hand = Hand::Http(Desk::of(&stage, &watchman).await);
    holds_and_releases(&stage, &watchman, &hand).await;
    stage.agree_after_stop(watchman).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_command_what_is_held_back_waits_and_what_is_let_go_acts() {
    let stage = Stage::set().await;
    let watchman = stage.start();
    watchman.until("admin.listening").await;
    holds_and_releases(&stage, &watchman, &Hand::Command).await;
    stage.agree_after_stop(watchman).await;
}

/// Whoever writes the store is obeyed: at once where it holds something back, otherwise at the next
/// look.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_switches_and_a_removal_of_another_process_are_followed() {
    let stage = Stage::set().await;
    let (alice, first) = stage.guarded("alice", Deed::Close).await;
    let watchman = stage.start();
    watchman.until_armed(1).await;
    let store = stage.store().await;
    let now = || stage.clock.utc();
    let closed = || stage.effects().len();

    // Before anybody has looked.
    let service = vigia::domain::kill_switch::Reach::Service;
    store
        .kill_switch_on(&service, false, None, now())
        .await
        .unwrap();
    stage.endanger(&first);
    more_than(0, "held back", &watchman, || held(&watchman, "alice")).await;
    assert_eq!(closed(), 0);
    assert!(store.kill_switch_off(&service, now()).await.unwrap());
    more_than(0, "let go, it acts", &watchman, closed).await;
    watchman.until("execution.done").await;

    let account = store.account("alice").await.unwrap();
    let rule = store.automations(None).await.unwrap().rows.remove(0);
    store.remove_automation(&rule.id).await.unwrap();
    until("the rule is gone", &watchman, || async {
        let report = tree(&stage, "?account=alice").await;
        report.accounts[0].automations.is_empty().then_some(())
    })
    .await;
    let second = stage.open_position(&alice, 10).await;
    stage.endanger(&second);
    let added = vigia::store::NewAutomation {
        account: account.id.clone(),
        kind: RuleKind::MarginGuard,
        config: rule.config.clone(),
        live: true,
        active: false,
    };
    let added = store.add_automation(added, now()).await.unwrap();
    let off = |line: &Value| {
        line["event"] == "automation.off" && line["automation"] == *added.id.to_string()
    };
    watchman.until_where("it does not act yet", off).await;
    assert_eq!(closed(), 1);
    store
        .set_automation_active(&added.id, true, now())
        .await
        .unwrap();
    more_than(1, "the new rule acts", &watchman, closed).await;
    let done = || watchman.count("execution.done");
    more_than(1, "that is written down", &watchman, done).await;

    store.remove_account(&account.id).await.unwrap();
    let ended =
        |line: &Value| line["event"] == "actor.stopped" && line["actor"] == "connection/alice";
    watchman.until_where("its connection ends", ended).await;
    store.close().await;
    stage.agree_after_stop(watchman).await;
}
