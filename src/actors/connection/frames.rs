//! What the account's socket says.

use std::time::Duration;

use actix::prelude::*;

use super::super::socket_stream::FromSocket;
use super::{Connection, Overheard};
use crate::domain::book::TradeEvent;
use crate::domain::connection::Event as LinkEvent;
use crate::domain::ids::PositionId;
use crate::exchange::{Frame, SocketEvent};
use crate::telemetry::Event;

impl StreamHandler<FromSocket> for Connection {
    fn handle(&mut self, FromSocket(number, event): FromSocket, context: &mut Context<Self>) {
        if number != self.socket_number {
            return;
        }
        match event {
            SocketEvent::Ready => {
                self.book.hears_from(self.now());
                self.step(LinkEvent::SocketReady, context);
            }
            SocketEvent::Frame(Frame::Trade { id, event }, at) => {
                self.pass_on(Overheard::Trade(id, event, at));
                self.take_trade_event(id, event, at, context);
            }
            SocketEvent::Frame(Frame::Cross, at) => {
                self.pass_on(Overheard::Cross(at));
                self.take_cross_event(at, context);
            }
            SocketEvent::Frame(Frame::LastPrice { .. }, _) | SocketEvent::Forbidden(_) => {}
            SocketEvent::Undecodable(detail) => {
                if let Some(count) = self.undecodable.one_more("", self.now()) {
                    self.shared.events.emit(Event::FrameUndecodable {
                        account: Some(self.account.tag.clone()),
                        actor: self.name(),
                        detail,
                        count,
                    });
                }
            }
            SocketEvent::Lost(cause, detail) => {
                self.forget_socket();
                let (actor, cause) = (self.name(), cause.as_str());
                self.shared.events.emit(Event::SocketLost {
                    account: Some(self.account.tag.clone()),
                    actor,
                    cause,
                    detail,
                });
                self.step(LinkEvent::SocketLost(cause), context);
            }
        }
    }

    /// The end of a socket is no end of the connection.
    fn finished(&mut self, _: &mut Context<Self>) {}
}

impl Connection {
    pub(super) fn take_trade_event(
        &mut self,
        id: PositionId,
        event: TradeEvent,
        at: Duration,
        context: &mut Context<Self>,
    ) {
        if self.book.event(id, event, at) {
            self.publish();
        }
        if self.book.is_dirty() {
            self.read_in(Duration::ZERO, context);
        }
    }

    pub(super) fn take_cross_event(&mut self, at: Duration, context: &mut Context<Self>) {
        self.cross.changed(at);
        self.read_in(Duration::ZERO, context);
    }

    fn pass_on(&self, overheard: Overheard) {
        if let Some(successor) = &self.successor {
            successor.do_send(overheard);
        }
    }
}
