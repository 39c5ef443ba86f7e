//! Three poisoned accounts among a hundred: one whose connection panics whenever it is started, one
//! whose key is refused for ever, one to which nothing but rubbish is sent. Nobody else notices.

use vigia::domain::connection::Health;
use vigia::simulator::Fault;
use vigia::supervision::failpoint::{self, Deed, Place};
use vigia::telemetry::Event;

use crate::harness::{CALM, DANGER, Script, Stage, adding};

const ACCOUNTS: usize = 100;
/// Deaths within the window that are one too many.
const TOO_MANY: u32 = 6;
/// More than it will ever be started.
const ALWAYS: u32 = 100_000;

/// The names of all actors that died, were started again, or set aside.
fn touched(stage: &mut Stage) -> Vec<String> {
    let events = stage.events().iter();
    let lives = events.filter_map(|event| match event {
        Event::ActorDied { actor, .. }
        | Event::ActorRestarted { actor, .. }
        | Event::ActorQuarantined { actor, .. } => Some(actor.clone()),
        _ => None,
    });
    lives.collect()
}

#[actix::test]
async fn poisoned_accounts_among_a_hundred_make_no_other_restart() {
    let mut stage = Script::new()
        .with("connection.refused_pause_ms", 500)
        .with("supervision.quarantine_ms", 600_000)
        .play()
        .await;
    let mut guarded = vec![];
    for n in 0..ACCOUNTS {
        let trader = stage.trader(&format!("account{n}")).await;
        let guard = stage.guard(&trader, adding()).await;
        guarded.push((trader, guard));
    }
    for (_, guard) in &guarded {
        stage.armed(guard).await;
    }
    let (poisoned, others) = guarded.split_at(3);
    let [(panics, _), (refused, _), (rubbish, _)] = poisoned else {
        unreachable!("three of them");
    };
    stage.mark();
    failpoint::set(
        "connection.started",
        Some(&panics.name),
        Deed::Panic(ALWAYS),
    );
    let control = stage.control.clone();
    control
        .inject(Fault::RevokedKey.on_key(&refused.key))
        .unwrap();
    for fault in [Fault::MalformedEvents, Fault::MalformedBody] {
        control.inject(fault.on_key(&rubbish.key)).unwrap();
    }
    stage.app().crash(&panics.connection(), Place::Handler);
    let name = panics.connection();
    stage
        .wait_until(
            "what panics is set aside",
            |event| matches!(event, Event::ActorQuarantined { actor, .. } if *actor == name),
        )
        .await;
    let id = refused.id.clone();
    stage
        .wait_until("what is refused is shown so", |event| {
            matches!(event, Event::ConnectionState { account, to: Health::Unauthorized, .. } if account.id == id)
        })
        .await;
    stage.control.set_price(DANGER).unwrap();
    for (trader, _) in others {
        stage.done(trader).await;
    }
    let acted = others
        .iter()
        .filter(|(trader, _)| stage.effects(trader).len() == 1);
    let acted = acted.count();
    let lives = touched(&mut stage);
    let of_others = lives.iter().filter(|actor| **actor != name).count();
    println!(
        "{ACCOUNTS} accounts, 3 poisoned: {acted} of the others' guards acted once, {of_others} of \
         their actors restarted; what panics: {} deaths and restarts",
        lives.len() - of_others
    );
    assert_eq!(acted, ACCOUNTS - poisoned.len());
    assert_eq!(of_others, 0, "{lives:?}");
    assert_eq!(lives.len(), 2 * TOO_MANY as usize, "{lives:?}");
    for (trader, _) in poisoned {
        assert!(stage.effects(trader).len() <= 1, "{}", trader.name);
    }
    // What was asked for and answered with rubbish is proven when it can be read.
    stage.control.set_price(CALM).unwrap();
    stage.control.clear_faults();
    stage.done(rubbish).await;
    stage.end().await;
}
