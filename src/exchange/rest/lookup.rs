//! What became of an order of which no more is known than the client id that it was sent with.

use chrono::{DateTime, Duration, Utc};

use super::Rest;
use super::call::Call;
use crate::domain::credentials::Credentials;
use crate::domain::position::Position;
use crate::exchange::answer::unreadable;
use crate::exchange::error::{Effect, ExchangeError};
use crate::exchange::parse::{self, ClosedTrade, CrossOrder, OpenOrder, Unreadable};
use crate::exchange::wire::{self, Head, Raw};

/// How much earlier than its signature a request may have arrived by the exchange's clock: as far
/// as that clock may be misjudged here.
const CLOCKS_DIFFER: Duration = Duration::seconds(30);

/// Where a trade was found.
#[derive(Clone, Debug, PartialEq)]
pub enum FoundTrade {
    /// Among the open orders: it waits for its price.
    Open(OpenOrder),
    /// Among the running trades.
    Running(Position),
    /// Among the closed ones: it was opened, and has ended.
    Closed(ClosedTrade),
    /// Among the canceled ones: it was placed, and never ran.
    Canceled(OpenOrder),
}

impl FoundTrade {
    /// The list that it was found in.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Open(_) => "open",
            Self::Running(_) => "running",
            Self::Closed(_) => "closed",
            Self::Canceled(_) => "canceled",
        }
    }
}

impl Rest {
    /// How many requests [`Rest::by_client_id`] makes, if it finds nothing and no list has a second
    /// page.
    pub const TRADE_LOOKUP: usize = 4;
    /// The same of [`Rest::cross_order_by_client_id`].
    pub const CROSS_LOOKUP: usize = 2;

    /// The isolated trade with this client id, signed at `signed_at` at the earliest. Up to
    /// [`Rest::TRADE_LOOKUP`] requests: it looks in the lists in the order in which a trade passes
    /// through them, so that one that moves on meanwhile is not missed, and ends when it is found.
    ///
    /// # Errors
    /// As every call; also where a list cannot be read so far that its absence were certain.
    pub async fn by_client_id(
        &self,
        who: &Credentials,
        client_id: &str,
        signed_at: DateTime<Utc>,
    ) -> Result<Option<FoundTrade>, ExchangeError> {
        let unreadable = unreadable(Effect::Reads);
        let is_ours = |head: &Head| head.client_id.as_deref() == Some(client_id);
        for list in ["open", "running"] {
            let path = format!("/futures/isolated/trades/{list}");
            let trades: Vec<Raw> = self.signed(&Call::get(&path, ""), who, None).await?;
            let found = parse::find(&trades, is_ours)
                .and_then(found)
                .map_err(&unreadable)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        let since = signed_at - CLOCKS_DIFFER;
        for list in ["closed", "canceled"] {
            let path = format!("/futures/isolated/trades/{list}");
            let seen = |trades: &[Raw]| parse::find(trades, is_ours).and_then(found);
            let found = self.pages(&path, who, since, seen).await?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The cross order with this client id, signed at `signed_at` at the earliest: open, or filled.
    /// (The exchange has no list of canceled ones.) Up to [`Rest::CROSS_LOOKUP`] requests.
    ///
    /// # Errors
    /// As [`Rest::by_client_id`].
    pub async fn cross_order_by_client_id(
        &self,
        who: &Credentials,
        client_id: &str,
        signed_at: DateTime<Utc>,
    ) -> Result<Option<CrossOrder>, ExchangeError> {
        let is_ours = |head: &Head| head.client_id.as_deref() == Some(client_id);
        let find = |orders: &[Raw]| {
            let order: Option<wire::CrossOrder> = parse::find(orders, is_ours)?;
            order.as_ref().map(parse::order).transpose()
        };
        let call = Call::get("/futures/cross/orders/open", "");
        let open: Vec<Raw> = self.signed(&call, who, None).await?;
        let found = find(&open).map_err(unreadable(Effect::Reads))?;
        if found.is_some() {
            return Ok(found);
        }
        let since = signed_at - CLOCKS_DIFFER;
        self.pages("/futures/cross/orders/filled", who, since, find)
            .await
    }
}

/// A trade says itself where it stands, whichever list it was in.
fn found(trade: Option<wire::Trade>) -> Result<Option<FoundTrade>, Unreadable> {
    let Some(trade) = trade else {
        return Ok(None);
    };
    let found = if parse::is_running(&trade) {
        FoundTrade::Running(parse::position(&trade)?)
    } else if trade.closed {
        FoundTrade::Closed(parse::closed_trade(&trade)?)
    } else if trade.canceled {
        FoundTrade::Canceled(parse::open_order(&trade)?)
    } else if trade.open {
        FoundTrade::Open(parse::open_order(&trade)?)
    } else {
        return Err(Unreadable(format!("trade {} is in no state", trade.id)));
    };
    Ok(Some(found))
}
