//! What is said of a connection.

use std::fmt;

use serde::Serialize;

/// Where data comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// The account's socket, after a full sync.
    Websocket,
    /// Readings.
    Http,
}

impl Transport {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Websocket, Self::Http];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Websocket => "websocket",
            Self::Http => "http",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The state of a connection, as it is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Nothing has been read yet.
    Starting,
    /// The book is being read for the first time.
    Syncing,
    /// The book and the price are current.
    Live,
    /// Nothing confirms the price, or the book has not been confirmed for long, or cannot be read:
    /// rules that need them do not act.
    Blind,
    /// The exchange refuses the credentials.
    Unauthorized,
    /// The exchange refuses this key's rights or this region.
    Blocked,
    /// It died too often and is set aside.
    Quarantined,
    /// It was stopped.
    Stopped,
}

impl Health {
    /// All states.
    pub const ALL: [Self; 8] = [
        Self::Starting,
        Self::Syncing,
        Self::Live,
        Self::Blind,
        Self::Unauthorized,
        Self::Blocked,
        Self::Quarantined,
        Self::Stopped,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Syncing => "syncing",
            Self::Live => "live",
            Self::Blind => "blind",
            Self::Unauthorized => "unauthorized",
            Self::Blocked => "blocked",
            Self::Quarantined => "quarantined",
            Self::Stopped => "stopped",
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
