//! Rules over markets that are made up.

use clap::Parser;
use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::{Args, replay, rule};
use crate::cli::{Cli, Command};
use crate::simulator::Candle;

const MINUTE_MS: i64 = 60_000;

/// One candle a minute, each from one price straight to the next.
fn market(prices: &[f64]) -> Vec<Candle> {
    let candle = |(minute, pair): (i64, &[f64])| Candle {
        time: minute * MINUTE_MS,
        open: pair[0],
        high: pair[0].max(pair[1]),
        low: pair[0].min(pair[1]),
        close: pair[1],
    };
    (0..).zip(prices.windows(2)).map(candle).collect()
}

fn args(kind: &str, config: &Value, more: &[&str]) -> Args {
    let config = config.to_string();
    let typed = ["vigia", "backtest", "--prices", "market.csv"];
    let typed = [typed.as_slice(), &["--type", kind, "--automation", &config]].concat();
    let parsed = Cli::try_parse_from([typed.as_slice(), more].concat()).unwrap();
    match parsed.command {
        Command::Backtest(args) => args,
        other => panic!("{other:?}"),
    }
}

fn report(kind: &str, config: Value, prices: &[f64], more: &[&str]) -> Value {
    let args = args(kind, &config, more);
    let rule = rule(&args).unwrap();
    let report = replay(&args, &rule, &market(prices), &ProgressBar::hidden());
    serde_json::to_value(report.unwrap()).unwrap()
}

fn guard(action: Value) -> Value {
    let mut config = json!({"margin_threshold": 0.7, "metric": "margin_used"});
    let fields = action.as_object().unwrap().clone();
    config.as_object_mut().unwrap().extend(fields);
    config
}

const LONG: [&str; 2] = ["--position", "long:1000@100000x10"];
/// Down by a sixth, and half of it back.
const FALL: [f64; 4] = [100_000.0, 95_000.0, 84_000.0, 92_000.0];

fn actions(report: &Value) -> Vec<&str> {
    let executions = report["executions"].as_array().unwrap();
    executions
        .iter()
        .map(|execution| execution["action"]["kind"].as_str().unwrap_or("-"))
        .collect()
}

#[test]
fn a_guard_that_adds_margin_saves_a_position_from_its_liquidation() {
    let config = guard(json!({"action": "add_margin", "add_margin_amount": 150_000}));
    let report = report("margin_guard", config, &FALL, &LONG);
    let line = &report["positions"][0];
    let lost = &line["without"];
    assert_eq!(lost["ended"]["by"], "liquidation");
    assert_eq!(lost["ended"]["price"], json!(90_909));
    assert_eq!(lost["result"], json!(-101_100));
    // Seven tenths of the margin are lost at 100,000 / 1.07.
    let fired = &report["executions"][0];
    assert_eq!(fired["price"], json!(93_457.5));
    assert_eq!(
        fired["action"],
        json!({"kind": "add_margin", "amount": 150_000})
    );
    assert_eq!(line["with"]["ended"], Value::Null);
    assert_eq!(line["with"]["marginAdded"], json!(150_000));
    // As if closed at 92,000: 86,957 lost, a fee of 1,086.
    assert_eq!(line["with"]["result"], json!(-86_957 - 1086));
    assert_eq!(line["saved"], json!(101_100 - 88_043));
    assert_eq!(report["summary"]["saved"], line["saved"]);
    assert_eq!(report["summary"]["liquidationsWithout"], json!(1));
    assert_eq!(report["summary"]["liquidationsWith"], json!(0));
    assert_eq!(report["summary"]["balance"], json!(850_000));
}

#[test]
fn a_guard_that_closes_is_shown_with_what_it_cost_where_the_price_came_back() {
    let config = guard(json!({"action": "close_position"}));
    let fallen = report("margin_guard", config.clone(), &FALL, &LONG);
    let with = &fallen["positions"][0]["with"];
    assert_eq!(with["ended"]["by"], "rule");
    assert_eq!(with["ended"]["price"], json!(93_457.5));
    assert_eq!(with["result"], json!(-70_005 - 1070));
    let back = report(
        "margin_guard",
        config,
        &[100_000.0, 93_000.0, 101_000.0],
        &LONG,
    );
    assert_eq!(back["positions"][0]["without"]["ended"], Value::Null);
    assert!(back["summary"]["saved"].as_i64().unwrap() < 0);
}

#[test]
fn a_guard_acts_again_after_its_cooldown_and_not_more_often_than_it_may() {
    let add = json!({"action": "add_margin", "add_margin_amount": 1000, "cooldown_seconds": 60});
    let falling: Vec<_> = (0..8)
        .map(|minute| 93_300.0 - 100.0 * f64::from(minute))
        .collect();
    let start = ["--position", "long:1000@100000x10"];
    let report_of = |config| report("margin_guard", config, &falling, &start);
    let report = report_of(guard(add.clone()));
    let executions = report["executions"].as_array().unwrap().iter();
    let minutes = executions.map(|one| one["time"].as_str().unwrap()[14..19].to_owned());
    let minutes: Vec<_> = minutes.collect();
    assert_eq!(minutes[..3], ["00:00", "01:00", "02:00"]);
    assert_eq!(report["summary"]["executions"]["done"], json!(8));
    let mut limited = guard(add);
    limited["max_executions_per_day"] = json!(3);
    assert_eq!(
        report_of(limited)["summary"]["executions"]["done"],
        json!(3)
    );
}

#[test]
fn what_cannot_be_added_gives_way_to_the_fallback() {
    let config = guard(json!({"action": "add_margin", "add_margin_amount": 1000,
                              "fallback": "close_position"}));
    let broke = [LONG.as_slice(), &["--balance", "0"]].concat();
    let report = report("margin_guard", config, &FALL, &broke);
    assert_eq!(actions(&report), ["-", "close_position"]);
    assert_eq!(report["executions"][0]["reason"], "no_balance");
    assert_eq!(report["positions"][0]["with"]["ended"]["by"], "rule");
}

#[test]
fn a_reduced_trade_is_guarded_on_as_its_successor() {
    let config = guard(json!({"action": "reduce_position", "reduce_percentage": 50,
                              "cooldown_seconds": 0}));
    let prices = [100_000.0, 93_000.0, 88_000.0, 80_000.0];
    let report = report("margin_guard", config, &prices, &LONG);
    assert_eq!(
        actions(&report)[..2],
        ["close_to_reopen", "close_to_reopen"]
    );
    assert_eq!(report["executions"][0]["action"]["keep"], json!(500));
    assert_eq!(report["executions"][1]["action"]["keep"], json!(250));
    assert!(report["summary"]["saved"].is_i64());
}

#[test]
fn a_cross_position_is_fed_from_the_balance_and_reduced_by_orders() {
    let cross = [
        "--position",
        "long:1000@100000x10:cross",
        "--cross-margin",
        "120000",
    ];
    let add = guard(json!({"action": "add_margin", "add_margin_amount": 300_000}));
    let fed = report("margin_guard", add, &FALL, &cross);
    assert_eq!(actions(&fed), ["cross_deposit"]);
    assert_eq!(fed["positions"][0]["without"]["ended"]["by"], "liquidation");
    assert_eq!(fed["positions"][0]["with"]["ended"], Value::Null);
    let reduce = guard(json!({"action": "reduce_position", "reduce_percentage": 25}));
    let reduced = report("margin_guard", reduce, &FALL, &cross);
    assert_eq!(reduced["executions"][0]["action"]["quantity"], json!(250));
}

#[test]
fn a_gap_past_liquidation_leaves_nobody_time_to_act() {
    let config = guard(json!({"action": "add_margin", "add_margin_amount": 1000}));
    let mut candles = market(&[100_000.0, 99_000.0]);
    candles.extend(market(&[99_000.0, 99_000.0, 80_000.0]).into_iter().skip(1));
    candles[1].open = 80_000.0;
    candles[1].high = 80_000.0;
    let args = args("margin_guard", &config, &LONG);
    let rule = rule(&args).unwrap();
    let report = replay(&args, &rule, &candles, &ProgressBar::hidden()).unwrap();
    let report = serde_json::to_value(report).unwrap();
    assert_eq!(report["executions"], json!([]));
    assert_eq!(report["summary"]["liquidationsWith"], json!(1));
    assert_eq!(report["positions"][0]["saved"], json!(0));
}

#[test]
fn a_stop_that_is_moved_up_in_profit_ends_the_position_there() {
    let config = json!({"action": "update_sl", "new_stoploss": 102_000,
                        "trigger_pnl_percentage": 30, "pnl_basis": "margin",
                        "direction": "profit"});
    let prices = [100_000.0, 104_000.0, 99_000.0, 106_000.0];
    let report = report("tp_sl", config, &prices, &LONG);
    assert_eq!(actions(&report), ["update_sl"]);
    assert_eq!(report["executions"][0]["price"], json!(103_093));
    let line = &report["positions"][0];
    assert_eq!(line["with"]["ended"]["by"], "stoploss");
    assert_eq!(line["with"]["ended"]["price"], json!(102_000));
    assert_eq!(line["without"]["ended"], Value::Null);
}

#[test]
fn tp_sl_fires_once_a_crossing_and_again_after_the_condition_was_false() {
    let config = json!({"action": "update_tp", "new_takeprofit": 120_000, "cooldown_seconds": 0,
                        "trigger_pnl_percentage": 30, "pnl_basis": "margin"});
    let prices = [100_000.0, 104_000.0, 105_000.0, 101_000.0, 104_000.0];
    let report = report("tp_sl", config, &prices, &LONG);
    let executions = report["executions"].as_array().unwrap();
    assert_eq!(executions.len(), 2, "{executions:?}");
    assert_eq!(executions[0]["state"], "done");
    assert_eq!(executions[1]["reason"], "already_set");
}

#[test]
fn an_entry_is_opened_at_its_trigger_and_no_more_often_than_it_may() {
    let config = json!({"side": "buy", "quantity": 1000, "leverage": 10, "trigger_price": 95_000,
                        "takeprofit": 97_000, "max_entries": 2});
    let prices = [
        100_000.0, 94_000.0, 98_000.0, 94_000.0, 98_000.0, 94_000.0, 96_000.0,
    ];
    let report = report("auto_entry", config, &prices, &[]);
    assert_eq!(actions(&report), ["open", "open"]);
    let lines = report["positions"].as_array().unwrap();
    assert_eq!(lines.len(), 2);
    for line in lines {
        assert_eq!(line["without"], Value::Null);
        assert_eq!(line["with"]["ended"]["by"], "takeprofit");
        // 21,704 gained from 95,000 to 97,000, fees of 1,052 and 1,030.
        assert_eq!(line["saved"], json!(21_704 - 1052 - 1030));
    }
}

#[test]
fn an_entry_adds_to_the_cross_account() {
    let config = json!({"side": "sell", "quantity": 1000, "leverage": 10, "margin_mode": "cross",
                        "trigger_price": 105_000});
    let prices = [100_000.0, 106_000.0, 100_000.0];
    let funded = ["--cross-margin", "500000"];
    let entered = report("auto_entry", config.clone(), &prices, &funded);
    assert_eq!(actions(&entered), ["cross_open"]);
    assert!(entered["summary"]["saved"].as_i64().unwrap() > 45_000);
    let broke = report("auto_entry", config, &prices, &[]);
    assert_eq!(broke["summary"]["executions"]["failed"], json!(1));
}

#[test]
fn funding_brings_liquidation_nearer() {
    let config = guard(json!({"action": "close_position"}));
    let day: Vec<_> = vec![100_000.0; 24 * 60 + 2];
    let rate = [LONG.as_slice(), &["--funding-rate", "0.0001"]].concat();
    let report = report("margin_guard", config, &day, &rate);
    assert_eq!(report["positions"][0]["without"]["funding"], json!(300));
}

#[test]
fn what_cannot_be_replayed_is_told() {
    let config = guard(json!({"action": "close_position"}));
    let refused = |kind: &str, config: &Value, more: &[&str]| {
        let args = args(kind, config, more);
        let tried = rule(&args).and_then(|rule| {
            let bar = ProgressBar::hidden();
            replay(&args, &rule, &market(&FALL), &bar)
        });
        format!("{:#}", tried.err().unwrap())
    };
    let said = refused("margin_guard", &config, &[]);
    assert!(said.contains("--position"), "{said}");
    let said = refused("margin_guard", &json!({"action": "close"}), &LONG);
    assert!(
        said.contains("close_position") && said.contains("margin_threshold"),
        "{said}"
    );
    let said = refused(
        "margin_guard",
        &config,
        &["--position", "long:1000@120000x10"],
    );
    assert!(said.contains("past its liquidation"), "{said}");
    let cross = ["--position", "long:1000@100000x10:cross"];
    let said = refused("margin_guard", &config, &cross);
    assert!(said.contains("--cross-margin"), "{said}");
    let entry = json!({"side": "buy", "quantity": 1});
    let said = refused("auto_entry", &entry, &[]);
    assert!(said.contains("trigger_price"), "{said}");
}
