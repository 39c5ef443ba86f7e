//! A name server of the test's own, and a program that asks nobody else: it sees other files of the
//! system than everybody (only root may arrange that).

use std::net::{Ipv4Addr, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tempfile::TempDir;

/// What it does when it is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Names {
    /// Every name is this machine's.
    Known,
    /// No name is anybody's.
    Denied,
    /// Nothing.
    Silent,
}

/// Ends with the test.
pub struct NameServer {
    mood: Arc<AtomicU8>,
    folder: TempDir,
}

impl NameServer {
    /// One at an address of this machine that nobody else has.
    pub fn start(names: Names) -> Self {
        let mine = std::process::id().to_be_bytes();
        let mut candidates =
            (1..=u8::MAX).map(|last| Ipv4Addr::new(127, 64 | mine[2], mine[3], last));
        let bound = candidates.find_map(|ip| Some((UdpSocket::bind((ip, 53)).ok()?, ip)));
        let (socket, ip) = bound.expect("run it as root");
        let folder = tempfile::tempdir().unwrap();
        let asks = format!("nameserver {ip}\noptions timeout:2 attempts:2\n");
        std::fs::write(folder.path().join("resolv.conf"), asks).unwrap();
        std::fs::write(folder.path().join("hosts"), "").unwrap();
        let mood = Arc::new(AtomicU8::new(names as u8));
        let answering = Arc::downgrade(&mood);
        std::thread::spawn(move || {
            let mut question = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut question) {
                let Some(mood) = answering.upgrade() else {
                    return;
                };
                let mood = mood.load(Ordering::SeqCst);
                if mood != Names::Silent as u8
                    && let Some(answer) = answer(&question[..length], mood == Names::Known as u8)
                {
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        Self { mood, folder }
    }

    pub fn are(&self, names: Names) {
        self.mood.store(names as u8, Ordering::SeqCst);
    }

    /// The same command, for a process that asks this server alone.
    pub fn asked_by(&self, command: &Command) -> Command {
        const SEES: &str = "mount --bind \"$1\" /etc/hosts && mount --bind \"$2\" /etc/resolv.conf \
                            && shift 2 && exec \"$@\"";
        let mut asking = Command::new("unshare");
        asking
            .args([
                "--mount",
                "--propagation",
                "private",
                "sh",
                "-c",
                SEES,
                "sh",
            ])
            .arg(self.folder.path().join("hosts"))
            .arg(self.folder.path().join("resolv.conf"))
            .arg(command.get_program())
            .args(command.get_args())
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null());
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                asking.env(name, value);
            }
        }
        asking
    }
}

/// RFC 1035: the question again, and an address of a minute's life where one was asked for.
fn answer(question: &[u8], known: bool) -> Option<Vec<u8>> {
    const HEADER: usize = 12;
    const ADDRESS: [u8; 2] = [0, 1];
    let mut end = HEADER;
    while *question.get(end)? > 0 {
        end += usize::from(question[end]) + 1;
    }
    let asked = question.get(HEADER..end + 5)?;
    let wants_address = asked.ends_with(&[ADDRESS[0], ADDRESS[1], 0, 1]);
    let answers = known && wants_address;
    let mut answer = question[..2].to_vec();
    answer.extend([0x81, if known { 0x80 } else { 0x83 }]);
    answer.extend([0, 1, 0, u8::from(answers), 0, 0, 0, 0]);
    answer.extend(asked);
    if answers {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
    }
    Some(answer)
}
