//! The numbers that actors work with, out of the configuration.

use std::time::Duration;

use super::{NoticeTuning, Settings, ms};
use crate::domain::backoff::Curve;
use crate::domain::connection::LinkWindows;
use crate::domain::jobs::DeskLimits;
use crate::domain::price::Freshness;
use crate::domain::proof::ProofWindows;
use crate::domain::protection::Protections;
use crate::domain::restart::RestartPolicy;
use crate::exchange::{RateLimit, SocketLimits, StreamWindows};

/// The numbers that actors work with, as domain and exchange name them.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // each comes from the key of the same name in config/default.toml
pub struct Tuning {
    pub key_rate: RateLimit,
    pub public_rate: RateLimit,
    pub sockets: SocketLimits,
    pub stream: StreamWindows,
    pub link: LinkWindows,
    pub freshness: Freshness,
    pub proof: ProofWindows,
    pub live_executions: usize,
    pub execution_stuck: Duration,
    pub attempts: u32,
    pub retry: Curve,
    pub restart: RestartPolicy,
    pub refresh: Duration,
    pub restart_within: Duration,
    pub health_period: Duration,
    pub health_lines: usize,
    pub health_full: Duration,
    pub progress: Duration,
    pub store_answers: Duration,
    pub metrics_accounts: usize,
    pub stop_deadline: Duration,
    pub desk: DeskLimits,
    pub queue: String,
    pub protections: Protections,
    pub notices: NoticeTuning,
}

/// Of one look at the store: some more than it takes.
const READINGS: u32 = 4;

impl Settings {
    /// The numbers that actors work with.
    pub fn tuning(&self) -> Tuning {
        let (limits, link) = (&self.limits, &self.connection);
        let (price, execution, care) = (&self.price, &self.execution, &self.supervision);
        let window = ms(limits.second_ms);
        Tuning {
            key_rate: RateLimit {
                requests: limits.requests_per_second,
                kept_for_commands: limits.kept_for_commands,
                window,
            },
            public_rate: RateLimit {
                requests: limits.public_requests_per_second,
                window,
                ..RateLimit::public()
            },
            sockets: SocketLimits {
                open: limits.sockets,
                new_per_hour: limits.new_sockets_per_hour,
                logins_per_minute: limits.logins_per_minute,
                hour: ms(limits.hour_ms),
                minute: ms(limits.minute_ms),
                kept: ms(limits.socket_kept_ms),
                lingers: ms(limits.socket_lingers_ms),
            },
            stream: StreamWindows {
                ping_period: ms(link.ping_period_ms),
                ping_deadline: ms(link.ping_deadline_ms),
                ..StreamWindows::default()
            },
            link: LinkWindows {
                read_near: ms(link.read_near_ms),
                read_far: ms(link.read_far_ms),
                refused_pause: ms(link.refused_pause_ms),
                failing: ms(link.failing_ms),
                stuck: ms(link.stuck_ms),
                socket_curve: Curve {
                    first: ms(link.reconnect_first_ms),
                    most: ms(link.reconnect_longest_ms),
                },
                ..LinkWindows::default()
            },
            freshness: Freshness {
                quiet: ms(price.quiet_ms),
                ticker_period: ms(price.ticker_period_ms),
                blind: ms(price.blind_ms),
                deaf: ms(price.deaf_ms),
            },
            proof: ProofWindows {
                request_validity: ms(execution.request_validity_ms),
                margin_of_safety: ms(execution.proof_safety_ms),
                between_readings: ms(execution.between_readings_ms),
            },
            live_executions: execution.live,
            execution_stuck: ms(execution.stuck_ms),
            attempts: execution.attempts,
            retry: Curve {
                first: ms(execution.retry_ms),
                most: ms(execution.retry_ms * 16),
            },
            restart: RestartPolicy {
                curve: Curve {
                    first: ms(care.first_delay_ms),
                    most: ms(care.longest_delay_ms),
                },
                most_deaths: care.most_deaths,
                window: ms(care.window_ms),
                quarantine: ms(care.quarantine_ms),
                reset_after: ms(care.reset_after_ms),
                ..RestartPolicy::default()
            },
            refresh: ms(care.refresh_ms),
            restart_within: ms(care.restart_ms),
            health_period: ms(self.health.period_ms),
            health_lines: self.health.every_account,
            health_full: ms(self.health.full_ms),
            progress: ms(self.health.progress_ms),
            store_answers: ms(care.refresh_ms) + READINGS * self.store_patience(),
            metrics_accounts: self.metrics.accounts,
            stop_deadline: ms(self.stop.deadline_ms),
            desk: self.queue.desk(),
            queue: self.queue.name.clone(),
            protections: self.protections(),
            notices: self.notify.tuning(),
        }
    }
}
