//! Distributions, printed.

use std::time::Duration;

/// The quantiles that are printed, and their names.
const QUANTILES: [(f64, &str); 4] = [(0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (1.0, "max")];
/// Values up to this quantile are drawn in rows of their own.
const DRAWN: f64 = 0.95;
/// Rows of a histogram, at most, and the longest bar.
const ROWS: usize = 8;
const BAR: usize = 40;

/// Milliseconds.
pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Values of one kind, sorted.
#[derive(Clone)]
pub struct Figures(Vec<f64>);

impl Figures {
    /// # Panics
    /// Without any.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        assert!(!values.is_empty(), "there are no values");
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// The smallest value that so large a share does not exceed.
    pub fn quantile(&self, share: f64) -> f64 {
        let rank = (share * self.0.len() as f64).ceil() as usize;
        self.0[rank.clamp(1, self.0.len()) - 1]
    }

    pub fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len() as f64
    }

    /// How many are at most so large.
    pub fn within(&self, most: f64) -> usize {
        self.0.iter().filter(|value| **value <= most).count()
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// One line of the table that [`heading`] opens.
    pub fn print(&self, name: &str) {
        print!("{name:<44} {:>6}", self.count());
        for (share, _) in QUANTILES {
            print!(" {:>10.3}", self.quantile(share));
        }
        println!();
    }

    /// How the values are spread, in rows of equal width up to a quantile; beyond it, one row.
    pub fn bars(&self, name: &str, unit: &str) {
        println!("\n{name}, {unit}");
        let (low, high) = (self.0[0], self.quantile(DRAWN));
        let width = ((high - low) / ROWS as f64).max(f64::MIN_POSITIVE);
        let mut counts = [0; ROWS + 1];
        for value in &self.0 {
            let row = if *value > high {
                ROWS
            } else {
                (((value - low) / width) as usize).min(ROWS - 1)
            };
            counts[row] += 1;
        }
        let most = counts.iter().copied().max().unwrap_or(1);
        for (row, count) in counts.iter().enumerate() {
            let bar = "#".repeat((count * BAR).div_ceil(most));
            let from = low + width * row as f64;
            match row {
                ROWS if *count == 0 => {}
                ROWS => println!("  over {high:>14.3}           {count:>6} {bar}"),
                _ => println!(
                    "  {from:>10.3} to {:>10.3}     {count:>6} {bar}",
                    from + width
                ),
            }
        }
    }
}

/// Opens a table of distributions in this unit.
pub fn heading(unit: &str) {
    print!("\n{unit:<44} {:>6}", "count");
    for (_, name) in QUANTILES {
        print!(" {name:>10}");
    }
    println!();
}
