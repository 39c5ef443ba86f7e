//! What each account of the demo plays: the position that its owner opened, and the automations that
//! watch it. All prices are relative to the first one, so that any market will do.

use serde_json::{Value, json};

use crate::domain::ids::PositionId;
use crate::domain::position::MarginMode;
use crate::domain::rules::RuleKind;
use crate::domain::units::{Sats, Usd};

/// What each owner buys first.
pub(super) const QUANTITY: Usd = Usd(10_000);
/// What entries buy, and what the hedge sells.
pub(super) const SMALL_QUANTITY: Usd = Usd(2_000);
/// Where guards act: this share of the margin is lost.
const DANGER: f64 = 0.7;
/// Where entries buy: a position without them has lost this share of its margin.
const ENTRY_AT_LOSS: f64 = 0.4;
/// Where a take-profit is lowered, in percent of the margin, and to which multiple of the first price.
const LOWER_TP_AT_PERCENT: f64 = 20.0;
const LOWERED_TP: f64 = 1.05;
/// Where a stop-loss is moved, in percent of the margin, and to which lost share of it.
const MOVE_SL_AT_PERCENT: f64 = 30.0;
const MOVED_SL_AT_LOSS: f64 = 0.5;
/// Where a short takes its profit and a long stops its loss, in percent of the margin.
const TAKE_PROFIT_AT_PERCENT: f64 = 50.0;
const STOP_LOSS_AT_PERCENT: f64 = 60.0;
/// What a reduction takes off. The cross account carries the loss on in what is left, so that the
/// danger is nearly the same after it: more is taken off, and a pause keeps the next one from
/// following at once.
const REDUCE_PERCENT: f64 = 50.0;
const CROSS_REDUCE_PERCENT: f64 = 70.0;
const CROSS_COOLDOWN_SECONDS: u64 = 3;
/// What an entry into the cross position is reckoned with; more than the position was opened with,
/// which frees margin.
const CROSS_ENTRY_LEVERAGE: i64 = 10;

/// What one account plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A guard adds margin; an entry buys more on the way down.
    AddMargin,
    /// A guard reduces; the take-profit comes down.
    Reduce,
    /// A guard closes.
    Close,
    /// A guard deposits into the cross account; an entry buys more on the way down.
    CrossDeposit,
    /// The stop-loss moves up, for the exchange to close at; a short beside it takes its profit.
    MoveStop,
    /// The position is closed at a loss.
    StopLoss,
    /// A guard reduces the cross position.
    CrossReduce,
    /// A guard closes the cross position.
    CrossClose,
}

/// The parts in their order, with the leverage of the positions. More accounts begin again.
pub(super) const CAST: [(Part, i64); 8] = [
    (Part::AddMargin, 5),
    (Part::Reduce, 10),
    (Part::Close, 20),
    (Part::CrossDeposit, 5),
    (Part::MoveStop, 10),
    (Part::StopLoss, 20),
    (Part::CrossReduce, 5),
    (Part::CrossClose, 10),
];

/// What the owner has opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opened {
    /// The market's first price, in USD.
    pub price: f64,
    /// The leverage of the position.
    pub leverage: i64,
    /// The margin of the position, or what was deposited into the cross account.
    pub margin: Sats,
    /// The long.
    pub long: PositionId,
    /// The short beside it.
    pub hedge: Option<PositionId>,
}

impl Part {
    /// Whether the position is the account's cross position.
    pub fn mode(self) -> MarginMode {
        match self {
            Self::CrossDeposit | Self::CrossReduce | Self::CrossClose => MarginMode::Cross,
            _ => MarginMode::Isolated,
        }
    }

    /// Whether a short stands beside the long.
    pub fn is_hedged(self) -> bool {
        self == Self::MoveStop
    }

    /// Its automations, in one line.
    pub fn told(self) -> &'static str {
        match self {
            Self::AddMargin => "margin_guard add_margin, auto_entry isolated",
            Self::Reduce => "margin_guard reduce_position, tp_sl update_tp",
            Self::Close => "margin_guard close_position",
            Self::CrossDeposit => "margin_guard add_margin (a deposit), auto_entry cross",
            Self::MoveStop => "tp_sl update_sl, tp_sl close_tp on a short",
            Self::StopLoss => "tp_sl close_sl",
            Self::CrossReduce => "margin_guard reduce_position",
            Self::CrossClose => "margin_guard close_position",
        }
    }

    /// Its automations. Each is armed for exactly one position, or for the market.
    pub fn automations(self, opened: &Opened) -> Vec<(RuleKind, Value)> {
        let cooldown = match self.mode() {
            MarginMode::Isolated => 0,
            MarginMode::Cross => CROSS_COOLDOWN_SECONDS,
        };
        let guard = |action: &str| {
            json!({
                "action": action, "metric": "margin_used", "margin_threshold": DANGER,
                "cooldown_seconds": cooldown,
            })
        };
        let adding = || {
            let mut guard = guard("add_margin");
            guard["add_margin_amount"] = json!(opened.margin);
            (RuleKind::MarginGuard, guard)
        };
        let reducing = |percent: f64| {
            let mut guard = guard("reduce_position");
            guard["reduce_percentage"] = json!(percent);
            (RuleKind::MarginGuard, guard)
        };
        let closing = || (RuleKind::MarginGuard, guard("close_position"));
        let tp_sl = |action: &str, at: f64, direction: &str, position: PositionId| {
            json!({
                "action": action, "trigger_pnl_percentage": at, "pnl_basis": "margin",
                "direction": direction, "positions": [position],
            })
        };
        let entry = |leverage: i64, mode: MarginMode| {
            let config = json!({
                "side": "buy", "quantity": SMALL_QUANTITY, "leverage": leverage,
                "trigger_price": opened.at_loss(ENTRY_AT_LOSS), "margin_mode": mode,
            });
            (RuleKind::AutoEntry, config)
        };
        match self {
            Self::AddMargin => vec![adding(), entry(opened.leverage, MarginMode::Isolated)],
            Self::Reduce => {
                let mut lower = tp_sl("update_tp", LOWER_TP_AT_PERCENT, "loss", opened.long);
                lower["new_takeprofit"] = json!(on_tick(opened.price * LOWERED_TP));
                vec![reducing(REDUCE_PERCENT), (RuleKind::TpSl, lower)]
            }
            Self::Close | Self::CrossClose => vec![closing()],
            Self::CrossDeposit => {
                vec![adding(), entry(CROSS_ENTRY_LEVERAGE, MarginMode::Cross)]
            }
            Self::MoveStop => {
                let mut stop = tp_sl("update_sl", MOVE_SL_AT_PERCENT, "loss", opened.long);
                stop["new_stoploss"] = json!(opened.at_loss(MOVED_SL_AT_LOSS));
                let short = opened.hedge.unwrap_or(opened.long);
                let profit = tp_sl("close_tp", TAKE_PROFIT_AT_PERCENT, "profit", short);
                vec![(RuleKind::TpSl, stop), (RuleKind::TpSl, profit)]
            }
            Self::StopLoss => {
                let stop = tp_sl("close_sl", STOP_LOSS_AT_PERCENT, "loss", opened.long);
                vec![(RuleKind::TpSl, stop)]
            }
            Self::CrossReduce => vec![reducing(CROSS_REDUCE_PERCENT)],
        }
    }
}

impl Opened {
    /// The price at which the long has lost this share of its first margin.
    fn at_loss(&self, share: f64) -> f64 {
        on_tick(self.price / (1.0 + share / self.leverage as f64))
    }
}

/// The nearest price of the exchange: a multiple of 0.5.
fn on_tick(usd: f64) -> f64 {
    (usd * 2.0).round() / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::rules::Rule;

    #[test]
    fn every_automation_of_the_cast_can_be_obeyed_in_any_market() {
        for price in [100_000.0, 41_723.0, 3.5] {
            for (part, leverage) in CAST {
                let opened = Opened {
                    price,
                    leverage,
                    margin: Sats(1_000_000),
                    long: PositionId(uuid::Uuid::from_u128(1)),
                    hedge: part
                        .is_hedged()
                        .then(|| PositionId(uuid::Uuid::from_u128(2))),
                };
                for (kind, config) in part.automations(&opened) {
                    let rule = Rule::parse(kind, &config);
                    assert!(rule.is_ok(), "{part:?} at {price}: {rule:?}");
                    assert!(part.told().contains(kind.as_str()), "{part:?}");
                }
            }
        }
    }
}
