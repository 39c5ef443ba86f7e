//! The actors, one in each file. `actors.md` tells of each who owns it, what it owns, its messages,
//! its bounds, and what its death and its stop mean.

mod audit_log;
mod automation;
mod connection;
mod executor;
mod health_reporter;
mod in_hand;
mod intake;
mod job_desk;
mod limits;
mod notifier;
mod obey;
mod price_cell;
mod price_feed;
mod readiness;
mod shared;
mod shown;
mod socket_stream;
mod supervisor;
mod trouble;
mod verdict;
mod work;

pub use audit_log::{AuditLog, RecordDone};
pub use automation::{Automation, AutomationPlan};
pub use connection::Connection;
pub use executor::Executor;
pub use health_reporter::HealthReporter;
pub use in_hand::{InHand, InHandMark};
pub use intake::{Drain, Intake};
pub use job_desk::JobDesk;
pub use notifier::Notifier;
pub use price_cell::PriceCell;
pub use price_feed::PriceFeed;
pub use readiness::{Expected, Readiness};
pub use shared::{Account, NetworkShared, Parts, Row, Shared, View};
pub use shown::{Armed, Stance, Watched};
pub use supervisor::{Refresh, RestartAccount, RestartRefused, Restarted, Stop, Supervisor};

#[cfg(feature = "failpoints")]
pub use supervisor::CrashActor;
