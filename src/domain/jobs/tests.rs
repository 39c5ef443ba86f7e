use std::collections::{HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;

use super::*;
use crate::domain::ids::{AccountId, AutomationId};

fn at(milliseconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::milliseconds(milliseconds)
}

fn job(number: usize, account: u8, automation: u8, danger: Danger) -> Request {
    Request {
        key: JobKey::new(&number.to_string(), 1),
        account: AccountId::new(format!("account-{account}")),
        automation: AutomationId::new(format!("automation-{account}-{automation}")),
        danger,
        scope: JobScope::default(),
        due_at: at(0),
        attempts_made: 0,
    }
}

/// Jobs of one account that cannot be taken for equal.
fn distinct(number: usize, account: u8, danger: Danger) -> Request {
    let mut job = job(number, account, 0, danger);
    job.scope.action = Some(number.to_string().into());
    job
}

#[test]
fn a_flood_of_one_account_leaves_the_next_account_its_turn() {
    let mut desk = Desk::new(DeskLimits::default());
    let mut delays = vec![];
    for number in 0..10_000 {
        match desk.admit(distinct(number, 1, Danger::TpSl), at(0)) {
            Verdict::Waits => assert!(number < 4),
            Verdict::SetAside { delay } => delays.push(delay),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(delays[..2], [500, 1000].map(Duration::from_millis));
    assert!(delays.is_sorted());
    assert_eq!(*delays.last().unwrap(), Duration::from_secs(300));
    assert_eq!(desk.begin_next().unwrap().account.as_str(), "account-1");
    let other = job(10_000, 2, 0, Danger::AutoEntry);
    assert_eq!(desk.admit(other, at(0)), Verdict::Waits);
    assert_eq!(desk.begin_next().unwrap().account.as_str(), "account-2");
    // The backlog is forgotten when it has come back.
    let later = at(301_000);
    desk.expire(later);
    let delay = Duration::from_millis(500);
    let again = distinct(10_001, 1, Danger::TpSl);
    assert_eq!(
        desk.admit(distinct(10_002, 1, Danger::TpSl), later),
        Verdict::Waits
    );
    assert_eq!(desk.admit(again, later), Verdict::SetAside { delay });
}

#[test]
fn a_job_is_set_aside_at_once_only_where_nothing_else_can_become_of_it() {
    let mut desk = Desk::new(DeskLimits::default());
    let now = at(0);
    let entry = |number| distinct(number, 1, Danger::AutoEntry);
    assert_eq!(desk.set_aside(&entry(0), now), None, "there is room");
    for number in 0..4 {
        assert_eq!(desk.admit(entry(number), now), Verdict::Waits);
    }
    let delay = Duration::from_millis(500);
    assert_eq!(desk.set_aside(&entry(4), now), Some(delay));
    assert_eq!(
        desk.set_aside(&entry(5), now),
        Some(2 * delay),
        "as admitting would"
    );
    assert_eq!(desk.set_aside(&entry(3), now), None, "it is in hand");
    let guard = distinct(6, 1, Danger::MarginGuard);
    assert_eq!(desk.set_aside(&guard, now), None, "it displaces another");
    let late = at(901_000);
    assert_eq!(desk.set_aside(&entry(7), late), None, "it has expired");
    let other = distinct(8, 2, Danger::AutoEntry);
    assert_eq!(desk.set_aside(&other, now), None, "another account's");
    let mut desk = Desk::new(DeskLimits::default());
    for number in 0..4 {
        desk.admit(distinct(number, 1, Danger::TpSl), now);
    }
    let mut equal = distinct(9, 1, Danger::TpSl);
    equal.scope.action = Some("0".into());
    assert_eq!(desk.set_aside(&equal, now), None, "another answers for it");
}

#[test]
fn a_margin_guard_displaces_the_last_entry_of_its_account() {
    let mut desk = Desk::new(DeskLimits::default());
    for (number, danger) in [
        (1, Danger::TpSl),
        (2, Danger::AutoEntry),
        (3, Danger::AutoEntry),
        (4, Danger::TpSl),
    ] {
        assert_eq!(
            desk.admit(distinct(number, 1, danger), at(0)),
            Verdict::Waits
        );
    }
    let delay = Duration::from_millis(500);
    let key = JobKey::new("3", 1);
    let guard = distinct(5, 1, Danger::MarginGuard);
    assert_eq!(desk.admit(guard, at(0)), Verdict::Displaces { key, delay });
    assert_eq!(desk.begin_next().unwrap().key.id.as_ref(), "5");
    assert_eq!(desk.begin_next(), None, "its account runs one");
    assert!(desk.end(&JobKey::new("5", 1)));
    assert_eq!(desk.begin_next().unwrap().key.id.as_ref(), "1");
}

#[test]
fn equal_jobs_coalesce_while_the_first_waits_and_entries_never_do() {
    let mut desk = Desk::new(DeskLimits::default());
    let equal = |number| job(number, 1, 1, Danger::MarginGuard);
    assert_eq!(desk.admit(equal(1), at(0)), Verdict::Waits);
    let with = JobKey::new("1", 1);
    assert_eq!(desk.admit(equal(2), at(0)), Verdict::Coalesced { with });
    let mut other = equal(3);
    other.scope.position = Some(PositionId(uuid::Uuid::nil()));
    assert_eq!(desk.admit(other, at(0)), Verdict::Waits, "of one position");
    assert_eq!(desk.begin_next().unwrap().key.id.as_ref(), "1");
    assert_eq!(
        desk.admit(equal(4), at(0)),
        Verdict::Waits,
        "the first runs"
    );
    for number in 5..7 {
        let entry = job(number, 2, 1, Danger::AutoEntry);
        assert_eq!(desk.admit(entry, at(0)), Verdict::Waits);
    }
    assert_eq!(desk.admit(equal(1), at(0)), Verdict::InHand);
    let mut flushed = equal(1);
    flushed.key.added_at = 2;
    let with = JobKey::new("4", 1);
    let verdict = desk.admit(flushed, at(0));
    assert_eq!(
        verdict,
        Verdict::Coalesced { with },
        "another job of that id"
    );
}

#[test]
fn what_is_too_old_is_not_begun_unless_it_was() {
    let mut desk = Desk::new(DeskLimits::default());
    let age = Duration::from_millis(900_001);
    let fresh = job(1, 1, 1, Danger::TpSl);
    assert_eq!(desk.admit(fresh.clone(), at(900_000)), Verdict::Waits);
    assert_eq!(desk.expire(at(900_000)), []);
    assert_eq!(desk.expire(at(900_001)), [(fresh.key.clone(), age)]);
    assert_eq!(
        desk.admit(fresh.clone(), at(900_001)),
        Verdict::Expired { age }
    );
    let begun = Request {
        attempts_made: 1,
        ..fresh
    };
    assert_eq!(desk.admit(begun, at(900_001)), Verdict::Waits);
}

#[derive(Clone, Debug)]
enum Step {
    Admit(u8, u8, Danger),
    Begin,
    EndOldest,
    Pass(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let danger = prop_oneof![
        Just(Danger::MarginGuard),
        Just(Danger::TpSl),
        Just(Danger::AutoEntry)
    ];
    let step = prop_oneof![
        4 => (0u8..4, 0u8..3, danger).prop_map(|(a, b, d)| Step::Admit(a, b, d)),
        3 => Just(Step::Begin),
        2 => Just(Step::EndOldest),
        1 => (0i64..400_000).prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 1..200)
}

proptest! {
    /// Whatever happens: each job that was admitted is begun once, expires, is displaced, or still
    /// waits; no account runs two; all bounds hold; and whoever begins is the most urgent of those
    /// that may.
    #[test]
    fn nothing_is_lost_or_doubled_and_the_bounds_hold(steps in steps()) {
        let limits = DeskLimits { running: 3, ..DeskLimits::default() };
        let mut desk = Desk::new(limits);
        let mut waits: HashMap<JobKey, Request> = HashMap::new();
        let mut runs: Vec<Request> = vec![];
        let mut asides: HashMap<AccountId, Duration> = HashMap::new();
        let (mut now, mut number) = (0i64, 0usize);
        for step in steps {
            match step {
                Step::Admit(account, automation, danger) => {
                    number += 1;
                    let mut new = job(number, account, automation, danger);
                    new.due_at = at(now);
                    match desk.admit(new.clone(), at(now)) {
                        Verdict::Waits => {
                            waits.insert(new.key.clone(), new);
                        }
                        Verdict::Displaces { key, delay } => {
                            let gone = waits.remove(&key).expect("it waited");
                            prop_assert!(gone.danger > new.danger);
                            prop_assert_eq!(&gone.account, &new.account);
                            prop_assert!(delay <= limits.longest_aside);
                            waits.insert(new.key.clone(), new);
                        }
                        Verdict::SetAside { delay } => {
                            let before = asides.insert(new.account.clone(), delay);
                            prop_assert!(before.is_none_or(|before| before <= delay));
                            prop_assert!(delay <= limits.longest_aside && !delay.is_zero());
                            let least = waits.values().filter(|w| w.account == new.account);
                            prop_assert!(least.map(|w| w.danger).max() <= Some(new.danger));
                        }
                        Verdict::Coalesced { with } => {
                            prop_assert!(new.danger != Danger::AutoEntry);
                            prop_assert_eq!(&waits[&with].automation, &new.automation);
                        }
                        other => prop_assert!(false, "{:?}", other),
                    }
                }
                Step::Begin => {
                    let busy: HashSet<_> = runs.iter().map(|job| &job.account).collect();
                    let free = waits.values().filter(|job| !busy.contains(&job.account));
                    let most_urgent = free.map(|job| job.danger).min();
                    let full = runs.len() >= limits.running;
                    match desk.begin_next() {
                        Some(job) => {
                            prop_assert!(!full && !busy.contains(&job.account));
                            prop_assert_eq!(Some(job.danger), most_urgent);
                            prop_assert_eq!(waits.remove(&job.key), Some(job.clone()));
                            runs.push(job);
                        }
                        None => prop_assert!(full || most_urgent.is_none()),
                    }
                }
                Step::EndOldest => {
                    if !runs.is_empty() {
                        let ended = runs.remove(0);
                        prop_assert!(desk.end(&ended.key));
                        prop_assert!(!desk.end(&ended.key));
                    }
                }
                Step::Pass(milliseconds) => {
                    now += milliseconds;
                    asides.clear();
                    for (key, age) in desk.expire(at(now)) {
                        prop_assert!(age > limits.max_age);
                        prop_assert!(waits.remove(&key).is_some());
                    }
                }
            }
            prop_assert_eq!(desk.waiting(), waits.len());
            prop_assert_eq!(desk.running(), runs.len());
            for account in 0..4 {
                let account = AccountId::new(format!("account-{account}"));
                let waiting = waits.values().filter(|job| job.account == account).count();
                prop_assert!(waiting <= limits.waiting_per_account);
            }
        }
    }
}
