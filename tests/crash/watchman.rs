//! The service as a process of its own: started, listened to, killed.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use vigia::clock::Clock;
use vigia::domain::position::Position;

use crate::stage::Stage;

/// How long anything that is waited for may take.
pub const SOON: Duration = Duration::from_secs(15);
const BEAT: Duration = Duration::from_millis(2);

/// The program, without anything of this process's environment.
pub fn vigia() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigia"));
    command.env_clear().stdin(Stdio::null());
    command
}

/// Runs the program to its end, which must come soon.
pub async fn run_to_end(command: &mut Command) -> Output {
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = Pid::from_child(&child);
    let ending = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
    match tokio::time::timeout(SOON, ending).await {
        Ok(output) => output.unwrap(),
        Err(_) => {
            kill_process(pid, Signal::KILL).unwrap();
            panic!("it did not end: {command:?}");
        }
    }
}

/// A running `vigia run`. Killed when it is dropped.
pub struct Watchman {
    child: Child,
    clock: Clock,
    lines: Arc<Mutex<Vec<Value>>>,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Stage {
    /// The command that serves this stage.
    pub fn run(&self) -> Command {
        self.run_in(self.data_dir())
    }

    /// The command that serves this stage from another data folder, as on another machine.
    pub fn run_in(&self, folder: &Path) -> Command {
        let mut command = vigia();
        command
            .arg("run")
            .arg("--config")
            .arg(self.config_file())
            .arg("--data-dir")
            .arg(folder)
            .args(["--log-format", "json"]);
        command
    }

    /// `vigia WORDS`, of this stage.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = vigia();
        command.args(words);
        command.arg("--config").arg(self.config_file());
        command.arg("--data-dir").arg(self.data_dir());
        command
    }

    pub fn start(&self) -> Watchman {
        Watchman::of(self.run(), self.clock)
    }

    /// A watchman that dies, as by SIGKILL, the first time it comes to a place.
    pub fn start_to_die_at(&self, place: &str) -> Watchman {
        self.start_to_die_at_pass(place, 1)
    }

    /// Lets a watchman die at a place that it comes to once the position is in danger.
    pub async fn dies_at(&self, place: &str, position: &Position) {
        let mut doomed = self.start_to_die_at(place);
        doomed.until_armed(1).await;
        self.endanger(position);
        doomed.died().await;
    }

    /// A watchman that dies, as by SIGKILL, the time so counted that it comes to a place.
    pub fn start_to_die_at_pass(&self, place: &str, pass: u32) -> Watchman {
        let mut command = self.run();
        command.env("VIGIA_FAILPOINT", format!("{place}=kill:{pass}"));
        Watchman::of(command, self.clock)
    }
}

impl Watchman {
    /// Starts it by a command.
    pub fn of(mut command: Command, clock: Clock) -> Self {
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = child.stderr.take().unwrap();
        let lines = Arc::new(Mutex::new(vec![]));
        let log = Arc::new(Mutex::new(String::new()));
        let (heard, written) = (Arc::clone(&lines), Arc::clone(&log));
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                written.lock().unwrap().push_str(&format!("{line}\n"));
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                heard.lock().unwrap().push(line);
            }
        });
        Self {
            child,
            clock,
            lines,
            log,
            reader: Some(reader),
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its log so far, as it was written.
    #[allow(dead_code, reason = "read elsewhere")]
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// What it has logged so far.
    pub fn lines(&self) -> Vec<Value> {
        self.lines.lock().unwrap().clone()
    }

    /// How many events of this name it has logged so far.
    pub fn count(&self, event: &str) -> usize {
        self.lines
            .lock()
            .unwrap()
            .iter()
            .filter(|line| line["event"] == event)
            .count()
    }

    /// Waits for an event of this name, the first there is.
    pub async fn until(&self, event: &str) -> Value {
        self.until_where(event, |line| line["event"] == event).await
    }

    /// Waits for a line.
    pub async fn until_where(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = self.clock.mono() + SOON;
        loop {
            let found = self
                .lines
                .lock()
                .unwrap()
                .iter()
                .find(|line| wanted(line))
                .cloned();
            if let Some(line) = found {
                return line;
            }
            assert!(
                self.clock.mono() < deadline,
                "never heard: {what}\n{}",
                self.told()
            );
            tokio::time::sleep(BEAT).await;
        }
    }

    /// Waits until a condition holds; it is looked at again and again.
    pub async fn until_holds(&self, what: &str, holds: impl Fn() -> bool) {
        let deadline = self.clock.mono() + SOON;
        while !holds() {
            assert!(
                self.clock.mono() < deadline,
                "not in time: {what}\n{}",
                self.told()
            );
            tokio::time::sleep(BEAT).await;
        }
    }

    /// Waits until so many positions are watched: each over a fresh price.
    pub async fn until_armed(&self, positions: usize) {
        let armed = || self.count("automation.armed") >= positions;
        self.until_holds("all are armed", armed).await;
        self.until_where("an account goes live", |line| line["to"] == "live")
            .await;
    }

    /// Its log, for the message of a failed test.
    pub fn told(&self) -> String {
        let lines = self.lines();
        let lines: Vec<_> = lines.iter().map(Value::to_string).collect();
        lines.join("\n")
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Kills it with SIGKILL and waits until it is dead.
    pub async fn kill(mut self) {
        self.kill_now().await;
    }

    /// The same, of one that another takes the place of.
    pub async fn kill_now(&mut self) {
        self.child.kill().unwrap();
        self.died().await;
    }

    /// Waits for its death by SIGKILL.
    pub async fn died(&mut self) {
        let status = self.ended(SOON).await;
        assert_eq!(
            status.signal(),
            Some(Signal::KILL.as_raw()),
            "{status}\n{}",
            self.told()
        );
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Stops it by SIGTERM, once it runs; it must end well.
    pub async fn stop(mut self) {
        self.until("service.started").await;
        self.signal(Signal::TERM);
        let status = self.ended(SOON).await;
        assert_eq!(status.code(), Some(0), "{}", self.told());
    }

    /// Waits for its end, and for the last of its log.
    pub async fn ended(&mut self, within: Duration) -> ExitStatus {
        let deadline = self.clock.mono() + within;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                self.clock.mono() < deadline,
                "still running after {within:?}\n{}",
                self.told()
            );
            tokio::time::sleep(BEAT).await;
        };
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        status
    }
}

impl Drop for Watchman {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
