//! What is configured of protections, and of telling a receiver outside.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::{Settings, ms};
use crate::domain::backoff::Curve;
use crate::domain::notice::{Kinds, NoticeKind};
use crate::domain::protection::Protections;
use crate::domain::units::Sats;

/// `[protection]`: 0 is none, everywhere.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)] // each key is explained in config/default.toml
pub struct ProtectionSettings {
    pub executions_per_day: u32,
    pub sats_per_day: u32,
    pub failures_in_a_row: u32,
}

/// `[notify]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)] // each key is explained in config/default.toml
pub struct NotifySettings {
    pub url: Hidden,
    pub secret_file: PathBuf,
    pub ca_file: PathBuf,
    pub kinds: Vec<NoticeKind>,
    pub timeout_ms: u64,
    pub retry_first_ms: u64,
    pub retry_longest_ms: u64,
    pub give_up_ms: u64,
    pub same_kind_ms: u64,
    pub most_waiting: u64,
}

/// An address that does not print: its path or its user may be secret.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Hidden(String);

impl Hidden {
    /// The address.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden")
    }
}

/// How notices are told.
#[derive(Clone, Copy, Debug)]
pub struct NoticeTuning {
    /// Pauses between attempts.
    pub retry: Curve,
    /// So long after it was written, a notice is given up.
    pub give_up: Duration,
    /// What is told of one account's state lies so far apart, for each kind.
    pub same_kind: Duration,
    /// So many wait at most.
    pub most_waiting: u64,
}

impl NotifySettings {
    /// The kinds that are told; none without a receiver.
    pub fn kinds(&self) -> Kinds {
        if self.url.expose().is_empty() {
            return Kinds::NONE;
        }
        self.kinds.iter().copied().collect()
    }

    /// How long one attempt may take.
    pub fn within(&self) -> Duration {
        ms(self.timeout_ms)
    }

    pub(super) fn tuning(&self) -> NoticeTuning {
        NoticeTuning {
            retry: Curve {
                first: ms(self.retry_first_ms),
                most: ms(self.retry_longest_ms),
            },
            give_up: ms(self.give_up_ms),
            same_kind: ms(self.same_kind_ms),
            most_waiting: self.most_waiting,
        }
    }

    pub(super) fn over_zero(&self) -> [(&'static str, u64); 4] {
        [
            ("notify.timeout_ms", self.timeout_ms),
            ("notify.retry_first_ms", self.retry_first_ms),
            ("notify.give_up_ms", self.give_up_ms),
            ("notify.most_waiting", self.most_waiting),
        ]
    }
}

impl Settings {
    /// What may be done for accounts that have no limits of their own.
    pub fn protections(&self) -> Protections {
        let of = &self.protection;
        let some = |most: u32| Some(most).filter(|most| *most > 0);
        Protections {
            executions_per_day: some(of.executions_per_day),
            sats_per_day: some(of.sats_per_day).map(|sats| Sats(sats.into())),
            failures_in_a_row: some(of.failures_in_a_row),
        }
    }
}
