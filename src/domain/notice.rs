//! Notices: what is told to a receiver outside. Each bears an id that stays the same however often
//! it is told, so that a receiver can drop what it knows.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::connection::Health;
use super::ids::{AccountId, ExecutionId};

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal,)*) => {
        /// What can be told.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
        )]
        pub enum NoticeKind { $($(#[$doc])* #[serde(rename = $name)] $kind,)* }

        impl NoticeKind {
            /// All kinds.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// Its name, as it is stored, sent and configured.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }
        }
    };
}

kinds! {
    /// An execution was applied.
    ExecutionDone = "execution.done",
    /// An execution was refused, or is proven not to have been applied.
    ExecutionFailed = "execution.failed",
    /// Nobody can tell whether an execution was applied.
    ExecutionUncertain = "execution.uncertain",
    /// An account's connection died too often and is set aside.
    AccountQuarantined = "account.quarantined",
    /// The exchange refuses an account's credentials.
    AccountUnauthorized = "account.unauthorized",
    /// The exchange refuses an account's rights, or the region.
    AccountBlocked = "account.blocked",
    /// An account's data is too old to act on.
    AccountBlind = "account.blind",
    /// An account is live again, after one of the four above.
    AccountRecovered = "account.recovered",
    /// An account was paused.
    AccountPaused = "account.paused",
    /// An account goes on after a pause.
    AccountResumed = "account.resumed",
    /// An automation died too often and is set aside.
    AutomationQuarantined = "automation.quarantined",
    /// A daily limit of an account holds something back, for the first time that day.
    LimitReached = "protection.limit_reached",
    /// A kill switch was put on.
    KillSwitchOn = "kill_switch.on",
    /// A kill switch was taken off.
    KillSwitchOff = "kill_switch.off",
    /// Asked for by `vigia notify test`.
    Test = "test",
}

impl NoticeKind {
    /// What is told of an account in this state; nothing of states that pass by themselves.
    pub fn of_health(health: Health) -> Option<Self> {
        match health {
            Health::Live => Some(Self::AccountRecovered),
            Health::Blind => Some(Self::AccountBlind),
            Health::Unauthorized => Some(Self::AccountUnauthorized),
            Health::Blocked => Some(Self::AccountBlocked),
            Health::Quarantined => Some(Self::AccountQuarantined),
            Health::Starting | Health::Syncing | Health::Stopped => None,
        }
    }

    /// The kinds that tell of an account's state.
    pub const OF_HEALTH: [Self; 5] = [
        Self::AccountRecovered,
        Self::AccountBlind,
        Self::AccountUnauthorized,
        Self::AccountBlocked,
        Self::AccountQuarantined,
    ];

    fn bit(self) -> u32 {
        1 << self as u32
    }
}

impl fmt::Display for NoticeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for NoticeKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|kind| kind.as_str() == text);
        found.copied().ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|kind| kind.as_str()).collect();
            format!(
                "`{text}` is no kind of notice; known are {}",
                known.join(", ")
            )
        })
    }
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds(u32);

impl Kinds {
    /// None: nobody is told anything.
    pub const NONE: Self = Self(0);

    /// Whether a kind is in it.
    pub fn has(self, kind: NoticeKind) -> bool {
        self.0 & kind.bit() != 0
    }
}

impl FromIterator<NoticeKind> for Kinds {
    fn from_iter<T: IntoIterator<Item = NoticeKind>>(kinds: T) -> Self {
        Self(kinds.into_iter().fold(0, |bits, kind| bits | kind.bit()))
    }
}

/// Something to be told.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// What it tells of.
    pub kind: NoticeKind,
    /// The same for the same event, whoever tells it and however often.
    pub id: String,
    /// The account that it is about, with its name.
    pub account: Option<(AccountId, String)>,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// The particulars, by kind: see `docs/notifications.md`.
    pub data: Value,
}

impl Notice {
    /// The end of an execution. What a job has failed at may end more than once, each time anew.
    pub fn of_end(
        kind: NoticeKind,
        execution: ExecutionId,
        account: (AccountId, String),
        at: DateTime<Utc>,
        data: Value,
    ) -> Self {
        let id = match kind {
            NoticeKind::ExecutionFailed => {
                format!("{kind}:{execution}:{}", at.timestamp_millis())
            }
            _ => format!("{kind}:{execution}"),
        };
        Self {
            kind,
            id,
            account: Some(account),
            at,
            data,
        }
    }

    /// Something of an account that is told at most once in each stretch of `apart`.
    pub fn once_in(
        apart: Duration,
        kind: NoticeKind,
        account: (AccountId, String),
        at: DateTime<Utc>,
        data: Value,
    ) -> Self {
        let apart = i64::try_from(apart.as_millis()).unwrap_or(i64::MAX).max(1);
        let stretch = at.timestamp_millis() / apart * apart;
        let id = format!("{kind}:{}:{stretch}", account.0);
        Self {
            kind,
            id,
            account: Some(account),
            at,
            data,
        }
    }

    /// As it is sent: JSON.
    pub fn body(&self) -> String {
        let account = self.account.as_ref();
        let account = account.map(|(id, name)| json!({ "id": id, "name": name }));
        json!({
            "id": self.id,
            "kind": self.kind,
            "at": self.at.to_rfc3339_opts(SecondsFormat::Millis, true),
            "account": account,
            "data": self.data,
        })
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_found_by_its_name_and_sets_hold_what_they_were_made_of() {
        for kind in NoticeKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            let alone: Kinds = [*kind].into_iter().collect();
            let others = NoticeKind::ALL.iter().filter(|other| *other != kind);
            assert!(alone.has(*kind) && others.clone().all(|other| !alone.has(*other)));
            assert!(!Kinds::NONE.has(*kind));
        }
        let error = "execution.begun".parse::<NoticeKind>().unwrap_err();
        assert!(error.contains("execution.done"), "{error}");
    }

    #[test]
    fn what_flaps_has_one_id_in_each_stretch() {
        let account = || (AccountId::new("a"), "alice".to_owned());
        let told = |seconds: i64| {
            let at = DateTime::UNIX_EPOCH + chrono::Duration::seconds(seconds);
            let apart = Duration::from_secs(300);
            Notice::once_in(apart, NoticeKind::AccountBlind, account(), at, json!({})).id
        };
        assert_eq!(told(300), "account.blind:a:300000");
        assert_eq!(told(300), told(599));
        assert_ne!(told(599), told(600));
    }

    #[test]
    fn a_body_names_what_it_tells_of() {
        let notice = Notice::of_end(
            NoticeKind::ExecutionFailed,
            ExecutionId(uuid::Uuid::from_u128(7)),
            (AccountId::new("a"), "alice".to_owned()),
            DateTime::UNIX_EPOCH,
            json!({ "reason": "no_balance" }),
        );
        let body: Value = serde_json::from_str(&notice.body()).unwrap();
        assert_eq!(
            body,
            json!({
                "id": "execution.failed:00000000-0000-0000-0000-000000000007:0",
                "kind": "execution.failed", "at": "1970-01-01T00:00:00.000Z",
                "account": { "id": "a", "name": "alice" },
                "data": { "reason": "no_balance" },
            })
        );
    }
}
