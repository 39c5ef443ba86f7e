//! Proofs that read the cross position itself.

use serde_json::{Value, json};

use super::super::super::connection::Learned;
use super::super::super::shared::Shared;
use super::super::super::work::{Step, Work};
use super::super::{Next, record};
use super::{Doubt, not_yet, unread};
use crate::domain::position::Side;
use crate::exchange::ExchangeError;
use crate::telemetry::Event;

/// Whether the position that looked to `side` was closed.
pub(super) async fn closed(shared: &Shared, work: Work, doubt: Doubt, side: Side) -> Next {
    let found = match read(shared, &work).await {
        Ok(found) => found,
        Err(error) => return unread(shared, work, &error),
    };
    let doubted = work.doubted || !doubt.refused;
    let work = Work { doubted, ..work };
    match found {
        // Refused, and no earlier request of ours can have closed it: somebody else did.
        None if !doubted => {
            let evidence = json!({ "proof": "the cross position is flat" });
            record::fail(shared, work, "position_gone".to_owned(), evidence).await
        }
        None => {
            let (action, outcome) = (
                doubt.action,
                json!({ "proof": "the cross position is flat" }),
            );
            Next::step(work, Step::Record { action, outcome })
        }
        Some(found) if found == side => {
            not_yet(shared, work, "the cross position still stands").await
        }
        Some(_) => turned(shared, work, json!({ "found": found })).await,
    }
}

/// Whether an order that should only reduce a position has turned it round: then the position was
/// another than the one that was read, and a person must look. The order itself was applied.
pub(in super::super) async fn flipped(
    shared: &Shared,
    work: &Work,
    order: Side,
) -> Result<bool, ExchangeError> {
    let side = read(shared, work).await?;
    Ok(side == Some(order))
}

/// Reads the cross position, so that nothing is decided on what it was before; the side it looks to.
pub(super) async fn read(shared: &Shared, work: &Work) -> Result<Option<Side>, ExchangeError> {
    let now = shared.clock.mono();
    let (rest, who) = (&work.account.rest, &work.account.credentials);
    let reading = rest.cross_position(who).await?;
    let side = reading.position.as_ref().map(|position| position.side);
    work.account
        .connection
        .tell(Learned::CrossRead(reading, now));
    Ok(side)
}

pub(in super::super) async fn turned(shared: &Shared, work: Work, outcome: Value) -> Next {
    shared.events.emit(Event::Alarm {
        account: work.account.tag.clone(),
        what: "position_turned",
        detail: format!(
            "the cross position {} looks the other way: look at the exchange",
            work.position
        ),
    });
    let evidence = json!({ "why": "the cross position looks the other way", "outcome": outcome });
    record::uncertain(shared, work, evidence).await
}
