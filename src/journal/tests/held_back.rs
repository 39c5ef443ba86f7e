//! What holds orders back: kill switches, pauses, and what is disabled, changed or removed.

use super::*;
use crate::store::Pause;

/// Of everything, of the account, of the automation: whatever is on holds back, from the moment it is
/// written; and what is not of its own, it leaves alone.
#[tokio::test]
async fn nothing_fires_and_nothing_is_sent_while_a_kill_switch_is_on() {
    let set = Set::new().await;
    let id = set.planned(1).await;
    let store = &set.fixture.store;
    let reaches = [
        Reach::Service,
        Reach::Account(set.automation.account_id.clone()),
        Reach::Automation(set.automation.id.clone()),
    ];
    for reach in &reaches {
        let on = store.kill_switch_on(reach, false, Some("a test".to_owned()), at(3));
        on.await.unwrap();
        let held = Began::Refused(Refusal::Skip(SkipReason::KillSwitch));
        assert_eq!(set.begin(id).await, held, "{reach}");
        assert_eq!(set.state(id).await, State::Planned);
        set.open(2, 1).await;
        let new = set.decided(2, 2, 1);
        let fired = set.journal.fire(new, Limits::default(), at(4)).await;
        assert_eq!(fired, Err(JournalError::Stopped), "{reach}");
        let none = set.journal.execution(execution(2)).await;
        assert!(none.is_err(), "nothing was written");
        // Of a guard, so it may be let through; and put on again it is replaced.
        store
            .kill_switch_on(reach, true, None, at(5))
            .await
            .unwrap();
        let switches = store.kill_switches().await.unwrap().rows;
        assert_eq!((switches.len(), &switches[0].reach), (1, reach));
        assert!(switches[0].allows_protective && switches[0].reason.is_none());
        assert!(store.kill_switch_off(reach, at(9)).await.unwrap());
        assert!(!store.kill_switch_off(reach, at(9)).await.unwrap());
    }
    for reach in &reaches {
        store
            .kill_switch_on(reach, true, None, at(6))
            .await
            .unwrap();
    }
    let fired = set
        .journal
        .fire(set.decided(2, 2, 1), Limits::default(), at(7));
    assert_eq!(fired.await, Ok(FireResult::Fired));
    assert_eq!(set.begin(id).await, Began::Sending { attempt: 1 });
    let unknown = Reach::Account(AccountId::new("nobody"));
    assert!(
        store
            .kill_switch_on(&unknown, false, None, at(8))
            .await
            .is_err()
    );
}

/// A pause holds back its account from the moment it is written, and no other; the first reason stays.
#[tokio::test]
async fn nothing_fires_and_nothing_is_sent_while_the_account_is_paused() {
    let set = Set::new().await;
    let id = set.planned(1).await;
    let (store, account) = (&set.fixture.store, &set.automation.account_id);
    let other = set.fixture.account("other").await;
    let pause = |id, reason: &str, now| {
        let reason = Some(reason.to_owned());
        async move { store.pause_account(id, reason, "operator", at(now)).await }
    };
    assert_eq!(pause(&other.id, "not this one", 2).await, Ok(true));
    let nobody = AccountId::new("nobody");
    assert!(pause(&nobody, "?", 2).await.is_err());
    assert!(store.resume_account(&nobody, at(2)).await.is_err());

    assert_eq!(pause(account, "a look", 3).await, Ok(true));
    assert_eq!(pause(account, "another look", 4).await, Ok(false));
    let stored = store.account(account.as_str()).await.unwrap();
    let (reason, by) = (Some("a look".to_owned()), "operator".to_owned());
    let since = at(3);
    assert_eq!(stored.paused, Some(Pause { since, reason, by }));
    let held = Began::Refused(Refusal::Skip(SkipReason::AccountPaused));
    assert_eq!(set.begin(id).await, held);
    assert_eq!(set.state(id).await, State::Planned);
    set.open(2, 1).await;
    let fire = || {
        set.journal
            .fire(set.decided(2, 2, 1), Limits::default(), at(5))
    };
    assert_eq!(fire().await, Err(JournalError::Paused));
    assert!(set.journal.execution(execution(2)).await.is_err());

    assert_eq!(store.resume_account(account, at(6)).await, Ok(true));
    assert_eq!(store.resume_account(account, at(7)).await, Ok(false));
    assert_eq!(store.account(account.as_str()).await.unwrap().paused, None);
    assert_eq!(fire().await, Ok(FireResult::Fired));
    assert_eq!(set.begin(id).await, Began::Sending { attempt: 1 });
}

#[tokio::test]
async fn nothing_is_sent_for_a_disabled_a_changed_or_a_removed_rule_or_account() {
    let set = Set::new().await;
    let id = set.planned(1).await;
    let (store, automation) = (&set.fixture.store, &set.automation.id);
    let refused = async |reason| {
        let expected = Began::Refused(Refusal::Skip(reason));
        assert_eq!(set.begin(id).await, expected);
        assert_eq!(set.state(id).await, State::Planned);
        assert_eq!(set.journal.execution(id).await.unwrap().attempts, 0);
    };
    store
        .set_account_active("main", false, at(3))
        .await
        .unwrap();
    refused(SkipReason::AccountDisabled).await;
    store
        .set_automation_active(automation, false, at(3))
        .await
        .unwrap();
    refused(SkipReason::AutomationDisabled).await;
    store.set_account_active("main", true, at(3)).await.unwrap();
    refused(SkipReason::AutomationDisabled).await;
    store
        .set_automation_active(automation, true, at(3))
        .await
        .unwrap();
    set.fixture
        .sql("UPDATE automations SET rule_version = 2")
        .await;
    refused(SkipReason::AutomationDisabled).await;
    set.fixture
        .sql("UPDATE automations SET rule_version = 1")
        .await;
    let error = store.remove_automation(automation).await.unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains(&id.to_string()) && error.contains("disable"),
        "{error}"
    );
    assert_eq!(set.begin(id).await, Began::Sending { attempt: 1 });
    assert_eq!(set.begin(id).await, Began::Refused(Refusal::AlreadySending));
    set.journal
        .back_to_planned(id, "connect failed", at(12))
        .await
        .unwrap();
    assert_eq!(set.begin(id).await, Began::Sending { attempt: 2 });
    set.journal
        .fail(id, "rejected", json!({"code": 1}), at(13))
        .await
        .unwrap();
    assert_eq!(
        set.begin(id).await,
        Began::Refused(Refusal::Ended(State::Failed))
    );
    store.remove_automation(automation).await.unwrap();
    assert!(set.journal.armings(automation, 1).await.unwrap().is_empty());
    assert_eq!(
        set.state(id).await,
        State::Failed,
        "executions outlive the automation"
    );
}
