//! How old the price is: a calm market is not blindness, and a pong is not freshness.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use vigia::domain::connection::Transport;
use vigia::domain::price::{Freshness, LastPrice};
use vigia::domain::units::Price;
use vigia::simulator::{Fault, Injection};
use vigia::telemetry::Event;

use crate::harness::{CALM, DANGER, Script, Stage, adding};
use crate::story::{scaled, status, subscribed};

const TICKER: &str = "/v3/futures/ticker";
const PRICES: &str = "futures/inverse/btc_usd/lastPrice";

fn late(ms: u64) -> Injection {
    Injection::from(Fault::DelayFrames { ms }).on_topic(PRICES)
}

/// Frames are delayed in order: pongs wait behind prices.
fn pongs_may_be_late() -> Script {
    scaled().with("connection.ping_deadline_ms", 10_000)
}

/// Ten minutes of a price that does not move, by the numbers of the design, time passed in: no push
/// ever comes, the ticker answers late, and now and then not at all.
#[test]
fn ten_minutes_of_a_constant_price_are_never_blind() {
    const BEAT: Duration = Duration::from_millis(100);
    const TEN_MINUTES: Duration = Duration::from_secs(600);
    let (freshness, price) = (Freshness::default(), Price::from_usd(CALM).unwrap());
    for seed in 0..50 {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut last = LastPrice::default();
        last.pushed(price, Duration::ZERO, Duration::ZERO, &freshness);
        let (mut now, mut asked) = (Duration::ZERO, vec![]);
        let mut on_its_way: Option<(Duration, Duration)> = None;
        let mut failed = false;
        while now < TEN_MINUTES {
            now += BEAT;
            if let Some((_, answered_at)) = on_its_way
                && now >= answered_at
            {
                // Never two in a row: that would be an outage.
                failed = !failed && random.gen_bool(0.2);
                if let (Some((asked_at, _)), false) = (on_its_way.take(), failed) {
                    last.read(price, asked_at);
                }
            }
            let due = asked
                .last()
                .is_none_or(|at| now >= *at + freshness.ticker_period);
            if due && on_its_way.is_none() && last.needs_ticker(now, &freshness) {
                let way = Duration::from_millis(random.gen_range(5..900));
                on_its_way = Some((now, now + way));
                asked.push(now);
            }
            assert!(
                last.usable(now, &freshness).is_some(),
                "blind at {now:?}, seed {seed}"
            );
            assert!(
                !last.is_deaf(Duration::ZERO, now, &freshness),
                "nothing moved"
            );
        }
        assert!(
            asked.len() <= 600,
            "more than one request a second: {}",
            asked.len()
        );
    }
}

/// The same with the real service, for as long as the run allows.
#[actix::test]
async fn a_calm_market_is_never_blind() {
    let length = match std::env::var_os("VIGIA_LONG") {
        Some(_) => Duration::from_secs(600),
        None => Duration::from_secs(6),
    };
    let mut stage = Script::new().play().await;
    let (alpha, _) = stage.guarded("alpha", adding()).await;
    stage.live_over(&alpha, Transport::Websocket).await;
    subscribed(&mut stage, 2).await;
    stage.mark();
    let (clock, until) = (stage.clock, stage.clock.mono() + length);
    while clock.mono() < until {
        let next = (clock.mono() + Duration::from_secs(5)).min(until);
        stage.until("time passes", || clock.mono() >= next).await;
    }
    let changed = |event: &&Event| matches!(event, Event::ConnectionState { .. });
    let changes: Vec<_> = stage.events().iter().filter(changed).cloned().collect();
    assert!(changes.is_empty(), "{changes:?}");
    stage.end().await;
}

async fn feed_is_replaced(stage: &mut Stage) {
    let lost = |event: &Event| matches!(event, Event::SocketLost { actor, cause: "silent", .. } if actor == "price_feed/sim");
    let (control, mut usd) = (stage.control.clone(), CALM);
    // The market moves, and stays calm.
    let deadline = stage.clock.mono() + Duration::from_secs(20);
    while !stage.events().iter().any(lost) {
        assert!(stage.clock.mono() < deadline, "the socket was not replaced");
        usd = if usd > CALM { CALM - 1.0 } else { usd + 0.5 };
        control.set_price(usd).unwrap();
        stage.price_seen(usd).await;
    }
}

/// Pongs come, prices do not; the ticker knows better.
#[actix::test]
async fn a_frozen_stream_with_a_moving_ticker_is_found_and_replaced() {
    let mut stage = scaled().play().await;
    let (alpha, _) = stage.guarded("alpha", adding()).await;
    stage.live_over(&alpha, Transport::Websocket).await;
    subscribed(&mut stage, 2).await;
    stage.mark();
    let frozen = Injection::from(Fault::SilenceData).on_topic(PRICES);
    stage.control.inject(frozen).unwrap();
    feed_is_replaced(&mut stage).await;
    stage.control.clear_faults();
    let control = stage.control.clone();
    let heard = |topics: &[String]| topics.iter().any(|topic| topic == PRICES);
    let replaced = || control.sockets().iter().any(|socket| heard(&socket.topics));
    stage
        .until("another socket is subscribed to prices", replaced)
        .await;
    // By pushes alone now.
    stage
        .control
        .inject(status(503, None, false).on_route(TICKER))
        .unwrap();
    stage.control.set_price(DANGER).unwrap();
    stage.done(&alpha).await;
    assert_eq!(stage.effects(&alpha).len(), 1);
    stage.control.clear_faults();
    stage.end().await;
}

/// It tells everything, three seconds late: as good as nothing.
#[actix::test]
async fn a_stream_that_lags_behind_the_ticker_is_replaced() {
    // The first late frame comes before the socket would be deaf.
    let patient = pongs_may_be_late().with("price.deaf_ms", 5000);
    let mut stage = patient.play().await;
    let (alpha, _) = stage.guarded("alpha", adding()).await;
    stage.live_over(&alpha, Transport::Websocket).await;
    subscribed(&mut stage, 2).await;
    stage.mark();
    stage.control.inject(late(3000)).unwrap();
    feed_is_replaced(&mut stage).await;
    stage.control.clear_faults();
    stage.end().await;
}

/// A frame is as old as its own time says, whenever it comes.
#[actix::test]
async fn a_frame_that_is_three_seconds_late_is_three_seconds_old() {
    let mut stage = Stage::set().await;
    stage.trader("alpha").await;
    stage.price_seen(CALM).await;
    subscribed(&mut stage, 2).await;
    let down = status(503, None, false).on_route(TICKER);
    stage.control.inject(down).unwrap();
    stage.control.inject(late(3000)).unwrap();
    stage.control.set_price(CALM + 0.5).unwrap();
    stage.price_seen(CALM + 0.5).await;
    let networks = &stage.app().shared.networks;
    let seen = networks[crate::harness::NETWORK]
        .price
        .seen(stage.app().shared.clock.mono());
    let age = seen.unwrap().age;
    assert!(age >= Duration::from_millis(2900), "it looks {age:?} old");
    stage.control.clear_faults();
    stage.end().await;
}

/// So late that nothing confirms it any more: it is no reason to act.
#[actix::test]
async fn nothing_is_done_on_a_frame_that_comes_too_late() {
    let mut stage = pongs_may_be_late().play().await;
    let (alpha, guard) = stage.guarded("alpha", adding()).await;
    stage.live_over(&alpha, Transport::Websocket).await;
    subscribed(&mut stage, 2).await;
    stage.mark();
    let down = status(503, None, false).on_route(TICKER);
    stage.control.inject(down).unwrap();
    stage.control.inject(late(3000)).unwrap();
    stage.control.set_price(DANGER).unwrap();
    stage.price_seen(DANGER).await;
    let (clock, until) = (stage.clock, stage.clock.mono() + Duration::from_millis(500));
    stage.until("time passes", || clock.mono() >= until).await;
    assert_eq!(
        stage.fired(&guard),
        0,
        "it acted on a price of three seconds ago"
    );
    stage.control.clear_faults();
    stage.done(&alpha).await;
    assert_eq!(stage.effects(&alpha).len(), 1);
    stage.end().await;
}
