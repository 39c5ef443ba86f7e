//! `vigia job`: requests to run an automation now.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;

use super::context::Context;
use super::table;
use crate::config::QueueSettings;
use crate::domain::ids::{AutomationId, PositionId};
use crate::queue::{Backoff, Counts, Entry, JobQueue, JobState, NewJob};
use crate::store::Store;

/// How many jobs of each state are listed unless another number is given.
const LIST_LIMIT: u64 = 50;

/// Add, list or show jobs, or let failed ones run again
#[derive(Args, Debug)]
pub struct JobArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: JobCommand,
}

/// What can be done with jobs.
#[derive(Debug, Subcommand)]
pub enum JobCommand {
    /// Ask for an automation to be run now
    Add(AddArgs),
    /// List jobs, the latest of each state first
    List(ListArgs),
    /// Show one job
    Show {
        /// The job's id
        job: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Let a job that has failed run once more
    Retry {
        /// The job's id
        job: String,
    },
}

/// A job to be added.
#[derive(Args, Debug)]
pub struct AddArgs {
    /// The automation's id
    pub automation: String,
    /// The action that is expected, where the automation could be changed meanwhile
    #[arg(long)]
    pub action: Option<String>,
    /// Of this one position only
    #[arg(long, value_name = "ID")]
    pub trade_id: Option<PositionId>,
    /// 1 is the most urgent; 0 goes before all
    #[arg(long)]
    pub priority: Option<u32>,
    /// How often it may be attempted
    #[arg(long)]
    pub attempts: Option<u32>,
    /// Not before so many milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub delay_ms: u64,
    /// An id of its own: a job of that id is added once only
    #[arg(long)]
    pub id: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Which jobs to list.
#[derive(Args, Debug)]
pub struct ListArgs {
    /// In this state only: waiting, delayed, active, completed or failed
    #[arg(long)]
    pub state: Option<JobState>,
    /// At most so many of each state
    #[arg(long, default_value_t = LIST_LIMIT)]
    pub limit: u64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Carries out a command.
///
/// # Errors
/// What cannot be done, and what to do about it.
pub async fn run(
    command: &JobCommand,
    settings: &QueueSettings,
    queue: &JobQueue,
    store: &Store,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    match command {
        JobCommand::Add(args) => add(args, settings, queue, store, context).await,
        JobCommand::List(args) => list(args, queue, context).await,
        JobCommand::Show { job, json } => {
            let entry = queue.show(job).await?;
            if *json {
                return context.json(&entry);
            }
            show(&entry, context)
        }
        JobCommand::Retry { job } => {
            queue.retry(job).await?;
            Ok(writeln!(context.out, "job {job} waits again")?)
        }
    }
}

async fn add(
    args: &AddArgs,
    settings: &QueueSettings,
    queue: &JobQueue,
    store: &Store,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    let automation = AutomationId::new(&args.automation);
    let automation = store.automation(&automation).await?;
    let mut data = json!({ "userId": automation.user_id, "automationId": automation.id });
    if let Some(action) = &args.action {
        data["action"] = json!(action);
    }
    if let Some(position) = args.trade_id {
        data["tradeId"] = json!(position);
    }
    let job = NewJob {
        id: args.id.clone(),
        data,
        priority: args.priority.unwrap_or(settings.priority),
        delay: Duration::from_millis(args.delay_ms),
        attempts: args.attempts.unwrap_or(settings.attempts),
        backoff: Some(Backoff::Exponential(settings.backoff())),
        keep_completed: None,
        keep_failed: None,
    };
    let added = queue.add(job).await?;
    if args.json {
        return context.json(&json!({ "id": added.id, "existed": added.existed }));
    }
    if added.existed {
        writeln!(
            context.out,
            "job {} was there already: nothing was added",
            added.id
        )?;
    } else {
        writeln!(context.out, "job {} is added", added.id)?;
    }
    writeln!(context.notes, "next: `vigia job show {}`", added.id)?;
    if !automation.is_active {
        let id = &automation.id;
        writeln!(
            context.notes,
            "warning: automation {id} is disabled: the job will fail unless it is enabled first"
        )?;
    }
    Ok(())
}

async fn list(args: &ListArgs, queue: &JobQueue, context: &mut Context<'_>) -> anyhow::Result<()> {
    let counts = queue.counts().await?;
    let jobs = queue.list(args.state, args.limit).await?;
    if args.json {
        return context.json(&json!({ "counts": counts, "jobs": jobs }));
    }
    writeln!(context.notes, "{}", summary(&counts))?;
    if jobs.is_empty() {
        return Ok(writeln!(context.notes, "there are no such jobs")?);
    }
    let row = |job: &Entry| {
        vec![
            job.id.clone(),
            job.state.to_string(),
            job.priority.to_string(),
            format!("{}/{}", job.attempts_made, job.attempts),
            table::time(job.added_at),
            asked_of(job),
            outcome(job),
        ]
    };
    let rows: Vec<_> = jobs.iter().map(row).collect();
    let headers = [
        "ID",
        "STATE",
        "PRIORITY",
        "ATTEMPTS",
        "ADDED",
        "AUTOMATION",
        "OUTCOME",
    ];
    Ok(table::write(context.out, &headers, &rows)?)
}

fn summary(counts: &Counts) -> String {
    let Counts {
        waiting,
        delayed,
        active,
        completed,
        failed,
        paused,
    } = counts;
    let paused = if *paused { "; the queue is paused" } else { "" };
    format!(
        "{waiting} waiting, {delayed} delayed, {active} active, {completed} completed, {failed} \
         failed{paused}"
    )
}

fn asked_of(job: &Entry) -> String {
    let automation = job.data.get("automationId");
    automation
        .and_then(serde_json::Value::as_str)
        .unwrap_or("-")
        .to_owned()
}

/// In a word: what came of the job, or when it will be tried.
fn outcome(job: &Entry) -> String {
    let status = job
        .return_value
        .as_ref()
        .and_then(|value| value.get("status"));
    let status = status
        .and_then(serde_json::Value::as_str)
        .map(str::to_owned);
    match job.state {
        JobState::Completed => status.unwrap_or_default(),
        JobState::Delayed => format!("due {}", table::or_dash(job.due_at.map(table::time))),
        _ => job.failed_reason.clone().unwrap_or_default(),
    }
}

fn show(job: &Entry, context: &mut Context<'_>) -> anyhow::Result<()> {
    let at = |time: Option<_>| table::or_dash(time.map(table::time));
    let pairs = [
        ("id", job.id.clone()),
        ("name", job.name.clone()),
        ("state", job.state.to_string()),
        ("priority", job.priority.to_string()),
        (
            "attempts",
            format!("{} of {}", job.attempts_made, job.attempts),
        ),
        ("added", table::time(job.added_at)),
        ("due", at(job.due_at)),
        ("taken", at(job.taken_at)),
        ("finished", at(job.finished_at)),
        ("data", job.data.to_string()),
        ("return value", table::or_dash(job.return_value.as_ref())),
        ("failed because", table::or_dash(job.failed_reason.as_ref())),
    ];
    table::write_pairs(context.out, &pairs)?;
    if job.state == JobState::Failed {
        writeln!(
            context.notes,
            "next: `vigia job retry {}` lets it run once more",
            job.id
        )?;
    }
    Ok(())
}
