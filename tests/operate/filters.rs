//! The filters of docs/logs.md, run as they stand there over a log.

use std::io::Write;
use std::process::Command;

use serde_json::Value;

use crate::watchman::Watchman;

pub const SOCKET: &str = "Why does the WebSocket not connect?";
pub const FALLBACK: &str = "Is the HTTP fallback active?";
pub const AUTOMATIONS: &str = "Why do automations not execute?";

/// The commands under a question.
fn commands(question: &str) -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/logs.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (_, after) = page
        .split_once(&format!("**{question}**"))
        .expect("the page asks it");
    let (_, block) = after.split_once("```sh\n").expect("a block of commands");
    let (block, _) = block.split_once("```").expect("its end");
    block.lines().map(str::to_owned).collect()
}

/// What the filters of a question make of the log so far: the lines that each lets through.
pub fn filtered(question: &str, watchman: &Watchman) -> Vec<Vec<Value>> {
    let folder = tempfile::tempdir().unwrap();
    let mut log = std::fs::File::create(folder.path().join("vigia.log")).unwrap();
    // What stands between the lines of a log, as the panic of a thread would.
    writeln!(log, "thread 'main' panicked").unwrap();
    log.write_all(watchman.log().as_bytes()).unwrap();
    let commands = commands(question);
    assert_eq!(commands.len(), 2, "jq and grep: {commands:?}");
    let run = |command: &String| {
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).current_dir(folder.path());
        let output = shell.output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(errors.is_empty(), "{command}: {errors}");
        told.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    commands.iter().map(run).collect()
}

/// Waits until both filters of a question let a line through that answers it.
pub async fn answers(
    watchman: &Watchman,
    question: &str,
    answer: &str,
    wanted: impl Fn(&Value) -> bool,
) {
    let line = watchman.until_where(answer, &wanted).await;
    for lines in filtered(question, watchman) {
        let found = lines.iter().any(&wanted);
        assert!(found, "{question} {answer}: {line} is not let through");
    }
}
