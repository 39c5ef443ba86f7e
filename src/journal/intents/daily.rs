//! Daily limits of accounts without the store: what was done, and what may be, as the store said when
//! it answered last, with what was kept since.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::super::protections::Use;
use super::super::{Journal, JournalError, NewExecution};
use super::book::{Book, Kept};
use crate::domain::execution::{Action, State};
use crate::domain::ids::AccountId;
use crate::domain::protection::{DailyLimit, OwnProtections, Protections, Today};
use crate::domain::rules::Limits;
use crate::domain::units::Sats;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Daily {
    configured: Protections,
    own: HashMap<AccountId, OwnProtections>,
    done: HashMap<AccountId, Today>,
}

impl Daily {
    fn allows(&self, account: &AccountId) -> Protections {
        let own = self.own.get(account).copied().unwrap_or_default();
        own.over(self.configured)
    }
}

impl Journal {
    /// Reads what accounts may do in a day, and where that is limited what they have done of it.
    pub(super) async fn read_daily(&self, now: DateTime<Utc>) -> Result<Daily, JournalError> {
        let own = self.store.all_protections().await?;
        let configured = self.protections;
        let limits = |allowed: Protections| {
            allowed.executions_per_day.is_some() || allowed.sats_per_day.is_some()
        };
        let is_limited = limits(configured) || own.values().any(|own| limits(own.over(configured)));
        let mut done: HashMap<AccountId, Today> = HashMap::new();
        if is_limited {
            for (account, figure) in self.used_today(Use::Executions, now).await? {
                done.entry(account).or_default().executions = figure.unsigned_abs();
            }
            for (account, figure) in self.used_today(Use::Added, now).await? {
                done.entry(account).or_default().added = Sats(figure);
            }
        }
        Ok(Daily {
            configured,
            own,
            done,
        })
    }
}

impl Book {
    /// The limit that forbids to fire, if one does. Where no margin may be added, the rule may say
    /// what is done instead.
    pub(super) fn forbidden(
        &self,
        new: &NewExecution,
        limits: Limits,
        now: DateTime<Utc>,
    ) -> Option<DailyLimit> {
        let today = self.today(&new.account, None, now);
        let allowed = self.learned.daily.allows(&new.account);
        let limit = allowed.forbids(today, new.action)?;
        (limit != DailyLimit::DailySats || !limits.falls_back).then_some(limit)
    }

    /// The limit that forbids to send what has fired, if one does. Its place among the day's
    /// executions it took when it fired.
    pub(super) fn exceeded(
        &self,
        kept: &Kept,
        action: Action,
        now: DateTime<Utc>,
    ) -> Option<DailyLimit> {
        let allowed = Protections {
            executions_per_day: None,
            ..self.learned.daily.allows(&kept.row.account)
        };
        allowed.forbids(self.today(&kept.row.account, Some(kept), now), action)
    }

    /// What was done for an account today, and may yet be, but for one execution.
    fn today(&self, account: &AccountId, but: Option<&Kept>, now: DateTime<Utc>) -> Today {
        let learned = &self.learned;
        let mut today = match learned.on == now.date_naive() {
            true => learned.daily.done.get(account).copied().unwrap_or_default(),
            false => Today::default(),
        };
        if let Some(kept) = but.filter(|kept| !kept.born_here) {
            today.added = today.added - kept.row.action.added().unwrap_or_default();
        }
        let others = self.kept.values().filter(|kept| {
            kept.born_here
                && kept.row.account == *account
                && but.is_none_or(|but| but.row.id != kept.row.id)
        });
        for kept in others {
            let applies = !matches!(kept.row.state, State::Failed | State::Skipped);
            if applies || kept.row.outcome.is_some() {
                today.executions += 1;
            }
            if applies {
                today.added += kept.row.action.added().unwrap_or_default();
            }
        }
        today
    }
}
