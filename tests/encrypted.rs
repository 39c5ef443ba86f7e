//! The whole way over https and wss, by the real program: what has only ever been tried without
//! encryption would first be tried with money.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use vigia::clock::Clock;
use vigia::domain::credentials::Credentials;
use vigia::domain::position::Side;
use vigia::domain::units::Usd;
use vigia::exchange::{ExchangeClock, Network, NewTrade, Rest};
use vigia::simulator::{
    AccountConfig, Certificate, LedgerKind, Limits, Simulator, SimulatorConfig,
};

const SOON: Duration = Duration::from_secs(30);
const GUARD: &str = r#"{"action": "add_margin", "add_margin_amount": 50000,
    "margin_threshold": 70, "metric": "margin_used"}"#;

struct Stage {
    simulator: Simulator,
    folder: tempfile::TempDir,
}

impl Stage {
    fn set() -> Self {
        let listen = SimulatorConfig::default().listen;
        let certificate = Certificate::generate(listen).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        let account = AccountConfig::new("the-key", "the-secret", "the-phrase", 10_000_000);
        let simulator = Simulator::start_on_thread(SimulatorConfig {
            accounts: vec![account],
            limits: Limits::off(),
            tls: Some(certificate),
            ..SimulatorConfig::default()
        })
        .unwrap();
        assert!(simulator.api_url().starts_with("https://"));
        assert!(simulator.stream_url().starts_with("wss://"));
        Self { simulator, folder }
    }

    fn authority(&self) -> std::path::PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn vigia(&self, authority: Option<&Path>, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vigia"));
        command
            .env_clear()
            .env("VIGIA_DATA_DIR", self.folder.path())
            .env("LN_MARKETS_API_URL", self.simulator.api_url())
            .env("LN_MARKETS_STREAM_URL", self.simulator.stream_url())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(authority) = authority {
            command.env("LN_MARKETS_CA_FILE", authority);
        }
        command
    }

    fn run(&self, authority: Option<&Path>, arguments: &[&str], input: &str) -> Output {
        let mut child = self.vigia(authority, arguments).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // It may end without reading.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        child.wait_with_output().unwrap()
    }

    fn add_account(&self, authority: Option<&Path>) -> Output {
        let arguments = [
            "account",
            "add",
            "mine",
            "--network",
            "mainnet",
            "--credentials-stdin",
        ];
        self.run(authority, &arguments, "the-key\nthe-secret\nthe-phrase\n")
    }
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let clock = Clock::start();
    let deadline = clock.mono() + SOON;
    while !holds() {
        assert!(clock.mono() < deadline, "not within {SOON:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

fn succeeded(output: &Output) {
    assert!(output.status.success(), "{}", said(output));
}

/// Ends with the test, whatever becomes of it.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_account_is_added_watched_and_saved_over_https_and_wss() {
    let stage = Stage::set();
    let authority = stage.authority();
    let control = stage.simulator.control();
    succeeded(&stage.run(Some(&authority), &["key", "generate"], ""));
    succeeded(&stage.add_account(Some(&authority)));
    let rule = [
        "automation",
        "add",
        "--account",
        "mine",
        "--type",
        "margin_guard",
        "--rule",
        GUARD,
    ];
    succeeded(&stage.run(Some(&authority), &rule, ""));

    let network = Network::new(
        "mainnet",
        &stage.simulator.api_url(),
        &stage.simulator.stream_url(),
    );
    let network = network.unwrap().trusting(&authority).unwrap();
    let rest = Rest::new(Arc::new(network), ExchangeClock::new(Clock::start())).unwrap();
    let credentials = Credentials::new(
        "the-key".to_owned(),
        "the-secret".to_owned(),
        "the-phrase".to_owned(),
    );
    let trade = NewTrade::market(Side::Buy, Usd(1000), 10.0, "opened-here".to_owned());
    let now = rest.clock().now();
    let position = rest.open(&credentials, &trade, now).await.unwrap();

    let mut service = Service(stage.vigia(Some(&authority), &["run"]).spawn().unwrap());
    let lines = BufReader::new(service.0.stderr.take().unwrap());
    let log = std::thread::spawn(move || lines.lines().map_while(Result::ok).collect::<Vec<_>>());
    until("its own socket over wss", || {
        control.sockets().iter().any(|socket| socket.key.is_some())
    });
    let lost = 0.75 * position.margin.0 as f64 / 1e8;
    let price = 1.0 / (1.0 / position.price.usd() + lost / position.quantity.0 as f64);
    control.set_price(price.floor()).unwrap();
    until("the margin is added", || {
        let ledger = control.ledger();
        ledger
            .iter()
            .any(|entry| entry.kind == LedgerKind::MarginAdded)
    });
    kill_process(Pid::from_child(&service.0), Signal::TERM).unwrap();
    assert!(service.0.wait().unwrap().success());
    let log = log.join().unwrap();
    assert!(
        !log.iter()
            .any(|line| line.contains("the-secret") || line.contains("the-phrase"))
    );
    let added = control.ledger();
    let added = added
        .iter()
        .filter(|entry| entry.kind == LedgerKind::MarginAdded);
    assert_eq!(added.count(), 1, "{log:#?}");
}

#[test]
fn an_authority_that_nobody_trusts_is_named_before_any_credentials_are_sent() {
    let stage = Stage::set();
    succeeded(&stage.run(None, &["key", "generate"], ""));
    succeeded(&stage.add_account(None));
    let output = stage.run(None, &["check"], "");
    let words = said(&output);
    assert!(!output.status.success());
    assert!(words.contains("certificate"), "{words}");
    assert!(words.contains("ca_file"), "{words}");
    let requests = stage.simulator.control().requests();
    assert!(requests.by_route.is_empty(), "{requests:?}");

    let none = stage.folder.path().join("none.pem");
    let output = stage.run(Some(&none), &["check"], "");
    let words = said(&output);
    assert!(!output.status.success());
    assert!(
        words.contains("networks.mainnet.ca_file") && words.contains("none.pem"),
        "{words}"
    );
}
