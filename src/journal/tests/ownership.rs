//! Who may send: the owner, while its lease stands.

use super::*;

#[tokio::test]
async fn whose_ownership_was_taken_sends_nothing_and_settles_nothing_of_the_new_owner() {
    let set = Set::new().await;
    let old = &set.journal;
    let id = set.planned(1).await;
    let orphan = set.at_state(2, State::Sending).await;
    let idle = set.planned(3).await;
    let epoch = set
        .fixture
        .store
        .claim_ownership("second", at(9))
        .await
        .unwrap();
    let new = Journal::new(set.fixture.store.clone(), epoch);
    let refused = Began::Refused(Refusal::Skip(SkipReason::NotOwner));
    assert_eq!(set.begin(id).await, refused);
    set.open(7, 1).await;
    let fired = old
        .fire(set.decided(7, 7, 1), Limits::default(), at(11))
        .await;
    assert_eq!(fired.unwrap_err(), JournalError::NotOwner);
    let fired = new
        .fire(set.decided(8, 7, 1), Limits::default(), at(11))
        .await;
    assert_eq!(
        fired.unwrap(),
        FireResult::Fired,
        "the old owner left a trace"
    );
    let began = new.begin_sending(id, ADD, None, at(11)).await.unwrap();
    assert_eq!(began, Began::Sending { attempt: 1 });
    let taken_over = JournalError::TakenOver { execution: id };
    for error in [
        old.back_to_planned(id, "why", at(12)).await.unwrap_err(),
        old.fail(id, "why", json!({}), at(12)).await.unwrap_err(),
        old.uncertain(id, json!({}), at(12)).await.unwrap_err(),
        old.done(id, json!({}), set.entry(id), at(12))
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error, taken_over);
    }
    assert_eq!(set.state(id).await, State::Sending);
    // What the old owner sent, it may settle, and so may the new one.
    old.fail(orphan, "refused", json!({}), at(12))
        .await
        .unwrap();
    let nobody = Journal::new(set.fixture.store.clone(), crate::store::Epoch::NONE);
    let began = nobody.begin_sending(idle, ADD, None, at(12)).await.unwrap();
    assert_eq!(began, refused);
}

#[tokio::test]
async fn a_lease_in_doubt_lets_nothing_out_and_one_that_is_renewed_does() {
    let set = Set::new().await;
    let id = set.planned(1).await;
    let clock = crate::clock::Clock::start();
    let terms = |stop_sending| LeaseTerms {
        renew: Duration::from_millis(1),
        stop_sending,
        expire: Duration::from_secs(600),
    };
    let leased = |stop_sending| {
        let epoch = set.journal.epoch();
        let lease = Lease::new(epoch, terms(stop_sending), clock, clock.mono());
        Journal::leased(set.fixture.store.clone(), lease)
    };
    let doubtful = leased(Duration::ZERO);
    let error = doubtful.begin_sending(id, ADD, None, at(11)).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("could not be renewed"), "{error}");
    assert_eq!(set.state(id).await, State::Planned);
    let sure = leased(Duration::from_secs(60));
    let began = sure.begin_sending(id, ADD, None, at(11)).await;
    assert_eq!(began.unwrap(), Began::Sending { attempt: 1 });
}

/// On a server another may claim in the very moment in which an execution is let out.
#[tokio::test]
async fn a_claim_that_comes_first_by_a_hair_is_waited_for_and_obeyed() {
    use sea_orm::ConnectionTrait;
    let set = Set::on_a_server().await;
    let id = set.planned(1).await;
    let other = set.fixture.second().await;
    let (held, release) = (
        tokio::sync::oneshot::channel(),
        tokio::sync::oneshot::channel(),
    );
    let claiming = other.write(Kind::Several, move |db| {
        Box::pin(async move {
            let sql = "UPDATE owners SET epoch = epoch + 1";
            db.execute_unprepared(sql).await?;
            let _ = held.0.send(());
            let _: Result<(), _> = release.1.await;
            Ok::<_, StoreError>(())
        })
    });
    let beginning = async {
        held.1.await.unwrap();
        let hasty = Journal::new(
            set.fixture.store.with_patience(Duration::from_millis(300)),
            set.journal.epoch(),
        );
        let waits = hasty.begin_sending(id, ADD, None, at(11)).await;
        assert!(waits.is_err(), "it does not wait: {waits:?}");
        release.0.send(()).unwrap();
        set.begin(id).await
    };
    let (claimed, began) = tokio::join!(claiming, beginning);
    claimed.unwrap();
    assert_eq!(began, Began::Refused(Refusal::Skip(SkipReason::NotOwner)));
    assert_eq!(set.state(id).await, State::Planned);
}
