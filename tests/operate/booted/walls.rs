//! What the service may not do, tried from where it stands, and what others may not see of it.

use super::machine::Machine;
use super::service::{CONFIG, DATA, KEY, shipped};
use crate::stage::{Deed, Stage};

/// As far as the rights of files go, everybody may write in here.
const OPEN: &str = "/usr/open /etc/open /var/lib/open /home/open";

/// Tried in the service's place. A name, what is tried, and whether it may succeed.
const TRIED: [(&str, &str, bool); 18] = [
    ("its own folder", "echo x > $STATE_DIRECTORY/tried", true),
    ("a temporary file", "echo x > /tmp/tried", true),
    ("its key", "test -s $CREDENTIALS_DIRECTORY/master.key", true),
    ("the time", "date", true),
    ("programs", "echo x > /usr/open/tried", false),
    ("settings", "echo x > /etc/open/tried", false),
    ("another's folder", "echo x > /var/lib/open/tried", false),
    (
        "its own configuration",
        "echo x >> /etc/vigia/vigia.toml",
        false,
    ),
    ("the key's original", "cat /etc/vigia/master.key", false),
    (
        "its own copy of the key",
        "echo x > $CREDENTIALS_DIRECTORY/master.key",
        false,
    ),
    ("homes", "ls /home/open", false),
    (
        "the kernel's settings",
        "echo 1 > /proc/sys/kernel/panic",
        false,
    ),
    ("other processes", "test -d /proc/1", false),
    ("a disk", "mknod /tmp/disk b 8 0", false),
    ("a mount", "mount -t tmpfs tmpfs /tmp", false),
    ("another namespace", "unshare --user true", false),
    ("another user's rights", "setpriv --reuid=0 true", false),
    (
        "a bit of another's rights",
        "chmod u+s $STATE_DIRECTORY/tried",
        false,
    ),
];

/// The unit with another program in the place of the service.
fn in_its_place() -> String {
    let unit = shipped("config/systemd/vigia.service");
    let settings = unit.lines().map(|line| {
        let name = line.split_once('=').map_or("", |(name, _)| name);
        match name {
            "ExecStart" => "ExecStart=/bin/sh /etc/vigia/try".to_owned(),
            "Type" => "Type=oneshot".to_owned(),
            "Restart" => "Restart=no".to_owned(),
            _ => line.to_owned(),
        }
    });
    settings.collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_walls_of_the_unit_stand() {
    let stage = Stage::in_a_file().await;
    stage.guarded("alice", Deed::Close).await;
    let Some(machine) = Machine::serving(&stage) else {
        return;
    };
    let mut script = String::new();
    for (name, tried, _) in TRIED {
        script += &format!("if ( {tried} ) > /dev/null; then echo \"may: {name}\"; fi\n");
    }
    machine.write("/etc/vigia/try", 0o644, script);
    machine.write("/etc/systemd/system/tried.service", 0o644, in_its_place());
    machine.run(&format!("mkdir --mode=1777 {OPEN}"));
    machine.run("systemctl daemon-reload && systemctl start tried");
    let told = machine.run("journalctl --no-pager --unit tried --output cat");
    for (name, _, may) in TRIED {
        let did = told.lines().any(|line| line == format!("may: {name}"));
        assert_eq!(did, may, "{name}: {told}");
    }

    machine.run("systemctl start vigia");
    let pid = machine.shows("MainPID");
    let status = machine.run(&format!("cat /proc/{pid}/status"));
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{name}: {status}"))
            .trim()
            .to_owned()
    };
    for name in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(u64::from_str_radix(&of(name), 16), Ok(0), "{name}");
    }
    assert_eq!(of("NoNewPrivs:"), "1");
    assert_eq!(of("Seccomp:"), "2", "filtered");
    assert_eq!(of("Umask:"), "0077");
    let user = machine.run("id --user vigia");
    let user = user.trim();
    assert_eq!(of("Uid:").split_whitespace().collect::<Vec<_>>(), [user; 4]);
    // Somebody else on the same machine.
    let secrets = [
        KEY.to_owned(),
        "/run/credentials/vigia.service/master.key".to_owned(),
        format!("{DATA}/vigia.db"),
        format!("{DATA}/admin.json"),
        format!("/proc/{pid}/environ"),
    ];
    for secret in secrets {
        machine.run(&format!(
            "test -n \"$(head --bytes 1 {secret} | tr '\\0' x)\""
        ));
        let (read, told) = machine.ask(&format!(
            "setpriv --reuid=nobody --regid=nogroup --clear-groups cat {secret}"
        ));
        assert!(
            !read && told.contains("Permission denied"),
            "{secret}: {told}"
        );
    }
    machine.run(&format!(
        "setpriv --reuid=nobody --regid=nogroup --clear-groups cat {CONFIG}"
    ));
    println!(
        "tried in the service's place: {} things, of which {} are its own",
        TRIED.len(),
        TRIED.iter().filter(|(_, _, may)| *may).count()
    );
}
