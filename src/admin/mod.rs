//! Health and state over HTTP, for service managers and for the command line.
//!
//! `/healthz`: all parts of the process get on with their work, or which do not. `/readyz`: every
//! account has been read since the start that may yet be. Both name the state of the queue of jobs,
//! and neither fails for it: without jobs the service goes on acting by itself, and restarting it
//! brings no Redis back. The same holds for the store. `/v1/status`: the state of everything, with what
//! is wrong, for whoever holds the token; `/v1/tree`: the same of the accounts that somebody should look
//! at. `/metrics`: figures, for Prometheus.

mod access;
mod door;
mod health;
mod look;
mod metrics;
mod report;
mod server;
mod standby;
mod tokens;
mod verbs;
mod verify;

pub use access::Access;
pub use report::{
    AccountReport, AutomationReport, Choice, FeedReport, IntakeReport, LastReport, LevelReport,
    LifeReport, NotificationsReport, PartReport, PositionReport, QueueReport, SHOWN_ACCOUNTS,
    StatusReport, Summary, WatchReport,
};
use server::BODY_MOST;
pub use server::{Admin, Listener};
pub use standby::Waiting;
pub use verbs::{
    AccountAnswer, AutomationAnswer, CredentialsAnswer, KillSwitchAnswer, OPERATOR, RestartAnswer,
};
pub use verify::{Key, NotVerified, verify};
