//! Rate and socket limits, as fixed windows.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;

/// Keys or addresses remembered per limiter; past that, finished windows are forgotten first,
/// and then all: a flood of invented keys must not grow memory.
const MAX_WINDOWS: usize = 20_000;

/// A count per window; `None` in [`Limits`] means unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// So many in a window.
    pub count: u32,
    /// Length of the window, which starts with the first.
    pub window: Duration,
}

impl Limit {
    /// `count` in every window of `seconds`.
    pub const fn per_seconds(count: u32, seconds: u64) -> Option<Limit> {
        Some(Limit {
            count,
            window: Duration::from_secs(seconds),
        })
    }
}

/// Everything the exchange counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Authenticated REST requests per API key.
    pub rest_per_key: Option<Limit>,
    /// Public REST requests per address.
    pub rest_per_ip: Option<Limit>,
    /// Sockets open at once per address.
    pub sockets_per_ip: Option<u32>,
    /// New sockets per address.
    pub new_sockets_per_ip: Option<Limit>,
    /// Messages per socket.
    pub messages_per_socket: Option<Limit>,
    /// `authenticate` attempts per address.
    pub authentications_per_ip: Option<Limit>,
}

impl Limits {
    /// The exchange's: 5 per second and key, 1 public per second and address, 32 sockets, 500
    /// new ones an hour, 10 messages a second, 20 authentications a minute.
    pub const fn exchange() -> Self {
        Limits {
            rest_per_key: Limit::per_seconds(5, 1),
            rest_per_ip: Limit::per_seconds(1, 1),
            sockets_per_ip: Some(32),
            new_sockets_per_ip: Limit::per_seconds(500, 3600),
            messages_per_socket: Limit::per_seconds(10, 1),
            authentications_per_ip: Limit::per_seconds(20, 60),
        }
    }

    /// None at all.
    pub const fn off() -> Self {
        Limits {
            rest_per_key: None,
            rest_per_ip: None,
            sockets_per_ip: None,
            new_sockets_per_ip: None,
            messages_per_socket: None,
            authentications_per_ip: None,
        }
    }
}

/// How often more was asked than any way of counting allows: in windows that slide, which contain
/// every fixed one. What is asked beyond a limit counts here, also where it was not refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Violations {
    /// Authenticated requests of a key.
    pub rest_per_key: u64,
    /// Public requests of an address.
    pub rest_per_ip: u64,
    /// Sockets open at once.
    pub sockets: u64,
    /// New sockets.
    pub new_sockets: u64,
    /// Authentications.
    pub authentications: u64,
}

/// One fixed window: it starts with its first use.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    start: Duration,
    used: u32,
}

impl Window {
    /// Takes one of the window; `Ok(remaining)`, or `Err(time until the window ends)`.
    pub(super) fn take(&mut self, limit: Limit, now: Duration) -> Result<u32, Duration> {
        if self.used == 0 || now >= self.start + limit.window {
            *self = Window {
                start: now,
                used: 0,
            };
        }
        if self.used >= limit.count {
            return Err(self.start + limit.window - now);
        }
        self.used += 1;
        Ok(limit.count - self.used)
    }
}

/// A window that slides: when each of its last uses was, as many as are allowed.
#[derive(Debug, Default)]
struct Sliding(VecDeque<Duration>);

impl Sliding {
    /// Notes a use; whether there were too many in the window that ends with it.
    fn note(&mut self, limit: Limit, now: Duration) -> bool {
        let too_soon = self.0.len() >= limit.count as usize
            && self
                .0
                .front()
                .is_none_or(|first| now < *first + limit.window);
        self.0.push_back(now);
        if self.0.len() > limit.count as usize {
            self.0.pop_front();
        }
        too_soon
    }
}

/// Windows by key or address.
#[derive(Debug)]
struct Windows<K> {
    limit: Option<Limit>,
    by_key: HashMap<K, (Window, Sliding)>,
    violations: u64,
}

impl<K: Hash + Eq> Windows<K> {
    fn new(limit: Option<Limit>) -> Self {
        Windows {
            limit,
            by_key: HashMap::new(),
            violations: 0,
        }
    }

    fn take(&mut self, key: K, now: Duration) -> Result<(), Duration> {
        let Some(limit) = self.limit else {
            return Ok(());
        };
        if self.by_key.len() >= MAX_WINDOWS {
            self.by_key
                .retain(|_, (window, _)| now < window.start + limit.window);
            if self.by_key.len() >= MAX_WINDOWS {
                self.by_key.clear();
            }
        }
        let (window, sliding) = self.by_key.entry(key).or_default();
        self.violations += u64::from(sliding.note(limit, now));
        window.take(limit, now).map(|_| ())
    }
}

/// The counters of all shared limits. Each `take` answers how long to wait when refused.
#[derive(Debug)]
pub(super) struct Limiter {
    keys: Windows<String>,
    ips: Windows<IpAddr>,
    connects: Windows<IpAddr>,
    authentications: Windows<IpAddr>,
    sockets_refused: u64,
}

impl Limiter {
    pub(super) fn new(limits: &Limits) -> Self {
        Limiter {
            keys: Windows::new(limits.rest_per_key),
            ips: Windows::new(limits.rest_per_ip),
            connects: Windows::new(limits.new_sockets_per_ip),
            authentications: Windows::new(limits.authentications_per_ip),
            sockets_refused: 0,
        }
    }

    pub(super) fn violations(&self) -> Violations {
        Violations {
            rest_per_key: self.keys.violations,
            rest_per_ip: self.ips.violations,
            sockets: self.sockets_refused,
            new_sockets: self.connects.violations,
            authentications: self.authentications.violations,
        }
    }

    pub(super) fn refuse_socket(&mut self) {
        self.sockets_refused += 1;
    }

    pub(super) fn take_key(&mut self, key: &str, now: Duration) -> Result<(), Duration> {
        self.keys.take(key.to_owned(), now)
    }

    pub(super) fn take_ip(&mut self, ip: IpAddr, now: Duration) -> Result<(), Duration> {
        self.ips.take(ip, now)
    }

    pub(super) fn take_connect(&mut self, ip: IpAddr, now: Duration) -> Result<(), Duration> {
        self.connects.take(ip, now)
    }

    pub(super) fn take_authentication(
        &mut self,
        ip: IpAddr,
        now: Duration,
    ) -> Result<(), Duration> {
        self.authentications.take(ip, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_starts_with_its_first_use_and_refills_at_once() {
        let limit = Limit {
            count: 2,
            window: Duration::from_secs(1),
        };
        let mut window = Window::default();
        let at = Duration::from_millis;
        assert_eq!(window.take(limit, at(5300)), Ok(1));
        assert_eq!(window.take(limit, at(6000)), Ok(0));
        assert_eq!(window.take(limit, at(6200)), Err(at(100)));
        assert_eq!(window.take(limit, at(6300)), Ok(1));
    }

    #[test]
    fn a_burst_across_two_fixed_windows_is_seen() {
        let limit = Limit {
            count: 2,
            window: Duration::from_secs(1),
        };
        let mut windows = Windows::new(Some(limit));
        let at = Duration::from_millis;
        for ms in [0, 900, 1000, 1899] {
            assert_eq!(windows.take("key", at(ms)), Ok(()));
        }
        assert_eq!(windows.violations, 1, "three from 900 to 1899");
        assert_eq!(windows.take("key", at(2000)), Ok(()));
        assert_eq!(windows.violations, 1);
    }

    #[test]
    fn invented_keys_do_not_grow_memory() {
        let mut limiter = Limiter::new(&Limits::exchange());
        for number in 0..(MAX_WINDOWS * 2) {
            let _ = limiter.take_key(&number.to_string(), Duration::from_secs(1));
        }
        assert!(limiter.keys.by_key.len() <= MAX_WINDOWS);
    }
}
