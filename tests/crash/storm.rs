//! A storm: every act at once, each on an account of its own, live or by a job, under faults of the
//! exchange, and the service killed again and again at random moments and places. In the end each act
//! has its effect once, or is reported as failed.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use vigia::domain::execution::State;

use crate::act::DANGER;
use crate::asked::QUEUE;
use crate::books::Books;
use crate::part::{Part, cast, look};
use crate::point::{Point, Route};
use crate::stage::{START, Stage, Windows, wanted_server};
use crate::table::is_long;
use crate::watchman::Watchman;

/// Of each of the storms below, in a long run and in a short one.
const KILLS_LONG: usize = 250;
const KILLS_SHORT: usize = 12;
/// So many stages are played at once by each.
const LANES: u64 = 2;
/// Kills on one stage; then a fresh one is set.
const KILLS_OF_A_STAGE: usize = 12;
/// A watchman that has not come to its moment by then is killed anyway.
const LONGEST_LIFE: Duration = Duration::from_millis(2500);
const STARTING_MS: u64 = 600;
const AFTERWARDS_US: u64 = 8_000;
const BEAT: Duration = Duration::from_millis(2);
const LOOK: Duration = Duration::from_millis(100);
const SETTLED_WITHIN: Duration = Duration::from_secs(90);
/// More than a storm can cost a job.
const ATTEMPTS: u32 = 100;

/// What a stage comes to.
#[derive(Default)]
struct Sum {
    kills: usize,
    unfinished: usize,
    effects: usize,
    failed: usize,
    stages: usize,
}

impl Sum {
    fn add(&mut self, other: &Self) {
        self.kills += other.kills;
        self.unfinished += other.unfinished;
        self.effects += other.effects;
        self.failed += other.failed;
        self.stages += other.stages;
    }
}

/// Where a watchman is killed.
#[derive(Debug)]
enum Moment {
    /// So long after its start.
    Start(Duration),
    /// So long after so many events of this name.
    Event(&'static str, usize, Duration),
    /// So long after so many more effects at the exchange.
    Effect(usize, Duration),
    /// By itself, at a pass of a failpoint.
    Place(&'static str, u32),
}

fn moment(random: &mut SmallRng) -> Moment {
    let pause = Duration::from_micros(random.gen_range(0..AFTERWARDS_US));
    match random.gen_range(0..8) {
        0 => Moment::Start(Duration::from_millis(random.gen_range(0..STARTING_MS))),
        1 => Moment::Event("execution.sending", random.gen_range(1..=5), pause),
        2 => Moment::Event("execution.done", random.gen_range(1..=4), pause),
        3 | 4 => Moment::Effect(random.gen_range(1..=4), pause),
        _ => {
            let places = Point::ALL.into_iter().filter_map(Point::place);
            let places: Vec<_> = places.map(|(place, _)| place).collect();
            let place = places.choose(random).copied().unwrap();
            Moment::Place(place, random.gen_range(1..=4))
        }
    }
}

async fn until_moment(stage: &Stage, mut watchman: Watchman, moment: &Moment, before: usize) {
    let give_up = stage.clock.mono() + LONGEST_LIFE;
    while watchman.is_running() && stage.clock.mono() < give_up {
        let come = match moment {
            Moment::Start(pause) => {
                tokio::time::sleep(*pause).await;
                true
            }
            Moment::Event(name, count, pause) if watchman.count(name) >= *count => {
                tokio::time::sleep(*pause).await;
                true
            }
            Moment::Effect(count, pause) if stage.effects().len() >= before + count => {
                tokio::time::sleep(*pause).await;
                true
            }
            _ => false,
        };
        if come {
            break;
        }
        tokio::time::sleep(BEAT).await;
    }
    watchman.kill().await;
}

/// Kills on one stage, as long as there is something to be carried out.
async fn survive(random: &mut SmallRng, most: usize) -> Sum {
    let windows = Windows {
        validity_ms: 1000,
        safety_ms: 300,
        ..Windows::default()
    };
    let stage = Stage::configured(wanted_server(), windows, QUEUE).await;
    let mut parts = cast(&stage, random).await;
    let live = parts.iter().filter(|part| part.route == Route::Live);
    let live = live.count();
    let mut sum = Sum {
        stages: 1,
        ..Sum::default()
    };
    while sum.kills < most {
        let moment = moment(random);
        let before = stage.effects().len();
        let watchman = match moment {
            Moment::Place(place, pass) if sum.kills > 0 => stage.start_to_die_at_pass(place, pass),
            _ => stage.start(),
        };
        if sum.kills == 0 {
            watchman.until_armed(live).await;
            stage.control.set_price(DANGER).unwrap();
            watchman.until("automation.triggered").await;
            for part in parts.iter_mut().filter(|part| part.route == Route::Job) {
                part.job = Some(stage.ask(&part.automation, ATTEMPTS).await);
            }
        }
        until_moment(&stage, watchman, &moment, before).await;
        sum.kills += 1;
        let (books, jobs) = look(&stage, &parts).await;
        if books.unfinished() == 0 && parts.iter().all(|part| part.has_ended(&books, &jobs)) {
            break;
        }
        sum.unfinished += 1;
    }
    let books = calm(&stage, &parts).await;
    sum.effects = stage.effects().len();
    sum.failed = books
        .states()
        .iter()
        .filter(|state| **state == State::Failed)
        .count();
    sum
}

/// Nobody is killed any more: all that is left is carried out, and held against each other.
async fn calm(stage: &Stage, parts: &[Part]) -> Books {
    let watchman = stage.start();
    let deadline = stage.clock.mono() + SETTLED_WITHIN;
    let mut crossings = vec![0; parts.len()];
    let (books, jobs) = loop {
        let (books, jobs) = look(stage, parts).await;
        let ended = parts.iter().all(|part| part.has_ended(&books, &jobs));
        if books.unfinished() == 0 && ended {
            let waits = |part: &Part| part.waits_for_a_crossing(&books);
            if !parts.iter().any(waits) {
                break (books, jobs);
            }
            stage.control.set_price(START).unwrap();
            for (part, crossings) in parts.iter().zip(&mut crossings) {
                if waits(part) {
                    *crossings += 1;
                    armed(&watchman, &part.name, *crossings, stage).await;
                }
            }
            stage.control.set_price(DANGER).unwrap();
            fired_again(stage, parts, &books).await;
        }
        assert!(
            stage.clock.mono() < deadline,
            "not settled: {books:#?}\n{jobs:#?}\n{:#?}\n{}",
            stage.effects(),
            watchman.told()
        );
        tokio::time::sleep(LOOK).await;
    };
    let effects = stage.effects();
    for part in parts {
        part.judge(&books, &effects, &jobs);
    }
    stage.agree_after_stop(watchman).await
}

/// Waits until an account's rule has been armed so often.
async fn armed(watchman: &Watchman, name: &str, times: usize, stage: &Stage) {
    let deadline = stage.clock.mono() + SETTLED_WITHIN;
    let armed = |line: &serde_json::Value| {
        line["event"] == "automation.armed" && line["account_name"] == name
    };
    while watchman.lines().iter().filter(|line| armed(line)).count() < times {
        assert!(stage.clock.mono() < deadline, "{}", watchman.told());
        tokio::time::sleep(LOOK).await;
    }
}

/// Waits until the crossing has led to executions.
async fn fired_again(stage: &Stage, parts: &[Part], before: &Books) {
    let deadline = stage.clock.mono() + SETTLED_WITHIN;
    while look(stage, parts).await.0.executions.len() == before.executions.len() {
        assert!(stage.clock.mono() < deadline, "nothing fired: {before:#?}");
        tokio::time::sleep(LOOK).await;
    }
}

async fn lane(seed: u64, kills: usize) -> Sum {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut sum = Sum::default();
    while sum.kills < kills {
        println!("seed {seed}, stage {}", sum.stages);
        let of = survive(&mut random, KILLS_OF_A_STAGE.min(kills - sum.kills)).await;
        sum.add(&of);
    }
    sum
}

async fn storm(seed: u64) {
    let kills = if is_long() { KILLS_LONG } else { KILLS_SHORT };
    let lanes = (0..LANES).map(|number| lane(seed * LANES + number, kills / LANES as usize));
    let mut sum = Sum::default();
    for of in futures_util::future::join_all(lanes).await {
        sum.add(&of);
    }
    println!(
        "kills survived: {} ({} stages; {} with something unfinished; {} effects, each once; {} \
         executions failed and were decided afresh or reported)",
        sum.kills, sum.stages, sum.unfinished, sum.effects, sum.failed
    );
}

macro_rules! storms {
    ($($name:ident: $seed:literal,)*) => { $(
        #[tokio::test]
        async fn $name() {
            storm($seed).await;
        }
    )* };
}

storms! {
    the_first_is_survived: 1,
    the_second_is_survived: 2,
    the_third_is_survived: 3,
    the_fourth_is_survived: 4,
}
