//! The chain of the audit log, and what somebody with the database but without the key may do to it.

mod head;

use std::path::Path;

use sea_orm::ConnectionTrait;

use super::*;

impl Set {
    /// Executions done, by a journal that notes heads in a folder of its own.
    async fn chained(folder: &Path, count: u128) -> Self {
        let mut set = Self::new().await;
        set.journal = set.journal.clone().witnessed(folder).await.unwrap();
        for n in 1..=count {
            set.at_state(n, State::Done).await;
        }
        set
    }

    async fn tampered(&self, sql: &'static str) {
        let other = self.fixture.second().await;
        let write = other.write(Kind::Several, move |db| {
            Box::pin(async move {
                db.execute_unprepared(sql).await?;
                Ok::<_, StoreError>(())
            })
        });
        write.await.unwrap();
        other.close().await;
    }

    async fn verified(&self, folder: &Path) -> Verified {
        let verified = self.journal.verify_audit(folder, &[], |_| {});
        verified.await.unwrap()
    }
}

fn seqs(verified: &Verified) -> Vec<String> {
    verified.flaws.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn each_entry_is_bound_to_the_one_before_and_the_head_is_noted_outside() {
    let folder = tempfile::tempdir().unwrap();
    let set = Set::chained(folder.path(), 5).await;
    let found = set.verified(folder.path()).await;
    assert_eq!((found.entries, found.unhashed), (5, 0));
    assert_eq!(found.flaws, []);
    assert_eq!(found.head, set.journal.audit_head());
    let page = set.journal.audit_page(0).await.unwrap();
    assert_eq!(page[0].prev_hash, None);
    for pair in page.windows(2) {
        assert_eq!(pair[1].prev_hash, pair[0].hash);
    }
    let noted = std::fs::read_to_string(folder.path().join("audit.head")).unwrap();
    assert!(noted.contains(&found.head.unwrap().to_string()), "{noted}");
    // Head and chain go on in the next process.
    let again = set.journal.clone().witnessed(folder.path()).await.unwrap();
    assert_eq!(again.audit_head(), set.journal.audit_head());
    assert!(!folder.path().join("audit.head.disputed").exists());
}

#[tokio::test]
async fn every_change_without_the_key_is_told_by_its_number() {
    let copied = "INSERT INTO automation_logs (automation_id, execution_id, account_id, type, message, \
                  data, timestamp, prev_hash, hash) SELECT automation_id, 'other', account_id, type, \
                  message, data, timestamp, prev_hash, hash FROM automation_logs WHERE seq = 3";
    let swapped = "UPDATE automation_logs SET seq = 100 WHERE seq = 2; \
                   UPDATE automation_logs SET seq = 2 WHERE seq = 3; \
                   UPDATE automation_logs SET seq = 3 WHERE seq = 100";
    for (sql, told) in [
        (
            "UPDATE automation_logs SET message = 'x' WHERE seq = 3",
            "entry 3 was changed",
        ),
        (
            "UPDATE automation_logs SET data = '{}' WHERE seq = 3",
            "entry 3 was changed",
        ),
        (
            "UPDATE automation_logs SET timestamp = '2020' WHERE seq = 1",
            "entry 1 was changed",
        ),
        (
            "UPDATE automation_logs SET account_id = 'x' WHERE seq = 5",
            "entry 5 was changed",
        ),
        (
            "UPDATE automation_logs SET hash = 'v1.a.b' WHERE seq = 2",
            "entry 2 was made under another",
        ),
        (
            "UPDATE automation_logs SET hash = NULL WHERE seq = 4",
            "entry 4 has no hash",
        ),
        (
            "UPDATE automation_logs SET hash = NULL WHERE seq = 1",
            "entry 2 stands first",
        ),
        (
            "DELETE FROM automation_logs WHERE seq = 1",
            "entry 2 stands first",
        ),
        (
            "DELETE FROM automation_logs WHERE seq = 3",
            "entry 4 does not follow on entry 2",
        ),
        (
            "DELETE FROM automation_logs WHERE seq = 5",
            "entry 5 stood in the log",
        ),
        (
            "DELETE FROM automation_logs WHERE seq > 1",
            "entry 5 stood in the log",
        ),
        ("DELETE FROM automation_logs", "entry 5 stood in the log"),
        (copied, "entry 6 does not follow on entry 5"),
        (swapped, "entry 2 does not follow on entry 1"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let set = Set::chained(folder.path(), 5).await;
        set.tampered(sql).await;
        let found = set.verified(folder.path()).await;
        let flaws = seqs(&found);
        assert!(
            flaws.iter().any(|flaw| flaw.contains(told)),
            "{sql}: {flaws:?}"
        );
    }
}

#[tokio::test]
async fn a_tail_cut_while_it_runs_is_not_hidden_by_what_is_written_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let set = Set::chained(folder.path(), 3).await;
    let lost = set.journal.audit_head().unwrap();
    set.tampered("DELETE FROM automation_logs WHERE seq = 3")
        .await;
    set.at_state(4, State::Done).await;
    let found = set.verified(folder.path()).await;
    let [flaw] = &found.flaws[..] else {
        panic!("{found:?}");
    };
    assert!(
        matches!(flaw, Flaw::HeadMissing { seq, noted } if *seq == lost.seq && noted.ends_with("disputed")),
        "{flaw}"
    );
}

#[tokio::test]
async fn a_tail_cut_between_two_runs_is_kept_on_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut set = Set::chained(folder.path(), 3).await;
    set.tampered("DELETE FROM automation_logs WHERE seq = 3")
        .await;
    set.journal = set.journal.clone().witnessed(folder.path()).await.unwrap();
    set.at_state(4, State::Done).await;
    assert_eq!(set.verified(folder.path()).await.flaws.len(), 1);
    // A head that somebody kept elsewhere says so, too.
    let kept = tempfile::tempdir().unwrap();
    let given = [Link {
        seq: 3,
        hash: "v1.a.b".into(),
    }];
    let verified = set.journal.verify_audit(kept.path(), &given, |_| {});
    let flaws = seqs(&verified.await.unwrap());
    assert!(flaws[0].contains("--head"), "{flaws:?}");
}

#[tokio::test]
async fn without_a_noted_head_or_with_a_damaged_one_nothing_is_said_to_be_whole() {
    let folder = tempfile::tempdir().unwrap();
    let set = Set::chained(folder.path(), 2).await;
    let head = folder.path().join("audit.head");
    std::fs::write(&head, "rubbish").unwrap();
    let refused = set.journal.verify_audit(folder.path(), &[], |_| {}).await;
    assert!(refused.unwrap_err().to_string().contains("audit.head"));
    std::fs::remove_file(&head).unwrap();
    let found = set.verified(folder.path()).await;
    assert!(
        matches!(&found.flaws[..], [Flaw::NoHead { .. }]),
        "{found:?}"
    );
}

#[tokio::test]
async fn two_processes_that_write_at_once_make_one_chain() {
    let folder = tempfile::tempdir().unwrap();
    let set = Set::chained(folder.path(), 1).await;
    let store = set.fixture.second().await;
    let other = Journal::new(store, set.journal.epoch());
    let mut done = vec![];
    for n in 10..50 {
        let id = set.at_state(n, State::Sending).await;
        let journal = if n % 2 == 0 { &set.journal } else { &other };
        done.push(journal.done(id, json!({}), set.entry(id), at(12)));
    }
    for done in join_all(done).await {
        done.unwrap();
    }
    let found = set.verified(folder.path()).await;
    assert_eq!((found.entries, found.flaws), (41, vec![]));
    other.store().close().await;
}

#[tokio::test]
async fn an_entry_under_another_master_key_is_told_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let set = Set::chained(folder.path(), 2).await;
    let key = crate::store::Vault::generate_key_text().unwrap();
    let vault = crate::store::Vault::from_key_text(secrecy::ExposeSecret::expose_secret(&key));
    let store = crate::store::Store::open(&set.fixture.url(), Some(vault.unwrap())).await;
    let other = Journal::new(store.unwrap(), Epoch::NONE);
    let found = other
        .verify_audit(folder.path(), &[], |_| {})
        .await
        .unwrap();
    assert_eq!(found.flaws.len(), 2);
    assert!(
        matches!(found.flaws[0], Flaw::OtherKey { seq: 1, .. }),
        "{found:?}"
    );
    other.store().close().await;
}

#[tokio::test]
async fn an_entry_whose_answer_was_lost_is_noted_by_the_next_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let set = Set::new().await;
    let id = set.at_state(1, State::Done).await;
    let journal = set.journal.clone().witnessed(folder.path()).await.unwrap();
    let unaware = Journal::new(set.fixture.store.clone(), set.journal.epoch());
    assert_eq!(unaware.audit_head(), None);
    let again = unaware.done(id, json!({}), set.entry(id), at(13)).await;
    assert_eq!(again, Ok(Done::AlreadyDone));
    assert_eq!(unaware.audit_head(), journal.audit_head());
}
