//! Names of things. Each is its own type, so that an account's id cannot stand for a trade's.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the id as it is stored.
            pub fn new(id: impl AsRef<str>) -> Self {
                Self(Arc::from(id.as_ref()))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// One user's API key at the exchange, under a name of its own.
    AccountId
}
text_id! {
    /// A stored rule of one account.
    AutomationId
}
text_id! {
    /// The owner of accounts and automations.
    UserId
}

const MARKET: &str = "market";

/// A trade's id, as the exchange gave it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PositionId(pub Uuid);

impl PositionId {
    /// Stands for the market where an entry has no position yet.
    pub const MARKET: Self = Self(Uuid::nil());
}

impl From<PositionId> for String {
    fn from(id: PositionId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for PositionId {
    type Error = uuid::Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for PositionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::MARKET => f.write_str(MARKET),
            Self(id) => id.fmt(f),
        }
    }
}

impl fmt::Debug for PositionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for PositionId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            MARKET => Ok(Self::MARKET),
            id => id.parse().map(Self),
        }
    }
}

/// One carrying-out of one trigger or job for one position.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExecutionId(pub Uuid);

const CLIENT_ID: &str = "vigia-";

impl ExecutionId {
    /// The id that the exchange is given with an order that this execution opens: correlation,
    /// not idempotency (the exchange does not enforce uniqueness).
    pub fn client_id(&self) -> String {
        format!("{CLIENT_ID}{}", self.0.simple())
    }

    /// The execution that gave a trade or order its client id, if one of ours did.
    pub fn of_client_id(client_id: &str) -> Option<Self> {
        let id = client_id.strip_prefix(CLIENT_ID)?;
        Uuid::parse_str(id).ok().map(Self)
    }
}

impl fmt::Display for ExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for ExecutionId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}
