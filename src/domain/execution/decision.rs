//! What an automation saw and wanted when it decided.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::levels::Level;
use crate::domain::maths;
use crate::domain::position::Position;
use crate::domain::rules::margin_guard::{Fallback, GuardAction};
use crate::domain::rules::tp_sl::TpSlAction;
use crate::domain::rules::{AutoEntry, Rule, RuleKind, Subject};
use crate::domain::units::{Price, Sats};

/// What a rule wants done, before the last look makes one command of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Intent<'a> {
    /// Close the position.
    Close,
    /// Take so many percent off its quantity.
    Reduce(f64),
    /// Add up to so much margin.
    AddMargin(Sats),
    /// Set the take-profit.
    UpdateTp(Price),
    /// Set the stop-loss.
    UpdateSl {
        /// The new price.
        to: Price,
        /// Also in place of a trailing stop.
        replace_trailing: bool,
    },
    /// Open a position.
    Enter(&'a AutoEntry),
}

impl<'a> Intent<'a> {
    /// What a rule wants; `fallback` where its first wish could not be carried out.
    pub fn of(rule: &'a Rule, fallback: bool) -> Self {
        match rule {
            Rule::MarginGuard(guard) => match guard.action {
                GuardAction::ClosePosition => Self::Close,
                GuardAction::ReducePosition(percent) => Self::Reduce(percent),
                GuardAction::AddMargin {
                    fallback: Some(instead),
                    ..
                } if fallback => match instead {
                    Fallback::ClosePosition => Self::Close,
                    Fallback::ReducePosition(percent) => Self::Reduce(percent),
                },
                GuardAction::AddMargin { amount, .. } => Self::AddMargin(amount),
            },
            Rule::TpSl(rule) => match rule.action {
                TpSlAction::UpdateTp(to) => Self::UpdateTp(to),
                TpSlAction::UpdateSl {
                    to,
                    replace_trailing,
                } => Self::UpdateSl {
                    to,
                    replace_trailing,
                },
                TpSlAction::CloseTp | TpSlAction::CloseSl => Self::Close,
            },
            Rule::AutoEntry(entry) => Self::Enter(entry),
        }
    }

    /// Whether the position would be closed as a whole.
    pub fn closes(self) -> bool {
        matches!(self, Self::Close)
    }
}

/// What was known when an automation decided, kept with the execution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// The kind of rule.
    #[serde(default = "margin_guard")]
    pub rule: RuleKind,
    /// What it wanted, as audit entries name it, for example `close_sl`.
    #[serde(default)]
    pub wanted: String,
    /// Whether it is done in place of what could not be done.
    #[serde(default)]
    pub fallback: bool,
    /// Name of the metric.
    pub metric: String,
    /// Its value; `None` where it is infinite.
    pub metric_value: Option<f64>,
    /// The threshold it was held against.
    pub threshold: f64,
    /// The exchange's margin ratio; `None` where it is infinite, or for an entry.
    pub margin_ratio: Option<f64>,
    /// P&L then, in satoshis; `None` for an entry.
    #[serde(default)]
    pub pnl: Option<Sats>,
    /// P&L as a percentage of what the rule reckons by.
    #[serde(default)]
    pub pnl_percentage: Option<f64>,
    /// The price decided on, in USD.
    pub price: Price,
    /// Age of the price then, in milliseconds.
    pub data_age_ms: u64,
    /// The position as it was seen; `None` for an entry.
    #[serde(default)]
    pub position: Option<Position>,
    /// Where the rule fires for it.
    #[serde(default)]
    pub level: Level,
    /// The network that its account was served on: nothing of it is ever sent to another. `None` in
    /// what was written down before networks were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
}

fn margin_guard() -> RuleKind {
    RuleKind::MarginGuard
}

/// Whether what a rule wants is to keep a position from harm: see [`Decision::is_protective`].
pub fn protects(rule: &Rule) -> bool {
    is_protective(rule.kind(), wanted(rule, false))
}

fn is_protective(rule: RuleKind, wanted: &str) -> bool {
    rule == RuleKind::MarginGuard || wanted == "close_sl"
}

impl Decision {
    /// Puts down what a rule saw and wants.
    pub fn of(rule: &Rule, subject: Subject<'_>, seen: Seen) -> Self {
        let finite = |value: f64| value.is_finite().then_some(value);
        let position = match subject {
            Subject::Position(position) => Some(position),
            Subject::Market => None,
        };
        let (metric, value, threshold) = metric(rule, position, seen.price);
        let percentage = match (rule, position) {
            (Rule::TpSl(rule), Some(position)) => finite(rule.pnl_percentage(position, seen.price)),
            _ => None,
        };
        Self {
            rule: rule.kind(),
            wanted: wanted(rule, false).to_owned(),
            fallback: false,
            metric: metric.to_owned(),
            metric_value: finite(value),
            threshold,
            margin_ratio: position
                .and_then(|position| finite(maths::margin_ratio(position, seen.price))),
            pnl: position.map(|position| maths::pl(position, seen.price)),
            pnl_percentage: percentage,
            price: seen.price,
            data_age_ms: u64::try_from(seen.age.as_millis()).unwrap_or(u64::MAX),
            position: position.cloned(),
            level: rule.level(subject),
            network: None,
        }
    }

    /// The same, of an account that is served on this network.
    #[must_use]
    pub fn on(self, network: &str) -> Self {
        Self {
            network: Some(network.to_owned()),
            ..self
        }
    }

    /// Whether it was made on another network than this.
    pub fn is_elsewhere(&self, network: &str) -> bool {
        self.network.as_deref().is_some_and(|own| own != network)
    }

    /// Whether it is to keep a position from harm: all that a margin guard wants, and stop-losses. A
    /// kill switch may leave such actions alone.
    pub fn is_protective(&self) -> bool {
        is_protective(self.rule, &self.wanted)
    }

    /// The same sight, for what is done in place of what could not be done.
    #[must_use]
    pub fn falling_back(&self, rule: &Rule) -> Self {
        Self {
            wanted: wanted(rule, true).to_owned(),
            fallback: true,
            ..self.clone()
        }
    }
}

/// Name, value and threshold of what a rule looks at.
fn metric(rule: &Rule, position: Option<&Position>, at: Price) -> (&'static str, f64, f64) {
    match rule {
        Rule::MarginGuard(guard) => {
            let value = position.map_or(0.0, |position| guard.metric.value(position, at));
            (guard.metric.as_str(), value, guard.threshold)
        }
        Rule::TpSl(rule) => {
            let value = position.map_or(0.0, |position| rule.pnl_percentage(position, at));
            ("pnl_percentage", value, rule.trigger_percentage)
        }
        Rule::AutoEntry(entry) => {
            let trigger = entry.trigger.unwrap_or(at);
            ("price", at.usd(), trigger.usd())
        }
    }
}

/// What a rule wants, as audit entries name it.
pub fn wanted(rule: &Rule, fallback: bool) -> &'static str {
    match (rule, Intent::of(rule, fallback)) {
        (Rule::TpSl(rule), _) => rule.action.as_str(),
        (_, Intent::Close) => "close_position",
        (_, Intent::Reduce(_)) => "reduce_position",
        (_, Intent::AddMargin(_)) => "add_margin",
        (_, Intent::UpdateTp(_)) => "update_tp",
        (_, Intent::UpdateSl { .. }) => "update_sl",
        (_, Intent::Enter(_)) => "open_position",
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
