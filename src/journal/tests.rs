//! The journal against a real database: a file of SQLite, or a server of PostgreSQL.

mod audit;
mod cost;
mod outage;
mod parts;
mod protections;
mod told;

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::domain::audit::{Act, Actor, Entry};
use crate::domain::execution::{Action, Before, Decision, SkipReason, State};
use crate::domain::ids::{AccountId, ExecutionId, PositionId};
use crate::domain::kill_switch::Reach;
use crate::domain::rules::{Limits, RuleKind};
use crate::domain::units::{Price, Sats};
use crate::store::testing::{Fixture, at};
use crate::store::{Account, Automation, Kind, Lease, LeaseTerms, Pause, StoreError};

struct Set {
    fixture: Fixture,
    journal: Journal,
    account: Account,
    automation: Automation,
}

const ADD: Action = Action::AddMargin { amount: Sats(500) };

fn position(n: u128) -> PositionId {
    PositionId(Uuid::from_u128(n))
}

fn execution(n: u128) -> ExecutionId {
    ExecutionId(Uuid::from_u128(n))
}

fn before() -> Before {
    Before {
        margin: Sats(100_000),
        sum_cash_in_margin: Sats(3),
        signed_at: at(7),
    }
}

impl Set {
    async fn new() -> Self {
        Self::with(Fixture::new().await).await
    }

    async fn on_a_server() -> Self {
        Self::with(Fixture::on_a_server().await).await
    }

    async fn with(fixture: Fixture) -> Self {
        let account = fixture.account("main").await;
        let automation = fixture.automation(&account).await;
        let epoch = fixture.store.claim_ownership("first", at(0)).await.unwrap();
        let journal = Journal::new(fixture.store.clone(), epoch);
        Self {
            fixture,
            journal,
            account,
            automation,
        }
    }

    fn decided(&self, id: u128, position_of: u128, episode: i64) -> NewExecution {
        NewExecution {
            id: execution(id),
            automation: self.automation.id.clone(),
            account: self.account.id.clone(),
            user: self.account.user_id.clone(),
            position: position(position_of),
            rule_version: 1,
            episode,
            action: ADD,
            decision: Decision {
                rule: RuleKind::MarginGuard,
                wanted: "add_margin".into(),
                fallback: false,
                pnl: None,
                pnl_percentage: None,
                metric: "margin_used".into(),
                metric_value: None,
                threshold: 0.7,
                margin_ratio: Some(0.85),
                price: Price::from_usd(68_020.5).unwrap(),
                data_age_ms: 12,
                position: None,
                level: Default::default(),
                network: None,
            },
        }
    }

    async fn open(&self, position_of: u128, episode: i64) -> OpenedEpisode {
        let id = &self.automation.id;
        let opened = self
            .journal
            .open_episode(id, position(position_of), 1, episode, at(10), true);
        opened.await.unwrap()
    }

    /// Opens and fires an episode of a position of its own.
    async fn planned(&self, n: u128) -> ExecutionId {
        self.open(n, 1).await;
        let fired = self
            .journal
            .fire(self.decided(n, n, 1), Limits::default(), at(10))
            .await;
        assert_eq!(fired.unwrap(), FireResult::Fired);
        execution(n)
    }

    async fn begin(&self, id: ExecutionId) -> Began {
        let began = self.journal.begin_sending(id, ADD, Some(before()), at(11));
        began.await.unwrap()
    }

    fn entry(&self, id: ExecutionId) -> Entry {
        let actor = Actor {
            automation: &self.automation.id,
            execution: id,
            account: &self.account.id,
            account_name: "main",
        };
        let decision = self.decided(1, 1, 1).decision;
        let act = Act {
            position: position(1),
            action: ADD,
            decision: &decision,
            outcome: &Value::Null,
        };
        Entry::of(&actor, &act, at(12))
    }

    async fn state(&self, id: ExecutionId) -> State {
        self.journal.execution(id).await.unwrap().state
    }

    /// A new execution, brought to a state by the way that leads there.
    async fn at_state(&self, n: u128, state: State) -> ExecutionId {
        let id = self.planned(n).await;
        let journal = &self.journal;
        match state {
            State::Planned => {}
            State::Skipped => journal.skip(id, SkipReason::DryRun, at(12)).await.unwrap(),
            _ => {
                self.begin(id).await;
            }
        }
        match state {
            State::Done => {
                let entry = self.entry(id);
                journal.done(id, json!({}), entry, at(12)).await.unwrap();
            }
            State::Failed => drop(journal.fail(id, "no", json!({}), at(12)).await.unwrap()),
            State::Uncertain => drop(journal.uncertain(id, json!({}), at(12)).await.unwrap()),
            State::Planned | State::Sending | State::Skipped => {}
        }
        assert_eq!(self.state(id).await, state);
        id
    }

    async fn audited(&self) -> Vec<AuditRow> {
        let entries = self.journal.audit_entries(&AuditFilter::default()).await;
        entries.unwrap().rows
    }
}

#[tokio::test]
async fn an_execution_keeps_all_that_was_known_from_intent_to_outcome() {
    let set = Set::new().await;
    let id = set.planned(1).await;
    let planned = set.journal.execution(id).await.unwrap();
    let new = set.decided(1, 1, 1);
    let expected = Execution {
        id,
        trigger_key: format!("live:{}:{}:1:1", set.automation.id, position(1)),
        source: Source::Live,
        automation: new.automation,
        account: new.account,
        user: new.user,
        position: position(1),
        rule_version: 1,
        episode: 1,
        state: State::Planned,
        action: ADD,
        decision: new.decision,
        before: None,
        attempts: 0,
        reason: None,
        evidence: None,
        outcome: None,
        epoch: None,
        created_at: at(10),
        sending_at: None,
        finished_at: None,
    };
    assert_eq!(planned, expected);
    let less = Action::AddMargin { amount: Sats(400) };
    let began = set.journal.begin_sending(id, less, Some(before()), at(11));
    assert_eq!(began.await.unwrap(), Began::Sending { attempt: 1 });
    let outcome = json!({"margin": 100_400});
    let done = set.journal.done(id, outcome.clone(), set.entry(id), at(12));
    assert_eq!(done.await.unwrap(), Done::Recorded);
    let expected = Execution {
        state: State::Done,
        action: less,
        before: Some(before()),
        attempts: 1,
        outcome: Some(outcome),
        epoch: Some(set.journal.epoch()),
        sending_at: Some(at(11)),
        finished_at: Some(at(12)),
        ..expected
    };
    assert_eq!(set.journal.execution(id).await.unwrap(), expected);
    let audited = set.audited().await;
    assert_eq!(audited.len(), 1);
    assert_eq!((audited[0].seq, audited[0].execution), (1, id));
    assert_eq!(audited[0].account, set.account.id);
    assert_eq!(audited[0].entry, set.entry(id));
}

#[tokio::test]
async fn an_episode_opens_once_and_only_after_the_one_before_it_has_fired() {
    let set = Set::new().await;
    let armed = |episode| OpenedEpisode::Armed {
        episode,
        from: at(10),
    };
    let fired = |episode, n| OpenedEpisode::Fired {
        episode,
        execution: execution(n),
    };
    assert_eq!(set.open(1, 1).await, armed(1));
    assert_eq!(set.open(1, 1).await, armed(1), "idempotent");
    assert_eq!(set.open(1, 2).await, armed(1), "1 has not fired");
    set.journal
        .fire(set.decided(11, 1, 1), Limits::default(), at(10))
        .await
        .unwrap();
    assert_eq!(set.open(1, 1).await, fired(1, 11));
    assert_eq!(set.open(1, 3).await, fired(1, 11), "2 was never open");
    assert_eq!(set.open(1, 2).await, fired(1, 11), "that goes on");
    let skipped = set.journal.skip(execution(11), SkipReason::DryRun, at(12));
    skipped.await.unwrap();
    assert_eq!(set.open(1, 2).await, armed(2));
    assert_eq!(
        set.open(1, 1).await,
        armed(2),
        "the past does not come back"
    );
    assert_eq!(set.open(2, 5).await, armed(5), "another position");
    let other_version =
        set.journal
            .open_episode(&set.automation.id, position(1), 2, 1, at(10), true);
    assert_eq!(other_version.await.unwrap(), armed(1));
    let unknown = crate::domain::ids::AutomationId::new("gone");
    let error = set
        .journal
        .open_episode(&unknown, position(1), 1, 1, at(1), true);
    let gone = JournalError::Store(StoreError::no_automation("gone"));
    assert_eq!(error.await.unwrap_err(), gone);
}

#[tokio::test]
async fn what_is_armed_is_listed_with_what_became_of_what_fired() {
    let set = Set::new().await;
    set.open(1, 1).await;
    set.at_state(2, State::Skipped).await;
    set.at_state(3, State::Sending).await;
    let mut stored = set.journal.armings(&set.automation.id, 1).await.unwrap();
    stored.sort_by_key(|arming| arming.position);
    let states: Vec<_> = stored.into_iter().map(|arming| arming.state).collect();
    let expected = [
        ArmedState::Armed,
        ArmedState::Fired {
            execution: execution(2),
            state: State::Skipped,
            reason: Some("dry_run".into()),
            finished_at: Some(at(12)),
        },
        ArmedState::Fired {
            execution: execution(3),
            state: State::Sending,
            reason: None,
            finished_at: None,
        },
    ];
    assert_eq!(states, expected);
    let none = set.journal.armings(&set.automation.id, 2).await.unwrap();
    assert!(none.is_empty());
}

#[tokio::test]
async fn one_trigger_is_one_execution_however_often_it_is_seen() {
    let set = Set::new().await;
    set.open(1, 1).await;
    let firing = (0..20).map(|n| {
        set.journal
            .fire(set.decided(100 + n, 1, 1), Limits::default(), at(10))
    });
    let results: Vec<_> = join_all(firing)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let fired: Vec<_> = (0..20)
        .filter(|n| results[*n as usize] == FireResult::Fired)
        .collect();
    assert_eq!(fired.len(), 1);
    let winner = execution(100 + fired[0]);
    for other in results
        .iter()
        .filter(|result| **result != FireResult::Fired)
    {
        assert_eq!(*other, FireResult::FiredBefore(winner));
    }
    assert_eq!(set.journal.unfinished().await.unwrap().rows.len(), 1);
    let again = set
        .journal
        .fire(set.decided(100 + fired[0], 1, 1), Limits::default(), at(11))
        .await;
    assert_eq!(
        again.unwrap(),
        FireResult::Fired,
        "a lost answer costs nothing"
    );
}

#[tokio::test]
async fn a_stale_or_unopened_episode_does_not_fire_and_leaves_nothing() {
    let set = Set::new().await;
    let not_armed = |episode, stands| JournalError::NotArmed { episode, stands };
    let fire = async |id, episode| {
        let fired = set
            .journal
            .fire(set.decided(id, 1, episode), Limits::default(), at(10))
            .await;
        fired.unwrap_err()
    };
    assert_eq!(fire(1, 1).await, not_armed(1, None));
    set.open(1, 1).await;
    let stands = Some(OpenedEpisode::Armed {
        episode: 1,
        from: at(10),
    });
    assert_eq!(fire(1, 2).await, not_armed(2, stands));
    set.journal
        .fire(set.decided(1, 1, 1), Limits::default(), at(10))
        .await
        .unwrap();
    let skipped = set.journal.skip(execution(1), SkipReason::DryRun, at(12));
    skipped.await.unwrap();
    set.open(1, 2).await;
    let late = set
        .journal
        .fire(set.decided(2, 1, 1), Limits::default(), at(10))
        .await;
    assert_eq!(late.unwrap(), FireResult::FiredBefore(execution(1)));
    let stands = Some(OpenedEpisode::Armed {
        episode: 2,
        from: at(10),
    });
    assert_eq!(fire(3, 3).await, not_armed(3, stands));
    let rows = set
        .journal
        .executions(&Filter::default())
        .await
        .unwrap()
        .rows;
    assert_eq!(rows.len(), 1, "what did not fire left an execution");
    // Even where somebody has deleted the execution: what has fired has fired.
    set.journal
        .fire(set.decided(4, 1, 2), Limits::default(), at(10))
        .await
        .unwrap();
    set.fixture.sql("DELETE FROM executions").await;
    let gone = Some(OpenedEpisode::Fired {
        episode: 2,
        execution: execution(4),
    });
    assert_eq!(fire(5, 2).await, not_armed(2, gone));
    let error = not_armed(3, stands).to_string();
    assert_eq!(
        error,
        "episode 3 is not armed (episode 2 is): open it first"
    );
}

type Step = (&'static str, State);

async fn step(set: &Set, name: &str, id: ExecutionId) -> Result<(), JournalError> {
    let journal = &set.journal;
    match name {
        "begin" => match journal.begin_sending(id, ADD, None, at(20)).await? {
            Began::Sending { .. } => Ok(()),
            Began::Refused(_) => Err(StoreError::Refused("refused".into()).into()),
        },
        "back" => journal.back_to_planned(id, "refused", at(20)).await,
        "done" => match journal.done(id, json!({}), set.entry(id), at(20)).await? {
            Done::Recorded => Ok(()),
            Done::AlreadyDone => Err(StoreError::Refused("already".into()).into()),
        },
        "fail" => journal.fail(id, "why", json!({}), at(20)).await.map(drop),
        "uncertain" => journal.uncertain(id, json!({}), at(20)).await.map(drop),
        "skip" => journal.skip(id, SkipReason::PriceStale, at(20)).await,
        "resolve done" => {
            let settled = Settled::Done(Box::new(set.entry(id)));
            journal.resolve(id, settled, "seen", at(20)).await
        }
        "resolve failed" => journal.resolve(id, Settled::Failed, "seen", at(20)).await,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn every_step_is_taken_from_where_it_leads_and_refused_from_everywhere_else() {
    let set = Set::new().await;
    let steps: [Step; 8] = [
        ("begin", State::Sending),
        ("back", State::Planned),
        ("done", State::Done),
        ("fail", State::Failed),
        ("uncertain", State::Uncertain),
        ("skip", State::Skipped),
        ("resolve done", State::Done),
        ("resolve failed", State::Failed),
    ];
    let mut n = 0;
    for from in State::ALL {
        for (name, to) in steps {
            n += 1;
            let id = set.at_state(n, from).await;
            let by_hand = name.starts_with("resolve");
            let allowed = from.may_become(to) && by_hand == (from == State::Uncertain);
            let taken = step(&set, name, id).await;
            assert_eq!(taken.is_ok(), allowed, "{from} {name}: {taken:?}");
            let stands = if allowed { to } else { from };
            assert_eq!(set.state(id).await, stands, "{from} {name}");
            match taken {
                Err(JournalError::WrongState {
                    execution,
                    found,
                    wanted,
                }) => {
                    assert_eq!((execution, found, wanted), (id, from, to));
                }
                Err(JournalError::Store(StoreError::Refused(_))) => {
                    assert!(name == "begin" || from == State::Done);
                }
                Ok(()) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
    for (name, _) in steps {
        let error = step(&set, name, execution(9999)).await.unwrap_err();
        let missing = JournalError::Store(StoreError::no_execution(execution(9999)));
        assert_eq!(error, missing, "{name}");
    }
}

#[tokio::test]
async fn done_twice_is_one_audit_entry_and_without_it_there_is_no_done() {
    let set = Set::new().await;
    let id = set.planned(1).await;
    set.begin(id).await;
    let twice = (0..10).map(|_| set.journal.done(id, json!({}), set.entry(id), at(12)));
    let results = join_all(twice).await;
    let recorded = results.iter().filter(|done| **done == Ok(Done::Recorded));
    assert_eq!(recorded.count(), 1);
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(set.audited().await.len(), 1);

    let id = set.planned(2).await;
    set.begin(id).await;
    let (refuse, again) = if set.fixture.is_a_file() {
        (
            "CREATE TRIGGER no_audit BEFORE INSERT ON automation_logs \
             BEGIN SELECT RAISE(ABORT, 'no'); END",
            "DROP TRIGGER no_audit",
        )
    } else {
        (
            "ALTER TABLE automation_logs ADD CONSTRAINT no_audit CHECK (false) NOT VALID",
            "ALTER TABLE automation_logs DROP CONSTRAINT no_audit",
        )
    };
    set.fixture.sql(refuse).await;
    let error = set.journal.done(id, json!({}), set.entry(id), at(12)).await;
    assert!(error.is_err());
    assert_eq!(
        set.state(id).await,
        State::Sending,
        "done without an audit entry"
    );
    set.fixture.sql(again).await;
    let done = set.journal.done(id, json!({}), set.entry(id), at(12)).await;
    assert_eq!(done.unwrap(), Done::Recorded);
}

/// Of everything, of the account, of the automation: whatever is on holds back, from the moment it is
/// written; and what is not of its own, it leaves alone.
#[tokio::test]
async fn nothing_fires_and_nothing_is_sent_while_a_kill_switch_is_on() {
    let set = Set::new().await;
    let id = set.planned(1).await;
    let store = &set.fixture.store;
    let reaches = [
        Reach::Service,
        Reach::Account(set.automation.account_id.clone()),
        Reach::Automation(set.automation.id.clone()),
    ];
    for reach in &reaches {
        let on = store.kill_switch_on(reach, false, Some("a test".to_owned()), at(3));
        on.await.unwrap();
        let held = Began::Refused(Refusal::Skip(SkipReason::KillSwitch));
        assert_eq!(set.begin(id).await, held, "{reach}");
        assert_eq!(set.state(id).await, State::Planned);
        set.open(2, 1).await;
        let new = set.decided(2, 2, 1);
        let fired = set.journal.fire(new, Limits::default(), at(4)).await;
        assert_eq!(fired, Err(JournalError::Stopped), "{reach}");
        let none = set.journal.execution(execution(2)).await;
        assert!(none.is_err(), "nothing was written");
        // Of a guard, so it may be let through; and put on again it is replaced.
        store
            .kill_switch_on(reach, true, None, at(5))
            .await
            .unwrap();
        let switches = store.kill_switches().await.unwrap().rows;
        assert_eq!((switches.len(), &switches[0].reach), (1, reach));
        assert!(switches[0].allows_protective && switches[0].reason.is_none());
        assert!(store.kill_switch_off(reach, at(9)).await.unwrap());
        assert!(!store.kill_switch_off(reach, at(9)).await.unwrap());
    }
    for reach in &reaches {
        store
            .kill_switch_on(reach, true, None, at(6))
            .await
            .unwrap();
    }
    let fired = set
        .journal
        .fire(set.decided(2, 2, 1), Limits::default(), at(7));
    assert_eq!(fired.await, Ok(FireResult::Fired));
    assert_eq!(set.begin(id).await, Began::Sending { attempt: 1 });
    let unknown = Reach::Account(AccountId::new("nobody"));
    assert!(
        store
            .kill_switch_on(&unknown, false, None, at(8))
            .await
            .is_err()
    );
}

/// A pause holds back its account from the moment it is written, and no other; the first reason stays.
#[tokio::test]
async fn nothing_fires_and_nothing_is_sent_while_the_account_is_paused() {
    let set = Set::new().await;
    let id = set.planned(1).await;
    let (store, account) = (&set.fixture.store, &set.automation.account_id);
    let other = set.fixture.account("other").await;
    let pause = |id, reason: &str, now| {
        let reason = Some(reason.to_owned());
        async move { store.pause_account(id, reason, "operator", at(now)).await }
    };
    assert_eq!(pause(&other.id, "not this one", 2).await, Ok(true));
    let nobody = AccountId::new("nobody");
    assert!(pause(&nobody, "?", 2).await.is_err());
    assert!(store.resume_account(&nobody, at(2)).await.is_err());

    assert_eq!(pause(account, "a look", 3).await, Ok(true));
    assert_eq!(pause(account, "another look", 4).await, Ok(false));
    let stored = store.account(account.as_str()).await.unwrap();
    let (reason, by) = (Some("a look".to_owned()), "operator".to_owned());
    let since = at(3);
    assert_eq!(stored.paused, Some(Pause { since, reason, by }));
    let held = Began::Refused(Refusal::Skip(SkipReason::AccountPaused));
    assert_eq!(set.begin(id).await, held);
    assert_eq!(set.state(id).await, State::Planned);
    set.open(2, 1).await;
    let fire = || {
        set.journal
            .fire(set.decided(2, 2, 1), Limits::default(), at(5))
    };
    assert_eq!(fire().await, Err(JournalError::Paused));
    assert!(set.journal.execution(execution(2)).await.is_err());

    assert_eq!(store.resume_account(account, at(6)).await, Ok(true));
    assert_eq!(store.resume_account(account, at(7)).await, Ok(false));
    assert_eq!(store.account(account.as_str()).await.unwrap().paused, None);
    assert_eq!(fire().await, Ok(FireResult::Fired));
    assert_eq!(set.begin(id).await, Began::Sending { attempt: 1 });
}

#[tokio::test]
async fn nothing_is_sent_for_a_disabled_a_changed_or_a_removed_rule_or_account() {
    let set = Set::new().await;
    let id = set.planned(1).await;
    let (store, automation) = (&set.fixture.store, &set.automation.id);
    let refused = async |reason| {
        let expected = Began::Refused(Refusal::Skip(reason));
        assert_eq!(set.begin(id).await, expected);
        assert_eq!(set.state(id).await, State::Planned);
        assert_eq!(set.journal.execution(id).await.unwrap().attempts, 0);
    };
    store
        .set_account_active("main", false, at(3))
        .await
        .unwrap();
    refused(SkipReason::AccountDisabled).await;
    store
        .set_automation_active(automation, false, at(3))
        .await
        .unwrap();
    refused(SkipReason::AutomationDisabled).await;
    store.set_account_active("main", true, at(3)).await.unwrap();
    refused(SkipReason::AutomationDisabled).await;
    store
        .set_automation_active(automation, true, at(3))
        .await
        .unwrap();
    set.fixture
        .sql("UPDATE automations SET rule_version = 2")
        .await;
    refused(SkipReason::AutomationDisabled).await;
    set.fixture
        .sql("UPDATE automations SET rule_version = 1")
        .await;
    let error = store.remove_automation(automation).await.unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains(&id.to_string()) && error.contains("disable"),
        "{error}"
    );
    assert_eq!(set.begin(id).await, Began::Sending { attempt: 1 });
    assert_eq!(set.begin(id).await, Began::Refused(Refusal::AlreadySending));
    set.journal
        .back_to_planned(id, "connect failed", at(12))
        .await
        .unwrap();
    assert_eq!(set.begin(id).await, Began::Sending { attempt: 2 });
    set.journal
        .fail(id, "rejected", json!({"code": 1}), at(13))
        .await
        .unwrap();
    assert_eq!(
        set.begin(id).await,
        Began::Refused(Refusal::Ended(State::Failed))
    );
    store.remove_automation(automation).await.unwrap();
    assert!(set.journal.armings(automation, 1).await.unwrap().is_empty());
    assert_eq!(
        set.state(id).await,
        State::Failed,
        "executions outlive the automation"
    );
}

#[tokio::test]
async fn whose_ownership_was_taken_sends_nothing_and_settles_nothing_of_the_new_owner() {
    let set = Set::new().await;
    let old = &set.journal;
    let id = set.planned(1).await;
    let orphan = set.at_state(2, State::Sending).await;
    let idle = set.planned(3).await;
    let epoch = set
        .fixture
        .store
        .claim_ownership("second", at(9))
        .await
        .unwrap();
    let new = Journal::new(set.fixture.store.clone(), epoch);
    let refused = Began::Refused(Refusal::Skip(SkipReason::NotOwner));
    assert_eq!(set.begin(id).await, refused);
    set.open(7, 1).await;
    let fired = old
        .fire(set.decided(7, 7, 1), Limits::default(), at(11))
        .await;
    assert_eq!(fired.unwrap_err(), JournalError::NotOwner);
    let fired = new
        .fire(set.decided(8, 7, 1), Limits::default(), at(11))
        .await;
    assert_eq!(
        fired.unwrap(),
        FireResult::Fired,
        "the old owner left a trace"
    );
    let began = new.begin_sending(id, ADD, None, at(11)).await.unwrap();
    assert_eq!(began, Began::Sending { attempt: 1 });
    let taken_over = JournalError::TakenOver { execution: id };
    for error in [
        old.back_to_planned(id, "why", at(12)).await.unwrap_err(),
        old.fail(id, "why", json!({}), at(12)).await.unwrap_err(),
        old.uncertain(id, json!({}), at(12)).await.unwrap_err(),
        old.done(id, json!({}), set.entry(id), at(12))
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error, taken_over);
    }
    assert_eq!(set.state(id).await, State::Sending);
    // What the old owner sent, it may settle, and so may the new one.
    old.fail(orphan, "refused", json!({}), at(12))
        .await
        .unwrap();
    let nobody = Journal::new(set.fixture.store.clone(), crate::store::Epoch::NONE);
    let began = nobody.begin_sending(idle, ADD, None, at(12)).await.unwrap();
    assert_eq!(began, refused);
}

#[tokio::test]
async fn a_lease_in_doubt_lets_nothing_out_and_one_that_is_renewed_does() {
    let set = Set::new().await;
    let id = set.planned(1).await;
    let clock = crate::clock::Clock::start();
    let terms = |stop_sending| LeaseTerms {
        renew: Duration::from_millis(1),
        stop_sending,
        expire: Duration::from_secs(600),
    };
    let leased = |stop_sending| {
        let epoch = set.journal.epoch();
        let lease = Lease::new(epoch, terms(stop_sending), clock, clock.mono());
        Journal::leased(set.fixture.store.clone(), lease)
    };
    let doubtful = leased(Duration::ZERO);
    let error = doubtful.begin_sending(id, ADD, None, at(11)).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("could not be renewed"), "{error}");
    assert_eq!(set.state(id).await, State::Planned);
    let sure = leased(Duration::from_secs(60));
    let began = sure.begin_sending(id, ADD, None, at(11)).await;
    assert_eq!(began.unwrap(), Began::Sending { attempt: 1 });
}

/// On a server another may claim in the very moment in which an execution is let out.
#[tokio::test]
async fn a_claim_that_comes_first_by_a_hair_is_waited_for_and_obeyed() {
    use sea_orm::ConnectionTrait;
    let set = Set::on_a_server().await;
    let id = set.planned(1).await;
    let other = set.fixture.second().await;
    let (held, release) = (
        tokio::sync::oneshot::channel(),
        tokio::sync::oneshot::channel(),
    );
    let claiming = other.write(Kind::Several, move |db| {
        Box::pin(async move {
            let sql = "UPDATE owners SET epoch = epoch + 1";
            db.execute_unprepared(sql).await?;
            let _ = held.0.send(());
            let _: Result<(), _> = release.1.await;
            Ok::<_, StoreError>(())
        })
    });
    let beginning = async {
        held.1.await.unwrap();
        let hasty = Journal::new(
            set.fixture.store.with_patience(Duration::from_millis(300)),
            set.journal.epoch(),
        );
        let waits = hasty.begin_sending(id, ADD, None, at(11)).await;
        assert!(waits.is_err(), "it does not wait: {waits:?}");
        release.0.send(()).unwrap();
        set.begin(id).await
    };
    let (claimed, began) = tokio::join!(claiming, beginning);
    claimed.unwrap();
    assert_eq!(began, Began::Refused(Refusal::Skip(SkipReason::NotOwner)));
    assert_eq!(set.state(id).await, State::Planned);
}

#[tokio::test]
async fn what_a_crash_left_is_found_oldest_first_whatever_else_is_torn() {
    let set = Set::new().await;
    for n in [3u128, 1, 2] {
        set.open(n, 1).await;
        let created = at(100 + n as i64);
        set.journal
            .fire(set.decided(n, n, 1), Limits::default(), created)
            .await
            .unwrap();
    }
    set.begin(execution(2)).await;
    set.at_state(4, State::Done).await;
    let torn = set.planned(5).await;
    // On a server the type of the column is what keeps JSON whole.
    let torn_json = match set.fixture.is_a_file() {
        true => "{\"kind\":",
        false => "{\"kind\": 1}",
    };
    set.fixture
        .sql(&format!(
            "UPDATE executions SET action = '{torn_json}' WHERE id = '{torn}'"
        ))
        .await;
    let found = set.journal.unfinished().await.unwrap();
    let ids: Vec<_> = found.rows.iter().map(|row| row.id).collect();
    assert_eq!(ids, [execution(1), execution(2), execution(3)]);
    assert_eq!(found.unreadable.len(), 1);
    assert!(found.unreadable[0].to_string().contains(&torn.to_string()));

    set.fixture.store.close().await;
    let store = set.fixture.second().await;
    let epoch = store.claim_ownership("after", at(200)).await.unwrap();
    let journal = Journal::new(store, epoch);
    assert_eq!(journal.unfinished().await.unwrap().rows, found.rows);
    let counts = journal.counts().await.unwrap();
    let counted: Vec<_> = counts.iter().map(|(_, count)| count).collect();
    assert_eq!(counted, [3, 1, 1, 0, 0, 0]);
    assert_eq!(counts.of(State::Planned), 3);
}

#[tokio::test]
async fn lists_are_the_latest_first_and_filtered() {
    let set = Set::new().await;
    for n in 1..=5 {
        set.at_state(n, if n == 3 { State::Done } else { State::Failed })
            .await;
    }
    let ids = async |filter: Filter| {
        let rows = set.journal.executions(&filter).await.unwrap().rows;
        rows.iter()
            .map(|row| row.id.0.as_u128())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(Filter::default()).await, [5, 4, 3, 2, 1]);
    let two = Filter {
        limit: 2,
        account: Some(set.account.id.clone()),
        automation: Some(set.automation.id.clone()),
        state: Some(State::Failed),
    };
    assert_eq!(ids(two).await, [5, 4]);
    let other = Filter {
        account: Some(crate::domain::ids::AccountId::new("other")),
        ..Filter::default()
    };
    assert_eq!(ids(other).await, [0u128; 0]);
    let skipped = set.at_state(6, State::Skipped).await;
    let skipped = set.journal.execution(skipped).await.unwrap();
    assert_eq!(skipped.skipped(), Some(SkipReason::DryRun));
    assert_eq!(
        serde_json::to_value(&skipped).unwrap()["automationId"],
        json!(set.automation.id)
    );
}

#[tokio::test]
async fn a_person_settles_what_is_uncertain_once_and_its_evidence_stays() {
    let set = Set::new().await;
    let id = set.planned(1).await;
    set.begin(id).await;
    let evidence: Value = json!({"added": 250});
    set.journal
        .uncertain(id, evidence.clone(), at(12))
        .await
        .unwrap();
    let settled = Settled::Done(Box::new(set.entry(id)));
    set.journal
        .resolve(id, settled.clone(), "seen on the site", at(13))
        .await
        .unwrap();
    let row = set.journal.execution(id).await.unwrap();
    assert_eq!((row.state, row.evidence), (State::Done, Some(evidence)));
    assert_eq!(
        row.reason.as_deref(),
        Some("resolved by hand: seen on the site")
    );
    let again = set.journal.resolve(id, settled, "again", at(14)).await;
    assert!(matches!(
        again,
        Err(JournalError::WrongState {
            found: State::Done,
            ..
        })
    ));
    assert_eq!(set.audited().await.len(), 1);
}

#[tokio::test]
#[ignore = "a measurement; run it with --release and --nocapture"]
#[allow(clippy::disallowed_methods, reason = "measures")]
async fn measure_fire_and_begin_sending() {
    let set = Set::new().await;
    let mut took: [Vec<std::time::Duration>; 4] = Default::default();
    for n in 1..=1000u128 {
        let id = execution(n);
        let start = std::time::Instant::now();
        set.open(n, 1).await;
        took[0].push(start.elapsed());
        let start = std::time::Instant::now();
        set.journal
            .fire(set.decided(n, n, 1), Limits::default(), at(10))
            .await
            .unwrap();
        took[1].push(start.elapsed());
        let start = std::time::Instant::now();
        set.begin(id).await;
        took[2].push(start.elapsed());
        let entry = set.entry(id);
        let start = std::time::Instant::now();
        set.journal
            .done(id, json!({}), entry, at(12))
            .await
            .unwrap();
        took[3].push(start.elapsed());
    }
    for (name, mut took) in ["open", "fire", "begin", "done"].into_iter().zip(took) {
        took.sort_unstable();
        println!(
            "{name}: p50 {:?} p99 {:?} max {:?}",
            took[500], took[990], took[999]
        );
    }
}

#[tokio::test]
async fn in_one_batch_what_fails_is_undone_whole_and_its_neighbours_stand() {
    let set = Set::new().await;
    for n in 1..=40 {
        set.open(n, 1).await;
    }
    // Every second one inserts its execution and then finds that its episode is not armed.
    let firing = (1..=40).map(|n| {
        let episode = if n % 2 == 0 { 1 } else { 2 };
        set.journal
            .fire(set.decided(n, n, episode), Limits::default(), at(10))
    });
    for (n, result) in (1..=40).zip(join_all(firing).await) {
        match result {
            Ok(FireResult::Fired) => assert_eq!(n % 2, 0),
            Err(JournalError::NotArmed { episode: 2, .. }) => assert_eq!(n % 2, 1),
            other => panic!("{n}: {other:?}"),
        }
    }
    let filter = Filter::default();
    let rows = set.journal.executions(&filter).await.unwrap().rows;
    assert_eq!(rows.len(), 20);
    assert!(rows.iter().all(|row| row.episode == 1));
}

/// Actors spawn these: every future must be able to move between threads.
#[allow(dead_code, reason = "compiling it is the test")]
fn futures_can_be_spawned(journal: &Journal, new: NewExecution, entry: Entry) {
    fn check(_: impl Send) {}
    let (store, id) = (journal.store(), new.id);
    let automation = new.automation.clone();
    check(store.migrate());
    check(store.pending_migrations());
    check(store.accounts());
    check(store.account("main"));
    check(store.credentials(&new.account));
    check(store.set_account_active("main", true, at(1)));
    check(store.automations(None));
    check(store.automation(&automation));
    check(store.remove_automation(&automation));
    check(store.claim_ownership("me", at(1)));
    check(store.close());
    check(journal.open_episode(&automation, new.position, 1, 1, at(1), true));
    check(journal.armings(&automation, 1));
    check(journal.fire(new, Limits::default(), at(1)));
    check(journal.begin_sending(id, ADD, None, at(1)));
    check(journal.back_to_planned(id, "", at(1)));
    check(journal.done(id, json!({}), entry, at(1)));
    check(journal.fail(id, "", json!({}), at(1)));
    check(journal.unfinished());
    check(journal.execution(id));
    check(journal.executions(&Filter::default()));
    check(journal.audit_entries(&AuditFilter::default()));
    check(journal.counts());
    check(journal.resolve(id, Settled::Failed, "", at(1)));
}
