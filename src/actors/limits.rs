//! Protections that hold something back are told: a daily limit once a day and account, and a pause.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::shared::Shared;
use crate::domain::ids::AccountId;
use crate::domain::protection::{DailyLimit, day_begun, day_ends};
use crate::journal::Paused;
use crate::telemetry::{AccountTag, Event};

/// What a daily limit holds back is looked at again so often: the operator may have raised it.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// Limits that were told today.
#[derive(Debug, Default)]
pub struct ToldLimits(Mutex<Told>);

#[derive(Debug, Default)]
struct Told {
    day: Option<NaiveDate>,
    limits: HashSet<(AccountId, DailyLimit)>,
}

impl ToldLimits {
    fn is_news(&self, account: &AccountId, limit: DailyLimit, now: DateTime<Utc>) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let today = Some(day_begun(now).date_naive());
        if told.day != today {
            *told = Told {
                day: today,
                ..Told::default()
            };
        }
        told.limits.insert((account.clone(), limit))
    }
}

/// Tells that a daily limit of an account holds something back, once a day.
pub(super) fn tell(shared: &Shared, account: &AccountTag, limit: DailyLimit, now: DateTime<Utc>) {
    if shared.told_limits.is_news(&account.id, limit, now) {
        shared.events.emit(Event::LimitReached {
            account: account.clone(),
            limit,
            until: day_ends(now),
        });
    }
}

/// When what a limit holds back is looked at again.
pub(super) fn look_again(until: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
    let soon = now + TimeDelta::from_std(LOOK_AGAIN).unwrap_or(TimeDelta::MAX);
    until.min(soon)
}

/// Tells that an account was paused, if it was.
pub(super) fn tell_paused(shared: &Shared, account: &AccountTag, paused: Option<Paused>) {
    if let Some(Paused { reason }) = paused {
        shared.events.emit(Event::AccountPaused {
            account: account.clone(),
            reason,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_news_once_a_day_for_each_account() {
        let told = ToldLimits::default();
        let (a, b) = (AccountId::new("a"), AccountId::new("b"));
        let at = |seconds| DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds);
        let (sats, count) = (DailyLimit::DailySats, DailyLimit::DailyExecutions);
        assert!(told.is_news(&a, sats, at(0)));
        assert!(!told.is_news(&a, sats, at(86_399)));
        assert!(told.is_news(&a, count, at(86_399)), "another limit");
        assert!(told.is_news(&b, sats, at(86_399)), "another account");
        assert!(told.is_news(&a, sats, at(86_400)), "another day");
    }
}
