//! A real Prometheus scrapes the real service, with the rules and the board that are shipped.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::Value;
use tempfile::TempDir;
use vigia::admin::Access;
use vigia::clock::Clock;

use crate::stage::{Deed, Stage};

/// A fresh Prometheus scrapes and evaluates for the first time, on a loaded machine.
const WITHIN: Duration = Duration::from_secs(60);
const BEAT: Duration = Duration::from_millis(100);

/// Ended when it is dropped.
struct Prometheus {
    process: Child,
    address: String,
    client: reqwest::Client,
    _folder: TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Prometheus {
    fn watching(stage: &Stage) -> Self {
        let access = Access::read(stage.data_dir()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        std::fs::write(&token, access.token.expose_secret()).unwrap();
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/prometheus/alerts.yml");
        let config = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\n\
             rule_files: [{rules}]\n\
             scrape_configs:\n\
             - job_name: vigia\n  \
               authorization: {{ credentials_file: {token} }}\n  \
               static_configs: [{{ targets: [\"{address}\"] }}]\n",
            rules = rules.display(),
            token = token.display(),
            address = access.address,
        );
        let path = folder.path().join("prometheus.yml");
        std::fs::write(&path, config).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", path.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.path().join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=error")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Prometheus is missing: tests/run --prepare installs it");
        Self {
            process,
            address,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            _folder: folder,
        }
    }

    /// What its API answers; none while it does not.
    async fn api(&self, path: &str, query: &[(&str, &str)]) -> Option<Value> {
        let mut url =
            reqwest::Url::parse(&format!("http://{}/api/v1/{path}", self.address)).unwrap();
        url.query_pairs_mut().extend_pairs(query);
        let answer = self.client.get(url).send().await.ok()?;
        answer.json().await.ok()
    }

    /// The first that is found in what its API answers.
    async fn until<T>(&self, what: &str, path: &str, find: impl Fn(&Value) -> Option<T>) -> T {
        let clock = Clock::start();
        let mut last = None;
        while clock.mono() < WITHIN {
            last = self.api(path, &[]).await;
            if let Some(found) = last.as_ref().and_then(&find) {
                return found;
            }
            tokio::time::sleep(BEAT).await;
        }
        panic!("not within {WITHIN:?}: {what}; {path}: {last:#?}");
    }
}

/// All expressions of the board, as Grafana would ask them.
fn board() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/grafana/vigia.json");
    let board: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let panels = board["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array());
    let expressions = targets
        .flatten()
        .map(|target| target["expr"].as_str().unwrap());
    expressions
        .map(|expression| expression.replace("$__rate_interval", "1m"))
        .collect()
}

fn rules(answer: &Value) -> Vec<Value> {
    let groups = answer["data"]["groups"].as_array().cloned();
    let rules = groups.unwrap_or_default().into_iter();
    rules
        .flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_prometheus_takes_every_figure_every_rule_and_every_panel() {
    let stage = Stage::set().await;
    let (_, position) = stage.guarded("alpha", Deed::Add).await;
    let watchman = stage.start();
    watchman.until_armed(1).await;
    stage.endanger(&position);
    watchman.until("execution.done").await;
    let prometheus = Prometheus::watching(&stage);
    prometheus
        .until("the service is up", "targets", |answer| {
            let target = &answer["data"]["activeTargets"][0];
            assert!(
                target["lastError"].as_str().is_none_or(str::is_empty),
                "{target:#}"
            );
            (target["health"] == "up").then_some(())
        })
        .await;
    let rules = prometheus
        .until("all rules were evaluated", "rules", |answer| {
            let rules = rules(answer);
            let evaluated = |rule: &Value| rule["health"] != "unknown";
            (!rules.is_empty() && rules.iter().all(evaluated)).then_some(rules)
        })
        .await;
    assert_eq!(rules.len(), 19);
    for rule in &rules {
        assert_eq!(rule["health"], "ok", "{rule:#}");
        assert_eq!(rule["state"], "inactive", "nothing is wrong: {rule:#}");
        let runbook = rule["annotations"]["runbook"].as_str().unwrap();
        assert!(runbook.starts_with("docs/operating.md#"), "{runbook}");
    }
    let (expressions, mut filled) = (board(), 0);
    for expression in &expressions {
        let answer = prometheus
            .api("query", &[("query", expression)])
            .await
            .unwrap();
        assert_eq!(answer["status"], "success", "{expression}: {answer:#}");
        let found = answer["data"]["result"].as_array().unwrap().len();
        // A rate needs two scrapes, a difference an event.
        let takes_time = expression.contains('[');
        assert!(found > 0 || takes_time, "{expression}: nothing");
        filled += usize::from(found > 0);
    }
    println!(
        "Prometheus: {} rules healthy, {} expressions of the board answered, {filled} with values",
        rules.len(),
        expressions.len()
    );
    // What is wrong is told.
    assert!(stage.control.revoke_key("key-alpha"));
    prometheus
        .until("a refused account is an alert", "alerts", |answer| {
            let alerts = answer["data"]["alerts"].as_array()?;
            let fires = |alert: &&Value| alert["labels"]["alertname"] == "VigiaUnauthorized";
            let alert = alerts.iter().find(fires)?;
            (alert["state"] == "firing").then_some(())
        })
        .await;
    let pending = prometheus.api("alerts", &[]).await.unwrap();
    let named = pending["data"]["alerts"]
        .as_array()
        .unwrap()
        .iter()
        .any(|alert| {
            alert["labels"]["alertname"] == "VigiaAccountNotLive"
                && alert["labels"]["account_name"] == "alpha"
                && alert["state"] == "pending"
        });
    assert!(named, "{pending:#}");
    watchman.stop().await;
}
