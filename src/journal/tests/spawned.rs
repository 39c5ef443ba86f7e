//! What actors spawn can move between threads.

use super::*;

/// Actors spawn these: every future must be able to move between threads.
#[allow(dead_code, reason = "compiling it is the test")]
fn futures_can_be_spawned(journal: &Journal, new: NewExecution, entry: Entry) {
    fn check(_: impl Send) {}
    let (store, id) = (journal.store(), new.id);
    let automation = new.automation.clone();
    check(store.migrate());
    check(store.pending_migrations());
    check(store.accounts());
    check(store.account("main"));
    check(store.credentials(&new.account));
    check(store.set_account_active("main", true, at(1)));
    check(store.automations(None));
    check(store.automation(&automation));
    check(store.remove_automation(&automation));
    check(store.claim_ownership("me", at(1)));
    check(store.close());
    check(journal.open_episode(&automation, new.position, 1, 1, at(1), true));
    check(journal.armings(&automation, 1));
    check(journal.fire(new, Limits::default(), at(1)));
    check(journal.begin_sending(id, ADD, None, at(1)));
    check(journal.back_to_planned(id, "", at(1)));
    check(journal.done(id, json!({}), entry, at(1)));
    check(journal.fail(id, "", json!({}), at(1)));
    check(journal.unfinished());
    check(journal.execution(id));
    check(journal.executions(&Filter::default()));
    check(journal.audit_entries(&AuditFilter::default()));
    check(journal.counts());
    check(journal.resolve(id, Settled::Failed, "", at(1)));
}
