//! Firing: one transaction writes the execution down and takes the arming away, so that there is
//! neither a trigger without an execution nor a second execution of one trigger.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use sea_orm::sea_query::{Expr, ExprTrait, InsertStatement, OnConflict, Query, UpdateStatement};
use sea_orm::{ConnectionTrait, DatabaseExecutor, DbBackend, QueryResult, Statement};

use super::arming::{ARMED, FIRED, stands};
use super::execution::{Columns, Source, TABLE};
use super::sending::owns;
use super::{Journal, JournalError, limits};
use crate::domain::execution::{Action, Decision, State, live_trigger_key};
use crate::domain::ids::{AccountId, AutomationId, ExecutionId, PositionId, UserId};
use crate::domain::protection::DailyLimit;
use crate::domain::rules::Limits;
use crate::store::entity::{arming, execution};
use crate::store::{Acting, Course, Kind, StoreError, Turn, held_back, paused};

/// The execution of a live trigger, to be written down.
#[derive(Clone, Debug)]
pub struct NewExecution {
    /// A new id.
    pub id: ExecutionId,
    /// The automation that fires.
    pub automation: AutomationId,
    /// Its account.
    pub account: AccountId,
    /// The account's owner.
    pub user: UserId,
    /// The position that it fires for.
    pub position: PositionId,
    /// The version of the rule.
    pub rule_version: i64,
    /// The armed episode.
    pub episode: i64,
    /// What is intended.
    pub action: Action,
    /// What was known when it was decided.
    pub decision: Decision,
}

/// What firing came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FireResult {
    /// The execution stands, planned. A repetition with the same id answers this again, so that an
    /// answer that was lost costs nothing.
    Fired,
    /// This episode was fired before, by this other execution.
    FiredBefore(ExecutionId),
    /// Nothing was written: the automation may not act before this time.
    LimitReached {
        /// When it may again.
        until: DateTime<Utc>,
    },
    /// Nothing was written: the automation has acted as often as it may at all.
    Completed,
    /// Nothing was written: as much was done for the account today as may be.
    ProtectionReached {
        /// What is exhausted.
        limit: DailyLimit,
        /// When the day ends.
        until: DateTime<Utc>,
    },
}

impl Journal {
    /// Writes an execution down and its episode as fired, if the automation's limits let it act.
    ///
    /// # Errors
    /// [`JournalError::NotArmed`] for an episode that is not armed, [`JournalError::NotOwner`] for a
    /// process whose claim was taken over, [`JournalError::Stopped`] while a kill switch is on,
    /// [`JournalError::Paused`] while the account is, [`StoreError::Unavailable`] and
    /// [`StoreError::Busy`], after which it may be repeated with the same id.
    pub(super) async fn stored_fire(
        &self,
        new: NewExecution,
        limits: Limits,
        now: DateTime<Utc>,
    ) -> Result<FireResult, JournalError> {
        let firing = Firing {
            key: live_trigger_key(&new.automation, new.position, new.rule_version, new.episode),
            journal: self.clone(),
            new,
            limits,
            now,
        };
        self.store
            .write_usual(Turn::Fire, Kind::Several, firing)
            .await?
    }
}

/// The firing of an episode.
struct Firing {
    journal: Journal,
    key: String,
    new: NewExecution,
    limits: Limits,
    now: DateTime<Utc>,
}

/// What came of it. An error in it is an answer too: nothing was written.
type Answer = Result<FireResult, JournalError>;

impl Course for Firing {
    type Answer = Answer;
    type Error = JournalError;

    fn usual(&self) -> Result<Vec<Statement>, StoreError> {
        let mut disarm = self.disarm();
        disarm.returning(Query::returning().column(arming::Column::Episode));
        let mut insert = insert(&self.new, &self.key, Source::Live, self.now)?;
        insert.returning(Query::returning().column(execution::Column::Episode));
        let backend = DbBackend::Sqlite;
        Ok(vec![backend.build(&disarm), backend.build(&insert)])
    }

    fn went_as_usual(&self, _: &[QueryResult]) -> Result<Answer, JournalError> {
        Ok(Ok(FireResult::Fired))
    }

    fn run<'c>(
        self: Arc<Self>,
        db: &'c DatabaseExecutor<'c>,
    ) -> BoxFuture<'c, Result<Answer, JournalError>> {
        Box::pin(async move { self.write(db).await })
    }
}

impl Firing {
    /// The episode first: where it may not fire, nothing was written that must be undone.
    async fn write(&self, db: &DatabaseExecutor<'_>) -> Result<Answer, JournalError> {
        if db.execute(&self.disarm()).await?.rows_affected() == 0 {
            return self.why_not(db).await;
        }
        let insert = insert(&self.new, &self.key, Source::Live, self.now)?;
        if db.execute(&insert).await?.rows_affected() == 0 {
            return self.belongs_to_another(db).await.map(Ok);
        }
        Ok(Ok(FireResult::Fired))
    }

    async fn why_not(&self, db: &DatabaseExecutor<'_>) -> Result<Answer, JournalError> {
        let (journal, new) = (&self.journal, &self.new);
        if let Some(found) = find_by_key(db, &self.key).await? {
            return Ok(Ok(self.fired_by(found)));
        }
        if let Some(reached) = limits::reached(db, journal, new, self.limits, self.now).await? {
            return Ok(Ok(reached));
        }
        if db.query_one(&owns(journal.epoch)).await?.is_none() {
            return Ok(Err(JournalError::NotOwner));
        }
        let acting = acting(new);
        if db.query_one(&paused(&acting)).await?.is_some() {
            return Ok(Err(JournalError::Paused));
        }
        if db.query_one(&held_back(&acting)).await?.is_some() {
            return Ok(Err(JournalError::Stopped));
        }
        Ok(Err(not_armed(db, new, self.now).await))
    }

    fn fired_by(&self, found: ExecutionId) -> FireResult {
        if found == self.new.id {
            FireResult::Fired
        } else {
            FireResult::FiredBefore(found)
        }
    }

    /// The episode was armed although its execution stands, as after a restored backup: that is the
    /// execution that it has fired.
    async fn belongs_to_another(
        &self,
        db: &DatabaseExecutor<'_>,
    ) -> Result<FireResult, JournalError> {
        let found = find_by_key(db, &self.key).await?;
        let changed = || StoreError::unavailable("the journal changed; try again");
        let found = found.ok_or_else(changed)?;
        let mut point = Query::update();
        point
            .table(arming::Entity)
            .value(arming::Column::ExecutionId, found.to_string());
        db.execute(&self.of_its_arming(point)).await?;
        Ok(self.fired_by(found))
    }

    fn disarm(&self) -> UpdateStatement {
        use arming::Column;
        let (journal, new) = (&self.journal, &self.new);
        let acting = acting(new);
        let mut disarm = Query::update();
        disarm
            .table(arming::Entity)
            .value(Column::State, FIRED)
            .value(Column::ExecutionId, new.id.to_string())
            .value(Column::FiredAt, self.now)
            .and_where(Expr::col(Column::State).eq(ARMED))
            // What an earlier owner wrote down, nobody would carry out.
            .and_where(Expr::exists(owns(journal.epoch)))
            .and_where(Expr::exists(paused(&acting)).not())
            .and_where(Expr::exists(held_back(&acting)).not());
        for room in limits::room(journal, new, self.limits, self.now) {
            disarm.and_where(room);
        }
        self.of_its_arming(disarm)
    }

    fn of_its_arming(&self, mut update: UpdateStatement) -> UpdateStatement {
        use arming::Column;
        let new = &self.new;
        update
            .and_where(Expr::col(Column::AutomationId).eq(new.automation.as_str()))
            .and_where(Expr::col(Column::PositionId).eq(new.position.to_string()))
            .and_where(Expr::col(Column::RuleVersion).eq(new.rule_version))
            .and_where(Expr::col(Column::Episode).eq(new.episode));
        update
    }
}

fn acting(new: &NewExecution) -> Acting {
    Acting {
        account: Expr::val(new.account.as_str()),
        automation: Expr::val(new.automation.as_str()),
        protective: Expr::val(new.decision.is_protective()),
    }
}

pub(super) fn insert(
    new: &NewExecution,
    key: &str,
    source: Source,
    now: DateTime<Utc>,
) -> Result<InsertStatement, StoreError> {
    use execution::Column;
    let json = |value: Result<_, serde_json::Error>| {
        value.map_err(|error| StoreError::Refused(format!("cannot be stored as JSON: {error}")))
    };
    let values = [
        (Column::Id, new.id.to_string().into()),
        (Column::TriggerKey, key.into()),
        (Column::Source, source.as_str().into()),
        (Column::AutomationId, new.automation.as_str().into()),
        (Column::AccountId, new.account.as_str().into()),
        (Column::UserId, new.user.as_str().into()),
        (Column::PositionId, new.position.to_string().into()),
        (Column::RuleVersion, new.rule_version.into()),
        (Column::Episode, new.episode.into()),
        (Column::State, State::Planned.as_str().into()),
        (
            Column::Action,
            json(serde_json::to_value(new.action))?.into(),
        ),
        (
            Column::Decision,
            json(serde_json::to_value(&new.decision))?.into(),
        ),
        (Column::Attempts, 0i32.into()),
        (Column::CreatedAt, now.into()),
        (Column::Protective, new.decision.is_protective().into()),
        (
            Column::AddedSats,
            new.action.added().map(|sats| sats.0).into(),
        ),
    ];
    let (columns, values): (Vec<_>, Vec<Expr>) = values.into_iter().unzip();
    let mut insert = Query::insert();
    insert
        .into_table(execution::Entity)
        .columns(columns)
        .values(values)
        .map_err(|error| StoreError::unavailable(error.to_string()))?
        .on_conflict(
            OnConflict::column(Column::TriggerKey)
                .do_nothing()
                .to_owned(),
        );
    Ok(insert)
}

/// The execution with a trigger key.
pub(super) async fn find_by_key(
    db: &DatabaseExecutor<'_>,
    key: &str,
) -> Result<Option<ExecutionId>, StoreError> {
    let query = Query::select()
        .column(execution::Column::Id)
        .from(execution::Entity)
        .and_where(Expr::col(execution::Column::TriggerKey).eq(key))
        .to_owned();
    let Some(row) = db.query_one(&query).await? else {
        return Ok(None);
    };
    let found: String = row.try_get("", "id")?;
    let columns = Columns {
        table: TABLE,
        id: &found,
    };
    columns.parse("id", &found).map(Some)
}

async fn not_armed(
    db: &DatabaseExecutor<'_>,
    new: &NewExecution,
    now: DateTime<Utc>,
) -> JournalError {
    let key = arming::Model {
        automation_id: new.automation.to_string(),
        position_id: new.position.to_string(),
        rule_version: new.rule_version,
        episode: new.episode,
        state: String::new(),
        execution_id: None,
        armed_at: now,
        fired_at: None,
    };
    match stands(db, &key).await {
        Ok(stands) => JournalError::NotArmed {
            episode: new.episode,
            stands,
        },
        Err(error) => error.into(),
    }
}
