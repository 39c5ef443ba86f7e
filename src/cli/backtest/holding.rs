//! One position of a replay: what it is, what went into it, how it ended.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::super::opened;
use crate::domain::ids::PositionId;
use crate::domain::maths;
use crate::domain::maths::cross::CrossAccount;
use crate::domain::maths::fees::{FeeTier, credit, trading_fee};
use crate::domain::position::Position;
use crate::domain::units::{Price, Sats};

/// How a position ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum EndedBy {
    Liquidation,
    Stoploss,
    Takeprofit,
    Rule,
}

/// The end of a position.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ending {
    pub by: EndedBy,
    pub time: DateTime<Utc>,
    pub price: Price,
}

/// What went into a position and came out of it, in satoshis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tally {
    /// Margin that the rule added.
    pub margin_added: Sats,
    /// Trading fees during the replay.
    pub trading_fees: Sats,
    /// Funding paid; negative was received.
    pub funding: Sats,
    #[serde(skip)]
    pub paid_in: Sats,
    #[serde(skip)]
    pub paid_out: Sats,
}

#[derive(Clone, Debug)]
pub(super) enum Held {
    Isolated(Position),
    Cross(CrossAccount),
    Nothing,
}

/// One position of the replay, with its successors.
#[derive(Clone, Debug)]
pub(super) struct Holding {
    pub label: String,
    pub id: PositionId,
    pub leverage: f64,
    pub since: DateTime<Utc>,
    pub tally: Tally,
    pub ending: Option<Ending>,
    pub held: Held,
}

impl Holding {
    /// The position as the exchange would show it, while it runs.
    pub fn position(&self) -> Option<Position> {
        match &self.held {
            Held::Isolated(position) => Some(position.clone()),
            Held::Cross(account) => account.exposure.map(|exposure| {
                let leverage = self.leverage as i64;
                opened::cross(exposure, account.margin, leverage, self.id, self.since)
            }),
            Held::Nothing => None,
        }
    }

    /// What came out of it beyond what went in, in satoshis, if it were closed at `last`.
    pub fn result(&self, last: Price, tier: FeeTier) -> Sats {
        let left = match &self.held {
            Held::Isolated(trade) => {
                let fee = trading_fee(trade.quantity, last, tier);
                let pl = maths::pl(trade, last);
                credit(trade.margin, trade.maintenance_margin, fee, pl)
            }
            Held::Cross(account) => account.margin + closing(account, last, tier),
            Held::Nothing => Sats::ZERO,
        };
        self.tally.paid_out + left - self.tally.paid_in
    }
}

/// What a close would add to the margin of a cross account.
fn closing(account: &CrossAccount, last: Price, tier: FeeTier) -> Sats {
    account.exposure.map_or(Sats::ZERO, |exposure| {
        exposure.pl(last) - trading_fee(exposure.quantity, last, tier)
    })
}
