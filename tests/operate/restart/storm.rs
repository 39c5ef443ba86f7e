//! One account of twenty is restarted again and again, in a market that swings, under a hundred ticks
//! a second: whatever should be done is done once, and nobody else notices.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use vigia::actors::{RestartAccount, Restarted};
use vigia::domain::connection::{Health, Transport};
use vigia::simulator::{Limit, Limits, Violations};

use super::neighbours::{Neighbours, OPTIMISED};
use super::swing::Swings;
use crate::figures::{Figures, heading, ms};
use crate::harness::{Script, Stage};

/// Accounts beside the one that is restarted, and how many of them act at each swing.
const OTHERS: usize = 19;
const BUSY: usize = 4;
/// Restarts in a row at most, and in how many rows at least; between them come swings without any,
/// which the others' latency is compared with: so many, and fewer where they are far apart.
const ROW: usize = 25;
const ROWS: usize = 4;
const QUIET: usize = 16;
const QUIET_AND_SLOW: usize = 4;

/// How one account is restarted.
struct Storm {
    times: usize,
    /// From one restart's beginning to the next one's at least.
    every: Duration,
    /// From one swing to the next at least.
    swing: Duration,
}

/// One account that will be restarted, and others, each watched.
async fn twenty(stage: &mut Stage) -> Swings {
    let mut actors = vec![stage.actor("restarted", true).await];
    for n in 0..OTHERS {
        if n < BUSY {
            actors.push(stage.actor(&format!("busy-{n}"), false).await);
        } else {
            let calm = stage
                .trader_with(&format!("calm-{n}"), 200_000_000, 1)
                .await;
            let never = json!({
                "action": "close_position", "metric": "margin_used", "margin_threshold": 0.9,
            });
            let guard = stage.guard(&calm, never).await;
            stage.armed(&guard).await;
        }
    }
    let waiting = |stage: &Stage| {
        let accounts = stage.app().shared.accounts.load_full();
        let mut views = accounts.values().map(|account| account.view.load());
        views.any(|view| view.health != Health::Live || view.transport != Transport::Websocket)
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    while waiting(stage) {
        assert!(Instant::now() < deadline, "not all are live over a socket");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stage.mark();
    stage.swings(actors)
}

/// Restarts one account so many times, one after the other, while the market swings.
async fn restarts(
    stage: &mut Stage,
    swings: &mut Swings,
    times: usize,
    every: Duration,
) -> Vec<Restarted> {
    let done: Rc<RefCell<Vec<Restarted>>> = Rc::default();
    let (supervisor, id) = (
        stage.app().shared.supervisor.clone(),
        swings.restarted().id.clone(),
    );
    let noted = Rc::clone(&done);
    let restarting = actix_rt::spawn(async move {
        for n in 0..times {
            let next = Instant::now() + every;
            let asked = supervisor.ask(RestartAccount(id.clone())).await;
            let restarted = asked.expect("the supervisor answers");
            let restarted = restarted.unwrap_or_else(|refused| panic!("restart {n}: {refused}"));
            noted.borrow_mut().push(restarted);
            tokio::time::sleep_until(next).await;
        }
    });
    while !restarting.is_finished() {
        swings.swing(stage).await;
        let view = stage.view(swings.restarted());
        assert_eq!(view.health, Health::Live, "as it is shown meanwhile");
        assert!(!view.rows.is_empty(), "its position is shown meanwhile");
    }
    restarting.await.unwrap();
    done.take()
}

async fn play(script: Script, storm: Storm) -> Neighbours {
    let Storm {
        times,
        every,
        swing,
    } = storm;
    let mut stage = script.every_tick().play().await;
    let mut swings = twenty(&mut stage).await;
    swings.pace = swing;
    let (mut restarted, mut others) = (vec![], Neighbours::default());
    let (mut took, mut slowest) = (Duration::ZERO, Duration::ZERO);
    swings.swing(&mut stage).await;
    while restarted.len() < times {
        swings.latencies.clear();
        let quiet = if swing.is_zero() {
            QUIET
        } else {
            QUIET_AND_SLOW
        };
        for _ in 0..quiet {
            swings.swing(&mut stage).await;
        }
        others.quiet.push(std::mem::take(&mut swings.latencies));
        swings.slowest = Duration::ZERO;
        let began = Instant::now();
        let row = ROW.min(times / ROWS);
        restarted.append(&mut restarts(&mut stage, &mut swings, row, every).await);
        took += began.elapsed();
        slowest = slowest.max(swings.slowest);
        others.during.push(std::mem::take(&mut swings.latencies));
    }
    let effects = swings.effects();
    let sockets = restarted
        .iter()
        .filter(|one| one.transport == Transport::Websocket);
    println!(
        "{times} restarts of one account of {} in {:.1} s, {} of them onto a socket, under 100 ticks a \
         second; {effects} effects of {} accounts due; the slowest swing took {:.0} ms",
        OTHERS + 1,
        took.as_secs_f64(),
        sockets.count(),
        BUSY + 1,
        ms(slowest),
    );
    heading("ms");
    Figures::of(restarted.iter().map(|one| ms(one.took))).print("asked -> the old one has ended");
    Figures::of(restarted.iter().map(|one| ms(one.arming)))
        .print("live -> all armed, the old one serving");
    Figures::of(restarted.iter().map(|one| ms(one.handover)))
        .print("handover: armed -> the old one has ended");
    others.print();
    swings.each_once(&stage);
    let id = swings.restarted().id.clone();
    swings.undisturbed(&id);
    let violations = stage.control.violations();
    assert_eq!(violations, Violations::default(), "the exchange's limits");
    drop(swings);
    stage.end().await;
    others
}

/// How often the account is restarted where nothing limits that, and where the exchange does.
const TIMES: usize = 1_000;
const LIMITED: usize = 20;
/// Between the beginnings of two restarts, where others should not notice: no machine has room for as
/// many as can be made.
const EVERY: Duration = Duration::from_millis(40);

/// Whatever opens sockets may do so a thousand times.
fn without_limits() -> Script {
    Script::new()
        .with("limits.requests_per_second", 1_000)
        .with("limits.kept_for_commands", 100)
        .with("limits.sockets", 100)
        .with("limits.new_sockets_per_hour", 100_000)
        .with("limits.logins_per_minute", 100_000)
}

#[actix::test]
async fn restarts_one_right_after_the_other_lose_and_double_nothing() {
    let storm = Storm {
        times: TIMES,
        every: Duration::ZERO,
        swing: Duration::ZERO,
    };
    let others = play(without_limits(), storm).await;
    others.starve_never();
}

#[actix::test]
async fn a_thousand_restarts_are_noticed_by_nobody_else() {
    // Whether anybody notices is asked of an optimised build only.
    let storm = Storm {
        times: if OPTIMISED { TIMES } else { TIMES / 10 },
        every: EVERY,
        swing: Duration::ZERO,
    };
    let others = play(without_limits(), storm).await;
    others.notice_nothing();
}

/// The exchange's limits, and how far apart swings are for all that they bring about to have room: a
/// tenth of the windows, or, where there is time, the real ones.
fn limited() -> (Script, Duration) {
    const TENTH: u32 = 10;
    if std::env::var_os("VIGIA_LONG").is_some() {
        return (Script::new().real_limits(), Duration::from_secs(4));
    }
    let shorter = |limit: Option<Limit>| {
        limit.map(|Limit { count, window }| Limit {
            count,
            window: window / TENTH,
        })
    };
    let real = Limits::exchange();
    let limits = Limits {
        rest_per_key: shorter(real.rest_per_key),
        rest_per_ip: shorter(real.rest_per_ip),
        sockets_per_ip: real.sockets_per_ip,
        new_sockets_per_ip: shorter(real.new_sockets_per_ip),
        messages_per_socket: shorter(real.messages_per_socket),
        authentications_per_ip: shorter(real.authentications_per_ip),
    };
    let script = Script::new()
        .under(limits)
        .with("limits.second_ms", 110)
        .with("limits.logins_per_minute", 20)
        .with("limits.minute_ms", 6_000)
        .with("limits.hour_ms", 360_000);
    (script, Duration::from_millis(400))
}

/// Under the exchange's own limits, which nobody exceeds: what is left of its sockets, logins and
/// requests is shared with everybody else, and where there is no socket, HTTP serves.
#[actix::test]
async fn restarts_under_the_exchanges_limits_lose_and_double_nothing() {
    let (script, swing) = limited();
    let storm = Storm {
        times: LIMITED,
        every: Duration::ZERO,
        swing,
    };
    play(script, storm).await;
}
