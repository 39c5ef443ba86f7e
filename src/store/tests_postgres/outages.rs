//! A server that goes, stands still or is busy.

use super::*;

#[tokio::test]
async fn a_server_that_restarts_or_crashes_is_met_again_and_what_was_answered_stands() {
    let mut fixture = Fixture::on_a_server().await;
    fixture.account("before").await;
    join_all((0..4).map(|_| fixture.store.accounts())).await;
    for round in ["stopped", "killed"] {
        let server = fixture.server.as_mut().unwrap();
        if round == "stopped" {
            server.stop();
        } else {
            server.kill();
        }
        let store = fixture.store.with_patience(Duration::from_millis(300));
        for error in [
            store.accounts().await.unwrap_err(),
            store
                .add_account(new_account("lost"), at(1))
                .await
                .unwrap_err(),
        ] {
            assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
        }
        fixture.server.as_mut().unwrap().start_again();
        fixture.account(round).await;
        let reads = join_all((0..4).map(|_| fixture.store.accounts())).await;
        for read in reads {
            let names: Vec<_> = read.unwrap().rows.into_iter().map(|row| row.name).collect();
            assert!(names.contains(&"before".to_owned()) && names.contains(&round.to_owned()));
        }
    }
}

#[tokio::test]
async fn a_server_that_stands_still_harms_only_while_it_does() {
    let fixture = Fixture::on_a_server().await;
    fixture.account("before").await;
    let server = fixture.server.as_ref().unwrap();
    server.freeze(true);
    let hasty = fixture.store.with_patience(Duration::from_millis(200));
    for error in [
        hasty.accounts().await.unwrap_err(),
        hasty
            .add_account(new_account("a"), at(1))
            .await
            .unwrap_err(),
        hasty
            .add_account(new_account("b"), at(1))
            .await
            .unwrap_err(),
    ] {
        assert!(
            error.to_string().contains("no answer within 200 ms"),
            "{error}"
        );
    }
    server.freeze(false);
    fixture.account("after").await;
    let rows = fixture.store.accounts().await.unwrap().rows;
    let names: Vec<_> = rows.iter().map(|row| row.name.as_str()).collect();
    // What nobody waits for any more is not begun.
    assert!(!names.contains(&"b"), "{names:?}");
}

#[tokio::test]
async fn a_lock_that_another_holds_is_named_and_a_lost_transaction_undoes_its_batch_alone() {
    let fixture = Fixture::on_a_server().await;
    fixture.account("main").await;
    fixture.sql("SET lock_timeout = '50ms'").await;
    let other = fixture.second().await;
    let (held, release) = (
        tokio::sync::oneshot::channel(),
        tokio::sync::oneshot::channel(),
    );
    let locking = other.write(Kind::Several, move |db| {
        Box::pin(async move {
            let sql = "UPDATE user_exchange_accounts SET network = network";
            db.execute_unprepared(sql).await?;
            let _ = held.0.send(());
            let _ = release.1.await;
            Ok::<_, StoreError>(())
        })
    });
    let waiting = async {
        held.1.await.unwrap();
        let error = fixture.store.set_account_active("main", false, at(2)).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains("another process holds a row"), "{error}");
        release.0.send(()).unwrap();
    };
    let (locked, ()) = tokio::join!(locking, waiting);
    locked.unwrap();
    let ended = fixture.store.write(Kind::Several, |db| {
        Box::pin(async move {
            db.execute_unprepared("SELECT pg_terminate_backend(pg_backend_pid())")
                .await?;
            Ok::<_, StoreError>(())
        })
    });
    let (ended, beside) = tokio::join!(ended, fixture.store.add_account(new_account("b"), at(3)));
    assert!(
        matches!(ended, Err(StoreError::Unavailable { .. })),
        "{ended:?}"
    );
    let rows = fixture.store.accounts().await.unwrap().rows;
    assert_eq!(rows.len() == 2, beside.is_ok(), "{beside:?}");
    fixture
        .store
        .set_account_active("main", false, at(4))
        .await
        .unwrap();
}
