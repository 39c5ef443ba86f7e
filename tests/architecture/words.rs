//! Words that are banned from code outside tests.

use crate::source::Tree;
use crate::{assert_none, assert_one};

/// A banned word and why; what would be found in a longer word is written with what precedes it.
const BANNED: [(&str, &str); 16] = [
    (
        "Actor::start",
        "nobody learns of its death: supervision::start",
    ),
    (
        "Actor::create",
        "nobody learns of its death: supervision::start",
    ),
    (
        "actix::Supervisor",
        "does not restart after a panic: supervision::start",
    ),
    (
        "Supervisor::start",
        "does not restart after a panic: supervision::start",
    ),
    (
        "start_in_arbiter",
        "nobody learns of its death: supervision::start",
    ),
    ("SyncArbiter", "a panic kills its thread silently"),
    ("SystemService", "a hidden singleton: pass addresses"),
    ("ArbiterService", "a hidden singleton: pass addresses"),
    ("AtomicResponse", "freezes the actor"),
    ("run_interval", "catches up in bursts: run_later again"),
    ("unbounded", "every bound is named"),
    ("mpsc::channel()", "every bound is named"),
    ("todo!", "unfinished"),
    ("unimplemented!", "unfinished"),
    ("dbg!", "unfinished"),
    ("process::abort", "panics are caught, stops are orderly"),
];

/// Ways to start what nobody owns.
const SPAWNS: [&str; 7] = [
    "tokio::spawn",
    "actix_rt::spawn",
    "actix::spawn",
    "spawn_local",
    "thread::spawn",
    "thread::Builder",
    "Arbiter::new",
];

/// Files that may use one of [`SPAWNS`], and who owns what they start.
const OWNED: [(&str, &str, &str); 12] = [
    (
        "src/supervision/start.rs",
        "actix_rt::spawn",
        "the actor's Child owns it",
    ),
    (
        "src/exchange/stream/mod.rs",
        "tokio::spawn",
        "the Socket aborts it when dropped",
    ),
    (
        "src/queue/consumer.rs",
        "tokio::spawn",
        "the Consumer aborts it when dropped",
    ),
    (
        "src/journal/intents/writer.rs",
        "thread::Builder",
        "ends when the Writer is dropped",
    ),
    (
        "src/journal/audit/flush.rs",
        "thread::Builder",
        "ends when the Flusher is dropped",
    ),
    (
        "src/store/writer.rs",
        "tokio::spawn",
        "the Store ends it when closed",
    ),
    (
        "src/app.rs",
        "actix_rt::spawn",
        "the signs of life and the right to trade; the App aborts them",
    ),
    (
        "src/app/threads.rs",
        "actix_rt::spawn",
        "the watchdog and its beat; the Threads abort them when dropped",
    ),
    (
        "src/app.rs",
        "Arbiter::new",
        "the trading thread; the App stops and joins it",
    ),
    (
        "src/admin/server.rs",
        "actix_rt::spawn",
        "the Admin, or the Waiting, aborts it when dropped",
    ),
    (
        "src/cli/mod.rs",
        "actix_rt::spawn",
        "waits for the second signal, ends the process",
    ),
    (
        "src/simulator/start.rs",
        "",
        "the Simulator ends and joins all it starts",
    ),
];

fn banned(tree: &Tree) -> Vec<String> {
    let mut violations = vec![];
    for (path, code) in tree.code() {
        // Ranges have a `start()` too.
        let knows_actors = code.text.contains("actix");
        let start = (".start()", "nobody learns of its death: supervision::start");
        for (number, line) in code.lines() {
            let words = BANNED.iter().chain(knows_actors.then_some(&start));
            for (word, why) in words.filter(|(word, _)| line.contains(word)) {
                violations.push(format!("{path}:{number}: {word}: {why}"));
            }
        }
    }
    violations
}

fn unowned(tree: &Tree) -> Vec<String> {
    let mut violations = vec![];
    for (path, code) in tree.code() {
        for (number, line) in code.lines() {
            for spawn in SPAWNS.iter().filter(|spawn| line.contains(**spawn)) {
                let owned = OWNED
                    .iter()
                    .any(|(file, word, _)| *file == path && (word.is_empty() || word == spawn));
                if !owned {
                    violations.push(format!("{path}:{number}: {spawn}: who owns it?"));
                }
            }
        }
    }
    violations
}

fn stale_permissions(tree: &Tree) -> Vec<String> {
    let code = tree.code();
    let used = |file: &str, word: &str| {
        code.iter().any(|(path, code)| {
            *path == file
                && SPAWNS
                    .iter()
                    .any(|w| w.contains(word) && code.text.contains(w))
        })
    };
    OWNED
        .iter()
        .filter(|(file, word, _)| !used(file, word))
        .map(|(file, word, _)| format!("{file} does not use {word} any more"))
        .collect()
}

#[test]
fn no_banned_word_is_used() {
    assert_none(banned(&Tree::real()));
}

#[test]
fn whatever_is_spawned_has_an_owner() {
    assert_none(unowned(&Tree::real()));
}

#[test]
fn no_permission_outlives_its_use() {
    assert_none(stale_permissions(&Tree::real()));
}

#[test]
fn a_banned_word_is_seen() {
    for line in [
        "actix::Supervisor::start(|_| Feed);",
        "let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();",
        "todo!()",
    ] {
        let code = format!("fn f() {{\n    {line}\n}}");
        let seen = banned(&Tree::of(&[("src/actors/x.rs", &code)]));
        assert!(
            seen.iter().all(|v| v.starts_with("src/actors/x.rs:2: ")),
            "{seen:#?}"
        );
        assert!(!seen.is_empty(), "{line}");
    }
    let started = "use actix::prelude::*;\nlet addr = Feed::new().start();";
    assert_one(
        &banned(&Tree::of(&[("src/actors/x.rs", started)])),
        "x.rs:2: .start()",
    );
    let range = "let first = (1..=3).start();";
    assert_none(banned(&Tree::of(&[("src/domain/x.rs", range)])));
    let in_tests = "#[cfg(test)]\nmod tests { fn f() { todo!() } }";
    assert_none(banned(&Tree::of(&[("src/domain/x.rs", in_tests)])));
}

#[test]
fn an_unowned_spawn_and_a_stale_permission_are_seen() {
    let code = "fn f() {\n    tokio::spawn(async {});\n}";
    assert_one(
        &unowned(&Tree::of(&[("src/actors/x.rs", code)])),
        "src/actors/x.rs:2: tokio::spawn",
    );
    assert_none(unowned(&Tree::of(&[("src/exchange/stream/mod.rs", code)])));
    assert_eq!(stale_permissions(&Tree::of(&[])).len(), OWNED.len());
}
