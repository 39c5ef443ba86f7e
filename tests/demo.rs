//! The demo, as the README promises it: the real binary, the real simulator, its own judgement of
//! ledger and journal in its last line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use serde_json::Value;

/// Every demo ends by itself within this.
const WITHIN: Duration = Duration::from_secs(60);
/// What the summary lists executions by.
const TYPES: [&str; 3] = ["margin_guard", "tp_sl", "auto_entry"];

struct Demo {
    ok: bool,
    summary: Value,
    said: String,
}

impl Demo {
    fn number(&self, pointer: &str) -> i64 {
        let number = self.summary.pointer(pointer).and_then(Value::as_i64);
        number.unwrap_or_else(|| panic!("no {pointer} in {}", self.summary))
    }

    /// Nothing lost, nothing twice.
    fn assert_exact(&self) {
        assert_eq!(self.number("/ledger/missing"), 0, "{}", self.said);
        assert_eq!(self.number("/ledger/duplicates"), 0, "{}", self.said);
        assert_eq!(self.number("/executions/uncertain"), 0, "{}", self.said);
        assert_eq!(
            self.number("/ledger/effects"),
            self.number("/executions/done")
        );
        let of = |state| self.number(&format!("/executions/{state}"));
        let ended = of("done") + of("failed") + of("skipped") + of("uncertain");
        assert_eq!(self.number("/triggers"), ended, "{}", self.said);
    }

    fn assert_saved(&self) {
        self.assert_exact();
        assert_eq!(self.number("/liquidations"), 0, "{}", self.said);
        assert!(self.number("/executions/done") > 0, "{}", self.said);
        self.assert_every_type();
        assert!(self.ok, "{}", self.said);
    }

    /// All three automations did something, and what they did is all that was done.
    fn assert_every_type(&self) {
        for state in ["done", "failed", "skipped", "uncertain"] {
            let of = |kind| self.number(&format!("/executions_by_type/{kind}/{state}"));
            let all = self.number(&format!("/executions/{state}"));
            assert_eq!(TYPES.map(of).iter().sum::<i64>(), all, "{}", self.said);
        }
        for kind in TYPES {
            let done = self.number(&format!("/executions_by_type/{kind}/done"));
            assert!(done > 0, "{kind}: {}", self.said);
        }
    }
}

/// Runs the demo to its end, in a folder of its own, and reads its last line.
fn demo(arguments: &[&str]) -> Demo {
    let output = run(&[&["--json"], arguments].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let stdout = String::from_utf8(output.stdout).expect("standard output is text");
    let last = stdout.lines().last().unwrap_or_default();
    let summary = serde_json::from_str(last)
        .unwrap_or_else(|error| panic!("{arguments:?}: {error}: `{last}`\n{said}"));
    Demo {
        ok: output.status.success(),
        summary,
        said,
    }
}

fn run(arguments: &[&str]) -> Output {
    let child = Command::new(env!("CARGO_BIN_EXE_vigia"))
        .arg("demo")
        .args(arguments)
        .env_remove("VIGIA_DATA_DIR")
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the demo starts");
    let pid = Pid::from_child(&child);
    let (end, ended) = mpsc::channel();
    let waiting = thread::spawn(move || end.send(child.wait_with_output()));
    let Ok(output) = ended.recv_timeout(WITHIN) else {
        let _ = rustix::process::kill_process(pid, Signal::KILL);
        panic!("{arguments:?} did not end within {WITHIN:?}");
    };
    drop(waiting.join());
    output.expect("the demo ends")
}

/// The seeds of this run: `VIGIA_DEMO_SEEDS=1-20`, else three.
fn seeds() -> Vec<u64> {
    let asked = std::env::var("VIGIA_DEMO_SEEDS").unwrap_or_else(|_| "1-3".to_owned());
    let (first, last) = asked.split_once('-').expect("VIGIA_DEMO_SEEDS=FIRST-LAST");
    let number = |text: &str| text.parse().expect("VIGIA_DEMO_SEEDS=FIRST-LAST");
    (number(first)..=number(last)).collect()
}

/// `VIGIA_DEMO_SPEED=default` plays at the demo's own speed.
fn speed() -> &'static [&'static str] {
    match std::env::var("VIGIA_DEMO_SPEED").as_deref() {
        Ok("default") => &[],
        _ => &["--speed", "max"],
    }
}

#[test]
fn guards_save_every_position_of_a_falling_market() {
    for seed in seeds() {
        let seed = seed.to_string();
        let arguments = [&["--seed", &seed], speed()].concat();
        demo(&arguments).assert_saved();
    }
}

/// As it is typed: within a minute at its own speed, every way of acting shown, the summary by type.
#[test]
fn the_demo_shows_all_three_automations_isolated_and_cross() {
    let output = run(&[]);
    let shown = String::from_utf8(output.stdout).expect("standard output is text");
    assert!(output.status.success(), "{shown}");
    for action in [
        "add_margin",
        "reopen",
        "close_position",
        "update_tp",
        "update_sl",
        "open long",
        "cross_deposit",
        "cross_reduce",
        "cross_close",
        "cross_open long",
    ] {
        let done = |line: &str| line.contains('✔') && line.contains(action);
        assert!(shown.lines().any(done), "nothing did {action}: {shown}");
    }
    let summary = shown.split("\naccounts ").last().unwrap_or_default();
    for kind in TYPES {
        let listed = |line: &str| line.trim_start().starts_with(kind) && !line.contains(" 0 done");
        assert!(
            summary.lines().any(listed),
            "{kind} is not listed: {summary}"
        );
    }
    assert!(summary.contains(" 0 duplicates, 0 missing"), "{summary}");
    assert!(summary.contains("\nliquidations   0\n"), "{summary}");
}

#[test]
fn without_guards_the_same_market_liquidates() {
    let demo = demo(&["--seed", "1", "--speed", "max", "--without-guards"]);
    assert_eq!(demo.number("/executions/done"), 0);
    assert_eq!(demo.number("/ledger/effects"), 0);
    assert_eq!(
        demo.number("/liquidations"),
        demo.number("/accounts"),
        "{}",
        demo.said
    );
}

#[test]
fn a_market_without_danger_is_no_failure() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let candles = "time,open,high,low,close\n2022-01-20T00:00:00Z,40000,40100,39990,40090\n";
    std::io::Write::write_all(&mut file, candles.as_bytes()).unwrap();
    let demo = demo(&["--speed", "max", "--prices", file.path().to_str().unwrap()]);
    assert_eq!(demo.number("/triggers"), 0, "{}", demo.said);
    assert!(demo.ok, "{}", demo.said);
}

/// Runs where the file is named: it is no part of the repository.
#[test]
fn guards_save_every_position_of_a_real_crash() {
    let Ok(file) = std::env::var("VIGIA_MARKET_FILE") else {
        eprintln!("skipped: VIGIA_MARKET_FILE names no market");
        return;
    };
    let arguments = [&["--prices", &file], speed()].concat();
    demo(&arguments).assert_saved();
}
