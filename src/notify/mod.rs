//! Telling a receiver outside: one signed POST, its deadline, and what its answer means. What is told
//! and when it is told again is not decided here. `docs/notifications.md` tells receivers of it.

mod sign;
mod webhook;

pub use sign::signature;
pub use webhook::{Answer, Unanswered, Webhook, WebhookError, WebhookPlan};
