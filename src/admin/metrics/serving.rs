//! The parts that serve every account: actors, the store, the queue of jobs.

use std::time::Duration;

use super::page::{Page, label};
use crate::actors::{Readiness, Shared};
use crate::admin::report::{QueueReport, Stored, stored};
use crate::journal::Standing;
use crate::queue::JobState;

/// A scrape waits no longer for the store or the queue: what they know is left out then.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);

pub(super) async fn figures(page: &mut Page, shared: &Shared) {
    actors(page, shared);
    store(page, shared).await;
    intents(page, shared);
    audit(page, shared);
    jobs(page, shared).await;
}

fn actors(page: &mut Page, shared: &Shared) {
    let readiness = Readiness::of(shared);
    let ready = readiness.is_complete() && shared.progress.late().is_empty();
    page.gauge("vigia_ready", "1 as /readyz has it.")
        .is(vec![], f64::from(u8::from(ready)));
    let unusable = page.gauge(
        "vigia_unusable",
        "What is stored and cannot be used: accounts, and rows of accounts and automations.",
    );
    for (what, count) in [
        ("account", readiness.unusable),
        ("row", readiness.unusable_rows),
    ] {
        unusable.is(label("what", what), count as f64);
    }
    let ages = page.gauge(
        "vigia_progress_age_seconds",
        "Since a part of the service got something done.",
    );
    for (part, age) in shared.progress.ages() {
        ages.is(label("part", part), age.as_secs_f64());
    }
    let lives = &shared.events.metrics().lives;
    let deaths = page.counter(
        "vigia_actor_deaths",
        "Ends of actors that nobody asked for.",
    );
    for ([kind], count) in lives.deaths.read() {
        deaths.count(label("kind", kind), count);
    }
    let restarts = page.counter("vigia_actor_restarts", "Actors that were started again.");
    for ([kind], count) in lives.restarts.read() {
        restarts.count(label("kind", kind), count);
    }
    let set_aside = page.gauge(
        "vigia_actors_quarantined",
        "Actors that died too often and are set aside.",
    );
    for (kind, count) in lives.set_aside() {
        set_aside.is(label("kind", kind), count as f64);
    }
}

async fn store(page: &mut Page, shared: &Shared) {
    let writes = shared.store.write_counts();
    page.histogram(
        "vigia_store_write_seconds",
        "From the wish to write to the answer.",
    )
    .took(vec![], writes.took.read());
    page.counter(
        "vigia_store_failed_writes",
        "Writes that the store did not make, or did not say whether it did.",
    )
    .count(vec![], writes.failed.read());
    page.counter(
        "vigia_store_commits",
        "Transactions of the connection that writes; many writes share one.",
    )
    .count(vec![], writes.commits.read());
    page.counter(
        "vigia_store_statements",
        "Statements of the connection that writes; what is sent at once is one.",
    )
    .count(vec![], writes.statements.read());
    let known = tokio::time::timeout(ANSWER_WITHIN, stored(shared)).await;
    let known = known.ok().and_then(Result::ok);
    page.gauge("vigia_store_up", "1 when the store answered this scrape.")
        .is(vec![], f64::from(u8::from(known.is_some())));
    let switches = page.gauge("vigia_kill_switches", "Kill switches that are on.");
    if let Some(known) = &known {
        for scope in ["service", "account", "automation"] {
            let on = known.kill_switches.iter();
            let on = on.filter(|switch| switch.reach.scope() == scope).count();
            switches.is(label("scope", scope), on as f64);
        }
    }
    let paused = page.gauge("vigia_accounts_paused", "Accounts that are paused.");
    if let Some(known) = &known {
        paused.is(vec![], known.pauses.len() as f64);
    }
    let executions = page.gauge(
        "vigia_journal_executions",
        "Executions of all time by their present state.",
    );
    for (state, count) in known
        .map(|Stored { executions, .. }| executions)
        .into_iter()
        .flatten()
    {
        executions.is(label("state", state), count as f64);
    }
}

/// Nothing where there is no file of intents.
fn intents(page: &mut Page, shared: &Shared) {
    let standing = shared.journal.standing();
    let number = |of: fn(&Standing) -> f64| standing.as_ref().map(of);
    for (name, help, value) in [
        (
            "vigia_intents_degraded_seconds",
            "For how long the store has not answered what protects; 0 while it does.",
            number(|told| {
                let outage = told.outage.as_ref();
                outage.map_or(0.0, |(lasted, _)| lasted.as_secs_f64())
            }),
        ),
        (
            "vigia_intents_waiting",
            "Executions that stand in the file of intents and not in the store.",
            number(|told| told.waiting as f64),
        ),
        (
            "vigia_intents_oldest_seconds",
            "For how long the oldest of them does; 0 where none does.",
            number(|told| told.oldest.unwrap_or_default().as_secs_f64()),
        ),
        (
            "vigia_intents_set_aside",
            "Executions that stay in the file of intents: the store refuses them for good.",
            number(|told| told.set_aside as f64),
        ),
        (
            "vigia_intents_bytes",
            "Bytes that are written of the file of intents.",
            number(|told| told.filled.0 as f64),
        ),
        (
            "vigia_intents_limit_bytes",
            "Bytes that it holds before it is written anew.",
            number(|told| told.filled.1 as f64),
        ),
    ] {
        let gauge = page.gauge(name, help);
        if let Some(value) = value {
            gauge.is(vec![], value);
        }
    }
}

fn audit(page: &mut Page, shared: &Shared) {
    let trouble = shared.journal.audit_trouble();
    let told = page.gauge(
        "vigia_audit_trouble",
        "1 where something is wrong with the head of the audit log.",
    );
    for (what, is) in [
        ("disputed", trouble.is_disputed),
        ("unreadable", trouble.is_unreadable),
        ("unwritten", trouble.is_unwritten),
    ] {
        told.is(label("what", what), f64::from(u8::from(is)));
    }
}

async fn jobs(page: &mut Page, shared: &Shared) {
    let queue = QueueReport::of(shared);
    let up = page.gauge(
        "vigia_queue_up",
        "1 when jobs can be taken, 0 when not; nothing in a dry run.",
    );
    if !shared.dry_run {
        up.is(vec![], f64::from(u8::from(queue.state == "connected")));
    }
    page.gauge(
        "vigia_queue_paused",
        "1 when somebody has paused the queue.",
    )
    .is(vec![], f64::from(u8::from(queue.paused)));
    page.gauge("vigia_jobs_in_hand", "Jobs that wait here or run.")
        .is(vec![], queue.in_hand as f64);
    page.counter(
        "vigia_queue_resumptions",
        "How often taking jobs was resumed after an outage.",
    )
    .count(vec![], queue.resumptions);
    let jobs = &shared.events.metrics().jobs;
    page.counter("vigia_jobs_taken", "Jobs that the queue handed out.")
        .count(vec![], jobs.taken.read());
    let settled = page.counter("vigia_jobs_settled", "What became of jobs, by outcome.");
    for (outcome, count) in [
        ("completed", &jobs.completed),
        ("attempt_failed", &jobs.attempts_failed),
        ("failed", &jobs.failed),
        ("returned", &jobs.returned),
    ] {
        settled.count(label("outcome", outcome), count.read());
    }
    let waiting = page.gauge("vigia_queue_jobs", "Jobs in the queue by state.");
    let counted = tokio::time::timeout(ANSWER_WITHIN, shared.jobs.counts()).await;
    if let Ok(Ok(counts)) = counted {
        for (state, count) in [
            (JobState::Waiting, counts.waiting),
            (JobState::Delayed, counts.delayed),
            (JobState::Active, counts.active),
            (JobState::Completed, counts.completed),
            (JobState::Failed, counts.failed),
        ] {
            waiting.is(label("state", state), count as f64);
        }
    }
}
