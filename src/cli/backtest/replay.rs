//! Replays a rule over the way the price takes: the decisions are the service's own
//! ([`crate::domain::rules`], [`crate::domain::arming`], [`crate::domain::execution::last_look`]),
//! the exchange is a [`Ledger`]. Whatever comes next on a stretch comes at its own price and time.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use uuid::Uuid;

use super::coming::{Coming, Next, next_funding};
use super::execution::Record;
use super::holding::EndedBy;
use super::ledger::Ledger;
use super::path::Leg;
use crate::domain::arming::{Arming, Effect, Ended, Event, Habit, Phase};
use crate::domain::execution::State;
use crate::domain::ids::ExecutionId;
use crate::domain::levels::Level;
use crate::domain::position::Position;
use crate::domain::rules::{Lineage, Rule, Subject};
use crate::domain::units::Price;

/// What is watched: a position, or the market.
#[derive(Debug)]
struct Watch {
    holding: Option<usize>,
    arming: Arming,
    wake: Option<DateTime<Utc>>,
    level: Level,
}

/// A replay under way.
pub(super) struct Replay<'a> {
    rule: Option<&'a Rule>,
    funding_rate: f64,
    next_funding: DateTime<Utc>,
    watches: Vec<Watch>,
    pub(super) lineage: Lineage,
    pub(super) now: DateTime<Utc>,
    pub(super) price: Price,
    acted: u32,
    acted_on: (Option<NaiveDate>, u32),
    pub ledger: Ledger,
    pub record: Record,
}

impl<'a> Replay<'a> {
    /// Begins at a time and a price; without a rule, what comes of the positions by themselves.
    pub fn begin(
        rule: Option<&'a Rule>,
        ledger: Ledger,
        funding_rate: f64,
        price: Price,
        now: DateTime<Utc>,
    ) -> Self {
        let mut replay = Self {
            rule,
            funding_rate,
            next_funding: next_funding(now),
            watches: vec![],
            lineage: Lineage::default(),
            now,
            price,
            acted: 0,
            acted_on: (None, 0),
            ledger,
            record: Record::default(),
        };
        replay.watch_all();
        replay
    }

    fn watch_all(&mut self) {
        let Some(rule) = self.rule else { return };
        if rule.is_entry() {
            self.watch(None);
            return;
        }
        for index in 0..self.ledger.holdings.len() {
            let position = self.position(Some(index));
            if position.is_some_and(|position| rule.is_for(&position, &self.lineage)) {
                self.watch(Some(index));
            }
        }
    }

    fn watch(&mut self, holding: Option<usize>) {
        let (arming, _) = Arming::first();
        self.watches.push(Watch {
            holding,
            arming,
            wake: None,
            level: Level::default(),
        });
        self.drive(self.watches.len() - 1, Event::Opened);
    }

    pub(super) fn position(&self, holding: Option<usize>) -> Option<Position> {
        self.ledger.holdings.get(holding?)?.position()
    }

    /// Follows the price along a leg.
    pub fn follow(&mut self, leg: &Leg) {
        if leg.is_jump() {
            (self.price, self.now) = (leg.to, leg.start);
        }
        while let Some((time, price, next)) = self.next(leg) {
            (self.price, self.now) = (price, time.max(self.now));
            self.take(next);
        }
        (self.price, self.now) = (leg.to, leg.end.max(self.now));
    }

    /// The first thing that happens before the leg ends.
    fn next(&self, leg: &Leg) -> Option<(DateTime<Utc>, Price, Next)> {
        let mut coming = Coming::from(leg, self.price, self.now);
        for (index, holding) in self.ledger.holdings.iter().enumerate() {
            if let Some(position) = holding.position() {
                coming.at_position(index, &position);
            }
        }
        for (index, watch) in self.watches.iter().enumerate() {
            coming.at(watch.level, Next::Level(index));
            if let Some(wake) = watch.wake {
                coming.at_time(wake, Next::Wake(index));
            }
        }
        if self.funding_rate != 0.0 {
            coming.at_time(self.next_funding, Next::Funding);
        }
        coming.first()
    }

    fn take(&mut self, next: Next) {
        match next {
            Next::Liquidation(index) => {
                let quoted = self
                    .position(Some(index))
                    .map(|position| position.liquidation);
                self.end(index, EndedBy::Liquidation, quoted.unwrap_or(self.price));
            }
            Next::Stoploss(index) => self.end(index, EndedBy::Stoploss, self.price),
            Next::Takeprofit(index) => self.end(index, EndedBy::Takeprofit, self.price),
            Next::Level(index) => self.decide(index),
            Next::Wake(index) => {
                if let Some(watch) = self.watches.get_mut(index) {
                    watch.wake = None;
                }
                self.drive(index, Event::Due);
            }
            Next::Funding => {
                self.ledger.settle(self.price, self.funding_rate);
                self.next_funding = next_funding(self.next_funding);
                for index in 0..self.watches.len() {
                    self.decide(index);
                }
            }
        }
    }

    fn end(&mut self, index: usize, by: EndedBy, price: Price) {
        self.ledger.end(index, by, price, self.price, self.now);
        self.watches.retain(|watch| watch.holding != Some(index));
    }

    /// Decides exactly, as after a hint: fires, or watches for what has not come yet.
    fn decide(&mut self, index: usize) {
        let (Some(rule), Some(watch)) = (self.rule, self.watches.get(index)) else {
            return;
        };
        let position = self.position(watch.holding);
        let reached = rule.is_reached(subject(position.as_ref()), self.price);
        let event = if reached {
            Event::ConditionTrue
        } else {
            Event::ConditionFalse
        };
        let watched = watch.level != Level::default();
        let released = watched && !watch.level.is_reached(self.price);
        if let Some(watch) = self.watches.get_mut(index) {
            watch.level = Level::default();
        }
        self.drive(index, event);
        // What was watched for has not come: the position has changed meanwhile.
        if released {
            self.renew(index);
        }
    }

    /// Puts the level of an armed watch where the position has it now.
    fn renew(&mut self, index: usize) {
        let Some(rule) = self.rule else { return };
        let Some(watch) = self.watches.get(index) else {
            return;
        };
        if watch.level != Level::default() {
            return;
        }
        let position = self.position(watch.holding);
        let level = rule.level(subject(position.as_ref()));
        let level = match watch.arming.phase {
            Phase::Armed => level,
            Phase::Spent(_) => level.released_from(self.price),
            _ => return,
        };
        if let Some(watch) = self.watches.get_mut(index) {
            watch.level = level;
        }
    }

    /// Lets the arming take a step, and does what it asks for until it asks for nothing.
    fn drive(&mut self, index: usize, event: Event) {
        let Some(rule) = self.rule else { return };
        let habit = Habit::of(rule);
        let mut event = Some(event);
        while let Some(happened) = event.take() {
            let Some(watch) = self.watches.get_mut(index) else {
                return;
            };
            let effect = watch.arming.step(happened, self.now, habit);
            let holding = watch.holding;
            let position = self.position(holding);
            let subject = subject(position.as_ref());
            event = match effect {
                None => None,
                Some(Effect::Open { .. }) => Some(Event::Opened),
                Some(Effect::WakeAt(time)) => {
                    self.set(index, |watch| watch.wake = Some(time));
                    None
                }
                Some(Effect::Watch) if rule.is_reached(subject, self.price) => {
                    Some(Event::ConditionTrue)
                }
                Some(Effect::Watch) => {
                    let level = rule.level(subject);
                    self.set(index, |watch| watch.level = level);
                    None
                }
                Some(Effect::WatchRelease) if !rule.is_reached(subject, self.price) => {
                    Some(Event::ConditionFalse)
                }
                Some(Effect::WatchRelease) => {
                    let level = rule.level(subject).released_from(self.price);
                    self.set(index, |watch| watch.level = level);
                    None
                }
                Some(Effect::Fire { .. }) => self.fire(index, rule, holding),
            };
        }
    }

    fn set(&mut self, index: usize, change: impl FnOnce(&mut Watch)) {
        if let Some(watch) = self.watches.get_mut(index) {
            change(watch);
        }
    }

    /// What forbids one more execution, or how the execution ended.
    fn fire(&mut self, index: usize, rule: &Rule, holding: Option<usize>) -> Option<Event> {
        let (limits, today) = (rule.limits(), self.now.date_naive());
        if self.acted_on.0 != Some(today) {
            self.acted_on = (Some(today), 0);
        }
        if limits.in_all.is_some_and(|most| self.acted >= most) {
            return Some(Event::Completed);
        }
        if limits.per_day.is_some_and(|most| self.acted_on.1 >= most) {
            let midnight = today + Days::new(1);
            return Some(Event::Limited(midnight.and_time(NaiveTime::MIN).and_utc()));
        }
        let id = ExecutionId(Uuid::from_u128(u128::from(self.record.written())));
        let habit = Habit::of(rule);
        self.set(index, |watch| {
            watch.level = Level::default();
            watch
                .arming
                .step(Event::Fired(id), DateTime::UNIX_EPOCH, habit);
        });
        let (state, skipped) = self.execute(rule, holding, false);
        if state == State::Done {
            self.acted += 1;
            self.acted_on.1 += 1;
        }
        let runs_on = holding.is_none() || self.position(holding).is_some();
        if !runs_on {
            self.watches.retain(|watch| watch.holding != holding);
            return None;
        }
        Some(Event::Ended(Ended {
            execution: id,
            state,
            skipped,
            at: self.now,
        }))
    }
}

fn subject(position: Option<&Position>) -> Subject<'_> {
    position.map_or(Subject::Market, Subject::Position)
}
