//! The Node application's database, read in one snapshot and never written.

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sea_orm::sqlx::{self, ConnectOptions, Connection, Executor, Row};
use secrecy::zeroize::Zeroizing;

/// How long connecting, and reading, may take.
const DEADLINE: Duration = Duration::from_secs(60);
/// Where such an application's tables lie unless the address says `schema=…`.
const SCHEMA: &str = "public";

const ACCOUNTS: &str = "\
    SELECT a.id::text AS id, a.user_id::text AS user_id, a.exchange_id::text AS exchange_id, \
    a.account_name::text AS account_name, a.credentials::text AS credentials, \
    a.is_active::boolean AS is_active, e.name::text AS exchange, e.slug::text AS slug \
    FROM user_exchange_accounts a LEFT JOIN exchanges e ON e.id::text = a.exchange_id::text \
    ORDER BY 1";
const AUTOMATIONS: &str = "\
    SELECT id::text AS id, user_id::text AS user_id, \
    user_exchange_account_id::text AS account_id, type::text AS type, config::text AS config, \
    is_active::boolean AS is_active FROM \"Automation\" ORDER BY 1";

/// A row of `user_exchange_accounts` with its exchange. `None` is what is null.
#[derive(Clone, Default)]
pub(super) struct SourceAccount {
    pub(super) id: Option<String>,
    pub(super) user_id: Option<String>,
    pub(super) exchange_id: Option<String>,
    pub(super) name: Option<String>,
    /// JSON.
    pub(super) credentials: Option<Zeroizing<String>>,
    pub(super) is_active: Option<bool>,
    pub(super) exchange: Option<String>,
    pub(super) slug: Option<String>,
}

/// A row of `"Automation"`. `None` is what is null.
#[derive(Clone, Debug, Default)]
pub(super) struct SourceAutomation {
    pub(super) id: Option<String>,
    pub(super) user_id: Option<String>,
    pub(super) account_id: Option<String>,
    pub(super) kind: Option<String>,
    /// JSON.
    pub(super) config: Option<String>,
    pub(super) is_active: Option<bool>,
}

/// All that there is.
#[derive(Clone, Default)]
pub(super) struct Source {
    pub(super) accounts: Vec<SourceAccount>,
    pub(super) automations: Vec<SourceAutomation>,
}

/// Reads all accounts and automations at `url`.
pub(super) async fn read(url: &str) -> Result<Source> {
    let (url, schema) = split(url)?;
    let options = PgConnectOptions::from_str(&url)
        .context("the address of --from cannot be read: postgres://USER:PASSWORD@HOST/DATABASE")?
        .application_name("vigia import")
        .disable_statement_logging();
    let reading = async {
        let mut connection = options.connect().await?;
        let source = snapshot(&mut connection, &schema).await?;
        // Nothing was written: an end without a farewell loses nothing.
        let _ = connection.close().await;
        Ok::<_, sqlx::Error>(source)
    };
    let read = tokio::time::timeout(DEADLINE, reading).await;
    let read = read.with_context(|| format!("no answer within {} s", DEADLINE.as_secs()))?;
    read.with_context(|| {
        format!(
            "the application's tables user_exchange_accounts, exchanges and \"Automation\" cannot \
             be read in schema {schema} (another one: ?schema=NAME in the address)"
        )
    })
}

async fn snapshot(connection: &mut PgConnection, schema: &str) -> Result<Source, sqlx::Error> {
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    connection.execute(begin).await?;
    // The application's tables bear names that ours have too: never whatever is found first.
    sqlx::query("SELECT set_config('search_path', quote_ident($1), true)")
        .bind(schema)
        .execute(&mut *connection)
        .await?;
    let accounts = connection.fetch_all(ACCOUNTS).await?;
    let automations = connection.fetch_all(AUTOMATIONS).await?;
    Ok(Source {
        accounts: accounts.iter().map(account).collect::<Result<_, _>>()?,
        automations: automations
            .iter()
            .map(automation)
            .collect::<Result<_, _>>()?,
    })
}

fn account(row: &PgRow) -> Result<SourceAccount, sqlx::Error> {
    Ok(SourceAccount {
        id: row.try_get("id")?,
        user_id: row.try_get("user_id")?,
        exchange_id: row.try_get("exchange_id")?,
        name: row.try_get("account_name")?,
        credentials: row
            .try_get::<Option<String>, _>("credentials")?
            .map(Zeroizing::new),
        is_active: row.try_get("is_active")?,
        exchange: row.try_get("exchange")?,
        slug: row.try_get("slug")?,
    })
}

fn automation(row: &PgRow) -> Result<SourceAutomation, sqlx::Error> {
    Ok(SourceAutomation {
        id: row.try_get("id")?,
        user_id: row.try_get("user_id")?,
        account_id: row.try_get("account_id")?,
        kind: row.try_get("type")?,
        config: row.try_get("config")?,
        is_active: row.try_get("is_active")?,
    })
}

/// Takes the parameters of a Prisma address out, of which `schema` is kept: the database knows none
/// of them.
fn split(url: &str) -> Result<(String, String)> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        bail!("--from takes postgres://USER:PASSWORD@HOST/DATABASE");
    }
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let mut schema = SCHEMA.to_owned();
    let mut kept = vec![];
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        match parameter.split_once('=') {
            Some(("schema", name)) => schema = name.to_owned(),
            Some((name, _)) if name.starts_with("ssl") || name == "host" => kept.push(parameter),
            _ => {}
        }
    }
    if kept.is_empty() {
        return Ok((base.to_owned(), schema));
    }
    Ok((format!("{base}?{}", kept.join("&")), schema))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_address_the_schema_is_taken_and_what_only_others_know_is_left_out() {
        for (url, expected) in [
            ("postgres://u:p@h/d", ("postgres://u:p@h/d", "public")),
            (
                "postgresql://u:p@h/d?schema=app&connection_limit=5&sslmode=require",
                ("postgresql://u:p@h/d?sslmode=require", "app"),
            ),
        ] {
            let (base, schema) = split(url).unwrap();
            assert_eq!((base.as_str(), schema.as_str()), expected);
        }
        let error = split("mysql://u:hunter2@h/d").unwrap_err().to_string();
        assert!(error.contains("postgres://") && !error.contains("hunter2"));
    }
}
