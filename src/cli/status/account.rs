//! One account on its branch of the tree.

use chrono::{DateTime, Utc};

use super::branch::Branch;
use super::tree::{ago, life};
use crate::admin::{
    AccountReport, AutomationReport, LevelReport, PositionReport, StatusReport, WatchReport,
};
use crate::cli::format::{percent, thousands, usd};
use crate::domain::kill_switch::{KillSwitch, Reach};
use crate::journal::Usage;

pub(super) fn branch(report: &StatusReport, account: &AccountReport, now: DateTime<Utc>) -> Branch {
    let age = |ms: Option<u64>| ms.map_or("never".to_owned(), |ms| format!("{ms} ms ago"));
    let price = account.price.map_or("no price".to_owned(), |price| {
        format!("price {}", usd(price.usd()))
    });
    let mut branch = Branch::new(format!(
        "connection/{:<16} {} over {}   restarts {}   backlog {}   {price} (confirmed {})   book read {}   balance {}",
        account.name,
        account.state,
        account.transport,
        account.connection.restarts,
        account.executions_waiting,
        age(account.price_age_ms),
        age(account.book_age_ms),
        account
            .balance
            .map_or("unknown".to_owned(), |sats| thousands(sats.0)),
    ));
    if let Some(told) = life(&account.connection, now) {
        branch.say(told);
    }
    if let Some(pause) = &account.paused {
        let why = pause.reason.as_deref().unwrap_or("no reason given");
        branch.say(format!(
            "PAUSED by {}, {}: {why}",
            pause.by,
            ago(pause.since, now)
        ));
    }
    if let Some(usage) = &account.protections {
        branch.say(protections(usage));
    }
    for switch in switches_of(&report.kill_switches, account) {
        branch.say(format!("KILL SWITCH on for {}", switch.reach));
    }
    if account.executions_waiting > 0 {
        let many = account.executions_waiting;
        branch.say(format!("executions that have not ended: {many}"));
    }
    if let Some(last) = &account.last_execution {
        let why = last
            .reason
            .as_ref()
            .map_or(String::new(), |why| format!(": {why}"));
        branch.say(format!(
            "last execution: {} of {}, {} {}{why}",
            last.action,
            last.position,
            last.state,
            ago(last.at, now),
        ));
    }
    for automation in &account.automations {
        branch.add(automation_branch(automation, now));
    }
    for position in &account.positions {
        branch.add(position_branch(position));
    }
    branch
}

/// `today: 3 of 50 executions, 500,000 of 1,000,000 sats added; 1 of 5 failures in a row`.
fn protections(usage: &Usage) -> String {
    let of = |most: Option<String>| most.map_or(String::new(), |most| format!(" of {most}"));
    format!(
        "today: {}{} executions, {}{} sats added; {}{} failures in a row",
        usage.today.executions,
        of(usage.holds.executions_per_day.map(|most| most.to_string())),
        thousands(usage.today.added.0),
        of(usage.holds.sats_per_day.map(|most| thousands(most.0))),
        usage.failures,
        of(usage.holds.failures_in_a_row.map(|most| most.to_string())),
    )
}

/// Kill switches of the account and of its automations; that of everything is told above.
fn switches_of<'a>(
    all: &'a [KillSwitch],
    account: &'a AccountReport,
) -> impl Iterator<Item = &'a KillSwitch> {
    all.iter().filter(move |switch| match &switch.reach {
        Reach::Service => false,
        Reach::Account(id) => id.as_str() == account.id,
        Reach::Automation(id) => {
            let mut automations = account.automations.iter();
            automations.any(|automation| automation.id == id.as_str())
        }
    })
}

fn automation_branch(automation: &AutomationReport, now: DateTime<Utc>) -> Branch {
    let AutomationReport {
        id,
        kind,
        life: state,
        ..
    } = automation;
    let mut branch = Branch::new(format!(
        "automation/{id}   {kind}   {}   restarts {}",
        state.state, state.restarts
    ));
    if let Some(told) = life(state, now) {
        branch.say(told);
    }
    if let Some(market) = &automation.market {
        branch.say(format!("market: {}", watching(market)));
    }
    branch
}

fn position_branch(position: &PositionReport) -> Branch {
    let mut branch = Branch::new(format!(
        "{} {:>5} {:>9} USD   margin {:>12}   leverage {:>6.2}   liquidation {:>10} ({} away)   lost {}",
        position.id,
        position.side.direction(),
        thousands(position.quantity.0),
        thousands(position.margin.0),
        position.leverage,
        usd(position.liquidation.usd()),
        position.distance.map_or("?".to_owned(), percent),
        position.margin_used.map_or("?".to_owned(), percent),
    ));
    for level in &position.levels {
        let LevelReport {
            automation,
            kind,
            watch,
        } = level;
        branch.say(format!("{kind} {automation}: {}", watching(watch)));
    }
    branch
}

/// `armed, fires at or below 93,457.5 (6.5 % away)`.
pub(super) fn watching(watch: &WatchReport) -> String {
    let mut told = watch.phase.clone();
    let verb = match watch.phase.as_str() {
        "spent" => "armed again",
        _ => "fires",
    };
    let sides = [("below", watch.at_or_below), ("above", watch.at_or_above)];
    let sides: Vec<_> = sides
        .into_iter()
        .filter_map(|(side, price)| Some(format!("at or {side} {}", usd(price?.usd()))))
        .collect();
    if !sides.is_empty() {
        told += &format!(", {verb} {}", sides.join(", or "));
        if let Some(distance) = watch.distance {
            told += &format!(" ({} away)", percent(distance));
        }
    }
    if let Some(until) = watch.until {
        told += &format!(", until {} at the least", until.format("%H:%M:%S"));
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::protection::{OwnProtections, Protections, Today};
    use crate::domain::units::{Price, Sats};

    #[test]
    fn what_was_done_today_is_told_with_what_may_be() {
        let mut usage = Usage {
            holds: Protections::default(),
            own: OwnProtections::default(),
            today: Today {
                executions: 3,
                added: Sats(500_000),
            },
            until: DateTime::UNIX_EPOCH,
            failures: 1,
        };
        assert_eq!(
            protections(&usage),
            "today: 3 executions, 500,000 sats added; 1 failures in a row"
        );
        usage.holds = Protections {
            executions_per_day: Some(50),
            sats_per_day: Some(Sats(1_000_000)),
            failures_in_a_row: Some(5),
        };
        assert_eq!(
            protections(&usage),
            "today: 3 of 50 executions, 500,000 of 1,000,000 sats added; 1 of 5 failures in a row"
        );
    }

    #[test]
    fn a_level_is_told_with_what_happens_there_and_how_far_it_is() {
        let mut watch = WatchReport {
            phase: "armed".to_owned(),
            episode: 1,
            until: None,
            at_or_below: Price::from_usd(93_457.5),
            at_or_above: None,
            distance: Some(0.065_425),
        };
        assert_eq!(
            watching(&watch),
            "armed, fires at or below 93,457.5 (6.5 % away)"
        );
        watch.at_or_above = Price::from_usd(110_000.0);
        watch.distance = None;
        assert_eq!(
            watching(&watch),
            "armed, fires at or below 93,457.5, or at or above 110,000"
        );
        watch.phase = "resting".to_owned();
        (watch.at_or_below, watch.at_or_above) = (None, None);
        watch.until = Some(DateTime::UNIX_EPOCH);
        assert_eq!(watching(&watch), "resting, until 00:00:00 at the least");
    }
}
