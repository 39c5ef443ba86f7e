//! What requests can meet: those of one key, and those for the price while there is no socket.

use vigia::domain::connection::{Health, Transport};
use vigia::simulator::{Fault, Injection};

use crate::story::{Acts, Seen, UNNOTICED, Whom, failing, status, told};

const TICKER: &str = "/v3/futures/ticker";

/// All requests of one key meet it.
async fn of_a_key(fault: Fault, seen: Seen) {
    told(Whom::Alpha, vec![fault.into()], false, seen).await;
}

/// The ticker meets it, and there are no sockets: nobody knows the price.
async fn of_the_ticker(fault: Fault, told_of: &'static [(&'static str, &'static str)]) {
    let seen = Seen {
        lost: &["closed", "refused"],
        feed_lost: &["closed", "refused"],
        told: told_of,
        state: (Health::Blind, Transport::Http),
        acts: Acts::Afterwards,
        ..UNNOTICED
    };
    let faults = vec![
        fault.on_route(TICKER),
        Injection::from(Fault::RefuseUpgrades { status: 503 }),
        Injection::from(Fault::DropSockets),
    ];
    told(Whom::All, faults, false, seen).await;
}

macro_rules! meets {
    ($($name:ident: $fault:expr, [$($told:expr),+];)+) => { $(
        mod $name {
            use super::*;

            #[actix::test]
            async fn the_requests_of_a_key() {
                of_a_key($fault, failing(&[$(("reading.failed", $told)),+])).await;
            }

            #[actix::test]
            async fn the_ticker() {
                of_the_ticker($fault, &[$(("ticker.failed", $told)),+]).await;
            }
        }
    )+ };
}

meets! {
    too_many: status(429, None, false), ["429"];
    too_many_with_retry_after: status(429, Some(1.0), false), ["429"];
    status_500: status(500, None, false), ["500"];
    status_502: status(502, None, false), ["502"];
    status_503: status(503, None, false), ["503"];
    status_504: status(504, None, false), ["504"];
    plain_text_404: status(404, None, true), ["404"];
    truncated_body: Fault::TruncateBody, ["the connection broke"];
    malformed_body: Fault::MalformedBody, ["cannot be read"];
    lost_reply: Fault::LoseReply, ["the connection broke"];
    never_answered: Fault::Hang { apply: false }, ["no answer in time"];
}

/// The silence that the exchange asks for is told, for it may be long.
#[actix::test]
async fn silence_that_is_asked_for_is_told() {
    let asked = status(429, Some(2.5), false);
    let seen = failing(&[("reading.failed", "429"), ("rate.silenced", "for_ms: 2500")]);
    of_a_key(asked, seen).await;
}

/// 503 as while the trading engine restarts; 20 s, scaled.
#[actix::test]
async fn the_engine_is_unavailable() {
    of_a_key(
        Fault::EngineUnavailable,
        failing(&[("reading.failed", "503")]),
    )
    .await;
}

/// The requests are carried out, and nobody learns of it: what was done is not done again.
#[actix::test]
async fn applied_and_never_answered() {
    let seen = failing(&[("reading.failed", "no answer in time")]);
    of_a_key(Fault::Hang { apply: true }, seen).await;
}
