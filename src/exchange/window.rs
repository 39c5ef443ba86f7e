//! What the exchange counts in a window, as it may count it: at any moment between our sending and
//! its answer.

use std::collections::VecDeque;
use std::time::Duration;

/// Uses of something of which so many are allowed in each window of so long. A use that is under
/// way counts; one that has ended counts for a window from its end. So whatever `most + 1` uses the
/// exchange has seen, the last was begun a window after the first had ended: nothing that travels
/// slowly makes it count more.
#[derive(Debug)]
pub(super) struct Window {
    length: Duration,
    under_way: usize,
    /// When each use that has ended counts no longer, the soonest first.
    free_at: VecDeque<Duration>,
}

impl Window {
    /// A window of this length in which nothing is used.
    pub(super) fn new(length: Duration) -> Self {
        Self {
            length,
            under_way: 0,
            free_at: VecDeque::new(),
        }
    }

    /// How many count now.
    pub(super) fn used(&mut self, now: Duration) -> usize {
        while self.free_at.front().is_some_and(|at| *at <= now) {
            self.free_at.pop_front();
        }
        self.under_way + self.free_at.len()
    }

    /// How many of `most` are left now.
    pub(super) fn left(&mut self, most: usize, now: Duration) -> usize {
        most.saturating_sub(self.used(now))
    }

    /// The soonest at which `many` of `most` can be free: asked earlier, it is too early.
    pub(super) fn soonest(&mut self, many: usize, most: usize, now: Duration) -> Duration {
        let over = (self.used(now) + many).saturating_sub(most.max(many));
        match over.checked_sub(1) {
            None => now,
            // What is under way ends now at the earliest.
            Some(last) => *self.free_at.get(last).unwrap_or(&(now + self.length)),
        }
    }

    /// So many begin.
    pub(super) fn begin(&mut self, many: usize) {
        self.under_way += many;
    }

    /// So many have ended, at this time.
    pub(super) fn end(&mut self, many: usize, now: Duration) {
        self.under_way -= many;
        for _ in 0..many {
            self.count(now + self.length);
        }
    }

    /// So many were not made after all.
    pub(super) fn take_back(&mut self, many: usize) {
        self.under_way -= many;
    }

    /// A use that was made by others, or earlier, counts until then.
    pub(super) fn count(&mut self, until: Duration) {
        let place = self.free_at.partition_point(|at| *at <= until);
        self.free_at.insert(place, until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_use_counts_from_its_beginning_until_a_window_after_its_end() {
        let mut window = Window::new(at(1000));
        window.begin(2);
        assert_eq!(window.used(at(5000)), 2, "under way for however long");
        window.end(1, at(5000));
        assert_eq!((window.used(at(5999)), window.used(at(6000))), (2, 1));
        window.take_back(1);
        assert_eq!(window.used(at(6000)), 0);
    }

    #[test]
    fn the_soonest_is_never_too_late() {
        let mut window = Window::new(at(1000));
        window.begin(3);
        window.end(1, at(10));
        window.end(1, at(20));
        assert_eq!(window.soonest(1, 4, at(30)), at(30));
        assert_eq!(window.soonest(1, 3, at(30)), at(1010));
        assert_eq!(window.soonest(2, 3, at(30)), at(1020));
        assert_eq!(window.soonest(3, 3, at(30)), at(1030), "one is under way");
        assert_eq!(
            window.soonest(9, 3, at(30)),
            at(1030),
            "more than ever are free"
        );
    }

    #[test]
    fn what_was_used_elsewhere_counts_in_its_order() {
        let mut window = Window::new(at(1000));
        window.count(at(500));
        window.count(at(100));
        assert_eq!(window.soonest(1, 2, at(0)), at(100));
        assert_eq!(window.left(3, at(100)), 2);
    }
}
