//! Daily limits, and pauses after failures in a row.

use super::*;
use crate::domain::protection::{
    DailyLimit, Own, OwnProtections, Protections, Today, paused_because,
};

const DAY: i64 = 86_400;
const NONE: Protections = Protections {
    executions_per_day: None,
    sats_per_day: None,
    failures_in_a_row: None,
};

fn executions(most: u32) -> Protections {
    Protections {
        executions_per_day: Some(most),
        ..NONE
    }
}

fn sats(most: i64) -> Protections {
    Protections {
        sats_per_day: Some(Sats(most)),
        ..NONE
    }
}

fn failures(most: u32) -> Protections {
    Protections {
        failures_in_a_row: Some(most),
        ..NONE
    }
}

impl Set {
    async fn protected(protections: Protections) -> Self {
        let set = Self::new().await;
        set.protecting(protections)
    }

    fn protecting(self, protections: Protections) -> Self {
        Self {
            journal: self.journal.clone().protecting(protections),
            ..self
        }
    }

    async fn fires(&self, n: u128, action: Action, seconds: i64) -> FireResult {
        self.open(n, 1).await;
        let new = NewExecution {
            action,
            ..self.decided(n, n, 1)
        };
        let fired = self.journal.fire(new, Limits::default(), at(seconds));
        fired.await.unwrap()
    }

    async fn begins(&self, n: u128, action: Action, seconds: i64) -> Began {
        let began = self
            .journal
            .begin_sending(execution(n), action, Some(before()), at(seconds));
        began.await.unwrap()
    }

    async fn today(&self, seconds: i64) -> Today {
        let today = self.journal.today(&self.account.id, at(seconds));
        today.await.unwrap()
    }

    async fn is_paused(&self) -> Option<String> {
        let account = self.fixture.store.account("main").await.unwrap();
        account.paused.and_then(|pause| pause.reason)
    }

    async fn fails(&self, n: u128, reason: &str) -> Option<Paused> {
        self.fires(n, ADD, 10).await;
        self.begins(n, ADD, 11).await;
        let failed = self.journal.fail(execution(n), reason, json!({}), at(12));
        failed.await.unwrap()
    }
}

fn reached(limit: DailyLimit, until: i64) -> FireResult {
    FireResult::ProtectionReached {
        limit,
        until: at(until),
    }
}

const SENDING: Began = Began::Sending { attempt: 1 };

#[tokio::test]
async fn no_more_executions_fire_than_a_day_allows_and_closes_go_on() {
    let set = Set::protected(executions(2)).await;
    let limit = reached(DailyLimit::DailyExecutions, DAY);
    assert_eq!(set.fires(1, ADD, DAY - 2).await, FireResult::Fired);
    assert_eq!(set.fires(2, ADD, DAY - 2).await, FireResult::Fired);
    assert_eq!(
        set.fires(3, ADD, DAY - 1).await,
        limit,
        "planned ones count"
    );
    assert_eq!(set.begins(1, ADD, DAY - 1).await, SENDING);
    assert_eq!(set.begins(2, ADD, DAY - 1).await, SENDING);
    let close = Action::ClosePosition;
    assert_eq!(set.fires(4, close, DAY - 1).await, FireResult::Fired);
    assert_eq!(set.begins(4, close, DAY - 1).await, SENDING);
    assert_eq!(set.today(DAY - 1).await.executions, 3);
    assert_eq!(set.fires(3, ADD, DAY - 1).await, limit);
    let next = set.fires(3, ADD, DAY).await;
    assert_eq!(next, FireResult::Fired, "a new day");
    assert_eq!(set.today(DAY).await, Today::default());
}

/// What was written down before a limit was made is held back where it is let out.
#[tokio::test]
async fn no_more_is_let_out_than_a_day_allows_however_it_was_planned() {
    let set = Set::protected(NONE).await;
    for n in 1..=4 {
        assert_eq!(set.fires(n, ADD, 10).await, FireResult::Fired);
    }
    let set = set.protecting(executions(2));
    let held = Began::Refused(Refusal::Skip(SkipReason::DailyExecutions));
    assert_eq!(set.begins(1, ADD, 11).await, SENDING);
    assert_eq!(set.begins(2, ADD, 11).await, SENDING);
    assert_eq!(set.begins(3, ADD, 11).await, held);
    let failed = set.journal.fail(execution(1), "no", json!({}), at(12));
    failed.await.unwrap();
    assert_eq!(set.begins(3, ADD, 13).await, SENDING, "1 was not applied");
    // What was let out keeps its place while it is tried again.
    let back = set.journal.back_to_planned(execution(3), "503", at(13));
    back.await.unwrap();
    assert_eq!(set.begins(4, ADD, 14).await, held);
    assert_eq!(set.begins(3, ADD, 15).await, Began::Sending { attempt: 2 });
}

#[tokio::test]
async fn no_more_margin_is_added_than_a_day_allows() {
    let add = |amount| Action::AddMargin {
        amount: Sats(amount),
    };
    let set = Set::protected(sats(1000)).await;
    let limit = reached(DailyLimit::DailySats, DAY);
    assert_eq!(set.fires(1, add(600), 10).await, FireResult::Fired);
    assert_eq!(set.fires(2, add(401), 10).await, limit);
    // Less was added in the end than was planned.
    assert_eq!(set.begins(1, add(500), 11).await, SENDING);
    assert_eq!(set.fires(2, add(500), 12).await, FireResult::Fired);
    let held = Began::Refused(Refusal::Skip(SkipReason::DailySats));
    assert_eq!(set.begins(2, add(501), 13).await, held);
    assert_eq!(set.begins(2, add(500), 13).await, SENDING);
    let doubt = set.journal.uncertain(execution(2), json!({}), at(14));
    doubt.await.unwrap();
    let today = Today {
        executions: 2,
        added: Sats(1000),
    };
    assert_eq!(set.today(15).await, today, "in doubt is added");
    assert_eq!(set.fires(3, add(1), 15).await, limit);
    assert_eq!(
        set.fires(3, Action::ClosePosition, 15).await,
        FireResult::Fired
    );
}

/// The statement that lets out, and the question why it did not, are the same rule twice.
#[tokio::test]
async fn many_at_once_never_exceed_a_limit_together() {
    const AT_ONCE: u128 = 40;
    let set = Set::protected(NONE).await;
    for n in 1..=AT_ONCE {
        assert_eq!(set.fires(n, ADD, 10).await, FireResult::Fired);
    }
    let protections = Protections {
        executions_per_day: Some(17),
        ..sats(11 * 500 + 499)
    };
    let set = set.protecting(protections);
    let began = join_all((1..=AT_ONCE).map(|n| set.begins(n, ADD, 11))).await;
    let out = began.iter().filter(|began| **began == SENDING).count();
    assert_eq!(out, 11, "{began:?}");
    let held = Began::Refused(Refusal::Skip(SkipReason::DailySats));
    assert_eq!(began.iter().filter(|began| **began == held).count(), 29);
    assert_eq!(set.today(12).await.added, Sats(5500));
}

#[tokio::test]
async fn an_account_has_limits_of_its_own() {
    let set = Set::protected(executions(1)).await;
    let (store, id) = (set.fixture.store.clone(), set.account.id.clone());
    let own = |executions_per_day| OwnProtections {
        executions_per_day,
        ..OwnProtections::default()
    };
    store.protect(&id, own(Own::Most(2))).await.unwrap();
    assert_eq!(store.protections(&id).await.unwrap(), own(Own::Most(2)));
    let limit = reached(DailyLimit::DailyExecutions, DAY);
    for (n, expected) in [(1, FireResult::Fired), (2, FireResult::Fired), (3, limit)] {
        assert_eq!(set.fires(n, ADD, 10).await, expected);
    }
    for n in 1..=2 {
        assert_eq!(set.begins(n, ADD, 11).await, SENDING);
    }
    store.protect(&id, own(Own::Off)).await.unwrap();
    assert_eq!(set.fires(3, ADD, 12).await, FireResult::Fired);
    store.protect(&id, own(Own::Default)).await.unwrap();
    let held = Began::Refused(Refusal::Skip(SkipReason::DailyExecutions));
    assert_eq!(set.begins(3, ADD, 13).await, held);
    let nobody = store
        .protect(&AccountId::new("nobody"), own(Own::Off))
        .await;
    assert!(nobody.is_err());
}

/// Adding is not possible any more, and its rule says what is done then: it fires, to be replaced.
#[tokio::test]
async fn a_guard_with_a_fallback_fires_beyond_the_limit_of_margin() {
    let set = Set::protected(sats(100)).await;
    set.open(1, 1).await;
    let limits = Limits {
        falls_back: true,
        ..Limits::default()
    };
    let fired = set.journal.fire(set.decided(1, 1, 1), limits, at(10)).await;
    assert_eq!(fired, Ok(FireResult::Fired));
    let held = Began::Refused(Refusal::Skip(SkipReason::DailySats));
    assert_eq!(set.begins(1, ADD, 11).await, held);
}

#[tokio::test]
async fn failures_in_a_row_pause_the_account_with_the_last_reason() {
    let set = Set::protected(failures(3)).await;
    assert_eq!(set.fails(1, "rejected: a").await, None);
    assert_eq!(set.fails(2, "rejected: b").await, None);
    // A success in between begins the count anew; what says nothing changes nothing.
    set.at_state(3, State::Done).await;
    assert_eq!(set.fails(4, "rejected: c").await, None);
    assert_eq!(set.fails(5, "no_balance").await, None);
    assert_eq!(set.fails(6, "exchange_unavailable: 503").await, None);
    assert_eq!(set.fails(7, "rejected: d").await, None);
    assert_eq!(set.is_paused().await, None);
    let reason = paused_because(3, "rejected: e");
    let paused = Paused {
        reason: reason.clone(),
    };
    assert_eq!(set.fails(8, "rejected: e").await, Some(paused));
    assert_eq!(set.is_paused().await, Some(reason));
    set.open(9, 1).await;
    let fired = set
        .journal
        .fire(set.decided(9, 9, 1), Limits::default(), at(20));
    assert_eq!(fired.await, Err(JournalError::Paused));
    // After a person has looked, the count begins anew.
    let resumed = set.fixture.store.resume_account(&set.account.id, at(30));
    assert!(resumed.await.unwrap());
    assert_eq!(set.fails(9, "rejected: f").await, None);
    assert_eq!(set.fails(10, "rejected: g").await, None);
    assert!(set.fails(11, "rejected: h").await.is_some());
}

#[tokio::test]
async fn doubt_counts_as_a_failure_and_a_repeated_end_counts_once() {
    let set = Set::protected(failures(2)).await;
    set.at_state(1, State::Uncertain).await;
    let again = set.journal.uncertain(execution(1), json!({}), at(13)).await;
    assert!(matches!(again, Err(JournalError::WrongState { .. })));
    assert_eq!(set.is_paused().await, None);
    assert!(set.fails(2, "rejected: x").await.is_some());
    // Off for an account of its own.
    let set = Set::protected(failures(1)).await;
    let own = OwnProtections {
        failures_in_a_row: Own::Off,
        ..OwnProtections::default()
    };
    let protect = set.fixture.store.protect(&set.account.id, own);
    protect.await.unwrap();
    assert_eq!(set.fails(1, "rejected: x").await, None);
}
