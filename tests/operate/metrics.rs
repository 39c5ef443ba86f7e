//! The figures are there, described, bounded, and true.

use std::collections::BTreeSet;
use std::path::Path;

use crate::scrape::{Scrape, asked, until};
use crate::stage::{Deed, NETWORK, START, Stage, Windows, wanted_server};

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(path).unwrap()
}

/// Words of a text that begin with `vigia_`.
fn named(text: &str) -> BTreeSet<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c: char| !is_word(c));
    words
        .filter(|word| word.starts_with("vigia_"))
        .map(str::to_owned)
        .collect()
}

/// Figures, their types and labels, as `docs/metrics.md` has them in its tables.
fn described() -> Vec<(String, String, String)> {
    let docs = read("docs/metrics.md");
    let rows = docs
        .lines()
        .filter_map(|line| line.strip_prefix("| `vigia_"));
    rows.map(|row| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let name = format!("vigia_{}", cells[0].trim_end_matches('`'));
        (name, cells[1].to_owned(), cells[2].to_owned())
    })
    .collect()
}

/// Adds what the service can only have once it has traded and lost something.
async fn eventful() -> (Stage, crate::watchman::Watchman) {
    let stage = Stage::set().await;
    let (_, position) = stage.guarded("alpha", Deed::Add).await;
    let watchman = stage.start();
    watchman.until_armed(1).await;
    let on_its_socket = |line: &serde_json::Value| {
        line["event"] == "transport.switched" && line["to"] == "websocket"
    };
    watchman
        .until_where("the account is on its socket", on_its_socket)
        .await;
    stage.control.drop_sockets(None);
    watchman.until("socket.lost").await;
    stage.endanger(&position);
    watchman.until("execution.done").await;
    (stage, watchman)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_named_is_scraped_and_whatever_is_scraped_is_described() {
    let (stage, watchman) = eventful().await;
    let scrape = Scrape::of(&stage).await;
    let scraped: BTreeSet<_> = scrape.names().into_iter().collect();
    for file in ["config/grafana/vigia.json", "config/prometheus/alerts.yml"] {
        let named = named(&read(file));
        assert!(named.len() > 10, "{file}: {named:?}");
        let unknown: Vec<_> = named.difference(&scraped).collect();
        assert!(
            unknown.is_empty(),
            "{file} names what is not there: {unknown:?}"
        );
    }
    let described = described();
    for (name, kind, labels) in &described {
        let family = match kind.as_str() {
            "counter" => name.strip_suffix("_total").expect(name),
            _ => name.as_str(),
        };
        assert_eq!(
            scrape.types.get(family),
            Some(kind),
            "{name} of docs/metrics.md"
        );
        let told = labels.replace("account", "`account_id`, `account_name`");
        let told: BTreeSet<_> = told
            .split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect();
        let sample = match kind.as_str() {
            "histogram" => format!("{name}_count"),
            _ => name.clone(),
        };
        let has = scrape.label_names(&sample);
        assert!(
            has.is_empty() || has.iter().all(|has| *has == told),
            "{name}: {has:?}, not {told:?}"
        );
    }
    let described: BTreeSet<_> = described
        .iter()
        .map(|(name, ..)| name.trim_end_matches("_total").to_owned())
        .collect();
    let scraped: BTreeSet<_> = scrape.types.keys().cloned().collect();
    let untold: Vec<_> = scraped.difference(&described).collect();
    assert!(untold.is_empty(), "not in docs/metrics.md: {untold:?}");
    watchman.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trigger_is_one_count_at_each_hop() {
    let (stage, watchman) = eventful().await;
    let scrape = Scrape::of(&stage).await;
    let count = |name: &str, labels: &[(&str, &str)]| scrape.value(name, labels).unwrap_or(-1.0);
    let done = [("action", "add_margin"), ("outcome", "done")];
    assert_eq!(count("vigia_executions_total", &done), 1.0);
    let all: f64 = scrape.all("vigia_executions_total", &[]).iter().sum();
    assert_eq!((all, count("vigia_triggers_total", &[])), (1.0, 1.0));
    for hop in [
        "reached", "decided", "fired", "picked", "sending", "left", "answered",
    ] {
        let of = [("hop", hop)];
        assert_eq!(count("vigia_hop_seconds_count", &of), 1.0, "{hop}");
        let took = count("vigia_hop_seconds_sum", &of);
        assert!(took > 0.0 && took < 5.0, "{hop}: {took} s");
        let within = scrape.all("vigia_hop_seconds_bucket", &of);
        assert!(
            within.is_sorted() && within.last() == Some(&1.0),
            "{hop}: {within:?}"
        );
    }
    let hops: f64 = scrape.all("vigia_hop_seconds_sum", &[]).iter().sum();
    let answered = count("vigia_hop_seconds_sum", &[("hop", "answered")]);
    let to_order = count("vigia_tick_to_order_seconds_sum", &[]);
    assert_eq!(count("vigia_tick_to_order_seconds_count", &[]), 1.0);
    // The hops lie end to end, but for the moments between two of them.
    let between = (to_order - (hops - answered)).abs();
    assert!(
        between < 0.01,
        "{to_order} s, the hops {} s",
        hops - answered
    );
    let done = watchman.until("execution.done").await;
    let told_us = done["tick_to_order_us"].as_f64().unwrap();
    assert!(
        (to_order * 1e6 - told_us).abs() < 1.0,
        "{to_order} s, {told_us} µs"
    );
    let guards = [("network", NETWORK), ("budget", "keys"), ("class", "guard")];
    assert_eq!(count("vigia_rate_requests_total", &guards), 1.0);
    assert_eq!(count("vigia_price_usd", &[]), stage.control.price());
    assert!(stage.control.price() < START);
    assert!(count("vigia_store_write_seconds_count", &[]) > 0.0);
    assert_eq!(count("vigia_store_failed_writes_total", &[]), 0.0);
    assert_eq!(count("vigia_journal_executions", &[("state", "done")]), 1.0);
    assert!(count("vigia_sockets_lost_total", &[("cause", "closed")]) >= 1.0);
    assert_eq!(count("vigia_positions", &[]), 1.0);
    assert_eq!(count("vigia_executors_started", &[]), 1.0);
    watchman.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_have_figures_of_their_own_up_to_a_bound_and_names_are_only_text() {
    let strange = "a \"b\" \\ {c=\"d\"}";
    let more = "[metrics]\naccounts = 2\n";
    let stage = Stage::configured(wanted_server(), Windows::default(), more).await;
    for (name, leverage) in [("far", 2), ("near", 50), (strange, 10)] {
        let owner = stage.owner(name);
        stage.open_position(&owner, leverage).await;
        stage.guard(&owner, Deed::Close).await;
    }
    let watchman = stage.start();
    watchman.until_armed(3).await;
    let scrape = until("all accounts are live", &watchman, || async {
        let scrape = Scrape::of(&stage).await;
        let live = scrape.value("vigia_accounts", &[("state", "live")]);
        let distances = scrape.all("vigia_account_liquidation_distance_ratio", &[]);
        (live == Some(3.0) && distances.len() == 2).then_some(scrape)
    })
    .await;
    let listed = scrape.labels("vigia_account_live", "account_name");
    assert_eq!(listed, ["near", strange], "the most endangered first");
    assert_eq!(scrape.value("vigia_accounts_unlisted", &[]), Some(1.0));
    let near = [("account_name", "near")];
    let far = scrape
        .value("vigia_account_liquidation_distance_ratio", &near)
        .unwrap();
    assert!(far > 0.01 && far < 0.02, "50x: {far}");
    assert_eq!(scrape.value("vigia_levels", &[]), Some(3.0));
    // Whoever is not live is the most endangered of all.
    stage.control.revoke_key("key-far");
    until("the one that is refused is listed", &watchman, || async {
        let scrape = Scrape::of(&stage).await;
        let listed = scrape.labels("vigia_account_live", "account_name");
        let state = scrape.value("vigia_account_state", &[("state", "unauthorized")]);
        (listed == ["far", "near"] && state == Some(1.0)).then_some(())
    })
    .await;
    let text = asked(&stage, "/metrics").await.text().await.unwrap();
    for secret in ["key-", "secret-", "phrase-"] {
        assert!(!text.contains(secret), "{secret}");
    }
    watchman.stop().await;
}
