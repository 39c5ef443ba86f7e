//! Automations that do not act by themselves, and why: told once, and again when it changes. Without
//! that a log would say nothing of them at all.

use std::collections::HashMap;

use crate::domain::ids::AutomationId;
use crate::store::{Account, Automation};
use crate::telemetry::AccountTag;

/// One that does not act by itself.
pub(super) struct Off {
    automation: AutomationId,
    account: AccountTag,
    reason: &'static str,
}

/// What was told of each.
#[derive(Default)]
pub(super) struct Idle(HashMap<AutomationId, &'static str>);

impl Off {
    /// `None` where it acts by itself.
    pub(super) fn of(automation: &Automation, account: &Account) -> Option<Self> {
        let reason = match automation {
            _ if !account.is_active => "account_disabled",
            automation if !automation.is_active => "disabled",
            automation if !automation.live => "by_job_only",
            _ if account.paused.is_some() => "account_paused",
            _ => return None,
        };
        Some(Self {
            automation: automation.id.clone(),
            account: AccountTag {
                id: account.id.clone(),
                name: account.name.as_str().into(),
            },
            reason,
        })
    }
}

impl Idle {
    /// These are all.
    pub(super) fn follow(&mut self, all: Vec<Off>) {
        let mut told = HashMap::with_capacity(all.len());
        for off in all {
            if self.0.get(&off.automation) != Some(&off.reason) {
                tracing::info!(
                    event = "automation.off", account_id = %off.account.id,
                    account_name = %off.account.name, automation = %off.automation,
                    reason = off.reason
                );
            }
            told.insert(off.automation, off.reason);
        }
        self.0 = told;
    }
}
