//! A page of figures: families of samples, gathered first and written as text afterwards.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::meter::Distribution;

/// Names and values of a sample's labels.
pub(super) type Labels = Vec<(&'static str, String)>;

/// All families.
#[derive(Debug, Default)]
pub(super) struct Page(Vec<Family>);

/// Samples of one name.
#[derive(Debug)]
pub(super) struct Family {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    samples: Vec<(Labels, Value)>,
}

#[derive(Debug)]
enum Value {
    Count(u64),
    Gauge(f64),
    Distribution(Distribution),
}

impl Page {
    /// What only grows; in the text its name ends in `_total`.
    pub(super) fn counter(&mut self, name: &'static str, help: &'static str) -> &mut Family {
        self.family(name, help, MetricType::Counter)
    }

    /// What goes up and down.
    pub(super) fn gauge(&mut self, name: &'static str, help: &'static str) -> &mut Family {
        self.family(name, help, MetricType::Gauge)
    }

    /// How long something took.
    pub(super) fn histogram(&mut self, name: &'static str, help: &'static str) -> &mut Family {
        self.family(name, help, MetricType::Histogram)
    }

    fn family(&mut self, name: &'static str, help: &'static str, kind: MetricType) -> &mut Family {
        let family = Family {
            name,
            help,
            kind,
            samples: vec![],
        };
        // Of a name that was there already, the earlier stands alone otherwise.
        let index = self.0.iter().rposition(|known| known.name == name);
        let index = index.unwrap_or(self.0.len());
        if index == self.0.len() {
            self.0.push(family);
        }
        &mut self.0[index]
    }

    /// As text.
    pub(super) fn text(self) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(text)
    }
}

impl Family {
    /// One more sample of a counter.
    pub(super) fn count(&mut self, labels: Labels, count: u64) -> &mut Self {
        self.samples.push((labels, Value::Count(count)));
        self
    }

    /// One more sample of a gauge. What is no number is left out.
    pub(super) fn is(&mut self, labels: Labels, value: f64) -> &mut Self {
        if value.is_finite() {
            self.samples.push((labels, Value::Gauge(value)));
        }
        self
    }

    /// One more sample of a histogram.
    pub(super) fn took(&mut self, labels: Labels, seen: Distribution) -> &mut Self {
        self.samples.push((labels, Value::Distribution(seen)));
        self
    }
}

/// One label.
pub(super) fn label(name: &'static str, value: impl ToString) -> Labels {
    vec![(name, value.to_string())]
}

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in &self.0 {
            let Family {
                name, help, kind, ..
            } = family;
            let mut metric = encoder.encode_descriptor(name, help, None, *kind)?;
            for (labels, value) in &family.samples {
                if labels.is_empty() {
                    value.write(&mut metric)?;
                } else {
                    value.write(&mut metric.encode_family(labels)?)?;
                }
            }
        }
        Ok(())
    }
}

impl Value {
    fn write(&self, metric: &mut MetricEncoder<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => metric.encode_counter::<NoLabelSet, _, u64>(count, None),
            Self::Gauge(value) => metric.encode_gauge(value),
            Self::Distribution(seen) => {
                let Distribution {
                    sum,
                    count,
                    buckets,
                } = seen;
                metric.encode_histogram::<NoLabelSet>(*sum, *count, buckets, None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::meter::Histogram;

    #[test]
    fn a_page_is_text_that_prometheus_reads_whatever_an_account_is_called() {
        let mut page = Page::default();
        page.gauge("vigia_up", "Whether.").is(vec![], 1.0);
        let strange = "a \"b\" \\ c\nd{e=\"f\"}";
        let family = page.gauge("vigia_share", "How much.");
        family.is(label("account_name", strange), 0.25);
        family.is(label("account_name", "unknown"), f64::INFINITY);
        page.counter("vigia_events", "How many.").count(vec![], 3);
        let histogram = Histogram::default();
        histogram.observe(Duration::from_micros(7));
        let family = page.histogram("vigia_seconds", "How long.");
        family.took(label("hop", "left"), histogram.read());
        let text = page.text().unwrap();
        let has = |line: &str| assert!(text.lines().any(|one| one == line), "{line}\n{text}");
        has("# TYPE vigia_up gauge");
        has("vigia_up 1.0");
        has(r#"vigia_share{account_name="a \"b\" \\ c\nd{e=\"f\"}"} 0.25"#);
        assert!(!text.contains("unknown"), "{text}");
        has("vigia_events_total 3");
        has(r#"vigia_seconds_bucket{le="0.000005",hop="left"} 0"#);
        has(r#"vigia_seconds_bucket{le="0.00001",hop="left"} 1"#);
        has(r#"vigia_seconds_bucket{le="+Inf",hop="left"} 1"#);
        has(r#"vigia_seconds_count{hop="left"} 1"#);
        assert!(text.ends_with("# EOF\n"));
    }
}
