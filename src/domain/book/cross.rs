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
