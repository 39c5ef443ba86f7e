//! The last look before sending: whether an intent is still right, and which command it is now.

use std::time::Duration;

use super::{Action, Intent, Opening, SkipReason, affordable, stops_in_range};
use crate::domain::maths;
use crate::domain::position::{MarginMode, Position, Side};
use crate::domain::rules::{AutoEntry, Rule, Subject};
use crate::domain::units::{Price, Sats, Usd};

/// What the last look before sending says.
#[derive(Clone, Debug, PartialEq)]
pub enum LastLook {
    /// Send this.
    Send(Action),
    /// The row is too old for this action: read the book first.
    ReadFirst,
    /// Do not send, for this reason.
    Skip(SkipReason),
    /// Nothing could be added: no balance, or the leverage is already 1.
    NothingToAdd {
        /// Whether the exchange's leverage limit is what stops it, not the balance.
        at_leverage_limit: bool,
    },
    /// The exchange would refuse it: this is what it would take.
    OutOfRange(String),
}

/// What an execution is held against just before it is sent.
#[derive(Clone, Debug)]
pub struct Sight<'a> {
    /// The position on the current book, if it still runs; none for an entry.
    pub position: Option<&'a Position>,
    /// Age of that row.
    pub row_age: Duration,
    /// The account's balance, as of its last reading.
    pub balance: Option<Sats>,
    /// The current price; `None` while nothing confirms it.
    pub price: Option<Price>,
}

/// A close on a row older than this reads first.
pub const CLOSE_ROW_AGE: Duration = Duration::from_secs(2);
/// A cross position is reduced by no more than a row of this age shows: an order knows no position.
pub const REDUCE_ROW_AGE: Duration = Duration::from_secs(1);

/// Whether an intent is still right, and what exactly to send: an old intent is not an order.
///
/// The amount of margin is capped by the balance and by what the exchange accepts (leverage of at
/// least 1); an unknown balance does not cap it. `fallback` where the rule's first wish could not
/// be carried out.
pub fn last_look(rule: &Rule, fallback: bool, sight: &Sight<'_>) -> LastLook {
    let intent = Intent::of(rule, fallback);
    let subject = match (intent, sight.position) {
        (Intent::Enter(_), _) => Subject::Market,
        (_, Some(position)) => Subject::Position(position),
        (_, None) => return LastLook::Skip(SkipReason::PositionGone),
    };
    let Some(price) = sight.price else {
        return LastLook::Skip(SkipReason::PriceStale);
    };
    if !rule.is_reached(subject, price) {
        return LastLook::Skip(SkipReason::ConditionGone);
    }
    match (intent, sight.position) {
        (Intent::Enter(entry), _) => enter(entry, price),
        (Intent::Close, Some(position)) => close(position, sight.row_age),
        (Intent::Reduce(percent), Some(position)) => {
            let kept = kept(position.quantity, percent);
            let keep = match position.mode {
                MarginMode::Isolated => affordable(position, kept, price, sight.balance),
                MarginMode::Cross => kept,
            };
            reduce(position, keep, sight.row_age)
        }
        (Intent::AddMargin(wanted), Some(position)) => add_margin(position, wanted, sight.balance),
        (Intent::UpdateTp(to), Some(position)) => update_tp(position, to, price),
        (
            Intent::UpdateSl {
                to,
                replace_trailing,
            },
            Some(position),
        ) => update_sl(position, to, replace_trailing, price),
        (_, None) => LastLook::Skip(SkipReason::PositionGone),
    }
}

/// What a rule intends for a position, or for the market, before the last look caps it.
pub fn planned(rule: &Rule, fallback: bool, position: Option<&Position>) -> Action {
    let cross = position.is_some_and(|position| position.mode == MarginMode::Cross);
    let side = position.map_or(Side::Buy, |position| position.side);
    let quantity = position.map_or(Usd(1), |position| position.quantity);
    match Intent::of(rule, fallback) {
        Intent::Close if cross => Action::CrossClose { side },
        Intent::Close => Action::ClosePosition,
        Intent::Reduce(percent) => {
            let keep = kept(quantity, percent);
            if cross {
                Action::CrossReduce {
                    side: side.opposite(),
                    quantity: Usd(quantity.0 - keep.0),
                }
            } else {
                Action::CloseToReopen { keep }
            }
        }
        Intent::AddMargin(amount) if cross => Action::CrossDeposit { amount },
        Intent::AddMargin(amount) => Action::AddMargin { amount },
        Intent::UpdateTp(to) => Action::UpdateTp { to },
        Intent::UpdateSl { to, .. } => Action::UpdateSl { to },
        Intent::Enter(entry) if entry.mode == MarginMode::Cross => {
            Action::CrossOpen(opening(entry))
        }
        Intent::Enter(entry) => Action::Open(opening(entry)),
    }
}

fn close(position: &Position, row_age: Duration) -> LastLook {
    if row_age > CLOSE_ROW_AGE {
        return LastLook::ReadFirst;
    }
    LastLook::Send(match position.mode {
        MarginMode::Isolated => Action::ClosePosition,
        MarginMode::Cross => Action::CrossClose {
            side: position.side,
        },
    })
}

fn reduce(position: &Position, keep: Usd, row_age: Duration) -> LastLook {
    if keep == Usd(0) {
        return close(position, row_age);
    }
    match position.mode {
        MarginMode::Isolated if row_age > CLOSE_ROW_AGE => LastLook::ReadFirst,
        MarginMode::Isolated => LastLook::Send(Action::CloseToReopen { keep }),
        MarginMode::Cross if row_age > REDUCE_ROW_AGE => LastLook::ReadFirst,
        MarginMode::Cross => LastLook::Send(Action::CrossReduce {
            side: position.side.opposite(),
            quantity: Usd(position.quantity.0 - keep.0),
        }),
    }
}

/// What is left of a quantity, in whole USD: rounded down, since danger asks for less of it.
fn kept(quantity: Usd, percent: f64) -> Usd {
    // The slack makes 70 % of 10 what it is and not 6.999….
    const SLACK: f64 = 1e-9;
    let kept = quantity.0 as f64 * (100.0 - percent) / 100.0 + SLACK;
    Usd((kept.floor() as i64).clamp(0, quantity.0 - 1))
}

fn add_margin(position: &Position, wanted: Sats, balance: Option<Sats>) -> LastLook {
    let room = maths::max_add_margin(position);
    let balance = balance.unwrap_or(wanted).or_zero();
    let amount = wanted.min(room.unwrap_or(wanted)).min(balance);
    if amount == Sats::ZERO {
        return LastLook::NothingToAdd {
            at_leverage_limit: room == Some(Sats::ZERO),
        };
    }
    LastLook::Send(match position.mode {
        MarginMode::Isolated => Action::AddMargin { amount },
        MarginMode::Cross => Action::CrossDeposit { amount },
    })
}

fn update_tp(position: &Position, to: Price, price: Price) -> LastLook {
    if position.takeprofit == Some(to) {
        return LastLook::Skip(SkipReason::AlreadySet);
    }
    let (in_range, allowed) = match position.side {
        Side::Buy => {
            let entry = position.entry_price;
            let allowed = format!("over the price of {price} and the entry at {entry}");
            (to > price.max(entry), allowed)
        }
        Side::Sell => (to < price, format!("under the price of {price}")),
    };
    if !in_range {
        let direction = position.side.direction();
        return LastLook::OutOfRange(format!(
            "take-profit {to} is not possible for this {direction}; allowed is {allowed}"
        ));
    }
    LastLook::Send(Action::UpdateTp { to })
}

fn update_sl(position: &Position, to: Price, replace_trailing: bool, price: Price) -> LastLook {
    if position.trailing_distance.is_some() && !replace_trailing {
        return LastLook::Skip(SkipReason::TrailingStop);
    }
    if position.stoploss == Some(to) && position.trailing_distance.is_none() {
        return LastLook::Skip(SkipReason::AlreadySet);
    }
    let liquidation = position.liquidation;
    let (in_range, allowed) = match position.side {
        Side::Buy => (
            (liquidation..price).contains(&to),
            format!("from the liquidation at {liquidation} to under the price of {price}"),
        ),
        Side::Sell => (
            to > price && to <= liquidation,
            format!("from over the price of {price} to the liquidation at {liquidation}"),
        ),
    };
    if !in_range {
        let direction = position.side.direction();
        return LastLook::OutOfRange(format!(
            "stop-loss {to} is not possible for this {direction}; allowed is {allowed}"
        ));
    }
    LastLook::Send(Action::UpdateSl { to })
}

fn opening(entry: &AutoEntry) -> Opening {
    Opening {
        side: entry.side,
        quantity: entry.quantity,
        leverage: entry.leverage,
        stoploss: entry.stoploss,
        takeprofit: entry.takeprofit,
    }
}

fn enter(entry: &AutoEntry, price: Price) -> LastLook {
    if entry.mode == MarginMode::Cross {
        return LastLook::Send(Action::CrossOpen(opening(entry)));
    }
    let (stoploss, takeprofit) = stops_in_range(
        entry.side,
        entry.quantity,
        entry.leverage,
        price,
        entry.stoploss,
        entry.takeprofit,
    );
    if (stoploss, takeprofit) == (entry.stoploss, entry.takeprofit) {
        return LastLook::Send(Action::Open(opening(entry)));
    }
    let margin = Sats((maths::notional(entry.quantity, price).0 as f64 / entry.leverage) as i64);
    let liquidation = maths::liquidation(entry.side, entry.quantity, price, margin);
    let allowed = match entry.side {
        Side::Buy => {
            format!("a stop-loss from {liquidation} to under {price}, a take-profit over {price}")
        }
        Side::Sell => {
            format!("a stop-loss from over {price} to {liquidation}, a take-profit under {price}")
        }
    };
    LastLook::OutOfRange(format!(
        "an entry at {price} cannot have these stops; allowed are {allowed}"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::rules::RuleKind;

    fn rule(config: serde_json::Value) -> Rule {
        Rule::parse(RuleKind::MarginGuard, &config).unwrap()
    }

    fn adding(amount: i64) -> Rule {
        rule(json!({"action": "add_margin", "add_margin_amount": amount,
                    "margin_threshold": 0.7, "metric": "margin_used"}))
    }

    fn closing() -> Rule {
        rule(json!({"action": "close_position", "margin_threshold": 0.7,
                    "metric": "margin_used"}))
    }

    fn sight(position: &Position) -> Sight<'_> {
        Sight {
            position: Some(position),
            row_age: Duration::ZERO,
            balance: Some(Sats(1_000_000)),
            price: Price::from_usd(93_000.0),
        }
    }

    #[test]
    fn an_intent_whose_ground_is_gone_is_skipped() {
        let position = Position::sample(Side::Buy, 1000, 100_000.0, 10);
        let gone = Sight {
            position: None,
            ..sight(&position)
        };
        assert_eq!(
            last_look(&closing(), false, &gone),
            LastLook::Skip(SkipReason::PositionGone)
        );
        let stale = Sight {
            price: None,
            ..sight(&position)
        };
        assert_eq!(
            last_look(&closing(), false, &stale),
            LastLook::Skip(SkipReason::PriceStale)
        );
        let calm = Sight {
            price: Price::from_usd(99_000.0),
            ..sight(&position)
        };
        assert_eq!(
            last_look(&adding(1), false, &calm),
            LastLook::Skip(SkipReason::ConditionGone)
        );
    }

    #[test]
    fn a_close_on_an_old_row_reads_first_and_an_add_does_not_wait() {
        let position = Position::sample(Side::Buy, 1000, 100_000.0, 10);
        let old = Sight {
            row_age: Duration::from_millis(2001),
            ..sight(&position)
        };
        assert_eq!(last_look(&closing(), false, &old), LastLook::ReadFirst);
        assert_eq!(
            last_look(&adding(5), false, &old),
            LastLook::Send(Action::AddMargin { amount: Sats(5) })
        );
        assert_eq!(
            last_look(&closing(), false, &sight(&position)),
            LastLook::Send(Action::ClosePosition)
        );
    }

    #[test]
    fn what_is_added_is_capped_by_balance_and_leverage() {
        let position = Position::sample(Side::Buy, 1000, 100_000.0, 10);
        let add = |amount| {
            LastLook::Send(Action::AddMargin {
                amount: Sats(amount),
            })
        };
        assert_eq!(
            last_look(&adding(2_000_000), false, &sight(&position)),
            add(900_000)
        );
        let poor = Sight {
            balance: Some(Sats(700)),
            ..sight(&position)
        };
        assert_eq!(last_look(&adding(2_000_000), false, &poor), add(700));
        let unknown = Sight {
            balance: None,
            ..sight(&position)
        };
        assert_eq!(last_look(&adding(5_000), false, &unknown), add(5_000));
        let broke = Sight {
            balance: Some(Sats(0)),
            ..sight(&position)
        };
        assert_eq!(
            last_look(&adding(5), false, &broke),
            LastLook::NothingToAdd {
                at_leverage_limit: false
            }
        );
    }

    #[test]
    fn what_cannot_be_added_gives_way_to_the_fallback() {
        let position = Position::sample(Side::Buy, 1000, 100_000.0, 10);
        let rule = rule(json!({
            "action": "add_margin", "add_margin_amount": 5, "margin_threshold": 0.7,
            "metric": "margin_used", "fallback": "reduce_position", "reduce_percentage": 30,
        }));
        let send = LastLook::Send(Action::CloseToReopen { keep: Usd(700) });
        assert_eq!(last_look(&rule, true, &sight(&position)), send);
        let add = LastLook::Send(Action::AddMargin { amount: Sats(5) });
        assert_eq!(last_look(&rule, false, &sight(&position)), add);
    }

    #[test]
    fn a_cross_position_is_closed_reduced_and_fed_by_commands_of_its_own() {
        let position = Position::sample_cross(Side::Buy, 1000, 100_000.0, 10, Sats(120_000));
        let at = |row_age| Sight {
            row_age,
            price: Price::from_usd(90_000.0),
            ..sight(&position)
        };
        let (now, soon) = (Duration::ZERO, Duration::from_millis(1001));
        let close = LastLook::Send(Action::CrossClose { side: Side::Buy });
        assert_eq!(last_look(&closing(), false, &at(now)), close);
        let reducing = rule(json!({"action": "reduce_position", "reduce_percentage": 25,
                                   "margin_threshold": 0.7, "metric": "margin_used"}));
        let reduce = LastLook::Send(Action::CrossReduce {
            side: Side::Sell,
            quantity: Usd(250),
        });
        assert_eq!(last_look(&reducing, false, &at(now)), reduce);
        assert_eq!(last_look(&reducing, false, &at(soon)), LastLook::ReadFirst);
        let deposit = LastLook::Send(Action::CrossDeposit {
            amount: Sats(900_000),
        });
        let adding = adding(900_000);
        assert_eq!(
            last_look(&adding, false, &at(now)),
            deposit,
            "no limit but the balance"
        );
    }

    #[test]
    fn what_is_kept_is_whole_dollars_rounded_down_and_nothing_kept_is_a_close() {
        for (quantity, percent, keep) in [(10, 30.0, 7), (3, 50.0, 1), (1, 10.0, 0), (7, 100.0, 0)]
        {
            assert_eq!(
                kept(Usd(quantity), percent),
                Usd(keep),
                "{percent} % of {quantity}"
            );
        }
        let position = Position::sample(Side::Buy, 1, 100_000.0, 10);
        let close = LastLook::Send(Action::ClosePosition);
        assert_eq!(
            reduce(&position, kept(position.quantity, 50.0), Duration::ZERO),
            close
        );
    }

    fn tp_sl(action: &str, field: &str, to: f64) -> Rule {
        let config = json!({"action": action, field: to, "trigger_pnl_percentage": 5,
                            "pnl_basis": "margin"});
        Rule::parse(RuleKind::TpSl, &config).unwrap()
    }

    #[test]
    fn a_stop_that_changes_nothing_or_would_replace_a_trailing_one_is_not_sent() {
        let mut position = Position::sample(Side::Buy, 1000, 100_000.0, 10);
        let rule = tp_sl("update_sl", "new_stoploss", 91_000.0);
        let send = LastLook::Send(Action::UpdateSl {
            to: Price::from_usd(91_000.0).unwrap(),
        });
        assert_eq!(last_look(&rule, false, &sight(&position)), send);
        position.stoploss = Price::from_usd(91_000.0);
        let skip = LastLook::Skip(SkipReason::AlreadySet);
        assert_eq!(last_look(&rule, false, &sight(&position)), skip);
        position.trailing_distance = Some(0.02);
        let skip = LastLook::Skip(SkipReason::TrailingStop);
        assert_eq!(last_look(&rule, false, &sight(&position)), skip);
    }

    #[test]
    fn a_stop_beyond_liquidation_or_price_is_refused_and_the_range_is_told() {
        let long = Position::sample(Side::Buy, 1000, 100_000.0, 10);
        for (stop, possible) in [
            (90_908.5, false),
            (90_909.0, true),
            (92_999.5, true),
            (93_000.0, false),
        ] {
            let looked = last_look(
                &tp_sl("update_sl", "new_stoploss", stop),
                false,
                &sight(&long),
            );
            assert_eq!(
                matches!(looked, LastLook::Send(_)),
                possible,
                "{stop}: {looked:?}"
            );
            if let LastLook::OutOfRange(text) = looked {
                assert!(text.contains("90909") && text.contains("93000"), "{text}");
            }
        }
        let target = tp_sl("update_tp", "new_takeprofit", 93_000.0);
        let looked = last_look(&target, false, &sight(&long));
        assert!(matches!(looked, LastLook::OutOfRange(_)), "{looked:?}");
    }

    #[test]
    fn an_entry_is_sent_at_its_trigger_with_stops_that_the_exchange_takes() {
        let entry = |stop: f64| {
            let config = json!({"side": "buy", "quantity": 1000, "trigger_price": 93_000,
                                "stoploss": stop});
            Rule::parse(RuleKind::AutoEntry, &config).unwrap()
        };
        let at = |usd: f64| Sight {
            position: None,
            row_age: Duration::ZERO,
            balance: None,
            price: Price::from_usd(usd),
        };
        let looked = last_look(&entry(90_000.0), false, &at(93_000.0));
        assert!(
            matches!(looked, LastLook::Send(Action::Open(_))),
            "{looked:?}"
        );
        let skip = LastLook::Skip(SkipReason::ConditionGone);
        assert_eq!(last_look(&entry(90_000.0), false, &at(93_000.5)), skip);
        // The price has jumped past the stop.
        let looked = last_look(&entry(90_000.0), false, &at(89_000.0));
        assert!(matches!(looked, LastLook::OutOfRange(_)), "{looked:?}");
    }
}
