//! Who is connected, as whom, and wants to hear what.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::strange;
use super::topic::Topic;
use crate::simulator::engine::{Event, News};
use crate::simulator::faults::{Fault, Place};
use crate::simulator::keys::{Owners, is_of};
use crate::simulator::wire;
use crate::simulator::world::World;

/// Frames waiting for one socket. A reader that falls further behind is disconnected with 1013:
/// its memory is bounded, and it must read everything anew anyway.
pub(super) const OUTBOUND_QUEUE: usize = 1024;
/// Remembered nonces; past that the oldest windows are dropped first, then all.
const MAX_NONCES: usize = 100_000;

/// How a socket is ended from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulator) enum End {
    /// The TCP connection is dropped, without a close frame.
    Drop,
    /// A close frame with this code and reason.
    Close(u16, &'static str),
}

/// A frame on its way out.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) message: Message,
    /// Not before this elapsed time.
    pub(super) due: Duration,
    /// How it breaks off in its middle, if it does.
    pub(super) broken: Option<Broken>,
}

/// What follows the beginning of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// The end of the TCP connection.
    Torn,
    /// The next frame.
    Cut,
}

/// The receiving ends of a socket's task.
pub(super) struct Ends {
    pub(super) id: u64,
    pub(super) frames: mpsc::Receiver<Outgoing>,
    pub(super) end: watch::Receiver<Option<End>>,
}

#[derive(Debug)]
struct Socket {
    ip: IpAddr,
    frames: mpsc::Sender<Outgoing>,
    end: watch::Sender<Option<End>>,
    /// The key it has authenticated with.
    session: Option<String>,
    topics: BTreeSet<Topic>,
    /// A push held back by [`Fault::ReorderEvents`].
    held: Option<Utf8Bytes>,
}

/// All open sockets, and the nonces seen lately.
#[derive(Debug, Default)]
pub(in crate::simulator) struct Hub {
    sockets: BTreeMap<u64, Socket>,
    next_id: u64,
    pub(in crate::simulator) owners: Owners,
    nonces: BTreeMap<(String, i64, String), Duration>,
}

impl Hub {
    /// Takes in a socket; `None` when its address has as many as it may.
    pub(super) fn register(&mut self, ip: IpAddr, most: Option<u32>) -> Option<Ends> {
        let open = self
            .sockets
            .values()
            .filter(|socket| socket.ip == ip)
            .count();
        if most.is_some_and(|most| open >= most as usize) {
            return None;
        }
        self.next_id += 1;
        let (frames_in, frames) = mpsc::channel(OUTBOUND_QUEUE);
        let (end_in, end) = watch::channel(None);
        let socket = Socket {
            ip,
            frames: frames_in,
            end: end_in,
            session: None,
            topics: BTreeSet::new(),
            held: None,
        };
        self.sockets.insert(self.next_id, socket);
        Some(Ends {
            id: self.next_id,
            frames,
            end,
        })
    }

    pub(super) fn remove(&mut self, id: u64) {
        self.sockets.remove(&id);
    }

    /// Ends sockets, all or those of one key, at most `most`; answers how many. One that is being
    /// ended already is not ended again.
    pub(in crate::simulator) fn end(&mut self, key: Option<&str>, most: usize, end: End) -> usize {
        let matching = self
            .sockets
            .values()
            .filter(|socket| key.is_none() || socket.session.as_deref() == key)
            .filter(|socket| socket.end.borrow().is_none());
        let tell = |socket: &&Socket| _ = socket.end.send_replace(Some(end));
        matching.take(most).inspect(tell).count()
    }

    /// Open sockets: key of the session and topics.
    pub(in crate::simulator) fn list(&self) -> Vec<(Option<String>, Vec<String>)> {
        self.sockets
            .values()
            .map(|socket| {
                let topics = socket.topics.iter().map(Topic::to_string).collect();
                (socket.session.clone(), topics)
            })
            .collect()
    }

    pub(in crate::simulator) fn count(&self) -> usize {
        self.sockets.len()
    }

    pub(super) fn session(&self, id: u64) -> Option<String> {
        self.sockets.get(&id)?.session.clone()
    }

    pub(super) fn log_in(&mut self, id: u64, key: &str) {
        if let Some(socket) = self.sockets.get_mut(&id) {
            socket.session = Some(key.to_owned());
        }
    }

    pub(super) fn subscribe(&mut self, id: u64, topics: &[Topic]) {
        if let Some(socket) = self.sockets.get_mut(&id) {
            socket.topics.extend(topics);
        }
    }

    /// Removes those of the topics that were active, and lists them; `None` removes all.
    pub(super) fn unsubscribe(&mut self, id: u64, topics: Option<&[Topic]>) -> Vec<Topic> {
        let Some(socket) = self.sockets.get_mut(&id) else {
            return Vec::new();
        };
        match topics {
            Some(topics) => topics
                .iter()
                .copied()
                .filter(|topic| socket.topics.remove(topic))
                .collect(),
            None => std::mem::take(&mut socket.topics).into_iter().collect(),
        }
    }

    /// Remembers a nonce; `false` when it was used within the window.
    pub(super) fn use_nonce(
        &mut self,
        nonce: (String, i64, String),
        now: Duration,
        window: Duration,
    ) -> bool {
        self.nonces.retain(|_, seen| now < *seen + window);
        if self.nonces.len() >= MAX_NONCES {
            self.nonces.clear();
        }
        self.nonces.insert(nonce, now).is_none()
    }

    /// Whether anybody listens: unheard pushes are not even written.
    pub(super) fn is_heard(&self, topic: Topic) -> bool {
        self.sockets
            .values()
            .any(|socket| socket.topics.contains(&topic))
    }

    /// Pushes to everybody who subscribed to a public topic.
    pub(super) fn publish(&mut self, world: &World, topic: Topic, data: &Value) {
        self.push(world, topic, None, data);
    }

    /// Pushes a private event to its owner.
    pub(in crate::simulator) fn publish_event(&mut self, world: &World, event: &Event) {
        let (topic, data) = match &event.news {
            News::Trade(kind, trade) => (Topic::IsolatedTrades, wire::trade_event(*kind, trade)),
            News::Order(kind, order) => (Topic::CrossOrders, wire::order_event(*kind, order)),
            News::Position {
                event,
                position,
                in_orders,
                last,
            } => {
                let data = wire::position_event(*event, position, *in_orders, *last);
                (Topic::CrossPosition, data)
            }
        };
        self.push(world, topic, Some(&event.key), &data);
    }

    /// Pushes to the owner of a key.
    pub(in crate::simulator) fn publish_to(
        &mut self,
        world: &World,
        topic: Topic,
        key: &str,
        data: &Value,
    ) {
        self.push(world, topic, Some(key), data);
    }

    fn push(&mut self, world: &World, topic: Topic, owner: Option<&str>, data: &Value) {
        let name = topic.to_string();
        let params = json!({ "topic": name, "data": data });
        let frame = json!({ "jsonrpc": "2.0", "method": "subscription", "params": params });
        let text = Utf8Bytes::from(frame.to_string());
        for socket in self.sockets.values_mut() {
            let of = |owner| is_of(&self.owners, socket.session.as_deref(), owner);
            let is_owner = owner.is_none_or(of);
            if is_owner && socket.topics.contains(&topic) {
                socket.push(world, &name, &text);
            }
        }
    }

    /// Queues an answer for a socket.
    pub(super) fn answer(&mut self, world: &World, id: u64, message: Message) {
        if let Some(socket) = self.sockets.get_mut(&id) {
            socket.queue(world, None, message);
        }
    }
}

impl Socket {
    fn push(&mut self, world: &World, topic: &str, text: &Utf8Bytes) {
        let session = self.session.clone();
        let place = Place {
            key: session.as_deref(),
            topic: Some(topic),
            ..Place::default()
        };
        if world.has_fault(place, |fault| *fault == Fault::SilenceData)
            || (session.is_some() && world.has_fault(place, |fault| *fault == Fault::RevokedKey))
        {
            return;
        }
        let fault = world.take_fault(place, |fault| {
            matches!(
                fault,
                Fault::DropEvents
                    | Fault::DuplicateEvents
                    | Fault::ReorderEvents
                    | Fault::MalformedEvents
                    | Fault::TearFrames
                    | Fault::CutFrames
                    | Fault::HugeEvents { .. }
                    | Fault::StrangeEvents
            )
        });
        let whole = || Message::Text(text.clone());
        match fault {
            Some(Fault::DropEvents) => return,
            Some(Fault::ReorderEvents) if self.held.is_none() => {
                self.held = Some(text.clone());
                return;
            }
            Some(Fault::MalformedEvents) => {
                // Frames are ASCII but for client ids, so half of one is nearly always a boundary;
                // where it is not, the nearest one before it is taken.
                let mut half = text.len() / 2;
                while !text.is_char_boundary(half) {
                    half -= 1;
                }
                self.queue(world, Some(topic), Message::text(&text[..half]));
            }
            Some(Fault::DuplicateEvents) => {
                self.queue(world, Some(topic), whole());
                self.queue(world, Some(topic), whole());
            }
            Some(Fault::TearFrames) => {
                self.queue_as(world, Some(topic), whole(), Some(Broken::Torn));
            }
            Some(Fault::CutFrames) => {
                self.queue_as(world, Some(topic), whole(), Some(Broken::Cut));
            }
            Some(Fault::HugeEvents { bytes }) => {
                let padded = strange::padded(text, bytes as usize);
                self.queue(world, Some(topic), Message::text(padded));
            }
            Some(Fault::StrangeEvents) => {
                for frame in strange::of(text) {
                    self.queue(world, Some(topic), Message::text(frame));
                }
            }
            _ => self.queue(world, Some(topic), whole()),
        }
        if let Some(held) = self.held.take() {
            self.queue(world, Some(topic), Message::Text(held));
        }
    }

    fn queue(&mut self, world: &World, topic: Option<&str>, message: Message) {
        self.queue_as(world, topic, message, None);
    }

    fn queue_as(
        &mut self,
        world: &World,
        topic: Option<&str>,
        message: Message,
        broken: Option<Broken>,
    ) {
        let place = Place {
            key: self.session.as_deref(),
            topic,
            ..Place::default()
        };
        let delay =
            match world.take_fault(place, |fault| matches!(fault, Fault::DelayFrames { .. })) {
                Some(Fault::DelayFrames { ms }) => Duration::from_millis(ms),
                _ => Duration::ZERO,
            };
        let due = world.clock.elapsed() + delay;
        let outgoing = Outgoing {
            message,
            due,
            broken,
        };
        if self.frames.try_send(outgoing).is_err() {
            self.end.send_replace(Some(End::Close(1013, "too slow")));
        }
    }
}
