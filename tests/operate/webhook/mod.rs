//! Telling a receiver outside: everything once, in its order, whatever becomes of the receiver or of
//! the service; and never in the way of trading.

mod deaths;
mod kinds;
mod outbox;
mod receivers;

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use vigia::domain::ids::AccountId;
use vigia::domain::notice::{Kinds, Notice, NoticeKind};

use crate::receiver::{Mood, Receiver};
use crate::stage::{Deed, Stage, Windows, wanted_server};
use crate::watchman::{Watchman, run_to_end};

/// How long anything may take that is told, on a busy machine.
const TOLD: Duration = Duration::from_secs(30);
/// An attempt to deliver to somebody who hangs takes 5 s: whatever waits for one takes longer than this.
const IN_THE_WAY_US: u64 = 4_000_000;

async fn stage(receiver: &Receiver, more: &str) -> Stage {
    let config = format!("{}{more}", receiver.config("same_kind_ms = 600000"));
    Stage::configured(wanted_server(), Windows::default(), &config).await
}

fn everything() -> Kinds {
    NoticeKind::ALL.iter().copied().collect()
}

/// Writes down so many notices for each account, numbered.
async fn write_down(stage: &Stage, accounts: usize, each: u64) {
    let store = stage.store().await.telling(everything());
    let written = (0..each).flat_map(|number| (0..accounts).map(move |account| (account, number)));
    let writing = written.map(|(account, number)| {
        let name = format!("account-{account}");
        store.tell(Notice {
            kind: NoticeKind::ExecutionDone,
            id: format!("test:{name}:{number}"),
            account: Some((AccountId::new(&name), name)),
            at: stage.clock.utc(),
            data: json!({ "number": number }),
        })
    });
    for told in futures_util::future::join_all(writing).await {
        assert!(told.unwrap());
    }
    store.close().await;
}

fn in_order(receiver: &Receiver, accounts: usize, each: u64) -> bool {
    let numbers = receiver.numbers();
    numbers.len() == accounts && numbers.values().all(|of| of.iter().copied().eq(0..each))
}

/// Waits until the outbox knows that all was taken.
async fn all_marked(stage: &Stage) {
    let store = stage.store().await;
    let marking = async {
        while store.notices_waiting().await.unwrap() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(TOLD, marking)
        .await
        .expect("nothing waits");
    store.close().await;
}

async fn kill_switch(stage: &Stage, turn: &str) {
    let switch = ["kill-switch", turn, "--account", "alice"];
    stage.cli(&switch).await.ok();
}
