//! One round of telling: what may be told now, of each account in the order in which it happened.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::StreamExt;
use futures_util::stream::iter;

use super::super::shared::Shared;
use crate::notify::Webhook;
use crate::store::{NoticeState, StoreError, StoredNotice};
use crate::supervision::failpoint;

/// Notices looked at in one round.
const BATCH: u64 = 256;
/// Accounts told of at once.
const LANES: usize = 4;

/// What a round came to.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// How many the receiver took.
    pub(super) delivered: usize,
    /// Why it ended early: the receiver, or the store, does not answer.
    pub(super) away: Option<String>,
    /// Whether there was more than one round's worth.
    pub(super) more: bool,
}

/// Whether the next notice of the same account follows.
enum Went {
    On,
    NotOn,
}

/// Tells what may be told now.
pub(super) async fn round(shared: &Shared, webhook: &Webhook) -> Round {
    let away = |error: &StoreError| Round {
        away: Some(error.to_string()),
        ..Round::default()
    };
    // Whoever takes over tells what is left.
    if let Err(error) = shared.journal.check_right() {
        return away(&error);
    }
    let due = match shared.store.notices_due(shared.clock.utc(), BATCH).await {
        Ok(due) => due,
        Err(error) => return away(&error),
    };
    for error in &due.unreadable {
        tracing::error!(event = "notification.unreadable", %error);
    }
    let more = due.rows.len() as u64 == BATCH;
    let mut by_account: BTreeMap<_, Vec<StoredNotice>> = BTreeMap::new();
    for notice in due.rows {
        let of = by_account.entry(notice.account.clone());
        of.or_default().push(notice);
    }
    let telling = Telling {
        shared,
        webhook,
        round: RefCell::new(Round {
            more,
            ..Round::default()
        }),
    };
    iter(by_account.into_values())
        .map(|lane| telling.lane(lane))
        .buffer_unordered(LANES)
        .collect::<()>()
        .await;
    telling.round.into_inner()
}

struct Telling<'a> {
    shared: &'a Shared,
    webhook: &'a Webhook,
    round: RefCell<Round>,
}

impl Telling<'_> {
    async fn lane(&self, notices: Vec<StoredNotice>) {
        for notice in notices {
            if self.round.borrow().away.is_some() {
                return;
            }
            match self.one(&notice).await {
                Ok(Went::On) => {}
                Ok(Went::NotOn) => return,
                Err(error) => return self.away(error.to_string()),
            }
        }
    }

    fn away(&self, cause: String) {
        self.round.borrow_mut().away.get_or_insert(cause);
    }

    async fn one(&self, notice: &StoredNotice) -> Result<Went, StoreError> {
        let clock = self.shared.clock;
        let at = clock.utc().timestamp();
        let answer = self.webhook.post(&notice.id, &notice.body, at).await;
        failpoint::pass("notice.posted", &notice.id);
        let now = clock.utc();
        let give_up = TimeDelta::from_std(self.shared.tuning.notices.give_up);
        let is_old = now - notice.created_at >= give_up.unwrap_or(TimeDelta::MAX);
        let (text, is_final, retry_after) = match answer {
            Ok(answer) if answer.is_taken() => {
                self.mark(notice, NoticeState::Delivered, answer.to_string(), None)
                    .await?;
                failpoint::pass("notice.marked", &notice.id);
                self.round.borrow_mut().delivered += 1;
                return Ok(Went::On);
            }
            Ok(answer) => (answer.to_string(), answer.is_final(), answer.retry_after),
            Err(error) => {
                let text = error.to_string();
                if !is_old {
                    self.mark(
                        notice,
                        NoticeState::Waiting,
                        text.clone(),
                        Some(Duration::ZERO),
                    )
                    .await?;
                    self.away(text);
                    return Ok(Went::NotOn);
                }
                (text, false, None)
            }
        };
        let (id, attempts) = (&notice.id, notice.attempts + 1);
        if is_final || is_old {
            tracing::error!(
                event = "notification.given_up",
                id,
                answer = text,
                attempts,
                "it is not told again"
            );
            self.mark(notice, NoticeState::GivenUp, text, None).await?;
            return Ok(Went::On);
        }
        let retry = self.shared.tuning.notices.retry;
        let pause = retry.delay(notice.attempts, clock.roll());
        let pause = pause.max(retry_after.unwrap_or_default());
        let retry_ms = pause.as_millis() as u64;
        tracing::warn!(
            event = "notification.refused",
            id,
            answer = text,
            attempts,
            retry_ms
        );
        self.mark(notice, NoticeState::Waiting, text, Some(pause))
            .await?;
        Ok(Went::NotOn)
    }

    async fn mark(
        &self,
        notice: &StoredNotice,
        state: NoticeState,
        answer: String,
        pause: Option<Duration>,
    ) -> Result<(), StoreError> {
        let now = self.shared.clock.utc();
        let due_at = pause.map(|pause| now + TimeDelta::from_std(pause).unwrap_or_default());
        let store = &self.shared.store;
        store
            .notice_tried(notice.seq, state, answer, due_at, now)
            .await
    }
}
