//! The journal against a real database: a file of SQLite, or a server of PostgreSQL.

mod audit;
mod cost;
mod episodes;
mod executions;
mod firing;
mod held_back;
mod measured;
mod outage;
mod ownership;
mod parts;
mod protections;
mod recovery;
mod spawned;
mod steps;
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
use crate::store::{Account, Automation, Kind, Lease, LeaseTerms, StoreError};

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
