//! The ways in which a Redis goes away and comes back.

use crate::network::Network;
use crate::redis_server::RedisServer;

#[derive(Clone, Copy, Debug)]
pub enum Outage {
    Killed,
    Frozen,
    Refused,
    Swallowed,
}

impl Outage {
    pub const ALL: [Self; 4] = [Self::Killed, Self::Frozen, Self::Refused, Self::Swallowed];

    pub fn begin(self, redis: &mut RedisServer, network: &Network) {
        match self {
            Self::Killed => redis.kill(),
            Self::Frozen => redis.freeze(),
            Self::Refused => network.refuse(),
            Self::Swallowed => network.swallow(true),
        }
    }

    pub async fn end(self, redis: &mut RedisServer, network: &Network) {
        match self {
            Self::Killed => redis.restart().await,
            Self::Frozen => redis.thaw(),
            Self::Refused => network.restore().await,
            Self::Swallowed => network.swallow(false),
        }
    }
}
