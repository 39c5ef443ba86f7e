//! The book: an account's running trades as known in memory, kept by stream events, own answers
//! and readings, with the rules that decide which of them is believed.
//!
//! Times are since the start of the process.

mod cross;
mod heir;
mod unannounced;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::ids::PositionId;
use super::position::Position;
use super::units::Sats;

pub use cross::CrossBook;
use unannounced::Unannounced;

/// How long a terminal event forbids its trade to come back.
pub const TOMBSTONE: Duration = Duration::from_secs(3600);
/// A reading with less margin than our own add left must be seen twice, so far apart.
pub const LOWER_MARGIN_TWICE: Duration = Duration::from_secs(2);

/// A trade that came or went in a reading has so long for its event to follow: readings overtake
/// events.
pub const EVENT_FOLLOWS: Duration = Duration::from_secs(2);

/// What the stream says of a trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TradeEvent {
    /// `open`, `filled`, `funding`: the trade must be read.
    Dirty,
    /// `closed`, `canceled`, `liquidation`, `stoploss`, `takeprofit`: the trade is gone.
    Gone,
}

/// A difference between the book and a reading that no event announced.
#[derive(Clone, Debug, PartialEq)]
pub struct Drift {
    /// The trade.
    pub position: PositionId,
    /// What differs.
    pub field: &'static str,
    /// What the book had.
    pub had: String,
    /// What the reading has.
    pub has: String,
}

/// What came of a reading.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadOutcome {
    /// Whether the book is another than before.
    pub changed: bool,
    /// Differences that no event announced.
    pub drift: Vec<Drift>,
    /// Whether a trade came or went without its event: the socket is deaf.
    pub missed_event: bool,
    /// A reading is needed again at this time.
    pub read_again_at: Option<Duration>,
}

#[derive(Clone, Debug)]
struct Entry {
    position: Position,
    /// The trade's last event, own command answer or applied reading (by its request).
    touched_at: Duration,
    /// When the row's content was requested or answered: its age.
    row_at: Duration,
    /// What our own command left, until a reading confirms as much that cannot be of before it.
    own_margin: Option<Sats>,
    /// When its answer came.
    own_at: Duration,
    /// When a reading first showed less than that.
    lower_seen_at: Option<Duration>,
}

/// The running trades of one account.
#[derive(Clone, Debug, Default)]
pub struct Book {
    trades: BTreeMap<PositionId, Entry>,
    tombstones: HashMap<PositionId, Duration>,
    /// Trades whose event announced a change that no reading has shown yet.
    dirty: HashMap<PositionId, Duration>,
    /// Trades that came or went in a reading before any event told of it.
    unannounced: Unannounced,
    /// When the newest reading was requested.
    newest_read: Option<Duration>,
}

impl Book {
    /// A socket is up: from now on events tell of every change.
    pub fn hears_from(&mut self, now: Duration) {
        self.unannounced.hears_from(now);
    }

    /// There is no socket any more: nobody can miss what it does not tell.
    pub fn hears_nothing(&mut self) {
        self.unannounced.hears_nothing();
    }

    /// Takes a stream event. Returns whether the book is another than before; a dirty trade needs
    /// a reading ([`Book::is_dirty`]).
    pub fn event(&mut self, id: PositionId, event: TradeEvent, now: Duration) -> bool {
        self.bury_old(now);
        self.unannounced.announce(id);
        if self.tombstones.contains_key(&id) {
            return false;
        }
        match event {
            TradeEvent::Gone => {
                self.tombstones.insert(id, now);
                self.dirty.remove(&id);
                self.trades.remove(&id).is_some()
            }
            TradeEvent::Dirty => {
                self.dirty.insert(id, now);
                if let Some(entry) = self.trades.get_mut(&id) {
                    entry.touched_at = now;
                }
                false
            }
        }
    }

    /// Takes the answer to an own command on a running trade, received at `now`.
    pub fn own_answer(&mut self, position: Position, now: Duration) {
        if self.tombstones.contains_key(&position.id) {
            return;
        }
        // Whatever was commanded: what a reading had shown before it may have been too old to tell
        // whether this is more.
        let own_margin = Some(position.margin);
        self.trades.insert(
            position.id,
            Entry {
                position,
                touched_at: now,
                row_at: now,
                own_margin,
                own_at: now,
                lower_seen_at: None,
            },
        );
    }

    /// Takes the answer to an own close.
    pub fn own_close(&mut self, id: PositionId, now: Duration) {
        self.event(id, TradeEvent::Gone, now);
    }

    /// Takes a reading of all running trades, every one of which could be read.
    pub fn read(&mut self, running: Vec<Position>, requested_at: Duration) -> ReadOutcome {
        self.read_some(running, |_| false, requested_at)
    }

    /// Takes a reading of all running trades that was requested at `requested_at`. Of those that
    /// `unread` says run without being readable, what is known stays.
    ///
    /// It is applied to a trade only if requested after that trade's last event, own command
    /// answer or applied reading; so answers that overtake each other harm nothing.
    pub fn read_some(
        &mut self,
        running: Vec<Position>,
        unread: impl Fn(PositionId) -> bool,
        requested_at: Duration,
    ) -> ReadOutcome {
        self.bury_old(requested_at);
        let mut outcome = ReadOutcome::default();
        let newest = self.newest_read.max(Some(requested_at));
        let first = self.newest_read.is_none();
        // A later one has been applied that does not list what this one may bring in.
        let overtaken = self.newest_read > Some(requested_at);
        self.newest_read = newest;
        let mut seen = Vec::with_capacity(running.len());
        for position in running {
            let id = position.id;
            seen.push(id);
            if self.tombstones.contains_key(&id) {
                continue;
            }
            let announced = self.dirty.get(&id).copied();
            if announced.is_some_and(|at| requested_at < at) {
                continue;
            }
            self.dirty.remove(&id);
            let expected = first || announced.is_some();
            match self.trades.get_mut(&id) {
                Some(entry) => entry.read(position, requested_at, expected, &mut outcome),
                None if overtaken => {}
                None => {
                    if !expected {
                        self.unannounced.came(id, requested_at);
                    }
                    outcome.changed = true;
                    self.trades.insert(
                        id,
                        Entry {
                            position,
                            touched_at: requested_at,
                            row_at: requested_at,
                            own_margin: None,
                            own_at: Duration::ZERO,
                            lower_seen_at: None,
                        },
                    );
                }
            }
        }
        for (id, entry) in &mut self.trades {
            // It runs, and more than is known of it cannot be known.
            if unread(*id) && !seen.contains(id) {
                entry.row_at = entry.row_at.max(requested_at);
            }
        }
        let kept = |id: PositionId| seen.contains(&id) || unread(id);
        self.remove_unseen(kept, requested_at, &mut outcome);
        self.unannounced.tell(requested_at, &mut outcome);
        outcome
    }

    fn remove_unseen(
        &mut self,
        kept: impl Fn(PositionId) -> bool,
        requested_at: Duration,
        outcome: &mut ReadOutcome,
    ) {
        self.trades.retain(|id, entry| {
            let missing = requested_at > entry.touched_at && !kept(*id);
            // It ran when our own command was answered: absence is doubted like a lower margin.
            let again_at = entry.own_at + LOWER_MARGIN_TWICE;
            let doubted = entry.own_margin.is_some() && requested_at < again_at;
            if missing && doubted {
                outcome.read_again_at = Some(again_at);
            }
            let gone = missing && !doubted;
            if gone {
                outcome.changed = true;
                self.unannounced.went(*id, requested_at);
            }
            !gone
        });
        // A dirty trade that is not listed for so long has not been filled, or is gone again.
        self.dirty
            .retain(|_, at| requested_at < *at + EVENT_FOLLOWS);
    }

    /// Whether an event announced something that no reading has shown yet.
    pub fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// A running trade.
    pub fn get(&self, id: PositionId) -> Option<&Position> {
        self.trades.get(&id).map(|entry| &entry.position)
    }

    /// When a running trade's row was requested.
    pub fn row_at(&self, id: PositionId) -> Option<Duration> {
        self.trades.get(&id).map(|entry| entry.row_at)
    }

    /// All running trades with the time of their rows.
    pub fn rows(&self) -> impl Iterator<Item = (&Position, Duration)> {
        self.trades
            .values()
            .map(|entry| (&entry.position, entry.row_at))
    }

    fn bury_old(&mut self, now: Duration) {
        self.tombstones
            .retain(|_, at| now.saturating_sub(*at) < TOMBSTONE);
    }
}

impl Entry {
    fn read(
        &mut self,
        position: Position,
        requested_at: Duration,
        expected: bool,
        outcome: &mut ReadOutcome,
    ) {
        if requested_at < self.touched_at {
            return;
        }
        if self.own_margin.is_some_and(|own| position.margin < own) {
            let since = *self.lower_seen_at.get_or_insert(requested_at);
            if requested_at < since + LOWER_MARGIN_TWICE {
                outcome.read_again_at = Some(since + LOWER_MARGIN_TWICE);
                return;
            }
            self.own_margin = None;
        }
        // One that was requested sooner may be followed by one that shows what was before: not all
        // of the exchange's answers come from the same machine.
        if requested_at >= self.own_at + LOWER_MARGIN_TWICE {
            self.own_margin = None;
        }
        self.lower_seen_at = None;
        if !expected {
            outcome.drift.extend(differences(&self.position, &position));
        }
        outcome.changed |= self.position != position;
        self.position = position;
        self.touched_at = requested_at;
        self.row_at = requested_at;
    }
}

fn drift(position: PositionId, field: &'static str, had: &str, has: &str) -> Drift {
    Drift {
        position,
        field,
        had: had.to_owned(),
        has: has.to_owned(),
    }
}

fn differences(had: &Position, has: &Position) -> Vec<Drift> {
    let show = |price: Option<super::units::Price>| {
        price.map_or_else(|| "none".to_owned(), |price| price.to_string())
    };
    let fields = [
        ("margin", had.margin.0.to_string(), has.margin.0.to_string()),
        ("price", had.price.to_string(), has.price.to_string()),
        (
            "liquidation",
            had.liquidation.to_string(),
            has.liquidation.to_string(),
        ),
        ("stoploss", show(had.stoploss), show(has.stoploss)),
        ("takeprofit", show(had.takeprofit), show(has.takeprofit)),
    ];
    fields
        .into_iter()
        .filter(|(_, had, has)| had != has)
        .map(|(field, had_value, has_value)| drift(had.id, field, &had_value, &has_value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::maths::with_margin_added;
    use super::super::position::Side;
    use super::*;

    fn at(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn trade() -> Position {
        Position::sample(Side::Buy, 1000, 100_000.0, 10)
    }

    fn richer(sats: i64) -> Position {
        with_margin_added(&trade(), Sats(sats))
    }

    fn book_with(position: Position, seconds: f64) -> Book {
        let mut book = Book::default();
        assert!(book.read(vec![position], at(seconds)).changed);
        book
    }

    #[test]
    fn a_closed_trade_is_not_revived_by_a_late_event_or_reading() {
        let mut book = book_with(trade(), 1.0);
        assert!(book.event(trade().id, TradeEvent::Gone, at(2.0)));
        book.event(trade().id, TradeEvent::Dirty, at(2.1));
        assert!(!book.is_dirty());
        assert!(!book.read(vec![trade()], at(3.0)).changed);
        assert_eq!(book.get(trade().id), None);
        let after_the_tombstone = at(2.0) + TOMBSTONE;
        assert!(book.read(vec![trade()], after_the_tombstone).changed);
    }

    #[test]
    fn a_reading_requested_before_the_last_event_or_own_answer_is_not_applied() {
        let mut book = book_with(trade(), 1.0);
        book.own_answer(richer(5_000), at(3.0));
        let outcome = book.read(vec![trade()], at(2.0));
        assert_eq!(outcome, ReadOutcome::default());
        assert!(!book.read(vec![], at(2.5)).changed, "not even its absence");
        assert_eq!(book.get(trade().id), Some(&richer(5_000)));
    }

    #[test]
    fn less_margin_than_our_own_add_left_is_believed_only_when_seen_twice() {
        let mut book = book_with(trade(), 1.0);
        book.own_answer(richer(5_000), at(2.0));
        let outcome = book.read(vec![trade()], at(3.0));
        assert_eq!(
            (outcome.changed, outcome.read_again_at),
            (false, Some(at(5.0)))
        );
        assert!(!book.read(vec![trade()], at(4.9)).changed);
        assert!(book.read(vec![trade()], at(5.0)).changed);
        assert_eq!(book.get(trade().id), Some(&trade()));
    }

    #[test]
    fn a_lagging_reading_between_two_true_ones_starts_the_doubt_again() {
        let mut book = book_with(trade(), 1.0);
        book.own_answer(richer(5_000), at(2.0));
        book.read(vec![trade()], at(3.0));
        book.read(vec![richer(5_000)], at(4.0));
        assert_eq!(book.get(trade().id), Some(&richer(5_000)));
        let outcome = book.read(vec![trade()], at(9.0));
        assert_eq!(
            outcome.drift.len(),
            2,
            "confirmed before: now it is drift: {outcome:?}"
        );
    }

    #[test]
    fn a_true_reading_right_after_the_answer_takes_no_doubt_away() {
        let mut book = book_with(trade(), 1.0);
        book.own_answer(richer(5_000), at(2.0));
        book.read(vec![richer(5_000)], at(2.5));
        assert!(!book.read(vec![trade()], at(3.0)).changed, "of before");
        assert_eq!(book.get(trade().id), Some(&richer(5_000)));
        book.read(vec![richer(5_000)], at(4.0));
        assert!(book.read(vec![trade()], at(4.1)).changed);
    }

    #[test]
    fn a_reading_that_was_overtaken_by_a_later_one_brings_nothing_back() {
        let mut book = book_with(trade(), 1.0);
        assert!(book.read(vec![], at(3.0)).changed);
        assert!(!book.read(vec![trade()], at(2.0)).changed, "of before");
        assert!(book.read(vec![trade()], at(3.5)).changed);
    }

    #[test]
    fn a_trade_that_we_have_just_added_to_is_not_gone_for_one_reading() {
        let mut book = book_with(trade(), 1.0);
        book.own_answer(richer(5_000), at(2.0));
        let outcome = book.read(vec![], at(2.5));
        assert_eq!(
            (outcome.changed, outcome.read_again_at),
            (false, Some(at(4.0)))
        );
        assert!(book.read(vec![], at(4.0)).changed);
    }

    #[test]
    fn what_no_event_announced_is_drift_and_a_missed_event_is_told() {
        let mut book = book_with(trade(), 1.0);
        let outcome = book.read(vec![richer(1_000)], at(2.0));
        let fields: Vec<_> = outcome.drift.iter().map(|drift| drift.field).collect();
        assert_eq!(fields, ["margin", "liquidation"]);
        assert_eq!(
            (&*outcome.drift[0].had, &*outcome.drift[0].has),
            ("100000", "101000")
        );
        assert!(!outcome.missed_event);
    }

    #[test]
    fn a_trade_that_comes_or_goes_without_its_event_is_told_once_the_event_has_had_its_time() {
        let mut book = book_with(trade(), 1.0);
        book.hears_from(at(1.5));
        book.read(vec![trade()], at(2.0));
        let outcome = book.read(vec![], at(3.0));
        assert!(outcome.changed && !outcome.missed_event && outcome.drift.is_empty());
        assert_eq!(outcome.read_again_at, Some(at(5.0)));
        let outcome = book.read(vec![], at(5.0));
        assert!(outcome.missed_event && !outcome.changed);
        let told = &outcome.drift[0];
        assert_eq!(
            (told.field, &*told.had, &*told.has),
            ("running", "true", "false")
        );
        assert!(!book.read(vec![], at(8.0)).missed_event, "told once");
        assert!(book.read(vec![trade()], at(9.0)).changed);
        assert_eq!(book.read(vec![trade()], at(11.0)).drift[0].has, "true");
    }

    #[test]
    fn no_socket_is_accused_of_what_came_before_it_or_when_there_was_none() {
        let mut book = Book::default();
        book.read(vec![], at(1.0));
        // Over HTTP; and the socket has come before the event has had its time.
        book.read(vec![trade()], at(2.0));
        book.hears_from(at(2.5));
        let outcome = book.read(vec![trade()], at(4.0));
        assert!(!outcome.missed_event && outcome.drift.len() == 1);
        // First seen by the reading that a socket begins with, or by one that was under way then.
        book.hears_nothing();
        book.hears_from(at(6.0));
        book.read(vec![], at(5.9));
        book.read(vec![], at(6.0));
        assert!(!book.read(vec![], at(8.0)).missed_event);
        // And from then on it is held to it.
        book.read(vec![trade()], at(9.0));
        assert!(book.read(vec![trade()], at(11.0)).missed_event);
    }

    #[test]
    fn a_reading_that_overtakes_the_event_makes_no_socket_deaf() {
        let mut book = book_with(trade(), 1.0);
        assert!(book.read(vec![], at(3.0)).changed);
        book.event(trade().id, TradeEvent::Gone, at(3.01));
        assert_eq!(book.read(vec![], at(5.0)), ReadOutcome::default());
    }

    #[test]
    fn an_announced_change_is_no_drift() {
        let mut book = book_with(trade(), 1.0);
        book.event(trade().id, TradeEvent::Dirty, at(2.0));
        assert!(book.is_dirty());
        assert!(
            !book.read(vec![richer(7)], at(1.9)).changed,
            "requested before the event"
        );
        assert!(book.is_dirty());
        let outcome = book.read(vec![richer(7)], at(2.1));
        assert!(outcome.changed && outcome.drift.is_empty());
        assert!(!book.is_dirty());
    }

    #[test]
    fn a_new_trade_comes_in_by_its_event_and_a_reading() {
        let mut book = Book::default();
        book.read(vec![], at(1.0));
        book.event(trade().id, TradeEvent::Dirty, at(2.0));
        let outcome = book.read(vec![trade()], at(2.0));
        assert!(outcome.changed && !outcome.missed_event && outcome.drift.is_empty());
    }
}
