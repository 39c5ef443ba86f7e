//! What executors learn from the exchange on their way, told to the account's connection.

use std::time::Duration;

use actix::prelude::*;

use super::Connection;
use crate::domain::connection::{Event as LinkEvent, Health, Refusal};
use crate::domain::ids::PositionId;
use crate::domain::position::Position;
use crate::domain::units::Sats;

/// After an own command the book is read again this soon.
const AFTER_OWN_COMMAND: Duration = Duration::from_millis(200);

/// After a command was refused the book is read this soon.
const AFTER_REFUSAL: Duration = Duration::from_secs(1);

/// What an executor learned from the exchange.
#[derive(Message)]
#[rtype(result = "()")]
pub enum Learned {
    /// The answer to margin added: the trade as it is now.
    MarginAdded(Position, Sats),
    /// The answer to a close.
    Closed(PositionId),
    /// A reading of all running trades.
    Running(Vec<Position>, Duration),
    /// A reading was refused for its credentials, rights or region.
    Refused(Refusal),
    /// A command was.
    CommandRefused,
}

impl Handler<Learned> for Connection {
    type Result = ();

    fn handle(&mut self, learned: Learned, context: &mut Context<Self>) {
        let now = self.now();
        match learned {
            Learned::MarginAdded(position, amount) => {
                self.book.own_answer(position, now);
                self.balance = self.balance.map(|balance| balance - amount);
            }
            Learned::Closed(id) => self.book.own_close(id, now),
            Learned::Running(running, requested_at) => {
                self.apply_reading(running, requested_at, context);
                self.publish();
                return;
            }
            Learned::Refused(refusal) => {
                self.step(LinkEvent::Refused(refusal), context);
                return;
            }
            // It may be the command's own affair (a right the key lacks): a reading tells whether
            // the whole account is refused.
            Learned::CommandRefused => {
                if !matches!(self.health, Health::Unauthorized | Health::Blocked) {
                    self.read_in(AFTER_REFUSAL, context);
                }
                return;
            }
        }
        self.balance_at = None;
        self.publish();
        self.read_in(AFTER_OWN_COMMAND, context);
    }
}
