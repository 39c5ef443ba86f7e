//! The journal held against the exchange's ledger: the two must say the same.

use std::collections::BTreeMap;
use std::time::Duration;

use vigia::domain::execution::{Action, State};
use vigia::journal::{AuditFilter, AuditRow, Execution, Filter, Journal};
use vigia::simulator::{LedgerEntry, LedgerKind, LedgerSource};
use vigia::store::Epoch;

use crate::stage::Stage;
use crate::watchman::Watchman;

/// Enough for any test.
const ALL: u64 = 100_000;
const SETTLED_WITHIN: Duration = Duration::from_secs(15);
const BEAT: Duration = Duration::from_millis(50);

/// All that the journal holds, the oldest first.
#[derive(Debug)]
pub struct Books {
    pub executions: Vec<Execution>,
    pub audit: Vec<AuditRow>,
}

/// Trade, what was done, satoshis.
type Effect = (String, &'static str, Option<i64>);

impl Books {
    /// The states of all executions, the oldest first.
    pub fn states(&self) -> Vec<State> {
        self.executions.iter().map(|row| row.state).collect()
    }

    /// Reason of each execution that has one.
    pub fn reasons(&self) -> Vec<&str> {
        self.executions
            .iter()
            .filter_map(|row| row.reason.as_deref())
            .collect()
    }

    fn unfinished(&self) -> usize {
        self.executions
            .iter()
            .filter(|row| !row.state.is_final())
            .count()
    }

    fn done(&self) -> impl Iterator<Item = &Execution> {
        self.executions
            .iter()
            .filter(|row| row.state == State::Done)
    }

    fn effects(&self) -> BTreeMap<Effect, usize> {
        count(self.done().map(|row| {
            let amount = match row.action {
                Action::AddMargin { amount } => Some(amount.0),
                _ => None,
            };
            (row.position.to_string(), row.action.as_str(), amount)
        }))
    }
}

impl Stage {
    pub async fn books(&self) -> Books {
        let store = self.store().await;
        let journal = Journal::new(store.clone(), Epoch::NONE);
        let filter = Filter {
            limit: ALL,
            ..Filter::default()
        };
        let mut executions = journal.executions(&filter).await.unwrap();
        let filter = AuditFilter {
            limit: ALL,
            ..AuditFilter::default()
        };
        let mut audit = journal.audit_entries(&filter).await.unwrap();
        store.close().await;
        assert_eq!(executions.unreadable, []);
        assert_eq!(audit.unreadable, []);
        executions.rows.reverse();
        audit.rows.reverse();
        Books {
            executions: executions.rows,
            audit: audit.rows,
        }
    }

    /// What was applied by request and could be a guard's doing.
    pub fn effects(&self) -> Vec<LedgerEntry> {
        let mut ledger = self.control.ledger();
        ledger.retain(|entry| {
            entry.source == LedgerSource::Api
                && matches!(entry.kind, LedgerKind::MarginAdded | LedgerKind::Closed)
        });
        ledger
    }

    /// Waits until the books say what is wanted and nothing is unfinished.
    pub async fn settled(&self, watchman: &Watchman, wanted: impl Fn(&Books) -> bool) -> Books {
        let deadline = self.clock.mono() + SETTLED_WITHIN;
        loop {
            let books = self.books().await;
            if books.unfinished() == 0 && wanted(&books) {
                return books;
            }
            assert!(
                self.clock.mono() < deadline,
                "not settled: {:#?}\nledger: {:#?}\nlog:\n{}",
                books.executions,
                self.effects(),
                watchman.told()
            );
            tokio::time::sleep(BEAT).await;
        }
    }

    /// Stops the watchman, and holds journal, ledger and audit log against each other.
    pub async fn agree_after_stop(&self, watchman: Watchman) -> Books {
        watchman.stop().await;
        let books = self.books().await;
        self.assert_agreement(&books);
        books
    }

    fn assert_agreement(&self, books: &Books) {
        let applied = count(self.effects().into_iter().map(|entry| {
            let trade = entry.trade_id.to_string();
            match entry.kind {
                LedgerKind::MarginAdded => (trade, "add_margin", entry.amount),
                _ => (trade, "close_position", None),
            }
        }));
        assert_eq!(books.effects(), applied, "journal and ledger: {books:#?}");
        let liquidated = |entry: &LedgerEntry| entry.kind == LedgerKind::Liquidated;
        assert!(!self.control.ledger().iter().any(liquidated), "liquidated");
        let unsettled: Vec<_> = books
            .executions
            .iter()
            .filter(|row| !row.state.is_final() || row.state == State::Uncertain)
            .collect();
        assert!(unsettled.is_empty(), "{unsettled:#?}");
        let done = count(books.done().map(|row| row.id));
        let told = count(books.audit.iter().map(|entry| entry.execution));
        assert_eq!(told, done, "audit log and journal");
        assert!(
            done.values().all(|times| *times == 1),
            "one entry for each: {done:?}"
        );
    }
}

fn count<K: Ord>(items: impl Iterator<Item = K>) -> BTreeMap<K, usize> {
    let mut counts = BTreeMap::new();
    for item in items {
        *counts.entry(item).or_default() += 1;
    }
    counts
}
