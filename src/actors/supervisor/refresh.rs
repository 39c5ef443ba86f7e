//! Reading what is stored: regularly, for what other processes changed, and at once when asked.

use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::oneshot;

use super::Supervisor;
use super::desired::{Desired, Unusable, desired};
use crate::store::StoreError;

/// Follows what the store says now. Answered when that was done: accounts that were added are being
/// started, those that were let go are ended, and automations run as stored. Where the store cannot be
/// read it is answered all the same; the next regular reading follows.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Refresh;

/// Readings of the store, one after the other: what an older one says never undoes a newer.
#[derive(Default)]
pub(super) struct Refreshing {
    under_way: bool,
    timer: Option<SpawnHandle>,
    /// Asked for since the reading under way began.
    asked: Vec<oneshot::Sender<()>>,
}

impl Supervisor {
    pub(super) fn refresh(&mut self, context: &mut Context<Self>) {
        if self.stopping || self.refreshing.under_way {
            return;
        }
        if let Some(timer) = self.refreshing.timer.take() {
            context.cancel_future(timer);
        }
        self.refreshing.under_way = true;
        let waiting = std::mem::take(&mut self.refreshing.asked);
        let (shared, served) = (Arc::clone(&self.shared), self.served.clone());
        let reading = async move { desired(&shared, &served).await };
        let read = |desired: Result<(Desired, Vec<Unusable>), StoreError>,
                    supervisor: &mut Self,
                    context: &mut Context<Self>| {
            supervisor.refreshing.under_way = false;
            match desired {
                Ok((desired, unusable)) => {
                    supervisor.shared.expected.rows(unusable.len());
                    for unusable in unusable {
                        supervisor.tell_once(unusable);
                    }
                    supervisor.follow(desired, context);
                }
                Err(error) => supervisor.shared.store_failed("accounts", &error),
            }
            // A store that refuses has been asked all the same.
            supervisor.progress.mark();
            for asker in waiting {
                let _ = asker.send(());
            }
            if supervisor.refreshing.asked.is_empty() {
                let timer = context.run_later(supervisor.shared.tuning.refresh, Self::refresh);
                supervisor.refreshing.timer = Some(timer);
            } else {
                supervisor.refresh(context);
            }
        };
        context.spawn(actix::fut::wrap_future::<_, Self>(reading).map(read));
    }
}

impl Handler<Refresh> for Supervisor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Refresh, context: &mut Context<Self>) -> Self::Result {
        let (asker, answer) = oneshot::channel();
        self.refreshing.asked.push(asker);
        self.refresh(context);
        Box::pin(async move {
            // Dropped unanswered where the service stops.
            let _ = answer.await;
        })
    }
}
