//! The effect stands, its reply is lost, and the process that waited for it is killed.

use vigia::simulator::Fault;

use crate::stage::{Deed, Stage};
use crate::watchman::SOON;

async fn done_once(fault: Fault, deed: Deed) {
    let stage = Stage::set().await;
    let (_, position) = stage.guarded("alice", deed).await;
    stage
        .control
        .inject(fault.on_route(deed.route()).times(1))
        .unwrap();
    let watchman = stage.start();
    watchman.until_armed(1).await;
    stage.endanger(&position);
    stage
        .until("the effect", SOON, |_| !stage.effects().is_empty())
        .await;
    watchman.kill().await;

    stage.done_once(stage.start()).await;
}

#[tokio::test]
async fn an_add_whose_reply_was_lost_is_done_once() {
    done_once(Fault::LoseReply, Deed::Add).await;
}

#[tokio::test]
async fn a_close_whose_reply_was_lost_is_done_once() {
    done_once(Fault::LoseReply, Deed::Close).await;
}

/// Here the first process is surely waiting for its reply when it is killed.
#[tokio::test]
async fn an_add_that_was_never_answered_is_done_once() {
    done_once(Fault::Hang { apply: true }, Deed::Add).await;
}

#[tokio::test]
async fn a_close_that_was_never_answered_is_done_once() {
    done_once(Fault::Hang { apply: true }, Deed::Close).await;
}

/// The margin arrives when nobody waits for it any more, and before the absence counts as proof.
#[tokio::test]
async fn an_add_that_arrives_after_the_death_is_done_once() {
    let stage = Stage::set().await;
    let (_, position) = stage.guarded("alice", Deed::Add).await;
    let late = Fault::DelayRequest { ms: 1200 };
    let late = late.on_route(Deed::Add.route()).times(1);
    stage.control.inject(late).unwrap();
    let watchman = stage.start();
    watchman.until_armed(1).await;
    stage.endanger(&position);
    watchman.until("execution.sending").await;
    // On its way, not applied yet.
    stage.request_arrived().await;
    watchman.kill().await;
    assert!(stage.effects().is_empty());

    stage.done_once(stage.start()).await;
}

/// Refused as 401 late: the request is signed anew long after the first signature.
/// The absence of its effect proves nothing before the last signature has expired, too.
#[tokio::test]
async fn an_add_that_was_signed_anew_is_proven_from_its_last_signature() {
    let stage = Stage::set().await;
    let (_, position) = stage.guarded("alice", Deed::Add).await;
    let refusal = Fault::status(401);
    let (slow, late) = (
        Fault::DelayRequest { ms: 4500 },
        Fault::DelayRequest { ms: 1200 },
    );
    for fault in [
        slow.on_route(Deed::Add.route()),
        refusal.on_route(Deed::Add.route()),
        late.on_route(Deed::Add.route()),
    ] {
        stage.control.inject(fault.times(1)).unwrap();
    }
    let watchman = stage.start();
    watchman.until_armed(1).await;
    stage.endanger(&position);
    stage.request_arrived().await;
    watchman.kill().await;
    assert!(stage.effects().is_empty());

    let watchman = stage.start();
    stage
        .settled(&watchman, |books| !books.executions.is_empty())
        .await;
    // The request may still be on its way, whatever the books say.
    stage
        .until("the effect", SOON, |_| !stage.effects().is_empty())
        .await;
    stage.agree_after_stop(watchman).await;
    assert_eq!(stage.effects().len(), 1);
}
