//! Level and decision agree, for every rule, side, metric, margin mode and leverage: what the price
//! feed wakes somebody for is what is decided, to the cent.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Rule, RuleKind, Subject};
use crate::domain::levels::Level;
use crate::domain::maths;
use crate::domain::position::{MarginMode, Position, Side};
use crate::domain::units::{Price, Sats};

const CASES: u32 = 4000;

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Buy), Just(Side::Sell)]
}

/// Positions of both margin modes, as opened, fed, cashed in from, or short of their reserve.
fn position() -> impl Strategy<Value = Position> {
    let opened = (side(), 1i64..500_000, 2_000u32..400_000, 1i64..=100);
    let changed = (any::<bool>(), -0.5f64..3.0, -50i64..50);
    (opened, changed).prop_map(|((side, quantity, half_dollars, leverage), changed)| {
        let (cross, share, short) = changed;
        let usd = f64::from(half_dollars) / 2.0;
        let trade = Position::sample(side, quantity, usd, leverage);
        if cross {
            let margin = Sats((trade.margin.0 as f64 * (1.0 + share.abs())) as i64 + 1);
            return Position::sample_cross(side, quantity, usd, leverage, margin);
        }
        let added = Sats((trade.margin.0 as f64 * share) as i64);
        let mut trade = maths::with_margin_added(&trade, added);
        if short < 0 {
            trade.maintenance_margin = Sats(short);
        }
        trade
    })
}

fn rule() -> impl Strategy<Value = Rule> {
    let metric = prop_oneof![
        Just("margin_ratio"),
        Just("margin_used"),
        Just("liquidation_distance")
    ];
    let guard = (metric, 0.001f64..0.999).prop_map(|(metric, threshold)| {
        let config = json!({"action": "close_position", "metric": metric,
                            "margin_threshold": threshold});
        parsed(RuleKind::MarginGuard, &config)
    });
    let basis = prop_oneof![Just("quantity"), Just("margin")];
    let direction = prop_oneof![Just("any"), Just("profit"), Just("loss")];
    let tp_sl = (basis, direction, -3.0f64..7.0).prop_map(|(basis, direction, power)| {
        let config = json!({"action": "close_tp", "pnl_basis": basis, "direction": direction,
                            "trigger_pnl_percentage": 10f64.powf(power)});
        parsed(RuleKind::TpSl, &config)
    });
    let entry = (side(), 2u32..200_000_000).prop_map(|(side, half_dollars)| {
        let config = json!({"side": side, "quantity": 100,
                            "trigger_price": f64::from(half_dollars) / 2.0});
        parsed(RuleKind::AutoEntry, &config)
    });
    prop_oneof![3 => guard, 3 => tp_sl, 1 => entry]
}

fn parsed(kind: RuleKind, config: &Value) -> Rule {
    Rule::parse(kind, config).unwrap()
}

/// The ends of the range, each edge, a cent to each side of it, and far from it.
fn tried(level: Level, elsewhere: u64) -> Vec<Price> {
    let edges = [level.at_or_below, level.at_or_above];
    let edges: Vec<_> = edges.into_iter().flatten().map(Price::cents).collect();
    let around = edges
        .iter()
        .flat_map(|edge| [edge - 1, *edge, edge + 1, edge / 2 + 1, edge * 2]);
    let ends = [Price::MIN.cents(), Price::MAX.cents(), elsewhere];
    let prices = around.chain(ends).filter_map(Price::from_cents);
    let range = Price::MIN..=Price::MAX;
    prices.filter(|price| range.contains(price)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn level_and_decision_agree(
        rule in rule(), position in position(), elsewhere in 100u64..10_000_000_000,
    ) {
        let subject = match &rule {
            Rule::AutoEntry(_) => Subject::Market,
            _ => Subject::Position(&position),
        };
        let level = rule.level(subject);
        for at in tried(level, elsewhere) {
            let reached = rule.is_reached(subject, at);
            prop_assert_eq!(level.is_reached(at), reached, "{} for {:?}", at, level);
            prop_assert!(level.is_reachable() || !reached, "{} is reached", at);
        }
    }

    /// Where it no longer fires is the first price beyond its level.
    #[test]
    fn what_has_fired_is_released_where_its_condition_ends(
        rule in rule(), position in position(), at in 100u64..10_000_000_000,
    ) {
        let subject = match &rule {
            Rule::AutoEntry(_) => Subject::Market,
            _ => Subject::Position(&position),
        };
        let at = Price::from_cents(at).unwrap();
        let released = rule.level(subject).released_from(at);
        if !rule.is_reached(subject, at) {
            prop_assert!(!released.is_reachable());
            return Ok(());
        }
        for (edge, inside) in [
            (released.at_or_below, 1),
            (released.at_or_above, -1),
        ] {
            let Some(edge) = edge else { continue };
            let within = Price::from_cents(edge.cents().checked_add_signed(inside).unwrap());
            prop_assert!(!rule.is_reached(subject, edge), "still true at {}", edge);
            prop_assert!(rule.is_reached(subject, within.unwrap()), "false within {}", edge);
        }
    }
}

/// A level that no price of the exchange reaches is said to be none.
#[test]
fn a_level_that_cannot_be_reached_is_none() {
    let short = Position::sample(Side::Sell, 1000, 100_000.0, 1);
    let never = parsed(
        RuleKind::MarginGuard,
        &json!({"action": "close_position", "metric": "margin_used", "margin_threshold": 1}),
    );
    assert!(
        !never.level((&short).into()).is_reachable(),
        "a short at 1x loses it nowhere"
    );
    let long = Position::sample(Side::Buy, 1000, 100_000.0, 1);
    let double = parsed(
        RuleKind::TpSl,
        &json!({"action": "close_tp", "direction": "profit", "pnl_basis": "margin",
                "trigger_pnl_percentage": 100}),
    );
    assert!(
        !double.level((&long).into()).is_reachable(),
        "a long at 1x cannot double"
    );
    assert_eq!(long.mode, MarginMode::Isolated);
    let by_job = parsed(RuleKind::AutoEntry, &json!({"side": "b", "quantity": 1}));
    assert!(!by_job.level(Subject::Market).is_reachable());
}
