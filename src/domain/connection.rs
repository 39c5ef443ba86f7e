//! How an account is reached: over its socket or over HTTP, and what follows from each event.
//!
//! Commands always go by REST, so the transport concerns data only. Times are since the start of
//! the process.

mod near;
mod state;

use std::time::Duration;

use super::backoff::Curve;

pub use near::is_near;
pub use state::{Health, Transport};

/// The numbers of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkWindows {
    /// Between readings near a trigger or liquidation.
    pub read_near: Duration,
    /// Between readings far from both.
    pub read_far: Duration,
    /// Between attempts after credentials or region were refused.
    pub refused_pause: Duration,
    /// Delays between attempts to read.
    pub read_curve: Curve,
    /// Delays between attempts to open a socket.
    pub socket_curve: Curve,
    /// A socket that lived so long resets its curve.
    pub socket_stable: Duration,
    /// A book unconfirmed for so long is blind.
    pub book_blind: Duration,
    /// And so is one whose readings have failed for so long, one after the other.
    pub failing: Duration,
    /// A reading that has neither come back nor failed for so long never will: the connection is
    /// replaced.
    pub stuck: Duration,
}

impl Default for LinkWindows {
    fn default() -> Self {
        Self {
            read_near: Duration::from_secs(1),
            read_far: Duration::from_secs(30),
            refused_pause: Duration::from_secs(300),
            read_curve: Curve {
                first: Duration::from_millis(250),
                most: Duration::from_secs(5),
            },
            socket_curve: Curve {
                first: Duration::from_millis(500),
                most: Duration::from_secs(30),
            },
            socket_stable: Duration::from_secs(60),
            book_blind: Duration::from_secs(90),
            failing: Duration::from_secs(5),
            stuck: Duration::from_secs(30),
        }
    }
}

/// What is known of the price, as far as a connection's state depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// None has come yet, and it is too early to miss it.
    Awaited,
    /// A source has confirmed it of late.
    Clear,
    /// Nothing confirms it.
    Lost,
}

/// Why the exchange does not serve the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The credentials.
    Unauthorized,
    /// The rights of the key, or the region.
    Blocked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SocketState {
    Down,
    Opening,
    /// Subscribed; a reading requested after this makes it the transport.
    Syncing {
        since: Duration,
    },
    Up {
        since: Duration,
    },
}

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A reading came back that was requested at this time.
    Read {
        /// Its request.
        requested_at: Duration,
    },
    /// A reading failed; nothing is known about why, or it will pass.
    ReadFailed,
    /// A reading was refused.
    Refused(Refusal),
    /// A socket is being opened.
    SocketOpening,
    /// The socket is subscribed.
    SocketReady,
    /// The socket is no more, for a cause of this name.
    SocketLost(&'static str),
    /// The book found that the socket did not tell of something.
    SocketDeaf,
}

/// What must be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Read the book now.
    ReadNow,
    /// Read the book after this long.
    ReadIn(Duration),
    /// Open a socket after this long.
    ConnectIn(Duration),
    /// Give the socket up.
    DropSocket,
    /// Report a change of transport.
    Switched {
        /// The transport before.
        from: Transport,
        /// The transport now.
        to: Transport,
        /// Time without data between the two.
        gap: Duration,
        /// Why.
        cause: &'static str,
    },
}

/// How one account is reached.
#[derive(Clone, Debug)]
pub struct Link {
    transport: Transport,
    socket: SocketState,
    refusal: Option<Refusal>,
    read_at: Option<Duration>,
    read_failures: u32,
    /// Since when no reading has succeeded.
    failing_since: Option<Duration>,
    socket_failures: u32,
    /// The socket was the transport and was lost then; HTTP has not delivered yet.
    lost: Option<(Duration, &'static str)>,
    switches: u32,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            transport: Transport::Http,
            socket: SocketState::Down,
            refusal: None,
            read_at: None,
            read_failures: 0,
            failing_since: None,
            socket_failures: 0,
            lost: None,
            switches: 0,
        }
    }
}

impl Link {
    /// The transport in use.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// How often it changed.
    pub fn switches(&self) -> u32 {
        self.switches
    }

    /// Whether a socket is open or being opened.
    pub fn has_socket(&self) -> bool {
        self.socket != SocketState::Down
    }

    /// When the book was last confirmed by a reading, by its request.
    pub fn read_at(&self) -> Option<Duration> {
        self.read_at
    }

    /// The state to report.
    pub fn health(&self, price: Sight, now: Duration, windows: &LinkWindows) -> Health {
        match (self.refusal, self.read_at) {
            (Some(Refusal::Unauthorized), _) => Health::Unauthorized,
            (Some(Refusal::Blocked), _) => Health::Blocked,
            (None, None) if self.read_failures == 0 => Health::Starting,
            (None, None) => Health::Syncing,
            (None, Some(at)) if now.saturating_sub(at) >= windows.book_blind => Health::Blind,
            (None, Some(_)) if self.is_failing(now, windows) => Health::Blind,
            _ => match price {
                Sight::Awaited => Health::Syncing,
                Sight::Clear => Health::Live,
                Sight::Lost => Health::Blind,
            },
        }
    }

    fn is_failing(&self, now: Duration, windows: &LinkWindows) -> bool {
        let since = self.failing_since;
        since.is_some_and(|since| now.saturating_sub(since) >= windows.failing)
    }

    /// Takes one step; `roll` is a random number in 0 to 1.
    pub fn step(
        &mut self,
        event: Event,
        now: Duration,
        roll: f64,
        windows: &LinkWindows,
    ) -> Vec<Effect> {
        match event {
            Event::Read { requested_at } => self.read(requested_at, now, windows),
            Event::ReadFailed => {
                let pause = windows.read_curve.delay(self.read_failures, roll);
                self.read_failures = self.read_failures.saturating_add(1);
                self.failing_since.get_or_insert(now);
                vec![Effect::ReadIn(pause)]
            }
            Event::Refused(refusal) => {
                self.refusal = Some(refusal);
                vec![Effect::ReadIn(windows.refused_pause)]
            }
            Event::SocketOpening => {
                self.socket = SocketState::Opening;
                vec![]
            }
            Event::SocketReady => {
                self.socket = SocketState::Syncing { since: now };
                vec![Effect::ReadNow]
            }
            Event::SocketLost(cause) => self.socket_lost(cause, now, roll, windows),
            Event::SocketDeaf if self.transport == Transport::Websocket => {
                let mut effects = vec![Effect::DropSocket];
                effects.extend(self.socket_lost("silent", now, roll, windows));
                effects
            }
            Event::SocketDeaf => vec![],
        }
    }

    fn read(
        &mut self,
        requested_at: Duration,
        now: Duration,
        windows: &LinkWindows,
    ) -> Vec<Effect> {
        let was_refused = self.refusal.take().is_some();
        self.read_failures = 0;
        self.failing_since = None;
        self.read_at = self.read_at.max(Some(requested_at));
        let mut effects = vec![];
        if let Some((lost_at, cause)) = self.lost
            && requested_at >= lost_at
        {
            self.lost = None;
            let gap = now.saturating_sub(lost_at);
            let (from, to) = (Transport::Websocket, Transport::Http);
            effects.push(Effect::Switched {
                from,
                to,
                gap,
                cause,
            });
        }
        match self.socket {
            SocketState::Syncing { since } if requested_at >= since => {
                self.socket = SocketState::Up { since: now };
                self.transport = Transport::Websocket;
                self.switches += 1;
                let (from, to) = (Transport::Http, Transport::Websocket);
                let gap = Duration::ZERO;
                effects.push(Effect::Switched {
                    from,
                    to,
                    gap,
                    cause: "synced",
                });
            }
            SocketState::Syncing { .. } => effects.push(Effect::ReadNow),
            SocketState::Down if was_refused => {
                effects.push(Effect::ConnectIn(windows.socket_curve.first));
            }
            _ => {}
        }
        effects
    }

    fn socket_lost(
        &mut self,
        cause: &'static str,
        now: Duration,
        roll: f64,
        windows: &LinkWindows,
    ) -> Vec<Effect> {
        if let SocketState::Up { since } = self.socket
            && now.saturating_sub(since) >= windows.socket_stable
        {
            self.socket_failures = 0;
        }
        self.socket = SocketState::Down;
        let pause = match cause {
            "auth" => windows.refused_pause,
            // Given up for another account: its turn will come.
            "displaced" => windows.socket_curve.first,
            _ => windows.socket_curve.delay(self.socket_failures, roll),
        };
        self.socket_failures = self.socket_failures.saturating_add(1);
        let mut effects = vec![Effect::ConnectIn(pause)];
        if self.transport == Transport::Websocket {
            self.transport = Transport::Http;
            self.switches += 1;
            self.lost = Some((now, cause));
            effects.push(Effect::ReadNow);
        }
        effects
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn step(link: &mut Link, event: Event, ms: u64) -> Vec<Effect> {
        link.step(event, at(ms), 1.0, &LinkWindows::default())
    }

    fn live_over_websocket() -> Link {
        let mut link = Link::default();
        step(
            &mut link,
            Event::Read {
                requested_at: at(1),
            },
            5,
        );
        step(&mut link, Event::SocketOpening, 5);
        assert_eq!(step(&mut link, Event::SocketReady, 10), [Effect::ReadNow]);
        let effects = step(
            &mut link,
            Event::Read {
                requested_at: at(9),
            },
            12,
        );
        assert_eq!(
            effects,
            [Effect::ReadNow],
            "requested before the subscription"
        );
        let effects = step(
            &mut link,
            Event::Read {
                requested_at: at(12),
            },
            15,
        );
        assert!(matches!(
            effects[..],
            [Effect::Switched {
                to: Transport::Websocket,
                ..
            }]
        ));
        link
    }

    #[test]
    fn an_account_is_live_over_http_first_and_over_its_socket_after_a_full_sync() {
        let mut link = Link::default();
        let windows = LinkWindows::default();
        assert_eq!(link.health(Sight::Clear, at(0), &windows), Health::Starting);
        step(&mut link, Event::ReadFailed, 1);
        assert_eq!(link.health(Sight::Clear, at(2), &windows), Health::Syncing);
        step(
            &mut link,
            Event::Read {
                requested_at: at(3),
            },
            4,
        );
        assert_eq!(link.health(Sight::Clear, at(4), &windows), Health::Live);
        assert_eq!(link.health(Sight::Lost, at(4), &windows), Health::Blind);
        assert_eq!(
            link.health(Sight::Awaited, at(4), &windows),
            Health::Syncing
        );
        assert_eq!(link.transport(), Transport::Http);
        assert_eq!(live_over_websocket().transport(), Transport::Websocket);
    }

    #[test]
    fn readings_that_fail_for_long_make_blind_whatever_the_socket_says() {
        let mut link = live_over_websocket();
        let windows = LinkWindows::default();
        for ms in [1000, 2000, 6000] {
            step(&mut link, Event::ReadFailed, ms);
        }
        let health = |link: &Link, ms| link.health(Sight::Clear, at(ms), &windows);
        assert_eq!(health(&link, 5999), Health::Live);
        assert_eq!(health(&link, 6000), Health::Blind);
        let requested_at = at(6001);
        step(&mut link, Event::Read { requested_at }, 6002);
        assert_eq!(health(&link, 6002), Health::Live);
        step(&mut link, Event::ReadFailed, 7000);
        assert_eq!(health(&link, 11_999), Health::Live, "counted anew");
    }

    #[test]
    fn a_lost_socket_is_replaced_by_readings_at_once_and_the_gap_is_told() {
        let mut link = live_over_websocket();
        let effects = step(&mut link, Event::SocketLost("closed"), 100);
        assert_eq!(effects, [Effect::ConnectIn(at(500)), Effect::ReadNow]);
        assert_eq!(link.transport(), Transport::Http);
        let stale = step(
            &mut link,
            Event::Read {
                requested_at: at(99),
            },
            101,
        );
        assert_eq!(stale, [], "requested before the loss");
        let effects = step(
            &mut link,
            Event::Read {
                requested_at: at(100),
            },
            107,
        );
        let expected = Effect::Switched {
            from: Transport::Websocket,
            to: Transport::Http,
            gap: at(7),
            cause: "closed",
        };
        assert_eq!(effects, [expected]);
        assert_eq!(link.switches(), 2);
    }

    #[test]
    fn reconnects_back_off_without_end_and_a_stable_socket_resets_them() {
        let mut link = Link::default();
        let delays: Vec<_> = (0..9)
            .map(
                |n| match step(&mut link, Event::SocketLost("closed"), n)[0] {
                    Effect::ConnectIn(delay) => delay.as_millis(),
                    other => panic!("{other:?}"),
                },
            )
            .collect();
        assert_eq!(
            delays,
            [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]
        );
        step(&mut link, Event::SocketReady, 100);
        step(
            &mut link,
            Event::Read {
                requested_at: at(100),
            },
            101,
        );
        let effects = step(&mut link, Event::SocketLost("closed"), 60_101);
        assert_eq!(effects[0], Effect::ConnectIn(at(500)));
    }

    #[test]
    fn a_refusal_makes_no_storm_and_ends_with_the_first_reading() {
        let mut link = Link::default();
        let pause = Duration::from_secs(300);
        let effects = step(&mut link, Event::Refused(Refusal::Unauthorized), 1);
        assert_eq!(effects, [Effect::ReadIn(pause)]);
        let windows = LinkWindows::default();
        assert_eq!(
            link.health(Sight::Clear, at(1), &windows),
            Health::Unauthorized
        );
        assert_eq!(
            step(&mut link, Event::SocketLost("auth"), 2),
            [Effect::ConnectIn(pause)]
        );
        let effects = step(
            &mut link,
            Event::Read {
                requested_at: at(3),
            },
            3,
        );
        assert_eq!(effects, [Effect::ConnectIn(windows.socket_curve.first)]);
        assert_eq!(link.health(Sight::Clear, at(3), &windows), Health::Live);
    }

    #[test]
    fn a_deaf_socket_is_dropped() {
        let mut link = live_over_websocket();
        let effects = step(&mut link, Event::SocketDeaf, 50);
        assert_eq!(
            effects,
            [
                Effect::DropSocket,
                Effect::ConnectIn(at(500)),
                Effect::ReadNow
            ]
        );
        assert_eq!(step(&mut link, Event::SocketDeaf, 51), []);
    }
}
