//! Whether the queue can be used.

use chrono::{DateTime, Utc};
use serde::Serialize;

/// Whether jobs can be taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Link {
    /// Not yet.
    Starting,
    /// Yes.
    Connected,
    /// Not now. It is tried again until it can.
    Lost {
        /// What is wrong.
        cause: String,
        /// Since when.
        since: DateTime<Utc>,
    },
}

impl Link {
    /// As it is called in logs and reports.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Connected => "connected",
            Self::Lost { .. } => "lost",
        }
    }

    /// What is wrong, and since when; none where nothing is.
    pub fn trouble(&self) -> Option<(&str, DateTime<Utc>)> {
        match self {
            Self::Starting | Self::Connected => None,
            Self::Lost { cause, since } => Some((cause, *since)),
        }
    }
}

/// How the queue is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Whether jobs can be taken.
    pub link: Link,
    /// Whether somebody has paused the queue: then nothing is handed out.
    pub paused: bool,
    /// Jobs in hand.
    pub in_hand: usize,
    /// How often taking was resumed after an outage.
    pub resumptions: u64,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            link: Link::Starting,
            paused: false,
            in_hand: 0,
            resumptions: 0,
        }
    }
}

impl Health {
    /// Notes that jobs can be taken. Returns since when they could not, if they could before.
    pub(super) fn connected(&mut self) -> Option<DateTime<Utc>> {
        match std::mem::replace(&mut self.link, Link::Connected) {
            Link::Lost { since, .. } => {
                self.resumptions += 1;
                Some(since)
            }
            Link::Starting | Link::Connected => None,
        }
    }

    /// Notes that jobs cannot be taken. Returns whether that is news.
    pub(super) fn lost(&mut self, cause: &str, now: DateTime<Utc>) -> bool {
        let since = match &self.link {
            Link::Lost { since, .. } => *since,
            Link::Starting | Link::Connected => now,
        };
        let news = !matches!(self.link, Link::Lost { .. });
        self.link = Link::Lost {
            cause: cause.to_owned(),
            since,
        };
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_one_from_its_first_sign_to_its_end() {
        let at = |second| DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(second);
        let mut health = Health::default();
        assert_eq!(health.connected(), None);
        assert!(health.lost("refused", at(1)));
        assert!(!health.lost("timed out", at(2)));
        let cause = "timed out".to_owned();
        let since = at(1);
        assert_eq!(health.link, Link::Lost { cause, since });
        assert_eq!(health.connected(), Some(at(1)));
        assert_eq!(health.resumptions, 1);
    }
}
