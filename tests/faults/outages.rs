//! When everything is gone at once: packets, ports, the exchange itself.

use std::time::Duration;

use vigia::domain::connection::{Health, Transport};
use vigia::simulator::Fault;

use crate::proxy::ways;
use crate::story::{Acts, Seen, Tale, UNNOTICED, Whom, all_over_http, script, told};

/// Neither price nor book is known; the sockets were lost for these causes.
const fn nothing(lost: &'static [&'static str]) -> Seen {
    Seen {
        lost,
        feed_lost: lost,
        state: (Health::Blind, Transport::Http),
        acts: Acts::Afterwards,
        ..UNNOTICED
    }
}

/// The kernel refuses connections, and those that were open break.
#[actix::test]
async fn stream_and_rest_are_down() {
    const LONGER_THAN_THE_STORY: Duration = Duration::from_secs(600);
    let faults = vec![
        Fault::RefuseConnections.lasting(LONGER_THAN_THE_STORY),
        Fault::DropRequest.into(),
        Fault::DropSockets.into(),
    ];
    let seen = Seen {
        told: &[
            ("reading.failed", "no connection"),
            ("ticker.failed", "no connection"),
        ],
        ..nothing(&["closed", "refused"])
    };
    told(Whom::All, faults, false, seen).await;
}

/// Every packet is lost and no connection closed: only pings tell.
#[actix::test]
async fn the_streams_packets_are_lost() {
    let (way, front) = ways();
    let seen = all_over_http(&["silent", "refused"]);
    let mut tale = Tale::begin(script().behind(front)).await;
    way.lose_the_stream();
    tale.is_seen(&seen).await;
    tale.endanger(seen.acts, |_| way.restore()).await;
    tale.end(&seen).await;
}

#[actix::test]
async fn all_packets_are_lost() {
    let (way, front) = ways();
    let seen = Seen {
        told: &[
            ("reading.failed", "no answer in time"),
            ("ticker.failed", "no answer in time"),
        ],
        ..nothing(&["silent"])
    };
    let mut tale = Tale::begin(script().behind(front)).await;
    way.lose_everything();
    tale.is_seen(&seen).await;
    tale.endanger(seen.acts, |_| way.restore()).await;
    tale.end(&seen).await;
}

/// Sockets are closed with 1012, everything is answered 503.
#[actix::test]
async fn the_exchange_restarts() {
    const LONGER_THAN_THE_STORY: Duration = Duration::from_secs(600);
    let seen = Seen {
        told: &[("reading.failed", "503"), ("ticker.failed", "503")],
        ..nothing(&["closed", "refused"])
    };
    let mut tale = Tale::begin(script()).await;
    tale.stage.control.restart(LONGER_THAN_THE_STORY);
    tale.is_seen(&seen).await;
    let is_back = |stage: &crate::harness::Stage| stage.control.restart(Duration::ZERO);
    tale.endanger(seen.acts, is_back).await;
    tale.end(&seen).await;
}
