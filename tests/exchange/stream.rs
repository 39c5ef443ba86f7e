//! The stream, against the simulated exchange.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;
use vigia::domain::ids::AccountId;
use vigia::domain::units::Sats;
use vigia::exchange::{
    Cause, Frame, Socket, SocketBudget, SocketEvent, SocketLimits, SocketPlan, StreamWindows, Topic,
};

use crate::stage::Stage;

const ALL: [Topic; 3] = [
    Topic::IsolatedTrades,
    Topic::CrossOrders,
    Topic::CrossPosition,
];

fn open(stage: &Stage, topics: &[Topic]) -> (Socket, Receiver<SocketEvent>) {
    let clock = stage.rest.clock().clone();
    let budget = SocketBudget::new("sim", SocketLimits::default(), &[], *clock.local());
    let permit = budget.for_account(&AccountId::new("ours"), None);
    let plan = SocketPlan {
        credentials: Some(Arc::new(stage.who.clone())),
        topics: topics.to_vec(),
    };
    let windows = StreamWindows::default();
    Socket::open(&stage.network, plan, clock, windows, permit.unwrap())
}

async fn next(events: &mut Receiver<SocketEvent>) -> SocketEvent {
    let event = timeout(Duration::from_secs(5), events.recv()).await;
    event.expect("in time").expect("the socket lives")
}

#[tokio::test]
async fn a_key_with_all_rights_is_subscribed_to_cross_too() {
    let stage = Stage::set().await;
    let (_socket, mut events) = open(&stage, &ALL);
    assert!(matches!(next(&mut events).await, SocketEvent::Ready));
    assert_eq!(stage.control.sockets()[0].topics.len(), ALL.len());
    let (rest, who) = (&stage.rest, &stage.who);
    let deposit = rest.cross_deposit(who, Sats(5000), stage.now()).await;
    deposit.unwrap();
    let hint = next(&mut events).await;
    assert!(
        matches!(hint, SocketEvent::Frame(Frame::Cross, _)),
        "{hint:?}"
    );
}

#[tokio::test]
async fn a_key_without_the_right_to_cross_is_served_without() {
    let rights = [
        "account:read",
        "futures:isolated:read",
        "futures:isolated:write",
    ];
    let stage = Stage::with_rights(&rights).await;
    let (_socket, mut events) = open(&stage, &ALL);
    let SocketEvent::Forbidden(topics) = next(&mut events).await else {
        panic!("not told")
    };
    assert_eq!(topics, ALL[1..]);
    assert!(matches!(next(&mut events).await, SocketEvent::Ready));
    let subscribed = stage.control.sockets().remove(0).topics;
    assert_eq!(subscribed, ["futures/inverse/btc_usd/isolated/trades"]);
    stage.buy("ours").await;
    assert!(matches!(next(&mut events).await, SocketEvent::Frame(..)));
}

#[tokio::test]
async fn a_key_without_the_right_to_its_trades_is_refused() {
    let stage = Stage::with_rights(&["account:read"]).await;
    for topics in [&ALL[..], &ALL[..1]] {
        let (_socket, mut events) = open(&stage, topics);
        let SocketEvent::Lost(Cause::Auth, detail) = next(&mut events).await else {
            panic!("not refused")
        };
        assert!(detail.contains("FORBIDDEN"), "{detail}");
    }
}
