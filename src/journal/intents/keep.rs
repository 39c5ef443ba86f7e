//! Looking after the intents: what is known for the next outage is kept fresh, and when the store is
//! back it takes over what stands in the file.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use chrono::NaiveTime;
use futures_util::FutureExt;
use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, Func, Query};

use super::super::limits::COUNTED;
use super::super::{Journal, JournalError, OpenedEpisode};
use super::book::{Kept, Learned};
use super::record::Left;
use super::replay::Taken;
use super::{Intents, Place, is_silence};
use crate::domain::execution::State;
use crate::domain::ids::AutomationId;
use crate::store::entity::execution::{Column, Entity};
use crate::store::{StoreError, TRADING};

/// How often kill switches and daily counts are read for the next outage.
const LEARN: Duration = Duration::from_secs(1);
/// How often the store is tried while it does not answer.
const RETRY: Duration = Duration::from_millis(250);
/// Place names of failpoints.
const REPLAYED: &str = "intents.replayed";
const RELEASED: &str = "intents.released";

impl Journal {
    /// Takes over what an earlier process has left in the file.
    ///
    /// # Errors
    /// Where the store does not answer, or another process has the right to trade.
    pub(in crate::journal) async fn take_over_all(
        &self,
        intents: &Intents,
        left: Left,
    ) -> Result<(), JournalError> {
        let count = left.intents.len();
        for intent in left.intents {
            let kept = Kept::waiting(intent);
            if self.take(intents, &kept).await? {
                crate::failpoint::pass(REPLAYED, "");
            }
        }
        for (_, attempt) in left.attempts.waiting() {
            self.note_late(attempt).await?;
        }
        // One generation without them: what stands in the store is not taken over twice.
        if let Err(error) = intents.0.writer.renew().stands().await {
            tracing::error!(event = "journal.unwritten", %error, "it is taken over again at the next start");
        }
        if count > 0 {
            tracing::warn!(event = "journal.taken_over", count);
        }
        self.know_all(intents).await
    }

    /// Looks after the intents, for as long as it is polled. Without a file there is nothing to do.
    pub async fn keep(self) {
        let Some(intents) = self.intents.clone() else {
            return std::future::pending().await;
        };
        loop {
            let keeping = AssertUnwindSafe(self.keep_on(&intents)).catch_unwind();
            // A panic is told by its hook; what waits must not wait for ever.
            let _ = keeping.await;
            tokio::time::sleep(LEARN).await;
        }
    }

    async fn keep_on(&self, intents: &Intents) {
        loop {
            if intents.is_outage() {
                tokio::time::sleep(RETRY).await;
                match self.recover(intents).await {
                    Ok(()) => {}
                    Err(JournalError::NotOwner) => tokio::time::sleep(LEARN).await,
                    Err(error) => tracing::debug!(event = "journal.still_degraded", %error),
                }
                continue;
            }
            // What cannot be read stays as it was: whoever writes finds out.
            let _ = self.learn(intents).await;
            let _ = tokio::time::timeout(LEARN, intents.0.begun.notified()).await;
        }
    }

    /// Takes to heart what was just written of kill switches and pauses: while the store does not answer
    /// what protects, that is obeyed as it was learnt last. Where there are no intents, nothing needs
    /// to be learnt.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn obey(&self) -> Result<(), JournalError> {
        match &self.intents {
            Some(intents) => self.learn(intents).await,
            None => Ok(()),
        }
    }

    pub(in crate::journal) async fn learn(&self, intents: &Intents) -> Result<(), JournalError> {
        let asked_at = intents.0.clock.mono();
        let today = intents.0.clock.utc().date_naive();
        let switches = self.store.kill_switches().await?.rows;
        let paused = self.store.pauses().await?;
        let paused = paused.into_iter().map(|(account, _)| account).collect();
        let daily = self.read_daily(intents.0.clock.utc()).await?;
        let begun = today.and_time(NaiveTime::MIN).and_utc();
        let query = Query::select()
            .column(Column::AutomationId)
            .expr_as(Func::count(Expr::col(Column::Id)), "count")
            .from(Entity)
            .and_where(Expr::col(Column::CreatedAt).gte(begun))
            .and_where(Expr::col(Column::State).is_in(COUNTED.map(State::as_str)))
            .group_by_col(Column::AutomationId)
            .to_owned();
        let acted: HashMap<AutomationId, u64> = self
            .store
            .read(async |db| {
                let rows = db.query_all(&query).await?;
                let count = |row: &sea_orm::QueryResult| {
                    let (id, count): (String, i64) =
                        (row.try_get("", "automation_id")?, row.try_get("", "count")?);
                    Ok((AutomationId::new(id), count.unsigned_abs()))
                };
                rows.iter()
                    .map(count)
                    .collect::<Result<_, sea_orm::DbErr>>()
                    .map_err(JournalError::from)
            })
            .await?;
        intents.book().learn(Learned {
            asked_at,
            switches,
            paused,
            acted,
            daily,
            on: today,
        });
        Ok(())
    }

    /// Gives all back to the store, if it answers.
    pub(in crate::journal) async fn recover(&self, intents: &Intents) -> Result<(), JournalError> {
        self.probe().await?;
        // It may take long, and somebody may hold back meanwhile what goes on being let out.
        self.learn(intents).await?;
        let mut learnt = intents.0.clock.mono();
        loop {
            if intents.0.clock.mono() > learnt + LEARN {
                self.learn(intents).await?;
                learnt = intents.0.clock.mono();
            }
            // A guard in the condition would be held across the await.
            let next = intents.book().next();
            let Some(kept) = next else { break };
            if !self.take(intents, &kept).await? {
                continue;
            }
            crate::failpoint::pass(REPLAYED, "");
            if let Err(error) = intents.release(&kept).await {
                return Err(super::unavailable(&error));
            }
            crate::failpoint::pass(RELEASED, "");
        }
        self.note_all(intents).await?;
        let only_here = intents.book().only_here();
        for ((automation, position, version), opened) in only_here {
            if let OpenedEpisode::Armed { episode, from } = opened {
                let opening =
                    self.stored_open_episode(&automation, position, version, episode, from);
                let opened = match opening.await {
                    Ok(opened) => opened,
                    Err(error) if is_silence(&error) => return Err(error),
                    // Its automation has been removed.
                    Err(_) => opened,
                };
                intents.armed((automation, position, version), opened, None);
            }
        }
        // Counts and switches may have changed meanwhile.
        self.learn(intents).await?;
        intents.end_outage();
        Ok(())
    }

    /// One intent goes into the store; whether it did. What the store refuses for good is set aside, so
    /// that it is in nobody's way.
    async fn take(&self, intents: &Intents, kept: &Kept) -> Result<bool, JournalError> {
        let id = kept.row.id;
        let (position, state) = (kept.row.position, kept.row.state);
        match self.take_over(kept.intent()).await {
            Ok(Taken::Over) => {}
            Ok(Taken::Dropped) => {
                tracing::warn!(event = "journal.intent_dropped", execution = %id, "its trigger is another execution's, and it was not sent");
            }
            Ok(Taken::Beside) => {
                tracing::error!(
                    event = "journal.intent_beside", execution = %id, %position, %state,
                    "its trigger was also carried out by another process: look at both"
                );
            }
            Ok(Taken::Ended(ended)) => {
                tracing::error!(
                    event = "journal.intent_differs", execution = %id, %position, %state, %ended,
                    "another process has settled it otherwise: look at the position"
                );
            }
            Err(error @ JournalError::NotOwner) => return Err(error),
            Err(error) if is_silence(&error) => return Err(error),
            Err(error) => {
                tracing::error!(
                    event = "journal.intent_refused", execution = %id, %position, %error,
                    "it stays in the file of intents"
                );
                intents.set_aside(kept);
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the store takes a write.
    async fn probe(&self) -> Result<(), JournalError> {
        use crate::store::entity::owner;
        let update = Query::update()
            .table(owner::Entity)
            .value(owner::Column::Epoch, self.epoch.0)
            .and_where(Expr::col(owner::Column::Name).eq(TRADING))
            .and_where(Expr::col(owner::Column::Epoch).eq(self.epoch.0))
            .to_owned();
        let taken: Result<u64, StoreError> = self
            .store
            .write(crate::store::Kind::One, move |db| {
                Box::pin(async move { Ok(db.execute(&update).await?.rows_affected()) })
            })
            .await;
        match taken? {
            0 => Err(JournalError::NotOwner),
            _ => Ok(()),
        }
    }
}

impl Intents {
    fn set_aside(&self, kept: &Kept) {
        let mut book = self.book();
        let mut aside = kept.clone();
        aside.place = Place::Aside;
        book.kept.insert(kept.row.id, aside);
    }

    fn end_outage(&self) {
        let mut book = self.book();
        if book.waiting() > 0 {
            return;
        }
        if let Some(outage) = book.outage.take() {
            let lasted = self.0.clock.mono().saturating_sub(outage.since);
            tracing::warn!(
                event = "journal.recovered",
                kept = outage.kept,
                lasted_ms = lasted.as_millis() as u64
            );
        }
    }
}
