//! What a connection that takes over without a gap is told of the one before it: only what no
//! reading can tell. Everything else it reads for itself.

use std::collections::HashMap;

use super::Book;

impl Book {
    /// A book that knows what our own commands left, as long as a reading may still be of before
    /// them, and which trades are gone for good; and nothing else.
    #[must_use]
    pub fn heir(&self) -> Self {
        let own = self
            .trades
            .iter()
            .filter(|(_, entry)| entry.own_margin.is_some());
        Self {
            trades: own.map(|(id, entry)| (*id, entry.clone())).collect(),
            tombstones: self.tombstones.clone(),
            dirty: HashMap::new(),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::TradeEvent;
    use super::*;
    use crate::domain::maths::with_margin_added;
    use crate::domain::position::{Position, Side};
    use crate::domain::units::Sats;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_heir_doubts_what_its_ancestor_would_have_doubted_and_reads_the_rest_anew() {
        let trade = |quantity| Position::sample(Side::Buy, quantity, 100_000.0, 10);
        let (rich, closed, other) = (trade(1000), trade(2000), trade(3000));
        let mut book = Book::default();
        book.read(vec![rich.clone(), closed.clone(), other.clone()], at(1));
        let richer = with_margin_added(&rich, Sats(5_000));
        book.own_answer(richer.clone(), at(10));
        book.event(closed.id, TradeEvent::Gone, at(10));
        let mut heir = book.heir();
        assert_eq!(heir.get(other.id), None);
        let outcome = heir.read(vec![rich, closed.clone(), other.clone()], at(11));
        assert_eq!(
            heir.get(richer.id),
            Some(&richer),
            "seen once, not believed"
        );
        assert_eq!(heir.get(closed.id), None, "not revived");
        assert_eq!(heir.get(other.id), Some(&other));
        assert_eq!(outcome.drift, [], "what it reads first is no difference");
    }
}
