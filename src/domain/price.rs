//! How old a price is: the time since any source confirmed it. A pong is not freshness, and a calm
//! market is not blindness.
//!
//! Times are since the start of the process.

use std::time::Duration;

use super::units::Price;

/// The numbers of freshness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// Without a push for so long, or with a lag over this, the ticker is read.
    pub quiet: Duration,
    /// How often the ticker is read then.
    pub ticker_period: Duration,
    /// Nothing confirmed for so long: blind.
    pub blind: Duration,
    /// A socket silent for so long while the ticker moved is replaced.
    pub deaf: Duration,
}

impl Default for Freshness {
    fn default() -> Self {
        Self {
            quiet: Duration::from_secs(2),
            ticker_period: Duration::from_secs(1),
            blind: Duration::from_secs(5),
            deaf: Duration::from_secs(120),
        }
    }
}

/// The last price of a network and what is known about its age.
#[derive(Clone, Copy, Debug, Default)]
pub struct LastPrice {
    price: Option<Price>,
    confirmed_at: Duration,
    /// When a push last came that was not late.
    pushed_at: Option<Duration>,
    /// The ticker has moved since the last push.
    moved_unpushed: bool,
}

impl LastPrice {
    /// A push that the exchange dated `dated_at` (never later than `now` is believed). Returns
    /// whether it is news; one older than what is known is not. A late one confirms a price of
    /// then, and says nothing for its socket.
    pub fn pushed(
        &mut self,
        price: Price,
        dated_at: Duration,
        now: Duration,
        freshness: &Freshness,
    ) -> bool {
        if now.saturating_sub(dated_at) < freshness.quiet {
            self.pushed_at = Some(now);
            self.moved_unpushed = false;
        }
        self.confirm(price, dated_at.min(now))
    }

    /// A ticker answer, dated by its request. Returns whether it is news.
    pub fn read(&mut self, price: Price, requested_at: Duration) -> bool {
        if self.price.is_some_and(|known| known != price) && requested_at >= self.confirmed_at {
            self.moved_unpushed = true;
        }
        self.confirm(price, requested_at)
    }

    fn confirm(&mut self, price: Price, at: Duration) -> bool {
        if self.price.is_some() && at < self.confirmed_at {
            return false;
        }
        self.confirmed_at = at;
        self.price.replace(price) != Some(price)
    }

    /// The price, whatever its age.
    pub fn price(&self) -> Option<Price> {
        self.price
    }

    /// When it was last confirmed.
    pub fn confirmed_at(&self) -> Duration {
        self.confirmed_at
    }

    /// Time since any source confirmed it; `None` before the first.
    pub fn age(&self, now: Duration) -> Option<Duration> {
        self.price.map(|_| now.saturating_sub(self.confirmed_at))
    }

    /// The price if it may be acted upon.
    pub fn usable(&self, now: Duration, freshness: &Freshness) -> Option<Price> {
        self.price
            .filter(|_| now.saturating_sub(self.confirmed_at) < freshness.blind)
    }

    /// Whether the ticker must be read, because no push has confirmed the price of late.
    pub fn needs_ticker(&self, now: Duration, freshness: &Freshness) -> bool {
        let silent = self
            .pushed_at
            .is_none_or(|at| now.saturating_sub(at) >= freshness.quiet);
        silent || now.saturating_sub(self.confirmed_at) >= freshness.quiet
    }

    /// Whether the socket is deaf: silent for long, or late with all it said, while the ticker moved.
    pub fn is_deaf(&self, opened_at: Duration, now: Duration, freshness: &Freshness) -> bool {
        let heard = self.pushed_at.unwrap_or(opened_at).max(opened_at);
        self.moved_unpushed && now.saturating_sub(heard) >= freshness.deaf
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn price(usd: f64) -> Price {
        Price::from_usd(usd).unwrap()
    }

    const FRESH: fn() -> Freshness = Freshness::default;

    #[test]
    fn an_equal_ticker_price_renews_the_age_so_a_calm_market_is_never_blind() {
        let mut last = LastPrice::default();
        assert!(last.pushed(price(100.0), at(0.0), at(0.0), &FRESH()));
        assert!(!last.needs_ticker(at(1.9), &FRESH()));
        assert!(last.needs_ticker(at(2.0), &FRESH()));
        for second in 2..600 {
            assert!(!last.read(price(100.0), at(f64::from(second))));
            assert!(last.usable(at(f64::from(second) + 0.9), &FRESH()).is_some());
        }
        assert!(!last.is_deaf(at(0.0), at(600.0), &FRESH()));
    }

    #[test]
    fn nothing_confirmed_for_five_seconds_is_blind() {
        let mut last = LastPrice::default();
        assert_eq!(last.usable(at(0.0), &FRESH()), None);
        last.pushed(price(100.0), at(0.0), at(0.0), &FRESH());
        assert!(last.usable(at(4.99), &FRESH()).is_some());
        assert_eq!(last.usable(at(5.0), &FRESH()), None);
    }

    #[test]
    fn a_late_frame_is_as_old_as_its_own_time_and_an_older_one_is_no_news() {
        let mut last = LastPrice::default();
        last.pushed(price(100.0), at(0.0), at(3.0), &FRESH());
        assert_eq!(last.age(at(3.0)), Some(at(3.0)));
        assert!(last.needs_ticker(at(3.0), &FRESH()));
        assert!(last.read(price(99.0), at(3.0)));
        assert!(!last.pushed(price(100.0), at(1.0), at(4.0), &FRESH()));
        assert_eq!(last.price(), Some(price(99.0)));
    }

    #[test]
    fn a_socket_that_is_late_with_everything_is_as_good_as_deaf() {
        let mut last = LastPrice::default();
        last.pushed(price(100.0), at(0.0), at(0.0), &FRESH());
        for second in 3..=120 {
            let now = f64::from(second);
            last.read(price(100.0 + now), at(now));
            last.pushed(price(99.0 + now), at(now - 3.0), at(now), &FRESH());
            assert!(last.needs_ticker(at(now), &FRESH()));
            assert_eq!(
                last.is_deaf(at(0.0), at(now), &FRESH()),
                second == 120,
                "{second}"
            );
        }
        last.pushed(price(101.0), at(120.0), at(120.0), &FRESH());
        assert!(!last.is_deaf(at(0.0), at(120.0), &FRESH()));
    }

    #[test]
    fn a_socket_silent_while_the_ticker_moves_is_deaf() {
        let mut last = LastPrice::default();
        last.pushed(price(100.0), at(0.0), at(0.0), &FRESH());
        last.read(price(101.0), at(60.0));
        assert!(!last.is_deaf(at(0.0), at(119.0), &FRESH()));
        assert!(last.is_deaf(at(0.0), at(120.0), &FRESH()));
        assert!(
            !last.is_deaf(at(100.0), at(120.0), &FRESH()),
            "a new socket has its time"
        );
    }
}
