//! Positions as they are typed: `SIDE:QUANTITY@ENTRYxLEVERAGE[:cross][:sl=PRICE][:tp=PRICE]`.

use std::fmt;
use std::str::FromStr;

use crate::domain::position::{MarginMode, Side};
use crate::domain::units::{Price, Usd};

const SHAPE: &str = "a position is SIDE:QUANTITY@ENTRYxLEVERAGE[:cross][:sl=PRICE][:tp=PRICE], for \
                     example long:1000@41700x10 or short:500@openx25:sl=43000; ENTRY is a price in \
                     USD or the word open, the file's first price";
const MOST_USD: i64 = 500_000;
const LEVERAGES: std::ops::RangeInclusive<f64> = 1.0..=100.0;
/// Entry at the file's first price.
const AT_OPEN: &str = "open";

/// A position that is open when the replay begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spec {
    pub side: Side,
    pub quantity: Usd,
    /// `None` for the first price of the file.
    pub entry: Option<Price>,
    pub leverage: f64,
    pub mode: MarginMode,
    pub stoploss: Option<Price>,
    pub takeprofit: Option<Price>,
}

impl FromStr for Spec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split(':');
        let side = match parts.next() {
            Some("long" | "buy" | "b") => Side::Buy,
            Some("short" | "sell" | "s") => Side::Sell,
            _ => return Err(format!("the side is long or short; {SHAPE}")),
        };
        let size = parts.next().unwrap_or_default();
        let (quantity, rest) = size.split_once('@').ok_or(SHAPE)?;
        let (entry, leverage) = rest.split_once('x').ok_or(SHAPE)?;
        let mut spec = Self {
            side,
            quantity: quantity_of(quantity)?,
            entry: match entry {
                AT_OPEN => None,
                usd => Some(price(usd)?),
            },
            leverage: leverage_of(leverage)?,
            mode: MarginMode::Isolated,
            stoploss: None,
            takeprofit: None,
        };
        for part in parts {
            match part.split_once('=') {
                None if part == "cross" => spec.mode = MarginMode::Cross,
                Some(("sl", usd)) => spec.stoploss = Some(price(usd)?),
                Some(("tp", usd)) => spec.takeprofit = Some(price(usd)?),
                _ => return Err(format!("`{part}` is not understood; {SHAPE}")),
            }
        }
        spec.consistent()
    }
}

impl Spec {
    fn consistent(self) -> Result<Self, String> {
        if self.mode == MarginMode::Cross {
            if self.stoploss.is_some() || self.takeprofit.is_some() {
                return Err("a cross position has no stop-loss and no take-profit".to_owned());
            }
            if self.leverage.fract() != 0.0 {
                return Err("the leverage of a cross position is a whole number".to_owned());
            }
        }
        Ok(self)
    }
}

fn quantity_of(text: &str) -> Result<Usd, String> {
    let quantity = text.parse().ok().filter(|usd| (1..=MOST_USD).contains(usd));
    let quantity = quantity.map(Usd);
    quantity.ok_or_else(|| format!("the quantity is whole USD from 1 to {MOST_USD}, not `{text}`"))
}

fn leverage_of(text: &str) -> Result<f64, String> {
    let leverage = text.parse().ok().filter(|times| LEVERAGES.contains(times));
    leverage.ok_or_else(|| format!("the leverage is a number from 1 to 100, not `{text}`"))
}

fn price(text: &str) -> Result<Price, String> {
    let price = text.parse().ok().and_then(Price::from_usd);
    let price = price.filter(|price| *price >= Price::MIN && price.is_on_tick());
    price.ok_or_else(|| format!("`{text}` is no price in USD on the tick of 0.5"))
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}@", self.side.direction(), self.quantity.0)?;
        match self.entry {
            Some(price) => write!(f, "{price}")?,
            None => f.write_str(AT_OPEN)?,
        }
        write!(f, "x{}", self.leverage)?;
        if self.mode == MarginMode::Cross {
            f.write_str(":cross")?;
        }
        if let Some(stop) = self.stoploss {
            write!(f, ":sl={stop}")?;
        }
        if let Some(target) = self.takeprofit {
            write!(f, ":tp={target}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_what_is_shown() {
        for text in [
            "long:1000@41700x10",
            "short:500@openx2.5:sl=43000:tp=39000.5",
            "long:25@100000x50:cross",
        ] {
            assert_eq!(text.parse::<Spec>().unwrap().to_string(), text);
        }
        let sell: Spec = "sell:1@5000x1".parse().unwrap();
        assert_eq!(sell.side, Side::Sell);
    }

    #[test]
    fn what_cannot_be_a_position_is_told_with_what_can() {
        for (text, says) in [
            ("up:1000@41700x10", "long or short"),
            ("long:1000", "SIDE:QUANTITY@ENTRYxLEVERAGE"),
            ("long:0@41700x10", "from 1 to 500000"),
            ("long:1000@41700.2x10", "tick"),
            ("long:1000@41700x101", "from 1 to 100"),
            ("long:1000@41700x10:trailing", "`trailing`"),
            ("long:1000@41700x2.5:cross", "whole number"),
            ("long:1000@41700x2:cross:sl=40000", "no stop-loss"),
        ] {
            let error = text.parse::<Spec>().unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
