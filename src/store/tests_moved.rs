//! A file that is taken away, or replaced, while it is open.

use super::testing::{Fixture, at};
use super::*;
use crate::domain::kill_switch::Reach;

#[tokio::test]
async fn nothing_is_written_to_a_file_that_nobody_would_find_and_all_is_well_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vigia.db");
    let store = Store::open(&format!("sqlite://{}", path.display()), None).await;
    let store = store.unwrap();
    store.migrate().await.unwrap();
    let on = || store.kill_switch_on(&Reach::Service, false, None, at(1));
    on().await.unwrap();
    let aside = folder.path().join("aside.db");
    let refused = |told: Result<(), StoreError>| match told {
        Err(StoreError::Unavailable { .. }) => told.unwrap_err().to_string(),
        other => panic!("{other:?}"),
    };

    std::fs::rename(&path, &aside).unwrap();
    let told = refused(on().await);
    assert!(
        told.contains("vigia.db") && told.contains("put back"),
        "{told}"
    );
    refused(store.kill_switches().await.map(drop));

    // Another file in its place is not it.
    std::fs::copy(&aside, &path).unwrap();
    refused(on().await);
    refused(store.kill_switches().await.map(drop));

    std::fs::rename(&aside, &path).unwrap();
    on().await.unwrap();
    assert_eq!(store.kill_switches().await.unwrap().rows.len(), 1);
    store.close().await;
}

#[tokio::test]
async fn a_server_has_no_file() {
    assert_eq!(Store::file("postgres://u@h/d"), Ok(None));
    let file = Store::file("sqlite:///d/vigia.db?mode=rwc").unwrap();
    assert_eq!(file.unwrap(), Path::new("/d/vigia.db"));
    let fixture = Fixture::new().await;
    assert!(fixture.store.accounts().await.is_ok());
}
