//! What is listed or shown comes as JSON where it is asked for, with the keys that the page on the
//! command line names.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::receiver::Receiver;
use crate::stage::{Deed, Stage, Windows, wanted_server};
use crate::watchman::SOON;

const PAGE: &str = include_str!("../../docs/command-line.md");
/// Verbs that list or show something.
const LOOKS: [&str; 5] = ["list", "show", "status", "why", "limits"];

/// One row of the page's table: a command, and the keys of what it prints.
struct Row {
    command: String,
    /// Whether it prints an array, of objects with these keys.
    is_list: bool,
    keys: BTreeSet<String>,
}

fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn rows() -> Vec<Row> {
    let lines = PAGE.lines().filter(|line| line.starts_with("| `vigia "));
    let row = |line: &str| {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").collect();
        let [command, shape, keys] = cells.as_slice() else {
            panic!("{line}");
        };
        Row {
            command: quoted(command).next().unwrap().to_owned(),
            is_list: shape.contains("array"),
            keys: quoted(keys).map(str::to_owned).collect(),
        }
    };
    lines.map(row).collect()
}

/// All commands that have no further ones below, with what their help says.
async fn leaves(stage: &Stage) -> Vec<(Vec<String>, String)> {
    let (mut open, mut found) = (vec![vec![]], vec![]);
    while let Some(path) = open.pop() {
        let mut words: Vec<&str> = path.iter().map(String::as_str).collect();
        words.push("--help");
        let help = stage.cli(&words).await.ok().out;
        let Some((_, below)) = help.split_once("\nCommands:\n") else {
            found.push((path, help));
            continue;
        };
        let names = below.lines().take_while(|line| !line.is_empty());
        let names = names.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        for name in names.filter_map(|line| line.split_whitespace().next()) {
            if name != "help" {
                open.push([path.clone(), vec![name.to_owned()]].concat());
            }
        }
    }
    found
}

fn keys(of: &Value) -> BTreeSet<String> {
    let object = of.as_object().unwrap_or_else(|| panic!("no object: {of}"));
    object.keys().cloned().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_is_listed_comes_as_json_with_the_keys_of_the_page() {
    // Nobody takes what is to be told: it waits, and is listed.
    let receiver = Receiver::down();
    let more = receiver.config("");
    let stage = Stage::configured(wanted_server(), Windows::default(), &more).await;
    let (_, position) = stage.guarded("alice", Deed::Close).await;
    let watchman = stage.start();
    watchman.until_armed(1).await;
    stage.endanger(&position);
    let done = watchman.until("execution.done").await;
    let execution = done["execution"].as_str().unwrap().to_owned();
    let automation = done["automation"].as_str().unwrap().to_owned();
    stage.cli(&["kill-switch", "on"]).await.ok();
    let added = stage.cli(&["job", "add", &automation, "--json"]).await.ok();
    let added: Value = serde_json::from_str(&added.out).unwrap();
    let job = added["id"].as_str().unwrap().to_owned();
    let deadline = stage.clock.mono() + SOON;
    while stage
        .cli(&["notify", "list", "--json"])
        .await
        .ok()
        .out
        .trim()
        == "[]"
    {
        assert!(stage.clock.mono() < deadline, "{}", watchman.told());
    }

    let rows = rows();
    for row in &rows {
        let command = row
            .command
            .replace("ACCOUNT", "alice")
            .replace("AUTOMATION", &automation)
            .replace("EXECUTION", &execution)
            .replace("POSITION", &position.id.to_string())
            .replace("JOB", &job);
        let words: Vec<_> = command.split(' ').skip(1).collect();
        let said = stage.cli(&words).await.ok();
        let told: Value = serde_json::from_str(&said.out)
            .unwrap_or_else(|error| panic!("{command}: {error}: {said:?}"));
        let one = match (row.is_list, &told) {
            (true, Value::Array(listed)) => listed
                .first()
                .unwrap_or_else(|| panic!("{command}: nothing")),
            (false, Value::Object(_)) => &told,
            _ => panic!("{command}: {told}"),
        };
        assert_eq!(keys(one), row.keys, "{command}");
    }

    // Whatever can print JSON is on the page, and whatever lists or shows can.
    let named = |path: &[String]| {
        let command = format!("vigia {} ", path.join(" "));
        rows.iter().any(|row| row.command.starts_with(&command))
    };
    let leaves = leaves(&stage).await;
    assert!(leaves.len() > 30, "{leaves:?}");
    for (path, help) in leaves {
        let prints = help.contains("--json");
        let looks = path
            .last()
            .is_some_and(|verb| LOOKS.contains(&verb.as_str()));
        assert!(prints || !looks, "vigia {} has no --json", path.join(" "));
        assert!(
            !looks || named(&path),
            "docs/command-line.md does not name vigia {}",
            path.join(" ")
        );
    }
    watchman.stop().await;
}
