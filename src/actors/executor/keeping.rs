//! What a reduction may keep: no more than the balance pays for, and that is told.

use super::super::shared::Shared;
use super::super::work::Work;
use crate::domain::execution::{Action, Intent};
use crate::domain::position::MarginMode;
use crate::domain::rules::Rule;
use crate::domain::units::{Sats, Usd};
use crate::telemetry::Event;

/// The balance to decide on. A reduction of a trade closes first and pays afterwards: where nobody
/// has read the balance yet, as after a start, it is asked for. A balance that cannot be read holds
/// nothing up. Reducing a cross position pays nothing, and danger leaves no room for idle requests.
pub(super) async fn balance(
    shared: &Shared,
    work: &Work,
    rule: &Rule,
    known: Option<Sats>,
) -> Option<Sats> {
    let is_cross = work
        .account
        .view
        .load()
        .row(work.position)
        .is_some_and(|row| row.position.mode == MarginMode::Cross);
    let reduces =
        !is_cross && matches!(Intent::of(rule, work.decision.fallback), Intent::Reduce(_));
    let now = shared.clock.mono();
    if known.is_some() || !reduces {
        return known;
    }
    let Ok(_held) = work.account.rate.spend(work.spend(), now) else {
        return known;
    };
    let (rest, who) = (&work.account.rest, &work.account.credentials);
    let reading = rest.account(who).await.ok()?;
    Some(reading.balance)
}

/// The balance does not pay for all that was to be kept: its owner hears of it.
pub(super) fn tell(shared: &Shared, work: &Work, planned: Action, action: Action) {
    let Action::CloseToReopen { keep: asked } = planned else {
        return;
    };
    let keep = match action {
        Action::CloseToReopen { keep } => keep,
        _ => Usd(0),
    };
    if keep < asked {
        shared.events.emit(Event::Alarm {
            account: work.account.tag.clone(),
            what: "less_kept",
            detail: format!(
                "of position {}, {} USD were to be kept; balance and margin pay for {} USD",
                work.position, asked.0, keep.0
            ),
        });
    }
}
