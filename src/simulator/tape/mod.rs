//! Where prices come from: a fixed price, a seeded walk, or recorded candles.

mod csv;
mod walk;

use std::path::Path;
use std::time::Duration;

pub use csv::TapeError;
pub use walk::WalkConfig;

use super::money::Price;

/// Length of a candle whose neighbours do not tell it.
const DEFAULT_CANDLE: Duration = Duration::from_secs(60);
/// Prices printed by each candle.
const TICKS_PER_CANDLE: u32 = 4;

/// One candle of a price series, prices in USD.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candle {
    /// Start, milliseconds since 1970.
    pub time: i64,
    /// First price.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Last price.
    pub close: f64,
}

impl Candle {
    /// The four prices in the order in which they are printed: the extreme that lies against the
    /// candle's direction comes first.
    fn prices(&self) -> [f64; 4] {
        if self.close < self.open {
            [self.open, self.high, self.low, self.close]
        } else {
            [self.open, self.low, self.high, self.close]
        }
    }
}

/// The source of prices.
#[derive(Clone, Debug, PartialEq)]
pub enum Tape {
    /// One price in USD; it moves only by [`set_price`](super::Control::set_price).
    Fixed(f64),
    /// A seeded random walk.
    Walk(WalkConfig),
    /// These candles, in this order.
    Candles(Vec<Candle>),
}

impl Tape {
    /// A fall of 20 to 25 % over 1200 one-minute candles from 100,000 USD, with rebounds, and
    /// no single tick of more than 0.4 %.
    pub fn falling(seed: u64) -> Self {
        Tape::Walk(WalkConfig::falling(seed))
    }

    /// A walk around 100,000 USD that never ends.
    pub fn endless_walk(seed: u64) -> Self {
        Tape::Walk(WalkConfig::endless(seed))
    }

    /// Reads candles from a CSV file with the header `time,open,high,low,close`; `time` is
    /// RFC 3339, or Unix seconds or milliseconds.
    ///
    /// # Errors
    /// When the file cannot be read, or a line of it: the error names file, line and field.
    pub fn from_csv(path: impl AsRef<Path>) -> Result<Self, TapeError> {
        csv::read(path.as_ref()).map(Tape::Candles)
    }

    /// The price before the first tick.
    pub(super) fn first_price(&self) -> f64 {
        match self {
            Tape::Fixed(price) => *price,
            Tape::Walk(walk) => walk.start_price,
            Tape::Candles(candles) => candles.first().map_or(100_000.0, |candle| candle.open),
        }
    }

    /// The prices one after the other.
    pub(super) fn ticks(self) -> Box<dyn Iterator<Item = Tick> + Send> {
        match self {
            Tape::Fixed(_) => Box::new(std::iter::empty()),
            Tape::Walk(walk) => Box::new(
                walk.candles()
                    .flat_map(|candle| candle_ticks(candle, DEFAULT_CANDLE)),
            ),
            Tape::Candles(candles) => {
                let lengths = lengths(&candles);
                Box::new(
                    candles
                        .into_iter()
                        .zip(lengths)
                        .flat_map(|(candle, length)| candle_ticks(candle, length)),
                )
            }
        }
    }
}

/// One price of the tape, on the exchange's tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tick {
    pub(super) price: Price,
    /// Tape time since the tick before.
    pub(super) gap: Duration,
    /// Tape time, milliseconds since 1970.
    pub(super) at: i64,
}

fn candle_ticks(candle: Candle, length: Duration) -> impl Iterator<Item = Tick> {
    let gap = length / TICKS_PER_CANDLE;
    let step = i64::try_from(gap.as_millis()).unwrap_or_default();
    let times = (0_i64..).map(move |number| candle.time + number * step);
    let prices = candle.prices().into_iter().zip(times);
    prices.filter_map(move |(price, at)| {
        Some(Tick {
            price: Price::from_f64(price)?.to_tick(),
            gap,
            at,
        })
    })
}

/// A candle lasts until the next one starts; the last one as long as the one before it.
fn lengths(candles: &[Candle]) -> Vec<Duration> {
    let mut lengths: Vec<Duration> = candles
        .windows(2)
        .map(|pair| match u64::try_from(pair[1].time - pair[0].time) {
            Ok(ms) if ms > 0 => Duration::from_millis(ms),
            _ => DEFAULT_CANDLE,
        })
        .collect();
    lengths.push(lengths.last().copied().unwrap_or(DEFAULT_CANDLE));
    lengths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candle(time: i64, open: f64, high: f64, low: f64, close: f64) -> Candle {
        Candle {
            time,
            open,
            high,
            low,
            close,
        }
    }

    #[test]
    fn falling_candles_show_the_high_first_and_rising_ones_the_low() {
        let falling = candle(0, 100.0, 105.0, 90.0, 95.0);
        let rising = candle(120_000, 95.0, 110.0, 94.0, 100.0);
        let even = candle(180_000, 100.0, 101.0, 99.0, 100.0);
        let ticks: Vec<_> = Tape::Candles(vec![falling, rising, even]).ticks().collect();
        let prices: Vec<_> = ticks.iter().map(|tick| tick.price.to_f64()).collect();
        assert_eq!(
            prices,
            [
                100.0, 105.0, 90.0, 95.0, 95.0, 94.0, 110.0, 100.0, 100.0, 99.0, 101.0, 100.0
            ]
        );
        let gaps: Vec<_> = ticks.iter().map(|tick| tick.gap.as_secs()).collect();
        assert_eq!(gaps, [30, 30, 30, 30, 15, 15, 15, 15, 15, 15, 15, 15]);
    }

    #[test]
    fn prices_are_printed_on_the_tick() {
        let off = candle(0, 100.3, 100.3, 100.2, 100.2);
        let prices: Vec<_> = Tape::Candles(vec![off])
            .ticks()
            .map(|tick| tick.price.to_f64())
            .collect();
        assert_eq!(prices, [100.5, 100.5, 100.0, 100.0]);
    }
}
