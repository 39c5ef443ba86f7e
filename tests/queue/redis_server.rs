//! A Redis of the test's own: on a free port, with its data in a folder of its own.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::waiting::until;

/// Stopped when it is dropped.
pub struct RedisServer {
    child: Child,
    port: u16,
    folder: TempDir,
    durable: bool,
}

impl RedisServer {
    /// One that keeps nothing when it ends.
    pub async fn start() -> Self {
        Self::new(false).await
    }

    /// One that has everything it acknowledged when it comes back.
    pub async fn durable() -> Self {
        Self::new(true).await
    }

    async fn new(durable: bool) -> Self {
        let port = free_port();
        let folder = tempfile::tempdir().unwrap();
        let child = serve(port, &folder, durable);
        let server = Self {
            child,
            port,
            folder,
            durable,
        };
        server.answers().await;
        server
    }

    pub fn url(&self) -> String {
        url(self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.child.wait().unwrap();
    }

    /// Starts it again where it was, and waits until it answers.
    pub async fn restart(&mut self) {
        self.child = serve(self.port, &self.folder, self.durable);
        self.answers().await;
    }

    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    async fn answers(&self) {
        let client = redis::Client::open(self.url()).unwrap();
        until("answer of Redis", || async {
            let mut connection = client.get_multiplexed_async_connection().await.ok()?;
            let ping = redis::cmd("PING");
            ping.query_async::<String>(&mut connection).await.ok()
        })
        .await;
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // It may have been killed already; one that is frozen is killed all the same.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn url(port: u16) -> String {
    format!("redis://127.0.0.1:{port}")
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn serve(port: u16, folder: &TempDir, durable: bool) -> Child {
    let mut command = Command::new("redis-server");
    command
        .args(["--bind", "127.0.0.1", "--save", "", "--port"])
        .arg(port.to_string())
        .arg("--dir")
        .arg(folder.path());
    if durable {
        command.args(["--appendonly", "yes", "--appendfsync", "always"]);
    }
    let started = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    started.expect("redis-server is missing: tests/run --prepare installs it")
}
