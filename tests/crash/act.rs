//! What an execution does, for the table: its rule, what it needs at the exchange, its requests there,
//! and what it leaves in the ledger.

use serde_json::{Value, json};
use vigia::domain::position::Side;
use vigia::domain::rules::RuleKind;
use vigia::exchange::NewCrossOrder;
use vigia::simulator::LedgerKind;

use crate::stage::{ADDED, Owner, QUANTITY, Stage, THRESHOLD};

/// Every rule of the table is true here, and false at the price at which every test begins.
pub const DANGER: f64 = 93_000.0;
/// Where entries buy.
const TRIGGER: f64 = 95_000.0;
/// Cross margin of a long of 10x.
const CROSS_MARGIN: i64 = 1_000_000;
const CROSS_LEVERAGE: i64 = 20;
/// Nothing acts twice for a reason of its own.
const COOLDOWN_SECONDS: u64 = 3600;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Act {
    Close,
    AddMargin,
    Reduce,
    Fallback,
    UpdateTp,
    UpdateSl,
    CloseTp,
    CloseSl,
    Enter,
    CrossEnter,
    CrossClose,
    CrossReduce,
    CrossDeposit,
}

impl Act {
    pub const ALL: [Self; 13] = [
        Self::Close,
        Self::AddMargin,
        Self::Reduce,
        Self::Fallback,
        Self::UpdateTp,
        Self::UpdateSl,
        Self::CloseTp,
        Self::CloseSl,
        Self::Enter,
        Self::CrossEnter,
        Self::CrossClose,
        Self::CrossReduce,
        Self::CrossDeposit,
    ];

    pub fn kind(self) -> RuleKind {
        match self {
            Self::UpdateTp | Self::UpdateSl | Self::CloseTp | Self::CloseSl => RuleKind::TpSl,
            Self::Enter | Self::CrossEnter => RuleKind::AutoEntry,
            _ => RuleKind::MarginGuard,
        }
    }

    pub fn config(self) -> Value {
        let guard = |action: &str, more: Value| {
            let mut config = json!({
                "action": action, "metric": "margin_used", "margin_threshold": THRESHOLD,
                "cooldown_seconds": COOLDOWN_SECONDS,
            });
            merge(&mut config, more);
            config
        };
        let stops = |action: &str, more: Value| {
            let mut config = json!({
                "action": action, "trigger_pnl_percentage": 30, "pnl_basis": "margin",
                "cooldown_seconds": COOLDOWN_SECONDS,
            });
            merge(&mut config, more);
            config
        };
        match self {
            Self::Close | Self::CrossClose => guard("close_position", json!({})),
            Self::AddMargin | Self::CrossDeposit => {
                guard("add_margin", json!({ "add_margin_amount": ADDED }))
            }
            Self::Fallback => guard(
                "add_margin",
                json!({ "add_margin_amount": ADDED, "fallback": "close_position" }),
            ),
            Self::Reduce | Self::CrossReduce => {
                guard("reduce_position", json!({ "reduce_percentage": 50 }))
            }
            Self::UpdateTp => stops("update_tp", json!({ "new_takeprofit": 120_000 })),
            Self::UpdateSl => stops("update_sl", json!({ "new_stoploss": 92_000 })),
            Self::CloseTp => stops("close_tp", json!({})),
            Self::CloseSl => stops("close_sl", json!({})),
            Self::Enter => json!({
                "side": "b", "quantity": 1000, "trigger_price": TRIGGER,
                "stoploss": 90_000, "takeprofit": 105_000,
            }),
            Self::CrossEnter => json!({
                "side": "b", "quantity": 2000, "trigger_price": TRIGGER,
                "margin_mode": "cross", "leverage": CROSS_LEVERAGE,
            }),
        }
    }

    fn is_cross(self) -> bool {
        matches!(
            self,
            Self::CrossEnter | Self::CrossClose | Self::CrossReduce | Self::CrossDeposit
        )
    }

    pub fn is_entry(self) -> bool {
        self.kind() == RuleKind::AutoEntry
    }

    /// Whether a request that was lost may be repeated at once.
    pub fn is_idempotent(self) -> bool {
        !matches!(
            self,
            Self::AddMargin
                | Self::Enter
                | Self::CrossEnter
                | Self::CrossReduce
                | Self::CrossDeposit
        )
    }

    /// An account as the act needs it at the exchange.
    pub async fn owner(self, stage: &Stage, name: &str) -> Owner {
        if !self.is_cross() {
            let owner = stage.owner(name);
            if !self.is_entry() {
                stage.open_position(&owner, 10).await;
            }
            if self == Self::Fallback {
                let key = format!("key-{name}");
                let left = stage.control.account(&key).unwrap().balance;
                assert!(stage.control.pay_out(&key, left));
            }
            return owner;
        }
        let owner = stage.owner_of(name, |config| config.with_cross_margin(CROSS_MARGIN));
        let (who, now) = (&owner.credentials, stage.rest.clock().now());
        let leverage = stage.rest.cross_leverage(who, CROSS_LEVERAGE, now);
        leverage.await.unwrap();
        if !self.is_entry() {
            let order = NewCrossOrder {
                side: Side::Buy,
                quantity: QUANTITY,
                client_id: format!("by-hand-{name}"),
            };
            let now = stage.rest.clock().now();
            stage.rest.cross_order(who, &order, now).await.unwrap();
        }
        owner
    }

    /// Method and path of its request; of the first, where it has two.
    pub fn request(self) -> (&'static str, &'static str) {
        match self {
            Self::Close | Self::Fallback | Self::CloseTp | Self::CloseSl | Self::Reduce => {
                ("POST", "/v3/futures/isolated/trade/close")
            }
            Self::AddMargin => ("POST", "/v3/futures/isolated/trade/add-margin"),
            Self::UpdateTp => ("PUT", "/v3/futures/isolated/trade/takeprofit"),
            Self::UpdateSl => ("PUT", "/v3/futures/isolated/trade/stoploss"),
            Self::Enter => ("POST", OPEN),
            Self::CrossEnter | Self::CrossReduce => ("POST", "/v3/futures/cross/order"),
            Self::CrossClose => ("POST", "/v3/futures/cross/position/close"),
            Self::CrossDeposit => ("POST", "/v3/futures/cross/deposit"),
        }
    }

    /// Its one effect at the exchange, which a reduction has in two parts.
    pub fn effects(self) -> &'static [LedgerKind] {
        match self {
            Self::Close | Self::Fallback | Self::CloseTp | Self::CloseSl => &[LedgerKind::Closed],
            Self::Reduce => &[LedgerKind::Closed, LedgerKind::Filled],
            Self::AddMargin => &[LedgerKind::MarginAdded],
            Self::UpdateTp => &[LedgerKind::TakeprofitSet],
            Self::UpdateSl => &[LedgerKind::StoplossSet],
            Self::Enter => &[LedgerKind::Filled],
            Self::CrossEnter | Self::CrossReduce => &[LedgerKind::CrossFilled],
            Self::CrossClose => &[LedgerKind::CrossClosed],
            Self::CrossDeposit => &[LedgerKind::CrossDeposited],
        }
    }
}

/// The path of new isolated trades, with which those of the other requests about one begin.
pub const OPEN: &str = "/v3/futures/isolated/trade";

fn merge(config: &mut Value, more: Value) {
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
}
