//! What became of an order of which only the client id is known.

use serde_json::json;
use vigia::domain::credentials::Credentials;
use vigia::exchange::{FoundTrade, Rest};

use crate::scripted::Scripted;
use crate::stage::{Stage, price, who};

const OPEN: &str = "GET /futures/isolated/trades/open";
const RUNNING: &str = "GET /futures/isolated/trades/running";
const CLOSED: &str = "GET /futures/isolated/trades/closed";
const CANCELED: &str = "GET /futures/isolated/trades/canceled";

async fn find(stage: &Stage, client_id: &str) -> Option<FoundTrade> {
    let at = stage.now() - chrono::Duration::seconds(5);
    let found = stage.rest.by_client_id(&stage.who, client_id, at);
    found.await.unwrap()
}

#[tokio::test]
async fn a_trade_is_found_wherever_it_stands_and_no_list_is_read_in_vain() {
    let stage = Stage::set().await;
    let order = json!({
        "type": "limit", "side": "sell", "price": 110_000, "quantity": 10, "leverage": 2,
        "clientId": "waits",
    });
    let order = stage.post("/futures/isolated/trade", &order).await;
    let running = stage.buy("runs").await;
    let closed = stage.buy("ran").await;
    let closing = stage.rest.close(&stage.who, closed.id, stage.now());
    let closed = closing.await.unwrap();

    let waiting = find(&stage, "waits").await;
    assert!(matches!(&waiting, Some(FoundTrade::Open(found)) if found.price == price(110_000.0)));
    assert_eq!((stage.asked(OPEN), stage.asked(RUNNING)), (1, 0));
    assert_eq!(
        find(&stage, "runs").await,
        Some(FoundTrade::Running(running))
    );
    assert_eq!((stage.asked(RUNNING), stage.asked(CLOSED)), (1, 0));
    assert_eq!(find(&stage, "ran").await, Some(FoundTrade::Closed(closed)));
    assert_eq!((stage.asked(CLOSED), stage.asked(CANCELED)), (1, 0));

    let id = json!({ "id": order["id"] });
    stage.post("/futures/isolated/trade/cancel", &id).await;
    let canceled = find(&stage, "waits").await.unwrap();
    assert_eq!(canceled.as_str(), "canceled");
    let before: u64 = [OPEN, RUNNING, CLOSED, CANCELED]
        .map(|route| stage.asked(route))
        .iter()
        .sum();
    assert_eq!(find(&stage, "nobody's").await, None);
    let after: u64 = [OPEN, RUNNING, CLOSED, CANCELED]
        .map(|route| stage.asked(route))
        .iter()
        .sum();
    assert_eq!(after - before, Rest::TRADE_LOOKUP as u64);
}

fn closed(number: u32, client_id: &str) -> String {
    json!({
        "id": uuid::Uuid::from_u128(number.into()), "side": "buy", "quantity": 1, "leverage": 1,
        "margin": 1000, "price": 100_000, "liquidation": 50_000, "closed": true,
        "exitPrice": 100_000, "createdAt": "2026-10-26T16:30:43.123Z", "clientId": client_id,
    })
    .to_string()
}

fn page(trades: &[String], next: Option<&str>) -> (u16, String) {
    let next = serde_json::to_string(&next).unwrap();
    let trades = trades.join(",");
    (200, format!(r#"{{"data":[{trades}],"nextCursor":{next}}}"#))
}

async fn find_scripted(script: &Scripted, who: &Credentials) -> Result<Option<FoundTrade>, String> {
    let at = "2026-10-26T16:00:30Z".parse().unwrap();
    let found = script.rest.by_client_id(who, "ours", at).await;
    found.map_err(|error| error.to_string())
}

#[tokio::test]
async fn later_pages_are_read_until_it_is_found() {
    let nothing = (200, "[]".to_owned());
    let script = Scripted::answering([
        nothing.clone(),
        nothing,
        page(&[closed(1, "other")], Some("2026-10-26T16:20:00.000Z")),
        page(&[closed(2, ""), closed(3, "ours")], Some("more")),
    ])
    .await;
    let found = find_scripted(&script, &who()).await.unwrap();
    assert!(matches!(found, Some(FoundTrade::Closed(_))), "{found:?}");
    let first = "/v3/futures/isolated/trades/closed?from=2026-10-26T16%3A00%3A00.000Z&limit=100";
    let asked = script.asked();
    assert_eq!(asked[2], format!("GET {first}"));
    let second = format!("GET {first}&cursor=2026-10-26T16%3A20%3A00.000Z");
    assert_eq!(asked[3], second);
}

#[tokio::test]
async fn absence_is_not_claimed_over_what_cannot_be_read() {
    let nothing = (200, "[]".to_owned());
    let strange = r#"{"id":5,"clientId":"ours"}"#.to_owned();
    let lists = [
        vec![(200, format!("[{strange}]"))],
        vec![nothing.clone(), nothing.clone(), page(&[strange], None)],
    ];
    for answers in lists {
        let script = Scripted::answering(answers).await;
        let error = find_scripted(&script, &who()).await.unwrap_err();
        assert!(error.contains("cannot be read"), "{error}");
    }
    let endless: Vec<_> = (0..10)
        .map(|number| page(&[closed(number, "other")], Some("more")))
        .collect();
    let answers = [nothing.clone(), nothing].into_iter().chain(endless);
    let script = Scripted::answering(answers).await;
    let error = find_scripted(&script, &who()).await.unwrap_err();
    assert!(error.contains("more than 1000 items"), "{error}");
}
