//! A machine to operate a service on: a systemd of its own as the first process, with its own process
//! table, files, users and journal, and nothing of it left when it is dropped.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use crate::stopwatch::Stopwatch;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long anything that is waited for may take, on a machine that has much else to do.
pub const SOON: Duration = Duration::from_secs(30);
/// How long a command may take, in seconds.
const LONGEST: &str = "150";
const BEAT: Duration = Duration::from_millis(20);
const BOOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/operate/booted/boot.sh");
/// Joins a control group, then goes on in namespaces of its own.
const ENTER: &str = r#"echo $$ > "$0/cgroup.procs" && exec unshare --fork --kill-child --pid --mount \
    --uts --ipc --cgroup "$@""#;

pub struct Machine {
    child: Child,
    init: Pid,
    group: PathBuf,
    _folder: TempDir,
}

impl Machine {
    /// Boots one. `None` where that is not to be had; on the machines that judge a change it must be.
    pub fn boot() -> Option<Self> {
        Self::boot_in(&[])
    }

    /// The same, on a network with nobody else.
    pub fn apart() -> Option<Self> {
        let machine = Self::boot_in(&["--net"])?;
        machine.run("ip link set lo up");
        Some(machine)
    }

    fn boot_in(namespaces: &[&str]) -> Option<Self> {
        match Self::try_boot(namespaces) {
            Ok(machine) => Some(machine),
            Err(why) => {
                println!("SKIPPED, nothing is shown of services that are operated: {why}");
                assert!(std::env::var_os("CI").is_none(), "not here: {why}");
                None
            }
        }
    }

    fn try_boot(namespaces: &[&str]) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("only root makes namespaces with devices".to_owned());
        }
        if !Path::new("/lib/systemd/systemd").exists() {
            return Err("there is no systemd: tests/run --prepare installs it".to_owned());
        }
        let folder = tempfile::tempdir().unwrap();
        let group = control_group(folder.path())?;
        let log = folder.path().join("log");
        let root = folder.path().join("root");
        fs::create_dir(&root).unwrap();
        let output = fs::File::create(&log).unwrap();
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "sh", "-c", ENTER])
            .arg(&group);
        command.args(namespaces).args(["sh", BOOT]).arg(&root);
        command.stdin(Stdio::null());
        command.stdout(output.try_clone().unwrap()).stderr(output);
        let child = command.spawn().map_err(|error| error.to_string())?;
        let mut machine = Self {
            init: Pid::from_child(&child),
            child,
            group,
            _folder: folder,
        };
        let booted = machine.until_up();
        booted
            .map_err(|what| format!("{what}: {}", fs::read_to_string(log).unwrap_or_default()))?;
        Ok(machine)
    }

    fn until_up(&mut self) -> Result<(), String> {
        let waited = Stopwatch::start();
        let unshare = self.child.id();
        let children = format!("/proc/{unshare}/task/{unshare}/children");
        loop {
            let first = fs::read_to_string(&children).unwrap_or_default();
            let first = first
                .split_whitespace()
                .next()
                .and_then(|pid| pid.parse().ok());
            if let Some(pid) = first.and_then(Pid::from_raw) {
                self.init = pid;
                let is_systemd = fs::read_to_string(self.proc().join("comm"));
                if is_systemd.is_ok_and(|name| name.trim() == "systemd")
                    && self.path("/run/systemd/private").exists()
                {
                    break;
                }
            }
            if self.child.try_wait().unwrap().is_some() {
                return Err("namespaces cannot be made".to_owned());
            }
            if waited.elapsed() > SOON {
                return Err("systemd does not come up".to_owned());
            }
            std::thread::sleep(BEAT);
        }
        let (_, state) = self.ask("systemctl is-system-running --wait");
        match state.trim() {
            "running" => Ok(()),
            "degraded" => {
                println!("{}", self.ask("systemctl --failed").1);
                Ok(())
            }
            other => Err(format!("systemd is {other}")),
        }
    }

    fn proc(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}", self.init.as_raw_pid()))
    }

    /// A file of the machine's, as it is reached from outside.
    pub fn path(&self, inside: &str) -> PathBuf {
        self.proc()
            .join("root")
            .join(inside.trim_start_matches('/'))
    }

    /// Writes a file there, with its folders.
    pub fn write(&self, inside: &str, mode: u32, text: impl AsRef<[u8]>) {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Copies a file there.
    pub fn copy(&self, from: &Path, inside: &str, mode: u32) {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(from, &path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// A shell's command, as root of the machine gives it.
    pub fn shell(&self, script: &str) -> Command {
        let mut command = Command::new("nsenter");
        let init = self.init.as_raw_pid().to_string();
        command.args(["--target", &init, "--mount", "--pid", "--uts", "--ipc"]);
        command.args(["--cgroup", "--net", "timeout", LONGEST]);
        command.args(["bash", "-euc", script]);
        command.env_clear().stdin(Stdio::null());
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let environment = [("PATH", path), ("HOME", "/root"), ("LC_ALL", "C.UTF-8")];
        command.envs(environment);
        command
    }

    /// Runs it: whether it ended well, and what it wrote.
    pub fn ask(&self, script: &str) -> (bool, String) {
        told(&self.shell(script).output().unwrap())
    }

    /// Runs it; it must end well. What it wrote.
    #[track_caller]
    pub fn run(&self, script: &str) -> String {
        let (well, told) = self.ask(script);
        assert!(well, "{script}: {told}");
        told
    }

    /// Asks again and again until the answer is the one that is wanted.
    #[track_caller]
    pub fn until(&self, script: &str, wanted: impl Fn(&str) -> bool) -> String {
        let waited = Stopwatch::start();
        loop {
            let (_, told) = self.ask(script);
            if wanted(told.trim()) {
                return told.trim().to_owned();
            }
            let journal = || self.ask("journalctl --no-pager | tail -60").1;
            assert!(
                waited.elapsed() < SOON,
                "{script}, at last: {told}\n{}",
                journal()
            );
            std::thread::sleep(BEAT);
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // With its first process everything ends that runs on it.
        let _ = kill_process(self.init, Signal::KILL);
        let _ = self.child.wait();
        remove(&self.group);
    }
}

/// Whether a command ended well, and what it wrote.
pub fn told(output: &Output) -> (bool, String) {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

/// A fresh control group, below which the machine keeps its own.
fn control_group(folder: &Path) -> Result<PathBuf, String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mounted = mounts.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        kind.starts_with("cgroup2 ")
            .then(|| mount.split(' ').nth(4))?
    });
    let mounted = mounted.ok_or("no control groups of version 2 are mounted")?;
    let name = folder.file_name().unwrap().to_string_lossy();
    let name = format!("vigia-tests{name}");
    let group = Path::new(mounted).join(name);
    fs::create_dir(&group).map_err(|error| format!("{}: {error}", group.display()))?;
    Ok(group)
}

/// The kernel lets go of a group a little after its last process.
fn remove(group: &Path) {
    let below = fs::read_dir(group).into_iter().flatten().flatten();
    for entry in below.filter(|entry| entry.path().is_dir()) {
        remove(&entry.path());
    }
    for _ in 0..100 {
        if fs::remove_dir(group).is_ok() {
            return;
        }
        std::thread::sleep(BEAT);
    }
}
