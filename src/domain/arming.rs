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
/// How soon an automation that a kill switch holds back tries again: so long after the switch is off,
/// at most, it guards again.
const WHILE_STOPPED: Duration = Duration::from_secs(1);

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
    /// May fire from this time on: until then its cooldown lasts, or it has acted as often as it may.
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
    /// From when on the episode may fire, where it was opened before that time.
    pub from: Option<DateTime<Utc>>,
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
    /// This episode was fired before, by this execution: the store says so, or whoever fired it.
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
    /// The store did not let it fire: a kill switch is on.
    Stopped,
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
            from: None,
            failures: 0,
        };
        (arming, Effect::Open { episode: 1 })
    }

    /// Takes one step. `habit` is the rule's; an event that does not fit the phase (a level crossed
    /// twice, the end of another execution) changes nothing.
    pub fn step(&mut self, event: Event, now: DateTime<Utc>, habit: Habit) -> Option<Effect> {
        match (self.phase, event) {
            (Phase::Opening, Event::Opened) => {
                // Never from a time to come: the wall clock may have been set back since.
                let from = self.from.take().map(|from| from.min(now + habit.cooldown));
                Some(match from.filter(|from| *from > now) {
                    Some(from) => {
                        self.phase = Phase::Limited(from);
                        Effect::WakeAt(from)
                    }
                    None => {
                        self.phase = Phase::Armed;
                        Effect::Watch
                    }
                })
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
            | (Phase::Opening | Phase::Armed | Phase::Firing, Event::FiredBefore(execution)) => {
                self.phase = Phase::Fired(execution);
                None
            }
            (Phase::Firing, Event::Limited(until)) => {
                self.phase = Phase::Limited(until);
                Some(Effect::WakeAt(until))
            }
            (Phase::Firing, Event::Stopped) => {
                self.phase = Phase::Armed;
                Some(Effect::WakeAt(now + WHILE_STOPPED))
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
            // That it has become false is written down, for when the cooldown is over: it may be true
            // again by then, and this process another one.
            (Phase::Spent(until), Event::ConditionFalse) => {
                self.from = Some(until.min(now + habit.cooldown)).filter(|from| *from > now);
                Some(self.open_next())
            }
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

    fn open_next(&mut self) -> Effect {
        self.episode += 1;
        self.phase = Phase::Opening;
        Effect::Open {
            episode: self.episode,
        }
    }

    /// A guard guards while the danger lasts: after a success, and after what may have been one, it
    /// rests for the cooldown; after anything else it tries again, later each time; a skip for want of
    /// ground costs nothing.
    fn rest_after(&mut self, ended: &Ended, habit: Habit) -> Duration {
        if ended.had_no_ground() {
            return Duration::ZERO;
        }
        let acted = matches!(ended.state, State::Done | State::Uncertain);
        if acted || habit.rearming == Rearming::OnceFalse {
            self.failures = 0;
            return habit.cooldown;
        }
        let rest = AFTER_FAILURE.ceiling(self.failures);
        self.failures = self.failures.saturating_add(1);
        rest
    }
}

impl Ended {
    /// Whether it was not carried out because there was no reason to, or none that could be seen, or
    /// because it was forbidden for a while.
    fn had_no_ground(&self) -> bool {
        matches!(
            (self.state, self.skipped),
            (
                State::Skipped,
                Some(
                    SkipReason::ConditionGone
                        | SkipReason::PriceStale
                        | SkipReason::PositionGone
                        | SkipReason::KillSwitch
                        | SkipReason::AccountPaused
                        | SkipReason::DailyExecutions
                        | SkipReason::DailySats
                )
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
    fn an_episode_that_another_fired_is_armed_no_longer() {
        let (mut arming, _) = Arming::first();
        let once = Habit {
            rearming: Rearming::OnceFalse,
            ..GUARD
        };
        assert_eq!(arming.step(Event::Opened, at(0), once), Some(Effect::Watch));
        assert_eq!(arming.step(Event::FiredBefore(id(1)), at(1), once), None);
        assert_eq!(arming.step(Event::ConditionTrue, at(1), once), None);
        let effect = arming.step(ended(id(1), State::Done, 2), at(2), once);
        assert_eq!(effect, Some(Effect::WatchRelease), "as if it had fired it");
        let effect = arming.step(Event::ConditionFalse, at(3), once);
        assert_eq!(effect, Some(Effect::Open { episode: 2 }));
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
    fn what_may_have_been_applied_is_followed_by_the_cooldown() {
        let (mut arming, _) = Arming::first();
        fired(&mut arming, id(1));
        let calm = Habit {
            cooldown: Duration::from_secs(60),
            ..GUARD
        };
        let effect = arming.step(ended(id(1), State::Uncertain, 10), at(10), calm);
        assert_eq!(effect, Some(Effect::WakeAt(at(70))));
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
            (SkipReason::KillSwitch, true),
            (SkipReason::AccountPaused, true),
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
            let opened = Some(Effect::Open { episode: 2 });
            assert_eq!(early.step(Event::ConditionFalse, at(30), crossing), opened);
            assert_eq!(early.from, Some(at(70)), "false, but too soon");
            let effect = early.step(Event::Opened, at(30), crossing);
            assert_eq!(effect, Some(Effect::WakeAt(at(70))));
            assert_eq!(early.step(Event::ConditionTrue, at(69), crossing), None);
            let watched = Some(Effect::Watch);
            assert_eq!(early.step(Event::Due, at(70), crossing), watched);
            assert_eq!(arming.step(Event::ConditionFalse, at(71), crossing), opened);
            assert_eq!(arming.from, None);
            assert_eq!(arming.step(Event::Opened, at(71), crossing), watched);
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

    use proptest::prelude::*;

    /// What may happen to an arming from outside, in any order.
    #[derive(Clone, Copy, Debug)]
    enum Happens {
        True,
        False,
        Due,
        Ends(State),
        StoreFails,
        /// The process starts again: what stands in the store is all that is known.
        Restart,
    }

    fn happens() -> impl Strategy<Value = Happens> {
        let states = [State::Done, State::Failed, State::Uncertain];
        prop_oneof![
            3 => Just(Happens::True),
            3 => Just(Happens::False),
            3 => Just(Happens::Due),
            3 => proptest::sample::select(states.to_vec()).prop_map(Happens::Ends),
            1 => Just(Happens::StoreFails),
            1 => Just(Happens::Restart),
        ]
    }

    /// The store of a story: the episode that stands, from when on it may fire, and its execution.
    struct Stored {
        episode: i64,
        from: DateTime<Utc>,
        fired: Option<(ExecutionId, Option<Ended>)>,
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]

        /// Whatever happens, restarts included: between two executions the condition was false once,
        /// and the cooldown has passed.
        #[test]
        fn one_execution_a_crossing_whatever_happens(
            story in proptest::collection::vec((happens(), 0i64..40), 1..80),
        ) {
            let habit = Habit { cooldown: Duration::from_secs(60), rearming: Rearming::OnceFalse };
            let mut stored = Stored { episode: 1, from: at(0), fired: None };
            let (mut arming, _) = Arming::first();
            arming.step(Event::Opened, at(0), habit);
            let (mut seconds, mut executions) = (0, 0u128);
            let (mut condition, mut seen_false) = (false, true);
            let mut ended_at = None;
            for (happens, passes) in story {
                seconds += passes;
                let now = at(seconds);
                let mut next = match happens {
                    Happens::True => { condition = true; Some(Event::ConditionTrue) }
                    Happens::False => { condition = false; Some(Event::ConditionFalse) }
                    Happens::Due => Some(Event::Due),
                    Happens::StoreFails => Some(Event::StoreFailed),
                    Happens::Ends(state) => match &mut stored.fired {
                        Some((execution, ended @ None)) => {
                            let end = Ended { execution: *execution, state, skipped: None, at: now };
                            *ended = Some(end);
                            ended_at = Some(seconds);
                            seen_false = false;
                            Some(Event::Ended(end))
                        }
                        _ => None,
                    },
                    Happens::Restart => {
                        (arming, _) = Arming::first();
                        arming.episode = stored.episode;
                        match &stored.fired {
                            None => { arming.from = Some(stored.from); Some(Event::Opened) }
                            Some((execution, ended)) => {
                                arming.step(Event::FiredBefore(*execution), now, habit);
                                ended.map(Event::Ended)
                            }
                        }
                    }
                };
                while let Some(event) = next.take() {
                    if event == Event::ConditionFalse && matches!(arming.phase, Phase::Spent(_)) {
                        seen_false = true;
                    }
                    match arming.step(event, now, habit) {
                        Some(Effect::Open { episode }) => {
                            prop_assert!(episode == stored.episode || episode == stored.episode + 1);
                            if episode > stored.episode {
                                let from = arming.from.unwrap_or(now);
                                stored = Stored { episode, from, fired: None };
                            }
                            next = Some(Event::Opened);
                        }
                        Some(Effect::Fire { episode }) => {
                            prop_assert_eq!(episode, stored.episode);
                            prop_assert!(stored.fired.is_none(), "an episode fires once");
                            prop_assert!(seen_false, "the condition was never false");
                            let rested = ended_at.is_none_or(|ended| seconds >= ended + 60);
                            prop_assert!(rested, "before the cooldown was over");
                            executions += 1;
                            stored.fired = Some((id(executions), None));
                            next = Some(Event::Fired(id(executions)));
                        }
                        Some(Effect::Watch) if condition => next = Some(Event::ConditionTrue),
                        Some(Effect::WatchRelease) if !condition => next = Some(Event::ConditionFalse),
                        _ => {}
                    }
                }
            }
        }
    }
}
