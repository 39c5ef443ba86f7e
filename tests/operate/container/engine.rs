//! A container engine on a machine of its own, with the shipped image.

use std::path::Path;
use std::process::Command;

use crate::booted::machine::Machine;
use crate::booted::service::shipped;
use crate::stage::{NETWORK, Stage};

/// Where the repository lies on the machine.
pub const HERE: &str = "/srv/vigia";
/// Like the files of containers, it is on a file system that can be laid over another.
pub const ROOM: &str = "/tmp/engine";
/// In namespaces without controllers of their own nothing can be limited.
const ENGINE: &str = "[containers]
pids_limit = 0
default_ulimits = [\"nofile=4096:4096\", \"nproc=4096:4096\"]
[engine]
runtime = \"runc\"
events_logger = \"file\"
";
const STORAGE: &str = "[storage]
driver = \"overlay\"
graphroot = \"/tmp/engine/images\"
runroot = \"/run/engine\"
";
/// The image's toolchain, which does not build but has built: the tests' own program.
const TOOLCHAIN: &str = "FROM debian:bookworm-slim
COPY cargo /usr/local/bin/cargo
COPY vigia /usr/local/lib/vigia
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
";
const CARGO: &str = "#!/bin/sh
[ \"$*\" = \"build --release --locked --bin vigia\" ] || exit 1
mkdir -p target/release && cp /usr/local/lib/vigia target/release/vigia
";
/// What `compose.yaml` asks of an engine for the service.
const AS_COMPOSED: &str = "--read-only --cap-drop ALL --security-opt no-new-privileges \
    --network host --volume vigia:/data";

pub struct Engine {
    pub machine: Machine,
    /// The exchange, as a container is told of it.
    exchange: String,
}

impl Engine {
    /// One that has built the image, and the exchange of a stage. `None` where that is not to be had.
    pub fn with_the_image(stage: &Stage) -> Option<Self> {
        let config = std::fs::read_to_string(stage.config_file()).unwrap();
        let config: toml::Table = config.parse().unwrap();
        let network = config["networks"][NETWORK].clone();
        let of = |key: &str| network[key].as_str().unwrap().to_owned();
        let exchange = format!(
            "--env LN_MARKETS_API_URL={} --env LN_MARKETS_STREAM_URL={}",
            of("api_url"),
            of("stream_url")
        );
        Self::on(Machine::boot()?, exchange, &["podman", "runc"])
    }

    /// One that has built the image on a machine, with what it needs.
    pub fn on(machine: Machine, exchange: String, needed: &[&str]) -> Option<Self> {
        for missing in needed {
            let (there, _) = machine.ask(&format!("command -v {missing}"));
            if !there {
                println!("SKIPPED, nothing is shown of containers: there is no {missing}");
                assert!(std::env::var_os("CI").is_none(), "no {missing}");
                return None;
            }
        }
        machine.write("/etc/containers/containers.conf", 0o644, ENGINE);
        machine.write("/etc/containers/storage.conf", 0o644, STORAGE);
        import(&machine, "debian:bookworm-slim", &[]);
        let toolchain = |name: &str| format!("{ROOM}/toolchain/{name}");
        machine.write(&toolchain("Dockerfile"), 0o644, TOOLCHAIN);
        machine.write(&toolchain("cargo"), 0o755, CARGO);
        let authorities = Path::new("/etc/ssl/certs/ca-certificates.crt");
        machine.copy(authorities, &toolchain("ca-certificates.crt"), 0o644);
        let program = Path::new(env!("CARGO_BIN_EXE_vigia"));
        machine.copy(program, &toolchain("vigia"), 0o755);
        let dockerfile = shipped("Dockerfile");
        let first = dockerfile
            .lines()
            .find_map(|line| line.strip_prefix("FROM "));
        let (rust, _) = first.unwrap().split_once(" AS build").unwrap();
        let sources = [
            ".dockerignore",
            "Cargo.lock",
            "Cargo.toml",
            "Dockerfile",
            "config",
            "migrations",
            "src",
        ];
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        machine.run(&format!("mkdir {HERE}"));
        for source in sources {
            let copied = Command::new("cp")
                .arg("-R")
                .args([root.join(source), machine.path(HERE)])
                .status();
            assert!(copied.unwrap().success(), "{source}");
        }
        machine.run(&format!(
            "podman build --pull=never --network=host --tag {rust} {ROOM}/toolchain
            cd {HERE} && podman build --pull=never --network=host --format docker --tag vigia ."
        ));
        Some(Self { machine, exchange })
    }

    /// A command that runs a container.
    pub fn running(&self, options: &str, arguments: &str) -> String {
        let exchange = &self.exchange;
        format!("podman run {AS_COMPOSED} {exchange} {options} vigia {arguments}")
    }

    /// What the engine shows of something.
    pub fn shows(&self, what: &str, format: &str) -> String {
        let told = self
            .machine
            .run(&format!("podman inspect --format '{format}' {what}"));
        told.trim().to_owned()
    }

    /// Waits until a container has logged this event.
    #[track_caller]
    pub fn until_logged(&self, container: &str, event: &str) {
        let wanted = format!("\"event\":\"{event}\"");
        let script = format!("podman logs {container} 2>&1");
        self.machine.until(&script, |told| told.contains(&wanted));
    }
}

/// Makes an image with the files of Debian's packages as they are installed here.
pub fn import(machine: &Machine, name: &str, packages: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/operate/container/base.sh");
    let archive = Command::new("sh").arg(script).args(packages).output();
    let archive = archive.unwrap();
    let why = String::from_utf8_lossy(&archive.stderr);
    assert!(archive.status.success(), "{why}");
    let file = format!("{ROOM}/base.tar");
    machine.write(&file, 0o644, archive.stdout);
    machine.run(&format!("podman import {file} {name} && rm {file}"));
}
