//! Arming: when an automation may fire for a position. Each stretch between arming and firing is
//! an episode; its number is in the key of the execution, so that one trigger is one execution.
//!
//! What stands here in memory follows what is stored: an episode is written down before its level
//! is registered, and firing writes the execution and the state `fired` in one transaction.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::backoff::Curve;
use super::execution::{SkipReason, State};
use super::ids::ExecutionId;
use super::rules::{Rearming, Rule};

/// Delays after a failure: 1, 2, 4 … 30 s.
const AFTER_FAILURE: Curve = Curve {
    first: Duration::from_secs(1),
    most: Duration::from_secs(30),
};
/// How soon a write to the store that failed is tried again.
const STORE_RETRY: Duration = Duration::from_millis(250);

/// Where an automation stands for one position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The episode is being written down; nothing may fire.
    Opening,
    /// May fire: its level is registered.
    Armed,
    /// The execution is being written down.
    Firing,
    /// Fired; the execution has not ended.
    Fired(ExecutionId),
    /// Fired and ended; the next episode opens at this time.
    Resting(DateTime<Utc>),
    /// Fired and ended; the next episode opens when the condition has become false, not before this
    /// time.
    Spent(DateTime<Utc>),
    /// May fire again from this time on: it has acted as often as it may until then.
    Limited(DateTime<Utc>),
    /// It has acted as often as it may at all.
    Completed,
}

/// Arming of one automation for one position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arming {
    /// The episode the phase belongs to, counted from 1.
    pub episode: i64,
    /// Where it stands.
    pub phase: Phase,
    /// Executions that did not succeed, in a row.
    pub failures: u32,
}

/// How an execution ended, as far as arming cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The execution.
    pub execution: ExecutionId,
    /// A final state.
    pub state: State,
    /// Why it was skipped, if it was.
    pub skipped: Option<SkipReason>,
    /// When it ended.
    pub at: DateTime<Utc>,
}

/// What happens to an arming.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The episode stands in the store.
    Opened,
    /// The store did not take it.
    StoreFailed,
    /// The rule is true now, decided exactly.
    ConditionTrue,
    /// The execution stands in the store.
    Fired(ExecutionId),
    /// The store says that this episode was fired before, by this execution.
    FiredBefore(ExecutionId),
    /// The execution has ended.
    Ended(Ended),
    /// A timer set by [`Effect::WakeAt`] has run out.
    Due,
    /// The rule is false now, decided exactly.
    ConditionFalse,
    /// The store did not let it fire: it has acted as often as it may until this time.
    Limited(DateTime<Utc>),
    /// The store did not let it fire: it has acted as often as it may at all.
    Completed,
}

/// What must be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Write the episode down as armed.
    Open {
        /// Its number.
        episode: i64,
    },
    /// Decide now, then register the level.
    Watch,
    /// Write down the execution of this episode.
    Fire {
        /// Its number.
        episode: i64,
    },
    /// Send [`Event::Due`] at this time.
    WakeAt(DateTime<Utc>),
    /// Decide now, then register where the condition becomes false.
    WatchRelease,
}

/// What of a rule its arming obeys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Habit {
    /// The least time from the end of an execution to the next episode.
    pub cooldown: Duration,
    /// When the next episode may open.
    pub rearming: Rearming,
}

impl Habit {
    /// That of a rule.
    pub fn of(rule: &Rule) -> Self {
        Self {
            cooldown: rule.cooldown(),
            rearming: rule.rearming(),
        }
    }
}

impl Arming {
    /// The arming of a position seen for the first time: its first episode is to be written down.
    pub fn first() -> (Self, Effect) {
        let arming = Self {
            episode: 1,
            phase: Phase::Opening,
            failures: 0,
        };
        (arming, Effect::Open { episode: 1 })
    }

    /// Takes one step. `habit` is the rule's; an event that does not fit the phase (a level crossed
    /// twice, the end of another execution) changes nothing.
    pub fn step(&mut self, event: Event, now: DateTime<Utc>, habit: Habit) -> Option<Effect> {
        match (self.phase, event) {
            (Phase::Opening, Event::Opened) => {
                self.phase = Phase::Armed;
                Some(Effect::Watch)
            }
            (Phase::Armed, Event::ConditionTrue) => {
                self.phase = Phase::Firing;
                Some(Effect::Fire {
                    episode: self.episode,
                })
            }
            (Phase::Opening, Event::StoreFailed) => Some(Effect::WakeAt(now + STORE_RETRY)),
            (Phase::Firing, Event::StoreFailed) => {
                self.phase = Phase::Armed;
                Some(Effect::WakeAt(now + STORE_RETRY))
            }
            (Phase::Opening, Event::Due) => Some(Effect::Open {
                episode: self.episode,
            }),
            (Phase::Armed, Event::Due) => Some(Effect::Watch),
            (Phase::Firing, Event::Fired(execution))
            | (Phase::Opening | Phase::Firing, Event::FiredBefore(execution)) => {
                self.phase = Phase::Fired(execution);
                None
            }
            (Phase::Firing, Event::Limited(until)) => {
                self.phase = Phase::Limited(until);
                Some(Effect::WakeAt(until))
            }
            (Phase::Firing, Event::Completed) => {
                self.phase = Phase::Completed;
                None
            }
            (Phase::Limited(until), Event::Due) if now >= until => {
                self.phase = Phase::Armed;
                Some(Effect::Watch)
            }
            (Phase::Limited(until), Event::Due) => Some(Effect::WakeAt(until)),
            (Phase::Fired(execution), Event::Ended(ended)) if ended.execution == execution => {
                Some(self.rest(&ended, now, habit))
            }
            (Phase::Resting(until), Event::Due) if now >= until => Some(self.open_next()),
            (Phase::Resting(until), Event::Due) => {
                // Never from a time to come: the wall clock may have been set back since.
                let until = until.min(now + habit.cooldown.max(AFTER_FAILURE.most));
                self.phase = Phase::Resting(until);
                Some(Effect::WakeAt(until))
            }
            // That it has become false is kept, for when the cooldown is over.
            (Phase::Spent(until), Event::ConditionFalse) if now < until => {
                self.phase = Phase::Resting(until.min(now + habit.cooldown));
                self.wake()
            }
            (Phase::Spent(_), Event::ConditionFalse) => Some(self.open_next()),
            (Phase::Spent(_), Event::Due) => Some(Effect::WatchRelease),
            _ => None,
        }
    }

    fn rest(&mut self, ended: &Ended, now: DateTime<Utc>, habit: Habit) -> Effect {
        let rest = self.rest_after(ended, habit);
        let until = ended.at.min(now) + rest;
        if habit.rearming == Rearming::OnceFalse && !ended.had_no_ground() {
            self.phase = Phase::Spent(until);
            return Effect::WatchRelease;
        }
        if until <= now {
            return self.open_next();
        }
        self.phase = Phase::Resting(until);
        Effect::WakeAt(until)
    }

    fn wake(&self) -> Option<Effect> {
        match self.phase {
            Phase::Resting(until) => Some(Effect::WakeAt(until)),
            _ => None,
        }
    }

    fn open_next(&mut self) -> Effect {
        self.episode += 1;
        self.phase = Phase::Opening;
        Effect::Open {
            episode: self.episode,
        }
    }

    /// A guard guards while the danger lasts: after a success it rests for the cooldown; after
    /// anything else it tries again, later each time; a skip for want of ground costs nothing.
    fn rest_after(&mut self, ended: &Ended, habit: Habit) -> Duration {
        if ended.had_no_ground() {
            return Duration::ZERO;
        }
        if ended.state == State::Done || habit.rearming == Rearming::OnceFalse {
            self.failures = 0;
            return habit.cooldown;
        }
        let rest = AFTER_FAILURE.ceiling(self.failures);
        self.failures = self.failures.saturating_add(1);
        rest
    }
}

impl Ended {
    /// Whether it was not carried out because there was no reason to, or none that could be seen.
    fn had_no_ground(&self) -> bool {
        matches!(
            (self.state, self.skipped),
            (
                State::Skipped,
                Some(SkipReason::ConditionGone | SkipReason::PriceStale | SkipReason::PositionGone)
            )
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUARD: Habit = Habit {
        cooldown: Duration::ZERO,
        rearming: Rearming::WhileTrue,
    };

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + chrono::Duration::seconds(seconds)
    }

    fn id(n: u128) -> ExecutionId {
        ExecutionId(uuid::Uuid::from_u128(n))
    }

    fn ended(execution: ExecutionId, state: State, seconds: i64) -> Event {
        Event::Ended(Ended {
            execution,
            state,
            skipped: None,
            at: at(seconds),
        })
    }

    fn fired(arming: &mut Arming, execution: ExecutionId) {
        let step = |arming: &mut Arming, event| arming.step(event, at(0), GUARD);
        assert_eq!(step(arming, Event::Opened), Some(Effect::Watch));
        let fire = Effect::Fire {
            episode: arming.episode,
        };
        assert_eq!(step(arming, Event::ConditionTrue), Some(fire));
        assert_eq!(step(arming, Event::Fired(execution)), None);
    }

    #[test]
    fn an_episode_is_written_before_its_level_stands_and_fires_once() {
        let (mut arming, effect) = Arming::first();
        assert_eq!(effect, Effect::Open { episode: 1 });
        assert_eq!(arming.step(Event::ConditionTrue, at(0), GUARD), None);
        fired(&mut arming, id(1));
        assert_eq!(arming.step(Event::ConditionTrue, at(0), GUARD), None);
        assert_eq!(arming.phase, Phase::Fired(id(1)));
    }

    #[test]
    fn after_a_success_the_next_episode_opens_when_the_cooldown_is_over() {
        let (mut arming, _) = Arming::first();
        fired(&mut arming, id(1));
        let calm = Habit {
            cooldown: Duration::from_secs(60),
            ..GUARD
        };
        let effect = arming.step(ended(id(1), State::Done, 10), at(10), calm);
        assert_eq!(effect, Some(Effect::WakeAt(at(70))));
        assert_eq!(
            arming.step(Event::Due, at(69), calm),
            Some(Effect::WakeAt(at(70)))
        );
        assert_eq!(
            arming.step(Event::Due, at(70), calm),
            Some(Effect::Open { episode: 2 })
        );
        fired(&mut arming, id(2));
        let effect = arming.step(ended(id(2), State::Done, 80), at(80), GUARD);
        assert_eq!(
            effect,
            Some(Effect::Open { episode: 3 }),
            "no cooldown, no wait"
        );
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_prolong_the_rest() {
        let calm = Habit {
            cooldown: Duration::from_secs(60),
            ..GUARD
        };
        let (mut arming, _) = Arming::first();
        fired(&mut arming, id(1));
        let effect = arming.step(ended(id(1), State::Done, 5000), at(1000), calm);
        assert_eq!(effect, Some(Effect::WakeAt(at(1060))));
        assert_eq!(
            arming.step(Event::Due, at(100), calm),
            Some(Effect::WakeAt(at(160)))
        );
        assert_eq!(
            arming.step(Event::Due, at(160), calm),
            Some(Effect::Open { episode: 2 })
        );
    }

    #[test]
    fn after_failures_it_tries_again_later_each_time() {
        let (mut arming, _) = Arming::first();
        let mut rests = vec![];
        for n in 0..7 {
            fired(&mut arming, id(n));
            match arming.step(ended(id(n), State::Failed, 0), at(0), GUARD) {
                Some(Effect::WakeAt(until)) => rests.push((until - at(0)).num_seconds()),
                other => panic!("{other:?}"),
            }
            arming.step(Event::Due, at(60), GUARD);
        }
        assert_eq!(rests, [1, 2, 4, 8, 16, 30, 30]);
        fired(&mut arming, id(8));
        arming.step(ended(id(8), State::Done, 0), at(0), GUARD);
        assert_eq!(arming.failures, 0);
    }

    #[test]
    fn a_skip_for_want_of_ground_arms_again_at_once_and_a_dry_run_does_not_spin() {
        for (reason, at_once) in [
            (SkipReason::ConditionGone, true),
            (SkipReason::DryRun, false),
        ] {
            let (mut arming, _) = Arming::first();
            fired(&mut arming, id(1));
            let event = Event::Ended(Ended {
                execution: id(1),
                state: State::Skipped,
                skipped: Some(reason),
                at: at(0),
            });
            let effect = arming.step(event, at(0), GUARD);
            assert_eq!(
                effect == Some(Effect::Open { episode: 2 }),
                at_once,
                "{reason:?}"
            );
        }
    }

    #[test]
    fn what_the_store_refused_is_tried_again_and_what_it_knows_as_fired_is_not_fired_again() {
        let (mut arming, _) = Arming::first();
        let soon = at(0) + STORE_RETRY;
        let step = |arming: &mut Arming, event| arming.step(event, at(0), GUARD);
        assert_eq!(
            step(&mut arming, Event::StoreFailed),
            Some(Effect::WakeAt(soon))
        );
        assert_eq!(
            step(&mut arming, Event::Due),
            Some(Effect::Open { episode: 1 })
        );
        step(&mut arming, Event::Opened);
        step(&mut arming, Event::ConditionTrue);
        assert_eq!(
            step(&mut arming, Event::StoreFailed),
            Some(Effect::WakeAt(soon))
        );
        assert_eq!(step(&mut arming, Event::Due), Some(Effect::Watch));
        step(&mut arming, Event::ConditionTrue);
        assert_eq!(step(&mut arming, Event::FiredBefore(id(4))), None);
        assert_eq!(arming.phase, Phase::Fired(id(4)));
    }

    #[test]
    fn the_end_of_another_execution_changes_nothing() {
        let (mut arming, _) = Arming::first();
        fired(&mut arming, id(1));
        let before = arming;
        assert_eq!(
            arming.step(ended(id(2), State::Done, 0), at(0), GUARD),
            None
        );
        assert_eq!(arming, before);
    }

    #[test]
    fn one_execution_a_crossing_waits_for_the_condition_to_end_and_for_the_cooldown() {
        let crossing = Habit {
            cooldown: Duration::from_secs(60),
            rearming: Rearming::OnceFalse,
        };
        for state in [State::Done, State::Failed, State::Uncertain] {
            let (mut arming, _) = Arming::first();
            fired(&mut arming, id(1));
            let effect = arming.step(ended(id(1), state, 10), at(10), crossing);
            assert_eq!(effect, Some(Effect::WatchRelease), "{state}");
            assert_eq!(arming.step(Event::ConditionTrue, at(80), crossing), None);
            let mut early = arming;
            let effect = early.step(Event::ConditionFalse, at(30), crossing);
            assert_eq!(effect, Some(Effect::WakeAt(at(70))), "false, but too soon");
            let opened = Some(Effect::Open { episode: 2 });
            assert_eq!(early.step(Event::Due, at(70), crossing), opened);
            assert_eq!(arming.step(Event::ConditionFalse, at(71), crossing), opened);
        }
    }

    #[test]
    fn a_limit_holds_until_its_time_and_what_is_completed_never_fires() {
        let (mut arming, _) = Arming::first();
        arming.step(Event::Opened, at(0), GUARD);
        arming.step(Event::ConditionTrue, at(0), GUARD);
        let mut completed = arming;
        let effect = arming.step(Event::Limited(at(100)), at(0), GUARD);
        assert_eq!(effect, Some(Effect::WakeAt(at(100))));
        assert_eq!(arming.step(Event::ConditionTrue, at(50), GUARD), None);
        assert_eq!(arming.step(Event::Due, at(100), GUARD), Some(Effect::Watch));
        assert_eq!(arming.phase, Phase::Armed);
        completed.step(Event::Completed, at(0), GUARD);
        for event in [Event::Due, Event::ConditionTrue, Event::ConditionFalse] {
            assert_eq!(completed.step(event, at(1000), GUARD), None);
        }
    }
}
