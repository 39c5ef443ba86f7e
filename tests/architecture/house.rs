//! Files, profiles, dependencies, and what the documents must name.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::Tree;
use crate::{assert_none, assert_one};

/// Lines that a file may have without what is for tests alone.
const MOST_LINES: usize = 350;

/// Dependencies that need a C library or a second TLS.
const UNWANTED: [&str; 4] = ["aws-lc-rs", "aws-lc-sys", "native-tls", "openssl-sys"];

fn too_long(tree: &Tree) -> Vec<String> {
    let mut violations = vec![];
    for (path, code) in tree.code() {
        if code.lines > MOST_LINES {
            violations.push(format!(
                "{path}: {} lines, {MOST_LINES} at most",
                code.lines
            ));
        }
    }
    violations
}

fn aborting_profiles(tree: &Tree) -> Vec<String> {
    let mut violations = vec![];
    for path in ["Cargo.toml", "migrations/Cargo.toml"] {
        let manifest: toml::Table = tree.text(path).parse().expect(path);
        let profiles = manifest.get("profile").and_then(toml::Value::as_table);
        for (name, profile) in profiles.into_iter().flatten() {
            let panic = profile.get("panic").and_then(toml::Value::as_str);
            if panic.is_some_and(|panic| panic != "unwind") {
                violations.push(format!(
                    "{path}: profile {name}: supervision catches panics"
                ));
            }
        }
    }
    violations
}

fn unwanted_dependencies(tree: &Tree) -> Vec<String> {
    let names = tree
        .text("Cargo.lock")
        .lines()
        .filter_map(|line| line.strip_prefix("name = "));
    let names = names.map(|name| name.trim_matches('"'));
    names
        .filter(|name| UNWANTED.contains(name))
        .map(|name| format!("Cargo.lock: {name}"))
        .collect()
}

/// Names of events in the code, and where each is written.
fn events(tree: &Tree) -> BTreeMap<String, String> {
    const EVENTS: &str = "src/telemetry/events.rs";
    let mut events = BTreeMap::new();
    let named = tree.text(EVENTS).split(" => \"").skip(1);
    for name in named.filter_map(|rest| rest.split('"').next()) {
        events.insert(name.to_owned(), EVENTS.to_owned());
    }
    for (path, code) in tree.code() {
        let written = tree.text(path).lines();
        for ((number, line), written) in code.lines().zip(written) {
            if let (true, Some((_, name))) =
                (line.contains("event = "), written.split_once("event = \""))
            {
                let name = name.split('"').next().unwrap_or_default();
                events.insert(name.to_owned(), format!("{path}:{number}"));
            }
        }
    }
    events
}

/// The fields of each event of the enum, by the event's name.
fn fields(tree: &Tree) -> BTreeMap<String, Vec<String>> {
    let text = tree.text("src/telemetry/events.rs");
    let declared = text
        .split_once("pub enum Event {")
        .map_or("", |(_, rest)| rest);
    let declared = declared.split("\n}").next().unwrap_or_default();
    let mut fields: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut variant = "";
    for line in declared.lines().map(str::trim) {
        if let Some(name) = line.strip_suffix(" {") {
            variant = name;
        } else if let Some((field, _)) = line.split_once(": ") {
            fields.entry(variant).or_default().push(field.to_owned());
        }
    }
    let names = text
        .split("Self::")
        .filter_map(|rest| rest.split_once(" { .. } => \""));
    names
        .map(|(variant, name)| {
            let name = name.split('"').next().unwrap_or_default();
            (
                name.to_owned(),
                fields.get(variant).cloned().unwrap_or_default(),
            )
        })
        .collect()
}

/// Rows of the tables under `## Events` in `docs/logs.md` by the event in their first column.
fn described(tree: &Tree) -> BTreeMap<&str, &str> {
    let events = tree.text("docs/logs.md").split("\n## Events\n").last();
    let lines = events.unwrap_or_default().lines();
    let rows = lines.filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split_once('`')).collect()
}

fn untold_events(tree: &Tree) -> Vec<String> {
    let (events, rows) = (events(tree), described(tree));
    let mut violations = vec![];
    for (name, place) in events
        .iter()
        .filter(|(name, _)| !rows.contains_key(name.as_str()))
    {
        violations.push(format!("docs/logs.md: no row for {name} ({place})"));
    }
    for name in rows.keys().filter(|name| !events.contains_key(**name)) {
        violations.push(format!("docs/logs.md: there is no event {name}"));
    }
    for (name, fields) in fields(tree) {
        let row = rows.get(name.as_str()).copied().unwrap_or_default();
        for field in fields.iter().filter(|field| *field != "account") {
            if !row.is_empty() && !row.contains(&format!("`{field}`")) {
                violations.push(format!("docs/logs.md: {name}: no field {field}"));
            }
        }
    }
    violations
}

/// A key is explained by a comment above it with no empty line between, or by one above the first
/// of several tables of one kind (`[networks.…]`).
fn unexplained_keys(tree: &Tree) -> Vec<String> {
    let mut violations = vec![];
    let mut explained_kinds = BTreeSet::new();
    let mut explained = false;
    for (line, number) in tree.text("config/default.toml").lines().zip(1..) {
        let header = line
            .strip_prefix('[')
            .map(|header| header.trim_end_matches(']'));
        if line.is_empty() {
            explained = false;
        } else if line.starts_with('#') {
            explained = true;
        } else if let Some((kind, _)) = header.and_then(|header| header.split_once('.')) {
            if explained {
                explained_kinds.insert(kind);
            }
            explained = explained_kinds.contains(kind);
        } else if header.is_none() && !explained {
            violations.push(format!(
                "config/default.toml:{number}: {line}: not explained"
            ));
        }
    }
    violations
}

#[test]
fn files_are_short() {
    assert_none(too_long(&Tree::real()));
}

#[test]
fn panics_unwind_in_every_profile() {
    assert_none(aborting_profiles(&Tree::real()));
}

#[test]
fn there_is_one_tls_and_no_c_library_for_it() {
    let tree = Tree::real();
    assert!(tree.text("Cargo.lock").contains("name = \"ring\""));
    assert_none(unwanted_dependencies(&tree));
}

#[test]
fn every_event_is_described_with_its_fields() {
    let tree = Tree::real();
    assert!(
        events(&tree).len() > 20 && fields(&tree).len() > 15,
        "the events were not found"
    );
    assert_none(untold_events(&tree));
}

#[test]
fn every_key_of_the_configuration_is_explained() {
    assert_none(unexplained_keys(&Tree::real()));
}

#[test]
fn a_long_file_is_seen_and_tests_do_not_count() {
    let long = "\n".repeat(MOST_LINES + 1);
    assert_one(
        &too_long(&Tree::of(&[("src/store/x.rs", &long)])),
        "351 lines, 350 at most",
    );
    let tested = format!("fn f() {{}}\n#[cfg(test)]\nmod tests {{\n{long}}}");
    assert_none(too_long(&Tree::of(&[("src/store/x.rs", &tested)])));
}

#[test]
fn an_aborting_profile_and_a_second_tls_are_seen() {
    let manifest = "[profile.fast]\npanic = \"abort\"\n";
    assert_one(
        &aborting_profiles(&Tree::of(&[("Cargo.toml", manifest)])),
        "profile fast",
    );
    let lock = "[[package]]\nname = \"openssl-sys\"\n[[package]]\nname = \"openssl-probe\"\n";
    assert_one(
        &unwanted_dependencies(&Tree::of(&[("Cargo.lock", lock)])),
        "openssl-sys",
    );
}

#[test]
fn an_undescribed_event_and_an_unexplained_key_are_seen() {
    let code = "pub enum Event {\n    Died {\n        cause: String,\n    },\n}\n\
                fn name() { Self::Died { .. } => \"actor.died\", }\n";
    let logged = "fn f() {\n    tracing::info!(event = \"panic\");\n}";
    let of = |docs: &str| {
        untold_events(&Tree::of(&[
            ("src/telemetry/events.rs", code),
            ("src/x.rs", logged),
            ("docs/logs.md", docs),
        ]))
    };
    assert_none(of("| `actor.died` | `cause` |\n| `panic` | |\n"));
    assert_one(
        &of("| `actor.died` | `cause` |\n"),
        "no row for panic (src/x.rs:2)",
    );
    assert_one(&of("| `panic` | |\n"), "no row for actor.died");
    assert_one(
        &of("| `actor.died` | |\n| `panic` | |\n"),
        "actor.died: no field cause",
    );
    let gone = "| `actor.died` | `cause` |\n| `panic` | |\n| `actor.lost` | |\n";
    assert_one(&of(gone), "there is no event actor.lost");
    let config = "[a]\n# why\nx = 1\ny = 2\n\nz = 3\n\n# why\n[n.a]\nu = 1\n\n[n.b]\nu = 1\n";
    let seen = unexplained_keys(&Tree::of(&[("config/default.toml", config)]));
    assert_one(&seen, "config/default.toml:6: z = 3");
}
