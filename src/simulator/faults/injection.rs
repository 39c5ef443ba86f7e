//! Where a fault applies, and how often.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Fault;

/// A fault, where it applies, and how often. Filters that are absent match everything; without
/// `count` and `for_ms` it lasts until it is cleared.
///
/// As JSON: `{"fault": {"kind": "lose_reply"}, "route": "/v3/futures/isolated/trade", "count": 1}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Injection {
    /// What goes wrong.
    pub fault: Fault,
    /// Only for this API key; on the stream, only for sockets that have authenticated with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Only for REST paths with this prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// Only for this HTTP method, in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Only for this stream topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// So many times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// For so many milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
}

impl From<Fault> for Injection {
    fn from(fault: Fault) -> Self {
        Injection {
            fault,
            key: None,
            route: None,
            method: None,
            topic: None,
            count: None,
            for_ms: None,
        }
    }
}

impl Injection {
    /// Only for this API key.
    #[must_use]
    pub fn on_key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    /// Only for REST paths that begin so.
    #[must_use]
    pub fn on_route(mut self, prefix: &str) -> Self {
        self.route = Some(prefix.to_owned());
        self
    }

    /// Only for this HTTP method.
    #[must_use]
    pub fn on_method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Only for this stream topic.
    #[must_use]
    pub fn on_topic(mut self, topic: &str) -> Self {
        self.topic = Some(topic.to_owned());
        self
    }

    /// So many times.
    #[must_use]
    pub fn times(mut self, count: u32) -> Self {
        self.count = Some(count);
        self
    }

    /// For so long.
    #[must_use]
    pub fn lasting(mut self, duration: Duration) -> Self {
        self.for_ms = Some(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
        self
    }
}
