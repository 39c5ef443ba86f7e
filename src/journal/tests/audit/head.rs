//! The head that is noted outside of the database: that it reaches the disk, and what is told of it.

use std::time::Duration;

use super::*;

/// The disk is asked about once a second.
const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_noted_head_reaches_the_disk_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let set = Set::chained(folder.path(), 3).await;
    let reached = async {
        while !set.journal.audit_head_is_durable() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, reached).await.unwrap();
    assert_eq!(set.journal.audit_head().unwrap().seq, 3);
    assert_eq!(set.journal.audit_trouble(), HeadTrouble::default());
}

#[tokio::test]
async fn a_head_that_is_disputed_stays_told_until_somebody_takes_it_away() {
    let folder = tempfile::tempdir().unwrap();
    let set = Set::chained(folder.path(), 3).await;
    set.tampered("DELETE FROM automation_logs WHERE seq = 3")
        .await;
    set.at_state(4, State::Done).await;
    let disputed = HeadTrouble {
        is_disputed: true,
        ..HeadTrouble::default()
    };
    assert_eq!(set.journal.audit_trouble(), disputed);
    let next = set.journal.clone().witnessed(folder.path()).await.unwrap();
    assert_eq!(next.audit_trouble(), disputed, "by the next process, too");
    std::fs::remove_file(folder.path().join("audit.head.disputed")).unwrap();
    assert_eq!(next.audit_trouble(), HeadTrouble::default());
}

#[tokio::test]
async fn a_damaged_note_is_told_and_so_is_a_folder_that_takes_none() {
    let folder = tempfile::tempdir().unwrap();
    let head = folder.path().join("audit.head");
    std::fs::write(&head, "rubbish").unwrap();
    let set = Set::chained(folder.path(), 1).await;
    assert!(set.journal.audit_trouble().is_unreadable);

    let folder = tempfile::tempdir().unwrap();
    let mut set = Set::chained(folder.path(), 1).await;
    let gone = folder.path().join("gone");
    set.journal = set.journal.clone().witnessed(&gone).await.unwrap();
    assert!(set.journal.audit_trouble().is_unwritten);
    std::fs::create_dir(&gone).unwrap();
    set.at_state(2, State::Done).await;
    assert!(!set.journal.audit_trouble().is_unwritten);
}
