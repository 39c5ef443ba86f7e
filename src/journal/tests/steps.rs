//! From which state each step may be taken, and that done comes with its audit entry.

use super::*;

type Step = (&'static str, State);

async fn step(set: &Set, name: &str, id: ExecutionId) -> Result<(), JournalError> {
    let journal = &set.journal;
    match name {
        "begin" => match journal.begin_sending(id, ADD, None, at(20)).await? {
            Began::Sending { .. } => Ok(()),
            Began::Refused(_) => Err(StoreError::Refused("refused".into()).into()),
        },
        "back" => journal.back_to_planned(id, "refused", at(20)).await,
        "done" => match journal.done(id, json!({}), set.entry(id), at(20)).await? {
            Done::Recorded => Ok(()),
            Done::AlreadyDone => Err(StoreError::Refused("already".into()).into()),
        },
        "fail" => journal.fail(id, "why", json!({}), at(20)).await.map(drop),
        "uncertain" => journal.uncertain(id, json!({}), at(20)).await.map(drop),
        "skip" => journal.skip(id, SkipReason::PriceStale, at(20)).await,
        "resolve done" => {
            let settled = Settled::Done(Box::new(set.entry(id)));
            journal.resolve(id, settled, "seen", at(20)).await
        }
        "resolve failed" => journal.resolve(id, Settled::Failed, "seen", at(20)).await,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn every_step_is_taken_from_where_it_leads_and_refused_from_everywhere_else() {
    let set = Set::new().await;
    let steps: [Step; 8] = [
        ("begin", State::Sending),
        ("back", State::Planned),
        ("done", State::Done),
        ("fail", State::Failed),
        ("uncertain", State::Uncertain),
        ("skip", State::Skipped),
        ("resolve done", State::Done),
        ("resolve failed", State::Failed),
    ];
    let mut n = 0;
    for from in State::ALL {
        for (name, to) in steps {
            n += 1;
            let id = set.at_state(n, from).await;
            let by_hand = name.starts_with("resolve");
            let allowed = from.may_become(to) && by_hand == (from == State::Uncertain);
            let taken = step(&set, name, id).await;
            assert_eq!(taken.is_ok(), allowed, "{from} {name}: {taken:?}");
            let stands = if allowed { to } else { from };
            assert_eq!(set.state(id).await, stands, "{from} {name}");
            match taken {
                Err(JournalError::WrongState {
                    execution,
                    found,
                    wanted,
                }) => {
                    assert_eq!((execution, found, wanted), (id, from, to));
                }
                Err(JournalError::Store(StoreError::Refused(_))) => {
                    assert!(name == "begin" || from == State::Done);
                }
                Ok(()) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
    for (name, _) in steps {
        let error = step(&set, name, execution(9999)).await.unwrap_err();
        let missing = JournalError::Store(StoreError::no_execution(execution(9999)));
        assert_eq!(error, missing, "{name}");
    }
}

#[tokio::test]
async fn done_twice_is_one_audit_entry_and_without_it_there_is_no_done() {
    let set = Set::new().await;
    let id = set.planned(1).await;
    set.begin(id).await;
    let twice = (0..10).map(|_| set.journal.done(id, json!({}), set.entry(id), at(12)));
    let results = join_all(twice).await;
    let recorded = results.iter().filter(|done| **done == Ok(Done::Recorded));
    assert_eq!(recorded.count(), 1);
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(set.audited().await.len(), 1);

    let id = set.planned(2).await;
    set.begin(id).await;
    let (refuse, again) = if set.fixture.is_a_file() {
        (
            "CREATE TRIGGER no_audit BEFORE INSERT ON automation_logs \
             BEGIN SELECT RAISE(ABORT, 'no'); END",
            "DROP TRIGGER no_audit",
        )
    } else {
        (
            "ALTER TABLE automation_logs ADD CONSTRAINT no_audit CHECK (false) NOT VALID",
            "ALTER TABLE automation_logs DROP CONSTRAINT no_audit",
        )
    };
    set.fixture.sql(refuse).await;
    let error = set.journal.done(id, json!({}), set.entry(id), at(12)).await;
    assert!(error.is_err());
    assert_eq!(
        set.state(id).await,
        State::Sending,
        "done without an audit entry"
    );
    set.fixture.sql(again).await;
    let done = set.journal.done(id, json!({}), set.entry(id), at(12)).await;
    assert_eq!(done.unwrap(), Done::Recorded);
}

#[tokio::test]
async fn a_person_settles_what_is_uncertain_once_and_its_evidence_stays() {
    let set = Set::new().await;
    let id = set.planned(1).await;
    set.begin(id).await;
    let evidence: Value = json!({"added": 250});
    set.journal
        .uncertain(id, evidence.clone(), at(12))
        .await
        .unwrap();
    let settled = Settled::Done(Box::new(set.entry(id)));
    set.journal
        .resolve(id, settled.clone(), "seen on the site", at(13))
        .await
        .unwrap();
    let row = set.journal.execution(id).await.unwrap();
    assert_eq!((row.state, row.evidence), (State::Done, Some(evidence)));
    assert_eq!(
        row.reason.as_deref(),
        Some("resolved by hand: seen on the site")
    );
    let again = set.journal.resolve(id, settled, "again", at(14)).await;
    assert!(matches!(
        again,
        Err(JournalError::WrongState {
            found: State::Done,
            ..
        })
    ));
    assert_eq!(set.audited().await.len(), 1);
}
