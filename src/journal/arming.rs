//! What may fire, as stored: an episode is durable before its level is registered.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, InsertStatement, OnConflict, Query, SelectStatement};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseExecutor, EntityTrait, FromQueryResult, QueryFilter,
};

use super::execution::Columns;
use super::{Journal, JournalError};
use crate::domain::execution::State;
use crate::domain::ids::{AutomationId, ExecutionId, PositionId};
use crate::store::entity::arming::{Column, Entity, Model};
use crate::store::entity::execution;
use crate::store::{Kind, StoreError, Turn};

const TABLE: &str = "arming";
pub(super) const ARMED: &str = "armed";
pub(super) const FIRED: &str = "fired";

/// What stands in the store for an automation and a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenedEpisode {
    /// This episode may fire.
    Armed {
        /// Its number.
        episode: i64,
        /// From when on.
        from: DateTime<Utc>,
    },
    /// This episode has fired.
    Fired {
        /// Its number.
        episode: i64,
        /// The execution that it caused.
        execution: ExecutionId,
    },
}

/// One stored arming of an automation.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredArming {
    /// The position.
    pub position: PositionId,
    /// The episode.
    pub episode: i64,
    /// Whether it may fire.
    pub state: ArmedState,
}

/// Whether an episode may fire, and what became of it if it has.
#[derive(Clone, Debug, PartialEq)]
pub enum ArmedState {
    /// It may.
    Armed,
    /// It has.
    Fired {
        /// The execution that it caused.
        execution: ExecutionId,
        /// Where that stands.
        state: State,
        /// Why it failed or was skipped, if so.
        reason: Option<String>,
        /// When it ended.
        finished_at: Option<DateTime<Utc>>,
    },
}

impl Journal {
    /// Writes an episode down as armed from a time on, if nothing was armed before, or the episode
    /// before it has fired and its execution has ended. Otherwise nothing is written; either way the
    /// answer is what stands now.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for an automation that was removed,
    /// [`StoreError::Unavailable`], [`StoreError::Busy`], [`StoreError::Corrupt`].
    pub(super) async fn stored_open_episode(
        &self,
        automation: &AutomationId,
        position: PositionId,
        rule_version: i64,
        episode: i64,
        from: DateTime<Utc>,
    ) -> Result<OpenedEpisode, JournalError> {
        let row = Model {
            automation_id: automation.to_string(),
            position_id: position.to_string(),
            rule_version,
            episode,
            state: ARMED.to_owned(),
            execution_id: None,
            armed_at: from,
            fired_at: None,
        };
        // Most often it stands already: then there is nothing to write, and nobody waits for it.
        let key = &row;
        let stored = self.store.read(async |db| {
            let db = DatabaseExecutor::Connection(db);
            stands(&db, key).await
        });
        match stored.await? {
            Some(stands @ OpenedEpisode::Armed { .. }) => return Ok(stands),
            Some(stands @ OpenedEpisode::Fired { episode: fired, .. }) if fired + 1 != episode => {
                return Ok(stands);
            }
            _ => {}
        }
        let opening = Arc::new(row);
        self.store
            .write_again(Turn::Other, Kind::One, move |db| {
                let opening = Arc::clone(&opening);
                Box::pin(async move { open(db, &opening).await })
            })
            .await
    }

    /// All that is armed or has fired of one version of an automation's rule.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    pub async fn armings(
        &self,
        automation: &AutomationId,
        rule_version: i64,
    ) -> Result<Vec<StoredArming>, JournalError> {
        let query = Query::select()
            .columns([
                (Entity, Column::PositionId),
                (Entity, Column::Episode),
                (Entity, Column::State),
                (Entity, Column::ExecutionId),
            ])
            .expr_as(
                Expr::col((execution::Entity, execution::Column::State)),
                "execution_state",
            )
            .columns([
                (execution::Entity, execution::Column::Reason),
                (execution::Entity, execution::Column::FinishedAt),
            ])
            .from(Entity)
            .left_join(
                execution::Entity,
                Expr::col((Entity, Column::ExecutionId))
                    .equals((execution::Entity, execution::Column::Id)),
            )
            .and_where(Expr::col((Entity, Column::AutomationId)).eq(automation.as_str()))
            .and_where(Expr::col((Entity, Column::RuleVersion)).eq(rule_version))
            .to_owned();
        let rows = self.store.read(async |db| {
            let rows = db.query_all(&query).await?;
            let rows = rows.iter().map(|row| Joined::from_query_result(row, ""));
            Ok::<_, StoreError>(rows.collect::<Result<Vec<_>, _>>()?)
        });
        let stored = rows.await?.into_iter().map(|row| row.read(automation));
        Ok(stored.collect::<Result<_, _>>()?)
    }
}

/// Writes an episode down where it may be opened; answers what stands then.
async fn open(db: &DatabaseExecutor<'_>, row: &Model) -> Result<OpenedEpisode, JournalError> {
    match db.execute(&opening(row)?).await.map_err(StoreError::from) {
        Ok(done) if done.rows_affected() > 0 => Ok(OpenedEpisode::Armed {
            episode: row.episode,
            from: row.armed_at,
        }),
        Ok(_) => stands(db, row).await?.ok_or_else(|| {
            StoreError::unavailable("the arming changed meanwhile; try again").into()
        }),
        // The only thing that it refers to is its automation.
        Err(StoreError::ForeignKey(_)) => Err(StoreError::no_automation(&row.automation_id).into()),
        Err(error) => Err(error.into()),
    }
}

fn opening(row: &Model) -> Result<InsertStatement, StoreError> {
    Ok(Query::insert()
        .into_table(Entity)
        .columns([
            Column::AutomationId,
            Column::PositionId,
            Column::RuleVersion,
            Column::Episode,
            Column::State,
            Column::ArmedAt,
        ])
        .values([
            row.automation_id.as_str().into(),
            row.position_id.as_str().into(),
            row.rule_version.into(),
            row.episode.into(),
            ARMED.into(),
            row.armed_at.into(),
        ])
        .map_err(|error| StoreError::unavailable(error.to_string()))?
        .on_conflict(
            over_what_stands()
                .action_and_where(Expr::col((Entity, Column::State)).eq(FIRED))
                .action_and_where(Expr::col((Entity, Column::Episode)).eq(row.episode - 1))
                .action_and_where(Expr::exists(its_execution_goes_on()).not())
                .to_owned(),
        )
        .to_owned())
}

#[derive(FromQueryResult)]
struct Joined {
    position_id: String,
    episode: i64,
    state: String,
    execution_id: Option<String>,
    execution_state: Option<String>,
    reason: Option<String>,
    finished_at: Option<DateTime<Utc>>,
}

impl Joined {
    fn read(self, automation: &AutomationId) -> Result<StoredArming, StoreError> {
        let columns = Columns {
            table: TABLE,
            id: &format!("{automation}, {}", self.position_id),
        };
        let state = match (self.state.as_str(), self.execution_id, self.execution_state) {
            (ARMED, ..) => ArmedState::Armed,
            (FIRED, Some(execution), Some(state)) => ArmedState::Fired {
                execution: columns.parse("execution_id", &execution)?,
                state: columns.parse("state of the execution", &state)?,
                reason: self.reason,
                finished_at: self.finished_at,
            },
            (FIRED, ..) => return Err(columns.corrupt("execution_id", "no such execution")),
            (other, ..) => return Err(columns.corrupt("state", format!("`{other}`"))),
        };
        Ok(StoredArming {
            position: columns.parse("position_id", &self.position_id)?,
            episode: self.episode,
            state,
        })
    }
}

/// Finds the execution that an arming waits for, while that has not ended: also one that is carried
/// out in place of another.
fn its_execution_goes_on() -> SelectStatement {
    use execution::Column as Of;
    let unfinished = State::ALL.into_iter().filter(|state| !state.is_final());
    Query::select()
        .expr(Expr::val(1))
        .from(execution::Entity)
        .and_where(Expr::col((execution::Entity, Of::Id)).equals((Entity, Column::ExecutionId)))
        .and_where(Expr::col((execution::Entity, Of::State)).is_in(unfinished.map(State::as_str)))
        .to_owned()
}

/// What stands for the automation, position and rule version of `key`.
pub(super) async fn stands(
    db: &DatabaseExecutor<'_>,
    key: &Model,
) -> Result<Option<OpenedEpisode>, StoreError> {
    let query = Entity::find()
        .filter(Column::AutomationId.eq(key.automation_id.as_str()))
        .filter(Column::PositionId.eq(key.position_id.as_str()))
        .filter(Column::RuleVersion.eq(key.rule_version));
    let Some(row) = query.one(db).await? else {
        return Ok(None);
    };
    let columns = Columns {
        table: TABLE,
        id: &format!("{}, {}", key.automation_id, key.position_id),
    };
    let episode = row.episode;
    match (row.state.as_str(), row.execution_id) {
        (ARMED, _) => Ok(Some(OpenedEpisode::Armed {
            episode,
            from: row.armed_at,
        })),
        (FIRED, Some(execution)) => Ok(Some(OpenedEpisode::Fired {
            episode,
            execution: columns.parse("execution_id", &execution)?,
        })),
        (FIRED, None) => Err(columns.corrupt("execution_id", "missing")),
        (other, _) => Err(columns.corrupt("state", format!("`{other}`"))),
    }
}

/// An arming of the same automation, position and version of the rule gives way.
pub(super) fn over_what_stands() -> OnConflict {
    OnConflict::columns([
        Column::AutomationId,
        Column::PositionId,
        Column::RuleVersion,
    ])
    .update_columns([
        Column::Episode,
        Column::State,
        Column::ExecutionId,
        Column::ArmedAt,
        Column::FiredAt,
    ])
    .to_owned()
}
