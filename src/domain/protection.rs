//! Protections: how much may be done for an account on one day (UTC), and how many of its
//! executions may fail in a row before a person must look.
//!
//! A daily limit never holds back a close of a whole position: that ends risk, and cannot be
//! repeated. It is counted all the same. The second leg of a reduction has its place already.

use std::fmt;

use chrono::{DateTime, Days, NaiveTime, Utc};
use serde::{Deserialize, Serialize};

use super::execution::{Action, NOT_APPLIED, State, UNAVAILABLE};
use super::units::Sats;

/// What may be done for an account. `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Protections {
    /// Executions sent on one day.
    pub executions_per_day: Option<u32>,
    /// Satoshis added to margin on one day.
    pub sats_per_day: Option<Sats>,
    /// Executions that fail in a row, after which the account is paused.
    pub failures_in_a_row: Option<u32>,
}

/// What an account has of its own in place of what is configured for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnProtections {
    /// See [`Protections::executions_per_day`].
    pub executions_per_day: Own<u32>,
    /// See [`Protections::sats_per_day`].
    pub sats_per_day: Own<Sats>,
    /// See [`Protections::failures_in_a_row`].
    pub failures_in_a_row: Own<u32>,
}

/// One limit of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Own<T> {
    /// As configured for all accounts.
    #[default]
    Default,
    /// None, whatever is configured.
    Off,
    /// This.
    Most(T),
}

impl<T> Own<T> {
    /// The limit that holds, where `configured` does for all accounts.
    pub fn over(self, configured: Option<T>) -> Option<T> {
        match self {
            Self::Default => configured,
            Self::Off => None,
            Self::Most(most) => Some(most),
        }
    }
}

impl OwnProtections {
    /// What holds for the account, where `configured` does for all.
    pub fn over(self, configured: Protections) -> Protections {
        Protections {
            executions_per_day: self.executions_per_day.over(configured.executions_per_day),
            sats_per_day: self.sats_per_day.over(configured.sats_per_day),
            failures_in_a_row: self.failures_in_a_row.over(configured.failures_in_a_row),
        }
    }
}

/// A limit of one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DailyLimit {
    /// Of executions.
    DailyExecutions,
    /// Of satoshis added to margin.
    DailySats,
}

impl DailyLimit {
    /// Its name, which is the reason of what it holds back.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DailyExecutions => "daily_executions",
            Self::DailySats => "daily_sats",
        }
    }
}

impl fmt::Display for DailyLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What was done for an account on a day, is being done, or may have been done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Today {
    /// Executions.
    pub executions: u64,
    /// Satoshis added to margin.
    pub added: Sats,
}

impl Protections {
    /// The limit that an action would exceed, if one, after all that was done today.
    pub fn forbids(&self, today: Today, action: Action) -> Option<DailyLimit> {
        if action.closes() {
            return None;
        }
        let executions = self.executions_per_day.map(u64::from);
        if executions.is_some_and(|most| today.executions >= most) {
            return Some(DailyLimit::DailyExecutions);
        }
        let added = action.added()?;
        let sats = self.sats_per_day;
        sats.filter(|most| today.added + added > *most)
            .map(|_| DailyLimit::DailySats)
    }
}

/// When the day (UTC) of a time began.
pub fn day_begun(at: DateTime<Utc>) -> DateTime<Utc> {
    at.date_naive().and_time(NaiveTime::MIN).and_utc()
}

/// When the day (UTC) of a time ends, and the next begins.
pub fn day_ends(at: DateTime<Utc>) -> DateTime<Utc> {
    let next = at.date_naive() + Days::new(1);
    next.and_time(NaiveTime::MIN).and_utc()
}

/// What an end of an execution says of how acting for its account goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Omen {
    /// It works.
    Good,
    /// Something is wrong with how we act.
    Bad,
    /// Neither: outages pass, an empty balance is the owner's, refused credentials show in the
    /// account's state; and a guard must go on trying through all of them.
    None,
}

/// How reasons begin that say nothing of how we act.
const SAYS_NOTHING: [&str; 6] = [
    UNAVAILABLE,
    NOT_APPLIED,
    "no_balance",
    "leverage_limit",
    "position_gone",
    "refused: ",
];
/// How the exchange words that there is no money for it.
const NO_MONEY: &str = "insufficient";

/// Reads the end of an execution. `reason` is that of a failure.
pub fn omen(state: State, reason: Option<&str>) -> Omen {
    match state {
        State::Done => Omen::Good,
        State::Uncertain => Omen::Bad,
        State::Failed => {
            let reason = reason.unwrap_or_default();
            let says_nothing = SAYS_NOTHING.iter().any(|start| reason.starts_with(start))
                || DAILY.iter().any(|limit| reason == limit.as_str())
                || reason.to_lowercase().contains(NO_MONEY);
            if says_nothing { Omen::None } else { Omen::Bad }
        }
        State::Planned | State::Sending | State::Skipped => Omen::None,
    }
}

const DAILY: [DailyLimit; 2] = [DailyLimit::DailyExecutions, DailyLimit::DailySats];

/// Why an account is paused after so many failures in a row.
pub fn paused_because(failures: i64, last: &str) -> String {
    format!("{failures} executions failed in a row, the last: {last}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::units::Price;

    const ADD: Action = Action::AddMargin { amount: Sats(100) };

    fn of(executions: Option<u32>, sats: Option<i64>) -> Protections {
        Protections {
            executions_per_day: executions,
            sats_per_day: sats.map(Sats),
            failures_in_a_row: None,
        }
    }

    fn today(executions: u64, added: i64) -> Today {
        Today {
            executions,
            added: Sats(added),
        }
    }

    #[test]
    fn a_limit_holds_back_what_would_exceed_it_and_never_a_close() {
        use DailyLimit::{DailyExecutions, DailySats};
        let price = Price::from_usd(100_000.0).unwrap();
        let set = Action::UpdateTp { to: price };
        for (protections, today, action, expected) in [
            (of(None, None), today(9, 900), ADD, None),
            (of(Some(2), None), today(1, 900), ADD, None),
            (of(Some(2), None), today(2, 0), ADD, Some(DailyExecutions)),
            (of(Some(2), None), today(2, 0), set, Some(DailyExecutions)),
            (of(Some(2), None), today(2, 0), Action::ClosePosition, None),
            (of(None, Some(300)), today(9, 200), ADD, None),
            (of(None, Some(299)), today(9, 200), ADD, Some(DailySats)),
            (of(None, Some(0)), today(0, 0), ADD, Some(DailySats)),
            (of(None, Some(0)), today(0, 0), set, None),
            (
                of(Some(9), Some(99)),
                today(9, 0),
                ADD,
                Some(DailyExecutions),
            ),
        ] {
            let found = protections.forbids(today, action);
            assert_eq!(found, expected, "{protections:?} {today:?} {action:?}");
        }
    }

    #[test]
    fn an_account_has_its_own_or_what_is_configured() {
        assert_eq!(Own::Default.over(Some(5)), Some(5));
        assert_eq!(Own::Off.over(Some(5)), None);
        assert_eq!(Own::Most(7).over(Some(5)), Some(7));
        assert_eq!(Own::Most(7).over(None), Some(7));
    }

    #[test]
    fn only_what_shows_that_acting_goes_wrong_counts() {
        for (state, reason, expected) in [
            (State::Done, None, Omen::Good),
            (State::Uncertain, None, Omen::Bad),
            (State::Skipped, Some("price_stale"), Omen::None),
            (State::Failed, Some("rejected: trade is locked"), Omen::Bad),
            (State::Failed, Some("out_of_range: above"), Omen::Bad),
            (State::Failed, Some("closed_not_reopened"), Omen::Bad),
            (State::Failed, Some("executor_died"), Omen::Bad),
            (State::Failed, None, Omen::Bad),
            (State::Failed, Some("no_balance"), Omen::None),
            (State::Failed, Some("leverage_limit"), Omen::None),
            (State::Failed, Some("daily_sats"), Omen::None),
            (
                State::Failed,
                Some("rejected: Insufficient balance"),
                Omen::None,
            ),
            (State::Failed, Some("exchange_unavailable: 503"), Omen::None),
            (State::Failed, Some("not_applied"), Omen::None),
            (State::Failed, Some("position_gone"), Omen::None),
            (State::Failed, Some("refused: 401"), Omen::None),
        ] {
            assert_eq!(omen(state, reason), expected, "{state} {reason:?}");
        }
    }

    proptest! {
        #[test]
        fn every_time_lies_in_its_day_and_the_next_begins_where_it_ends(ms in 0i64..4_102_444_800_000) {
            let at = DateTime::from_timestamp_millis(ms).unwrap();
            let (begun, ends) = (day_begun(at), day_ends(at));
            prop_assert!(begun <= at && at < ends);
            prop_assert_eq!((ends - begun).num_seconds(), 86_400);
            prop_assert_eq!(day_begun(ends), ends);
            prop_assert_eq!(day_begun(ends - chrono::Duration::milliseconds(1)), begun);
        }

        #[test]
        fn what_is_let_through_never_exceeds_a_limit(
            most in 0u32..6, sats in 0i64..1_000, amounts in proptest::collection::vec(1i64..400, 0..20)
        ) {
            let (protections, mut done) = (of(Some(most), Some(sats)), Today::default());
            for amount in amounts {
                let action = Action::AddMargin { amount: Sats(amount) };
                if protections.forbids(done, action).is_none() {
                    done.executions += 1;
                    done.added += Sats(amount);
                }
            }
            prop_assert!(done.executions <= u64::from(most) && done.added <= Sats(sats));
        }
    }
}
