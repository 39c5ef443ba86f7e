//! Where hosts are. One whose name cannot be resolved is looked for where it was found last: who it
//! is, its certificate says, and positions must not go unguarded for want of a name server.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// A name server that takes longer counts as silent.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// A name that cannot be resolved, of a host that was never found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name {host} cannot be resolved: {cause}")]
pub(super) struct Unresolved {
    host: String,
    cause: String,
}

/// Hosts, and where they were found last. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Names(Arc<Mutex<HashMap<String, Host>>>);

#[derive(Clone, Default)]
struct Host {
    last: Vec<IpAddr>,
    /// The last answer was none, and that was told.
    silent: bool,
    /// Of whoever asks: one at a time, since nobody can stop the system from waiting for an answer.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Names")
    }
}

impl Names {
    /// The addresses of a host, or those that it had when its name could be resolved last.
    pub(super) async fn find(&self, host: &str) -> Result<Vec<IpAddr>, Unresolved> {
        if let Ok(ip) = host.parse() {
            return Ok(vec![ip]);
        }
        let found = self.ask(host).await;
        found.or_else(|cause| self.remembered(host, cause))
    }

    async fn ask(&self, host: &str) -> Result<Vec<IpAddr>, String> {
        let known = self.hosts().entry(host.to_owned()).or_default().clone();
        let asking = async {
            let turn = match (known.turn.clone().try_lock_owned(), known.last.is_empty()) {
                (Ok(turn), _) => turn,
                (Err(_), true) => known.turn.lock_owned().await,
                // Somebody waits already for an answer that does not come.
                (Err(_), false) if known.silent => return Err("no answer yet".to_owned()),
                (Err(_), false) => known.turn.lock_owned().await,
            };
            let (names, name) = (self.clone(), host.to_owned());
            let asking = spawn_blocking(move || {
                let _turn = turn;
                let answer = (name.as_str(), 0).to_socket_addrs();
                let found = answer.map_err(|error| error.to_string())?;
                let found: Vec<_> = found.map(|address| address.ip()).collect();
                match found.is_empty() {
                    true => Err("it has no address".to_owned()),
                    // Noted also where nobody waits any more.
                    false => Ok(names.found(&name, found)),
                }
            });
            let answer = asking.await.map_err(|error| error.to_string());
            answer.flatten()
        };
        let answer = timeout(ANSWER_WITHIN, asking).await;
        answer.unwrap_or_else(|_| Err(format!("no answer within {ANSWER_WITHIN:?}")))
    }

    fn found(&self, host: &str, found: Vec<IpAddr>) -> Vec<IpAddr> {
        let mut hosts = self.hosts();
        let known = hosts.entry(host.to_owned()).or_default();
        known.last.clone_from(&found);
        if std::mem::take(&mut known.silent) {
            tracing::warn!(event = "name.resolved", host);
        }
        found
    }

    fn remembered(&self, host: &str, cause: String) -> Result<Vec<IpAddr>, Unresolved> {
        let mut hosts = self.hosts();
        let known = hosts.entry(host.to_owned()).or_default();
        if !std::mem::replace(&mut known.silent, true) {
            let goes_on = !known.last.is_empty();
            tracing::error!(event = "name.unresolved", host, error = %cause, goes_on);
        }
        if known.last.is_empty() {
            let host = host.to_owned();
            return Err(Unresolved { host, cause });
        }
        Ok(known.last.clone())
    }

    fn hosts(&self) -> MutexGuard<'_, HashMap<String, Host>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let names = self.clone();
        Box::pin(async move {
            let found = names.find(name.as_str()).await?;
            // The port is the URL's.
            let addresses = found.into_iter().map(|ip| SocketAddr::new(ip, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reserved for names that do not exist (RFC 6761).
    const NOBODY: &str = "nobody.invalid";

    #[tokio::test]
    async fn a_host_that_was_found_is_found_there_again_whatever_its_name_server_says() {
        let names = Names::default();
        let error = names.find(NOBODY).await.unwrap_err().to_string();
        assert!(error.starts_with("the name nobody.invalid"), "{error}");
        let ip: IpAddr = [192, 0, 2, 7].into();
        assert_eq!(names.found(NOBODY, vec![ip]), [ip]);
        assert_eq!(names.find(NOBODY).await, Ok(vec![ip]));
        assert_eq!(
            names.find("127.0.0.9").await,
            Ok(vec![[127, 0, 0, 9].into()])
        );
    }

    #[tokio::test]
    async fn nobody_waits_behind_one_whom_a_name_server_keeps_waiting() {
        let names = Names::default();
        let ip: IpAddr = [192, 0, 2, 7].into();
        names.found(NOBODY, vec![ip]);
        let turn = names.hosts()[NOBODY].turn.clone();
        let _kept = turn.lock_owned().await;
        // The first learns of it by waiting, the others by what it has learnt.
        assert_eq!(names.find(NOBODY).await, Ok(vec![ip]));
        let at_once = timeout(ANSWER_WITHIN / 4, names.find(NOBODY));
        assert_eq!(at_once.await, Ok(Ok(vec![ip])));
    }
}
