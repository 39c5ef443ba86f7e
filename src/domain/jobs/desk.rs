//! Fairness: the queue hands out jobs first come, first served; the desk decides which of those in
//! hand runs next, so that one account's flood delays no other account and danger goes first.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Danger, JobKey, JobScope};
use crate::domain::ids::{AccountId, AutomationId};

/// The desk's bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeskLimits {
    /// Jobs that run at once, over all accounts; one for each account.
    pub running: usize,
    /// Jobs of one account that wait here. The rest is set aside, back into the queue.
    pub waiting_per_account: usize,
    /// Jobs of one account that were set aside come back so far apart.
    pub pace: Duration,
    /// No job is set aside for longer.
    pub longest_aside: Duration,
    /// A job that was due longer ago is not begun any more.
    pub max_age: Duration,
}

impl Default for DeskLimits {
    fn default() -> Self {
        Self {
            running: 5,
            waiting_per_account: 4,
            pace: Duration::from_millis(500),
            longest_aside: Duration::from_secs(300),
            max_age: Duration::from_secs(900),
        }
    }
}

/// A job that was taken from the queue.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Which job.
    pub key: JobKey,
    /// The account of its automation.
    pub account: AccountId,
    /// Its automation.
    pub automation: AutomationId,
    /// What its automation is there for.
    pub danger: Danger,
    /// What of the automation it asks for.
    pub scope: JobScope,
    /// When it could run first: when it was added, plus the delay that it was added with.
    pub due_at: DateTime<Utc>,
    /// Attempts that failed before. A job that was begun, or that a person tries again, does not
    /// expire.
    pub attempts_made: u32,
}

/// What becomes of a job that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It waits here for its turn.
    Waits,
    /// It waits here, and a less dangerous job of its account makes room: that one is to be set
    /// aside for so long.
    Displaces {
        /// The job that makes room.
        key: JobKey,
        /// For how long.
        delay: Duration,
    },
    /// It is to be set aside for so long.
    SetAside {
        /// For how long.
        delay: Duration,
    },
    /// A job that asks for the same thing waits already, and will answer for both.
    Coalesced {
        /// The job that waits.
        with: JobKey,
    },
    /// It was due too long ago.
    Expired {
        /// How long ago.
        age: Duration,
    },
    /// The very same job waits or runs here: the queue has handed it out again.
    InHand,
}

/// The jobs in hand: those that wait for their turn and those that run.
#[derive(Clone, Debug)]
pub struct Desk {
    limits: DeskLimits,
    /// In the order of their arrival.
    waiting: Vec<Request>,
    running: HashMap<AccountId, Request>,
    /// When the last job that an account had set aside comes back.
    last_return: HashMap<AccountId, DateTime<Utc>>,
}

impl Desk {
    /// An empty desk.
    pub fn new(limits: DeskLimits) -> Self {
        Self {
            limits,
            waiting: vec![],
            running: HashMap::new(),
            last_return: HashMap::new(),
        }
    }

    /// Decides about a job that was taken.
    pub fn admit(&mut self, job: Request, now: DateTime<Utc>) -> Verdict {
        if self.has_in_hand(&job) {
            return Verdict::InHand;
        }
        if let Some(age) = self.age_if_expired(&job, now) {
            return Verdict::Expired { age };
        }
        if let Some(with) = self.equal_of(&job) {
            return Verdict::Coalesced { with };
        }
        if !self.is_full(&job.account) {
            self.waiting.push(job);
            return Verdict::Waits;
        }
        let delay = self.aside(&job.account, now);
        match self.behind(&job) {
            Some(place) => {
                let makes_room = self.waiting.remove(place);
                self.waiting.push(job);
                Verdict::Displaces {
                    key: makes_room.key,
                    delay,
                }
            }
            None => Verdict::SetAside { delay },
        }
    }

    /// For how long a job is to be set aside, where that is all that can become of it now: of a flood
    /// nothing else need be known. None where more must be decided.
    pub fn set_aside(&mut self, job: &Request, now: DateTime<Utc>) -> Option<Duration> {
        let nothing_else = self.is_full(&job.account)
            && self.behind(job).is_none()
            && !self.has_in_hand(job)
            && self.age_if_expired(job, now).is_none()
            && self.equal_of(job).is_none();
        nothing_else.then(|| self.aside(&job.account, now))
    }

    fn has_in_hand(&self, job: &Request) -> bool {
        let same = |other: &Request| other.key == job.key;
        self.waiting.iter().any(same) || self.running.values().any(same)
    }

    fn is_full(&self, account: &AccountId) -> bool {
        let of_account = |other: &&Request| other.account == *account;
        self.waiting.iter().filter(of_account).count() >= self.limits.waiting_per_account
    }

    /// The place of the job that would make room for this one: the least dangerous of its account;
    /// of equals the one that came last, so that order is kept.
    fn behind(&self, job: &Request) -> Option<usize> {
        self.waiting
            .iter()
            .enumerate()
            .filter(|(_, other)| other.account == job.account && other.danger > job.danger)
            .max_by_key(|(place, other)| (other.danger, *place))
            .map(|(place, _)| place)
    }

    /// Begins the job whose turn it is: the most dangerous of those whose account runs none, the
    /// earliest among equals. None where all wait for their account or enough run.
    pub fn begin_next(&mut self) -> Option<Request> {
        if self.running.len() >= self.limits.running {
            return None;
        }
        let places = self.waiting.iter().enumerate();
        let free = places.filter(|(_, job)| !self.running.contains_key(&job.account));
        let (place, _) = free.min_by_key(|(place, job)| (job.danger, *place))?;
        let job = self.waiting.remove(place);
        self.running.insert(job.account.clone(), job.clone());
        Some(job)
    }

    /// A job has ended, or no longer waits. Returns whether it was in hand.
    pub fn end(&mut self, key: &JobKey) -> bool {
        let before = self.waiting.len() + self.running.len();
        self.waiting.retain(|job| job.key != *key);
        self.running.retain(|_, job| job.key != *key);
        before > self.waiting.len() + self.running.len()
    }

    /// Takes out what has waited here until it was too old, with its age.
    pub fn expire(&mut self, now: DateTime<Utc>) -> Vec<(JobKey, Duration)> {
        let waiting = std::mem::take(&mut self.waiting);
        let mut expired = vec![];
        for job in waiting {
            match self.age_if_expired(&job, now) {
                Some(age) => expired.push((job.key, age)),
                None => self.waiting.push(job),
            }
        }
        self.last_return.retain(|_, at| *at > now);
        expired
    }

    /// Jobs that wait for their turn.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Jobs that run.
    pub fn running(&self) -> usize {
        self.running.len()
    }

    fn age_if_expired(&self, job: &Request, now: DateTime<Utc>) -> Option<Duration> {
        let age = (now - job.due_at).to_std().ok()?;
        (job.attempts_made == 0 && age > self.limits.max_age).then_some(age)
    }

    /// Entries are never taken for equal: two jobs to buy are two orders. Nor does one that runs
    /// answer for one that came later: it has looked at the market already.
    fn equal_of(&self, job: &Request) -> Option<JobKey> {
        let equal = |other: &&Request| {
            job.danger != Danger::AutoEntry
                && other.automation == job.automation
                && other.account == job.account
                && other.scope == job.scope
        };
        self.waiting.iter().find(equal).map(|job| job.key.clone())
    }

    /// For how long the account's next job is set aside: each comes back one pace after the one
    /// before it, so the delay grows with the account's backlog.
    fn aside(&mut self, account: &AccountId, now: DateTime<Utc>) -> Duration {
        let step = |duration| TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX);
        let longest = now + step(self.limits.longest_aside);
        let last = self.last_return.get(account).copied();
        let back = last.map_or(now, |last| last.max(now)) + step(self.limits.pace);
        let back = back.min(longest);
        self.last_return.insert(account.clone(), back);
        (back - now).to_std().unwrap_or_default()
    }
}
