//! Accounts that the exchange does not serve.

use std::time::Duration;

use vigia::domain::connection::{Health, Transport};
use vigia::simulator::Fault;

use crate::story::{Acts, Seen, Tale, UNNOTICED, Whom, scaled, told};

const fn refused(health: Health) -> Seen {
    Seen {
        told: &[("reading.failed", "")],
        state: (health, Transport::Websocket),
        acts: Acts::Afterwards,
        ..UNNOTICED
    }
}

#[actix::test]
async fn a_key_is_revoked_while_connected() {
    let seen = refused(Health::Unauthorized);
    told(Whom::Alpha, vec![Fault::RevokedKey.into()], false, seen).await;
}

#[actix::test]
async fn a_region_is_blocked() {
    let seen = refused(Health::Blocked);
    told(Whom::Alpha, vec![Fault::GeoBlock.into()], false, seen).await;
}

/// The socket's session is gone too, and with it the transport.
#[actix::test]
async fn a_key_is_revoked_and_its_socket_closed() {
    let seen = Seen {
        lost: &["closed", "auth"],
        state: (Health::Unauthorized, Transport::Http),
        ..refused(Health::Unauthorized)
    };
    let faults = vec![Fault::RevokedKey.into(), Fault::DropSockets.into()];
    told(Whom::Alpha, faults, false, seen).await;
}

/// A refused key is asked about seldom: twice (signed, and signed anew) each pause.
#[actix::test]
async fn a_refusal_makes_no_storm() {
    const PAUSE_MS: i64 = 2000;
    const HELD: Duration = Duration::from_millis(5000);
    let patient = scaled().with("connection.refused_pause_ms", PAUSE_MS);
    let mut tale = Tale::begin(patient).await;
    let revoked = Fault::RevokedKey.on_key(&tale.alpha.key);
    tale.stage.control.inject(revoked).unwrap();
    tale.is_seen(&refused(Health::Unauthorized)).await;
    let refused = |tale: &Tale| tale.stage.control.requests().by_status.get(&401).copied();
    let before = refused(&tale).unwrap();
    tale.hold(HELD).await;
    let asked = refused(&tale).unwrap() - before;
    assert!(asked <= 6, "{asked} requests in {HELD:?}");
    tale.stage.control.clear_faults();
    tale.endanger(Acts::Meanwhile, |_| {}).await;
    tale.end(&UNNOTICED).await;
}
