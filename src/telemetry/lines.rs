//! Events as lines of the log.

use super::events::{AccountTag, Event};
use crate::domain::connection::{Health, Transport};

impl Event {
    /// Writes its line.
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
            Self::LimitReached { account, limit, until } => {
                error!(event, account_id = %account.id, account_name = %account.name, %limit, %until,
                       "closes go on; more waits for the next day, or for a higher limit");
            }
            Self::AccountPaused { account, reason } => {
                error!(event, account_id = %account.id, account_name = %account.name, reason,
                       "nothing is done for it any more: look, then: vigia account resume");
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
