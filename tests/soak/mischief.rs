//! What goes wrong, at random.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use vigia::simulator::{Control, Fault, Injection};

use crate::stage::Deed;

/// No fault lasts longer: a position is liquidated later than that, and a guard comes in time.
const LONGEST: Duration = Duration::from_secs(2);
/// Between two faults, milliseconds.
const PAUSE_MS: std::ops::Range<u64> = 500..3000;

pub struct Mischief {
    random: SmallRng,
    next: Duration,
    /// How often each was done.
    pub done: BTreeMap<&'static str, u32>,
}

impl Mischief {
    pub fn of(seed: u64) -> Self {
        Self {
            random: SmallRng::seed_from_u64(seed),
            next: Duration::ZERO,
            done: BTreeMap::new(),
        }
    }

    /// Does the next thing, if its time has come.
    pub fn act(&mut self, control: &Control, now: Duration) {
        if now < self.next {
            return;
        }
        self.next = now + Duration::from_millis(self.random.gen_range(PAUSE_MS));
        let times = self.random.gen_range(1..4);
        let add = Deed::Add.route();
        let status = |status, retry_after| Fault::Status {
            status,
            code: None,
            retry_after,
            plain: false,
        };
        let lasting = |fault: Fault| Injection::from(fault).lasting(LONGEST);
        let (name, injection): (_, Injection) = match self.random.gen_range(0..13) {
            0 => {
                control.drop_sockets(None);
                *self.done.entry("sockets dropped").or_default() += 1;
                return;
            }
            1 => ("sockets silent", lasting(Fault::SilenceSockets)),
            2 => ("data silent", lasting(Fault::SilenceData)),
            3 => (
                "upgrades refused",
                lasting(Fault::RefuseUpgrades { status: 503 }),
            ),
            4 => ("events doubled", lasting(Fault::DuplicateEvents)),
            5 => ("events reordered", lasting(Fault::ReorderEvents)),
            6 => ("events malformed", lasting(Fault::MalformedEvents)),
            7 => ("503 on adds", status(503, None).on_route(add).times(times)),
            8 => (
                "429 on adds",
                status(429, Some(0.5)).on_route(add).times(times),
            ),
            9 => ("replies lost", Fault::LoseReply.on_route(add).times(times)),
            10 => (
                "requests dropped",
                Fault::DropRequest.on_route(add).times(times),
            ),
            11 => ("bodies cut", Fault::TruncateBody.on_route(add).times(times)),
            _ => ("replies late", lasting(Fault::DelayReply { ms: 700 })),
        };
        // As many as there may be at once are under way already.
        if control.inject(injection).is_ok() {
            *self.done.entry(name).or_default() += 1;
        }
    }
}
