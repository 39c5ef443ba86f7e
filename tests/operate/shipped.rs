//! What is shipped for service managers: a unit of systemd, an image, a composition. What can be held
//! against the program and the tools without a booted system or a container engine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::booted::page::commands;
use crate::watchman::vigia;

/// What `systemd-analyze security` may find at most, in tenths: 0 is safest, 100 is no protection.
const EXPOSURE_MOST: u32 = 20;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap()
}

/// The unit, for the program where it is here.
fn unit(folder: &Path) -> PathBuf {
    let unit = text("config/systemd/vigia.service");
    assert!(unit.contains("ExecStart=/usr/local/bin/vigia run "));
    let path = folder.join("vigia.service");
    let here = unit.replace("/usr/local/bin/vigia", env!("CARGO_BIN_EXE_vigia"));
    std::fs::write(&path, here).unwrap();
    path
}

fn analyze(arguments: &[&str], unit: &Path) -> (bool, String) {
    let mut command = Command::new("systemd-analyze");
    command.args(arguments).arg("--no-pager").arg(unit);
    let output = command.output().expect("tests/run --prepare installs it");
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told).into_owned();
    (output.status.success(), told)
}

#[test]
fn systemd_understands_the_unit_and_finds_it_well_protected() {
    let folder = tempfile::tempdir().unwrap();
    let unit = unit(folder.path());
    let (well, told) = analyze(&["verify", "--man=no"], &unit);
    assert!(well && told.trim().is_empty(), "{told}");
    let threshold = format!("--threshold={EXPOSURE_MOST}");
    let (well, told) = analyze(&["security", "--offline=true", &threshold], &unit);
    let exposure = told.lines().rfind(|line| line.contains("exposure level"));
    println!("{}", exposure.unwrap_or(&told));
    assert!(well, "{told}");
}

/// What the service relies on, whatever an exposure level makes of it.
#[test]
fn the_unit_waits_for_progress_and_for_executions_in_hand() {
    let unit = text("config/systemd/vigia.service");
    let settings: Vec<_> = unit
        .lines()
        .filter_map(|line| line.split_once('='))
        .collect();
    let of = |key: &str| {
        let found = settings.iter().find(|(name, _)| *name == key);
        found.map_or("", |(_, value)| *value)
    };
    assert_eq!(of("Type"), "notify");
    assert_eq!(of("Restart"), "always");
    assert_eq!(of("StartLimitIntervalSec"), "0");
    let seconds = |key: &str| of(key).parse::<u64>().unwrap() * 1000;
    let config: toml::Table = text("config/default.toml").parse().unwrap();
    let stop = config["stop"]["deadline_ms"].as_integer().unwrap() as u64;
    assert!(seconds("TimeoutStopSec") > stop);
    assert!(seconds("WatchdogSec") > 0);
    // The kernel's boot id and host name are read under /proc/sys.
    assert_eq!(of("ProcSubset"), "");
}

/// The instructions of the last stage, with their lines joined.
fn instructions(dockerfile: &str) -> Vec<(String, String)> {
    let joined = dockerfile.replace("\\\n", " ");
    let lines = joined.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once(' '))
        .map(|(name, rest)| (name.to_owned(), rest.trim().to_owned()))
        .collect()
}

fn exec_form(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap_or_else(|_| panic!("not in exec form: {text}"))
}

#[test]
fn the_image_runs_the_program_itself_as_nobody_special() {
    let dockerfile = text("Dockerfile");
    let instructions = instructions(&dockerfile);
    let last = |name: &str| {
        let found = instructions.iter().rfind(|(of, _)| of == name);
        found.map(|(_, rest)| rest.as_str()).unwrap_or_default()
    };
    // No shell in between that would keep signals to itself.
    assert_eq!(exec_form(last("ENTRYPOINT")), ["vigia"]);
    assert_eq!(exec_form(last("CMD")), ["run"]);
    assert_eq!(last("STOPSIGNAL"), "SIGTERM");
    assert!(!["", "root", "0"].contains(&last("USER")));
    let (_, check) = last("HEALTHCHECK").split_once("CMD ").unwrap();
    let check = exec_form(check);
    assert_eq!(check[0], "vigia");
    let known = vigia().args(&check[1..]).arg("--help").output().unwrap();
    assert!(known.status.success(), "{check:?}");
    for (_, copied) in instructions.iter().filter(|(name, _)| name == "COPY") {
        let mut words: Vec<_> = copied.split(' ').collect();
        words.pop();
        if !copied.starts_with("--from") {
            for word in words {
                assert!(root().join(word).exists(), "COPY {word}");
            }
        }
    }
}

/// The stand-ins for sources, with which an image builds its dependencies: cargo refuses a manifest
/// that names a target that is not there.
#[test]
fn the_image_has_a_stand_in_for_every_target() {
    let folder = tempfile::tempdir().unwrap();
    let (here, migrations) = (folder.path(), folder.path().join("migrations"));
    std::fs::create_dir(&migrations).unwrap();
    for file in ["Cargo.toml", "Cargo.lock", "migrations/Cargo.toml"] {
        std::fs::copy(root().join(file), here.join(file)).unwrap();
    }
    let instructions = instructions(&text("Dockerfile"));
    let stand_ins = instructions
        .iter()
        .find(|(name, rest)| name == "RUN" && rest.starts_with("mkdir"))
        .unwrap();
    let (making, _) = stand_ins.1.split_once("&& cargo build").unwrap();
    let mut shell = Command::new("sh");
    let made = shell.args(["-ec", making]).current_dir(here).output();
    let made = made.unwrap();
    assert!(made.status.success(), "{made:?}");
    let read = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--no-deps", "--format-version=1"])
        .current_dir(here)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&read.stderr);
    assert!(read.status.success(), "{told}");
}

/// The values of a composition by their path, as in `services/vigia/restart`. Enough of YAML for the
/// one file: mappings by indentation; what is in one line stays text.
fn composition(text: &str) -> BTreeMap<String, String> {
    let mut path: Vec<(usize, &str)> = vec![];
    let mut values = BTreeMap::new();
    for line in text.lines() {
        let told = line.trim_start();
        if told.is_empty() || told.starts_with('#') {
            continue;
        }
        let depth = line.len() - told.len();
        path.retain(|(of, _)| *of < depth);
        let key = |path: &[(usize, &str)]| {
            let names: Vec<_> = path.iter().map(|(_, name)| *name).collect();
            names.join("/")
        };
        if let Some(item) = told.strip_prefix("- ") {
            let list: &mut String = values.entry(key(&path)).or_default();
            list.push_str(item);
            list.push('\n');
        } else {
            let (name, value) = told.split_once(':').expect("a mapping");
            path.push((depth, name));
            values.insert(key(&path), value.trim().to_owned());
        }
    }
    values
}

#[test]
fn the_composition_waits_for_its_servers_and_gives_executions_their_time() {
    let values = composition(&text("compose.yaml"));
    let of = |path: &str| values.get(path).map_or("", String::as_str);
    assert_eq!(of("services/vigia/stop_grace_period"), "30s");
    assert_eq!(of("services/vigia/build"), ".");
    for server in ["postgres", "redis"] {
        let condition = format!("services/vigia/depends_on/{server}/condition");
        assert_eq!(of(&condition), "service_healthy");
        let test = exec_form(of(&format!("services/{server}/healthcheck/test")));
        assert_eq!(test[0], "CMD", "{server}");
        let image = of(&format!("services/{server}/image"));
        assert!(image.contains(':'), "{server}: {image}: which version?");
    }
    // What must outlive a container lies on a volume that is declared.
    for service in ["vigia", "postgres", "redis"] {
        let volumes = of(&format!("services/{service}/volumes"));
        assert!(!volumes.is_empty(), "{service}");
        for volume in volumes.lines() {
            let name = volume.split(':').next().unwrap();
            assert!(values.contains_key(&format!("volumes/{name}")), "{volume}");
        }
    }
    // The image asks the service itself; nothing here may ask less.
    assert_eq!(of("services/vigia/healthcheck"), "");
    // The password stands in a file that both read, and nowhere else.
    let secret = "/run/secrets/database_password";
    for of_service in [
        "vigia/environment/DATABASE_PASSWORD_FILE",
        "postgres/environment/POSTGRES_PASSWORD_FILE",
    ] {
        assert_eq!(of(&format!("services/{of_service}")), secret);
    }
    for service in ["vigia", "postgres"] {
        let secrets = of(&format!("services/{service}/secrets"));
        assert_eq!(secrets, "[database_password]");
    }
    // It waits for jobs where the composition has a place for them.
    assert_eq!(
        of("services/vigia/environment/VIGIA_QUEUE_BACKEND"),
        "redis"
    );
    let file = of("secrets/database_password/file");
    let ignored = text(".gitignore");
    let folder = Path::new(file.trim_start_matches("./")).parent().unwrap();
    let line = format!("/{}", folder.display());
    assert!(ignored.lines().any(|ignored| ignored == line), "{file}");
    let address = of("services/vigia/environment/DATABASE_URL");
    assert!(
        !address.contains("${") && !address.contains(":@"),
        "{address}"
    );
}

/// The head of the composition and the page say the same.
#[test]
fn the_composition_and_the_page_give_the_same_commands() {
    let page = commands(&text("docs/operating.md"), "### Container");
    let head = text("compose.yaml");
    let head = head.lines().take_while(|line| line.starts_with('#'));
    let commands_of_head: Vec<_> = head
        .filter_map(|line| line.strip_prefix("#   "))
        .map(|line| line.split("  #").next().unwrap().trim())
        .collect();
    assert_eq!(page.lines().collect::<Vec<_>>(), commands_of_head);
}
