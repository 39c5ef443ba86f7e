//! auto_entry: opens a position at the market when the price reaches a trigger.

use serde_json::Value;

use super::fields::{FieldError, Fields};
use super::price_field;
use crate::domain::levels::Level;
use crate::domain::position::{MarginMode, Side};
use crate::domain::units::{Price, Usd};

/// An entry rule that can be obeyed.
#[derive(Clone, Debug, PartialEq)]
pub struct AutoEntry {
    /// Long or short.
    pub side: Side,
    /// Size in whole USD.
    pub quantity: Usd,
    /// Leverage, 1 to 100; whole for cross margin.
    pub leverage: f64,
    /// The price at which it enters: a buy at or below, a sell at or above; `None` runs by job only.
    pub trigger: Option<Price>,
    /// The stop-loss set with the entry.
    pub stoploss: Option<Price>,
    /// The take-profit set with the entry.
    pub takeprofit: Option<Price>,
    /// Whether it opens a trade of its own or adds to the cross position.
    pub mode: MarginMode,
    /// After so many entries it is completed.
    pub max_entries: u32,
}

/// The market of every entry.
pub const MARKET: &str = "btcusd";
const DEFAULT_LEVERAGE: f64 = 10.0;
const MOST_USD: i64 = 500_000;
const MOST_ENTRIES: i64 = 1_000;

impl AutoEntry {
    /// Reads `{ side, quantity, leverage?, market?, trigger_price?, trigger_type?, stoploss?,
    /// takeprofit?, margin_mode?, max_entries? }`.
    ///
    /// # Errors
    /// All that is wrong, by field.
    pub fn parse(config: &Value) -> Result<Self, Vec<FieldError>> {
        let mut fields = Fields::of(config);
        if fields.get("side").is_none() || fields.get("quantity").is_none() {
            // The old worker's own words, which its operators know.
            let missing = if fields.get("side").is_none() {
                "side"
            } else {
                "quantity"
            };
            fields.refuse(
                missing,
                Value::Null,
                "Side and quantity are required for auto entry",
            );
        }
        let side = match fields.get("side") {
            Some(_) => fields.choice(
                "side",
                &[
                    ("b", Side::Buy),
                    ("buy", Side::Buy),
                    ("s", Side::Sell),
                    ("sell", Side::Sell),
                ],
                None,
            ),
            None => None,
        };
        let quantity = fields.whole("quantity", 1..=MOST_USD, "US dollars");
        let mode = fields.choice(
            "margin_mode",
            &[
                ("isolated", MarginMode::Isolated),
                ("cross", MarginMode::Cross),
            ],
            Some(MarginMode::Isolated),
        );
        let leverage = Self::leverage(&mut fields, mode);
        fields.choice("market", &[(MARKET, ())], Some(()));
        fields.choice("trigger_type", &[("market", ())], Some(()));
        let trigger = price_field(&mut fields, "trigger_price");
        let stoploss = price_field(&mut fields, "stoploss");
        let takeprofit = price_field(&mut fields, "takeprofit");
        let max_entries = fields.whole("max_entries", 1..=MOST_ENTRIES, "entries");
        if mode == Some(MarginMode::Cross) {
            fields.only_with(
                "stoploss",
                "margin_mode isolated: a cross position has no stops",
            );
            fields.only_with(
                "takeprofit",
                "margin_mode isolated: a cross position has no stops",
            );
        }
        let rule = (|| {
            Some(Self {
                side: side?,
                quantity: Usd(quantity?),
                leverage: leverage?,
                trigger,
                stoploss,
                takeprofit,
                mode: mode?,
                max_entries: max_entries.map_or(1, |most| u32::try_from(most).unwrap_or(1)),
            })
        })();
        fields.finish(rule)
    }

    fn leverage(fields: &mut Fields<'_>, mode: Option<MarginMode>) -> Option<f64> {
        let cross = mode == Some(MarginMode::Cross);
        let allowed = if cross {
            "a whole number from 1 to 100"
        } else {
            "a number from 1 to 100"
        };
        if fields.get("leverage").is_none() {
            return Some(DEFAULT_LEVERAGE);
        }
        fields.number("leverage", allowed, |number| {
            (1.0..=100.0).contains(&number) && (!cross || number.fract() == 0.0)
        })
    }

    /// Whether the price has reached the trigger: a buy's from above, a sell's from below. Without
    /// a trigger it always has.
    pub fn is_reached(&self, at: Price) -> bool {
        match (self.trigger, self.side) {
            (None, _) => true,
            (Some(trigger), Side::Buy) => at <= trigger,
            (Some(trigger), Side::Sell) => at >= trigger,
        }
    }

    /// The prices at which it enters by itself; none without a trigger.
    pub fn level(&self) -> Level {
        match self.side {
            Side::Buy => Level {
                at_or_below: self.trigger,
                at_or_above: None,
            },
            Side::Sell => Level {
                at_or_below: None,
                at_or_above: self.trigger,
            },
        }
    }
}
