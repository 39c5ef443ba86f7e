//! What a connection hands on to the one that is to take its place: what no reading can tell, and then
//! what happens, for as long as both live.

use std::time::Duration;

use actix::prelude::*;

use super::{Connection, Learned};
use crate::domain::book::{Book, CrossBook, TradeEvent};
use crate::domain::ids::{AutomationId, ExecutionId, PositionId};

/// This connection takes over when it can; nobody, where it never will.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub struct SucceededBy(pub Option<Addr<Connection>>);

/// What a connection tells the one that is to take its place, and no reading can.
#[derive(Clone, Default, Message)]
#[rtype(result = "()")]
pub struct Bequest {
    /// What our own commands left, and what is gone for good.
    pub book: Book,
    /// The same of the cross account.
    pub cross: CrossBook,
}

/// What the old connection's socket says.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub enum Overheard {
    /// Of a trade.
    Trade(PositionId, TradeEvent, Duration),
    /// Of the cross account.
    Cross(Duration),
}

/// An automation of the account has fired an episode.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Fired {
    /// The automation.
    pub automation: AutomationId,
    /// The version of its rule.
    pub rule_version: i64,
    /// For which position.
    pub position: PositionId,
    /// Which episode.
    pub episode: i64,
    /// The execution that stands in the journal.
    pub execution: ExecutionId,
}

impl Handler<SucceededBy> for Connection {
    type Result = ();

    fn handle(&mut self, SucceededBy(successor): SucceededBy, _: &mut Context<Self>) {
        if let Some(successor) = &successor {
            successor.do_send(Bequest {
                book: self.book.heir(),
                cross: self.cross.heir(),
            });
        }
        self.successor = successor;
    }
}

impl Handler<Bequest> for Connection {
    type Result = ();

    fn handle(&mut self, bequest: Bequest, context: &mut Context<Self>) {
        // The old one may die and be started again meanwhile: it knows less by then.
        if !self.begins() {
            return;
        }
        self.book = bequest.book;
        self.cross = bequest.cross;
        self.read_in(Duration::ZERO, context);
        self.connect(context);
    }
}

impl Handler<Overheard> for Connection {
    type Result = ();

    fn handle(&mut self, overheard: Overheard, context: &mut Context<Self>) {
        match overheard {
            Overheard::Trade(id, event, at) => self.take_trade_event(id, event, at, context),
            Overheard::Cross(at) => self.take_cross_event(at, context),
        }
    }
}

impl Handler<Fired> for Connection {
    type Result = ();

    fn handle(&mut self, fired: Fired, _: &mut Context<Self>) {
        if let Some(successor) = &self.successor {
            successor.do_send(fired.clone());
        }
        let automated = self.automations.get(&fired.automation);
        if let Some(child) = automated.and_then(|automated| automated.child.as_ref()) {
            child.addr().do_send(fired);
        }
    }
}

/// What the one that is to take over learns too. Whether the exchange serves the account it finds out
/// by its own credentials.
pub(super) fn concerns_successor(learned: &Learned) -> bool {
    !matches!(learned, Learned::Refused(_) | Learned::CommandRefused)
}
