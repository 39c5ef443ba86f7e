//! Clocks that are wrong: the machine's beside the exchange's, and one that stood still.

use std::time::Duration;

use vigia::clock;
use vigia::domain::connection::Health;
use vigia::simulator::Fault;
use vigia::telemetry::Event;

use crate::harness::{CALM, DANGER, Stage, adding};
use crate::story::{Acts, Seen, Tale, UNNOTICED, Whom, scaled, script, status, told};

/// Nobody notices, and no reading fails.
const QUIET: Seen = Seen {
    untold: &["connection.state", "transport.switched", "reading.failed"],
    ..UNNOTICED
};

/// The clocks differ from the start.
async fn differing(milliseconds: i64) {
    let mut tale = Tale::begin(script().skewed(milliseconds)).await;
    tale.is_seen(&QUIET).await;
    tale.endanger(Acts::Meanwhile, |_| {}).await;
    tale.end(&QUIET).await;
}

#[actix::test]
async fn the_machine_is_60_s_behind() {
    differing(60_000).await;
}

#[actix::test]
async fn the_machine_is_60_s_ahead() {
    differing(-60_000).await;
}

/// One of the clocks is set while everything runs, and back again.
async fn set_by(offset_ms: i64) {
    let skew = Fault::ClockSkew { offset_ms };
    told(Whom::All, vec![skew.into()], false, QUIET).await;
}

#[actix::test]
async fn a_clock_falls_60_s_behind_while_connected() {
    set_by(60_000).await;
}

#[actix::test]
async fn a_clock_runs_60_s_ahead_while_connected() {
    set_by(-60_000).await;
}

async fn is_blind(stage: &mut Stage) {
    let blind = |event: &Event| {
        matches!(
            event,
            Event::ConnectionState {
                to: Health::Blind,
                ..
            }
        )
    };
    stage.wait_until("the account is blind", blind).await;
}

/// The machine is suspended for an hour, and wakes up to an exchange that does not answer. The
/// price it fell asleep with is an hour old, though no clock of the process has moved: nothing is
/// done on it.
#[actix::test]
async fn a_suspended_machine_does_not_act_on_the_price_it_fell_asleep_with() {
    let patient = scaled().with("price.blind_ms", 60_000).alone();
    let mut stage = patient.play().await;
    let alpha = stage.trader("alpha").await;
    stage.control.set_price(DANGER).unwrap();
    stage.price_seen(DANGER).await;
    for fault in [
        status(503, None, false).on_route("/v3/futures/ticker"),
        Fault::RefuseUpgrades { status: 503 }.into(),
        Fault::DropSockets.into(),
    ] {
        stage.control.inject(fault).unwrap();
    }
    stage.mark();
    clock::pretend_suspended(Duration::from_secs(3600));
    is_blind(&mut stage).await;
    let guard = stage.guard(&alpha, adding()).await;
    stage.armed(&guard).await;
    // Long enough for whoever would act on an old price: it is reached.
    let (clock, until) = (stage.clock, stage.clock.mono() + Duration::from_secs(1));
    stage.until("time passes", || clock.mono() >= until).await;
    assert_eq!(stage.fired(&guard), 0, "it acted on a price of an hour ago");
    stage.control.set_price(CALM).unwrap();
    stage.control.clear_faults();
    stage.price_seen(CALM).await;
    assert_eq!(stage.fired(&guard), 0);
    stage.control.set_price(DANGER).unwrap();
    stage.done(&alpha).await;
    assert_eq!(stage.effects(&alpha).len(), 1);
    stage.end().await;
}

/// A machine that sleeps and wakes while everything answers goes on at once: it reads what it has
/// missed, and nothing is restarted for its sleep.
#[actix::test]
async fn a_suspended_machine_goes_on_where_it_was() {
    // Readings that were due during the sleep would come only long after it.
    let seldom = script().with("connection.read_far_ms", 120_000);
    let mut tale = Tale::begin(seldom.alone()).await;
    clock::pretend_suspended(Duration::from_secs(3600));
    tale.endanger(Acts::Meanwhile, |_| {}).await;
    let seen = Seen {
        untold: &["actor.died"],
        ..UNNOTICED
    };
    tale.end(&seen).await;
}
