//! A server of PostgreSQL of a test's own: on a free port of this machine, in a folder that goes
//! with it. It refuses to run as root, so that root runs it as the user of the package.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const USER: &str = "vigia";
/// How often, and how many times, its state is looked at before it counts as failed.
const BEAT: Duration = Duration::from_millis(5);
const BEATS: usize = 4000;

/// A running server. Stopped when it is dropped, and when the thread that started it ends.
pub struct Server {
    folder: TempDir,
    binaries: PathBuf,
    account: Option<(u32, u32)>,
    port: u16,
    process: Option<Child>,
}

impl Server {
    /// A new, empty server with a database `vigia`, which everybody may use without a password.
    pub fn start() -> Self {
        let binaries = binaries();
        let account = rustix::process::geteuid().is_root().then(package_account);
        let folder = tempfile::tempdir().unwrap();
        if let Some((user, group)) = account {
            chown(folder.path(), Some(user), Some(group)).unwrap();
        }
        let mut server = Self {
            folder,
            binaries,
            account,
            port: 0,
            process: None,
        };
        let template = server.template();
        let copied = Command::new("cp")
            .arg("-a")
            .args([&template, &server.data()])
            .status();
        assert!(copied.unwrap().success());
        server.start_again();
        server
    }

    /// The address of the test's database.
    pub fn url(&self) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{USER}", self.port)
    }

    /// Starts it on what it has stored, on the port that it had.
    pub fn start_again(&mut self) {
        assert!(self.process.is_none(), "it runs");
        for _ in 0..10 {
            if self.port == 0 {
                let free = TcpListener::bind("127.0.0.1:0").unwrap();
                self.port = free.local_addr().unwrap().port();
            }
            if self.try_start() {
                return;
            }
            // Somebody else was faster at the port.
            self.port = 0;
        }
        panic!("PostgreSQL does not start: {}", self.log());
    }

    fn try_start(&mut self) -> bool {
        let _ = fs::remove_file(self.data().join("postmaster.pid"));
        let log = self.folder.path().join("log");
        let log = fs::File::options().create(true).append(true).open(log);
        let log = log.unwrap();
        let settings = [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={}", self.port),
            format!("unix_socket_directories={}", self.folder.path().display()),
            // What the machine's own death would cost is no concern of a test.
            "fsync=off".to_owned(),
            "max_connections=60".to_owned(),
            "shared_buffers=16MB".to_owned(),
        ];
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data());
        for setting in settings {
            command.args(["-c", &setting]);
        }
        let mut process = command.stderr(log).spawn().unwrap();
        for _ in 0..BEATS {
            let status = fs::read_to_string(self.data().join("postmaster.pid"));
            let status = status.unwrap_or_default();
            if status
                .lines()
                .nth(7)
                .is_some_and(|line| line.trim() == "ready")
            {
                self.process = Some(process);
                return true;
            }
            if process.try_wait().unwrap().is_some() {
                return false;
            }
            std::thread::sleep(BEAT);
        }
        process.kill().unwrap();
        panic!("PostgreSQL is never ready: {}", self.log());
    }

    /// Ends it in order: connections are cut, what was written stays.
    #[allow(dead_code, reason = "not every test that has a server needs it")]
    pub fn stop(&mut self) {
        self.end(Signal::INT);
    }

    /// Ends it as by a crash.
    pub fn kill(&mut self) {
        // Its children end by themselves when it is gone; QUIT tells them at once.
        self.end(Signal::QUIT);
    }

    /// From now on it asks for this password, of letters and digits, of whoever comes.
    #[allow(dead_code, reason = "not every test that has a server needs it")]
    pub fn demand_password(&self, password: &str) {
        let mut asking = self.command("psql");
        asking.args(["--quiet", "--dbname", &self.url(), "--command"]);
        asking.arg(format!("ALTER ROLE {USER} PASSWORD '{password}'"));
        assert!(asking.status().unwrap().success());
        let rule = "host all all 127.0.0.1/32 scram-sha-256\n";
        fs::write(self.data().join("pg_hba.conf"), rule).unwrap();
        let process = self.process.as_ref().expect("it runs");
        kill_process(Pid::from_child(process), Signal::HUP).unwrap();
    }

    /// Lets it speak TLS too, under a certificate for this machine's address; returns the file of
    /// the authority that made that.
    #[allow(dead_code, reason = "not every test that has a server needs it")]
    pub fn make_certificate(&self) -> PathBuf {
        let at = |name: &str| self.data().join(name);
        let config = at("openssl.cnf");
        fs::write(&config, "[req]\ndistinguished_name = dn\n[dn]\n").unwrap();
        let made = |name: &str, extensions: &[&str]| {
            let mut command = Command::new("openssl");
            command.args([
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            ]);
            command
                .arg("-config")
                .arg(&config)
                .args(["-subj", &format!("/CN={name}")]);
            command.arg("-keyout").arg(at(&format!("{name}.key")));
            command.arg("-out").arg(at(&format!("{name}.crt")));
            for extension in extensions {
                command.args(["-addext", extension]);
            }
            command.stderr(Stdio::null());
            command
        };
        let authority = made("authority", &["basicConstraints=critical,CA:TRUE"]).status();
        assert!(authority.unwrap().success());
        let own = made("server", &["subjectAltName=IP:127.0.0.1"])
            .arg("-CA")
            .arg(at("authority.crt"))
            .arg("-CAkey")
            .arg(at("authority.key"))
            .status();
        assert!(own.unwrap().success());
        for name in ["server.key", "server.crt"] {
            if let Some((user, group)) = self.account {
                chown(at(name), Some(user), Some(group)).unwrap();
            }
            fs::set_permissions(at(name), fs::Permissions::from_mode(0o600)).unwrap();
        }
        at("authority.crt")
    }

    /// Stops it from running, or lets it run on; its connections stay open.
    #[allow(dead_code, reason = "not every test that has a server needs it")]
    pub fn freeze(&self, frozen: bool) {
        let signal = if frozen { Signal::STOP } else { Signal::CONT };
        let process = self.process.as_ref().expect("it runs");
        let main = process.id();
        let children = fs::read_to_string(format!("/proc/{main}/task/{main}/children")).unwrap();
        let children = children.split_whitespace().map(|pid| pid.parse().unwrap());
        for pid in children.chain([main.cast_signed()]) {
            // A child may have ended since it was listed.
            let _ = kill_process(Pid::from_raw(pid).unwrap(), signal);
        }
    }

    fn end(&mut self, signal: Signal) {
        if let Some(mut process) = self.process.take() {
            kill_process(Pid::from_child(&process), signal).unwrap();
            process.wait().unwrap();
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// A command of the server's own user, which ends with the thread that started it.
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "QUIT"]);
        if let Some((user, group)) = self.account {
            command.args([format!("--reuid={user}"), format!("--regid={group}")]);
            command.arg("--clear-groups");
        }
        command.arg(self.binaries.join(name)).env_clear();
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// A fresh data folder that servers copy, since making one takes longer than all the rest.
    fn template(&self) -> PathBuf {
        let own = self
            .account
            .map_or_else(|| rustix::process::geteuid().as_raw(), |(user, _)| user);
        let version = self.binaries.parent().and_then(Path::file_name).unwrap();
        let version = version.to_string_lossy();
        let template = std::env::temp_dir().join(format!("vigia-tests-postgres-{version}-{own}"));
        let is_ours = |found: fs::Metadata| found.uid() == own;
        if fs::symlink_metadata(&template).is_ok_and(is_ours) {
            return template;
        }
        let fresh = self.folder.path().join("fresh");
        let made = self
            .command("initdb")
            .args([
                "--auth=trust",
                "--no-sync",
                "--no-locale",
                "--encoding=UTF8",
            ])
            .args(["--wal-segsize=1", "-U", USER, "-D"])
            .arg(&fresh)
            .stderr(Stdio::inherit())
            .status();
        assert!(made.unwrap().success(), "initdb");
        self.make_database(&fresh);
        // Another test may have been faster; either will do.
        let _ = fs::rename(&fresh, &template);
        if fs::symlink_metadata(&template).is_ok_and(is_ours) {
            template
        } else {
            fresh
        }
    }

    fn make_database(&self, data: &Path) {
        let mut command = self.command("postgres");
        command
            .args(["--single", "-F", "-D"])
            .arg(data)
            .arg("postgres");
        let mut process = command.stdin(Stdio::piped()).spawn().unwrap();
        let mut input = process.stdin.take().unwrap();
        let create = format!("CREATE DATABASE {USER};\n");
        std::io::Write::write_all(&mut input, create.as_bytes()).unwrap();
        drop(input);
        assert!(process.wait().unwrap().success(), "CREATE DATABASE");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where Debian puts them, the latest version first; else wherever they are found.
fn binaries() -> PathBuf {
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut versions: Vec<_> = installed
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    versions.sort();
    let found = versions.pop();
    found.expect("PostgreSQL is missing: `tests/run --prepare` installs it")
}

/// User and group `postgres`.
fn package_account() -> (u32, u32) {
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|line| line.starts_with("postgres:"));
    let mut fields = line.expect("there is a user postgres").split(':').skip(2);
    let mut id = || fields.next().unwrap().parse().unwrap();
    (id(), id())
}
