//! Everything that can be made to go wrong, on purpose and by name.

mod active;
mod injection;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(super) use active::{Faults, Place};
pub use injection::Injection;

/// One way of going wrong. See [`Injection`] for where and how often.
///
/// As JSON: `{"kind": "status", "status": 503}`, the kind in snake case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// The port is closed: connections are refused by the kernel, the control interface over
    /// HTTP included, so this one needs `for_ms`. Open connections stay.
    RefuseConnections,
    /// Upgrades to the stream are answered with this status.
    RefuseUpgrades {
        /// HTTP status.
        status: u16,
    },
    /// At once: matching sockets lose their TCP connection, without a close frame.
    DropSockets,
    /// At once: matching sockets are closed with this code.
    CloseSockets {
        /// WebSocket close code.
        code: u16,
    },
    /// Matching sockets are accepted and read, but nothing is sent, not even pongs.
    SilenceSockets,
    /// Matching sockets get answers and pongs, but no pushes. A `topic` limits it to one.
    SilenceData,
    /// Frames leave so much later, in order.
    DelayFrames {
        /// Milliseconds.
        ms: u64,
    },
    /// Pushes are lost.
    DropEvents,
    /// Pushes are sent twice.
    DuplicateEvents,
    /// A push is held back and sent after the next one.
    ReorderEvents,
    /// Pushes are cut in the middle: not JSON any more.
    MalformedEvents,
    /// Pushes break off in the middle of their WebSocket frame, and the TCP connection is dropped.
    TearFrames,
    /// Of pushes, the WebSocket frame is sent without its last byte, and then whatever follows.
    CutFrames,
    /// Pushes are padded to so many bytes.
    HugeEvents {
        /// Bytes of the whole message.
        bytes: u32,
    },
    /// Before each push comes one of a topic that there is not; the push itself has a field that
    /// there is not, and so is its `event`, where it has one.
    StrangeEvents,
    /// `authenticate` is refused; sockets that have authenticated go on.
    RefuseLogins,
    /// `subscribe` subscribes, and lists, all but the last topic.
    PartialSubscribe,
    /// The request arrives late: it is carried out after the pause, even if the client has gone.
    DelayRequest {
        /// Milliseconds.
        ms: u64,
    },
    /// The answer is late; the request was carried out at once.
    DelayReply {
        /// Milliseconds.
        ms: u64,
    },
    /// Answered with this instead; nothing is applied.
    Status {
        /// HTTP status.
        status: u16,
        /// `code` of the body; derived from the status when absent.
        #[serde(default)]
        code: Option<String>,
        /// Seconds of a `Retry-After` header.
        #[serde(default)]
        retry_after: Option<f64>,
        /// Plain text `Not found` instead of JSON.
        #[serde(default)]
        plain: bool,
    },
    /// Applied; the body is cut in the middle and the connection closed.
    TruncateBody,
    /// Applied; the body is whole but not JSON.
    MalformedBody,
    /// In lists, this trade is on a side that there is not.
    UnreadableTrade {
        /// The trade's id.
        id: String,
    },
    /// Never answered.
    Hang {
        /// Whether the request is carried out.
        apply: bool,
    },
    /// Applied, and the connection closed instead of answering.
    LoseReply,
    /// Not applied, and the connection closed instead of answering.
    DropRequest,
    /// 503 after the authentication, as while the trading engine restarts.
    EngineUnavailable,
    /// 403 on everything that needs a key, as for a blocked region.
    GeoBlock,
    /// 401 and -32401 for the key.
    RevokedKey,
    /// The exchange's clock is off by so much, everywhere.
    ClockSkew {
        /// Milliseconds, positive: ahead.
        offset_ms: i64,
    },
}

impl Fault {
    /// Answered with this HTTP status and the code that goes with it; nothing is applied.
    pub fn status(status: u16) -> Self {
        Fault::Status {
            status,
            code: None,
            retry_after: None,
            plain: false,
        }
    }

    /// Only for this API key.
    pub fn on_key(self, key: &str) -> Injection {
        Injection::from(self).on_key(key)
    }

    /// Only for REST paths that begin so, for example `/v3/futures/isolated/trade/close`.
    pub fn on_route(self, prefix: &str) -> Injection {
        Injection::from(self).on_route(prefix)
    }

    /// So many times.
    pub fn times(self, count: u32) -> Injection {
        Injection::from(self).times(count)
    }

    /// For so long.
    pub fn lasting(self, duration: Duration) -> Injection {
        Injection::from(self).lasting(duration)
    }

    /// Whether it decides a REST answer; of several, only the first that matches does.
    pub(super) fn decides_reply(&self) -> bool {
        matches!(
            self,
            Fault::Status { .. }
                | Fault::TruncateBody
                | Fault::MalformedBody
                | Fault::Hang { .. }
                | Fault::LoseReply
                | Fault::DropRequest
        )
    }
}
