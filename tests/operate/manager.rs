//! A service manager as the service sees it: a socket that hears what it is told, and the door at
//! which it asks.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use vigia::admin::Access;
use vigia::clock::Clock;

use crate::watchman::SOON;

const BEAT: Duration = Duration::from_millis(5);

/// What was heard, and when by the manager's clock.
type Heard = Vec<(Duration, String)>;

pub struct Manager {
    clock: Clock,
    heard: Arc<Mutex<Heard>>,
    socket: PathBuf,
    _folder: TempDir,
}

impl Manager {
    pub fn listening(clock: Clock) -> Self {
        const MOST: usize = 4096;
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("notify");
        let bound = UnixDatagram::bind(&socket).unwrap();
        let heard = Arc::new(Mutex::new(vec![]));
        let hearing = Arc::clone(&heard);
        std::thread::spawn(move || {
            let mut message = [0; MOST];
            while let Ok(length) = bound.recv(&mut message) {
                let text = String::from_utf8_lossy(&message[..length]).into_owned();
                let at = clock.awake();
                let lines = text.lines().map(|line| (at, line.to_owned()));
                hearing.lock().unwrap().extend(lines);
            }
        });
        Self {
            clock,
            heard,
            socket,
            _folder: folder,
        }
    }

    /// Lets a service know whom to tell, and how long it may be silent of its progress.
    pub fn manages(&self, command: &mut Command, watchdog: Duration) {
        command
            .env("NOTIFY_SOCKET", &self.socket)
            .env("WATCHDOG_USEC", watchdog.as_micros().to_string());
    }

    pub fn heard(&self) -> Heard {
        self.heard.lock().unwrap().clone()
    }

    /// When a line was heard, each time.
    pub fn times(&self, line: &str) -> Vec<Duration> {
        let heard = self.heard();
        let same = heard.iter().filter(|(_, told)| told == line);
        same.map(|(at, _)| *at).collect()
    }

    /// Waits for a line that begins so, and says when it was heard first.
    pub async fn until(&self, begin: &str) -> Duration {
        self.until_after(begin, Duration::ZERO).await
    }

    /// The same, of what is heard after a time.
    pub async fn until_after(&self, begin: &str, after: Duration) -> Duration {
        let deadline = self.clock.awake() + SOON;
        loop {
            let heard = self.heard();
            let found = heard
                .iter()
                .find(|(at, line)| *at > after && line.starts_with(begin));
            if let Some((at, _)) = found {
                return *at;
            }
            assert!(
                self.clock.awake() < deadline,
                "never heard: {begin}; {heard:#?}"
            );
            tokio::time::sleep(BEAT).await;
        }
    }
}

/// Status and body of an answer; `None` where nobody answers.
pub async fn ask(address: &str, path: &str) -> Option<(u16, String)> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let asking = client.get(format!("http://{address}{path}")).timeout(SOON);
    let answer = asking.send().await.ok()?;
    Some((answer.status().as_u16(), answer.text().await.ok()?))
}

/// The address of the service that serves a data folder.
pub fn address(folder: &Path) -> String {
    let access = Access::read(folder).expect("admin.json");
    access.address.to_string()
}

/// Asks again and again until the answer is the one that is wanted.
pub async fn until_told(
    clock: Clock,
    address: &str,
    path: &str,
    wanted: impl Fn(u16, &str) -> bool,
) -> String {
    let deadline = clock.awake() + SOON;
    loop {
        let told = ask(address, path).await;
        if let Some((status, body)) = &told
            && wanted(*status, body)
        {
            return body.clone();
        }
        assert!(clock.awake() < deadline, "{path} at last: {told:?}");
        tokio::time::sleep(BEAT).await;
    }
}
