//! A socket's events as a stream of an actor, marked with the socket they came from.

use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::mpsc;

use crate::exchange::{Cause, SocketEvent};

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
