//! What a process has used of the budget counts for its successor, also where it was killed.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use vigia::simulator::{Limit, Limits};

use crate::stage::Stage;

const ACCOUNTS: usize = 4;
const STARTS: u64 = 8;
const PATIENCE: Duration = Duration::from_secs(60);
/// New sockets of an hour, of which a tenth is kept for the price feed.
const NEW: u32 = 15;

/// A process of the service, killed when it is dropped.
struct Process {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Process {
    fn start(stage: &Stage) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_vigia"))
            .env_clear()
            .args(["run", "--log-format", "json", "--config"])
            .arg(stage.config_file())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = child.stderr.take().unwrap();
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                heard.lock().unwrap().push(line);
            }
        });
        Self { child, lines }
    }

    fn heard(&self, all: &[&str]) -> usize {
        let lines = self.lines.lock().unwrap();
        let holds = |line: &&String| all.iter().all(|part| line.contains(part));
        lines.iter().filter(holds).count()
    }
}

impl Drop for Process {
    /// By SIGKILL.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[actix::test]
async fn attempts_survive_a_process_that_is_killed_at_any_moment() {
    let limits = Limits {
        new_sockets_per_ip: Limit::per_seconds(NEW, 3600),
        ..Limits::exchange()
    };
    let config = format!("[limits]\nnew_sockets_per_hour = {NEW}\n[log]\nfilter = \"info\"\n");
    let mut stage = Stage::set(limits, &config).await;
    for n in 0..ACCOUNTS {
        stage.owner(&format!("account-{n}")).await;
    }
    stage.close_store().await;
    let mut made = vec![];
    for n in 0..STARTS {
        let process = Process::start(&stage);
        stage
            .until("it serves", PATIENCE, || {
                process.heard(&["actor.started", "\"price_feed/"]) > 0
            })
            .await;
        // Now before it has opened any, now between two, now after all.
        tokio::time::sleep(Duration::from_millis(n * n * 13 % 400)).await;
        drop(process);
        stage
            .until("its sockets are gone", PATIENCE, || {
                stage.control.open_sockets() == 0
            })
            .await;
        made.push(stage.control.violations().new_sockets);
    }
    let process = Process::start(&stage);
    let live = [
        "connection.state",
        "\"to\":\"live\"",
        "\"transport\":\"http\"",
    ];
    stage
        .until("all are live over HTTP", PATIENCE, || {
            process.heard(&live) >= ACCOUNTS
        })
        .await;
    println!(
        "killed {STARTS} times, {NEW} new sockets allowed an hour: {:?}; then {} of {ACCOUNTS} live \
         over HTTP",
        stage.control.violations(),
        process.heard(&live)
    );
    stage.no_violation();
    drop(process);
}
