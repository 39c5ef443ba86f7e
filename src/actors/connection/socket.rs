//! The account's socket: asked for when it is its turn, written down, opened, given up.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use super::super::socket_stream::{attempt, events};
use super::Connection;
use crate::domain::connection::Event as LinkEvent;
use crate::domain::nearness::Nearness;
use crate::exchange::{Socket, SocketPermit, SocketPlan, Topic};

/// How soon a socket is asked for again after the store refused to note the attempt.
const STORE_RETRY: Duration = Duration::from_secs(1);

impl Connection {
    /// How near the account is to liquidation; `None` while that is not known.
    fn nearness(&self) -> Option<Nearness> {
        self.link.read_at()?;
        let seen = self.account.network.price.seen(self.now())?;
        let positions = self.rows().map(|(position, _)| position);
        Some(Nearness::of(positions, seen.price))
    }

    pub(super) fn connect_in(&mut self, pause: Duration, context: &mut Context<Self>) {
        let timer = context.run_later(pause, Self::connect);
        if let Some(earlier) = self.socket_timer.replace(timer) {
            context.cancel_future(earlier);
        }
    }

    pub(super) fn connect(&mut self, context: &mut Context<Self>) {
        self.socket_timer = None;
        if self.link.has_socket() || self.noting {
            return;
        }
        let (id, nearness) = (&self.account.tag.id, self.nearness());
        let permit = match self.account.network.sockets.for_account(id, nearness) {
            Ok(permit) => permit,
            Err(again_at) => {
                self.connect_in(again_at.saturating_sub(self.now()), context);
                return;
            }
        };
        self.noting = true;
        let shared = Arc::clone(&self.shared);
        attempt(&shared, permit, context, |connection, permit, context| {
            connection.noting = false;
            match permit {
                Some(permit) => connection.open(permit, context),
                None => connection.connect_in(STORE_RETRY, context),
            }
        });
    }

    fn open(&mut self, permit: SocketPermit, context: &mut Context<Self>) {
        self.socket_number += 1;
        let plan = SocketPlan {
            credentials: Some(Arc::clone(&self.account.credentials)),
            topics: vec![
                Topic::IsolatedTrades,
                Topic::CrossOrders,
                Topic::CrossPosition,
            ],
        };
        let network = &self.account.network;
        let (socket, receiver) = Socket::open(
            &network.network,
            plan,
            network.exchange_clock().clone(),
            self.shared.tuning.stream,
            permit,
        );
        self.socket = Some(socket);
        context.add_stream(events(self.socket_number, receiver));
        self.step(LinkEvent::SocketOpening, context);
    }

    pub(super) fn forget_socket(&mut self) {
        self.socket = None;
        self.book.hears_nothing();
        // What the old socket still says is no news.
        self.socket_number += 1;
    }

    /// Gives the socket up where another account needs it much more.
    pub(super) fn yield_socket(&mut self, context: &mut Context<Self>) {
        let (Some(_), Some(nearness)) = (&self.socket, self.nearness()) else {
            return;
        };
        let sockets = &self.account.network.sockets;
        if !sockets.keeps(&self.account.tag.id, nearness) {
            self.forget_socket();
            self.step(LinkEvent::SocketLost("displaced"), context);
        }
    }
}
