//! The service's HTTP as its operator asks it, and its figures as a scrape finds them.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Duration;

use secrecy::ExposeSecret;
use vigia::admin::{Access, StatusReport};
use vigia::clock::Clock;

use crate::stage::Stage;
use crate::watchman::{SOON, Watchman};

const BEAT: Duration = Duration::from_millis(20);

/// What `/metrics` says.
#[derive(Debug)]
pub struct Scrape {
    /// The type of each family, by the name in the text (counters without `_total`).
    pub types: BTreeMap<String, String>,
    samples: Vec<Sample>,
}

/// Name, labels and value.
type Sample = (String, Vec<(String, String)>, f64);

/// The answer of the running service.
pub async fn asked(stage: &Stage, path: &str) -> reqwest::Response {
    let access = Access::read(stage.data_dir()).expect("a service runs");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.get(format!("http://{}{path}", access.address));
    let request = request.bearer_auth(access.token.expose_secret());
    request.send().await.unwrap()
}

/// The tree of the running service.
pub async fn tree(stage: &Stage, query: &str) -> StatusReport {
    let answer = asked(stage, &format!("/v1/tree{query}")).await;
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

/// Looks again and again until something is there.
pub async fn until<T, F: Future<Output = Option<T>>>(
    what: &str,
    watchman: &Watchman,
    look: impl Fn() -> F,
) -> T {
    until_within(SOON, what, watchman, look).await
}

/// As [`until`], with more or less patience.
pub async fn until_within<T, F: Future<Output = Option<T>>>(
    patience: Duration,
    what: &str,
    watchman: &Watchman,
    look: impl Fn() -> F,
) -> T {
    let clock = Clock::start();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(
            clock.mono() < patience,
            "not in time: {what}\n{}",
            watchman.told()
        );
        tokio::time::sleep(BEAT).await;
    }
}

impl Scrape {
    pub async fn of(stage: &Stage) -> Self {
        let answer = asked(stage, "/metrics").await;
        assert_eq!(answer.status(), 200);
        assert_eq!(
            answer.headers()["content-type"],
            "application/openmetrics-text; version=1.0.0; charset=utf-8"
        );
        Self::parse(&answer.text().await.unwrap())
    }

    fn parse(text: &str) -> Self {
        let (mut types, mut samples) = (BTreeMap::new(), vec![]);
        assert!(text.ends_with("# EOF\n"), "{text}");
        for line in text.lines() {
            if let Some(named) = line.strip_prefix("# TYPE ") {
                let (name, kind) = named.split_once(' ').unwrap();
                let before = types.insert(name.to_owned(), kind.to_owned());
                assert_eq!(before, None, "{name} stands twice");
            } else if !line.starts_with('#') {
                samples.push(sample(line));
            }
        }
        Self { types, samples }
    }

    /// The value of the one sample of this name that has these labels, whatever others it has.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let found = self.all(name, labels);
        assert!(found.len() <= 1, "{name} {labels:?}: {found:?}");
        found.first().copied()
    }

    /// The values of all samples of this name that have these labels.
    pub fn all(&self, name: &str, labels: &[(&str, &str)]) -> Vec<f64> {
        let has = |of: &[(String, String)]| {
            let mut labels = labels.iter();
            labels.all(|(name, value)| of.iter().any(|(n, v)| n == name && v == value))
        };
        let samples = self.samples.iter();
        samples
            .filter(|(known, of, _)| known == name && has(of))
            .map(|(_, _, value)| *value)
            .collect()
    }

    /// The values of a label, over all samples of a name.
    pub fn labels(&self, name: &str, label: &str) -> Vec<String> {
        let samples = self.samples.iter().filter(|(known, ..)| known == name);
        let labels = samples.flat_map(|(_, labels, _)| labels);
        labels
            .filter(|(name, _)| name == label)
            .map(|(_, value)| value.clone())
            .collect()
    }

    /// The names of the labels of each sample of a name.
    pub fn label_names(&self, name: &str) -> Vec<BTreeSet<String>> {
        let samples = self.samples.iter().filter(|(known, ..)| known == name);
        samples
            .map(|(_, labels, _)| labels.iter().map(|(name, _)| name.clone()).collect())
            .collect()
    }

    /// Names as they are queried: counters with `_total`, histograms with all their endings.
    pub fn names(&self) -> Vec<String> {
        let endings = |kind: &str| -> &[&str] {
            match kind {
                "counter" => &["_total"],
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[""],
            }
        };
        let types = self.types.iter();
        types
            .flat_map(|(name, kind)| {
                let endings = endings(kind).iter();
                endings.map(move |ending| format!("{name}{ending}"))
            })
            .collect()
    }
}

/// `name{label="value",…} 1.0`.
fn sample(line: &str) -> Sample {
    let (named, value) = line.rsplit_once(' ').unwrap();
    let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
    let Some((name, labels)) = named.split_once('{') else {
        return (named.to_owned(), vec![], value);
    };
    let mut rest = labels.strip_suffix('}').unwrap();
    let mut found = vec![];
    while let Some((label, quoted)) = rest.split_once("=\"") {
        let (mut value, mut escaped, mut end) = (String::new(), false, None);
        for (at, c) in quoted.char_indices() {
            match c {
                _ if escaped => {
                    value.push(if c == 'n' { '\n' } else { c });
                    escaped = false;
                }
                '\\' => escaped = true,
                '"' => {
                    end = Some(at);
                    break;
                }
                _ => value.push(c),
            }
        }
        found.push((label.to_owned(), value));
        rest = quoted[end.unwrap() + 1..].trim_start_matches(',');
    }
    (name.to_owned(), found, value)
}

#[test]
fn labels_are_read_back_as_they_were() {
    let (name, labels, value) = sample(r#"vigia_a{x="1 \"2\" {}, \\ \n",y="z"} 0.5"#);
    let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!((name.as_str(), value), ("vigia_a", 0.5));
    assert_eq!(labels, [label("x", "1 \"2\" {}, \\ \n"), label("y", "z")]);
}
