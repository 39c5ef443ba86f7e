//! Taking automations and accounts away. What they did stays recorded: executions and audit entries
//! outlive them. What is not settled yet keeps them.

use sea_orm::sea_query::{Condition, Expr, ExprTrait, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseExecutor, EntityTrait, QueryFilter};

use super::entity::{account, automation, execution, kill_switch};
use super::{Kind, Store, StoreError};
use crate::domain::execution::State;
use crate::domain::ids::{AccountId, AutomationId};
use crate::domain::kill_switch::{ACCOUNT, AUTOMATION};

/// Executions in these states keep what they belong to: they may yet be sent, or nobody knows yet
/// whether they were applied.
const KEEPS: [State; 3] = [State::Planned, State::Sending, State::Uncertain];
/// So many of them are named.
const NAMED: u64 = 5;

impl Store {
    /// Removes an automation, what it had armed, and its kill switch; its executions and audit
    /// entries stay.
    ///
    /// # Errors
    /// [`StoreError::Refused`] while an execution of it has not ended or is uncertain,
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`], [`StoreError::Busy`].
    pub async fn remove_automation(&self, id: &AutomationId) -> Result<(), StoreError> {
        let id = id.clone();
        self.write(Kind::Several, move |db| {
            Box::pin(async move {
                let of = execution::Column::AutomationId.eq(id.as_str());
                let what = format!("automation {id}");
                nothing_open(db, of, &what, &format!("vigia automation disable {id}")).await?;
                forget_switches(db, AUTOMATION, vec![id.to_string()]).await?;
                // What it had armed goes with it, by the schema.
                let deleted = automation::Entity::delete_by_id(id.as_str())
                    .exec(db)
                    .await?;
                match deleted.rows_affected {
                    0 => Err(StoreError::no_automation(id.as_str())),
                    _ => Ok(()),
                }
            })
        })
        .await
    }

    /// Removes an account with its credentials, its automations, what they had armed, and their kill
    /// switches; executions and audit entries stay. Nothing is said to the exchange. What was sealed
    /// is wiped from a file.
    ///
    /// # Errors
    /// [`StoreError::Refused`] while an execution of it has not ended or is uncertain,
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`], [`StoreError::Busy`].
    pub async fn remove_account(&self, id: &AccountId) -> Result<(), StoreError> {
        let id = id.clone();
        let removed = self.write(Kind::Several, move |db| {
            Box::pin(async move {
                let name = account::Entity::find_by_id(id.as_str()).one(db).await?;
                let name = name.ok_or_else(|| StoreError::no_account(id.as_str()))?;
                let what = format!("account {}", name.account_name);
                let of = execution::Column::AccountId.eq(id.as_str());
                let disable = format!("vigia account disable {}", name.account_name);
                nothing_open(db, of, &what, &disable).await?;
                let rules = automation::Entity::find()
                    .filter(automation::Column::AccountId.eq(id.as_str()))
                    .all(db)
                    .await?;
                let rules = rules.into_iter().map(|rule| rule.id).collect();
                forget_switches(db, AUTOMATION, rules).await?;
                forget_switches(db, ACCOUNT, vec![id.to_string()]).await?;
                automation::Entity::delete_many()
                    .filter(automation::Column::AccountId.eq(id.as_str()))
                    .exec(db)
                    .await?;
                account::Entity::delete_by_id(id.as_str()).exec(db).await?;
                Ok::<(), StoreError>(())
            })
        });
        removed.await?;
        self.wipe().await;
        Ok(())
    }
}

async fn forget_switches(
    db: &DatabaseExecutor<'_>,
    scope: &str,
    targets: Vec<String>,
) -> Result<(), StoreError> {
    kill_switch::Entity::delete_many()
        .filter(kill_switch::Column::Scope.eq(scope))
        .filter(kill_switch::Column::Target.is_in(targets))
        .exec(db)
        .await?;
    Ok(())
}

/// Refuses while executions are open, and says what to do about them.
async fn nothing_open(
    db: &DatabaseExecutor<'_>,
    of: impl Into<Expr>,
    what: &str,
    disable: &str,
) -> Result<(), StoreError> {
    let query = Query::select()
        .column(execution::Column::Id)
        .column(execution::Column::State)
        .from(execution::Entity)
        .cond_where(Condition::all().add(of.into()))
        .and_where(Expr::col(execution::Column::State).is_in(KEEPS.map(State::as_str)))
        .order_by(execution::Column::CreatedAt, sea_orm::Order::Asc)
        .limit(NAMED)
        .to_owned();
    let (mut open, mut uncertain) = (vec![], vec![]);
    for row in db.query_all(&query).await? {
        let (id, state): (String, String) = (row.try_get("", "id")?, row.try_get("", "state")?);
        if state == State::Uncertain.as_str() {
            uncertain.push(id);
        } else {
            open.push(id);
        }
    }
    let mut problems = vec![];
    if !open.is_empty() {
        problems.push(format!(
            "has executions that have not ended ({}): disable it with `{disable}`, and remove it when \
             they have",
            open.join(", ")
        ));
    }
    if let Some(first) = uncertain.first() {
        problems.push(format!(
            "has executions that may or may not have been applied ({}): look at the exchange, and \
             settle each as with `vigia execution resolve {first} …`",
            uncertain.join(", ")
        ));
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(StoreError::Refused(format!(
        "{what} {}",
        problems.join("; it ")
    )))
}
