//! Who died, how often, of what, and whether it is back.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use super::Tally;

/// Kinds of actors: the first part of an actor's name in logs.
pub const KINDS: [&str; 9] = [
    "audit_log",
    "automation",
    "connection",
    "executor",
    "health_reporter",
    "intake",
    "job_desk",
    "notifier",
    "price_feed",
];
/// The kind of an actor that is not among [`KINDS`].
const OTHER: &str = "other";
/// Of a cause of death so many characters are kept.
const CAUSE_CHARS: usize = 300;

/// Where an actor stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// It runs.
    #[default]
    Running,
    /// It died and comes back.
    Restarting,
    /// It died too often and is set aside.
    Quarantined,
}

impl Standing {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Restarting => "restarting",
            Self::Quarantined => "quarantined",
        }
    }
}

/// What is known of an actor's deaths.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Life {
    /// Where it stands.
    pub standing: Standing,
    /// How often it was started again.
    pub restarts: u64,
    /// How it died last.
    pub last_cause: Option<String>,
    /// When.
    pub died_at: Option<DateTime<Utc>>,
}

/// Everybody who has died since it was started for the first time. Who is not listed has not.
#[derive(Debug)]
pub struct Lives {
    dead: Mutex<HashMap<String, Life>>,
    /// By kind.
    pub deaths: Tally<1>,
    /// By kind.
    pub restarts: Tally<1>,
}

impl Default for Lives {
    fn default() -> Self {
        Self {
            dead: Mutex::default(),
            deaths: Tally::of(KINDS.map(|kind| [kind])),
            restarts: Tally::of(KINDS.map(|kind| [kind])),
        }
    }
}

/// The kind of an actor, by its name.
pub fn kind_of(actor: &str) -> &'static str {
    let kind = actor.split('/').next().unwrap_or_default();
    let known = KINDS.into_iter().find(|known| *known == kind);
    known.unwrap_or(OTHER)
}

impl Lives {
    fn dead(&self) -> MutexGuard<'_, HashMap<String, Life>> {
        self.dead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn died(&self, actor: &str, cause: &str, now: DateTime<Utc>) {
        self.deaths.one([kind_of(actor)]);
        let mut dead = self.dead();
        let life = dead.entry(actor.to_owned()).or_default();
        life.standing = Standing::Restarting;
        life.last_cause = Some(cause.chars().take(CAUSE_CHARS).collect());
        life.died_at = Some(now);
    }

    pub(super) fn restarted(&self, actor: &str, restarts: u64) {
        self.restarts.one([kind_of(actor)]);
        let mut dead = self.dead();
        let life = dead.entry(actor.to_owned()).or_default();
        life.standing = Standing::Running;
        life.restarts = restarts;
    }

    pub(super) fn quarantined(&self, actor: &str) {
        self.dead().entry(actor.to_owned()).or_default().standing = Standing::Quarantined;
    }

    /// It begins a new life, or none.
    pub(super) fn forget(&self, actor: &str) {
        self.dead().remove(actor);
    }

    /// What is known of an actor; of one that has not died, that it runs.
    pub fn of(&self, actor: &str) -> Life {
        self.dead().get(actor).cloned().unwrap_or_default()
    }

    /// Actors of a kind that have died, by name.
    pub fn of_kind(&self, kind: &str) -> Vec<(String, Life)> {
        let dead = self.dead();
        let of_kind = dead.iter().filter(|(actor, _)| kind_of(actor) == kind);
        let mut found: Vec<_> = of_kind
            .map(|(actor, life)| (actor.clone(), life.clone()))
            .collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found
    }

    /// How many of each kind are set aside.
    pub fn set_aside(&self) -> BTreeMap<&'static str, u64> {
        let mut count: BTreeMap<_, _> = KINDS.into_iter().map(|kind| (kind, 0)).collect();
        for (actor, life) in &*self.dead() {
            if life.standing == Standing::Quarantined {
                *count.entry(kind_of(actor)).or_default() += 1;
            }
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_told_from_its_first_death_to_the_next_first_start() {
        let (lives, now) = (Lives::default(), DateTime::UNIX_EPOCH);
        let actor = "connection/alpha";
        assert_eq!(lives.of(actor), Life::default());
        lives.died(actor, "panicked: one", now);
        assert_eq!(lives.of(actor).standing, Standing::Restarting);
        lives.restarted(actor, 1);
        lives.died(actor, "panicked: two", now);
        lives.quarantined(actor);
        let life = lives.of(actor);
        assert_eq!((life.standing, life.restarts), (Standing::Quarantined, 1));
        assert_eq!(life.last_cause.as_deref(), Some("panicked: two"));
        assert_eq!(lives.set_aside()["connection"], 1);
        let counted = |tally: &Tally<1>| {
            let all = tally.read();
            all.into_iter()
                .find(|([kind], _)| *kind == "connection")
                .unwrap()
                .1
        };
        assert_eq!((counted(&lives.deaths), counted(&lives.restarts)), (2, 1));
        lives.forget(actor);
        assert_eq!(
            (lives.of(actor), lives.of_kind("connection")),
            (Life::default(), vec![])
        );
        assert_eq!(kind_of("something/new"), OTHER);
    }
}
