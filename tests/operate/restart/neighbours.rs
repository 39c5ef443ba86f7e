//! What the accounts that are not restarted notice: how long they take from a tick to an order, in
//! rows with restarts and in rows without, by turns. What rows without restarts differ by is noise.

use std::collections::{BTreeMap, BTreeSet};

use crate::figures::Figures;

/// Between these shares of the rows without restarts lies what is taken for noise.
const NOISE: (f64, f64) = (0.05, 0.95);
/// So many rows without restarts say what noise is.
const ENOUGH: usize = 20;

/// What restarts without a pause may make of the others' median. Rows with and without restarts
/// alternate, so that a loaded machine is in both; beyond this they would wait for one another.
const MOST: f64 = 3.0;
/// Time is asked about in optimised builds only.
pub const OPTIMISED: bool = cfg!(not(debug_assertions));

/// From ticks to orders, in milliseconds, by account.
pub type Latencies = BTreeMap<String, Vec<f64>>;

fn all(row: &Latencies) -> Figures {
    Figures::of(row.values().flatten().copied())
}

fn median(row: &Latencies) -> f64 {
    all(row).quantile(0.5)
}

/// One after the other, rows of either kind.
#[derive(Default)]
pub struct Neighbours {
    pub quiet: Vec<Latencies>,
    pub during: Vec<Latencies>,
}

impl Neighbours {
    fn pooled<'a>(rows: impl IntoIterator<Item = &'a Latencies>) -> Figures {
        let values = rows.into_iter().flat_map(|row| row.values().flatten());
        Figures::of(values.copied())
    }

    fn of_account(rows: &[Latencies], name: &str) -> Figures {
        let values = rows.iter().filter_map(|row| row.get(name)).flatten();
        Figures::of(values.copied())
    }

    /// Their lines of the table that is open, and how the two kinds of rows compare.
    pub fn print(&self) {
        let (quiet, during) = (Self::pooled(&self.quiet), Self::pooled(&self.during));
        quiet.print("others, tick to order, no restarts");
        during.print("others, tick to order, restarts");
        // The same twice: what they differ by is noise.
        let halves = |odd: usize| Self::pooled(self.quiet.iter().skip(odd).step_by(2));
        let (one, other) = (halves(0), halves(1));
        for (share, name) in [(0.5, "median"), (0.9, "p90"), (0.99, "p99")] {
            println!(
                "others, {name}: with restarts / without {:.2}; without / without {:.2}",
                during.quantile(share) / quiet.quantile(share),
                one.quantile(share) / other.quantile(share)
            );
        }
        let (least, most) = self.noise();
        println!(
            "others, medians of rows: without restarts {least:.3} to {most:.3} (90 % of {}), with restarts {:.3}",
            self.quiet.len(),
            self.typical(),
        );
        let names = self.quiet.iter().flat_map(Latencies::keys);
        for name in names.collect::<BTreeSet<_>>() {
            let of = |rows| Self::of_account(rows, name).quantile(0.5);
            let ratio = of(&self.during) / of(&self.quiet);
            println!("{name} alone, median: with restarts / without {ratio:.2}");
        }
    }

    /// From where to where the medians of rows without restarts lie.
    fn noise(&self) -> (f64, f64) {
        let medians = Figures::of(self.quiet.iter().map(median));
        (medians.quantile(NOISE.0), medians.quantile(NOISE.1))
    }

    /// The median of a row with restarts.
    fn typical(&self) -> f64 {
        Figures::of(self.during.iter().map(median)).quantile(0.5)
    }

    /// A row with restarts looks like one without.
    pub fn notice_nothing(&self) {
        if !OPTIMISED {
            return;
        }
        assert!(self.quiet.len() >= ENOUGH, "too few rows to compare with");
        let ((least, most), typical) = (self.noise(), self.typical());
        assert!(
            typical <= most,
            "others notice the restarts of one: {typical:.3} ms, without restarts {least:.3} to {most:.3}"
        );
    }

    /// They share a machine with as many restarts as it can make, but do not wait for them.
    pub fn starve_never(&self) {
        let (quiet, during) = (Self::pooled(&self.quiet), Self::pooled(&self.during));
        let ratio = during.quantile(0.5) / quiet.quantile(0.5);
        assert!(
            !OPTIMISED || ratio < MOST,
            "others wait for the restarts of one: {ratio:.2}"
        );
    }
}
