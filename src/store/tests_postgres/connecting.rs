//! How a server is reached: the schema, the settings, the login, TLS.

use super::*;

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
