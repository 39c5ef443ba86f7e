//! Events with stable names: each is one log line, and is heard by whoever listens in this process
//! (the demo's display, tests).

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::domain::connection::{Health, Transport};
use crate::domain::execution::{Action, SkipReason};
use crate::domain::ids::{AccountId, AutomationId, ExecutionId, PositionId};
use crate::domain::protection::DailyLimit;
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
    LimitReached {
        account: AccountTag,
        limit: DailyLimit,
        until: DateTime<Utc>,
    },
    AccountPaused {
        account: AccountTag,
        reason: String,
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
            Self::LimitReached { .. } => "protection.limit_reached",
            Self::AccountPaused { .. } => "account.paused",
            Self::Alarm { .. } => "alarm",
        }
    }
}
