//! The tree of many accounts: how long it takes, and who of them is shown.

use serde_json::Value;
use vigia::domain::ids::UserId;
use vigia::store::NewAccount;

use crate::scrape::{asked, tree, until, until_within};
use crate::stage::{Deed, NETWORK, Stage, USER};
use crate::tree::{command, status};
use crate::watchman::{SOON, run_to_end};

/// Adds accounts that the exchange refuses.
async fn crowd(stage: &Stage, many: usize) {
    let store = stage.store().await;
    for number in 1..=many {
        let name = format!("unknown-{number}");
        let credentials = stage.owner_of(&name, |config| config).credentials;
        assert!(stage.control.revoke_key(&format!("key-{name}")));
        let new = NewAccount {
            user_id: UserId::new(USER),
            name,
            network: NETWORK.to_owned(),
            credentials,
        };
        store.add_account(new, stage.clock.utc()).await.unwrap();
    }
    store.close().await;
}

/// How long it takes to look at as many accounts as one service may have, while all of them start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_accounts_are_looked_at() {
    const MANY: usize = 10_000;
    if std::env::var_os("VIGIA_LONG").is_none() {
        return;
    }
    let stage = Stage::in_a_file().await;
    crowd(&stage, MANY).await;
    let watchman = stage.start();
    watchman.until("service.started").await;
    until_within(20 * SOON, "all accounts are served", &watchman, || async {
        let report = tree(&stage, "").await;
        let shown = report.accounts.len();
        assert!(shown <= 120, "{shown}");
        (report.summary.accounts == MANY).then_some(())
    })
    .await;
    for path in ["/v1/tree", "/v1/tree?all=true", "/metrics"] {
        let begun = stage.clock.mono();
        let bytes = asked(&stage, path).await.bytes().await.unwrap().len();
        let took = (stage.clock.mono() - begun).as_millis();
        println!("{MANY} accounts: {path} {} KiB in {took} ms", bytes / 1024);
    }
    // Its stop, with all of them still starting, is not what is timed here.
    watchman.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_accounts_those_are_shown_that_somebody_should_look_at() {
    /// More than are shown without being asked for.
    const MANY: usize = 130;
    let stage = Stage::set().await;
    stage.guarded("near", Deed::Add).await;
    crowd(&stage, MANY - 1).await;
    let watchman = stage.start();
    watchman.until("service.started").await;
    let report = until("all were refused but one", &watchman, || async {
        let report = tree(&stage, "").await;
        let states = &report.summary.states;
        let count = |state: &str| states.get(state).copied().unwrap_or_default();
        ((count("unauthorized"), count("live")) == (MANY - 1, 1)).then_some(report)
    })
    .await;
    let shown: Vec<_> = report
        .accounts
        .iter()
        .map(|account| account.name.as_str())
        .collect();
    assert_eq!((shown.len(), report.left_out), (101, MANY - 101));
    assert!(
        shown.contains(&"near"),
        "the live one that is nearest to liquidation"
    );
    assert_eq!(tree(&stage, "?all=true").await.accounts.len(), MANY);
    let one = tree(&stage, "?account=unknown-7").await;
    assert_eq!(
        (one.accounts.len(), one.accounts[0].name.as_str()),
        (1, "unknown-7")
    );
    let text = status(&stage, &[]).await;
    assert!(
        text.contains(&format!(
            "accounts     {MANY}: 1 live, {} unauthorized",
            MANY - 1
        )),
        "{text}"
    );
    assert_eq!(text.matches("connection/").count(), 101);
    assert_eq!(
        status(&stage, &["--all"])
            .await
            .matches("connection/")
            .count(),
        MANY
    );
    let json: Value = serde_json::from_str(&status(&stage, &["--json"]).await).unwrap();
    assert_eq!(
        json["accounts"].as_array().unwrap().len(),
        MANY,
        "everything"
    );
    let nobody = run_to_end(&mut command(&stage, &["--account", "nobody"])).await;
    assert_eq!(nobody.status.code(), Some(1));
    watchman.stop().await;
}
