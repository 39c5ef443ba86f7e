//! The exchange's own clock.
#![allow(clippy::disallowed_methods)]
// The simulator plays somebody else's machine. Its clock must be independent of the clock that
// the client under test is given, or a wrong client clock could never be noticed. So this one
// file reads the system's time, and nothing else in the simulator does.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, Utc};

/// Server time in milliseconds, and a monotonic time for windows and delays.
#[derive(Debug)]
pub(super) struct Clock {
    started: Instant,
}

impl Clock {
    pub(super) fn new() -> Self {
        Clock {
            started: Instant::now(),
        }
    }

    /// Wall time, in milliseconds since 1970.
    pub(super) fn now_ms(&self) -> i64 {
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        i64::try_from(wall.as_millis()).unwrap_or(i64::MAX)
    }

    /// Monotonic time since the start: skews do not touch it.
    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The microsecond counter of stream answers (`usIn`, `usOut`): not an epoch.
    pub(super) fn micros(&self) -> u64 {
        u64::try_from(self.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// The form of the `Date` header.
pub(super) fn http_date(ms: i64) -> String {
    DateTime::<Utc>::from_timestamp_millis(ms)
        .unwrap_or_default()
        .format("%a, %d %b %Y %H:%M:%S GMT")
        .to_string()
}

/// ISO-8601 with milliseconds and `Z`, as REST answers write times.
pub(super) fn iso(ms: i64) -> String {
    DateTime::<Utc>::from_timestamp_millis(ms)
        .unwrap_or_default()
        .to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The inverse of [`iso`]; accepts any RFC 3339 offset.
pub(super) fn parse_iso(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(text)
        .ok()
        .map(|time| time.timestamp_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_times_have_milliseconds_and_z() {
        assert_eq!(iso(1_793_032_243_123), "2026-10-26T16:30:43.123Z");
        assert_eq!(
            http_date(1_793_032_243_123),
            "Mon, 26 Oct 2026 16:30:43 GMT"
        );
        assert_eq!(
            parse_iso("2026-10-26T16:30:43.123Z"),
            Some(1_793_032_243_123)
        );
    }
}
