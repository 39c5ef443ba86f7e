//! Counters by labels that are words of this program: so their number is bounded by its text.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use crate::meter::Counter;

/// One counter for each set of labels that has come up.
#[derive(Debug)]
pub struct Tally<const N: usize>(RwLock<BTreeMap<[&'static str; N], Counter>>);

impl<const N: usize> Default for Tally<N> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<const N: usize> Tally<N> {
    /// These stand at 0.
    pub fn of(labels: impl IntoIterator<Item = [&'static str; N]>) -> Self {
        let zeros = labels
            .into_iter()
            .map(|labels| (labels, Counter::default()));
        Self(RwLock::new(zeros.collect()))
    }

    /// One more. Whoever reads does not hold this up: only a set of labels that comes up for the
    /// first time is alone with the map.
    pub fn one(&self, labels: [&'static str; N]) {
        {
            let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(counter) = known.get(&labels) {
                counter.one();
                return;
            }
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(labels).or_default().one();
    }

    /// All that has come up.
    pub fn read(&self) -> Vec<([&'static str; N], u64)> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known
            .iter()
            .map(|(labels, counter)| (*labels, counter.read()))
            .collect()
    }
}
