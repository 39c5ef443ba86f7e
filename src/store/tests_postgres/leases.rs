//! The right to trade is a lease: claimed, kept, lost.

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
        let found = async {
            while lease.check().is_err() != stale {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let found = tokio::time::timeout(Duration::from_secs(20), found).await;
        found.expect("the lease follows the server");
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
