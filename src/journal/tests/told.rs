//! What is told outside stands with what it tells of, and once.

use std::time::Duration;

use super::*;
use crate::domain::notice::{Kinds, Notice, NoticeKind};
use crate::domain::protection::Protections;
use crate::store::{NoticeState, Store, StoredNotice};

impl Set {
    /// The same journal, which tells everything.
    fn telling(self) -> Self {
        let told: Kinds = NoticeKind::ALL.iter().copied().collect();
        let store = self.fixture.store.clone().telling(told);
        let protections = Protections {
            executions_per_day: Some(3),
            failures_in_a_row: Some(2),
            ..Protections::default()
        };
        let journal = Journal::new(store, self.journal.epoch()).protecting(protections);
        Self { journal, ..self }
    }

    fn store(&self) -> &Store {
        self.journal.store()
    }

    async fn waiting(&self) -> Vec<StoredNotice> {
        let due = self.store().notices_due(at(10 * 86_400), 1000).await;
        due.unwrap().rows
    }

    async fn kinds(&self) -> Vec<NoticeKind> {
        self.waiting()
            .await
            .iter()
            .map(|notice| notice.kind)
            .collect()
    }
}

fn blind(account: &str, second: i64) -> Notice {
    Notice::once_in(
        Duration::from_secs(1),
        NoticeKind::AccountBlind,
        (AccountId::new(account), account.to_owned()),
        at(second),
        json!({}),
    )
}

#[tokio::test]
async fn every_end_is_told_once_with_what_became_of_it() {
    let set = Set::new().await.telling();
    set.at_state(1, State::Done).await;
    let again = set
        .journal
        .done(execution(1), json!({}), set.entry(execution(1)), at(13));
    assert_eq!(again.await, Ok(Done::AlreadyDone));
    set.at_state(2, State::Skipped).await;
    set.at_state(3, State::Uncertain).await;
    let settled = set
        .journal
        .resolve(execution(3), Settled::Failed, "looked", at(14));
    settled.await.unwrap();
    let told = set.waiting().await;
    let kinds: Vec<_> = told.iter().map(|notice| notice.kind).collect();
    use NoticeKind::{ExecutionDone, ExecutionFailed, ExecutionUncertain};
    assert_eq!(kinds, [ExecutionDone, ExecutionUncertain, ExecutionFailed]);
    assert_eq!(told[0].id, format!("execution.done:{}", execution(1)));
    let body: Value = serde_json::from_str(&told[0].body).unwrap();
    assert_eq!(body["account"]["name"], "main");
    assert_eq!(body["data"]["action"]["kind"], "add_margin");
    assert_eq!(body["data"]["positionId"], position(1).to_string());
}

#[tokio::test]
async fn limits_pauses_and_kill_switches_are_told_and_nothing_where_nobody_listens() {
    use NoticeKind::{
        AccountPaused, AccountResumed, ExecutionFailed, KillSwitchOff, KillSwitchOn, LimitReached,
    };
    let set = Set::new().await.telling();
    let store = set.store().clone();
    for n in 1..=2 {
        set.at_state(n, State::Failed).await;
    }
    let resumed = store.resume_account(&set.account.id, at(20));
    assert!(resumed.await.unwrap());
    let reach = Reach::Account(set.account.id.clone());
    store
        .kill_switch_on(&reach, true, None, at(21))
        .await
        .unwrap();
    assert!(store.kill_switch_off(&reach, at(22)).await.unwrap());
    assert!(!store.kill_switch_off(&reach, at(23)).await.unwrap());
    for n in 3..=7 {
        set.open(n, 1).await;
        let fired = set
            .journal
            .fire(set.decided(n, n, 1), Limits::default(), at(24));
        fired.await.unwrap();
    }
    assert_eq!(
        set.kinds().await,
        [
            ExecutionFailed,
            ExecutionFailed,
            AccountPaused,
            AccountResumed,
            KillSwitchOn,
            KillSwitchOff,
            LimitReached
        ],
        "the limit once a day"
    );
    let set = Set::new().await;
    set.at_state(1, State::Done).await;
    let tell = set.store().tell(blind("a", 1)).await;
    assert!(!tell.unwrap());
    assert_eq!(set.waiting().await, []);
}

#[tokio::test]
async fn of_each_account_what_happened_first_is_told_first() {
    let set = Set::new().await.telling();
    let store = set.store();
    for (account, second) in [("a", 1), ("a", 2), ("b", 3), ("a", 4)] {
        assert!(store.tell(blind(account, second)).await.unwrap());
    }
    assert!(!store.tell(blind("a", 2)).await.unwrap(), "it stands");
    let due = |seconds| async move {
        let due = store.notices_due(at(seconds), 100).await.unwrap().rows;
        due.into_iter().map(|notice| notice.id).collect::<Vec<_>>()
    };
    let of = |account: &str, second: i64| format!("account.blind:{account}:{}", second * 1000);
    assert_eq!(
        due(10).await,
        [of("a", 1), of("a", 2), of("b", 3), of("a", 4)]
    );
    let first = store.notices_due(at(10), 1).await.unwrap().rows.remove(0);
    let tried =
        |state, due_at| store.notice_tried(first.seq, state, "503".to_owned(), due_at, at(10));
    tried(NoticeState::Waiting, Some(at(20))).await.unwrap();
    assert_eq!(due(19).await, [of("b", 3)], "the others wait behind it");
    assert_eq!(due(20).await.len(), 4);
    tried(NoticeState::Delivered, None).await.unwrap();
    assert_eq!(due(19).await, [of("a", 2), of("b", 3), of("a", 4)]);
    let known = store.told_of_accounts().await.unwrap();
    let mut known: Vec<_> = known.into_iter().map(|notice| notice.id).collect();
    known.sort();
    assert_eq!(known, [of("a", 4), of("b", 3)]);
}

#[tokio::test]
async fn the_outbox_is_bounded_and_says_what_it_dropped() {
    let set = Set::new().await.telling();
    let store = set.store();
    for second in 1..=10 {
        store.tell(blind("a", second)).await.unwrap();
    }
    let first = store.notices_due(at(50), 1).await.unwrap().rows.remove(0);
    let done = store.notice_tried(
        first.seq,
        NoticeState::Delivered,
        String::new(),
        None,
        at(50),
    );
    done.await.unwrap();
    assert_eq!(store.trim_outbox(9, at(0)).await, Ok(0));
    assert_eq!(store.trim_outbox(4, at(0)).await, Ok(5));
    assert_eq!(store.notices_waiting().await, Ok(4));
    let left = store.notices(None, 100).await.unwrap().rows;
    assert_eq!(left.len(), 5, "what was delivered is kept");
    assert_eq!(left[0].created_at, at(10), "the latest stay");
    store.trim_outbox(4, at(51)).await.unwrap();
    assert_eq!(store.notices(None, 100).await.unwrap().rows.len(), 4);
}
