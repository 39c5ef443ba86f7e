//! What automations show of themselves, to whoever looks: for each position, where its arming stands
//! and at which price it fires. Written by the automation in passing, read without asking it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};

use super::automation::AutomationPlan;
use crate::domain::arming::{Arming, Phase};
use crate::domain::ids::{AutomationId, PositionId};
use crate::domain::levels::Level;
use crate::domain::units::Price;

/// The automations of one account.
#[derive(Debug, Default)]
pub struct Watches(ArcSwap<Vec<Arc<Watched>>>);

/// One automation, as it shows itself.
#[derive(Debug)]
pub struct Watched {
    /// What it is to do.
    pub plan: AutomationPlan,
    positions: ArcSwap<Vec<Arc<Armed>>>,
    present: AtomicBool,
}

/// Where one automation stands for one position.
#[derive(Debug)]
pub struct Armed {
    /// The position, or the market.
    pub position: PositionId,
    phase: AtomicU8,
    until_ms: AtomicI64,
    episode: AtomicI64,
    below: AtomicU64,
    above: AtomicU64,
}

/// What [`Armed`] says at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stance {
    /// The episode.
    pub episode: i64,
    /// The phase, in a word.
    pub phase: &'static str,
    /// Until when it lasts at the least, where that is known.
    pub until: Option<DateTime<Utc>>,
    /// The level that the price feed holds for it: where it fires, if it is armed; where it is
    /// released, if it is spent.
    pub level: Level,
}

/// The words for phases, by the number under which they are kept.
const PHASES: [&str; 8] = [
    "opening",
    "armed",
    "firing",
    "fired",
    "resting",
    "spent",
    "limited",
    "completed",
];

impl Armed {
    /// Of a position that nothing has been said of yet.
    pub fn new(position: PositionId) -> Arc<Self> {
        Arc::new(Self {
            position,
            phase: AtomicU8::new(0),
            until_ms: AtomicI64::new(0),
            episode: AtomicI64::new(0),
            below: AtomicU64::new(0),
            above: AtomicU64::new(0),
        })
    }

    /// Its arming stands so.
    pub fn stands(&self, arming: &Arming) {
        let (phase, until) = match arming.phase {
            Phase::Opening => (0, None),
            Phase::Armed => (1, None),
            Phase::Firing => (2, None),
            Phase::Fired(_) => (3, None),
            Phase::Resting(at) => (4, Some(at)),
            Phase::Spent(at) => (5, Some(at)),
            Phase::Limited(at) => (6, Some(at)),
            Phase::Completed => (7, None),
        };
        if !matches!(arming.phase, Phase::Armed | Phase::Spent(_)) {
            self.waits_for(Level::default());
        }
        let until_ms = until.map_or(0, |at| at.timestamp_millis());
        self.until_ms.store(until_ms, Ordering::Relaxed);
        self.episode.store(arming.episode, Ordering::Relaxed);
        self.phase.store(phase, Ordering::Release);
    }

    /// The price feed was given this level.
    pub fn waits_for(&self, level: Level) {
        let cents = |price: Option<Price>| price.map_or(0, Price::cents);
        self.below
            .store(cents(level.at_or_below), Ordering::Relaxed);
        self.above
            .store(cents(level.at_or_above), Ordering::Relaxed);
    }

    /// What it says now.
    pub fn stance(&self) -> Stance {
        let phase = self.phase.load(Ordering::Acquire);
        let price = |cents: &AtomicU64| Price::from_cents(cents.load(Ordering::Relaxed));
        let until_ms = self.until_ms.load(Ordering::Relaxed);
        Stance {
            episode: self.episode.load(Ordering::Relaxed),
            phase: PHASES[usize::from(phase) % PHASES.len()],
            until: DateTime::from_timestamp_millis(until_ms).filter(|_| until_ms > 0),
            level: Level {
                at_or_below: price(&self.below),
                at_or_above: price(&self.above),
            },
        }
    }
}

impl Watched {
    /// Shows these positions from now on.
    pub fn shows(&self, positions: impl Iterator<Item = Arc<Armed>>) {
        self.positions.store(Arc::new(positions.collect()));
    }

    /// The automation is gone: it waits for nothing any more.
    pub fn leaves(&self) {
        self.present.store(false, Ordering::Relaxed);
        self.positions.store(Arc::default());
    }

    /// What it watches.
    pub fn positions(&self) -> Arc<Vec<Arc<Armed>>> {
        self.positions.load_full()
    }

    /// Whether the automation is there.
    pub fn is_present(&self) -> bool {
        self.present.load(Ordering::Relaxed)
    }
}

impl Watches {
    /// An automation begins to show itself. Of one that died, nothing stays; beside one that is
    /// about to be replaced, the new one is shown for as long as it is there.
    pub fn enters(&self, plan: AutomationPlan) -> Arc<Watched> {
        let watched = Arc::new(Watched {
            plan,
            positions: ArcSwap::default(),
            present: AtomicBool::new(true),
        });
        self.0.rcu(|all| {
            let id = &watched.plan.id;
            let others = all
                .iter()
                .filter(|other| other.plan.id != *id || other.is_present());
            let mut others: Vec<_> = others.cloned().collect();
            others.push(Arc::clone(&watched));
            others
        });
        watched
    }

    /// An automation is no longer meant to be.
    pub fn forgets(&self, id: &AutomationId) {
        self.0.rcu(|all| {
            let others = all.iter().filter(|other| other.plan.id != *id);
            others.cloned().collect::<Vec<_>>()
        });
    }

    /// Nothing of automations other than these.
    pub fn keeps(&self, is_meant: impl Fn(&AutomationId) -> bool) {
        self.0.rcu(|all| {
            let meant = all.iter().filter(|watched| is_meant(&watched.plan.id));
            meant.cloned().collect::<Vec<_>>()
        });
    }

    /// All automations, one time each, in the order of their ids.
    pub fn all(&self) -> Vec<Arc<Watched>> {
        let mut all: Vec<_> = self.0.load().iter().cloned().collect();
        // Of two the one that is there, and of those the later.
        all.reverse();
        all.sort_by(|a, b| {
            let by_id = a.plan.id.as_str().cmp(b.plan.id.as_str());
            by_id.then(b.is_present().cmp(&a.is_present()))
        });
        all.dedup_by(|a, b| a.plan.id == b.plan.id);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::rules::{Rule, RuleKind};

    fn plan(id: &str) -> AutomationPlan {
        let config = serde_json::json!({
            "action": "close_position", "metric": "margin_used", "margin_threshold": 0.7,
        });
        AutomationPlan {
            id: AutomationId::new(id),
            rule_version: 1,
            rule: Arc::new(Rule::parse(RuleKind::MarginGuard, &config).unwrap()),
        }
    }

    #[test]
    fn of_old_and_new_the_one_that_is_there_is_shown_once() {
        let watches = Watches::default();
        let old = watches.enters(plan("a"));
        watches.enters(plan("b"));
        let new = watches.enters(plan("a"));
        let shown = || {
            watches
                .all()
                .into_iter()
                .find(|one| one.plan.id.as_str() == "a")
                .unwrap()
        };
        assert_eq!(watches.all().len(), 2);
        assert!(Arc::ptr_eq(&shown(), &new), "the later one");
        new.leaves();
        assert!(Arc::ptr_eq(&shown(), &old), "the new one gave up");
        old.leaves();
        assert!(!shown().is_present());
        let third = watches.enters(plan("a"));
        assert!(Arc::ptr_eq(&shown(), &third));
        watches.forgets(&AutomationId::new("a"));
        watches.keeps(|_| false);
        assert!(watches.all().is_empty());
    }

    #[test]
    fn a_level_is_shown_only_while_the_feed_holds_it() {
        let armed = Armed::new(PositionId::MARKET);
        let (mut arming, _) = Arming::first();
        let level = Level {
            at_or_below: Price::from_usd(93_457.5),
            at_or_above: None,
        };
        arming.phase = Phase::Armed;
        armed.stands(&arming);
        armed.waits_for(level);
        let stance = armed.stance();
        assert_eq!(
            (stance.phase, stance.level, stance.episode),
            ("armed", level, arming.episode)
        );
        arming.phase = Phase::Resting(DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(9));
        armed.stands(&arming);
        let stance = armed.stance();
        assert_eq!((stance.phase, stance.level), ("resting", Level::default()));
        assert_eq!(stance.until.unwrap().timestamp(), 9);
    }
}
