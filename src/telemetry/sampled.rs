//! Lines that repeat: the first is told at once, those after it now and then, with their count.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Between two lines that say the same.
const PERIOD: Duration = Duration::from_secs(10);

/// One kind of line.
#[derive(Debug, Default)]
pub struct Sampled {
    told: Option<(String, Duration)>,
    untold: u64,
}

impl Sampled {
    /// One more such line, at this time since the start of the process. Answers for how many it
    /// stands, if it is to be told. What says something else than the last one is always told.
    pub fn one_more(&mut self, line: &str, now: Duration) -> Option<u64> {
        self.untold += 1;
        let told = self.told.as_ref();
        if told.is_some_and(|(text, at)| text == line && now < *at + PERIOD) {
            return None;
        }
        self.told = Some((line.to_owned(), now));
        Some(std::mem::take(&mut self.untold))
    }
}

/// Lines that come from many places, sampled together by what they are about.
#[derive(Debug, Default)]
pub struct SampledBy(Mutex<HashMap<String, Sampled>>);

impl SampledBy {
    /// One more line about this, whatever it says. Answers as [`Sampled::one_more`] does.
    pub fn one_more(&self, about: &str, now: Duration) -> Option<u64> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sampled) = lines.get_mut(about) {
            return sampled.one_more("", now);
        }
        lines.entry(about.to_owned()).or_default().one_more("", now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_and_of_a_storm_no_more_than_its_count() {
        let mut sampled = Sampled::default();
        let at = Duration::from_secs;
        assert_eq!(sampled.one_more("a", at(0)), Some(1));
        assert_eq!(sampled.one_more("a", at(1)), None);
        assert_eq!(sampled.one_more("a", at(9)), None);
        assert_eq!(sampled.one_more("a", at(10)), Some(3));
        assert_eq!(sampled.one_more("b", at(10)), Some(1), "other news");
        assert_eq!(sampled.one_more("a", at(11)), Some(1));
    }

    #[test]
    fn a_storm_about_one_thing_hides_nothing_about_another() {
        let sampled = SampledBy::default();
        let at = Duration::from_secs;
        assert_eq!(sampled.one_more("a", at(0)), Some(1));
        assert_eq!(sampled.one_more("a", at(1)), None);
        assert_eq!(sampled.one_more("b", at(1)), Some(1));
        assert_eq!(sampled.one_more("a", at(11)), Some(2));
    }
}
