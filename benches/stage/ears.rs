//! What the service tells, with the time at which it was heard: on a thread of its own, so that
//! whatever else a bench does is not in its figures.
#![allow(clippy::disallowed_methods)] // a bench reads the clock

use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::broadcast::error::RecvError;
use vigia::app::App;
use vigia::domain::connection::Transport;
use vigia::domain::ids::AccountId;
use vigia::telemetry::Event;

use super::{LOOK, PATIENCE};

/// All events of a service, in order.
pub struct Ears(Arc<Mutex<Vec<(Instant, Event)>>>);

impl Ears {
    pub fn on(app: &App) -> Self {
        let heard = Arc::new(Mutex::new(vec![]));
        let (mut events, notes) = (app.shared.events.listen(), Arc::clone(&heard));
        std::thread::spawn(move || {
            loop {
                match events.blocking_recv() {
                    Ok(event) => notes.lock().expect("a lock").push((Instant::now(), event)),
                    Err(RecvError::Closed) => return,
                    Err(RecvError::Lagged(missed)) => panic!("{missed} events were missed"),
                }
            }
        });
        Self(heard)
    }

    /// How many were heard: a place from which to listen.
    pub fn mark(&self) -> usize {
        self.0.lock().expect("a lock").len()
    }

    /// Waits for so many events since a mark that `pick` takes.
    pub async fn hear<T>(
        &self,
        what: &str,
        mark: usize,
        count: usize,
        mut pick: impl FnMut(Instant, &Event) -> Option<T>,
    ) -> Vec<T> {
        let (deadline, mut next, mut picked) = (Instant::now() + PATIENCE, mark, vec![]);
        loop {
            {
                let heard = self.0.lock().expect("a lock");
                for (at, event) in &heard[next..] {
                    picked.extend(pick(*at, event));
                }
                next = heard.len();
            }
            if picked.len() >= count {
                return picked;
            }
            let heard = picked.len();
            assert!(
                Instant::now() < deadline,
                "missed: {what}: {heard} of {count}"
            );
            tokio::time::sleep(LOOK).await;
        }
    }

    /// How many events since a mark are such.
    pub fn count(&self, mark: usize, such: impl Fn(&Event) -> bool) -> usize {
        let heard = self.0.lock().expect("a lock");
        heard[mark..]
            .iter()
            .filter(|(_, event)| such(event))
            .count()
    }
}

/// A change to this transport: whose, and its cause.
pub fn switched(event: &Event, wanted: Transport) -> Option<(AccountId, &'static str)> {
    match event {
        Event::TransportSwitched {
            account, to, cause, ..
        } if *to == wanted => Some((account.id.clone(), cause)),
        _ => None,
    }
}
