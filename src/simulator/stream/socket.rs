//! The life of one socket.

use std::future::{pending, poll_fn};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

use super::hub::{Broken, End, Ends, Outgoing};
use super::rpc::{self, Caller};
use super::strange;
use super::valve::Valve;
use crate::simulator::world::{World, lock};

/// Largest message a client may send.
const MAX_MESSAGE: usize = 16 << 10;
/// How long a close may take, and how long a full peer may block a frame after it was ended.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);
/// How long bytes of an ended client are still read, so that the kernel does not answer them
/// with a reset that overtakes the close frame.
const DRAIN: Duration = Duration::from_millis(200);

type WebSocket = WebSocketStream<Valve>;

/// Takes the socket off the hub's list whatever way its task ends.
struct Registered {
    world: Arc<World>,
    id: u64,
}

impl Drop for Registered {
    fn drop(&mut self) {
        lock(&self.world.hub).remove(self.id);
    }
}

/// Serves an upgraded connection until it ends.
pub(in crate::simulator) async fn run(world: Arc<World>, io: Upgraded, ip: IpAddr) {
    let config = WebSocketConfig::default()
        .read_buffer_size(4096)
        .write_buffer_size(0)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    let valve = Valve::new(io, Arc::clone(&world));
    let mut ws = WebSocketStream::from_raw_socket(valve, Role::Server, Some(config)).await;
    let ends = lock(&world.hub).register(ip, world.settings.limits.sockets_per_ip);
    let Some(ends) = ends else {
        lock(&world.limiter).refuse_socket();
        close(&mut ws, 1008, "too many connections").await;
        return;
    };
    let _registered = Registered {
        world: Arc::clone(&world),
        id: ends.id,
    };
    ws.get_mut().set_id(ends.id);
    match serve(&world, &mut ws, ends, ip).await {
        End::Drop => {}
        End::Close(code, reason) => close(&mut ws, code, reason).await,
    }
}

/// What a socket's loop woke up for.
enum Step {
    End(End),
    Ping,
    Send,
    Queue(Option<Outgoing>),
    Receive(Option<Result<Message, Error>>),
}

async fn serve(world: &World, ws: &mut WebSocket, ends: Ends, ip: IpAddr) -> End {
    let Ends {
        id,
        mut frames,
        mut end,
    } = ends;
    let windows = world.settings.protocol;
    let mut caller = Caller {
        id,
        ip,
        window: Default::default(),
    };
    let mut next: Option<Outgoing> = None;
    let mut idle_at = Instant::now() + windows.idle;
    let mut ping_at = Instant::now() + windows.ping;
    loop {
        // A frame that is due later waits here; frames behind it keep their order.
        let wait = next
            .as_ref()
            .map(|frame| frame.due.saturating_sub(world.clock.elapsed()));
        let due = async {
            match wait {
                Some(wait) if wait.is_zero() => {}
                Some(wait) => sleep(wait).await,
                None => pending().await,
            }
        };
        let step = tokio::select! {
            ended = ended(&mut end) => Step::End(ended),
            () = sleep_until(idle_at) => Step::End(End::Drop),
            () = sleep_until(ping_at) => Step::Ping,
            () = due => Step::Send,
            frame = frames.recv(), if next.is_none() => Step::Queue(frame),
            message = ws.next() => Step::Receive(message),
        };
        match step {
            Step::End(end) => return end,
            Step::Ping => {
                ping_at = Instant::now() + windows.ping;
                lock(&world.hub).answer(world, id, Message::Ping(Bytes::new()));
            }
            Step::Queue(Some(frame)) => next = Some(frame),
            Step::Queue(None) => return End::Drop,
            Step::Send => {
                let Some(frame) = next.take() else { continue };
                let sending = async {
                    match frame.broken {
                        None => ws.send(frame.message).await,
                        Some(broken) => {
                            strange::send_part(ws.get_mut(), &frame.message, broken).await
                        }
                    }
                };
                // A peer that does not read blocks this; being ended must still get through.
                tokio::select! {
                    ended = ended(&mut end) => return ended,
                    sent = timeout(windows.idle, sending) => {
                        if !matches!(sent, Ok(Ok(()))) || frame.broken == Some(Broken::Torn) {
                            return End::Drop;
                        }
                    }
                }
            }
            Step::Receive(message) => {
                idle_at = Instant::now() + windows.idle;
                let reply = match message {
                    Some(Ok(Message::Text(text))) => rpc::answer(world, &mut caller, &text),
                    Some(Ok(Message::Binary(bytes))) => {
                        rpc::answer(world, &mut caller, &String::from_utf8_lossy(&bytes))
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                    Some(Ok(Message::Close(_))) => return End::Close(1000, ""),
                    Some(Err(Error::Capacity(_))) => return End::Close(1009, "message too big"),
                    Some(Err(Error::Protocol(_))) => return End::Close(1002, "protocol error"),
                    Some(Err(Error::Utf8(_))) => return End::Close(1007, "not UTF-8"),
                    Some(Err(_)) | None => return End::Drop,
                };
                lock(&world.hub).answer(world, id, Message::text(reply));
            }
        }
    }
}

/// Waits until the socket is ended from outside.
async fn ended(end: &mut watch::Receiver<Option<End>>) -> End {
    match end.wait_for(Option::is_some).await {
        Ok(end) => end.unwrap_or(End::Drop),
        Err(_) => End::Drop,
    }
}

/// Sends a close frame and lets the client read it.
async fn close(ws: &mut WebSocket, code: u16, reason: &'static str) {
    let frame = CloseFrame {
        code: CloseCode::from(code),
        reason: reason.into(),
    };
    // Already closed by the client, or not readable any more: then nobody waits for it.
    let sent = timeout(CLOSE_PATIENCE, ws.close(Some(frame))).await;
    if !matches!(sent, Ok(Ok(()))) {
        return;
    }
    if code == 1009 {
        // The rest of the message that was too big is not frames any more.
        let _ = timeout(DRAIN, drain(ws.get_mut())).await;
    } else {
        let until_closed = async { while let Some(Ok(_)) = ws.next().await {} };
        let _ = timeout(CLOSE_PATIENCE, until_closed).await;
    }
}

async fn drain(io: &mut Valve) {
    let mut bytes = [0; 4096];
    loop {
        let mut buffer = ReadBuf::new(&mut bytes);
        let read = poll_fn(|context| Pin::new(&mut *io).poll_read(context, &mut buffer)).await;
        if read.is_err() || buffer.filled().is_empty() {
            return;
        }
    }
}
