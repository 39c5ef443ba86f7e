//! Why an automation does not act on a position: everything that it takes, looked at in turn.

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use serde::Serialize;

use super::allowed::allowed;
use super::{WhyArgs, fires, place, report, ruled, stands};
use crate::cli::context::Context;
use crate::cli::format::{percent, usd};
use crate::cli::own::{self, Own};
use crate::cli::table;
use crate::config::Settings;
use crate::domain::execution::{Decision, Seen, State};
use crate::domain::ids::{AutomationId, PositionId};
use crate::domain::position::Position;
use crate::domain::rules::{Rearming, Rule, Subject};
use crate::domain::units::Price;
use crate::journal::{ArmedState, Filter, Journal, StoredArming};
use crate::store::{Account, Automation};

/// Executions of a day that are counted against a limit.
const MOST_COUNTED: u64 = 10_000;

/// One thing that acting takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Finding {
    what: &'static str,
    /// Whether it lets the automation act; null where nobody can tell.
    ok: Option<bool>,
    detail: String,
}

impl Finding {
    pub(super) fn new(
        what: &'static str,
        ok: impl Into<Option<bool>>,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            what,
            ok: ok.into(),
            detail: detail.into(),
        }
    }
}

/// Tells why an automation does not act on a position.
pub(super) async fn explain(
    automation: &AutomationId,
    position: PositionId,
    args: &WhyArgs,
    settings: &Settings,
    journal: &Journal,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    let store = journal.store();
    let automation = store.automation(automation).await?;
    let account = store.account(automation.account_id.as_str()).await?;
    let own = if args.offline {
        Err("--offline".to_owned())
    } else {
        own::read(settings, store, &account).await
    };
    let mut findings = stored(&automation, &account);
    if let Ok(rule) = automation.rule() {
        let seen = seen(&rule, position, &own, journal, &automation).await?;
        findings.extend(seen);
        findings.extend(armed(&rule, &automation, position, journal, context.now).await?);
        findings.extend(allowed(&rule, &account, journal, context.now).await?);
    }
    let blocking = findings.iter().find(|finding| finding.ok == Some(false));
    let answer = blocking.map_or_else(
        || "nothing stands in its way: it acts when its condition is true".to_owned(),
        |finding| finding.detail.clone(),
    );
    if args.json {
        return context.json(&report(&findings, &answer));
    }
    let rule = ruled(&automation, automation.rule_version);
    writeln!(
        context.out,
        "Automation {} of account {}, for {}: {rule}",
        automation.id,
        account.name,
        place(position)
    )?;
    writeln!(context.out, "Why it does not act: {answer}.\n")?;
    for finding in &findings {
        let mark = match finding.ok {
            Some(true) => "ok  ",
            Some(false) => "NO  ",
            None => "?   ",
        };
        writeln!(context.out, "{mark} {}: {}", finding.what, finding.detail)?;
    }
    Ok(())
}

/// What the store says.
fn stored(automation: &Automation, account: &Account) -> Vec<Finding> {
    let told = |ok: bool, yes: &str, no: String| if ok { yes.to_owned() } else { no };
    let enable = format!(
        "it is disabled: `vigia automation enable {}`",
        automation.id
    );
    let active = format!(
        "account {} is disabled: `vigia account enable {}`",
        account.name, account.name
    );
    let rule = automation.rule();
    let errors = rule.as_ref().err().map(|errors| {
        let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
        format!("its configuration cannot be obeyed: {}", errors.join("; "))
    });
    vec![
        Finding::new(
            "automation",
            automation.is_active,
            told(automation.is_active, "it is enabled", enable),
        ),
        Finding::new(
            "account",
            account.is_active,
            told(account.is_active, "it is enabled", active),
        ),
        Finding::new(
            "live",
            automation.live,
            told(
                automation.live,
                "it acts by itself",
                "it acts only when a job asks".to_owned(),
            ),
        ),
        Finding::new(
            "rule",
            errors.is_none(),
            errors.unwrap_or_else(|| "it can be obeyed".to_owned()),
        ),
    ]
}

/// What the exchange shows now, held against the rule.
async fn seen(
    rule: &Rule,
    id: PositionId,
    own: &Own,
    journal: &Journal,
    automation: &Automation,
) -> anyhow::Result<Vec<Finding>> {
    let own = match own {
        Ok(own) => own,
        Err(why) => {
            let detail = format!("the account was not read: {why}");
            return Ok(vec![Finding::new("exchange", None, detail)]);
        }
    };
    if rule.is_entry() {
        return Ok(vec![condition(rule, Subject::Market, own.price)]);
    }
    let lineage = journal.lineage(&automation.account_id).await?;
    let latest = lineage.latest(id);
    let position = own.positions.iter().find(|position| position.id == latest);
    let Some(position) = position else {
        let detail = format!("{} does not run", place(latest));
        return Ok(vec![Finding::new("position", false, detail)]);
    };
    let runs = format!("{} runs", described(position));
    let mut findings = vec![Finding::new("position", true, runs)];
    let is_for = rule.is_for(position, &lineage);
    let detail = if is_for {
        "the rule is for this position"
    } else {
        "the rule is not for this position"
    };
    findings.push(Finding::new("positions", is_for, detail));
    findings.push(condition(rule, position.into(), own.price));
    Ok(findings)
}

fn described(position: &Position) -> String {
    format!(
        "{} {} of {} at {}, liquidation {},",
        position.mode.as_str(),
        position.side.direction(),
        position.quantity,
        usd(position.price.usd()),
        usd(position.liquidation.usd())
    )
}

fn condition(rule: &Rule, subject: Subject<'_>, price: Price) -> Finding {
    let at = Seen {
        price,
        age: std::time::Duration::ZERO,
    };
    let decision = Decision::of(rule, subject, at);
    let level = rule.level(subject);
    let value = decision.metric_value;
    let value = value.map_or_else(|| "infinite".to_owned(), |value| format!("{value:.6}"));
    let reached = rule.is_reached(subject, price);
    let edges = [level.at_or_below, level.at_or_above];
    let away = |at: Price| (at.usd() / price.usd() - 1.0).abs();
    let nearest = edges.into_iter().flatten().map(away).min_by(f64::total_cmp);
    let away = match nearest {
        _ if reached => "it is true now".to_owned(),
        Some(away) => format!("the price is {} away", percent(away)),
        None => "no price of the exchange makes it true".to_owned(),
    };
    let detail = format!(
        "the price is {}, {} is {value} against {}; the rule {}: {away}",
        usd(price.usd()),
        decision.metric,
        decision.threshold,
        fires(level)
    );
    Finding::new("condition", reached, detail)
}

/// What stands of its arming, and of its limits.
async fn armed(
    rule: &Rule,
    automation: &Automation,
    position: PositionId,
    journal: &Journal,
    now: DateTime<Utc>,
) -> anyhow::Result<Vec<Finding>> {
    let armings = journal
        .armings(&automation.id, automation.rule_version)
        .await?;
    let arming = armings.iter().find(|arming| arming.position == position);
    let arming = match arming {
        None => Finding::new(
            "arming",
            None,
            "never armed: no service has watched it under this version of the rule",
        ),
        Some(arming) => rested(rule, arming, now),
    };
    let mut findings = vec![arming];
    let limits = rule.limits();
    if limits.per_day.is_none() && limits.in_all.is_none() {
        return Ok(findings);
    }
    let filter = Filter {
        automation: Some(automation.id.clone()),
        limit: MOST_COUNTED,
        ..Filter::default()
    };
    let executions = journal.executions(&filter).await?.rows;
    let counted = |state: State| !matches!(state, State::Failed | State::Skipped);
    let counted: Vec<_> = executions.iter().filter(|one| counted(one.state)).collect();
    if let Some(most) = limits.per_day {
        let midnight = now.date_naive().and_time(NaiveTime::MIN).and_utc();
        let today = counted
            .iter()
            .filter(|one| one.created_at >= midnight)
            .count();
        let detail = format!("it has acted {today} of {most} times today (UTC)");
        findings.push(Finding::new("daily limit", today < most as usize, detail));
    }
    if let Some(most) = limits.in_all {
        let version = automation.rule_version;
        let all = counted
            .iter()
            .filter(|one| one.rule_version == version)
            .count();
        let detail = format!("it has entered {all} of {most} times");
        findings.push(Finding::new("limit", all < most as usize, detail));
    }
    Ok(findings)
}

/// Whether an episode may fire, or when the next one may.
fn rested(rule: &Rule, arming: &StoredArming, now: DateTime<Utc>) -> Finding {
    let stands = stands(arming.episode, &arming.state);
    let ArmedState::Fired {
        state, finished_at, ..
    } = &arming.state
    else {
        return Finding::new("arming", true, stands);
    };
    if !state.is_final() {
        return Finding::new("arming", false, format!("{stands}; it has not ended"));
    }
    let cooldown = TimeDelta::from_std(rule.cooldown()).unwrap_or(TimeDelta::MAX);
    let until = finished_at.and_then(|at| at.checked_add_signed(cooldown));
    if let Some(until) = until.filter(|until| *until > now && *state == State::Done) {
        let until = table::time(until);
        return Finding::new(
            "arming",
            false,
            format!("{stands}; it cools down until {until}"),
        );
    }
    match rule.rearming() {
        Rearming::OnceFalse => Finding::new(
            "arming",
            false,
            format!("{stands}; it is armed again once its condition has become false"),
        ),
        Rearming::WhileTrue => Finding::new("arming", true, stands),
    }
}
