//! The store on a server of PostgreSQL: what it alone has.

use std::time::Duration;

use futures_util::future::join_all;
use sea_orm::ConnectionTrait;

use super::testing::{Fixture, at};
use super::tests::new_account;
use super::*;
use crate::clock::Clock;

const TERMS: LeaseTerms = LeaseTerms {
    renew: Duration::from_millis(40),
    stop_sending: Duration::from_millis(200),
    expire: Duration::from_millis(600),
};
const ALPHA: Claimant<'static> = Claimant {
    holder: "pid 1 on host alpha",
    instance: "alpha",
};
const BETA: Claimant<'static> = Claimant {
    holder: "pid 2 on host beta",
    instance: "beta",
};

async fn one_text(db: &DatabaseConnection, sql: &str) -> Result<String, StoreError> {
    let query = sea_orm::Statement::from_string(db.get_database_backend(), sql);
    Ok(db.query_one_raw(query).await?.unwrap().try_get("", "it")?)
}

#[tokio::test]
async fn all_that_is_ours_lies_in_a_schema_of_its_own_and_every_connection_is_configured() {
    let fixture = Fixture::on_a_server().await;
    let store = &fixture.store;
    let tables = "SELECT string_agg(DISTINCT schemaname, ',') AS it FROM pg_tables \
                  WHERE schemaname NOT IN ('pg_catalog', 'information_schema')";
    let schemas = store.read(async |db| one_text(db, tables).await);
    assert_eq!(schemas.await.unwrap(), "vigia");
    let settings = "SELECT concat_ws(' ', current_schema(), current_setting('lock_timeout'), \
                    current_setting('transaction_isolation'), \
                    current_setting('synchronous_commit'), \
                    current_setting('default_transaction_read_only')) AS it";
    let reads = join_all((0..8).map(|_| store.read(async |db| one_text(db, settings).await))).await;
    for found in reads {
        assert_eq!(found.unwrap(), "vigia 4s read committed on on");
    }
    let written = store.write(Kind::Alone, move |db| {
        Box::pin(async move {
            let DatabaseExecutor::Connection(db) = db else {
                panic!("a connection");
            };
            one_text(db, settings).await
        })
    });
    assert_eq!(written.await.unwrap(), "vigia 4s read committed on off");
    let refused = store.read(async |db| {
        Ok::<_, StoreError>(db.execute_unprepared("DELETE FROM automations").await?)
    });
    assert!(refused.await.is_err(), "a reader must not write");
}

#[tokio::test]
async fn a_server_that_writes_to_disk_later_is_told_to_write_now() {
    let fixture = Fixture::on_a_server().await;
    fixture
        .sql("ALTER ROLE vigia SET synchronous_commit = off; ALTER ROLE vigia SET search_path = x")
        .await;
    let store = fixture.second().await;
    store.add_account(new_account("a"), at(1)).await.unwrap();
    let settings = "SELECT concat_ws(' ', current_schema(), \
                    current_setting('synchronous_commit')) AS it";
    let found = store.read(async |db| one_text(db, settings).await).await;
    assert_eq!(found.unwrap(), "vigia on");
}

#[tokio::test]
async fn a_user_who_may_make_no_schema_can_use_the_one_that_stands() {
    let fixture = Fixture::on_a_server().await;
    let url = fixture.url().replace("//vigia@", "//guest:hunter2@");
    fixture
        .sql("CREATE ROLE guest LOGIN PASSWORD 'hunter2'; DROP SCHEMA vigia CASCADE")
        .await;
    let guest = Store::open(&url, None).await.unwrap();
    let error = guest.migrate().await.unwrap_err().to_string();
    assert!(error.contains("grant"), "{error}");
    fixture
        .sql("CREATE SCHEMA vigia; GRANT ALL ON SCHEMA vigia TO guest")
        .await;
    guest.migrate().await.unwrap();
    assert!(guest.accounts().await.unwrap().rows.is_empty());
}

#[tokio::test]
async fn what_cannot_be_reached_is_told_at_once_and_without_the_password() {
    let mut fixture = Fixture::on_a_server().await;
    let url = fixture.url();
    for (url, says) in [
        (
            url.replace("/vigia", "/other")
                .replace("//other", "//vigia"),
            "no such database",
        ),
        (
            url.replace("//vigia@", "//nobody:hunter2@"),
            "refuses the login",
        ),
        (url.clone() + "?sslmode=require", "TLS"),
        (
            "postgres://u:hunter2@127.0.0.1:1/db".to_owned(),
            "whether it runs",
        ),
    ] {
        let error = Store::open(&url, None).await.unwrap_err().to_string();
        assert!(
            error.contains(says) && !error.contains("hunter2"),
            "{url}: {error}"
        );
    }
    fixture.server.as_mut().unwrap().stop();
    let error = Store::open(&url, None).await.unwrap_err().to_string();
    assert!(error.contains("whether it runs"), "{error}");
}

#[tokio::test]
async fn over_tls_the_server_is_who_its_certificate_says_or_it_is_refused() {
    let mut fixture = Fixture::on_a_server().await;
    let server = fixture.server.as_mut().unwrap();
    let authority = server.make_certificate();
    fixture.sql("ALTER SYSTEM SET ssl = on").await;
    let server = fixture.server.as_mut().unwrap();
    server.stop();
    server.start_again();
    let url = fixture.url();
    let known = format!("sslrootcert={}", authority.display());
    let used = "SELECT version AS it FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    for mode in ["require", "verify-full"] {
        let url = format!("{url}?sslmode={mode}&{known}");
        let store = Store::open(&url, None).await.unwrap();
        let version = store.read(async |db| one_text(db, used).await).await;
        assert_eq!(version.unwrap(), "TLSv1.3", "{mode}");
        assert!(store.accounts().await.unwrap().rows.is_empty());
        store.close().await;
    }
    for (url, why) in [
        (format!("{url}?sslmode=verify-full"), "an unknown authority"),
        (
            format!("{url}?sslmode=verify-full&{known}").replace("127.0.0.1", "localhost"),
            "another name",
        ),
    ] {
        let error = Store::open(&url, None).await.expect_err(why).to_string();
        assert!(error.contains("TLS"), "{why}: {error}");
    }
}

#[tokio::test]
async fn two_that_migrate_at_once_do_not_meet() {
    let fixture = Fixture::on_a_server().await;
    fixture.sql("DROP SCHEMA vigia CASCADE").await;
    let stores = join_all((0..4).map(|_| fixture.second())).await;
    let migrated = join_all(stores.iter().map(Store::migrate)).await;
    let steps = migrated
        .into_iter()
        .map(|report| report.unwrap().steps.len());
    let mut steps: Vec<_> = steps.collect();
    steps.sort_unstable();
    assert_eq!(steps[..3], [0, 0, 0]);
    assert!(steps[3] >= 6, "{steps:?}");
}

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

#[tokio::test]
async fn a_lease_is_one_owners_until_it_ends_and_each_claim_has_a_greater_epoch() {
    let fixture = Fixture::on_a_server().await;
    let (here, there) = (&fixture.store, fixture.second().await);
    let long = Duration::from_secs(600);
    assert_eq!(here.leaseholder(ALPHA).await.unwrap(), None);
    let claims = join_all((0..6).map(|n| {
        let claimant = Claimant {
            instance: ["a", "b", "c", "d", "e", "f"][n],
            ..ALPHA
        };
        there.claim_lease(claimant, long)
    }));
    let claims = claims.await.into_iter().map(Result::unwrap);
    let taken = claims.filter(|claim| matches!(claim, Claim::Taken(_)));
    assert_eq!(taken.count(), 1, "two at once");
    there.release_lease(Epoch(1)).await.unwrap();

    assert_eq!(
        here.claim_lease(ALPHA, long).await.unwrap(),
        Claim::Taken(Epoch(2))
    );
    let Claim::Held(owner) = there.claim_lease(BETA, long).await.unwrap() else {
        panic!("two owners");
    };
    assert_eq!(
        (owner.holder.as_str(), owner.epoch),
        (ALPHA.holder, Epoch(2))
    );
    assert!(owner.expires_in.unwrap() > Duration::from_secs(590));
    let seen = there.leaseholder(BETA).await.unwrap().unwrap();
    assert_eq!((seen.holder, seen.epoch), (owner.holder, owner.epoch));
    // Itself, after its death: it holds the folder, so nobody else can be it.
    assert_eq!(here.leaseholder(ALPHA).await.unwrap(), None);
    assert_eq!(
        here.claim_lease(ALPHA, long).await.unwrap(),
        Claim::Taken(Epoch(3))
    );
    assert!(
        !here.renew_lease(Epoch(2), long).await.unwrap(),
        "it was taken"
    );
    here.release_lease(Epoch(2)).await.unwrap();
    assert!(
        there.leaseholder(BETA).await.unwrap().is_some(),
        "not its to release"
    );
    here.release_lease(Epoch(3)).await.unwrap();
    assert_eq!(
        there.claim_lease(BETA, long).await.unwrap(),
        Claim::Taken(Epoch(4))
    );
}

#[tokio::test]
async fn a_lease_that_is_not_renewed_stops_its_owner_before_another_can_have_it() {
    let mut fixture = Fixture::on_a_server().await;
    let clock = Clock::start();
    let asked = clock.mono();
    let claimed = fixture.store.claim_lease(ALPHA, TERMS.expire).await;
    assert_eq!(claimed.unwrap(), Claim::Taken(Epoch(1)));
    let lease = Lease::new(Epoch(1), TERMS, clock, asked);
    // Longer than it lasts: renewed all the while.
    let kept = tokio::time::timeout(TERMS.expire * 2, lease.keep(&fixture.store)).await;
    assert!(kept.is_err(), "{kept:?}");
    lease.check().unwrap();
    let other = fixture.second().await;
    assert!(other.leaseholder(BETA).await.unwrap().is_some());

    // The server goes; sending stops; it comes back, and with it the right.
    fixture.server.as_mut().unwrap().stop();
    let until = async |stale: bool| {
        while lease.check().is_err() != stale {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        lost = lease.keep(&fixture.store) => panic!("{lost:?}"),
        () = until(true) => {}
    }
    fixture.server.as_mut().unwrap().start_again();
    tokio::select! {
        lost = lease.keep(&fixture.store) => panic!("{lost:?}"),
        () = until(false) => {}
    }
    // Nobody renews: the other waits as long as it is told to, and no longer.
    let owner = other.leaseholder(BETA).await.unwrap().unwrap();
    tokio::time::sleep(owner.expires_in.unwrap()).await;
    assert!(lease.check().is_err(), "two may send");
    let taken = other.claim_lease(BETA, TERMS.expire).await.unwrap();
    assert_eq!(taken, Claim::Taken(Epoch(2)));
    let lost = lease.keep(&fixture.store).await;
    assert_eq!(lost.holder.as_deref(), Some(BETA.holder));
}

#[tokio::test]
#[ignore = "waits out a real timeout"]
async fn a_process_that_is_stopped_inside_a_transaction_keeps_nobody_from_the_right() {
    let fixture = Fixture::on_a_server().await;
    let claimed = fixture.store.claim_lease(ALPHA, TERMS.expire).await;
    assert_eq!(claimed.unwrap(), Claim::Taken(Epoch(1)));
    let (held, holding) = tokio::sync::oneshot::channel();
    let patient = fixture.store.with_patience(Duration::from_secs(60));
    let stopped = patient.write(Kind::Several, move |db| {
        Box::pin(async move {
            db.execute_unprepared("UPDATE owners SET holder = holder")
                .await?;
            let _ = held.send(());
            std::future::pending::<Result<(), StoreError>>().await
        })
    });
    let other = fixture.second().await.with_patience(Duration::from_secs(6));
    let claiming = async {
        holding.await.unwrap();
        loop {
            match other.claim_lease(BETA, TERMS.expire).await {
                Ok(claim) => break claim,
                Err(StoreError::Unavailable { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    };
    let claiming = tokio::time::timeout(Duration::from_secs(9), claiming);
    tokio::select! {
        stopped = stopped => panic!("{stopped:?}"),
        claim = claiming => assert_eq!(claim.unwrap(), Claim::Taken(Epoch(2))),
    }
}
