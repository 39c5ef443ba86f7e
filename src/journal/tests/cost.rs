//! What an order costs at the database: how many statements, how many transactions. Each of them is
//! a part of the way from a price to its order, and so is whatever a statement looks through.

use sea_orm::{ConnectionTrait, DbBackend, Statement};

use super::*;
use crate::domain::protection::Protections;

/// What was asked of the writer's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cost {
    statements: u64,
    commits: u64,
    savepoints: u64,
}

fn cost(statements: u64, commits: u64) -> Cost {
    Cost {
        statements,
        commits,
        savepoints: 0,
    }
}

/// Limits of every kind, none of which binds.
const LIMITS: Limits = Limits {
    per_day: Some(1_000),
    in_all: Some(1_000),
    falls_back: false,
};
const PROTECTIONS: Protections = Protections {
    executions_per_day: Some(1_000),
    sats_per_day: Some(Sats(1_000_000)),
    failures_in_a_row: Some(3),
};

impl Set {
    fn spent(&self) -> Cost {
        let counts = self.fixture.store.write_counts();
        Cost {
            statements: counts.statements.read(),
            commits: counts.commits.read(),
            savepoints: counts.savepoints.read(),
        }
    }

    async fn costs<T>(&self, work: impl Future<Output = T>) -> (T, Cost) {
        let before = self.spent();
        let found = work.await;
        let after = self.spent();
        let spent = Cost {
            statements: after.statements - before.statements,
            commits: after.commits - before.commits,
            savepoints: after.savepoints - before.savepoints,
        };
        (found, spent)
    }

    async fn limited() -> Self {
        let set = Self::new().await;
        let journal = set.journal.clone().protecting(PROTECTIONS);
        Self { journal, ..set }
    }

    async fn done(&self, n: u128) -> Done {
        let entry = self.entry(execution(n));
        let done = self.journal.done(execution(n), json!({}), entry, at(12));
        done.await.unwrap()
    }
}

/// Of recording a success: the step, the entry it follows on, the entry, failures in a row forgotten; and
/// on a server the lock of the chain.
fn recording(set: &Set) -> u64 {
    if set.fixture.is_a_file() { 4 } else { 5 }
}

/// However it is limited, from the trigger to the order: one transaction of two statements, which a
/// file takes at once, and one statement.
#[tokio::test]
async fn one_order_costs_three_statements_and_two_commits() {
    for set in [Set::new().await, Set::limited().await] {
        let (opened, spent) = set.costs(set.open(1, 1)).await;
        assert!(matches!(opened, OpenedEpisode::Armed { .. }));
        assert_eq!(spent, cost(1, 1), "arming");
        let new = set.decided(1, 1, 1);
        let (fired, spent) = set.costs(set.journal.fire(new, LIMITS, at(10))).await;
        assert_eq!(fired.unwrap(), FireResult::Fired);
        let at_once = if set.fixture.is_a_file() { 1 } else { 2 };
        assert_eq!(spent, cost(at_once, 1), "firing");
        let (began, spent) = set.costs(set.begin(execution(1))).await;
        assert_eq!(began, Began::Sending { attempt: 1 });
        assert_eq!(spent, cost(1, 1), "letting out");
        let (done, spent) = set.costs(set.done(1)).await;
        assert_eq!(done, Done::Recorded);
        assert_eq!(spent, cost(recording(&set), 1), "recording");
    }
}

/// What stands is read: a start, or a restart of an account, writes nothing of its arming.
#[tokio::test]
async fn what_is_armed_already_costs_no_write() {
    let set = Set::new().await;
    let armed = set.open(1, 1).await;
    assert_eq!(set.costs(set.open(1, 1)).await, (armed, cost(0, 0)));
    assert_eq!(set.costs(set.open(1, 4)).await, (armed, cost(0, 0)));
    set.planned(2).await;
    let fired = set.open(2, 1).await;
    assert!(matches!(fired, OpenedEpisode::Fired { .. }));
    assert_eq!(set.costs(set.open(2, 1)).await, (fired, cost(0, 0)));
}

#[tokio::test]
async fn a_hundred_orders_at_once_share_commits_and_need_no_savepoints() {
    const MANY: u128 = 100;
    let set = Set::limited().await;
    let all = 1..=MANY;
    join_all(all.clone().map(|n| set.open(n, 1))).await;
    let firing = all.clone().map(|n| {
        let new = set.decided(n, n, 1);
        set.journal.fire(new, LIMITS, at(10))
    });
    let (fired, spent) = set.costs(join_all(firing)).await;
    assert!(fired.into_iter().all(|one| one == Ok(FireResult::Fired)));
    // In a file 32, 32, 32 and 4 at once.
    let (firings, beginnings) = if set.fixture.is_a_file() {
        (4, 4)
    } else {
        (200, 100)
    };
    assert_eq!(spent, cost(firings, 1), "firing");
    let beginning = all.clone().map(|n| set.begin(execution(n)));
    let (began, spent) = set.costs(join_all(beginning)).await;
    assert!(
        began
            .iter()
            .all(|one| *one == Began::Sending { attempt: 1 })
    );
    assert_eq!(spent, cost(beginnings, 1), "letting out");
}

/// Those that are refused are told why, and cost the others no savepoints; in a file, where all of them
/// went together, one more transaction.
#[tokio::test]
async fn who_is_refused_is_told_and_the_others_stand() {
    let set = Set::new().await;
    for n in 1..=3 {
        set.open(n, 1).await;
    }
    let firing = [(1, 1), (2, 7), (3, 1)].map(|(n, episode)| {
        let new = set.decided(n, n, episode);
        set.journal.fire(new, Limits::default(), at(10))
    });
    let (fired, spent) = set.costs(join_all(firing)).await;
    assert_eq!(
        (&fired[0], &fired[2]),
        (&Ok(FireResult::Fired), &Ok(FireResult::Fired))
    );
    assert!(matches!(fired[1], Err(JournalError::NotArmed { .. })));
    let commits = if set.fixture.is_a_file() { 2 } else { 1 };
    assert_eq!((spent.commits, spent.savepoints), (commits, 0));
}

/// An episode that is armed although its execution stands belongs to that execution.
#[tokio::test]
async fn an_armed_episode_whose_execution_stands_fires_no_second_one() {
    let set = Set::new().await;
    let first = set.planned(1).await;
    set.fixture
        .sql("UPDATE arming SET state = 'armed', execution_id = NULL")
        .await;
    let again = set
        .journal
        .fire(set.decided(2, 1, 1), Limits::default(), at(11));
    assert_eq!(again.await, Ok(FireResult::FiredBefore(first)));
    let stands = OpenedEpisode::Fired {
        episode: 1,
        execution: first,
    };
    assert_eq!(set.open(1, 1).await, stands);
    assert_eq!(
        set.journal
            .executions(&Filter::default())
            .await
            .unwrap()
            .rows
            .len(),
        1
    );
}

/// Whatever grows with time is looked up by an index on the way to an order.
#[tokio::test]
async fn no_statement_of_an_order_looks_through_what_grows() {
    const GROWING: [&str; 5] = [
        "executions",
        "others",
        "arming",
        "automations",
        "automation_logs",
    ];
    let set = Set::limited().await;
    set.open(1, 1).await;
    let from = set.fixture.store.write_counts().seen().len();
    let new = set.decided(1, 1, 1);
    let fired = set.journal.fire(new, LIMITS, at(10)).await;
    assert_eq!(fired, Ok(FireResult::Fired));
    assert_eq!(set.begin(execution(1)).await, Began::Sending { attempt: 1 });
    let seen = set.fixture.store.write_counts().seen().split_off(from);
    let seen = apart(seen);
    assert_eq!(seen.len(), 3);
    for statement in seen {
        let plan = set.plan(&statement).await;
        println!("{}\n{}\n", statement.sql, plan.join("\n"));
        for line in &plan {
            let scans = |table| {
                line.contains(&format!("SCAN {table}"))
                    || line.contains(&format!("Seq Scan on {table}"))
            };
            assert!(!GROWING.into_iter().any(scans), "{line}: {}", statement.sql);
            // Of what one account has done, no more than what counts today.
            let all_of_it = line.contains("SEARCH others") && !line.contains(" AND ");
            assert!(!all_of_it, "{line}: {}", statement.sql);
        }
    }
}

/// What was sent at once, one after the other.
fn apart(seen: Vec<Statement>) -> Vec<Statement> {
    let mut apart = vec![];
    for statement in seen {
        let mut values = statement.values.into_iter().flatten();
        let texts: Vec<_> = statement.sql.split_terminator(';').collect();
        for sql in &texts {
            let its = match texts.len() {
                1 => usize::MAX,
                _ => sql.matches('?').count(),
            };
            apart.push(Statement {
                sql: (*sql).to_owned(),
                values: Some(sea_orm::Values(values.by_ref().take(its).collect())),
                db_backend: statement.db_backend,
            });
        }
    }
    apart
}

impl Set {
    /// How the database goes about a statement.
    async fn plan(&self, statement: &Statement) -> Vec<String> {
        let explained = self.fixture.store.read(async |db| {
            let backend = db.get_database_backend();
            let (how, column) = match backend {
                DbBackend::Postgres => {
                    // A small table is looked through whatever its indices.
                    db.execute_unprepared("SET enable_seqscan = off").await?;
                    ("EXPLAIN", "QUERY PLAN")
                }
                _ => ("EXPLAIN QUERY PLAN", "detail"),
            };
            let explain = Statement {
                sql: format!("{how} {}", statement.sql),
                ..statement.clone()
            };
            let rows = db.query_all_raw(explain).await?;
            let lines = rows.iter().map(|row| row.try_get("", column));
            Ok::<Vec<String>, StoreError>(lines.collect::<Result<_, _>>()?)
        });
        explained.await.unwrap()
    }
}
