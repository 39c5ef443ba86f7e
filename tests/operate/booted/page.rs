//! What `docs/operating.md` says of systemd, carried out as it stands there.

use std::io::{Read, Write};
use std::path::Path;
use std::process::Stdio;

use sea_orm::{ConnectionTrait, Database};
use vigia::simulator::Fault;

use super::machine::Machine;
use super::service::{CONFIG, DATA, config, shipped};
use crate::stage::Stage;

const ENABLED: &str = "sudo systemctl enable --now vigia\n";
/// Where the repository lies on the machine, with what it has built.
const HERE: &str = "/srv/vigia";
const UNIT: &str = "config/systemd/vigia.service";
/// Stand-ins for commands that a machine need not have.
const STAND_INS: [(&str, &str); 2] = [("sudo", "exec \"$@\""), ("cargo", "test \"$1\" = build")];

/// What adding an account asks for.
const ASKED: [(&str, &str); 3] = [
    ("API key: ", "key-mine"),
    ("API secret: ", "secret-mine"),
    ("passphrase: ", "phrase-mine"),
];

/// All commands of a section of the page, and of what is below it.
pub fn commands(page: &str, section: &str) -> String {
    let mut commands = String::new();
    let (mut inside, mut code) = (false, false);
    for line in page.lines() {
        if line.starts_with("```") {
            code = line == "```sh";
        } else if code && inside {
            commands.extend([line, "\n"]);
        } else if !code && line.starts_with('#') {
            let level = |heading: &str| heading.chars().take_while(|of| *of == '#').count();
            inside = line == section || inside && level(line) > level(section);
        }
    }
    assert!(!commands.is_empty(), "{section} has no commands");
    commands
}

impl Machine {
    /// Runs commands of the page where the repository lies, and answers what they ask for.
    fn carry_out(&self, commands: &str, answers: &[(&str, &str)]) -> (bool, String) {
        let script = format!("exec 2>&1; PATH=/srv/stand-ins:$PATH; cd {HERE}\n{commands}");
        let mut command = self.shell(&script);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // Open until the end, as a terminal is.
        let mut typed = child.stdin.take().unwrap();
        let mut shown = child.stdout.take().unwrap();
        let mut answers = answers.iter();
        let mut awaited = answers.next();
        let (mut said, mut seen) = (String::new(), [0; 4096]);
        loop {
            let length = shown.read(&mut seen).unwrap();
            if length == 0 {
                break;
            }
            said += &String::from_utf8_lossy(&seen[..length]);
            if let Some((question, answer)) = awaited
                && said.ends_with(question)
            {
                writeln!(typed, "{answer}").unwrap();
                awaited = answers.next();
            }
        }
        assert_eq!(awaited, None, "never asked: {said}");
        (child.wait().unwrap().success(), said)
    }
}

/// From nothing to a service, and to a newer version of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_makes_a_service_that_is_active_once_it_is_ready() {
    let stage = Stage::in_a_file().await;
    let owner = stage.owner("mine");
    let position = stage.open_position(&owner, 10).await;
    let Some(machine) = Machine::boot() else {
        return;
    };
    let program = Path::new(env!("CARGO_BIN_EXE_vigia"));
    let built = format!("{HERE}/target/release/vigia");
    machine.copy(program, &built, 0o755);
    machine.write(&format!("{HERE}/{UNIT}"), 0o644, shipped(UNIT));
    for (name, does) in STAND_INS {
        let script = format!("#!/bin/sh\n{does}\n");
        machine.write(&format!("/srv/stand-ins/{name}"), 0o755, script);
    }
    // What differs from the defaults: which exchange.
    machine.write(CONFIG, 0o644, config(&stage));

    let page = shipped("docs/operating.md");
    let install = commands(&page, "### systemd");
    let (install, enable) = install.split_once(ENABLED).expect("it is enabled");
    let (well, said) = machine.carry_out(install, &ASKED);
    assert!(well, "{said}");
    let (as_user, _) = install.split_once("vigia_as account add").unwrap();
    let (_, as_user) = as_user.split_once("vigia_as() ").unwrap();
    let rule = commands(&page, "## Its first account");
    let rule = rule
        .lines()
        .find(|line| line.starts_with("vigia automation add"));
    let rule = rule.unwrap().replacen("vigia ", "vigia_as ", 1);
    let (well, said) = machine.carry_out(&format!("vigia_as() {as_user}\n{rule}\n"), &[]);
    assert!(well, "{said}");

    let unread = Fault::status(503);
    stage.control.inject(unread.on_key("key-mine")).unwrap();
    let (well, said) = machine.ask("systemctl is-enabled vigia || true; systemctl is-active vigia");
    assert!(!well && said.contains("disabled"), "{said}");
    std::thread::scope(|scope| {
        let enabling = scope.spawn(|| machine.carry_out(&format!("{ENABLED}{enable}"), &[]));
        machine.until_shows("StatusText", "starting: 1 accounts, 0 live, 1 not read yet");
        assert_eq!(machine.shows("ActiveState"), "activating");
        assert_eq!(machine.count("service.ready"), 0);
        assert!(!enabling.is_finished(), "it waits for the service");
        stage.control.clear_faults();
        let (well, said) = enabling.join().unwrap();
        assert!(well && said.contains("active (running)"), "{said}");
    });
    assert_eq!(machine.count("service.ready"), 1);
    machine.run("systemctl is-active vigia && systemctl is-enabled vigia");
    assert_eq!(machine.shows("LogRateLimitIntervalUSec"), "0");
    machine.until_logged("automation.armed", 1);

    let first = machine.shows("MainPID");
    let upgrade = commands(&page, "## Upgrade");
    let (well, said) = machine.carry_out(&upgrade, &[]);
    assert!(well, "{said}");
    assert_ne!(machine.shows("MainPID"), first);
    machine.until_logged("automation.armed", 2);
    stage.endanger(&position);
    machine.until_logged("execution.done", 1);
    machine.run("systemctl stop vigia");
    assert_eq!(stage.effects().len(), 1, "{:#?}", stage.effects());
}

async fn in_database(stage: &Stage, statement: &str) {
    let database = Database::connect(format!("sqlite://{}", stage.database().display()));
    let database = database.await.unwrap();
    database.execute_unprepared(statement).await.unwrap();
    database.close().await.unwrap();
}

/// What is written down stays; who cannot read it says so, and changes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_version_does_not_touch_newer_tables() {
    let stage = Stage::in_a_file().await;
    stage.guarded("alice", crate::stage::Deed::Close).await;
    let later = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_later', 0)";
    in_database(&stage, later).await;
    let Some(machine) = Machine::serving(&stage) else {
        return;
    };
    let kept = format!("{DATA}/vigia.db");
    machine.ask("systemctl start --no-block vigia");
    machine.until_shows("SubState", "auto-restart");
    let journal = machine.run("journalctl --no-pager --unit vigia --output cat");
    assert!(journal.contains("later version"), "{journal}");
    machine.run("systemctl stop vigia");
    let of = |path: &Path| std::fs::read(path).unwrap();
    assert!(
        of(&machine.path(&kept)) == of(&stage.database()),
        "untouched"
    );
    in_database(
        &stage,
        "DELETE FROM seaql_migrations WHERE version = 'm9999_later'",
    )
    .await;
    machine.run(&format!("rm -f {kept}-wal {kept}-shm"));
    machine.copy(&stage.database(), &kept, 0o600);
    machine.run("systemctl start vigia");
    machine.until_logged("automation.armed", 1);
    machine.run("systemctl stop vigia");
}
