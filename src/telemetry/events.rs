//! Events with stable names: each is one log line, and is heard by whoever listens in this process
//! (the demo's display, tests).

use std::sync::Arc;

use crate::domain::connection::{Health, Transport};
use crate::domain::execution::{Action, SkipReason};
use crate::domain::ids::{AccountId, AutomationId, ExecutionId, PositionId};
use crate::domain::units::Price;

/// Whose line it is: id and name, on every line about an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountTag {
    /// The account's id.
    pub id: AccountId,
    /// The account's name.
    pub name: Arc<str>,
}

/// What happened. The names in the log are those of [`Event::name`].
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // the fields are those of the log lines, described in docs/logs.md
pub enum Event {
    ActorStarted {
        actor: String,
        generation: u64,
    },
    ActorStopped {
        actor: String,
    },
    ActorDied {
        actor: String,
        cause: String,
    },
    ActorRestarting {
        actor: String,
        attempt: u32,
        delay_ms: u64,
    },
    ActorRestarted {
        actor: String,
        restarts: u64,
    },
    ActorQuarantined {
        actor: String,
        cause: String,
        retry_s: u64,
    },
    AccountRestarting {
        account: AccountTag,
        because: &'static str,
    },
    AccountRestarted {
        account: AccountTag,
        arming_ms: u64,
        handover_ms: u64,
        took_ms: u64,
        transport: Transport,
    },
    AccountRestartRefused {
        account: AccountTag,
        reason: String,
    },
    ConnectionState {
        account: AccountTag,
        from: Health,
        to: Health,
        transport: Transport,
    },
    TransportSwitched {
        account: AccountTag,
        from: Transport,
        to: Transport,
        gap_ms: u64,
        cause: &'static str,
    },
    SocketLost {
        /// Whose it was; none of the price feed's.
        account: Option<AccountTag>,
        actor: String,
        cause: &'static str,
        detail: String,
    },
    BookDrift {
        account: AccountTag,
        position: PositionId,
        field: &'static str,
        had: String,
        has: String,
    },
    ReadingFailed {
        account: AccountTag,
        error: String,
        count: u64,
    },
    TradeUnreadable {
        account: AccountTag,
        trade: Option<PositionId>,
        problem: String,
    },
    TickerFailed {
        network: String,
        error: String,
        count: u64,
    },
    FrameUndecodable {
        /// Whose it was; none of the price feed's.
        account: Option<AccountTag>,
        actor: String,
        detail: String,
        count: u64,
    },
    RateSilenced {
        /// Whose requests; none where they need no key.
        account: Option<AccountTag>,
        network: String,
        for_ms: u64,
        error: String,
    },
    Armed {
        account: AccountTag,
        automation: AutomationId,
        position: PositionId,
        episode: i64,
    },
    Triggered {
        account: AccountTag,
        automation: AutomationId,
        position: PositionId,
        execution: ExecutionId,
        episode: i64,
        price: Price,
        metric_value: Option<f64>,
    },
    Completed {
        account: AccountTag,
        automation: AutomationId,
    },
    Sending {
        account: AccountTag,
        execution: ExecutionId,
        action: Action,
        tick_to_order_us: Option<u64>,
    },
    Done {
        account: AccountTag,
        execution: ExecutionId,
        automation: AutomationId,
        position: PositionId,
        action: Action,
        tick_to_order_us: Option<u64>,
        request_us: Option<u64>,
    },
    Failed {
        account: AccountTag,
        execution: ExecutionId,
        automation: AutomationId,
        position: PositionId,
        action: &'static str,
        reason: String,
    },
    Uncertain {
        account: AccountTag,
        execution: ExecutionId,
        automation: AutomationId,
        position: PositionId,
        action: &'static str,
        evidence: String,
    },
    Skipped {
        account: AccountTag,
        execution: ExecutionId,
        automation: AutomationId,
        position: PositionId,
        action: &'static str,
        reason: SkipReason,
    },
    Deferred {
        account: AccountTag,
        execution: ExecutionId,
        why: String,
        delay_ms: u64,
    },
    Alarm {
        account: AccountTag,
        what: &'static str,
        detail: String,
    },
}

impl Event {
    /// The stable name, under `event` in the log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ActorStarted { .. } => "actor.started",
            Self::ActorStopped { .. } => "actor.stopped",
            Self::ActorDied { .. } => "actor.died",
            Self::ActorRestarting { .. } => "actor.restarting",
            Self::ActorRestarted { .. } => "actor.restarted",
            Self::ActorQuarantined { .. } => "actor.quarantined",
            Self::AccountRestarting { .. } => "account.restarting",
            Self::AccountRestarted { .. } => "account.restarted",
            Self::AccountRestartRefused { .. } => "account.restart_refused",
            Self::ConnectionState { .. } => "connection.state",
            Self::TransportSwitched { .. } => "transport.switched",
            Self::SocketLost { .. } => "socket.lost",
            Self::BookDrift { .. } => "book.drift",
            Self::ReadingFailed { .. } => "reading.failed",
            Self::TradeUnreadable { .. } => "trade.unreadable",
            Self::TickerFailed { .. } => "ticker.failed",
            Self::FrameUndecodable { .. } => "frame.undecodable",
            Self::RateSilenced { .. } => "rate.silenced",
            Self::Armed { .. } => "automation.armed",
            Self::Triggered { .. } => "automation.triggered",
            Self::Completed { .. } => "automation.completed",
            Self::Sending { .. } => "execution.sending",
            Self::Done { .. } => "execution.done",
            Self::Failed { .. } => "execution.failed",
            Self::Uncertain { .. } => "execution.uncertain",
            Self::Skipped { .. } => "execution.skipped",
            Self::Deferred { .. } => "execution.deferred",
            Self::Alarm { .. } => "alarm",
        }
    }

    #[rustfmt::skip] // one line an event reads best
    pub(super) fn log(&self) {
        use tracing::{debug, error, info, warn};
        let event = self.name();
        match self {
            Self::ActorStarted { actor, generation } => info!(event, actor, generation),
            Self::ActorStopped { actor } => info!(event, actor),
            Self::ActorDied { actor, cause } => error!(event, actor, cause),
            Self::ActorRestarting { actor, attempt, delay_ms } => warn!(event, actor, attempt, delay_ms),
            Self::ActorRestarted { actor, restarts } => info!(event, actor, restarts),
            Self::ActorQuarantined { actor, cause, retry_s } => error!(event, actor, cause, retry_s),
            Self::AccountRestarting { account, because } => {
                info!(event, account_id = %account.id, account_name = %account.name, because);
            }
            Self::AccountRestarted { account, arming_ms, handover_ms, took_ms, transport } => {
                info!(event, account_id = %account.id, account_name = %account.name, arming_ms, handover_ms, took_ms,
                      %transport);
            }
            Self::AccountRestartRefused { account, reason } => {
                warn!(event, account_id = %account.id, account_name = %account.name, reason);
            }
            Self::ConnectionState { account, from, to, transport } => match to {
                Health::Live | Health::Starting | Health::Syncing | Health::Stopped => {
                    info!(event, account_id = %account.id, account_name = %account.name, %from, %to, %transport);
                }
                _ => warn!(event, account_id = %account.id, account_name = %account.name, %from, %to, %transport),
            },
            Self::TransportSwitched { account, from, to, gap_ms, cause } => match to {
                Transport::Websocket => {
                    info!(event, account_id = %account.id, account_name = %account.name, %from, %to, gap_ms, cause);
                }
                Transport::Http => {
                    warn!(event, account_id = %account.id, account_name = %account.name, %from, %to, gap_ms, cause);
                }
            },
            Self::SocketLost { account, actor, cause, detail } => {
                let (id, name) = of(account);
                warn!(event, account_id = id, account_name = name, actor, cause, detail);
            }
            Self::BookDrift { account, position, field, had, has } => {
                warn!(event, account_id = %account.id, account_name = %account.name, %position, field, had, has);
            }
            Self::ReadingFailed { account, error, count } => {
                warn!(event, account_id = %account.id, account_name = %account.name, error, count);
            }
            Self::TradeUnreadable { account, trade, problem } => {
                let trade = trade.map(|id| id.to_string());
                error!(event, account_id = %account.id, account_name = %account.name, trade, problem,
                       "what was last known of it stays");
            }
            Self::TickerFailed { network, error, count } => warn!(event, network, error, count),
            Self::FrameUndecodable { account, actor, detail, count } => {
                let (id, name) = of(account);
                warn!(event, account_id = id, account_name = name, actor, detail, count);
            }
            Self::RateSilenced { account, network, for_ms, error } => {
                let (id, name) = of(account);
                warn!(event, account_id = id, account_name = name, network, for_ms, error);
            }
            Self::Armed { account, automation, position, episode } => {
                debug!(event, account_id = %account.id, account_name = %account.name, %automation, %position, episode);
            }
            Self::Triggered { account, automation, position, execution, episode, price, metric_value } => {
                info!(event, account_id = %account.id, account_name = %account.name, %automation, %position,
                      %execution, episode, %price, metric_value);
            }
            Self::Completed { account, automation } => {
                info!(event, account_id = %account.id, account_name = %account.name, %automation);
            }
            Self::Sending { account, execution, action, tick_to_order_us } => {
                debug!(event, account_id = %account.id, account_name = %account.name, %execution,
                       action = action.as_str(), tick_to_order_us);
            }
            Self::Done { account, execution, automation, position, action, tick_to_order_us, request_us } => {
                info!(event, account_id = %account.id, account_name = %account.name, %execution, %automation,
                      %position, action = action.as_str(), tick_to_order_us, request_us);
            }
            Self::Failed { account, execution, automation, position, action, reason } => {
                error!(event, account_id = %account.id, account_name = %account.name, %execution, %automation,
                       %position, action, reason);
            }
            Self::Uncertain { account, execution, automation, position, action, evidence } => {
                error!(event, account_id = %account.id, account_name = %account.name, %execution, %automation,
                       %position, action, evidence, "look at the exchange, then: vigia execution resolve");
            }
            Self::Skipped { account, execution, automation, position, action, reason } => {
                warn!(event, account_id = %account.id, account_name = %account.name, %execution, %automation,
                      %position, action, reason = reason.as_str());
            }
            Self::Deferred { account, execution, why, delay_ms } => {
                warn!(event, account_id = %account.id, account_name = %account.name, %execution, why, delay_ms);
            }
            Self::Alarm { account, what, detail } => {
                error!(event, account_id = %account.id, account_name = %account.name, what, detail);
            }
        }
    }
}

/// Id and name of an account, where it is one's.
fn of(account: &Option<AccountTag>) -> (Option<String>, Option<&str>) {
    let tag = account.as_ref();
    tag.map(|tag| (tag.id.to_string(), &*tag.name)).unzip()
}
