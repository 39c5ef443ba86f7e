//! Executions: the states of an act from intent to outcome, and whether an intent is still right.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::ids::{AutomationId, PositionId};
use super::maths;
use super::position::Position;
use super::rules::Rule;
use super::rules::margin_guard::GuardAction;
use super::units::{Price, Sats};

/// Where an execution stands. Nothing is sent before its row says `Sending`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Written down, not sent.
    Planned,
    /// May have been sent; its outcome is unknown until a reply or a proof.
    Sending,
    /// Proven applied, once.
    Done,
    /// Proven not applied, or refused.
    Failed,
    /// The exchange cannot tell; a person must look.
    Uncertain,
    /// Never sent, and never to be.
    Skipped,
}

impl State {
    /// All states.
    pub const ALL: [Self; 6] = [
        Self::Planned,
        Self::Sending,
        Self::Done,
        Self::Failed,
        Self::Uncertain,
        Self::Skipped,
    ];

    /// The name under which it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Sending => "sending",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Uncertain => "uncertain",
            Self::Skipped => "skipped",
        }
    }

    /// Whether it has ended.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Planned | Self::Sending)
    }

    /// Whether one state may follow another. `Sending` goes back to `Planned` only when the request
    /// is known not to have been applied; `Uncertain` is settled by a person.
    pub fn may_become(self, next: Self) -> bool {
        use State::{Done, Failed, Planned, Sending, Skipped, Uncertain};
        matches!(
            (self, next),
            (Planned, Sending | Skipped | Failed)
                | (Sending, Done | Failed | Uncertain | Planned)
                | (Uncertain, Done | Failed)
        )
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for State {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            format!("`{text}` is no state of an execution; known are {known}")
        })
    }
}

/// What an execution does at the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Action {
    /// Closes the trade.
    ClosePosition,
    /// Adds margin to the trade.
    AddMargin {
        /// How much, in satoshis.
        amount: Sats,
    },
}

impl Action {
    /// Its name in audit entries.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClosePosition => "close_position",
            Self::AddMargin { .. } => "add_margin",
        }
    }

    /// Whether sending it twice has the effect of once.
    pub fn is_idempotent(self) -> bool {
        matches!(self, Self::ClosePosition)
    }
}

/// What was known when an automation decided, kept with the execution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// Name of the metric.
    pub metric: String,
    /// Its value; `None` where it is infinite.
    pub metric_value: Option<f64>,
    /// The threshold it was held against.
    pub threshold: f64,
    /// The exchange's margin ratio; `None` where it is infinite.
    pub margin_ratio: Option<f64>,
    /// The price decided on, in USD.
    pub price: Price,
    /// Age of the price then, in milliseconds.
    pub data_age_ms: u64,
}

impl Decision {
    /// Puts down what a margin guard saw.
    pub fn of_guard(rule: &super::rules::MarginGuard, position: &Position, seen: Seen) -> Self {
        let finite = |value: f64| value.is_finite().then_some(value);
        Self {
            metric: rule.metric.as_str().to_owned(),
            metric_value: finite(rule.metric.value(position, seen.price)),
            threshold: rule.threshold,
            margin_ratio: finite(maths::margin_ratio(position, seen.price)),
            price: seen.price,
            data_age_ms: u64::try_from(seen.age.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// A price and the time since any source confirmed it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// The last price.
    pub price: Price,
    /// Since when it is unconfirmed.
    pub age: Duration,
}

/// The key under which a live trigger is one execution, however often it is seen.
pub fn live_trigger_key(
    automation: &AutomationId,
    position: PositionId,
    rule_version: i64,
    episode: i64,
) -> String {
    format!("live:{automation}:{position}:{rule_version}:{episode}")
}

/// Why an execution was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// The service only shows what it would do.
    DryRun,
    /// The position no longer runs.
    PositionGone,
    /// The rule is no longer true on the current book.
    ConditionGone,
    /// No source has confirmed the price of late.
    PriceStale,
    /// The automation was disabled or changed.
    AutomationDisabled,
    /// The account was disabled.
    AccountDisabled,
    /// Another process has taken over.
    NotOwner,
}

impl SkipReason {
    /// The name under which it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DryRun => "dry_run",
            Self::PositionGone => "position_gone",
            Self::ConditionGone => "condition_gone",
            Self::PriceStale => "price_stale",
            Self::AutomationDisabled => "automation_disabled",
            Self::AccountDisabled => "account_disabled",
            Self::NotOwner => "not_owner",
        }
    }
}

/// What the last look before sending says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LastLook {
    /// Send this.
    Send(Action),
    /// The row of a close is too old to close on: read first.
    ReadFirst,
    /// Do not send, for this reason.
    Skip(SkipReason),
    /// Nothing could be added: no balance, or the leverage is already 1.
    NothingToAdd {
        /// Whether the exchange's leverage limit is what stops it, not the balance.
        at_leverage_limit: bool,
    },
}

/// What an execution is held against just before it is sent.
#[derive(Clone, Debug)]
pub struct Sight<'a> {
    /// The position on the current book, if it still runs.
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

/// Whether an intent is still right, and what exactly to send: an old intent is not an order.
///
/// The amount of margin is capped by the balance and by what the exchange accepts (leverage of at
/// least 1); an unknown balance does not cap it.
pub fn last_look(rule: &Rule, sight: &Sight<'_>) -> LastLook {
    let Some(position) = sight.position else {
        return LastLook::Skip(SkipReason::PositionGone);
    };
    let Some(price) = sight.price else {
        return LastLook::Skip(SkipReason::PriceStale);
    };
    let Rule::MarginGuard(guard) = rule;
    if !guard.is_reached(position, price) {
        return LastLook::Skip(SkipReason::ConditionGone);
    }
    match guard.action {
        GuardAction::ClosePosition if sight.row_age > CLOSE_ROW_AGE => LastLook::ReadFirst,
        GuardAction::ClosePosition => LastLook::Send(Action::ClosePosition),
        GuardAction::AddMargin(wanted) => {
            let room = maths::max_add_margin(position);
            let balance = sight.balance.unwrap_or(wanted).or_zero();
            let amount = wanted.min(room.unwrap_or(wanted)).min(balance);
            if amount == Sats::ZERO {
                LastLook::NothingToAdd {
                    at_leverage_limit: room == Some(Sats::ZERO),
                }
            } else {
                LastLook::Send(Action::AddMargin { amount })
            }
        }
    }
}

/// The action a rule intends, before the last look caps it.
pub fn intended(rule: &Rule) -> Action {
    let Rule::MarginGuard(guard) = rule;
    match guard.action {
        GuardAction::ClosePosition => Action::ClosePosition,
        GuardAction::AddMargin(amount) => Action::AddMargin { amount },
    }
}

/// How urgent an execution is; the greatest goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Danger {
    class: u8,
    nearness: i64,
}

impl Danger {
    /// A margin guard's: the nearer to liquidation, the greater.
    pub fn of_guard(position: &Position, at: Price) -> Self {
        let parts_per_million = maths::liquidation_distance(position, at) * 1e6;
        Self {
            class: 3,
            nearness: -(parts_per_million as i64),
        }
    }

    /// Of a margin guard whose position is not known yet, as after a restart.
    pub fn unknown() -> Self {
        Self {
            class: 3,
            nearness: i64::MIN,
        }
    }
}

/// The margin and cash-in sums read before margin is added: what its proof is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Before {
    /// Margin, in satoshis.
    pub margin: Sats,
    /// All that was ever cashed in from the margin, in satoshis.
    pub sum_cash_in_margin: Sats,
    /// When the request was signed, in exchange time.
    pub signed_at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::position::Side;
    use super::super::rules::RuleKind;
    use super::*;

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
    fn a_state_leads_only_where_the_diagram_says() {
        let allowed: [Vec<&str>; 6] = State::ALL.map(|from| {
            State::ALL
                .into_iter()
                .filter(|to| from.may_become(*to))
                .map(State::as_str)
                .collect()
        });
        let expected: [Vec<&str>; 6] = [
            vec!["sending", "failed", "skipped"],
            vec!["planned", "done", "failed", "uncertain"],
            vec![],
            vec![],
            vec!["done", "failed"],
            vec![],
        ];
        assert_eq!(allowed, expected);
    }

    #[test]
    fn an_intent_whose_ground_is_gone_is_skipped() {
        let position = Position::sample(Side::Buy, 1000, 100_000.0, 10);
        let gone = Sight {
            position: None,
            ..sight(&position)
        };
        assert_eq!(
            last_look(&closing(), &gone),
            LastLook::Skip(SkipReason::PositionGone)
        );
        let stale = Sight {
            price: None,
            ..sight(&position)
        };
        assert_eq!(
            last_look(&closing(), &stale),
            LastLook::Skip(SkipReason::PriceStale)
        );
        let calm = Sight {
            price: Price::from_usd(99_000.0),
            ..sight(&position)
        };
        assert_eq!(
            last_look(&adding(1), &calm),
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
        assert_eq!(last_look(&closing(), &old), LastLook::ReadFirst);
        assert_eq!(
            last_look(&adding(5), &old),
            LastLook::Send(Action::AddMargin { amount: Sats(5) })
        );
        assert_eq!(
            last_look(&closing(), &sight(&position)),
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
            last_look(&adding(2_000_000), &sight(&position)),
            add(900_000)
        );
        let poor = Sight {
            balance: Some(Sats(700)),
            ..sight(&position)
        };
        assert_eq!(last_look(&adding(2_000_000), &poor), add(700));
        let unknown = Sight {
            balance: None,
            ..sight(&position)
        };
        assert_eq!(last_look(&adding(5_000), &unknown), add(5_000));
        let broke = Sight {
            balance: Some(Sats(0)),
            ..sight(&position)
        };
        assert_eq!(
            last_look(&adding(5), &broke),
            LastLook::NothingToAdd {
                at_leverage_limit: false
            }
        );
    }

    #[test]
    fn the_nearer_to_liquidation_the_greater_the_danger() {
        let near = Position::sample(Side::Buy, 1000, 100_000.0, 20);
        let far = Position::sample(Side::Buy, 1000, 100_000.0, 5);
        let at = Price::from_usd(97_000.0).unwrap();
        assert!(Danger::of_guard(&near, at) > Danger::of_guard(&far, at));
    }
}
