//! auto_entry: opens a position at the market when the price reaches a trigger.

use serde_json::Value;

use super::fields::{FieldError, Fields};
use super::price_field;
use crate::domain::levels::Level;
use crate::domain::maths::{self, isolated};
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
/// The old worker's own words, which its operators know.
const REQUIRED: &str = "Side and quantity are required for auto entry";
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
        for field in ["side", "quantity"] {
            if fields.get(field).is_none() {
                fields.refuse(field, Value::Null, REQUIRED);
            }
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
        if let Some(entry) = &rule
            && entry.mode == MarginMode::Isolated
        {
            entry.refuse_stops(&mut fields);
        }
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

    /// Refuses stops that the exchange would not take at any time: it enters at the trigger, a buy
    /// at or below it, a sell at or above.
    fn refuse_stops(&self, fields: &mut Fields<'_>) {
        let over = |one: Price, other: Price| match self.side {
            Side::Buy => one > other,
            Side::Sell => one < other,
        };
        let (stop_side, target_side) = match self.side {
            Side::Buy => ("under", "over"),
            Side::Sell => ("over", "under"),
        };
        let mut refuse = |field: &'static str, allowed: String| {
            let value = fields.get(field).cloned().unwrap_or_default();
            fields.refuse(field, value, allowed);
        };
        let Some(trigger) = self.trigger else {
            if let (Some(stop), Some(target)) = (self.stoploss, self.takeprofit)
                && !over(target, stop)
            {
                refuse("stoploss", format!("a price {stop_side} the takeprofit"));
            }
            return;
        };
        let margin = isolated::margin(self.quantity, trigger, self.leverage);
        let liquidation = maths::liquidation(self.side, self.quantity, trigger, margin);
        if let Some(stop) = self.stoploss
            && (!over(trigger, stop) || over(liquidation, stop))
        {
            let allowed = format!(
                "a price {stop_side} the trigger_price, not beyond the liquidation of the entry \
                 there, at {liquidation}"
            );
            refuse("stoploss", allowed);
        }
        if self.takeprofit.is_some_and(|target| !over(target, trigger)) {
            let allowed = format!("a price {target_side} the trigger_price");
            refuse("takeprofit", allowed);
        }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn errors(config: &Value) -> Vec<FieldError> {
        AutoEntry::parse(config).unwrap_err()
    }

    fn refused(config: &Value) -> Vec<String> {
        let fields = errors(config).into_iter().map(|error| error.field);
        fields.collect()
    }

    #[test]
    fn an_entry_of_the_old_worker_means_what_it_meant() {
        let entry = AutoEntry::parse(&json!({
            "side": "b", "quantity": 1000, "market": "btcusd", "trigger_type": "market",
        }));
        let entry = entry.unwrap();
        assert_eq!((entry.side, entry.quantity), (Side::Buy, Usd(1000)));
        assert_eq!((entry.leverage, entry.max_entries), (10.0, 1));
        assert_eq!(entry.mode, MarginMode::Isolated);
        assert_eq!(entry.trigger, None);
    }

    #[test]
    fn side_and_quantity_are_missed_in_the_old_workers_words() {
        let errors = errors(&json!({"leverage": 5}));
        let told: Vec<_> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "side: missing; Side and quantity are required for auto entry",
                "quantity: missing; Side and quantity are required for auto entry",
            ]
        );
    }

    #[test]
    fn every_impossible_value_is_told_at_once() {
        let config = json!({
            "side": "up", "quantity": 0.5, "leverage": 101, "market": "ethusd",
            "trigger_type": "limit", "trigger_price": 42_000.2, "stoploss": -1,
            "takeprofit": "high", "margin_mode": "both", "max_entries": 0, "trigger": 1,
        });
        let expected = [
            "side",
            "quantity",
            "margin_mode",
            "leverage",
            "market",
            "trigger_type",
            "trigger_price",
            "stoploss",
            "takeprofit",
            "max_entries",
            "trigger",
        ];
        assert_eq!(refused(&config), expected);
    }

    #[test]
    fn a_cross_entry_has_a_whole_leverage_and_no_stops() {
        let config = json!({
            "side": "s", "quantity": 5, "margin_mode": "cross", "leverage": 2.5,
            "stoploss": 50_000, "takeprofit": 30_000,
        });
        assert_eq!(refused(&config), ["leverage", "stoploss", "takeprofit"]);
        let config = json!({"side": "s", "quantity": 5, "margin_mode": "cross", "leverage": 2});
        assert!(AutoEntry::parse(&config).is_ok());
    }

    #[test]
    fn stops_that_no_entry_at_the_trigger_could_have_are_refused() {
        let entry = |side: &str, field: &str, price: f64| {
            json!({"side": side, "quantity": 1000, "leverage": 10, "trigger_price": 100_000,
                   field: price})
        };
        for (side, field, price, possible) in [
            ("buy", "stoploss", 100_000.0, false),
            ("buy", "stoploss", 99_999.5, true),
            ("buy", "stoploss", 90_909.0, true),
            ("buy", "stoploss", 90_908.5, false),
            ("buy", "takeprofit", 100_000.0, false),
            ("buy", "takeprofit", 100_000.5, true),
            ("sell", "stoploss", 100_000.0, false),
            ("sell", "stoploss", 111_111.0, true),
            ("sell", "stoploss", 111_111.5, false),
            ("sell", "takeprofit", 100_000.0, false),
            ("sell", "takeprofit", 99_999.5, true),
        ] {
            let config = entry(side, field, price);
            assert_eq!(AutoEntry::parse(&config).is_ok(), possible, "{config}");
        }
        let crossed = json!({"side": "buy", "quantity": 5, "stoploss": 50_000,
                             "takeprofit": 50_000});
        assert_eq!(refused(&crossed), ["stoploss"]);
    }
}
