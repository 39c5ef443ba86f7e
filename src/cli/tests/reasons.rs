//! Why something was done, and why nothing was.

use super::*;

#[tokio::test]
async fn an_execution_is_explained_with_what_was_seen_and_decided() {
    let (mut shell, automation) = Shell::with_automation().await;
    let id = shell.uncertain(&automation).await.to_string();
    let said = shell.run(&["why", &id]).await.ok().out;
    for part in [
        "(margin_guard) of account main, for position 00000000-",
        "Saw: a price of 93,000, 3 ms old",
        "Held margin_used = 0.710000 against 0.7",
        "Decided: add_margin by itself, in episode 1",
        "vigia execution resolve",
        "Rule: margin_guard: add_margin 500 sats at margin_used >= 0.7, cooldown 60 s (version 1).",
        "Arming now: episode 1 has fired",
    ] {
        assert!(said.contains(part), "{part} in\n{said}");
    }
    let report = shell.run(&["why", &id, "--json"]).await.json();
    assert_eq!(report["execution"]["decision"]["metricValue"], json!(0.71));
    assert!(report["explanation"].as_array().unwrap().len() >= 4);
}

#[tokio::test]
async fn why_nothing_was_done_is_explained() {
    let (mut shell, automation) = Shell::with_automation().await;
    let _exchange = exchange(&mut shell).await;
    let check = of_main("check", "margin_guard", GUARD);
    let check = [check.as_slice(), &["--json"]].concat();
    let rows = shell.run(&check).await.json();
    let position = rows["account"]["positions"][0]["position"]
        .as_str()
        .unwrap()
        .to_owned();
    let why = ["why", "--automation", &automation, "--position", &position];
    let said = shell.run(&why).await.ok().out;
    for part in [
        "Why it does not act: the price is 100,000, margin_used is 0.000000 against 0.7; the rule \
         fires at 93,457.98 or below: the price is 6.5 % away.",
        "ok   automation: it is enabled",
        "ok   position: isolated long of 1000 USD at 100,000",
        "?    arming: never armed",
    ] {
        assert!(said.contains(part), "{part} in\n{said}");
    }
    let nobody = uuid::Uuid::from_u128(5).to_string();
    let gone = [
        "why",
        "--automation",
        &automation,
        "--position",
        &nobody,
        "--json",
    ];
    let report = shell.run(&gone).await.json();
    let answer = report["answer"].as_str().unwrap();
    assert!(answer.ends_with("does not run"), "{answer}");
    shell
        .run(&["automation", "disable", &automation])
        .await
        .ok();
    let offline = [why.as_slice(), &["--offline"]].concat();
    let said = shell.run(&offline).await.ok().out;
    assert!(
        said.contains("Why it does not act: it is disabled"),
        "{said}"
    );
    assert!(
        said.contains("?    exchange: the account was not read: --offline"),
        "{said}"
    );
}
