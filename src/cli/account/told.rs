//! What verbs about accounts say they came to, whoever carried them out.

use crate::admin::{AccountAnswer, CredentialsAnswer, RestartAnswer};
use crate::cli::context::Context;
use crate::cli::format::word;
use crate::cli::table;
use crate::store::Account;

/// What was done with an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Verb {
    Enable,
    Disable,
    Pause,
    Resume,
    Remove,
}

pub(in crate::cli) fn added(
    account: &Account,
    json: bool,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    if json {
        return context.json(account);
    }
    writeln!(
        context.out,
        "account {} added, id {}",
        account.name, account.id
    )?;
    writeln!(
        context.notes,
        "next: `vigia automation add --account {} --type margin_guard --rule …`",
        word(&account.name)
    )?;
    Ok(())
}

/// Says what a verb came to; `served`: a running service carried it out.
pub(in crate::cli) fn done(
    verb: Verb,
    answer: &AccountAnswer,
    served: bool,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    let account = &answer.account;
    let name = &account.name;
    let now = match verb {
        Verb::Enable => "enabled",
        Verb::Disable => "disabled",
        Verb::Pause => "paused",
        Verb::Resume => "resumed",
        Verb::Remove => "removed; at the exchange nothing has changed",
    };
    match (verb, answer.changed, &account.paused) {
        (Verb::Pause, false, Some(pause)) => {
            let since = table::time(pause.since);
            let why = pause.reason.as_deref().unwrap_or("no reason given");
            writeln!(
                context.out,
                "account {name} has been paused since {since} by {}: {why}",
                pause.by
            )?;
        }
        (Verb::Resume, false, _) => writeln!(context.out, "account {name} was not paused")?,
        _ => writeln!(context.out, "account {name} is {now}")?,
    }
    if let (Verb::Enable, Some(_)) = (verb, &account.paused) {
        writeln!(
            context.notes,
            "it is paused: `vigia account resume {name}` lets it act"
        )?;
    }
    if served && !answer.in_effect {
        writeln!(
            context.notes,
            "the service has not followed yet; it does at its next look into the store"
        )?;
    }
    Ok(())
}

pub(in crate::cli) fn restarted(
    answer: &RestartAnswer,
    json: bool,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    if json {
        return context.json(answer);
    }
    Ok(writeln!(
        context.out,
        "account {} is restarted over {}: handover {:.1} ms, {:.0} ms in all",
        answer.account.name, answer.transport, answer.handover_ms, answer.took_ms
    )?)
}

/// Says what became of new credentials; `served`: a running service took them.
pub(in crate::cli) fn rotated(
    answer: &CredentialsAnswer,
    served: bool,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    let name = &answer.account.name;
    let verified = if answer.verified {
        "the exchange accepts them"
    } else {
        "not verified"
    };
    writeln!(
        context.out,
        "account {name} has its new credentials: {verified}"
    )?;
    if answer.verified && answer.same_account.is_none() {
        writeln!(
            context.notes,
            "the old ones no longer tell whose they were: see that the positions are the account's \
             own, `vigia status`"
        )?;
    }
    match (&answer.switched, &answer.not_switched) {
        (Some(restart), _) => writeln!(
            context.out,
            "its connection uses them: handover {:.1} ms, {:.0} ms in all",
            restart.handover_ms, restart.took_ms
        )?,
        (None, Some(why)) if served => {
            writeln!(context.notes, "its connection does not use them yet: {why}")?
        }
        _ => {}
    }
    Ok(())
}
