//! Killed while the store does not answer, at each place on the way into the file of intents and out
//! of it: nothing is lost, nothing is done twice.

use std::time::Duration;

use vigia::domain::execution::State;

use crate::outage::{locked, unlock};
use crate::stage::{Deed, Stage, Windows};

/// Where, and at which pass.
struct Place {
    name: &'static str,
    pass: u32,
    /// Whether it is come to only when the store is back.
    store_is_back: bool,
}

const fn during(name: &'static str, pass: u32) -> Place {
    Place {
        name,
        pass,
        store_is_back: false,
    }
}

const fn after(name: &'static str) -> Place {
    Place {
        name,
        pass: 1,
        store_is_back: true,
    }
}

async fn killed(deed: Deed, place: Place) {
    let small = "[journal]\nintents_kib = 512\n";
    let stage = Stage::configured(None, Windows::default(), small).await;
    let (_, position) = stage.guarded("alice", deed).await;
    let mut watchman = stage.start_to_die_at_pass(place.name, place.pass);
    watchman.until_armed(1).await;
    let lock = locked(&stage.database()).await;
    stage.endanger(&position);
    if place.store_is_back {
        stage
            .until("the effect", Duration::from_secs(15), |control| {
                control.ledger().len() > 1
            })
            .await;
        unlock(lock).await;
        watchman.died().await;
    } else {
        watchman.died().await;
        unlock(lock).await;
    }
    let watchman = stage.start();
    let label = format!("{deed:?} killed at {} ({})", place.name, place.pass);
    // What is written to the file, and its trigger, may be one and the same: a danger that is over
    // fires no more.
    let settled = stage.settled(&watchman, |books| {
        books.states().contains(&State::Done) || books.states().contains(&State::Skipped)
    });
    settled.await;
    let books = stage.agree_after_stop(watchman).await;
    println!("{label}: {:?} {:?}", books.states(), books.reasons());
    let done = books.states().iter().filter(|s| **s == State::Done).count();
    assert_eq!(done, 1, "{label}");
    assert_eq!(stage.effects().len(), 1, "{label}");
}

macro_rules! killed_at {
    ($($name:ident: $deed:ident, $place:expr;)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                killed(Deed::$deed, $place).await;
            }
        )*
    };
}

killed_at! {
    adding_when_its_intent_stands: Add, during("intents.kept", 1);
    adding_when_sending_stands: Add, during("intents.kept", 2);
    adding_when_signed: Add, during("request.signed", 1);
    adding_when_answered: Add, during("execution.answered", 1);
    adding_when_its_end_stands: Add, during("intents.kept", 3);
    adding_when_taken_over: Add, after("intents.replayed");
    adding_when_released: Add, after("intents.released");
    closing_when_its_intent_stands: Close, during("intents.kept", 1);
    closing_when_sending_stands: Close, during("intents.kept", 2);
    closing_when_answered: Close, during("execution.answered", 1);
    closing_when_taken_over: Close, after("intents.replayed");
}
