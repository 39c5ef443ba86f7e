//! What the accounts' keys may do that no watchman needs.

use super::check::Finding;
use crate::app::Prepared;
use crate::store::Account;

/// Whoever has this may empty the account.
const WITHDRAW: &str = "account:withdrawals:write";
/// Logins are scarce, and the service needs them at its start: of more accounts the first are asked.
const ASKED_AT_MOST: usize = 10;

/// Asks for the rights of active accounts' keys, one after the other.
pub(super) async fn findings(prepared: &Prepared, accounts: &[Account]) -> Vec<Finding> {
    let mut findings = vec![];
    let active: Vec<_> = accounts.iter().filter(|one| one.is_active).collect();
    for account in active.iter().take(ASKED_AT_MOST) {
        let what = format!("account {} rights", account.name);
        findings.push(Finding::new(what, judged(prepared.rights(account).await)));
    }
    let left = active.len().saturating_sub(ASKED_AT_MOST);
    if left > 0 {
        let told = format!("not asked, as logins are scarce: {left} accounts");
        findings.push(Finding::new("further rights", Ok(told)));
    }
    findings
}

fn judged(rights: Result<Vec<String>, String>) -> Result<String, String> {
    match rights {
        Ok(rights) if rights.iter().any(|right| right == WITHDRAW) => Err(format!(
            "its key may withdraw ({WITHDRAW}), which a watchman never does and a thief would: make one \
             without that right at the exchange, then `vigia account credentials`"
        )),
        Ok(_) => Ok("its key may not withdraw".to_owned()),
        // Whether the account can be served is said elsewhere.
        Err(error) => Ok(format!("not known: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_key_that_is_known_to_withdraw_is_a_fault() {
        let has = |rights: &[&str]| Ok(rights.iter().map(|right| (*right).to_owned()).collect());
        assert!(judged(has(&["futures:isolated:write", WITHDRAW])).is_err());
        assert!(judged(has(&["account:withdrawals:read"])).is_ok());
        let unknown = judged(Err("no socket".to_owned())).unwrap();
        assert_eq!(unknown, "not known: no socket");
    }
}
