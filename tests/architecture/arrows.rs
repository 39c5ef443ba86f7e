//! Which room may know which.

use crate::source::{Tree, closing, module_path};
use crate::{assert_none, assert_one};

/// Rooms and the rooms they may name besides themselves. A room that is not here may name none.
const ARROWS: [(&str, &[&str]); 20] = [
    // Pure: no IO, no clock.
    ("domain", &[]),
    ("clock", &[]),
    // Counts and times; knows nothing of what.
    ("meter", &[]),
    // Where tests stop everything; nothing, in a shipped build.
    ("failpoint", &[]),
    // Whom encrypted connections trust.
    ("tls", &[]),
    (
        "exchange",
        &["clock", "domain", "failpoint", "meter", "tls"],
    ),
    // Signs and posts; what and when is the actors' to say.
    ("notify", &["tls"]),
    ("store", &["clock", "domain", "meter"]),
    ("supervision", &["clock", "domain", "failpoint"]),
    ("queue", &["clock", "domain", "failpoint"]),
    ("telemetry", &["clock", "domain", "meter"]),
    ("journal", &["clock", "domain", "failpoint", "store"]),
    // Shares nothing, so that a wrong client cannot hide behind an equally wrong simulator.
    ("simulator", &[]),
    // Makes the values that the rooms are given; no room but the wiring ones asks it for any.
    (
        "config",
        &["domain", "exchange", "notify", "store", "telemetry"],
    ),
    (
        "actors",
        &[
            "clock",
            "config",
            "domain",
            "exchange",
            "journal",
            "meter",
            "notify",
            "queue",
            "store",
            "supervision",
            "telemetry",
        ],
    ),
    // Shows what the actors share, and changes what is stored.
    (
        "admin",
        &[
            "actors",
            "config",
            "domain",
            "exchange",
            "journal",
            "meter",
            "queue",
            "store",
            "supervision",
            "telemetry",
        ],
    ),
    (
        "app",
        &[
            "actors",
            "admin",
            "clock",
            "config",
            "domain",
            "exchange",
            "journal",
            "notify",
            "queue",
            "simulator",
            "store",
            "supervision",
            "telemetry",
        ],
    ),
    (
        "cli",
        &[
            "actors",
            "admin",
            "app",
            "clock",
            "config",
            "domain",
            "exchange",
            "journal",
            "notify",
            "queue",
            "simulator",
            "store",
            "supervision",
            "telemetry",
        ],
    ),
    ("main", &["cli"]),
    ("lib", &[]),
];

/// Names at the crate's root that a room has put there.
const AT_THE_ROOT: [(&str, &str); 1] = [("crashable", "supervision")];

fn violations(tree: &Tree) -> Vec<String> {
    let mut violations = vec![];
    for (path, code) in tree.code() {
        if !path.starts_with("src/") {
            continue;
        }
        let room = path
            .trim_start_matches("src/")
            .split(['/', '.'])
            .next()
            .unwrap();
        let arrows = ARROWS.iter().find(|(name, _)| *name == room);
        let Some((_, may)) = arrows else {
            violations.push(format!("{path}: the room {room} has no arrows"));
            continue;
        };
        for (at, named) in named_rooms(&code.text, module_path(path).len()) {
            if named != room && !may.contains(&named.as_str()) {
                let line = code.text[..at].matches('\n').count() + 1;
                violations.push(format!("{path}:{line}: {room} may not know {named}"));
            }
        }
    }
    violations
}

/// Every room that is named by a path from the root, or by as many `super` as lead there.
fn named_rooms(code: &str, depth: usize) -> Vec<(usize, String)> {
    let mut named = vec![];
    let own = |at: usize| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
    };
    for root in ["crate::", "vigia::"] {
        for (at, _) in code.match_indices(root).filter(|(at, _)| own(*at)) {
            let names = leading_names(&code[at + root.len()..]);
            named.extend(names.into_iter().map(|name| (at, name)));
        }
    }
    for (at, _) in code.match_indices("super::").filter(|(at, _)| own(*at)) {
        let rest = code[at..].trim_start_matches("super::");
        let supers = (code.len() - at - rest.len()) / "super::".len();
        if supers >= depth {
            let names = leading_names(rest).into_iter();
            let rooms = names.filter(|name| ARROWS.iter().any(|(room, _)| room == name));
            named.extend(rooms.map(|name| (at, name)));
        }
    }
    for (_, name) in &mut named {
        if let Some((_, room)) = AT_THE_ROOT.iter().find(|(at_root, _)| at_root == name) {
            *name = (*room).to_owned();
        }
    }
    named
}

/// The first name of a path, or of each path of a group.
fn leading_names(path: &str) -> Vec<String> {
    if !path.starts_with('{') {
        let end = path.find(|c: char| !c.is_alphanumeric() && c != '_');
        return vec![path[..end.unwrap_or(path.len())].to_owned()];
    }
    let group = &path[1..closing(path.as_bytes(), 0) - 1];
    let mut names = vec![];
    let (mut depth, mut from) = (0, 0);
    for (at, c) in group.char_indices().chain([(group.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.extend(leading_names(group[from..at].trim()));
                from = at + 1;
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

#[test]
fn every_room_knows_only_what_it_may() {
    assert_none(violations(&Tree::real()));
}

#[test]
fn a_wrong_arrow_is_seen_however_it_is_written() {
    for (path, code) in [
        (
            "src/domain/rules/x.rs",
            "fn f() {\n    crate::clock::Clock::start();\n}",
        ),
        (
            "src/exchange/x.rs",
            "use crate::domain::ids;\nuse crate::store::Store;",
        ),
        (
            "src/store/x.rs",
            "\nuse crate::{domain::{ids, units},\n exchange::Rest};\n",
        ),
        ("src/domain/x.rs", "\nuse super::super::journal::Journal;"),
        (
            "src/simulator/rest/x.rs",
            "\nuse crate::domain::units::Sats;",
        ),
        ("src/actors/x.rs", "\nuse crate::simulator::Simulator;"),
        ("src/telemetry/x.rs", "\nuse crate::store::Store;"),
        ("src/journal/x.rs", "\ncrate::crashable!(X);"),
        (
            "src/main.rs",
            "\nfn main() { vigia::app::prepare_process() }",
        ),
    ] {
        let seen = violations(&Tree::of(&[(path, code)]));
        assert_one(&seen, &format!("{path}:2: "));
    }
    let seen = violations(&Tree::of(&[("src/helpers/mod.rs", "")]));
    assert_one(&seen, "the room helpers has no arrows");
    let tests_may = "#[cfg(test)]\nmod tests {\n    use crate::simulator::Simulator;\n}";
    assert_none(violations(&Tree::of(&[("src/exchange/x.rs", tests_may)])));
}
