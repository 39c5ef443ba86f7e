//! Everything that can be made to go wrong, on purpose and by name.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Faults active at once; more are refused, so that a forgotten loop cannot grow the list.
pub(super) const MAX_FAULTS: usize = 1000;

/// One way of going wrong. See [`Injection`] for where and how often.
///
/// As JSON: `{"kind": "status", "status": 503}`, the kind in snake case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// The port is closed: connections are refused by the kernel, the control interface over
    /// HTTP included, so this one needs `for_ms`. Open connections stay.
    RefuseConnections,
    /// Upgrades to the stream are answered with this status.
    RefuseUpgrades {
        /// HTTP status.
        status: u16,
    },
    /// At once: matching sockets lose their TCP connection, without a close frame.
    DropSockets,
    /// At once: matching sockets are closed with this code.
    CloseSockets {
        /// WebSocket close code.
        code: u16,
    },
    /// Matching sockets are accepted and read, but nothing is sent, not even pongs.
    SilenceSockets,
    /// Matching sockets get answers and pongs, but no pushes. A `topic` limits it to one.
    SilenceData,
    /// Frames leave so much later, in order.
    DelayFrames {
        /// Milliseconds.
        ms: u64,
    },
    /// Pushes are lost.
    DropEvents,
    /// Pushes are sent twice.
    DuplicateEvents,
    /// A push is held back and sent after the next one.
    ReorderEvents,
    /// Pushes are cut in the middle: not JSON any more.
    MalformedEvents,
    /// `subscribe` subscribes, and lists, all but the last topic.
    PartialSubscribe,
    /// The request arrives late: it is carried out after the pause, even if the client has gone.
    DelayRequest {
        /// Milliseconds.
        ms: u64,
    },
    /// The answer is late; the request was carried out at once.
    DelayReply {
        /// Milliseconds.
        ms: u64,
    },
    /// Answered with this instead; nothing is applied.
    Status {
        /// HTTP status.
        status: u16,
        /// `code` of the body; derived from the status when absent.
        #[serde(default)]
        code: Option<String>,
        /// Seconds of a `Retry-After` header.
        #[serde(default)]
        retry_after: Option<f64>,
        /// Plain text `Not found` instead of JSON.
        #[serde(default)]
        plain: bool,
    },
    /// Applied; the body is cut in the middle and the connection closed.
    TruncateBody,
    /// Applied; the body is whole but not JSON.
    MalformedBody,
    /// Never answered.
    Hang {
        /// Whether the request is carried out.
        apply: bool,
    },
    /// Applied, and the connection closed instead of answering.
    LoseReply,
    /// Not applied, and the connection closed instead of answering.
    DropRequest,
    /// 503 after the authentication, as while the trading engine restarts.
    EngineUnavailable,
    /// 403 on everything that needs a key, as for a blocked region.
    GeoBlock,
    /// 401 and -32401 for the key.
    RevokedKey,
    /// The exchange's clock is off by so much, everywhere.
    ClockSkew {
        /// Milliseconds, positive: ahead.
        offset_ms: i64,
    },
}

impl Fault {
    /// Only for this API key.
    pub fn on_key(self, key: &str) -> Injection {
        Injection::from(self).on_key(key)
    }

    /// Only for REST paths that begin so, for example `/v3/futures/isolated/trade/close`.
    pub fn on_route(self, prefix: &str) -> Injection {
        Injection::from(self).on_route(prefix)
    }

    /// So many times.
    pub fn times(self, count: u32) -> Injection {
        Injection::from(self).times(count)
    }

    /// For so long.
    pub fn lasting(self, duration: Duration) -> Injection {
        Injection::from(self).lasting(duration)
    }

    /// Whether it decides a REST answer; of several, only the first that matches does.
    pub(super) fn decides_reply(&self) -> bool {
        matches!(
            self,
            Fault::Status { .. }
                | Fault::TruncateBody
                | Fault::MalformedBody
                | Fault::Hang { .. }
                | Fault::LoseReply
                | Fault::DropRequest
        )
    }
}

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

/// What a fault is compared with. A filter on something that is absent here does not match.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place<'a> {
    pub(super) key: Option<&'a str>,
    pub(super) path: Option<&'a str>,
    pub(super) method: Option<&'a str>,
    pub(super) topic: Option<&'a str>,
}

#[derive(Clone, Debug)]
struct Active {
    injection: Injection,
    remaining: Option<u32>,
    until: Option<Duration>,
}

/// The faults that are active.
#[derive(Debug, Default)]
pub(super) struct Faults {
    active: Vec<Active>,
}

impl Faults {
    /// Adds one; `false` when there are [`MAX_FAULTS`] already.
    pub(super) fn inject(&mut self, injection: Injection, now: Duration) -> bool {
        self.expire(now);
        if self.active.len() >= MAX_FAULTS {
            return false;
        }
        self.active.push(Active {
            remaining: injection.count,
            until: injection.for_ms.map(|ms| now + Duration::from_millis(ms)),
            injection,
        });
        true
    }

    pub(super) fn clear(&mut self) {
        self.active.clear();
    }

    /// The faults that are active, as they were injected.
    pub(super) fn list(&mut self, now: Duration) -> Vec<Injection> {
        self.expire(now);
        self.active
            .iter()
            .map(|active| active.injection.clone())
            .collect()
    }

    /// Whether one is active here; takes nothing of its count.
    pub(super) fn is_active(
        &self,
        place: Place<'_>,
        now: Duration,
        wanted: impl Fn(&Fault) -> bool,
    ) -> bool {
        self.active.iter().any(|active| {
            wanted(&active.injection.fault) && active.is_live(now) && active.matches(place)
        })
    }

    /// Whether one is active at all, whatever its filters.
    pub(super) fn is_active_anywhere(
        &self,
        now: Duration,
        wanted: impl Fn(&Fault) -> bool,
    ) -> bool {
        self.active
            .iter()
            .any(|active| wanted(&active.injection.fault) && active.is_live(now))
    }

    /// The first wanted one that matches here; takes one of its count.
    pub(super) fn take(
        &mut self,
        place: Place<'_>,
        now: Duration,
        wanted: impl Fn(&Fault) -> bool,
    ) -> Option<Fault> {
        if self.active.is_empty() {
            return None;
        }
        let hit = self.active.iter_mut().find(|active| {
            wanted(&active.injection.fault) && active.is_live(now) && active.matches(place)
        })?;
        if let Some(remaining) = &mut hit.remaining {
            *remaining -= 1;
        }
        let fault = hit.injection.fault.clone();
        self.expire(now);
        Some(fault)
    }

    /// The sum of all clock skews, milliseconds.
    pub(super) fn skew_ms(&self, now: Duration) -> i64 {
        self.active
            .iter()
            .filter(|active| active.is_live(now))
            .map(|active| match active.injection.fault {
                Fault::ClockSkew { offset_ms } => offset_ms,
                _ => 0,
            })
            .fold(0, i64::saturating_add)
    }

    fn expire(&mut self, now: Duration) {
        self.active.retain(|active| active.is_live(now));
    }
}

impl Active {
    fn is_live(&self, now: Duration) -> bool {
        self.remaining != Some(0) && self.until.is_none_or(|until| now < until)
    }

    fn matches(&self, place: Place<'_>) -> bool {
        let same = |filter: &Option<String>, value: Option<&str>| {
            filter.as_deref().is_none_or(|filter| value == Some(filter))
        };
        same(&self.injection.key, place.key)
            && same(&self.injection.topic, place.topic)
            && self
                .injection
                .route
                .as_deref()
                .is_none_or(|prefix| place.path.is_some_and(|path| path.starts_with(prefix)))
            && self.injection.method.as_deref().is_none_or(|method| {
                place
                    .method
                    .is_some_and(|value| value.eq_ignore_ascii_case(method))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    #[test]
    fn filters_and_counts() {
        let mut faults = Faults::default();
        faults.inject(Fault::LoseReply.on_key("a").on_route("/v3/x").times(1), NOW);
        let here = Place {
            key: Some("a"),
            path: Some("/v3/x/y"),
            ..Place::default()
        };
        let any = |_: &Fault| true;
        assert_eq!(
            faults.take(
                Place {
                    key: Some("b"),
                    ..here
                },
                NOW,
                any
            ),
            None
        );
        assert_eq!(
            faults.take(
                Place {
                    path: Some("/v3"),
                    ..here
                },
                NOW,
                any
            ),
            None
        );
        assert_eq!(faults.take(Place { key: None, ..here }, NOW, any), None);
        assert_eq!(faults.take(here, NOW, any), Some(Fault::LoseReply));
        assert_eq!(faults.take(here, NOW, any), None);
        assert!(faults.list(NOW).is_empty());
    }

    #[test]
    fn durations_end() {
        let mut faults = Faults::default();
        let skew = Fault::ClockSkew { offset_ms: 500 };
        faults.inject(skew.lasting(Duration::from_millis(10)), NOW);
        assert_eq!(faults.skew_ms(NOW + Duration::from_millis(9)), 500);
        assert_eq!(faults.skew_ms(NOW + Duration::from_millis(10)), 0);
    }

    #[test]
    fn the_json_form_is_strict() {
        let text = r#"{"fault":{"kind":"status","status":429,"retry_after":2},"count":1}"#;
        let injection: Injection = serde_json::from_str(text).unwrap();
        assert_eq!(injection.count, Some(1));
        for (bad, field) in [
            (r#"{"fault":{"kind":"status"}}"#, "status"),
            (r#"{"fault":{"kind":"explode"}}"#, "explode"),
            (
                r#"{"fault":{"kind":"hang","apply":true},"keyy":"a"}"#,
                "keyy",
            ),
            (r#"{"count":1}"#, "fault"),
        ] {
            let error = serde_json::from_str::<Injection>(bad)
                .unwrap_err()
                .to_string();
            assert!(error.contains(field), "{error}");
        }
    }
}
