//! Killed again and again while the price falls and guards without a cooldown act.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use uuid::Uuid;
use vigia::domain::execution::State;
use vigia::domain::position::Position;
use vigia::domain::units::Sats;
use vigia::simulator::{Control, LedgerKind};

use crate::stage::{Deed, Owner, Stage, THRESHOLD, Windows, price_at};
use crate::watchman::{SOON, Watchman};

const SEED: u64 = 20_250_110;
const KILLS: usize = 15;
const BEAT: Duration = Duration::from_millis(1);
/// The price falls a little below where the next guard acts.
const BELOW: f64 = 0.02;
/// How far into its start a process may be killed, and how long after what it was seen to do.
const STARTING_MS: u64 = 500;
const AFTERWARDS_US: u64 = 8_000;

/// What is killed after.
#[derive(Debug)]
enum Moment {
    /// Any time since the start.
    Start,
    /// So many events of this name.
    Events(&'static str, usize),
    /// So many more effects at the exchange.
    Effects(usize),
}

struct Market<'a> {
    stage: &'a Stage,
    positions: Vec<Position>,
}

impl Market<'_> {
    /// Each running position with its margin, by the ledger.
    fn running(&self) -> Vec<(&Position, Sats)> {
        let ledger = self.stage.control.ledger();
        let of = |id: Uuid, kind| {
            ledger
                .iter()
                .filter(move |entry| entry.trade_id == id && entry.kind == kind)
        };
        let running = self
            .positions
            .iter()
            .filter(|position| of(position.id.0, LedgerKind::Closed).next().is_none());
        running
            .map(|position| {
                let added = of(position.id.0, LedgerKind::MarginAdded).filter_map(|e| e.amount);
                (position, position.margin + Sats(added.sum()))
            })
            .collect()
    }

    /// Where the first guard acts, by the ledger.
    fn next_level(&self, lost: f64) -> f64 {
        let levels = self
            .running()
            .into_iter()
            .map(|(position, margin)| price_at(position, margin, lost));
        levels.fold(0.0, f64::max)
    }

    fn in_danger(&self) -> bool {
        self.stage.control.price() <= self.next_level(THRESHOLD)
    }

    /// Falls on, as soon as every position is safe again: a dead watchman saves nobody.
    fn fall(&self) {
        if !self.in_danger() {
            let price = self.next_level(THRESHOLD + BELOW);
            self.stage.control.set_price(price).unwrap();
        }
    }

    async fn fall_until(&self, watchman: &Watchman, moment: &Moment) {
        let (clock, before) = (self.stage.clock, effects(&self.stage.control));
        let deadline = clock.mono() + SOON;
        loop {
            self.fall();
            let come = match moment {
                Moment::Start => true,
                Moment::Events(name, count) => watchman.count(name) >= *count,
                Moment::Effects(count) => effects(&self.stage.control) >= before + count,
            };
            if come {
                return;
            }
            assert!(clock.mono() < deadline, "{moment:?}\n{}", watchman.told());
            tokio::time::sleep(BEAT).await;
        }
    }
}

fn effects(control: &Control) -> usize {
    let ledger = control.ledger();
    let effects = ledger
        .iter()
        .filter(|entry| matches!(entry.kind, LedgerKind::MarginAdded | LedgerKind::Closed));
    effects.count()
}

/// A moment, and how long after it the kill comes.
fn moment(random: &mut SmallRng) -> (Moment, Duration) {
    let afterwards = Duration::from_micros(random.gen_range(0..AFTERWARDS_US));
    match random.gen_range(0..6) {
        0 => {
            let pause = Duration::from_millis(random.gen_range(0..STARTING_MS));
            (Moment::Start, pause)
        }
        1 => (Moment::Events("automation.triggered", 1), afterwards),
        2 => {
            let count = random.gen_range(1..=3);
            (Moment::Events("execution.sending", count), afterwards)
        }
        3 => (
            Moment::Events("execution.done", random.gen_range(1..=2)),
            afterwards,
        ),
        _ => (Moment::Effects(random.gen_range(1..=3)), afterwards),
    }
}

async fn guarded(stage: &Stage, name: &str, leverage: i64, deed: Deed) -> (Owner, Position) {
    let owner = stage.owner(name);
    let position = stage.open_position(&owner, leverage).await;
    stage.guard(&owner, deed).await;
    (owner, position)
}

#[tokio::test]
async fn ledger_and_journal_agree_after_kills_at_random_moments() {
    let mut random = SmallRng::seed_from_u64(SEED);
    let stage = Stage::with(Windows {
        validity_ms: 1000,
        safety_ms: 300,
        ..Windows::default()
    })
    .await;
    let mut market = Market {
        stage: &stage,
        positions: vec![],
    };
    for (name, leverage) in [("five", 5), ("ten", 10), ("twenty", 20)] {
        let (_, position) = guarded(&stage, name, leverage, Deed::Add).await;
        market.positions.push(position);
    }
    let (closer, position) = guarded(&stage, "closer", 50, Deed::Close).await;
    market.positions.push(position);

    let mut failed = 0;
    for _ in 0..KILLS {
        let position = stage.open_position(&closer, 50).await;
        market.positions.push(position);
        let watchman = stage.start();
        let (moment, pause) = moment(&mut random);
        market.fall_until(&watchman, &moment).await;
        // The moment itself is what varies.
        tokio::time::sleep(pause).await;
        failed += watchman.count("execution.failed");
        watchman.kill().await;
    }
    let watchman = stage.start();
    let books = stage.settled(&watchman, |_| !market.in_danger()).await;
    failed += watchman.count("execution.failed");
    stage.agree_after_stop(watchman).await;
    let count = |state| {
        let states = books.states();
        states.into_iter().filter(|found| *found == state).count()
    };
    println!(
        "kills survived: {KILLS} (seed {SEED}): {} effects, {} executions done, {} proven not \
         applied, {} skipped",
        effects(&stage.control),
        count(State::Done),
        count(State::Failed),
        count(State::Skipped),
    );
    assert!(
        books
            .reasons()
            .iter()
            .all(|reason| { ["not_applied", "condition_gone", "position_gone"].contains(reason) }),
        "{:?}",
        books.reasons()
    );
    assert!(
        count(State::Done) >= KILLS,
        "it hardly acted; {failed} failures were logged"
    );
}
