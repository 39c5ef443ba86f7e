//! What executors learn from the exchange on their way, told to the account's connection.

use std::time::Duration;

use actix::prelude::*;

use super::Connection;
use super::heritage::concerns_successor;
use crate::domain::connection::{Event as LinkEvent, Health, Refusal};
use crate::domain::ids::PositionId;
use crate::domain::position::Position;
use crate::domain::units::Sats;
use crate::exchange::{CrossReading, Running};

/// After an own command the book is read again this soon.
const AFTER_OWN_COMMAND: Duration = Duration::from_millis(200);

/// After a command was refused the book is read this soon.
const AFTER_REFUSAL: Duration = Duration::from_secs(1);

/// What an executor learned from the exchange.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub enum Learned {
    /// The answer to a command on a trade, or to an order: the trade as it is now, and what it took
    /// from the balance.
    Answered(Position, Sats),
    /// The answer to a close.
    Closed(PositionId),
    /// A reading of all running trades.
    Running(Running, Duration),
    /// The answer to a deposit or to a setting of the cross account, and what it took from the
    /// balance.
    CrossAnswered(CrossReading, Sats),
    /// A reading of the cross account.
    CrossRead(CrossReading, Duration),
    /// An order of ours was filled, at this time: the cross position must be read. What is requested
    /// from then on shows it.
    CrossChanged(Duration),
    /// A reading was refused for its credentials, rights or region.
    Refused(Refusal),
    /// A command was.
    CommandRefused,
}

impl Handler<Learned> for Connection {
    type Result = ();

    fn handle(&mut self, learned: Learned, context: &mut Context<Self>) {
        let now = self.now();
        if let Some(successor) = self
            .successor
            .as_ref()
            .filter(|_| concerns_successor(&learned))
        {
            successor.do_send(learned.clone());
        }
        match learned {
            Learned::Answered(position, amount) => {
                self.book.own_answer(position, now);
                self.balance = self.balance.map(|balance| balance - amount);
            }
            Learned::Closed(id) => self.book.own_close(id, now),
            Learned::CrossAnswered(reading, amount) => {
                let CrossReading {
                    margin,
                    leverage,
                    position,
                } = reading;
                self.cross.own_answer(margin, leverage, position, now);
                self.balance = self.balance.map(|balance| balance - amount);
            }
            Learned::CrossRead(reading, requested_at) => {
                self.apply_cross(reading, requested_at, context);
                return;
            }
            Learned::CrossChanged(at) => self.cross.changed(at),
            Learned::Running(running, requested_at) => {
                self.apply_reading(running, requested_at, context);
                self.step(LinkEvent::Read { requested_at }, context);
                self.publish();
                return;
            }
            Learned::Refused(refusal) => {
                self.step(LinkEvent::Refused(refusal), context);
                return;
            }
            // It may be the command's own affair (a right the key lacks, a balance that is not what
            // was last read): a reading tells whether the whole account is refused.
            Learned::CommandRefused => {
                self.balance_at = None;
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
