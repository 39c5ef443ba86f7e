//! A socket of an actor: its attempt, written down before it is made, and its events as a stream,
//! marked with the socket they came from.

use std::sync::Arc;

use actix::prelude::*;
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::mpsc;

use super::shared::Shared;
use crate::exchange::{Cause, SocketEvent, SocketPermit};

/// An event of the socket of this number; those of an earlier one are no news.
pub struct FromSocket(pub u64, pub SocketEvent);

/// Ends with [`SocketEvent::Lost`] even where the socket's task died without a word.
pub fn events(
    number: u64,
    receiver: mpsc::Receiver<SocketEvent>,
) -> impl Stream<Item = FromSocket> + 'static {
    unfold(Some(receiver), move |receiver| async move {
        let mut receiver = receiver?;
        match receiver.recv().await {
            Some(event) => Some((FromSocket(number, event), Some(receiver))),
            None => {
                let lost = SocketEvent::Lost(Cause::Closed, "the socket's task ended".to_owned());
                Some((FromSocket(number, lost), None))
            }
        }
    })
}

/// Writes an attempt down and lets the actor make it. Where the store refuses, it is given back, and
/// there is none: a socket that is not counted is not opened.
pub fn attempt<A>(
    shared: &Arc<Shared>,
    permit: SocketPermit,
    context: &mut Context<A>,
    then: impl FnOnce(&mut A, Option<SocketPermit>, &mut Context<A>) + 'static,
) where
    A: Actor<Context = Context<A>>,
{
    let shared = Arc::clone(shared);
    let noting = async move {
        match shared.note_attempt(&permit).await {
            Ok(()) => Some(permit),
            Err(error) => {
                permit.unused();
                shared.store_failed("sockets", &error);
                None
            }
        }
    };
    let noting = actix::fut::wrap_future::<_, A>(noting);
    context.spawn(noting.map(|permit, actor: &mut A, context| then(actor, permit, context)));
}
