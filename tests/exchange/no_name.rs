//! A name that does not resolve, as while the machine's resolver is gone.

use vigia::domain::position::Side;
use vigia::exchange::{Class, NewTrade};

use crate::stage::{QUANTITY, network, rest, who};

/// A label may have 63 characters: of a longer one the resolver says so itself, nobody is asked.
fn unresolvable() -> String {
    format!("{}.invalid", "x".repeat(64))
}

/// Nothing has left, whatever it was: it may be sent again.
#[tokio::test]
async fn nothing_was_sent_to_a_name_that_does_not_resolve() {
    let host = unresolvable();
    let network = network(&format!("https://{host}"), &format!("wss://{host}"));
    let rest = rest(&network);
    let reading = rest.running(&who()).await.unwrap_err();
    let order = NewTrade::market(Side::Buy, QUANTITY, 10.0, "ours");
    let opening = rest
        .open(&who(), &order, rest.clock().now())
        .await
        .unwrap_err();
    for error in [reading, opening] {
        assert_eq!(error.class, Class::Retryable { after: None }, "{error}");
    }
}
