//! Kill switches. One that stands holds back from the moment it is written, in every process that
//! uses this store: executions are let out, and triggers fire, only where none stands.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query, SelectStatement};
use sea_orm::{
    ActiveValue::Set, ConnectionTrait, DatabaseExecutor, EntityTrait, QueryOrder, QueryTrait,
};
use serde_json::{Value, json};

use super::entity::execution;
use super::entity::kill_switch::{ActiveModel, Column, Entity, Model};
use super::{Kind, Listed, Store, StoreError, list, name_of, put_notice};
use crate::domain::kill_switch::{ACCOUNT, AUTOMATION, KillSwitch, Reach, SERVICE};
use crate::domain::notice::{Kinds, Notice, NoticeKind};
use crate::domain::text;

impl TryFrom<Model> for KillSwitch {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        let reach = Reach::stored(&row.scope, &row.target).ok_or_else(|| {
            let id = format!("{}/{}", row.scope, row.target);
            StoreError::corrupt("kill_switches", &id, "unknown scope")
        })?;
        Ok(Self {
            reach,
            allows_protective: row.allows_protective,
            reason: row.reason,
            since: row.since,
        })
    }
}

impl Store {
    /// Puts a kill switch on; one that is on already for the same is replaced.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for an account or automation that does not exist,
    /// [`StoreError::Unavailable`], [`StoreError::Busy`].
    pub async fn kill_switch_on(
        &self,
        reach: &Reach,
        allows_protective: bool,
        reason: Option<String>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        match reach {
            Reach::Service => {}
            Reach::Account(id) => drop(self.account(id.as_str()).await?),
            Reach::Automation(id) => drop(self.automation(id).await?),
        }
        let reason = text::reason(reason);
        let data = json!({ "allowsProtective": allows_protective, "reason": reason });
        let (told, notice) = (
            self.told(),
            notice(NoticeKind::KillSwitchOn, reach, data, now),
        );
        let row = ActiveModel {
            scope: Set(reach.scope().to_owned()),
            target: Set(reach.target().to_owned()),
            allows_protective: Set(allows_protective),
            reason: Set(reason),
            since: Set(now),
        };
        let mut insert = Entity::insert(row).into_query();
        let values = [Column::AllowsProtective, Column::Reason, Column::Since];
        let key = [Column::Scope, Column::Target];
        insert.on_conflict(OnConflict::columns(key).update_columns(values).to_owned());
        self.write_first(Kind::Several, move |db| {
            Box::pin(async move {
                db.execute(&insert).await?;
                tell(db, told, notice).await
            })
        })
        .await
    }

    /// Takes a kill switch off; whether it was on.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Busy`].
    pub async fn kill_switch_off(
        &self,
        reach: &Reach,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let (told, notice) = (
            self.told(),
            notice(NoticeKind::KillSwitchOff, reach, json!({}), now),
        );
        let delete = Query::delete()
            .from_table(Entity)
            .and_where(Expr::col(Column::Scope).eq(reach.scope()))
            .and_where(Expr::col(Column::Target).eq(reach.target()))
            .to_owned();
        self.write_first(Kind::Several, move |db| {
            Box::pin(async move {
                let was_on = db.execute(&delete).await?.rows_affected() > 0;
                if was_on {
                    tell(db, told, notice).await?;
                }
                Ok(was_on)
            })
        })
        .await
    }

    /// All that are on, the oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn kill_switches(&self) -> Result<Listed<KillSwitch>, StoreError> {
        self.read(async |db| {
            let query = Entity::find().order_by_asc(Column::Since);
            let query = query.build(db.get_database_backend());
            list::<Model, _, _>(db, query, "kill_switches", "target").await
        })
        .await
    }
}

fn notice(kind: NoticeKind, reach: &Reach, mut data: Value, at: DateTime<Utc>) -> Notice {
    data["scope"] = json!(reach.scope());
    data["target"] = json!(reach.target());
    let account = match reach {
        // Its name is looked up when it is written.
        Reach::Account(id) => Some((id.clone(), String::new())),
        Reach::Service | Reach::Automation(_) => None,
    };
    Notice {
        kind,
        id: format!(
            "{kind}:{}:{}:{}",
            reach.scope(),
            reach.target(),
            at.timestamp_millis()
        ),
        account,
        at,
        data,
    }
}

async fn tell(
    db: &DatabaseExecutor<'_>,
    told: Kinds,
    mut notice: Notice,
) -> Result<(), StoreError> {
    if let Some((id, name)) = &mut notice.account
        && told.has(notice.kind)
    {
        *name = name_of(db, id.as_str()).await?;
    }
    put_notice(db, told, &notice).await.map(drop)
}

/// What would act, as a statement knows it: its account, its automation, and whether it protects a
/// position.
pub(crate) struct Acting {
    pub(crate) account: Expr,
    pub(crate) automation: Expr,
    pub(crate) protective: Expr,
}

impl Acting {
    /// The execution that a statement is about.
    pub(crate) fn its() -> Self {
        let its = |column| Expr::col((execution::Entity, column));
        Self {
            account: its(execution::Column::AccountId),
            automation: its(execution::Column::AutomationId),
            protective: its(execution::Column::Protective),
        }
    }
}

/// Finds the kill switches that hold back what would act.
pub(crate) fn held_back(what: &Acting) -> SelectStatement {
    let of = |column| Expr::col((Entity, column));
    let service = of(Column::Scope).eq(SERVICE);
    let account = of(Column::Scope)
        .eq(ACCOUNT)
        .and(of(Column::Target).eq(what.account.clone()));
    let automation = of(Column::Scope)
        .eq(AUTOMATION)
        .and(of(Column::Target).eq(what.automation.clone()));
    let let_through = of(Column::AllowsProtective)
        .eq(true)
        .and(what.protective.clone().eq(true));
    Query::select()
        .expr(Expr::val(1))
        .from(Entity)
        .and_where(service.or(account).or(automation))
        .and_where(let_through.not())
        .to_owned()
}
