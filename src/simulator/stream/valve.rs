//! A connection whose outgoing bytes can vanish.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::simulator::faults::{Fault, Place};
use crate::simulator::world::{World, lock};

/// An upgraded connection. While [`Fault::SilenceSockets`] matches, it swallows what is written:
/// below the WebSocket layer, because that answers pings by itself.
pub(super) struct Valve {
    io: TokioIo<Upgraded>,
    world: Arc<World>,
    id: u64,
}

impl Valve {
    pub(super) fn new(io: Upgraded, world: Arc<World>) -> Self {
        Valve {
            io: TokioIo::new(io),
            world,
            id: 0,
        }
    }

    /// Tells which socket this is, once it has been taken in.
    pub(super) fn set_id(&mut self, id: u64) {
        self.id = id;
    }

    fn is_shut(&self) -> bool {
        let wanted = |fault: &Fault| *fault == Fault::SilenceSockets;
        if !self.world.has_fault_anywhere(wanted) {
            return false;
        }
        let session = lock(&self.world.hub).session(self.id);
        self.world.has_fault(
            Place {
                key: session.as_deref(),
                ..Place::default()
            },
            wanted,
        )
    }
}

impl AsyncRead for Valve {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl AsyncWrite for Valve {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_shut() {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
