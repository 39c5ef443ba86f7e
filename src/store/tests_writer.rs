//! In which order what waits is written, and what of it stands where some of it fails.

use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use sea_orm::ConnectionTrait;
use tokio::sync::oneshot;

use super::testing::Fixture;
use super::*;

/// Holds the writer until it is told to go on.
fn held(store: &Store) -> (impl Future<Output = ()>, oneshot::Sender<()>) {
    let (release, released) = oneshot::channel();
    let store = store.clone();
    let holding = async move {
        let held = store.write(Kind::Several, move |_| {
            Box::pin(async move {
                let _ = released.await;
                Ok::<_, StoreError>(())
            })
        });
        held.await.unwrap();
    };
    (holding, release)
}

#[tokio::test]
async fn what_an_order_waits_for_is_written_before_what_came_earlier_and_can_wait() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let order = Arc::new(Mutex::new(vec![]));
    let (holding, release) = held(store);
    let note = |name: &'static str| {
        let order = Arc::clone(&order);
        move |_: &DatabaseExecutor<'_>| {
            order.lock().unwrap().push(name);
        }
    };
    let again = |turn, name| {
        let note = note(name);
        store.write_again(turn, Kind::Several, move |db| {
            note(db);
            Box::pin(async { Ok::<_, StoreError>(()) })
        })
    };
    let first = {
        let note = note("hold back");
        store.write_first(Kind::Several, move |db| {
            note(db);
            Box::pin(async { Ok::<_, StoreError>(()) })
        })
    };
    let (.., other, fire, out, back) = tokio::join!(
        holding,
        async {
            // Whatever else is written has found its place by then.
            tokio::task::yield_now().await;
            release.send(()).unwrap();
        },
        again(Turn::Other, "other"),
        again(Turn::Fire, "fire"),
        again(Turn::LetOut, "let out"),
        first,
    );
    for answer in [other, fire, out, back] {
        answer.unwrap();
    }
    let order = order.lock().unwrap();
    assert_eq!(*order, ["hold back", "let out", "fire", "other"]);
}

/// Each inserts, some fail then, and some are refused by the database itself.
#[tokio::test]
async fn in_one_batch_of_what_may_run_again_only_what_fails_is_undone() {
    const MANY: usize = 30;
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let (holding, release) = held(store);
    let writing = (0..MANY).map(|n| {
        store.write_again(Turn::Other, Kind::Several, move |db| {
            Box::pin(async move {
                let sql = format!(
                    "INSERT INTO owners (name, holder, epoch, claimed_at) \
                     VALUES ('{n}', 'x', 1, '2026-01-01T00:00:00Z')"
                );
                db.execute_unprepared(&sql).await?;
                match n % 3 {
                    0 => Ok(n),
                    1 => Err(StoreError::Refused(n.to_string())),
                    _ => {
                        db.execute_unprepared(&sql).await?;
                        Ok(n)
                    }
                }
            })
        })
    });
    let ((), answers, ()) = tokio::join!(holding, join_all(writing), async {
        tokio::task::yield_now().await;
        release.send(()).unwrap();
    });
    for (n, answer) in answers.into_iter().enumerate() {
        match n % 3 {
            0 => assert_eq!(answer, Ok(n)),
            1 => assert_eq!(answer, Err(StoreError::Refused(n.to_string()))),
            _ => assert!(answer.is_err(), "{n} stands twice"),
        }
    }
    let counting = store.read(async |db| {
        let sql = "SELECT count(*) AS count FROM owners".to_owned();
        let query = sea_orm::Statement::from_string(db.get_database_backend(), sql);
        let row = db.query_one_raw(query).await?.unwrap();
        Ok::<i64, StoreError>(row.try_get("", "count")?)
    });
    assert_eq!(counting.await.unwrap(), 10);
}
