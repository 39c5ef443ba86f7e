//! What is to be told of accounts' states. It follows the states, not the events that told of them:
//! what is missed, or cannot be written down now, is seen again; what flaps is told now and then, and
//! how it ended in the end.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;

use super::super::shared::{Account, Shared};
use crate::domain::connection::Health;
use crate::domain::ids::{AccountId, AutomationId};
use crate::domain::notice::{Notice, NoticeKind};
use crate::store::StoreError;

/// What is written down at once: trading writes too.
const MOST_AT_ONCE: usize = 100;
/// What is held while it cannot be written down; beyond, the oldest is dropped.
const HELD_MOST: usize = 1000;
/// How the names of automations' actors begin.
const AUTOMATION: &str = "automation/";

/// What was last told of each account.
pub(super) type Known = HashMap<AccountId, NoticeKind>;

/// An automation that was set aside.
#[derive(Clone, Debug)]
pub(super) struct SetAside {
    automation: AutomationId,
    cause: String,
    at: DateTime<Utc>,
}

/// Something to be written down.
#[derive(Clone, Debug)]
pub(super) enum News {
    State(Box<Notice>),
    SetAside(SetAside),
}

/// What became of writing something down.
pub(super) enum Written {
    /// It stands, or is not wanted.
    Yes(News),
    /// The same was told of the account in this stretch of time already.
    Before(News),
    /// The store is away.
    No(News),
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct States {
    told: Known,
    /// When each kind was last told of an account, since the start of the process.
    when: HashMap<(AccountId, NoticeKind), Duration>,
    now: Duration,
    held: VecDeque<SetAside>,
    dropped: u64,
}

impl States {
    /// What was told by an earlier process.
    pub(super) fn know(&mut self, known: Known) {
        self.told = known;
    }

    /// Keeps that an actor was set aside, where it is an automation's: accounts show it themselves.
    pub(super) fn hold(&mut self, actor: &str, cause: String, at: DateTime<Utc>) {
        let Some(id) = actor.strip_prefix(AUTOMATION) else {
            return;
        };
        self.keep(SetAside {
            automation: AutomationId::new(id),
            cause,
            at,
        });
    }

    fn keep(&mut self, set_aside: SetAside) {
        if self.held.len() == HELD_MOST {
            self.held.pop_front();
            self.dropped += 1;
            tracing::error!(
                event = "notification.dropped",
                dropped = self.dropped,
                "the store is away for too long: what happened first is not told"
            );
        }
        self.held.push_back(set_aside);
    }

    /// What is to be written down now.
    pub(super) fn news(&mut self, shared: &Shared) -> Vec<News> {
        self.now = shared.clock.mono();
        let accounts = shared.accounts.load_full();
        self.when.retain(|(id, _), _| accounts.contains_key(id));
        let first = self.held.len().min(MOST_AT_ONCE);
        let held = self.held.drain(..first).map(News::SetAside);
        let mut news: Vec<_> = held.collect();
        let apart = shared.tuning.notices.same_kind;
        for account in accounts.values() {
            if news.len() >= MOST_AT_ONCE {
                break;
            }
            let health = account.view.load().health;
            let id = &account.tag.id;
            let Some(kind) = self.wanted(id, health, apart) else {
                continue;
            };
            let told = shared.store.told().has(kind);
            if told {
                let notice = state_of(shared, account, kind, health);
                news.push(News::State(Box::new(notice)));
            } else {
                self.told.insert(id.clone(), kind);
            }
        }
        news
    }

    /// What is to be told of an account in this state, if anything.
    fn wanted(&self, id: &AccountId, health: Health, apart: Duration) -> Option<NoticeKind> {
        let kind = NoticeKind::of_health(health)?;
        // Who was never told of trouble has not heard of the account: it is well.
        let last = self.told.get(id).copied();
        if kind == last.unwrap_or(NoticeKind::AccountRecovered) {
            return None;
        }
        let when = self.when.get(&(id.clone(), kind));
        when.is_none_or(|when| self.now.saturating_sub(*when) >= apart)
            .then_some(kind)
    }

    /// Notes what became of what was to be written down.
    pub(super) fn note(&mut self, written: Vec<Written>) {
        for written in written {
            match written {
                Written::Yes(News::State(notice)) => {
                    let kind = notice.kind;
                    if let Some((id, _)) = notice.account {
                        self.when.insert((id.clone(), kind), self.now);
                        self.told.insert(id, kind);
                    }
                }
                // It is looked at again when the stretch is over.
                Written::Before(News::State(notice)) => {
                    if let Some((id, _)) = notice.account {
                        self.when.insert((id, notice.kind), self.now);
                    }
                }
                Written::No(News::SetAside(set_aside)) => self.keep(set_aside),
                Written::No(News::State(_))
                | Written::Yes(News::SetAside(_))
                | Written::Before(News::SetAside(_)) => {}
            }
        }
    }
}

/// Reads what was last told of each account; what cannot be read is told anew.
pub(super) async fn restore(shared: &Shared) -> Known {
    match shared.store.told_of_accounts().await {
        Ok(told) => {
            let known = told.into_iter();
            known
                .filter_map(|notice| Some((notice.account?, notice.kind)))
                .collect()
        }
        Err(error) => {
            tracing::warn!(event = "store.failed", %error);
            Known::new()
        }
    }
}

/// Writes news down, in their order, up to the first that the store does not take.
pub(super) async fn write(shared: &Shared, news: Vec<News>) -> Vec<Written> {
    let mut written = vec![];
    let mut is_away = false;
    for news in news {
        if is_away {
            written.push(Written::No(news));
            continue;
        }
        let told = match &news {
            News::State(notice) => shared.store.tell((**notice).clone()).await,
            News::SetAside(set_aside) => tell_set_aside(shared, set_aside).await,
        };
        written.push(match told {
            Ok(true) => Written::Yes(news),
            Ok(false) => Written::Before(news),
            Err(_) => {
                is_away = true;
                Written::No(news)
            }
        });
    }
    written
}

async fn tell_set_aside(shared: &Shared, set_aside: &SetAside) -> Result<bool, StoreError> {
    let kind = NoticeKind::AutomationQuarantined;
    let SetAside {
        automation,
        cause,
        at,
    } = set_aside;
    let account = match shared.store.automation(automation).await {
        Ok(stored) => {
            let accounts = shared.accounts.load();
            let account = accounts.get(&stored.account_id);
            account.map(|account| (stored.account_id, account.tag.name.to_string()))
        }
        Err(error @ (StoreError::Unavailable { .. } | StoreError::Busy { .. })) => {
            return Err(error);
        }
        Err(_) => None,
    };
    let notice = Notice {
        kind,
        id: format!("{kind}:{automation}:{}", at.timestamp_millis()),
        account,
        at: *at,
        data: json!({ "automationId": automation, "cause": cause }),
    };
    shared.store.tell(notice).await
}

fn state_of(shared: &Shared, account: &Account, kind: NoticeKind, health: Health) -> Notice {
    let view = account.view.load();
    let mono = shared.clock.mono();
    let read = view
        .read_at
        .map(|at| mono.saturating_sub(at).as_millis() as u64);
    Notice::once_in(
        shared.tuning.notices.same_kind,
        kind,
        (account.tag.id.clone(), account.tag.name.to_string()),
        shared.clock.utc(),
        json!({
            "state": health, "transport": view.transport,
            "network": account.network.network.name, "bookAgeMs": read,
        }),
    )
}
