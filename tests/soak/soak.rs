//! The price falls and falls; every guard adds margin again and again, each time once.

use std::collections::BTreeMap;
use std::time::Duration;

use vigia::domain::position::Position;
use vigia::domain::units::Sats;

use crate::figures::{Sample, at_rest, slope};
use crate::mischief::Mischief;
use crate::stage::{ADDED, Deed, Owner, Stage, THRESHOLD, Windows, price_at};
use crate::watchman::Watchman;

/// Where the fall begins, USD: just before the first guard acts.
const FIRST: f64 = 93_800.0;
/// Where it ends at the latest: below, guards have added all that a leverage of 1 allows.
const LAST: f64 = 62_000.0;
/// USD in a second at most: from a guard's threshold to liquidation it takes 15 s and more.
const FASTEST: f64 = 133.0;
/// The price may not rest so near a guard's threshold, USD: which side it is on must be clear.
const CLEAR: f64 = 5.0;
const BEAT: Duration = Duration::from_millis(100);
const SAMPLED: Duration = Duration::from_secs(1);
const SETTLED_WITHIN: Duration = Duration::from_secs(90);
/// What is held at rest is taken over so long.
const STRETCH: Duration = Duration::from_secs(20);
/// Of the time of one process, the share in which it fills what has a bound.
const FILLING: f64 = 0.5;
/// What a long soak may grow by afterwards, in a minute.
const MOST_KIB: f64 = 1024.0;
const MOST_FILES: f64 = 2.0;
/// Connections to the exchange that are kept open at rest, and what the process has open besides:
/// database, log, listener, timers.
const MOST_AT_REST: f64 = 64.0 + 46.0;

/// How long, with how many, from which seed.
struct Plan {
    length: Duration,
    accounts: usize,
    seed: u64,
}

impl Plan {
    fn wanted() -> Self {
        let number = |name: &str| -> Option<f64> {
            let text = std::env::var(name).ok()?;
            Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
        };
        let long = std::env::var_os("VIGIA_LONG").is_some();
        let minutes = number("VIGIA_SOAK_MINUTES").unwrap_or(if long { 5.0 } else { 0.5 });
        let accounts = number("VIGIA_SOAK_ACCOUNTS").map(|count| count as usize);
        let seed = number("VIGIA_SOAK_SEED").map(|seed| seed as u64);
        Self {
            length: Duration::from_secs_f64(minutes * 60.0),
            accounts: accounts.unwrap_or(if minutes < 1.0 { 40 } else { 200 }),
            seed: seed.unwrap_or_else(|| u64::from(rand::random::<u32>())),
        }
    }

    fn is_long(&self) -> bool {
        self.length >= Duration::from_secs(240)
    }
}

/// How often a guard must have added by the time the price is this.
fn adds(position: &Position, price: f64) -> usize {
    let margin = |times: i64| Sats(position.margin.0 + times * ADDED.0);
    let edge = |times| price_at(position, margin(times), THRESHOLD);
    (0..).find(|times| price > edge(*times)).unwrap() as usize
}

/// Whether it is clear of every position on which side of its threshold a price is.
fn is_clear(positions: &[(Owner, Position)], price: f64) -> bool {
    positions
        .iter()
        .all(|(_, position)| adds(position, price - CLEAR) == adds(position, price + CLEAR))
}

struct Played {
    watchman: Watchman,
    kills: u32,
    restarts: usize,
    samples: Vec<Sample>,
    price: f64,
}

fn start(stage: &Stage) -> Watchman {
    let mut command = stage.run();
    // Each process loses two executors between the exchange's answer and its record.
    command.env("VIGIA_FAILPOINT", "execution.recording=panic:2");
    // Each thread has an arena of the C library's, which keeps the most that it ever used: with eight
    // of them, more than half of the memory was free. With one, what is held tells of what is used.
    command.env("MALLOC_ARENA_MAX", "1");
    Watchman::of(command, stage.clock)
}

/// Lets the price fall, and things go wrong. Kills are in the first third: then one process goes on.
async fn play(stage: &Stage, plan: &Plan, mischief: &mut Mischief) -> Played {
    let mut played = Played {
        watchman: start(stage),
        kills: 0,
        restarts: 0,
        samples: vec![],
        price: FIRST,
    };
    played.watchman.until("service.ready").await;
    let began = stage.clock.awake();
    let fall = ((FIRST - LAST) / plan.length.as_secs_f64()).min(FASTEST);
    let kills = if plan.is_long() { 3 } else { 2 };
    let kill_every = plan.length / 3 / (kills + 1);
    let mut sample_at = Duration::ZERO;
    loop {
        let passed = stage.clock.awake() - began;
        if passed >= plan.length {
            return played;
        }
        played.price = ((FIRST - fall * passed.as_secs_f64()) * 2.0).floor() / 2.0;
        stage.control.set_price(played.price).unwrap();
        mischief.act(&stage.control, passed);
        if played.kills < kills && passed >= kill_every * (played.kills + 1) {
            played.kills += 1;
            played.restarts += played.watchman.count("actor.restarted");
            played.watchman.kill_now().await;
            played.watchman = start(stage);
            played.samples.clear();
        }
        if passed >= sample_at {
            sample_at = passed + SAMPLED;
            let open_sockets = || stage.control.open_sockets();
            let sample = Sample::of(played.watchman.pid(), passed, open_sockets);
            played.samples.extend(sample);
        }
        tokio::time::sleep(BEAT).await;
    }
}

/// What one process grew by in a minute, at rest: while it filled, and afterwards.
struct Growth {
    /// Memory of its own, KiB.
    memory: [f64; 2],
    files: [f64; 2],
    /// The most that it had open afterwards.
    most_files: f64,
}

impl Growth {
    fn of(samples: &[Sample]) -> Self {
        let rest = at_rest(samples, STRETCH);
        let filling = (rest.len() as f64 * FILLING) as usize;
        let (earlier, later) = rest.split_at(filling);
        let both = |value: fn(&Sample) -> f64| [earlier, later].map(|part| slope(part, value));
        Self {
            memory: both(|sample| sample.memory),
            files: both(|sample| sample.files),
            most_files: later.iter().map(|one| one.files).fold(0.0, f64::max),
        }
    }

    fn print(&self, samples: &[Sample]) {
        for sample in at_rest(samples, Duration::from_secs(60)) {
            println!(
                "minute {:>2}: {:.0} KiB of memory, {:.0} files and connections, {} sockets",
                sample.at.as_secs() / 60 + 1,
                sample.memory,
                sample.files,
                sample.sockets
            );
        }
        println!(
            "the last process, a minute: {:+.0} KiB and {:+.1} files and connections in the first half of \
             its time, {:+.0} KiB and {:+.1} in the second",
            self.memory[0], self.files[0], self.memory[1], self.files[1]
        );
    }

    fn check(&self) {
        let [memory, files] = [self.memory[1], self.files[1]];
        assert!(memory < MOST_KIB, "{memory} KiB a minute");
        assert!(files < MOST_FILES, "{files} files a minute");
        assert!(self.most_files < MOST_AT_REST, "{} files", self.most_files);
    }
}

/// How often margin was added for each key, by the exchange's own ledger.
fn added(stage: &Stage) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for entry in stage.effects() {
        *counts.entry(entry.key).or_default() += 1;
    }
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_guard_acts_as_often_as_it_must_whatever_goes_wrong() {
    let plan = Plan::wanted();
    println!(
        "{} accounts for {:?}, seed {} (VIGIA_SOAK_SEED={})",
        plan.accounts, plan.length, plan.seed, plan.seed
    );
    let stage = Stage::configured(None, Windows::default(), "").await;
    let file = std::fs::read_to_string(stage.config_file()).unwrap();
    let calm = file
        .replace("read_near_ms = 200", "read_near_ms = 1000")
        .replace("read_far_ms = 1000", "read_far_ms = 5000")
        .replace("info,vigia=debug", "info");
    std::fs::write(stage.config_file(), calm).unwrap();
    let mut positions = vec![];
    for n in 0..plan.accounts {
        let owner = stage.owner(&format!("account-{n:03}"));
        let position = stage.open_position(&owner, [10, 9, 8][n % 3]).await;
        stage.guard(&owner, Deed::Add).await;
        positions.push((owner, position));
    }
    stage.control.set_price(FIRST).unwrap();
    let mut mischief = Mischief::of(plan.seed);
    let mut played = play(&stage, &plan, &mut mischief).await;
    stage.control.clear_faults();
    while !is_clear(&positions, played.price) {
        played.price -= 1.0;
    }
    stage.control.set_price(played.price).unwrap();

    let key = |owner: &Owner| format!("key-{}", owner.name);
    let expected: BTreeMap<_, _> = positions
        .iter()
        .map(|(owner, position)| (key(owner), adds(position, played.price)))
        .filter(|(_, times)| *times > 0)
        .collect();
    let deadline = stage.clock.awake() + SETTLED_WITHIN;
    while added(&stage) != expected && stage.clock.awake() < deadline {
        tokio::time::sleep(BEAT).await;
    }
    let did = added(&stage);
    let restarts = played.restarts + played.watchman.count("actor.restarted");
    let grown = Growth::of(&played.samples);
    println!(
        "faults: {:?}; processes killed: {}",
        mischief.done, played.kills
    );
    println!(
        "effects: {} expected, {} in the ledger; actors restarted: {restarts}",
        expected.values().sum::<usize>(),
        did.values().sum::<usize>()
    );
    grown.print(&played.samples);
    assert_eq!(did, expected, "seed {}", plan.seed);
    assert!(restarts >= 2, "executors died and came back");
    // What was done while the store was slow is in the file of intents until it has been taken over.
    let all: usize = expected.values().sum();
    let settled = stage.settled(&played.watchman, |books| books.done().count() == all);
    settled.await;
    let degraded = played.watchman.count("journal.degraded");
    println!("the store was too slow {degraded} times: intents were kept in their file meanwhile");
    let books = stage.agree_after_stop(played.watchman).await;
    println!(
        "journal: {} executions, {} of them done, each with one effect and one audit entry",
        books.executions.len(),
        books.done().count()
    );
    if plan.is_long() {
        grown.check();
    }
}
