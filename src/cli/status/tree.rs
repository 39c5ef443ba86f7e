//! The report as the tree of actors that it is.

use chrono::{DateTime, Utc};

use super::account;
use super::branch::Branch;
use crate::admin::{
    FeedReport, LifeReport, NotificationsReport, PartReport, QueueReport, StatusReport, Summary,
};
use crate::cli::format::{thousands, usd};
use crate::cli::table;
use crate::domain::text::plain;

/// All lines.
pub(super) fn lines(report: &StatusReport) -> Vec<String> {
    let mut lines: Vec<_> = head(report).iter().map(|line| plain(line)).collect();
    lines.extend(unusable(&report.summary));
    lines.extend(tree(report, report.at).lines());
    lines
}

fn head(report: &StatusReport) -> Vec<String> {
    let mode = if report.dry_run { ", dry run" } else { "" };
    let mut lines = vec![format!(
        "vigia {}   pid {}   up {} s{mode}   executions under way: {}",
        report.version, report.pid, report.uptime_s, report.in_hand
    )];
    match &report.store_error {
        Some(error) => lines.push(format!("STORE        {error}")),
        None => {
            let counts = report.executions.iter();
            let counts: Vec<_> = counts
                .map(|(state, count)| format!("{count} {state}"))
                .collect();
            lines.push(format!("executions   {}", counts.join(", ")));
        }
    }
    lines.push(jobs(&report.queue));
    lines.push(notifications(&report.notifications));
    lines.push(format!("accounts     {}", summary(&report.summary)));
    if report.left_out > 0 {
        lines.push(format!(
            "             {} that are live and farther from liquidation are not shown: --all, --account NAME",
            report.left_out
        ));
    }
    for switch in &report.kill_switches {
        let but = if switch.allows_protective {
            ", but margin guards and stop-losses"
        } else {
            ""
        };
        let why = switch.reason.as_deref().unwrap_or("no reason given");
        lines.push(format!(
            "KILL SWITCH  on for {}{but}, since {}: {why}",
            switch.reach,
            table::time(switch.since)
        ));
    }
    lines
}

/// `notifications   3 wait to be delivered`.
fn notifications(notifications: &NotificationsReport) -> String {
    let told = match (notifications.configured, notifications.waiting) {
        (false, None | Some(0)) => "no receiver is configured (notify.url)".to_owned(),
        (false, Some(waiting)) => format!("{waiting} wait, and no receiver is configured"),
        (true, None) => "how many wait is not known".to_owned(),
        (true, Some(waiting)) => format!("{waiting} wait to be delivered"),
    };
    format!("notifications {told}")
}

/// `jobs   from redis: connected, 3 in hand`, or what is wrong.
fn jobs(queue: &QueueReport) -> String {
    let mut told = format!("jobs         from {}: {}", queue.backend, queue.state);
    if let (Some(cause), Some(lost_ms)) = (&queue.cause, queue.lost_ms) {
        told += &format!(" for {} s, live rules go on: {cause}", lost_ms / 1000);
    }
    if queue.paused {
        told += ", paused by somebody: none are handed out";
    }
    told += &format!(", {} in hand", queue.in_hand);
    if queue.resumptions > 0 {
        told += &format!(", resumed {} times", queue.resumptions);
    }
    told
}

/// `3: 2 live, 1 blind; 2 over websocket, 1 over http; 4 positions, 5 levels`.
fn summary(summary: &Summary) -> String {
    let there = |counts: &std::collections::BTreeMap<String, usize>, over: &str| {
        let counts = counts.iter().filter(|(_, count)| **count > 0);
        let counts: Vec<_> = counts
            .map(|(word, count)| format!("{} {over}{word}", thousands(*count as i64)))
            .collect();
        counts.join(", ")
    };
    let mut told = format!("{}", summary.accounts);
    if summary.accounts > 0 {
        let states = there(&summary.states, "");
        told += &format!(": {states}; {}", there(&summary.transports, "over "));
    }
    told += &format!(
        "; {} positions, {} levels",
        summary.positions, summary.levels
    );
    if summary.quarantined > 0 {
        told += &format!("; {} actors QUARANTINED", summary.quarantined);
    }
    told
}

/// `UNUSABLE   2 accounts …`: what is in no tree, as it is not served.
fn unusable(summary: &Summary) -> Option<String> {
    let (accounts, rows) = (summary.unusable, summary.unusable_rows);
    (accounts + rows > 0).then(|| {
        format!(
            "UNUSABLE     accounts that cannot be served: {accounts}; rows and rules that cannot be read \
             or obeyed: {rows}; `config.unusable` in the log says why"
        )
    })
}

fn tree(report: &StatusReport, now: DateTime<Utc>) -> Branch {
    let mut root = Branch::new("supervisor");
    for part in &report.parts {
        let mut branch = part_branch(part, now);
        if part.actor == "intake" {
            let intake = &report.intake;
            branch.say(format!(
                "executions: {} wait, {} wait for a proof or their next try; executors: {} busy, {} started, {} at most",
                intake.waiting, intake.parked, intake.busy, intake.executors, intake.most
            ));
            for executor in &intake.died {
                branch.add(part_branch(executor, now));
            }
        }
        root.add(branch);
    }
    for feed in &report.feeds {
        root.add(feed_branch(feed, now));
    }
    for account in &report.accounts {
        root.add(account::branch(report, account, now));
    }
    root
}

fn part_branch(part: &PartReport, now: DateTime<Utc>) -> Branch {
    let backlog = part
        .backlog
        .map_or(String::new(), |many| format!("   backlog {many}"));
    let mut branch = Branch::new(format!(
        "{:<16} {}   restarts {}{backlog}",
        part.actor, part.life.state, part.life.restarts
    ));
    if let Some(told) = life(&part.life, now) {
        branch.say(told);
    }
    branch
}

fn feed_branch(feed: &FeedReport, now: DateTime<Utc>) -> Branch {
    let actor = format!("price_feed/{}", feed.network);
    let price = match (feed.price, feed.price_age_ms) {
        (Some(price), Some(age)) => format!("{} (confirmed {age} ms ago)", usd(price.usd())),
        _ => "no price".to_owned(),
    };
    let mut branch = Branch::new(format!(
        "{actor:<16} {}   restarts {}   {price}   {} ticks   {} levels",
        feed.life.state, feed.life.restarts, feed.ticks, feed.levels
    ));
    if let Some(told) = life(&feed.life, now) {
        branch.say(told);
    }
    branch
}

/// `restarts: 2; died 3 s ago: panicked: …`; nothing of an actor that has not died.
pub(super) fn life(life: &LifeReport, now: DateTime<Utc>) -> Option<String> {
    let cause = life.last_cause.as_ref()?;
    let when = life
        .died_at
        .map_or(String::new(), |at| format!(" {}", ago(at, now)));
    let state = match life.state.as_str() {
        "running" => String::new(),
        other => format!("{}; ", other.to_uppercase()),
    };
    Some(format!(
        "{state}restarts: {}; died{when}: {cause}",
        life.restarts
    ))
}

/// `3 s ago`.
pub(super) fn ago(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let seconds = (now - at).num_seconds().max(0);
    match seconds {
        0..120 => format!("{seconds} s ago"),
        120..7200 => format!("{} min ago", seconds / 60),
        _ => format!("at {}", table::time(at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_on_one_line_with_what_is_wrong() {
        let mut queue = QueueReport {
            backend: "redis".to_owned(),
            state: "connected".to_owned(),
            cause: None,
            lost_ms: None,
            paused: false,
            in_hand: 3,
            resumptions: 0,
        };
        assert_eq!(
            jobs(&queue),
            "jobs         from redis: connected, 3 in hand"
        );
        queue.paused = true;
        assert!(jobs(&queue).contains("connected, paused by somebody"));
        queue.paused = false;
        queue.state = "lost".to_owned();
        queue.cause = Some("Connection refused (os error 111)".to_owned());
        (queue.lost_ms, queue.resumptions) = (Some(12_345), 2);
        assert_eq!(
            jobs(&queue),
            "jobs         from redis: lost for 12 s, live rules go on: Connection refused \
             (os error 111), 3 in hand, resumed 2 times"
        );
    }
}
