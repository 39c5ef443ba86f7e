//! What is armed in the store, read once: from then on only this process arms, and what it does not
//! know of is not armed.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, Order, Query};
use sea_orm::{ConnectionTrait, FromQueryResult};

use super::super::arming::{ARMED, FIRED};
use super::super::{Journal, JournalError, OpenedEpisode};
use super::Intents;
use super::book::{ArmingKey, MOST_ARMINGS};
use crate::domain::ids::AutomationId;
use crate::store::StoreError;
use crate::store::entity::arming::{Column, Entity};
use crate::store::entity::automation;

impl Journal {
    /// Reads all that is armed, or has fired, of the rules as they are now. Beyond what is kept in
    /// memory, and where a row cannot be read, what is not known waits for the store.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub(super) async fn know_all(&self, intents: &Intents) -> Result<(), JournalError> {
        let of_rule = |column| Expr::col((automation::Entity, column));
        let query = Query::select()
            .columns([
                (Entity, Column::AutomationId),
                (Entity, Column::PositionId),
                (Entity, Column::RuleVersion),
                (Entity, Column::Episode),
                (Entity, Column::State),
                (Entity, Column::ExecutionId),
                (Entity, Column::ArmedAt),
            ])
            .from(Entity)
            .inner_join(
                automation::Entity,
                of_rule(automation::Column::Id)
                    .equals((Entity, Column::AutomationId))
                    .and(
                        of_rule(automation::Column::RuleVersion)
                            .equals((Entity, Column::RuleVersion)),
                    ),
            )
            .order_by((Entity, Column::ArmedAt), Order::Desc)
            .limit(MOST_ARMINGS as u64)
            .to_owned();
        let rows = self.store.read(async |db| {
            let rows = db.query_all(&query).await?;
            let rows = rows.iter().map(|row| Row::from_query_result(row, ""));
            Ok::<_, StoreError>(rows.collect::<Result<Vec<_>, _>>()?)
        });
        let rows = rows.await?;
        let count = rows.len();
        let known: Vec<_> = rows.into_iter().filter_map(Row::read).collect();
        let all = known.len() == count && count < MOST_ARMINGS;
        for (key, opened) in known {
            intents.armed(key, opened, None);
        }
        intents.book().knows_all = all;
        Ok(())
    }
}

#[derive(FromQueryResult)]
struct Row {
    automation_id: String,
    position_id: String,
    rule_version: i64,
    episode: i64,
    state: String,
    execution_id: Option<String>,
    armed_at: DateTime<Utc>,
}

impl Row {
    fn read(self) -> Option<(ArmingKey, OpenedEpisode)> {
        let episode = self.episode;
        let opened = match self.state.as_str() {
            ARMED => OpenedEpisode::Armed {
                episode,
                from: self.armed_at,
            },
            FIRED => OpenedEpisode::Fired {
                episode,
                execution: self.execution_id?.parse().ok()?,
            },
            _ => return None,
        };
        let automation = AutomationId::new(&self.automation_id);
        let position = self.position_id.parse().ok()?;
        Some(((automation, position, self.rule_version), opened))
    }
}
