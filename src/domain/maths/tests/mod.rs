//! Every worked example and anchor of the protocol sheet, sections 4 and 9.

mod charges;
mod cross_margin;
mod examples;
mod margins;
mod metrics;
mod taken_out;

use super::fees::{FeeTier, Reserve, trading_fee};
use super::*;
use crate::domain::position::{Position, Side};

fn price(usd: f64) -> Price {
    Price::from_usd(usd).unwrap()
}

/// Example A of the protocol sheet: long 1000 USD at 100,000, 10x, tier 1.
fn example_a() -> Position {
    Position::sample(Side::Buy, 1000, 100_000.0, 10)
}
