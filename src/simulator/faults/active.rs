//! The faults that are active now.

use std::time::Duration;

use super::{Fault, Injection};

/// Faults active at once; more are refused, so that a forgotten loop cannot grow the list.
const MAX_FAULTS: usize = 1000;

/// What a fault is compared with. A filter on something that is absent here does not match.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::simulator) struct Place<'a> {
    pub(in crate::simulator) key: Option<&'a str>,
    pub(in crate::simulator) path: Option<&'a str>,
    pub(in crate::simulator) method: Option<&'a str>,
    pub(in crate::simulator) topic: Option<&'a str>,
}

#[derive(Clone, Debug)]
struct Active {
    injection: Injection,
    remaining: Option<u32>,
    until: Option<Duration>,
}

/// The faults that are active.
#[derive(Debug, Default)]
pub(in crate::simulator) struct Faults {
    active: Vec<Active>,
}

impl Faults {
    /// Adds one; `false` when there are [`MAX_FAULTS`] already.
    pub(in crate::simulator) fn inject(&mut self, injection: Injection, now: Duration) -> bool {
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

    pub(in crate::simulator) fn clear(&mut self) {
        self.active.clear();
    }

    /// The faults that are active, as they were injected.
    pub(in crate::simulator) fn list(&mut self, now: Duration) -> Vec<Injection> {
        self.expire(now);
        self.active
            .iter()
            .map(|active| active.injection.clone())
            .collect()
    }

    /// Whether one is active here; takes nothing of its count.
    pub(in crate::simulator) fn is_active(
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
    pub(in crate::simulator) fn is_active_anywhere(
        &self,
        now: Duration,
        wanted: impl Fn(&Fault) -> bool,
    ) -> bool {
        self.active
            .iter()
            .any(|active| wanted(&active.injection.fault) && active.is_live(now))
    }

    /// The first wanted one that matches here; takes one of its count.
    pub(in crate::simulator) fn take(
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
    pub(in crate::simulator) fn skew_ms(&self, now: Duration) -> i64 {
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
