//! `vigia backtest` as it is typed: the real binary, a small market of its own, and a real one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const GUARD: &str = r#"{"action": "add_margin", "add_margin_amount": 150000,
    "margin_threshold": 70, "metric": "margin_used"}"#;

fn backtest(prices: &Path, arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_vigia"))
        .args(["backtest", "--type", "margin_guard", "--prices"])
        .arg(prices)
        .args(arguments)
        .output();
    output.unwrap()
}

fn report(prices: &Path, arguments: &[&str]) -> Value {
    let output = backtest(prices, &[arguments, &["--json"]].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert_eq!(said, "", "no bar where nobody looks");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Falls from 100,000 by 250 a minute, and comes half the way back.
fn small_market(folder: &Path) -> std::path::PathBuf {
    let mut csv = String::from("time,open,high,low,close\n");
    let down = (0..60).map(|minute| 100_000 - 250 * minute);
    let up = (0..30).map(|minute| 85_000 + 250 * minute);
    let prices: Vec<i64> = down.chain(up).collect();
    for (minute, pair) in prices.windows(2).enumerate() {
        let (open, close) = (pair[0], pair[1]);
        let (high, low) = (open.max(close), open.min(close));
        let time = 1_736_467_200 + 60 * minute;
        writeln!(csv, "{time},{open},{high},{low},{close}").unwrap();
    }
    let file = folder.join("market.csv");
    std::fs::write(&file, csv).unwrap();
    file
}

#[test]
fn a_small_market_is_replayed_and_reported_for_people_and_programs() {
    let folder = tempfile::tempdir().unwrap();
    let market = small_market(folder.path());
    let rule = folder.path().join("guard.json");
    std::fs::write(&rule, GUARD).unwrap();
    let rule = rule.to_str().unwrap();
    let arguments = ["--automation", rule, "--position", "long:1000@openx10"];
    let report = report(&market, &arguments);
    assert_eq!(report["prices"]["candles"], 89);
    assert_eq!(report["automation"]["config"]["margin_threshold"], 0.7);
    let line = &report["positions"][0];
    assert_eq!(line["without"]["ended"]["by"], "liquidation");
    assert_eq!(line["with"]["ended"], Value::Null);
    assert!(line["saved"].as_i64().unwrap() > 0, "{line}");

    let told = backtest(&market, &arguments);
    let told = String::from_utf8(told.stdout).unwrap();
    for part in [
        "add_margin 150000 sats",
        "liquidated 2025-01-10T00:36:",
        "liquidations: 1 without the rule, 0 with it",
        "it saved",
    ] {
        assert!(told.contains(part), "{part} in\n{told}");
    }
}

#[test]
fn what_cannot_be_used_is_told_and_fails() {
    let folder = tempfile::tempdir().unwrap();
    let market = small_market(folder.path());
    let position = ["--position", "long:1000@openx10"];
    let refused = |market: &Path, arguments: &[&str], code: i32| {
        let output = backtest(market, arguments);
        assert_eq!(output.status.code(), Some(code));
        assert!(output.stdout.is_empty());
        String::from_utf8(output.stderr).unwrap()
    };
    let bad = [
        position.as_slice(),
        &["--automation", r#"{"action": "shut"}"#],
    ]
    .concat();
    let said = refused(&market, &bad, 1);
    assert!(
        said.contains("action") && said.contains("margin_threshold"),
        "{said}"
    );
    let missing = folder.path().join("nothing.csv");
    let good = [position.as_slice(), &["--automation", GUARD]].concat();
    let said = refused(&missing, &good, 1);
    assert!(said.contains("nothing.csv"), "{said}");
    let usage = ["--automation", GUARD, "--position", "up:5"];
    let said = refused(&market, &usage, 2);
    assert!(said.contains("SIDE:QUANTITY@ENTRYxLEVERAGE"), "{said}");
}

/// The fall of January 2022 liquidates a long at 10x; the guard keeps it alive.
#[test]
fn a_guard_would_have_kept_a_long_alive_in_a_real_crash() {
    let Ok(file) = std::env::var("VIGIA_MARKET_FILE") else {
        eprintln!("skipped: VIGIA_MARKET_FILE names no market");
        return;
    };
    let arguments = [
        "--automation",
        GUARD,
        "--position",
        "long:1000@openx10",
        "--position",
        "long:1000@openx10:cross",
        "--cross-margin",
        "300000",
        "--balance",
        "2000000",
        "--funding-rate",
        "0.0001",
    ];
    let report = report(Path::new(&file), &arguments);
    assert_eq!(report["summary"]["liquidationsWithout"], 2);
    assert_eq!(report["summary"]["liquidationsWith"], 0);
    let executions = report["executions"].as_array().unwrap();
    assert!(executions.len() >= 2);
    for execution in executions {
        assert_eq!(execution["state"], "done");
    }
    let kinds = executions.iter().map(|one| one["action"]["kind"].as_str());
    let kinds: std::collections::BTreeSet<_> = kinds.flatten().collect();
    assert_eq!(
        kinds.into_iter().collect::<Vec<_>>(),
        ["add_margin", "cross_deposit"]
    );
}
