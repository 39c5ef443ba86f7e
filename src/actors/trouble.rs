//! What is told of a store that refuses: it is asked again and again, by many.

use std::fmt::Display;

use super::shared::Shared;
use crate::telemetry::{AccountTag, Event};

impl Shared {
    /// Tells that the store refused, and what waits for it: the first time at once, then now and then
    /// with the count.
    pub fn store_failed(&self, what: &'static str, error: &dyn Display) {
        if let Some(count) = self.store_trouble.one_more(what, self.clock.mono()) {
            tracing::error!(event = "store.failed", %error, what, count);
        }
    }

    /// Raises the alarm that something of an account waits for a store that refuses, told as
    /// [`Shared::store_failed`] does.
    pub fn alarm_store_failed(&self, account: &AccountTag, detail: String) {
        let now = self.clock.mono();
        if let Some(count) = self.store_trouble.one_more(account.id.as_str(), now) {
            let detail = match count {
                1 => detail,
                _ => format!("{detail} ({count} times since it was told last)"),
            };
            self.events.emit(Event::Alarm {
                account: account.clone(),
                what: "store_failed",
                detail,
            });
        }
    }
}
