//! How fast HTTP takes over when a socket is lost, and what the way back costs: `cargo bench --profile
//! fast --bench takeover`.
//!
//! The clock starts when the exchange drops or silences a socket, and stops when the service tells of
//! the switch, with a reading over HTTP already shown. What one reading takes is measured beside it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::disallowed_methods)] // a bench reads the clock

mod stage;

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use stage::figures::{Figures, heading, ms};
use stage::owners::{Owner, guarding};
use stage::{DANGER, Stage, ears};
use vigia::domain::connection::Transport::{Http, Websocket};
use vigia::domain::ids::AccountId;
use vigia::simulator::{Fault, Injection, LedgerKind, LedgerSource};
use vigia::telemetry::Event;

/// Accounts; each loses its socket once in each way.
const ROUNDS: usize = 60;
const SEED: u64 = 1;
/// Shortened, so that a stall is found within half a second; the service's own are 5 s and 2 s.
const PING_PERIOD: Duration = Duration::from_millis(200);
const PING_DEADLINE: Duration = Duration::from_millis(300);
/// A stall that begins just after the answer to a ping is found so late.
const DETECTION: Duration = Duration::from_millis(500);
/// What is promised: over one round trip of HTTP, and over the limit of detection.
const CLOSED_TARGET: Duration = Duration::from_millis(5);
const STALL_TARGET: Duration = Duration::from_millis(50);
/// A socket is silent for so long: one ping at least goes unanswered, and the next socket is not silent.
const SILENT: Duration = Duration::from_millis(350);
/// Between stalls of two sockets: they begin at all phases of the pings.
const BETWEEN_STALLS: Duration = Duration::from_millis(27);
/// Sockets come back within half a second of their first loss: trades are opened before, while and after
/// they do.
const OPENED_WITHIN_MS: u64 = 700;
/// Whatever follows a loss is over by then; and a key's readings of the last second are forgotten, so
/// that there is room for the one that takes over.
const SETTLED: Duration = Duration::from_secs(3);
/// Between two sockets that are dropped without waiting for what follows.
const BETWEEN_DROPS: Duration = Duration::from_millis(5);
/// The margin of a position of 10x.
const MARGIN: i64 = 1_000_000;

/// When each account's transport changed to HTTP, and what the service says it was for.
type Switches = HashMap<AccountId, Instant>;

/// An owner opens one more position, at a random time.
fn opens_soon(
    stage: &Stage,
    owner: &Owner,
    random: &mut SmallRng,
) -> actix_rt::task::JoinHandle<()> {
    let pause = Duration::from_millis(random.gen_range(0..OPENED_WITHIN_MS));
    let (rest, owner) = (stage.rest.clone(), owner.clone());
    actix_rt::spawn(async move {
        tokio::time::sleep(pause).await;
        owner.open(&rest).await;
    })
}

/// Waits until every account has come back to its socket; how long after `since` each did.
async fn returned(stage: &Stage, mark: usize, since: &Switches) -> Figures {
    let mut first = HashSet::new();
    let back = |at: Instant, event: &Event| {
        let (id, _) = ears::switched(event, Websocket)?;
        first
            .insert(id.clone())
            .then_some(ms(at.saturating_duration_since(since[&id])))
    };
    let times = stage
        .ears
        .hear("sockets are back", mark, since.len(), back)
        .await;
    Figures::of(times)
}

/// Lets everything come to rest, all accounts being on their sockets, and tells of sockets that were
/// given up meanwhile although nothing was wrong with them.
async fn settle(stage: &Stage, owners: &[Owner]) {
    let mark = stage.ears.mark();
    tokio::time::sleep(SETTLED).await;
    stage.over_sockets(owners).await;
    let given_up = |event: &Event| ears::switched(event, Http).is_some();
    match stage.ears.count(mark, given_up) {
        0 => {}
        count => println!("\nafterwards {count} sockets were given up that nobody had touched"),
    }
}

/// Sockets are dropped by the exchange, one after the other.
async fn closed(stage: &Stage, owners: &[Owner], random: &mut SmallRng) {
    let (mut seen, mut taken, mut trips, mut over) = (vec![], vec![], vec![], vec![]);
    let (mut since, mut opening) = (Switches::new(), vec![]);
    let all = stage.ears.mark();
    for owner in owners {
        let asked = Instant::now();
        let read = stage.rest.running(&owner.credentials).await;
        let trip = asked.elapsed();
        read.expect("a reading");
        let mark = stage.ears.mark();
        let began = Instant::now();
        assert_eq!(stage.control.drop_sockets(Some(&owner.key)), 1, "a socket");
        opening.push(opens_soon(stage, owner, random));
        let mut lost_at = began;
        let switch = |at, event: &Event| {
            match event {
                Event::SocketLost {
                    account: Some(account),
                    ..
                } if account.id == owner.id => lost_at = at,
                _ => {}
            }
            ears::switched(event, Http)
                .filter(|(id, _)| *id == owner.id)
                .map(|_| at)
        };
        let switched = stage.ears.hear("HTTP takes over", mark, 1, switch).await[0];
        let gap = switched - began;
        seen.push(ms(lost_at - began));
        taken.push(ms(gap));
        trips.push(ms(trip));
        over.push(ms(gap) - ms(trip));
        since.insert(owner.id.clone(), switched);
    }
    let back = returned(stage, all, &since).await;
    for trade in opening {
        trade.await.expect("a trade");
    }
    heading("sockets dropped, ms");
    Figures::of(seen).print("dropped -> the service knows");
    let taken = Figures::of(taken);
    taken.print("dropped -> first update over HTTP");
    Figures::of(trips).print("one reading over HTTP, just before");
    let over = Figures::of(over);
    over.print("the update, less that reading");
    back.print("HTTP -> back on a socket");
    println!(
        "target: at most {} ms over one reading: {} of {}",
        CLOSED_TARGET.as_millis(),
        over.within(ms(CLOSED_TARGET)),
        over.count()
    );
    taken.bars("dropped -> first update over HTTP", "ms");
}

/// Sockets are dropped when their owners have just opened a trade: where its reading was not the first
/// of this second, the one that takes over has to wait for its place in the key's budget.
async fn closed_after_trades(stage: &Stage, owners: &[Owner]) {
    stage.open_more(owners).await;
    let (mark, mut began) = (stage.ears.mark(), Switches::new());
    for owner in owners {
        began.insert(owner.id.clone(), Instant::now());
        stage.control.drop_sockets(Some(&owner.key));
        tokio::time::sleep(BETWEEN_DROPS).await;
    }
    let switches = switches(stage, mark, owners.len(), "closed").await;
    let back = returned(stage, mark, &switches).await;
    heading("sockets dropped just after a trade, ms");
    Figures::of(switches.iter().map(|(id, at)| ms(*at - began[id])))
        .print("dropped -> first update over HTTP");
    back.print("HTTP -> back on a socket");
}

/// Waits until so many accounts have switched to HTTP for this cause; when each did.
async fn switches(stage: &Stage, mark: usize, count: usize, wanted: &str) -> Switches {
    let mut first = HashSet::new();
    let switch = |at, event: &Event| {
        let (id, cause) = ears::switched(event, Http)?;
        assert_eq!(cause, wanted, "the cause of a switch");
        first.insert(id.clone()).then_some((id, at))
    };
    let switches = stage.ears.hear("HTTP takes over", mark, count, switch);
    switches.await.into_iter().collect()
}

/// Sockets fall silent, and no close comes.
async fn stalled(stage: &Stage, owners: &[Owner], random: &mut SmallRng) {
    let (mut began, mut opening) = (Switches::new(), vec![]);
    let mark = stage.ears.mark();
    for owner in owners {
        let silence = Injection::from(Fault::SilenceSockets)
            .on_key(&owner.key)
            .lasting(SILENT);
        began.insert(owner.id.clone(), Instant::now());
        stage.control.inject(silence).expect("a fault");
        opening.push(opens_soon(stage, owner, random));
        tokio::time::sleep(BETWEEN_STALLS).await;
    }
    let switches = switches(stage, mark, owners.len(), "silent").await;
    let back = returned(stage, mark, &switches).await;
    for trade in opening {
        trade.await.expect("a trade");
    }
    let found = switches.iter().map(|(id, at)| ms(*at - began[id]));
    let found = Figures::of(found);
    heading(&format!(
        "sockets silent, found within {} ms, ms",
        DETECTION.as_millis()
    ));
    found.print("silent -> first update over HTTP");
    back.print("HTTP -> back on a socket");
    println!(
        "target: at most {} ms over the limit of detection: {} of {}",
        STALL_TARGET.as_millis(),
        found.within(ms(DETECTION + STALL_TARGET)),
        found.count()
    );
    found.bars("silent -> first update over HTTP", "ms");
}

/// Nothing missing and nothing twice: each account's trades as the exchange has them, and each of them
/// acted upon once, half of the sockets being lost at that moment.
async fn nothing_lost(stage: &Stage, owners: &[Owner]) {
    let running = |owner: &Owner| {
        let trades = stage
            .control
            .account(&owner.key)
            .expect("an account")
            .trades;
        let running = trades.into_iter().filter(|trade| trade.running);
        let mut ids: Vec<_> = running.map(|trade| trade.id).collect();
        ids.sort();
        ids
    };
    let known = |owner: &Owner| {
        let view = stage.account(owner).view.load_full();
        let mut ids: Vec<_> = view
            .rows
            .iter()
            .map(|row| row.position.id.to_string())
            .collect();
        ids.sort();
        ids
    };
    let since = Instant::now();
    stage
        .until("all books are the exchange's", || {
            owners.iter().all(|owner| known(owner) == running(owner))
        })
        .await;
    let equal_after = since.elapsed();
    let positions: usize = owners.iter().map(|owner| running(owner).len()).sum();
    let armed = |event: &Event| matches!(event, Event::Armed { .. });
    stage
        .until("all positions are guarded", || {
            stage.ears.count(0, armed) >= positions
        })
        .await;
    stage.over_sockets(owners).await;
    let fired = stage.ears.mark();
    for owner in owners.iter().step_by(2) {
        stage.control.drop_sockets(Some(&owner.key));
    }
    stage.price(DANGER).await;
    let done = |_, event: &Event| matches!(event, Event::Done { .. }).then_some(());
    stage
        .ears
        .hear("all positions are saved", fired, positions, done)
        .await;
    stage.over_sockets(owners).await;
    let mut added: HashMap<uuid::Uuid, usize> = HashMap::new();
    for entry in stage.control.ledger() {
        if entry.kind == LedgerKind::MarginAdded && entry.source == LedgerSource::Api {
            *added.entry(entry.trade_id).or_default() += 1;
        }
    }
    let twice = added.values().filter(|times| **times > 1).count();
    println!(
        "\n{positions} positions, most of them opened while sockets were lost or came back: every book \
         was the exchange's {:.0} ms\nafter the last socket's return (regular readings are 30 s apart). \
         The price then fell while half of the sockets\nwere lost: acted upon once {}, twice \
         {twice}, never {}.",
        ms(equal_after),
        added.len() - twice,
        positions - added.len(),
    );
}

async fn bench() {
    let windows = [
        ("connection.ping_period_ms", PING_PERIOD.as_millis() as i64),
        (
            "connection.ping_deadline_ms",
            PING_DEADLINE.as_millis() as i64,
        ),
        // More accounts lose their sockets at once than the exchange would let come back.
        ("limits.sockets", 1_000),
        ("limits.new_sockets_per_hour", 100_000),
        ("limits.logins_per_minute", 100_000),
        ("supervision.refresh_ms", 50),
    ];
    let stage = Stage::set(&windows, |_| {}).await;
    let owners = stage.owners(ROUNDS, &guarding(MARGIN)).await;
    stage.over_sockets(&owners).await;
    println!(
        "{ROUNDS} accounts in one process; pings every {} ms, answered within {} ms",
        PING_PERIOD.as_millis(),
        PING_DEADLINE.as_millis()
    );
    let mut random = SmallRng::seed_from_u64(SEED);
    settle(&stage, &owners).await;
    closed(&stage, &owners, &mut random).await;
    settle(&stage, &owners).await;
    stalled(&stage, &owners, &mut random).await;
    settle(&stage, &owners).await;
    closed_after_trades(&stage, &owners).await;
    nothing_lost(&stage, &owners).await;
    stage.end().await;
}

fn main() {
    stage::run(bench());
}
