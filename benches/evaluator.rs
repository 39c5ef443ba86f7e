//! What sorted levels save, as ratios within one run: `cargo bench --bench evaluator`.
//!
//! A tick wakes whom it crosses. The peer looks at every level on every tick, as a service does
//! whose automations each listen to the price; what sending them the price costs on top is left
//! out. Both see the same prices, and must wake the same automations.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::disallowed_methods)] // a bench reads the clock

use std::hint::black_box;
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use vigia::domain::levels::{Level, Levels};
use vigia::domain::position::{Position, Side};
use vigia::domain::rules::MarginGuard;
use vigia::domain::units::Price;

const SEED: u64 = 1;
const TICKS: usize = 20_000;
/// The most that the price moves with a tick, as a share.
const STEP: f64 = 4e-4;
const COUNTS: [usize; 3] = [100, 1_000, 10_000];
/// A run is repeated, the best one counts: everything else on the machine only adds time.
const RUNS: usize = 5;
/// How far a level lies from the price when it is registered: at least this share, at most twice.
const DISTANCE: f64 = 0.02;

fn price(usd: f64) -> Price {
    Price::from_usd(usd).expect("a price of the exchange")
}

/// A market that wanders far enough to reach levels.
fn walk() -> Vec<f64> {
    let mut random = SmallRng::seed_from_u64(SEED);
    let mut usd = 100_000.0;
    let step = |_| {
        usd *= 1.0 + random.gen_range(-STEP..STEP);
        usd
    };
    (0..TICKS).map(step).collect()
}

/// Where automation `key` acts, as seen from a price: below it for even keys, above for odd ones.
fn level(key: usize, usd: f64) -> Level {
    let share = DISTANCE * (1.0 + (key % 97) as f64 / 97.0);
    match key % 2 {
        0 => Level {
            at_or_below: Some(price(usd * (1.0 - share))),
            at_or_above: None,
        },
        _ => Level {
            at_or_below: None,
            at_or_above: Some(price(usd * (1.0 + share))),
        },
    }
}

/// Time for all ticks, and how often an automation was woken.
fn sorted(count: usize, prices: &[f64]) -> (Duration, usize) {
    let mut levels = Levels::default();
    for key in 0..count {
        levels.set(key as u64, level(key, prices[0]));
    }
    let (started, mut woken) = (Instant::now(), 0);
    for usd in prices {
        while let Some(key) = levels.pop_crossed(price(*usd)) {
            woken += 1;
            levels.set(key, level(key as usize, *usd));
        }
    }
    (started.elapsed(), black_box(woken))
}

fn scanned(count: usize, prices: &[f64]) -> (Duration, usize) {
    let mut levels: Vec<_> = (0..count).map(|key| level(key, prices[0])).collect();
    let (started, mut woken) = (Instant::now(), 0);
    for usd in prices {
        let at = price(*usd);
        for (key, watched) in levels.iter_mut().enumerate() {
            if watched.is_reached(at) {
                woken += 1;
                *watched = level(key, *usd);
            }
        }
    }
    (started.elapsed(), black_box(woken))
}

fn best(mut run: impl FnMut() -> (Duration, usize)) -> (Duration, usize) {
    (0..RUNS).map(|_| run()).min().expect("at least one run")
}

fn nanos(time: Duration, among: usize) -> f64 {
    time.as_nanos() as f64 / among as f64
}

fn ticks() {
    let prices = walk();
    println!("{TICKS} ticks; nanoseconds for each\n");
    println!(
        "{:>8} {:>8} {:>10} {:>10} {:>8}",
        "levels", "woken", "sorted", "scanned", "ratio"
    );
    for count in COUNTS {
        let (sorted, woken) = best(|| sorted(count, &prices));
        let (scanned, woken_too) = best(|| scanned(count, &prices));
        assert_eq!(woken, woken_too, "both must wake the same");
        println!(
            "{count:>8} {woken:>8} {:>10.0} {:>10.0} {:>7.1}x",
            nanos(sorted, TICKS),
            nanos(scanned, TICKS),
            scanned.as_secs_f64() / sorted.as_secs_f64(),
        );
    }
}

/// A level is found by halving on the decision itself; this is what that costs.
fn search() {
    const TIMES: usize = 20_000;
    let config = json!({
        "action": "add_margin", "add_margin_amount": 1_000,
        "metric": "margin_used", "margin_threshold": 0.7,
    });
    let guard = MarginGuard::parse(&config).expect("a guard");
    let position = Position::sample(Side::Buy, 10_000, 100_000.0, 10);
    let at = price(99_000.0);
    let time = |mut what: Box<dyn FnMut()>| {
        let run = || {
            let started = Instant::now();
            (0..TIMES).for_each(|_| what());
            (started.elapsed(), 0)
        };
        best(run).0
    };
    let (rule, trade) = (guard.clone(), position.clone());
    let deciding = time(Box::new(move || {
        black_box(rule.is_reached(black_box(&trade), black_box(at)));
    }));
    let searching = time(Box::new(move || {
        black_box(guard.level(black_box(&position)));
    }));
    println!("\nnanoseconds for each\n");
    println!("one decision         {:>8.0}", nanos(deciding, TIMES));
    println!("one search of a level{:>8.0}", nanos(searching, TIMES));
    println!(
        "ratio                {:>7.1}x",
        searching.as_secs_f64() / deciding.as_secs_f64()
    );
}

/// What it costs to write a duration down: in atomics, and in the library's histogram behind a lock,
/// while another thread reads a thousand times a second. What a mean does not show: whoever is set aside
/// by the system while holding a lock holds up whoever waits for it.
fn figures() {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::metrics::histogram::{Histogram as Locked, exponential_buckets};
    use prometheus_client::registry::Registry;
    use std::sync::atomic::{AtomicBool, Ordering};
    use vigia::meter::Histogram;
    const TIMES: usize = 1_000_000;
    const BUCKETS: u16 = 20;
    const BETWEEN_READINGS: Duration = Duration::from_millis(1);
    let observed = |observe: &dyn Fn(Duration), read: &(dyn Fn() + Sync)| {
        let run = || {
            let reading = AtomicBool::new(true);
            std::thread::scope(|scope| {
                let reader = scope.spawn(|| {
                    while reading.load(Ordering::Relaxed) {
                        read();
                        std::thread::sleep(BETWEEN_READINGS);
                    }
                });
                let started = Instant::now();
                (0..TIMES).for_each(|us| observe(Duration::from_micros(us as u64 % 5000)));
                let took = started.elapsed();
                reading.store(false, Ordering::Relaxed);
                reader.join().expect("a reader");
                (took, 0)
            })
        };
        best(run).0
    };
    let ours = Histogram::default();
    let read = || drop(black_box(ours.read()));
    let atomic = observed(&|took| ours.observe(black_box(took)), &read);
    let theirs = Locked::new(exponential_buckets(5e-6, 2.0, BUCKETS));
    let mut registry = Registry::default();
    registry.register("took", "How long", theirs.clone());
    let read = || encode(&mut String::new(), &registry).expect("text");
    let locked = observed(&|took| theirs.observe(black_box(took).as_secs_f64()), &read);
    println!("\nnanoseconds for a duration written down while another thread reads\n");
    println!("atomics              {:>8.0}", nanos(atomic, TIMES));
    println!("behind a lock        {:>8.0}", nanos(locked, TIMES));
    println!(
        "ratio                {:>7.1}x",
        locked.as_secs_f64() / atomic.as_secs_f64()
    );
}

fn main() {
    ticks();
    search();
    figures();
}
