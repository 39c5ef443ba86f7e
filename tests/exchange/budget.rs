//! Requests that a caller could not foresee are spent from the key's budget.

use std::time::Duration;

use vigia::exchange::{Class, RateBudget, RateLimit, Rest, Spend};
use vigia::simulator::Fault;

use crate::scripted::Scripted;
use crate::stage::{KEY, Stage, who};

fn budget(window: Duration, rest: &Rest) -> RateBudget {
    let limit = RateLimit {
        requests: 2,
        kept_for_commands: 1,
        window,
    };
    RateBudget::new(limit, *rest.clock().local())
}

/// Longer than anything waits for a place in it.
const ENDLESS: Duration = Duration::from_secs(600);

const ACCOUNT: &str = "GET /account";

#[tokio::test]
async fn a_second_signature_is_spent_and_not_made_where_nothing_is_left() {
    let stage = Stage::set().await;
    stage.control.inject(Fault::RevokedKey.on_key(KEY)).unwrap();
    let budget = budget(ENDLESS, &stage.rest);
    let rest = stage.rest.spending(budget.clone());
    let now = || stage.rest.clock().local().mono();
    drop(budget.spend(Spend::Read, now()).unwrap());
    let error = rest.account(&stage.who).await.unwrap_err();
    assert_eq!(error.class, Class::Unauthorized);
    assert_eq!(stage.asked(ACCOUNT), 2, "the first, and one signed anew");
    assert!(budget.spend(Spend::Read, now()).is_err(), "both are spent");

    let error = rest.account(&stage.who).await.unwrap_err();
    assert_eq!(error.class, Class::Retryable { after: None }, "{error}");
    assert_eq!(stage.asked(ACCOUNT), 3);
}

#[tokio::test]
async fn a_second_signature_waits_for_its_place() {
    const WINDOW: Duration = Duration::from_millis(400);
    let stage = Stage::set().await;
    stage.control.inject(Fault::RevokedKey.on_key(KEY)).unwrap();
    let budget = budget(WINDOW, &stage.rest);
    let began = stage.rest.clock().local().mono();
    drop(budget.spend_many(2, Spend::Guard, began).unwrap());
    let rest = stage.rest.spending(budget);
    let error = rest.account(&stage.who).await.unwrap_err();
    assert_eq!(error.class, Class::Unauthorized, "{error}");
    assert_eq!(stage.asked(ACCOUNT), 2);
    assert!(stage.rest.clock().local().mono() >= began + WINDOW);
}

#[tokio::test]
async fn a_second_page_is_spent_and_not_read_where_nothing_is_left() {
    let page = (
        200,
        r#"{"data":[{"id":"00000000-0000-0000-0000-000000000001","amount":5,"time":"2026-10-26T16:30:43Z"}],"nextCursor":"more"}"#,
    );
    let script = Scripted::answering([page; 3]).await;
    let budget = budget(ENDLESS, &script.rest);
    let now = script.rest.clock().local().mono();
    drop(budget.spend(Spend::Read, now).unwrap());
    let rest = script.rest.spending(budget);
    let since = "2026-10-26T16:00:00Z".parse().unwrap();
    let error = rest.cross_transfers_since(&who(), since).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert_eq!(script.asked().len(), 2);
}
