//! Whose turn it is: what an order waits for goes before what nobody's position waits for, and that
//! waits for a bounded time all the same.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use super::job::{Job, Kind, Turn};

/// How many writes that an order waits for share one commit, at most.
const BATCH: usize = 100;
/// How many others do: what becomes urgent meanwhile waits for so many of them.
const OTHERS: usize = 32;
/// How long others wait while there is something more urgent, each time.
pub(super) const OTHERS_WAIT: Duration = Duration::from_millis(20);

/// A write that waits.
pub(super) struct Waiting {
    pub(super) turn: Turn,
    pub(super) job: Box<dyn Job>,
    /// Since when.
    pub(super) since: Duration,
    /// Its place in the queue, which it leaves when it is taken.
    pub(super) _place: OwnedSemaphorePermit,
}

/// What waits, by turn; within a turn in the order in which it came.
#[derive(Default)]
pub(super) struct Line {
    turns: [VecDeque<Waiting>; Turn::COUNT],
    /// The last batch was of others although there was something more urgent.
    gave_way: bool,
}

impl Line {
    pub(super) fn push(&mut self, waiting: Waiting) {
        self.turns[waiting.turn as usize].push_back(waiting);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.turns.iter().all(VecDeque::is_empty)
    }

    /// What shares the next commit: of one turn, and all of it repeatable or none.
    pub(super) fn next(&mut self, now: Duration) -> Vec<Box<dyn Job>> {
        let turn = self.turn(now);
        let (line, most) = match turn {
            Turn::Other => (&mut self.turns[turn as usize], OTHERS),
            _ => (&mut self.turns[turn as usize], BATCH),
        };
        let mut batch: Vec<Box<dyn Job>> = vec![];
        while batch.len() < most
            && let Some(next) = line.front()
        {
            let alone = |job: &dyn Job| job.kind() == Kind::Alone;
            let fits = batch.first().is_none_or(|first| {
                !alone(&**first)
                    && !alone(&*next.job)
                    && first.is_repeatable() == next.job.is_repeatable()
            });
            if !fits {
                break;
            }
            batch.extend(line.pop_front().map(|waiting| waiting.job));
        }
        batch
    }

    /// What may join a commit of so many that is being made: what an order waits for, unless something
    /// is to hold it back.
    pub(super) fn joins(&mut self, present: usize) -> Vec<Box<dyn Job>> {
        let mut joining: Vec<Box<dyn Job>> = vec![];
        if !self.turns[Turn::HoldBack as usize].is_empty() {
            return joining;
        }
        for turn in [Turn::LetOut, Turn::Fire] {
            let line = &mut self.turns[turn as usize];
            while present + joining.len() < BATCH
                && line
                    .front()
                    .is_some_and(|waiting| waiting.job.is_repeatable())
            {
                joining.extend(line.pop_front().map(|waiting| waiting.job));
            }
        }
        joining
    }

    /// Others that have waited long enough have every second turn.
    fn turn(&mut self, now: Duration) -> Turn {
        let waits = |turn: &Turn| !self.turns[*turn as usize].is_empty();
        let urgent = [Turn::HoldBack, Turn::LetOut, Turn::Fire];
        let Some(urgent) = urgent.into_iter().find(waits) else {
            self.gave_way = false;
            return Turn::Other;
        };
        let others = self.turns[Turn::Other as usize].front();
        let overdue = others.is_some_and(|other| now >= other.since + OTHERS_WAIT);
        self.gave_way = overdue && !self.gave_way && urgent != Turn::HoldBack;
        match self.gave_way {
            true => Turn::Other,
            false => urgent,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::future::BoxFuture;
    use sea_orm::DatabaseExecutor;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::store::StoreError;

    struct Named {
        kind: Kind,
        repeatable: bool,
    }

    impl Job for Named {
        fn kind(&self) -> Kind {
            self.kind
        }

        fn is_repeatable(&self) -> bool {
            self.repeatable
        }

        fn is_abandoned(&self) -> bool {
            false
        }

        fn run<'c>(&'c mut self, _: &'c DatabaseExecutor<'c>) -> BoxFuture<'c, bool> {
            Box::pin(async { true })
        }

        fn answer(self: Box<Self>, _: Option<&StoreError>) {}
    }

    struct Stand {
        line: Line,
        places: Arc<Semaphore>,
    }

    impl Stand {
        fn new() -> Self {
            Self {
                line: Line::default(),
                places: Arc::new(Semaphore::new(1000)),
            }
        }

        fn queue(&mut self, count: usize, turn: Turn, kind: Kind, repeatable: bool, ms: u64) {
            for _ in 0..count {
                let place = Arc::clone(&self.places).try_acquire_owned();
                self.line.push(Waiting {
                    turn,
                    job: Box::new(Named { kind, repeatable }),
                    since: Duration::from_millis(ms),
                    _place: place.unwrap(),
                });
            }
        }

        fn next(&mut self, ms: u64) -> usize {
            self.line.next(Duration::from_millis(ms)).len()
        }
    }

    #[test]
    fn others_wait_for_orders_and_then_have_every_second_turn() {
        let mut stand = Stand::new();
        stand.queue(40, Turn::Other, Kind::One, true, 0);
        stand.queue(150, Turn::Fire, Kind::One, true, 0);
        assert_eq!(stand.next(0), 100, "fires");
        stand.queue(150, Turn::LetOut, Kind::One, true, 1);
        assert_eq!(stand.next(19), 100, "let out before the rest is fired");
        assert_eq!(stand.next(20), OTHERS, "others have waited long enough");
        assert_eq!(stand.next(20), 50, "let out");
        assert_eq!(stand.next(20), 8, "others again");
        assert_eq!(stand.next(20), 50, "fires");
        assert!(stand.line.is_empty());
        assert_eq!(stand.places.available_permits(), 1000, "all have left");
    }

    #[test]
    fn nothing_goes_before_what_holds_back() {
        let mut stand = Stand::new();
        stand.queue(1, Turn::Other, Kind::One, true, 0);
        stand.queue(2, Turn::LetOut, Kind::One, true, 0);
        stand.queue(1, Turn::HoldBack, Kind::Several, false, 90);
        assert_eq!(stand.next(100), 1);
        assert!(stand.line.turns[Turn::HoldBack as usize].is_empty());
    }

    #[test]
    fn orders_join_a_commit_that_is_being_made_unless_something_holds_them_back() {
        let mut stand = Stand::new();
        stand.queue(2, Turn::Other, Kind::One, true, 0);
        stand.queue(60, Turn::Fire, Kind::Several, true, 0);
        stand.queue(20, Turn::LetOut, Kind::One, true, 0);
        assert_eq!(stand.line.joins(30).len(), 70);
        assert_eq!(stand.line.joins(100).len(), 0, "it is full");
        stand.queue(1, Turn::HoldBack, Kind::One, false, 0);
        assert_eq!(stand.line.joins(1).len(), 0);
        assert_eq!(stand.next(0), 1);
        assert_eq!(stand.line.joins(1).len(), 10);
        assert_eq!(stand.line.joins(1).len(), 0, "others do not");
    }

    #[test]
    fn a_batch_is_of_one_sort_and_what_makes_its_own_transactions_is_alone() {
        let mut stand = Stand::new();
        stand.queue(3, Turn::Other, Kind::Several, true, 0);
        stand.queue(2, Turn::Other, Kind::One, false, 0);
        stand.queue(2, Turn::Other, Kind::Alone, false, 0);
        stand.queue(1, Turn::Other, Kind::One, false, 0);
        let sizes: Vec<_> = (0..5).map(|_| stand.next(0)).collect();
        assert_eq!(sizes, [3, 2, 1, 1, 1]);
    }
}
