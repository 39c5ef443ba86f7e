//! Seeded random walks of one-minute candles.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::Candle;

/// Candles of the falling walk: twenty hours.
const FALLING_CANDLES: u64 = 1200;
/// Log-return per candle beyond which noise is cut, so that no tick exceeds 0.4 %.
const MAX_NOISE: f64 = 0.0020;
/// Longest wick, as a fraction of the price.
const MAX_WICK: f64 = 0.0005;
/// Share of the distance to the start price that an endless walk is pulled back per candle.
const PULL: f64 = 0.0005;

/// A random walk, fully determined by its fields.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WalkConfig {
    /// Seed of the noise.
    pub seed: u64,
    /// Number of candles; `None` for a walk that never ends.
    pub candles: Option<u64>,
    /// First price, USD.
    pub start_price: f64,
    /// Log-return over the whole walk, which its last close meets exactly; for an endless walk
    /// the log-return per candle, against the pull back to the start price.
    pub drift: f64,
    /// Standard deviation of the log-return of a candle.
    pub volatility: f64,
}

impl WalkConfig {
    /// See [`Tape::falling`](super::Tape::falling).
    pub fn falling(seed: u64) -> Self {
        let fall = SmallRng::seed_from_u64(seed ^ 0xfa11).gen_range(0.205..0.245);
        WalkConfig {
            seed,
            candles: Some(FALLING_CANDLES),
            start_price: 100_000.0,
            drift: f64::ln(1.0 - fall),
            volatility: 0.0007,
        }
    }

    /// See [`Tape::endless_walk`](super::Tape::endless_walk).
    pub fn endless(seed: u64) -> Self {
        WalkConfig {
            seed,
            candles: None,
            start_price: 100_000.0,
            drift: 0.0,
            volatility: 0.0007,
        }
    }

    /// The candles, made as they are asked for when there is no end.
    pub(super) fn candles(self) -> Box<dyn Iterator<Item = Candle> + Send> {
        let mut rng = SmallRng::seed_from_u64(self.seed);
        match self.candles {
            Some(number) => {
                let mut moves: Vec<f64> = (0..number)
                    .map(|_| noise(&mut rng, self.volatility))
                    .collect();
                // Shift all equally, so that the sum is the drift whatever the noise was.
                let count = moves.len().max(1) as f64;
                let shift = (self.drift - moves.iter().sum::<f64>()) / count;
                moves.iter_mut().for_each(|step| *step += shift);
                Box::new(draw(rng, self.start_price, moves.into_iter()))
            }
            None => {
                let mut log = 0.0;
                let mut steps = SmallRng::seed_from_u64(self.seed.wrapping_add(1));
                let moves = std::iter::repeat_with(move || {
                    let step = self.drift - PULL * log + noise(&mut steps, self.volatility);
                    log += step;
                    step
                });
                Box::new(draw(rng, self.start_price, moves))
            }
        }
    }
}

/// Roughly normal, by the sum of twelve uniforms, cut at [`MAX_NOISE`].
fn noise(rng: &mut SmallRng, volatility: f64) -> f64 {
    let normal: f64 = (0..12).map(|_| rng.r#gen::<f64>()).sum::<f64>() - 6.0;
    (normal * volatility).clamp(-MAX_NOISE, MAX_NOISE)
}

/// Candles along the log-returns; each opens where the one before closed.
fn draw(
    mut rng: SmallRng,
    start: f64,
    moves: impl Iterator<Item = f64> + Send + 'static,
) -> impl Iterator<Item = Candle> + Send {
    let mut open = start;
    let mut time = 0;
    moves.map(move |step| {
        let close = (open * step.exp()).clamp(1000.0, 10_000_000.0);
        let high = open.max(close) * (1.0 + rng.gen_range(0.0..MAX_WICK));
        let low = open.min(close) * (1.0 - rng.gen_range(0.0..MAX_WICK));
        let candle = Candle {
            time,
            open,
            high,
            low,
            close,
        };
        open = close;
        time += 60_000;
        candle
    })
}

#[cfg(test)]
mod tests {
    use super::super::Tape;

    fn prices(tape: Tape, number: usize) -> Vec<f64> {
        tape.ticks()
            .take(number)
            .map(|tick| tick.price.to_f64())
            .collect()
    }

    #[test]
    fn the_fall_is_what_it_promises_for_many_seeds() {
        for seed in 0..50 {
            let prices = prices(Tape::falling(seed), usize::MAX);
            assert_eq!(prices.len(), 4800);
            let fall = 1.0 - prices[4799] / prices[0];
            assert!((0.20..=0.25).contains(&fall), "seed {seed}: fell {fall}");
            let largest = prices
                .windows(2)
                .map(|pair| (pair[1] / pair[0] - 1.0).abs())
                .fold(0.0, f64::max);
            assert!(largest <= 0.004, "seed {seed}: tick of {largest}");
            let rises = prices.windows(2).filter(|pair| pair[1] > pair[0]).count();
            assert!(rises > 1000, "seed {seed}: no rebounds");
        }
    }

    #[test]
    fn a_seed_is_a_walk() {
        assert_eq!(prices(Tape::falling(7), 400), prices(Tape::falling(7), 400));
        assert_ne!(prices(Tape::falling(7), 400), prices(Tape::falling(8), 400));
    }

    #[test]
    fn the_endless_walk_stays_near_its_start() {
        let prices = prices(Tape::endless_walk(3), 400_000);
        assert!(
            prices
                .iter()
                .all(|price| (70_000.0..140_000.0).contains(price))
        );
    }
}
