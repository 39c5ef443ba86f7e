//! What an error of the exchange means for what comes next, decided once, here.

use std::fmt;
use std::time::Duration;

use super::text::tidy;

/// What may be done after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Known not to have been applied: may be sent again, freshly signed, after this delay at the
    /// least.
    Retryable {
        /// What the exchange asked for.
        after: Option<Duration>,
    },
    /// The exchange refuses this request; the same again is refused again.
    Rejected,
    /// The exchange does not accept the credentials, or the clock they are signed by.
    Unauthorized,
    /// The exchange does not serve this key or this region.
    Blocked,
    /// The key lacks the right to the cross account; all else may go on. (A blocked region looks the
    /// same here: what is read of isolated trades tells.)
    ScopeMissing,
    /// It may have been applied: nothing is sent again before that is known.
    Unknown,
}

/// An error of the exchange or on the way to it. Its text never holds a secret and is bounded.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub struct ExchangeError {
    /// What may be done.
    pub class: Class,
    /// HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// The exchange's code, such as `BAD_REQUEST`.
    pub code: Option<String>,
    /// What it said, or what happened on the way.
    pub message: String,
}

/// How far a request got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// No connection: it cannot have been applied.
    Nothing,
    /// It may have been received; no answer, or none that can be read.
    PerhapsReceived,
    /// It was answered with this status.
    Answered(u16),
}

/// What a request does, as far as its repetition matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Only reads.
    Reads,
    /// Has the effect of once however often it is sent.
    Idempotent,
    /// Has its effect each time.
    Repeats,
}

/// Which of a key's rights a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rights {
    /// Those without which nothing can be done for an account.
    Common,
    /// Those of the cross account, which a key may lack.
    Cross,
}

impl ExchangeError {
    pub(super) fn new(
        reached: Reached,
        effect: Effect,
        code: Option<String>,
        after: Option<Duration>,
        message: impl Into<String>,
    ) -> Self {
        let status = match reached {
            Reached::Answered(status) => Some(status),
            _ => None,
        };
        let class = classify(reached, effect, code.as_deref(), after);
        Self {
            class,
            status,
            code: code.as_deref().map(tidy),
            message: tidy(&message.into()),
        }
    }

    /// The same error, of a request that needs these rights.
    pub(super) fn of(self, rights: Rights) -> Self {
        let forbidden = self.status == Some(403) && self.code.as_deref() == Some("FORBIDDEN");
        let class = if rights == Rights::Cross && forbidden {
            Class::ScopeMissing
        } else {
            self.class
        };
        Self { class, ..self }
    }

    /// Whether the same request may simply be sent again.
    pub fn is_retryable(&self) -> bool {
        matches!(self.class, Class::Retryable { .. })
    }
}

impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(status) = self.status {
            write!(f, "{status} ")?;
        }
        if let Some(code) = &self.code {
            write!(f, "{code}: ")?;
        }
        f.write_str(&self.message)
    }
}

fn classify(
    reached: Reached,
    effect: Effect,
    code: Option<&str>,
    after: Option<Duration>,
) -> Class {
    let retryable = Class::Retryable { after };
    let unless_repeating = match effect {
        Effect::Repeats => Class::Unknown,
        Effect::Reads | Effect::Idempotent => retryable,
    };
    match reached {
        Reached::Nothing => retryable,
        Reached::PerhapsReceived => unless_repeating,
        Reached::Answered(status) => match (status, code) {
            (_, Some("TIER_LIMIT_EXCEEDED")) => Class::Rejected,
            (429, _) => retryable,
            (503, Some("SERVICE_UNAVAILABLE")) => retryable,
            (401, _) => Class::Unauthorized,
            (403 | 451, _) => Class::Blocked,
            (500..=599, _) => unless_repeating,
            (400..=499, _) => Class::Rejected,
            _ => Class::Unknown,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_is_classified_once() {
        use Reached::{Answered, Nothing, PerhapsReceived};
        let retry = Class::Retryable { after: None };
        let table = [
            (Nothing, None, retry, retry),
            (PerhapsReceived, None, retry, Class::Unknown),
            (Answered(429), Some("TOO_MANY_REQUESTS"), retry, retry),
            (Answered(503), Some("SERVICE_UNAVAILABLE"), retry, retry),
            (Answered(503), None, retry, Class::Unknown),
            (Answered(500), None, retry, Class::Unknown),
            (Answered(502), None, retry, Class::Unknown),
            (Answered(504), None, retry, Class::Unknown),
            (
                Answered(400),
                Some("BAD_REQUEST"),
                Class::Rejected,
                Class::Rejected,
            ),
            (Answered(404), None, Class::Rejected, Class::Rejected),
            (
                Answered(401),
                None,
                Class::Unauthorized,
                Class::Unauthorized,
            ),
            (
                Answered(403),
                Some("FORBIDDEN"),
                Class::Blocked,
                Class::Blocked,
            ),
            (Answered(451), None, Class::Blocked, Class::Blocked),
            (
                Answered(403),
                Some("TIER_LIMIT_EXCEEDED"),
                Class::Rejected,
                Class::Rejected,
            ),
            (Answered(200), None, Class::Unknown, Class::Unknown),
        ];
        for (reached, code, idempotent, repeating) in table {
            let classes = [Effect::Idempotent, Effect::Repeats]
                .map(|effect| classify(reached, effect, code, None));
            assert_eq!(classes, [idempotent, repeating], "{reached:?} {code:?}");
        }
    }

    #[test]
    fn what_the_exchange_asks_for_is_kept_and_its_text_is_tamed() {
        let after = Some(Duration::from_secs(1));
        let message = format!("slow\ndown{}", "!".repeat(900));
        let error = ExchangeError::new(
            Reached::Answered(429),
            Effect::Repeats,
            None,
            after,
            message,
        );
        assert_eq!(error.class, Class::Retryable { after });
        assert!(error.message.starts_with("slow down!") && error.message.len() == 200);
    }

    #[test]
    fn a_code_that_turns_the_direction_of_writing_does_not_reach_a_log() {
        let reached = Reached::Answered(400);
        let code = Some("BAD\u{202e}REQUEST".to_owned());
        let error = ExchangeError::new(reached, Effect::Reads, code, None, "a\u{2066}b\u{200f}");
        assert_eq!(error.to_string(), "400 BAD REQUEST: a b ");
    }

    #[test]
    fn a_key_without_the_right_to_cross_is_not_a_blocked_key() {
        let answered = |status, code: &str| {
            let code = Some(code.to_owned());
            ExchangeError::new(Reached::Answered(status), Effect::Reads, code, None, "")
        };
        let table = [
            (answered(403, "FORBIDDEN"), Class::ScopeMissing),
            (answered(451, "FORBIDDEN"), Class::Blocked),
            (answered(403, "TIER_LIMIT_EXCEEDED"), Class::Rejected),
            (answered(403, ""), Class::Blocked),
            (answered(401, "UNAUTHORIZED"), Class::Unauthorized),
        ];
        for (error, class) in table {
            assert_eq!(error.clone().of(Rights::Cross).class, class, "{error}");
        }
        let isolated = answered(403, "FORBIDDEN").of(Rights::Common);
        assert_eq!(isolated.class, Class::Blocked);
    }
}
