//! The actors: one in each file, with the same lines above each, and all of them in `actors.md`.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{Code, Tree};
use crate::{assert_none, assert_one};

/// What the documentation of an actor's module says, a line each.
const MODULE_LINES: [&str; 7] = [
    "//! - Owner: ",
    "//! - Owns: ",
    "//! - In: ",
    " Out:",
    "//! - Bound: ",
    "//! - Death: ",
    "//! - Stop: ",
];

/// What `actors.md` says of an actor, a point each.
const POINTS: [&str; 8] = [
    "Owner", "Owns", "In", "Out", "Bound", "Timers", "Death", "Stop",
];

/// An actor: its file, the messages that it handles, and those that its module says it sends.
struct Found {
    path: String,
    handles: BTreeSet<String>,
    tells: BTreeSet<String>,
}

fn actors(tree: &Tree) -> BTreeMap<String, Found> {
    let mut actors = BTreeMap::new();
    let code = tree.code();
    // A handler may stand in another file than its actor.
    let handlers: Vec<_> = code.iter().flat_map(|(_, code)| handled(code)).collect();
    for (path, code) in &code {
        for name in implemented(code, "Actor for ") {
            let own = handlers.iter().filter(|(actor, _)| *actor == name);
            let found = Found {
                path: (*path).to_owned(),
                handles: own.map(|(_, message)| message.clone()).collect(),
                tells: types(told(tree.text(path))),
            };
            actors.insert(name, found);
        }
    }
    actors
}

/// What the documentation of an actor's module says under `Out:`.
fn told(text: &str) -> &str {
    let out = text.split_once(" Out:").map_or("", |(_, rest)| rest);
    out.split("- Bound:").next().unwrap_or_default()
}

/// The types of which a line says `impl ... what TYPE`.
fn implemented(code: &Code, what: &str) -> Vec<String> {
    let lines = code.lines().map(|(_, line)| line.trim());
    let found = lines.filter(|line| line.starts_with("impl"));
    found
        .filter_map(|line| line.split_once(what))
        .filter(|(before, _)| before.ends_with([' ', ':']))
        .map(|(_, name)| {
            name.split(|c: char| !c.is_alphanumeric())
                .next()
                .unwrap()
                .to_owned()
        })
        .collect()
}

/// Actors and the messages that they handle.
fn handled(code: &Code) -> Vec<(String, String)> {
    let handlers = code.text.split("Handler<").skip(1);
    let of_impl = handlers.filter_map(|rest| rest.split_once("> for "));
    let first_word = |rest: &str| {
        let word = rest.split(|c: char| !c.is_alphanumeric()).next();
        word.unwrap_or_default().to_owned()
    };
    of_impl
        .filter(|(message, _)| message.chars().all(char::is_alphanumeric))
        .map(|(message, actor)| (first_word(actor), message.to_owned()))
        .collect()
}

fn misplaced(tree: &Tree) -> Vec<String> {
    let mut violations = vec![];
    for (path, code) in tree.code() {
        let here = implemented(&code, "Actor for ");
        if !here.is_empty() && !path.starts_with("src/actors/") {
            violations.push(format!(
                "{path}: {} is an actor outside src/actors",
                here[0]
            ));
        }
        if here.len() > 1 {
            violations.push(format!("{path}: {} actors in one file", here.len()));
        }
    }
    violations
}

fn undocumented(tree: &Tree) -> Vec<String> {
    let mut violations = vec![];
    for (name, found) in actors(tree) {
        let text = tree.text(&found.path);
        let doc: Vec<_> = text
            .lines()
            .take_while(|line| line.starts_with("//!"))
            .collect();
        for wanted in MODULE_LINES {
            if !doc.iter().any(|line| line.contains(wanted)) {
                violations.push(format!("{}: {name}: no line `{wanted}`", found.path));
            }
        }
    }
    violations
}

/// The sections of `actors.md` by their actor.
fn sections(tree: &Tree) -> BTreeMap<&str, &str> {
    let text = tree.text("actors.md");
    let sections = text.split("\n### ").skip(1);
    sections
        .filter_map(|section| section.split_once('\n'))
        .collect()
}

/// What a section says under a point, to the next one.
fn point<'a>(section: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = section.split_once(&format!("- **{name}.**"))?;
    rest.split("\n- ").next()
}

/// Names in backticks that are those of types.
fn types(text: &str) -> BTreeSet<String> {
    let quoted = text.split('`').skip(1).step_by(2);
    let is_type = |word: &&str| {
        word.starts_with(char::is_uppercase) && word.chars().all(char::is_alphanumeric)
    };
    quoted.filter(is_type).map(str::to_owned).collect()
}

fn untrue(tree: &Tree) -> Vec<String> {
    let mut violations = vec![];
    let (actors, sections) = (actors(tree), sections(tree));
    let messages: BTreeSet<_> = actors.values().flat_map(|found| &found.handles).collect();
    for name in sections.keys().filter(|name| !actors.contains_key(**name)) {
        violations.push(format!("actors.md: there is no actor {name}"));
    }
    for (name, found) in &actors {
        let Some(section) = sections.get(name.as_str()) else {
            violations.push(format!("actors.md: no heading for {name} ({})", found.path));
            continue;
        };
        for missing in POINTS.iter().filter(|name| point(section, name).is_none()) {
            violations.push(format!("actors.md: {name}: no point {missing}"));
        }
        let told = types(point(section, "In").unwrap_or_default());
        for message in found.handles.difference(&told) {
            violations.push(format!("actors.md: {name}: In does not name {message}"));
        }
        for message in told.difference(&found.handles) {
            violations.push(format!(
                "actors.md: {name}: In: it does not handle {message}"
            ));
        }
        let sent = types(point(section, "Out").unwrap_or_default());
        for message in sent.iter().filter(|message| !messages.contains(message)) {
            violations.push(format!("actors.md: {name}: Out: nobody handles {message}"));
        }
        for message in sent.symmetric_difference(&found.tells) {
            let path = &found.path;
            violations.push(format!(
                "actors.md: {name}: Out: {path} differs on {message}"
            ));
        }
    }
    violations
}

#[test]
fn one_actor_a_file_under_actors() {
    assert_none(misplaced(&Tree::real()));
}

#[test]
fn every_actor_says_who_owns_it_and_what_its_death_means() {
    assert_none(undocumented(&Tree::real()));
}

#[test]
fn actors_md_is_complete_and_true() {
    let tree = Tree::real();
    assert!(actors(&tree).len() >= 8, "the actors were not found");
    assert_none(untrue(&tree));
}

const ACTOR: &str = "impl Actor for Feed {}\nimpl Handler<Watch> for Feed {}\n";
const SECTION: &str = "\n### Feed\n\n- **Owner.** a\n- **Owns.** b\n- **In.** `Watch`\n- **Out.** c\n\
                       - **Bound.** d\n- **Timers.** e\n- **Death.** f\n- **Stop.** g\n";

#[test]
fn an_actor_in_a_wrong_place_or_without_its_lines_is_seen() {
    assert_one(
        &misplaced(&Tree::of(&[("src/store/x.rs", ACTOR)])),
        "outside src/actors",
    );
    let two = format!("{ACTOR}impl actix::Actor for Other {{}}");
    assert_one(
        &misplaced(&Tree::of(&[("src/actors/x.rs", &two)])),
        "2 actors in one file",
    );
    let lines = MODULE_LINES.map(|line| format!("//! {line} x\n")).concat();
    let documented = format!("{lines}{ACTOR}");
    assert_none(undocumented(&Tree::of(&[("src/actors/x.rs", &documented)])));
    let half = documented.replace("Death", "Health");
    assert_one(
        &undocumented(&Tree::of(&[("src/actors/x.rs", &half)])),
        "Death",
    );
}

#[test]
fn an_untrue_actors_md_is_seen() {
    let of = |code: &str, text: &str| {
        untrue(&Tree::of(&[("src/actors/x.rs", code), ("actors.md", text)]))
    };
    assert_none(of(ACTOR, SECTION));
    assert_one(&of(ACTOR, ""), "no heading for Feed");
    assert_one(&of("", SECTION), "there is no actor Feed");
    assert_one(
        &of(ACTOR, &SECTION.replace("- **Death.** f\n", "")),
        "no point Death",
    );
    assert_one(
        &of(ACTOR, &SECTION.replace("`Watch`", "")),
        "In does not name Watch",
    );
    assert_one(
        &of(ACTOR, &SECTION.replace("`Watch`", "`Watch`, `Stop`")),
        "not handle Stop",
    );
    let telling = format!("//! - In: a. Out: `Stop`.\n//! - Bound: b\n{ACTOR}");
    let section = SECTION.replace("c\n", "`Stop`\n");
    assert_one(&of(&telling, &section), "Out: nobody handles Stop");
    let elsewhere =
        format!("{telling}impl Handler<Stop> for Other {{}}\nimpl Actor for Other {{}}");
    let seen = of(&elsewhere, SECTION);
    assert!(
        seen.iter()
            .any(|v| v.contains("Feed: Out: src/actors/x.rs differs on Stop")),
        "{seen:#?}"
    );
    let more = format!("{ACTOR}impl Handler<Drain> for Feed {{}}");
    assert_one(&of(&more, SECTION), "In does not name Drain");
}
