//! The journal held against the exchange's ledger: the two must say the same.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use vigia::domain::execution::{Action, State};
use vigia::journal::{AuditFilter, AuditRow, Execution, Filter, Flaw, Journal};
use vigia::simulator::{LedgerEntry, LedgerKind};
use vigia::store::{Epoch, Store};

use crate::effects::is_an_effect;
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

/// On what (a trade, or an order by its client id), what was done, satoshis.
type Effect = (String, LedgerKind, Option<i64>);

impl Books {
    pub async fn read(store: &Store) -> Self {
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
        assert_eq!(executions.unreadable, []);
        assert_eq!(audit.unreadable, []);
        executions.rows.reverse();
        audit.rows.reverse();
        Self {
            executions: executions.rows,
            audit: audit.rows,
        }
    }

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

    pub fn unfinished(&self) -> usize {
        self.executions
            .iter()
            .filter(|row| !row.state.is_final())
            .count()
    }

    pub fn done(&self) -> impl Iterator<Item = &Execution> {
        self.executions
            .iter()
            .filter(|row| row.state == State::Done)
    }

    /// What must have been applied at the exchange.
    fn effects(&self) -> HashMap<Effect, usize> {
        count(self.executions.iter().flat_map(effects_of))
    }
}

/// What an execution that stands so must have applied.
fn effects_of(row: &Execution) -> Vec<Effect> {
    let (trade, order, any) = (row.position.to_string(), row.id.client_id(), String::new());
    let closed = (trade.clone(), LedgerKind::Closed, None);
    match (row.state, row.action) {
        (State::Done, action) => match action {
            Action::AddMargin { amount } => vec![(trade, LedgerKind::MarginAdded, Some(amount.0))],
            Action::ClosePosition | Action::CloseToReopen { .. } => vec![closed],
            Action::Reopen(_) => vec![closed, (order, LedgerKind::Filled, None)],
            Action::UpdateTp { .. } => vec![(trade, LedgerKind::TakeprofitSet, None)],
            Action::UpdateSl { .. } => vec![(trade, LedgerKind::StoplossSet, None)],
            Action::Open(_) => vec![(order, LedgerKind::Filled, None)],
            Action::CrossClose { .. } => vec![(any, LedgerKind::CrossClosed, None)],
            Action::CrossReduce { .. } | Action::CrossOpen(_) => {
                vec![(order, LedgerKind::CrossFilled, None)]
            }
            Action::CrossDeposit { amount } => {
                vec![(any, LedgerKind::CrossDeposited, Some(amount.0))]
            }
        },
        // Half a reduction.
        (State::Failed, _) if row.reason.as_deref() == Some("closed_not_reopened") => vec![closed],
        _ => vec![],
    }
}

/// What an entry of the ledger is compared by.
fn effect_of(entry: LedgerEntry) -> Effect {
    let subject = match entry.kind {
        LedgerKind::Filled | LedgerKind::CrossFilled => entry.client_id.unwrap_or_default(),
        LedgerKind::CrossClosed | LedgerKind::CrossDeposited => String::new(),
        _ => entry.trade_id.to_string(),
    };
    let amount = match entry.kind {
        LedgerKind::MarginAdded | LedgerKind::CrossDeposited => entry.amount,
        _ => None,
    };
    (subject, entry.kind, amount)
}

impl Stage {
    pub async fn books(&self) -> Books {
        let store = self.store().await;
        let books = Books::read(&store).await;
        store.close().await;
        books
    }

    /// What was applied by request and could be a rule's doing.
    pub fn effects(&self) -> Vec<LedgerEntry> {
        let mut ledger = self.control.ledger();
        ledger.retain(is_an_effect);
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

    /// Waits until something is done, and stops the watchman: it was one execution, with one effect.
    pub async fn done_once(&self, watchman: Watchman) {
        self.settled(&watchman, |books| books.states().contains(&State::Done))
            .await;
        let books = self.agree_after_stop(watchman).await;
        assert_eq!(books.states(), [State::Done], "{books:#?}");
        assert_eq!(self.effects().len(), 1, "{:#?}", self.effects());
    }

    /// Stops the watchman, and holds journal, ledger and audit log against each other.
    pub async fn agree_after_stop(&self, watchman: Watchman) -> Books {
        watchman.stop().await;
        let books = self.books().await;
        self.assert_agreement(&books);
        self.assert_chained().await;
        books
    }

    /// Whatever was killed, the audit log's entries are one chain, and no noted head is missing. On a
    /// server it may be noted in another process's folder.
    async fn assert_chained(&self) {
        let store = self.store().await;
        let journal = Journal::new(store.clone(), Epoch::NONE);
        let found = journal.verify_audit(self.data_dir(), &[], |_| {});
        let mut found = found.await.unwrap();
        let is_elsewhere = store.is_shared();
        found
            .flaws
            .retain(|flaw| !(is_elsewhere && matches!(flaw, Flaw::NoHead { .. })));
        assert!(found.is_whole(), "{found:#?}");
        store.close().await;
    }

    fn assert_agreement(&self, books: &Books) {
        let applied = count(self.effects().into_iter().map(effect_of));
        assert_eq!(books.effects(), applied, "journal and ledger: {books:#?}");
        let liquidated = |entry: &LedgerEntry| {
            matches!(
                entry.kind,
                LedgerKind::Liquidated | LedgerKind::CrossLiquidated
            )
        };
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

fn count<K: Eq + Hash>(items: impl Iterator<Item = K>) -> HashMap<K, usize> {
    let mut counts = HashMap::new();
    for item in items {
        *counts.entry(item).or_default() += 1;
    }
    counts
}
