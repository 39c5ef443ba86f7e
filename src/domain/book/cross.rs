//! The cross side of the book: one net position that is never closed for good, only flat, and so
//! leaves no tombstone.

use std::time::Duration;

use super::{LOWER_MARGIN_TWICE, ReadOutcome, differences, drift};
use crate::domain::position::Position;
use crate::domain::units::Sats;

/// The cross account as known in memory. Times are since the start of the process.
#[derive(Clone, Debug, Default)]
pub struct CrossBook {
    position: Option<Position>,
    margin: Sats,
    leverage: i64,
    read_once: bool,
    /// The last event, own command answer or applied reading (by its request).
    touched_at: Duration,
    row_at: Duration,
    /// An event or an own order announced a change that no reading has shown yet.
    dirty_at: Option<Duration>,
    own_margin: Option<Sats>,
    /// When the answer came that left it.
    own_at: Duration,
    lower_seen_at: Option<Duration>,
}

impl CrossBook {
    /// Something happened to the cross position or its orders at this time: it must be read. A
    /// reading that was requested since has shown it already.
    pub fn changed(&mut self, at: Duration) {
        if self.read_once && at <= self.row_at {
            return;
        }
        self.dirty_at = Some(at);
        self.touched_at = self.touched_at.max(at);
    }

    /// Takes the answer to an own deposit or setting.
    pub fn own_answer(
        &mut self,
        margin: Sats,
        leverage: i64,
        position: Option<Position>,
        now: Duration,
    ) {
        self.own_margin = Some(margin);
        self.own_at = now;
        self.lower_seen_at = None;
        self.set(margin, leverage, position, now);
    }

    /// Takes a reading that was requested at `requested_at`; one that was requested before the last
    /// event, own answer or applied reading is not applied. Margin that is lower than our own deposit
    /// left it is believed only when seen twice.
    pub fn read(
        &mut self,
        margin: Sats,
        leverage: i64,
        position: Option<Position>,
        requested_at: Duration,
    ) -> ReadOutcome {
        let mut outcome = ReadOutcome::default();
        if requested_at < self.touched_at {
            return outcome;
        }
        // Funding, fees and losses lower it too, but then the position shows them.
        let same_size = self.position.as_ref().map(|position| position.quantity)
            == position.as_ref().map(|position| position.quantity);
        if same_size && self.own_margin.is_some_and(|own| margin < own) {
            let since = *self.lower_seen_at.get_or_insert(requested_at);
            if requested_at < since + LOWER_MARGIN_TWICE {
                outcome.read_again_at = Some(since + LOWER_MARGIN_TWICE);
                return outcome;
            }
            self.own_margin = None;
        }
        // As with trades: one that was requested sooner takes no doubt away.
        if !same_size || requested_at >= self.own_at + LOWER_MARGIN_TWICE {
            self.own_margin = None;
        }
        self.lower_seen_at = None;
        let expected = !self.read_once || self.dirty_at.is_some();
        if !expected {
            self.tell_drift(position.as_ref(), &mut outcome);
        }
        outcome.changed = !self.read_once || self.position != position || self.margin != margin;
        self.set(margin, leverage, position, requested_at);
        outcome
    }

    fn tell_drift(&self, position: Option<&Position>, outcome: &mut ReadOutcome) {
        match (&self.position, position) {
            (Some(had), Some(has)) => {
                outcome.drift.extend(differences(had, has));
                let size = |position: &Position| {
                    format!("{} {}", position.side.direction(), position.quantity)
                };
                if size(had) != size(has) {
                    let drifted = drift(had.id, "quantity", &size(had), &size(has));
                    outcome.drift.push(drifted);
                }
            }
            (Some(had), None) => outcome
                .drift
                .push(drift(had.id, "running", "true", "false")),
            (None, Some(has)) => outcome
                .drift
                .push(drift(has.id, "running", "false", "true")),
            (None, None) => {}
        }
    }

    fn set(&mut self, margin: Sats, leverage: i64, position: Option<Position>, at: Duration) {
        self.margin = margin;
        self.leverage = leverage;
        self.position = position;
        self.read_once = true;
        self.touched_at = at;
        self.row_at = at;
        self.dirty_at = None;
    }

    /// As [`super::Book::heir`]: one that knows what our own command left, as long as a reading may
    /// still be of before it.
    #[must_use]
    pub fn heir(&self) -> Self {
        match self.own_margin {
            Some(_) => Self {
                // What the first reading shows is no difference to be told.
                dirty_at: Some(self.touched_at),
                ..self.clone()
            },
            None => Self::default(),
        }
    }

    /// Whether something was announced that no reading has shown yet.
    pub fn is_dirty(&self) -> bool {
        self.dirty_at.is_some()
    }

    /// The net position and the time of its row; none when flat or not read yet.
    pub fn row(&self) -> Option<(&Position, Duration)> {
        self.position
            .as_ref()
            .map(|position| (position, self.row_at))
    }

    /// What the account holds and the leverage that is set; none before the first reading.
    pub fn account(&self) -> Option<(Sats, i64)> {
        self.read_once.then_some((self.margin, self.leverage))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::position::Side;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn position(margin: i64) -> Option<Position> {
        let margin = Sats(margin);
        Some(Position::sample_cross(
            Side::Buy,
            1000,
            100_000.0,
            10,
            margin,
        ))
    }

    fn read(book: &mut CrossBook, margin: i64, seconds: u64) -> ReadOutcome {
        book.read(Sats(margin), 10, position(margin), at(seconds))
    }

    #[test]
    fn a_reading_requested_before_an_event_or_own_answer_is_not_applied() {
        let mut book = CrossBook::default();
        assert!(read(&mut book, 500_000, 1).changed);
        book.changed(at(5));
        assert_eq!(read(&mut book, 400_000, 4), ReadOutcome::default());
        assert!(book.is_dirty());
        let outcome = read(&mut book, 400_000, 6);
        assert!(
            outcome.changed && outcome.drift.is_empty(),
            "announced: {outcome:?}"
        );
        assert!(!book.is_dirty());
    }

    #[test]
    fn what_nothing_announced_is_drift_and_flat_is_no_tombstone() {
        let mut book = CrossBook::default();
        read(&mut book, 500_000, 1);
        let outcome = book.read(Sats(500_000), 10, None, at(2));
        assert_eq!(
            (&*outcome.drift[0].had, &*outcome.drift[0].has),
            ("true", "false")
        );
        assert_eq!(book.row(), None);
        assert!(read(&mut book, 500_000, 3).changed);
        assert!(book.row().is_some());
    }

    #[test]
    fn less_than_our_own_deposit_left_is_believed_only_when_seen_twice() {
        let mut book = CrossBook::default();
        read(&mut book, 500_000, 1);
        book.own_answer(Sats(600_000), 10, position(600_000), at(2));
        let outcome = read(&mut book, 500_000, 3);
        assert_eq!(
            (outcome.changed, outcome.read_again_at),
            (false, Some(at(5)))
        );
        assert!(read(&mut book, 500_000, 5).changed);
    }
}

#[cfg(test)]
mod properties {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::position::Side;

    #[derive(Clone, Debug)]
    enum Step {
        /// The exchange changes margin and size; it says so after so many steps, or never.
        Changes(i64, i64, Option<usize>),
        /// We deposit, and the answer is what stands now.
        Deposits(i64),
        /// A reading is requested; its answer comes after so many steps.
        Reads(usize),
    }

    fn steps(sizes: std::ops::Range<i64>) -> impl Strategy<Value = Vec<(u64, Step)>> {
        let announced = proptest::option::of(0..4_usize);
        let step = prop_oneof![
            (300_000..900_000_i64, sizes, announced)
                .prop_map(|(margin, size, told)| Step::Changes(margin, size, told)),
            (1..200_000_i64).prop_map(Step::Deposits),
            (0..4_usize).prop_map(Step::Reads),
        ];
        proptest::collection::vec((1..1500_u64, step), 1..60)
    }

    type Truth = (Sats, Option<Position>);

    fn truth(margin: i64, size: i64) -> Truth {
        let margin = Sats(margin);
        let position = || Position::sample_cross(Side::Buy, size, 100_000.0, 10, margin);
        (margin, (size > 0).then(position))
    }

    /// The exchange as it was at each moment, and what is on its way from it.
    struct World {
        now: u64,
        past: Vec<(u64, i64, i64)>,
        events: Vec<usize>,
        answers: Vec<(usize, u64)>,
        book: CrossBook,
    }

    impl World {
        fn new() -> Self {
            Self {
                now: 1,
                past: vec![(0, 500_000, 1000)],
                events: vec![],
                answers: vec![],
                book: CrossBook::default(),
            }
        }

        fn stands_at(&self, at: u64) -> (i64, i64) {
            let before = self.past.iter().rev().find(|(from, ..)| *from <= at);
            before.map(|(_, margin, size)| (*margin, *size)).unwrap()
        }

        fn read(&mut self, requested: u64, lag: u64) -> ReadOutcome {
            let (margin, size) = self.stands_at(requested.saturating_sub(lag));
            let (margin, position) = truth(margin, size);
            let requested = Duration::from_millis(requested);
            self.book.read(margin, 10, position, requested)
        }

        fn takes(&mut self, after: u64, step: &Step) {
            self.now += after;
            let (margin, size) = self.stands_at(self.now);
            match *step {
                Step::Changes(margin, size, told) => {
                    self.past.push((self.now, margin, size));
                    self.events.extend(told);
                }
                Step::Deposits(sats) => {
                    self.past.push((self.now, margin + sats, size));
                    let (margin, position) = truth(margin + sats, size);
                    let now = Duration::from_millis(self.now);
                    self.book.own_answer(margin, 10, position, now);
                }
                Step::Reads(steps) => self.answers.push((steps, self.now)),
            }
        }

        /// What is due of what is on its way; the latest first, so that answers overtake each other.
        fn hears(&mut self) {
            let now = Duration::from_millis(self.now);
            for steps in std::mem::take(&mut self.events) {
                match steps {
                    0 => self.book.changed(now),
                    _ => self.events.push(steps - 1),
                }
            }
            for (steps, requested) in std::mem::take(&mut self.answers).into_iter().rev() {
                match steps {
                    0 => drop(self.read(requested, 0)),
                    _ => self.answers.insert(0, (steps - 1, requested)),
                }
            }
        }

        fn shown(&self) -> Option<Truth> {
            let (margin, _) = self.book.account()?;
            let position = self.book.row().map(|(position, _)| position.clone());
            Some((margin, position))
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn what_is_shown_was_true_at_its_time_and_is_true_in_the_end(steps in steps(0..3)) {
            let mut world = World::new();
            let mut shown_at = Duration::ZERO;
            for (after, step) in &steps {
                world.takes(*after, step);
                world.hears();
                let at = world.book.row_at;
                prop_assert!(at >= shown_at, "went back from {shown_at:?} to {at:?}");
                shown_at = at;
                if let Some(shown) = world.shown() {
                    let (margin, size) = world.stands_at(at.as_millis() as u64);
                    prop_assert_eq!(shown, truth(margin, size));
                }
            }
            for _ in 0..4 {
                world.now += 1;
                world.hears();
            }
            world.now += 1;
            if let Some(again) = world.read(world.now, 0).read_again_at {
                world.now = again.as_millis() as u64;
                world.read(world.now, 0);
            }
            let (margin, size) = world.stands_at(world.now);
            prop_assert_eq!(world.shown(), Some(truth(margin, size)));
            prop_assert!(!world.book.is_dirty());
        }

        /// Readings may show what stood up to 2 s before they were requested.
        #[test]
        fn a_reading_that_lags_takes_no_deposit_back(
            deposits in proptest::collection::vec((1..3000_u64, 1..200_000_i64), 1..20),
            readings in proptest::collection::vec((1..700_u64, 0..2000_u64), 1..80),
        ) {
            let mut world = World::new();
            world.read(1, 0);
            let (mut deposits, mut deposit_at) = (deposits.iter(), 1);
            let mut next = deposits.next();
            for (after, lag) in readings {
                let until = world.now + after;
                while let Some((after, sats)) = next
                    && deposit_at + after < until
                {
                    deposit_at += after;
                    world.takes(deposit_at - world.now, &Step::Deposits(*sats));
                    next = deposits.next();
                }
                world.now = until;
                world.read(until, lag);
                let (margin, _) = world.stands_at(until);
                prop_assert_eq!(world.shown(), Some(truth(margin, 1000)));
            }
        }
    }
}
