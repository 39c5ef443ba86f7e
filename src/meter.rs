//! Counting and timing without locks: whoever trades writes down a figure in some 10 ns and never
//! waits for whoever reads it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn one(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, many: u64) {
        self.0.fetch_add(many, Ordering::Relaxed);
    }

    /// How many there were.
    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that stands as it was last set.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// It is so much now.
    pub fn set(&self, value: usize) {
        self.0.store(value as u64, Ordering::Relaxed);
    }

    /// What it was last set to.
    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Upper bounds of a histogram's buckets, in nanoseconds: from 5 µs, which is less than a hop to
/// another actor and its work, to 10 s, which is longer than any request may take.
const BOUNDS_NS: [u64; 20] = [
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];
const NS: f64 = 1e9;

/// How long something took, in buckets.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BOUNDS_NS.len()],
    longer: AtomicU64,
    sum_ns: AtomicU64,
}

/// What a [`Histogram`] has seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    /// The sum of all, in seconds.
    pub sum: f64,
    /// How many there were.
    pub count: u64,
    /// Upper bounds in seconds, the last one infinite, and how many lay between the bound before and
    /// this one.
    pub buckets: Vec<(f64, u64)>,
}

impl Histogram {
    /// One more took so long.
    pub fn observe(&self, took: Duration) {
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let index = BOUNDS_NS.partition_point(|bound| *bound < ns);
        let bucket = self.buckets.get(index).unwrap_or(&self.longer);
        bucket.fetch_add(1, Ordering::Relaxed);
        self.sum_ns.fetch_add(ns, Ordering::Relaxed);
    }

    /// What it has seen. The count is that of the buckets, also while others write.
    pub fn read(&self) -> Distribution {
        let bounds = BOUNDS_NS.iter().map(|ns| *ns as f64 / NS);
        let bounds = bounds.chain([f64::INFINITY]);
        let counts = self.buckets.iter().chain([&self.longer]);
        let buckets: Vec<_> = bounds
            .zip(counts.map(|count| count.load(Ordering::Relaxed)))
            .collect();
        Distribution {
            sum: self.sum_ns.load(Ordering::Relaxed) as f64 / NS,
            count: buckets.iter().map(|(_, count)| count).sum(),
            buckets,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_lies_in_the_first_bucket_that_is_not_less() {
        let histogram = Histogram::default();
        for us in [0, 5, 6, 1_000_000, 60_000_000] {
            histogram.observe(Duration::from_micros(us));
        }
        let seen = histogram.read();
        let filled: Vec<_> = seen
            .buckets
            .iter()
            .filter(|(_, count)| *count > 0)
            .collect();
        let expected = [(5e-6, 2), (1e-5, 1), (1.0, 1), (f64::INFINITY, 1)];
        assert_eq!(filled, expected.iter().collect::<Vec<_>>());
        assert_eq!(seen.count, 5);
        assert!((seen.sum - 61.000_011).abs() < 1e-9, "{}", seen.sum);
        assert!(seen.buckets.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn two_threads_lose_nothing() {
        const EACH: u64 = 100_000;
        let (counter, histogram) = (Counter::default(), Histogram::default());
        let write = || {
            for us in 0..EACH {
                counter.one();
                histogram.observe(Duration::from_micros(us % 50));
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(write);
            write();
        });
        assert_eq!(
            (counter.read(), histogram.read().count),
            (2 * EACH, 2 * EACH)
        );
    }
}
