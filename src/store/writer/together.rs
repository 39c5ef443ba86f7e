//! Many writes in one message to the database, where each statement would cost two hops to another
//! thread and back.

use std::mem;

use sea_orm::{
    ConnectionTrait, DatabaseExecutor, DatabaseTransaction, DbBackend, QueryResult, Statement,
    Values,
};

use super::job::Job;

/// How many writes go together at most. Only powers of two do, so that few texts are kept prepared.
const TOGETHER: usize = 32;

/// Runs jobs in their order within a transaction; says whether what they wrote may stay.
/// `together` is whether those that are alike may go in one message: then one that does not go as usual
/// fails.
pub(super) async fn run(
    transaction: &DatabaseTransaction,
    mut jobs: &mut [Box<dyn Job>],
    together: bool,
) -> bool {
    // What is alone has begun, whether or not anybody waits for it still.
    let alone = jobs.len() == 1;
    let together = together && transaction.get_database_backend() == DbBackend::Sqlite;
    let mut usual: Vec<Option<Vec<Statement>>> = jobs
        .iter()
        .map(|job| {
            let goes = together && (alone || !job.is_abandoned());
            goes.then(|| job.usual()).flatten()
        })
        .collect();
    let mut usual = usual.as_mut_slice();
    while !jobs.is_empty() {
        let count = alike(usual).max(1);
        let (now, later) = mem::take(&mut jobs).split_at_mut(count);
        let (their, others) = mem::take(&mut usual).split_at_mut(count);
        (jobs, usual) = (later, others);
        let statements: Vec<_> = their
            .iter_mut()
            .filter_map(Option::take)
            .flatten()
            .collect();
        let stay = match (now, statements.len()) {
            ([job], 0 | 1) => {
                (!alone && job.is_abandoned())
                    || job.run(&DatabaseExecutor::Transaction(transaction)).await
            }
            (now, _) => send(transaction, now, statements).await,
        };
        if !stay {
            return false;
        }
    }
    true
}

/// How many of the first are alike, so many of which may go together.
fn alike(usual: &[Option<Vec<Statement>>]) -> usize {
    let texts = |statements: &Option<Vec<Statement>>| {
        let statements = statements.as_ref()?.iter();
        Some(statements.map(|one| one.sql.clone()).collect::<Vec<_>>())
    };
    let Some(first) = usual.first().and_then(texts) else {
        return 1;
    };
    let same = |one: &&Option<Vec<Statement>>| {
        one.as_ref().is_some_and(|statements| {
            statements.len() == first.len()
                && statements.iter().zip(&first).all(|(a, b)| a.sql == *b)
        })
    };
    let count = usual.iter().take(TOGETHER).take_while(same).count();
    1 << count.max(1).ilog2()
}

async fn send(
    transaction: &DatabaseTransaction,
    jobs: &mut [Box<dyn Job>],
    statements: Vec<Statement>,
) -> bool {
    let (count, each) = (statements.len(), statements.len() / jobs.len());
    let mut sql = String::new();
    let mut values = vec![];
    for statement in statements {
        sql.push_str(&statement.sql);
        sql.push(';');
        values.extend(statement.values.into_iter().flatten());
    }
    let all = Statement {
        sql,
        values: Some(Values(values)),
        db_backend: DbBackend::Sqlite,
    };
    let Ok(rows) = transaction.query_all_raw(all).await else {
        return false;
    };
    rows.len() == count && {
        let rows: &[QueryResult] = &rows;
        let mut pairs = jobs.iter_mut().zip(rows.chunks(each));
        pairs.all(|(job, rows)| job.went_as_usual(rows))
    }
}
