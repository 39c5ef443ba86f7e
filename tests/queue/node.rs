//! The other end of the queue, as Node applications have it: `tests/node/queue.mjs`.

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::waiting::SOON;

type Answers = Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>;

/// A Node process with one version of the package. Ended when it is dropped.
pub struct Node {
    _child: Child,
    input: tokio::sync::Mutex<ChildStdin>,
    answers: Answers,
    next: AtomicU64,
}

impl Node {
    pub async fn start(version: u8, url: &str, queue: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node");
        let packages = folder.join("node_modules");
        assert!(
            packages.exists(),
            "`tests/run --prepare` installs what is missing in tests/node"
        );
        let mut child = Command::new("node")
            .current_dir(&folder)
            .args(["queue.mjs", &version.to_string(), url, queue])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node is missing: tests/run --prepare installs it");
        let input = tokio::sync::Mutex::new(child.stdin.take().unwrap());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let answers = Answers::default();
        let waiting = Arc::clone(&answers);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let answer: Value = serde_json::from_str(&line).unwrap();
                let id = answer["id"].as_u64().unwrap();
                if let Some(waits) = waiting.lock().unwrap().remove(&id) {
                    let _ = waits.send(answer);
                }
            }
            waiting.lock().unwrap().clear();
        });
        Self {
            _child: child,
            input,
            answers,
            next: AtomicU64::new(1),
        }
    }

    /// Lets it do something, and returns what came of it.
    pub async fn ask(&self, op: &str, mut arguments: Value) -> Value {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        arguments["id"] = json!(id);
        arguments["op"] = json!(op);
        let (waits, answer) = oneshot::channel();
        self.answers.lock().unwrap().insert(id, waits);
        let line = format!("{arguments}\n");
        let mut input = self.input.lock().await;
        input.write_all(line.as_bytes()).await.unwrap();
        drop(input);
        let answer = timeout(SOON, answer).await;
        let answer = answer.unwrap_or_else(|_| panic!("no answer to {arguments}"));
        let mut answer = answer.expect("node has ended");
        assert!(answer.get("error").is_none(), "{op}: {answer}");
        answer["ok"].take()
    }

    /// Adds a job with default data and these options. Returns its id.
    pub async fn add(&self, opts: Value) -> String {
        self.add_with(json!({ "userId": "u", "automationId": "a" }), opts)
            .await
    }

    pub async fn add_with(&self, data: Value, opts: Value) -> String {
        let added = json!({ "name": "execute", "data": data, "opts": opts });
        self.ask("add", added).await.as_str().unwrap().to_owned()
    }

    /// The job as Node shows it; null where there is none.
    pub async fn job(&self, id: &str) -> Value {
        self.ask("job", json!({ "job": id })).await
    }

    /// Waits as a Node application waits for the end of a job.
    pub async fn wait(&self, id: &str) -> Value {
        self.ask("wait", json!({ "job": id, "ms": 15_000 })).await
    }

    pub async fn counts(&self) -> Value {
        self.ask("counts", json!({})).await
    }

    /// What happened to a job, without its id; the oldest first.
    pub async fn events(&self, id: &str) -> Vec<String> {
        let events = self.ask("events", json!({ "job": id })).await;
        let names = events.as_array().unwrap().iter();
        names
            .map(|event| {
                let name = event["event"].as_str().unwrap();
                match event["prev"].as_str() {
                    // Promotion is told with where the job came from, a fresh job without.
                    Some(prev) if name == "waiting" => format!("{name} after {prev}"),
                    _ => name.to_owned(),
                }
            })
            .collect()
    }

    /// A command of Redis.
    pub async fn redis(&self, arguments: &[&str]) -> Value {
        self.ask("command", json!({ "args": arguments })).await
    }
}
