//! This project's trade maths against that of lnm-sdk, on at least 100,000 random trades for each
//! function. Ours is exact; theirs is binary floating point, so they may differ by what one rounding
//! is worth: a satoshi, a tick of 0.5 USD, a dollar of quantity. Each test prints what it found:
//!
//! ```text
//! cargo test --locked --manifest-path interop/Cargo.toml --test maths -- --nocapture
//! ```

use std::cell::Cell;
use std::fmt::Debug;
use std::num::NonZeroU64;

use lnm_sdk::rest::v3::models::{
    CrossExposure, CrossLeverage, CrossQuantity, Leverage, Margin, OrderQuantity, PercentageCapped,
    Price as TheirPrice, TradeSide, TradeSize, trade_util,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use vigia::domain::ids::PositionId;
use vigia::domain::maths::cash_in::{CashInRefused, cashed_in};
use vigia::domain::maths::cross::{self, CrossAccount, Exposure};
use vigia::domain::maths::fees::{FeeTier, Reserve, trading_fee};
use vigia::domain::maths::{self, isolated};
use vigia::domain::position::{MarginMode, Position, Side};
use vigia::domain::units::{Price, Sats, Usd};

/// Random trades for each function.
const TRADES: u32 = 100_000;
/// Of the random numbers; any other does as well.
const SEED: [u8; 32] = *b"the same trades at every run ...";
/// Lowest and highest price of the trades, as powers of ten of USD.
const PRICES: std::ops::Range<f64> = 2.5..7.0;
/// The highest quantity of an order, in USD.
const MOST_QUANTITY: i64 = 500_000;
const TICK: f64 = 0.5;

type Checked = Result<(), TestCaseError>;

/// The comparison of one function.
struct Comparison {
    name: &'static str,
    unit: &'static str,
    /// The largest difference allowed, in units.
    tolerance: f64,
    largest: Cell<f64>,
    compared: Cell<u64>,
}

impl Comparison {
    /// Over [`TRADES`] values of a strategy, the same ones at every run.
    fn run<S: Strategy<Value: Debug>>(
        name: &'static str,
        unit: &'static str,
        tolerance: f64,
        trades: S,
        compare: impl Fn(&Self, S::Value) -> Checked,
    ) {
        let comparison = Self {
            name,
            unit,
            tolerance,
            largest: Cell::new(0.0),
            compared: Cell::new(0),
        };
        let config = Config {
            cases: TRADES,
            max_global_rejects: TRADES * 20,
            failure_persistence: None,
            ..Config::default()
        };
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &SEED);
        let mut runner = TestRunner::new_with_rng(config, rng);
        let outcome = runner.run(&trades, |trade| compare(&comparison, trade));
        let (compared, largest) = (comparison.compared.get(), comparison.largest.get());
        println!("{name}: {TRADES} trades, {compared} values, largest difference {largest} {unit}");
        if let Err(error) = outcome {
            panic!("{name}: {error}");
        }
        assert!(compared >= u64::from(TRADES), "{name}: {compared} compared");
    }

    /// Counts a value, and fails where it is further from theirs than allowed.
    fn note(&self, ours: f64, theirs: f64, what: &str) -> Checked {
        let difference = (ours - theirs).abs();
        self.compared.set(self.compared.get() + 1);
        self.largest.set(self.largest.get().max(difference));
        let close = difference <= self.tolerance;
        prop_assert!(
            close,
            "{} {what}: ours {ours}, theirs {theirs} {}",
            self.name,
            self.unit
        );
        Ok(())
    }

    /// In ticks.
    fn note_price(&self, ours: Price, theirs: TheirPrice, what: &str) -> Checked {
        self.note(ours.usd() / TICK, theirs.as_f64() / TICK, what)
    }
}

#[derive(Clone, Copy, Debug)]
struct Trade {
    side: Side,
    quantity: i64,
    price: f64,
    /// A price that the market has moved to.
    market: f64,
    leverage: f64,
}

fn on_tick(usd: f64) -> f64 {
    ((usd / TICK).round() * TICK).clamp(1.0, 100_000_000.0)
}

fn trade() -> impl Strategy<Value = Trade> {
    let leverage = prop_oneof![
        (1i32..=100).prop_map(f64::from),
        (4i32..=400).prop_map(|quarters| f64::from(quarters) / 4.0),
    ];
    let quantity = (0.0..(MOST_QUANTITY as f64).ln()).prop_map(|power| power.exp() as i64);
    let side = prop_oneof![Just(Side::Buy), Just(Side::Sell)];
    (side, quantity, PRICES, -0.7f64..0.7, leverage).prop_map(
        |(side, quantity, power, moved, leverage)| {
            let price = on_tick(10f64.powf(power));
            Trade {
                side,
                quantity: quantity.clamp(1, MOST_QUANTITY),
                price,
                market: on_tick(price * moved.exp()),
                leverage,
            }
        },
    )
}

impl Trade {
    fn usd(&self) -> Usd {
        Usd(self.quantity)
    }

    fn at(&self) -> Price {
        price(self.price)
    }

    fn margin(&self) -> Sats {
        isolated::margin(self.usd(), self.at(), self.leverage)
    }

    fn position(&self) -> Position {
        let margin = self.margin();
        let liquidation = maths::liquidation(self.side, self.usd(), self.at(), margin);
        let reserve = Reserve::of(self.usd(), self.at(), liquidation);
        Position {
            id: PositionId::MARKET,
            mode: MarginMode::Isolated,
            side: self.side,
            quantity: self.usd(),
            margin,
            maintenance_margin: reserve.closing,
            price: self.at(),
            entry_price: self.at(),
            leverage: self.leverage,
            liquidation,
            stoploss: None,
            takeprofit: None,
            trailing_distance: None,
            opening_fee: reserve.opening,
            sum_funding_fees: Sats::ZERO,
            sum_cash_in_margin: Sats::ZERO,
            client_id: None,
            created_at: Default::default(),
        }
    }
}

fn price(usd: f64) -> Price {
    Price::from_usd(usd).unwrap()
}

fn their_price(usd: f64) -> TheirPrice {
    TheirPrice::try_from(usd).unwrap()
}

fn their_side(side: Side) -> TradeSide {
    match side {
        Side::Buy => TradeSide::Buy,
        Side::Sell => TradeSide::Sell,
    }
}

fn their_quantity(quantity: i64) -> OrderQuantity {
    OrderQuantity::try_from(quantity).unwrap()
}

fn their_margin(margin: Sats) -> Option<Margin> {
    Margin::try_from(margin.0).ok()
}

fn their_leverage(leverage: f64) -> Leverage {
    Leverage::try_from(leverage).unwrap()
}

/// Their liquidation prices by leverage floor a quotient of binary fractions, which may lose the
/// last satoshi of the margin; ours for the margin or for one satoshi less, whichever is nearer.
fn liquidation_near(
    side: Side,
    quantity: Usd,
    at: Price,
    margin: Sats,
    theirs: TheirPrice,
) -> Price {
    let ours = |less| maths::liquidation(side, quantity, at, margin - Sats(less));
    let distance = |ours: Price| (ours.usd() - theirs.as_f64()).abs();
    let (exact, less) = (ours(0), ours(1));
    if distance(exact) <= distance(less) {
        exact
    } else {
        less
    }
}

#[test]
fn profit_and_loss() {
    Comparison::run("P&L", "sats", 1.0, trade(), |compared, trade| {
        let ours = maths::profit(trade.side, trade.usd(), trade.at(), price(trade.market));
        let theirs = trade_util::estimate_pl(
            their_side(trade.side),
            their_quantity(trade.quantity),
            their_price(trade.price),
            their_price(trade.market),
        );
        compared.note(ours.0 as f64, theirs, "")
    });
}

#[test]
fn margin_of_a_quantity() {
    Comparison::run("margin", "sats", 1.0, trade(), |compared, trade| {
        let quantity = their_quantity(trade.quantity);
        let at = their_price(trade.price);
        let theirs = Margin::calculate(quantity, at, their_leverage(trade.leverage));
        compared.note(trade.margin().0 as f64, theirs.as_f64(), "")
    });
}

#[test]
fn quantity_of_a_margin() {
    Comparison::run("quantity", "USD", 1.0, trade(), |compared, trade| {
        let margin = trade.margin() + Sats(7);
        let ours = isolated::quantity(margin, trade.at(), trade.leverage);
        let theirs = OrderQuantity::try_calculate(
            their_margin(margin).unwrap(),
            their_price(trade.price),
            their_leverage(trade.leverage),
        );
        prop_assume!((1..=MOST_QUANTITY).contains(&ours.0) && theirs.is_ok());
        compared.note(ours.0 as f64, theirs.unwrap().as_f64(), "")
    });
}

#[test]
fn effective_leverage() {
    Comparison::run("leverage", "times", 1e-9, trade(), |compared, trade| {
        let margin = their_margin(trade.margin());
        prop_assume!(margin.is_some());
        let quantity = their_quantity(trade.quantity);
        let theirs = Leverage::try_calculate(quantity, margin.unwrap(), their_price(trade.price));
        prop_assume!(theirs.is_ok());
        let ours = maths::leverage(trade.usd(), trade.at(), trade.margin());
        compared.note(ours, theirs.unwrap().as_f64(), "")
    });
}

#[test]
fn liquidation_of_a_margin() {
    let trades = (trade(), 0.01f64..3.0);
    Comparison::run(
        "liquidation by margin",
        "ticks",
        1.0,
        trades,
        |compared, (trade, share)| {
            let margin = Sats((trade.margin().0 as f64 * share) as i64 + 1);
            let ours = maths::liquidation(trade.side, trade.usd(), trade.at(), margin);
            let theirs = trade_util::est_liquidation_from_margin(
                their_side(trade.side),
                their_quantity(trade.quantity),
                their_price(trade.price),
                their_margin(margin).unwrap(),
            );
            compared.note_price(ours, theirs, "")
        },
    );
}

#[test]
fn liquidation_of_a_leverage() {
    Comparison::run(
        "liquidation by leverage",
        "ticks",
        1.0,
        trade(),
        |compared, trade| {
            let theirs = trade_util::est_liquidation_from_leverage(
                their_side(trade.side),
                their_quantity(trade.quantity),
                their_price(trade.price),
                their_leverage(trade.leverage),
            );
            let (side, quantity) = (trade.side, trade.usd());
            let ours = liquidation_near(side, quantity, trade.at(), trade.margin(), theirs);
            compared.note_price(ours, theirs, "")
        },
    );
}

#[test]
fn margin_for_a_liquidation_price() {
    let trades = (trade(), 0.001f64..1.0);
    Comparison::run(
        "margin for a liquidation",
        "sats",
        1.0,
        trades,
        |compared, (trade, moved)| {
            let target = match trade.side {
                Side::Buy => on_tick(trade.price * (1.0 - moved * 0.9)),
                Side::Sell => on_tick(trade.price * (1.0 + moved * 9.0)),
            };
            prop_assume!(target != trade.price);
            let (quantity, at) = (trade.usd(), trade.at());
            let ours = isolated::margin_for_liquidation(trade.side, quantity, at, price(target));
            let theirs = Margin::est_from_liquidation_price(
                their_side(trade.side),
                their_quantity(trade.quantity),
                their_price(trade.price),
                their_price(target),
            );
            compared.note(ours.0 as f64, theirs.unwrap().as_f64(), "")
        },
    );
}

#[test]
fn amount_for_a_liquidation_price_seen_from_a_moved_market() {
    let trades = (trade(), 0.001f64..1.0);
    Comparison::run(
        "amount for a liquidation",
        "sats",
        1.0,
        trades,
        |compared, (trade, moved)| {
            let position = trade.position();
            let (at, target) = match trade.side {
                Side::Buy => (trade.market, on_tick(trade.market * (1.0 - moved * 0.9))),
                Side::Sell => (trade.market, on_tick(trade.market * (1.0 + moved * 9.0))),
            };
            let margin = their_margin(position.margin);
            prop_assume!(at != target && margin.is_some());
            prop_assume!(position.liquidation != price(target));
            let (side, quantity) = (trade.side, trade.usd());
            let needed =
                isolated::margin_for_liquidation(side, quantity, position.price, price(target));
            let theirs = trade_util::evaluate_collateral_delta_for_liquidation(
                their_side(trade.side),
                their_quantity(trade.quantity),
                margin.unwrap(),
                their_price(trade.price),
                their_price(position.liquidation.usd()),
                their_price(target),
                their_price(at),
            );
            let ours = needed - position.margin;
            compared.note(ours.0 as f64, theirs.unwrap() as f64, "")
        },
    );
}

#[test]
fn price_of_a_profit() {
    let trades = (trade(), -0.8f64..0.8);
    Comparison::run(
        "price of a profit",
        "ticks",
        1.0,
        trades,
        |compared, (trade, share)| {
            let notional = maths::notional(trade.usd(), trade.at()).0 as f64;
            let gain = (notional * share) as i64;
            let ours = isolated::price_of_profit(trade.side, trade.usd(), trade.at(), Sats(gain));
            let theirs = trade_util::estimate_price_from_pl(
                their_side(trade.side),
                their_quantity(trade.quantity),
                their_price(trade.price),
                gain as f64,
            );
            compared.note_price(ours, theirs, "")
        },
    );
}

#[test]
fn fees_of_every_tier() {
    let tiers = FeeTier::ALL.into_iter().zip([0.1, 0.08, 0.07, 0.06]);
    let tiers: Vec<_> = tiers.collect();
    let trades = (trade(), proptest::sample::select(tiers));
    Comparison::run("fee", "sats", 1.0, trades, |compared, (trade, tier)| {
        let ours = trading_fee(trade.usd(), trade.at(), tier.0);
        let theirs = trade_util::evaluate_order_fee(
            PercentageCapped::try_from(tier.1).unwrap(),
            their_quantity(trade.quantity),
            their_price(trade.price),
        );
        compared.note(ours.0 as f64, theirs as f64, "")
    });
}

/// Their closing reserve is taken at their liquidation price, which may be a tick off.
#[test]
fn an_order_and_its_reserves() {
    Comparison::run(
        "order and reserves",
        "sats, ticks",
        1.0,
        trade(),
        |compared, trade| {
            let theirs = trade_util::evaluate_open_trade_params(
                their_side(trade.side),
                TradeSize::from(their_quantity(trade.quantity)),
                their_leverage(trade.leverage),
                their_price(trade.price),
                None,
                None,
                PercentageCapped::try_from(0.1).unwrap(),
            );
            let (quantity, margin, liquidation, opening, closing) = theirs.unwrap();
            compared.note(trade.quantity as f64, quantity.as_f64(), "quantity")?;
            compared.note(trade.margin().0 as f64, margin.as_f64(), "margin")?;
            let (side, usd) = (trade.side, trade.usd());
            let quoted = liquidation_near(side, usd, trade.at(), trade.margin(), liquidation);
            compared.note_price(quoted, liquidation, "liquidation")?;
            let reserve = Reserve::of(trade.usd(), trade.at(), price(liquidation.as_f64()));
            compared.note(reserve.opening.0 as f64, opening as f64, "opening reserve")?;
            compared.note(reserve.closing.0 as f64, closing as f64, "closing reserve")
        },
    );
}

#[test]
fn adding_margin() {
    let trades = (trade(), 0.0f64..1.0);
    Comparison::run(
        "adding margin",
        "sats, ticks, times",
        1.0,
        trades,
        |compared, (trade, share)| {
            let position = trade.position();
            let room = maths::max_add_margin(&position).unwrap();
            prop_assume!(room.0 > 0 && position.margin.0 > 0);
            let amount = ((room.0 as f64 * share) as i64).clamp(1, room.0);
            let theirs = trade_util::evaluate_added_margin(
                their_side(trade.side),
                their_quantity(trade.quantity),
                their_price(trade.price),
                their_margin(position.margin).unwrap(),
                NonZeroU64::new(amount.unsigned_abs()).unwrap(),
            );
            let ours = maths::with_margin_added(&position, Sats(amount));
            let (margin, leverage, liquidation) = theirs.unwrap();
            compared.note(ours.margin.0 as f64, margin.as_f64(), "margin")?;
            compared.note(ours.leverage, leverage.as_f64(), "leverage")?;
            let (side, usd) = (trade.side, trade.usd());
            let near = liquidation_near(side, usd, trade.at(), ours.margin, liquidation);
            compared.note_price(near, liquidation, "liquidation")
        },
    );
}

/// The most that can be added is what they accept, and not one satoshi more.
#[test]
fn the_most_that_can_be_added() {
    Comparison::run(
        "most to add",
        "refusals",
        0.0,
        trade(),
        |compared, trade| {
            let position = trade.position();
            let room = maths::max_add_margin(&position).unwrap();
            prop_assume!(room.0 > 0 && position.margin.0 > 0);
            let accepts = |amount: i64| {
                let theirs = trade_util::evaluate_added_margin(
                    their_side(trade.side),
                    their_quantity(trade.quantity),
                    their_price(trade.price),
                    their_margin(position.margin).unwrap(),
                    NonZeroU64::new(amount.unsigned_abs()).unwrap(),
                );
                f64::from(u8::from(theirs.is_ok()))
            };
            compared.note(1.0, accepts(room.0), "the most")?;
            compared.note(0.0, accepts(room.0 + 1), "one more")
        },
    );
}

/// What a cash-in leaves. Their P&L is not rounded to whole satoshis, so the reference price may
/// differ by what one satoshi is worth; they refuse what would leave a leverage under 1, which the
/// exchange is not known to do.
#[test]
fn cashing_in() {
    let trades = (trade(), 0.0f64..1.5);
    Comparison::run(
        "cash-in",
        "sats, ticks, times",
        1.0,
        trades,
        |compared, (trade, share)| {
            let position = trade.position();
            prop_assume!(position.margin.0 > 1);
            let market = price(trade.market);
            let most = position.margin + maths::pl(&position, market).or_zero();
            let amount = ((most.0 as f64 * share) as i64).max(1);
            let ours = cashed_in(&position, market, Sats(amount));
            let theirs = trade_util::evaluate_cash_in(
                their_side(trade.side),
                their_quantity(trade.quantity),
                their_margin(position.margin).unwrap(),
                their_price(trade.price),
                None,
                their_price(trade.market),
                NonZeroU64::new(amount.unsigned_abs()).unwrap(),
            );
            let (ours, theirs) = match (ours, theirs) {
                (Ok(ours), Ok(theirs)) => (ours, theirs),
                (Ok(ours), Err(error)) => {
                    let one_less = Sats(ours.margin.0 - 1);
                    let times = maths::leverage(trade.usd(), ours.price, one_less);
                    let at_the_edge = one_less.0 < 1 || times > 100.0;
                    prop_assert!(at_the_edge || ours.leverage < 1.0, "{error}: {ours:?}");
                    return Err(TestCaseError::reject("refused by them at an edge"));
                }
                (Err(refused), Ok((at, margin, ..))) => {
                    let one_less = Sats(margin.as_i64() - 1);
                    let times = maths::leverage(trade.usd(), price(at.as_f64()), one_less);
                    let at_the_edge = match refused {
                        CashInRefused::NoMarginLeft => one_less.0 < 1,
                        CashInRefused::LeverageTooHigh => times > 100.0,
                    };
                    prop_assert!(at_the_edge, "{refused}: {margin:?} at {at:?}");
                    return Err(TestCaseError::reject("refused by us at an edge"));
                }
                (Err(_), Err(_)) => return Err(TestCaseError::reject("refused by both")),
            };
            let (their_price, margin, leverage, liquidation, _) = theirs;
            compared.note(ours.margin.0 as f64, margin.as_f64(), "margin")?;
            let (side, usd) = (trade.side, trade.usd());
            let reference = price(their_price.as_f64());
            let worth = maths::profit(side, usd, ours.price, reference).0;
            if worth.abs() > 1 {
                compared.note_price(ours.price, their_price, "price")?;
            }
            let exact = Sats(margin.as_i64());
            let times = maths::leverage(usd, reference, exact);
            compared.note(times, leverage.as_f64(), "leverage")?;
            let near = liquidation_near(side, usd, reference, exact, liquidation);
            compared.note_price(near, liquidation, "liquidation")
        },
    );
}

#[test]
fn a_cross_position() {
    let trades = (trade(), 1i64..=100, 1.0f64..30.0, 1i64..=20);
    Comparison::run(
        "cross position",
        "sats, ticks",
        1.0,
        trades,
        |compared, (trade, leverage, share, size)| {
            let exposure = Exposure {
                side: trade.side,
                quantity: Usd(trade.quantity * size),
                entry: trade.at(),
            };
            let running = exposure.running_margin(leverage);
            let maintenance = exposure.maintenance_margin();
            let margin = Sats((running.0 as f64 * share) as i64 + maintenance.0);
            let carried = exposure.is_carried_by(margin, leverage);
            let theirs = CrossExposure::running(
                margin.0.unsigned_abs(),
                CrossLeverage::try_from(leverage).unwrap(),
                their_side(trade.side),
                CrossQuantity::try_from(exposure.quantity.0).unwrap(),
                their_price(trade.price),
            );
            // Theirs are never under 1 satoshi.
            prop_assume!(running.0 >= 1 && maintenance.0 >= 1 && carried);
            let Ok(CrossExposure::Running(theirs)) = theirs else {
                let left = margin - maintenance - running;
                prop_assert!(left.0 <= 1, "{left} left: {theirs:?}");
                return Err(TestCaseError::reject("refused by them at the edge"));
            };
            let their_running = theirs.running_margin().as_f64();
            let their_maintenance = theirs.maintenance_margin();
            compared.note(running.0 as f64, their_running, "running margin")?;
            let (ours, floor) = (maintenance.0 as f64, their_maintenance.as_f64());
            compared.note(ours, floor, "maintenance margin")?;
            // On their maintenance margin, which may have lost its last satoshi.
            let lost = maintenance - Sats(their_maintenance.as_i64());
            let liquidation = exposure.liquidation(margin + lost);
            compared.note_price(liquidation, theirs.liquidation(), "liquidation")
        },
    );
}

#[test]
fn enlarging_a_cross_position() {
    let trades = (trade(), 1i64..=MOST_QUANTITY);
    Comparison::run(
        "enlarged entry",
        "ticks",
        1.0,
        trades,
        |compared, (trade, added)| {
            let account = CrossAccount {
                margin: Sats(i64::MAX / 2),
                exposure: Some(Exposure {
                    side: trade.side,
                    quantity: trade.usd(),
                    entry: trade.at(),
                }),
            };
            let market = price(trade.market);
            let after = account.filled(trade.side, Usd(added), market, FeeTier::One);
            let theirs = trade_util::aggregate_cross_entry_price(
                CrossQuantity::try_from(trade.quantity).unwrap(),
                their_price(trade.price),
                CrossQuantity::try_from(added).unwrap(),
                their_price(trade.market),
            );
            compared.note_price(after.exposure.unwrap().entry, theirs, "")
        },
    );
}

/// All there are: one for each leverage.
#[test]
fn the_largest_cross_position_of_every_leverage() {
    for leverage in 1..=100i64 {
        let theirs = CrossQuantity::max(CrossLeverage::try_from(leverage).unwrap());
        assert_eq!(
            cross::max_quantity(leverage).0,
            theirs.as_i64(),
            "{leverage}x"
        );
    }
    println!("largest cross position: all 100 leverages compared, equal");
}
