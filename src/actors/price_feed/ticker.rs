//! The ticker, read while the socket is quiet.

use std::time::Duration;

use actix::prelude::*;
use tokio::time::error::Elapsed;

use super::super::obey::obey_publicly;
use super::PriceFeed;
use crate::exchange::{ExchangeError, Spend, Ticker};
use crate::telemetry::Event;

impl PriceFeed {
    pub(super) fn ask_ticker(&mut self, context: &mut Context<Self>) {
        let asked_at = self.now();
        let allowance = match self.network.public_rate.spend(Spend::Read, asked_at) {
            Ok(allowance) => allowance,
            Err(free_at) => {
                self.ticker_at =
                    Some(free_at.saturating_sub(self.shared.tuning.freshness.ticker_period));
                return;
            }
        };
        self.ticker_asked = true;
        self.ticker_at = Some(asked_at);
        let rest = self.network.rest.clone();
        // What comes later confirms nothing of use, and the next request waits for it.
        let within = self.shared.tuning.freshness.blind / 2;
        let answer = async move {
            let _held = allowance;
            tokio::time::timeout(within, rest.ticker()).await
        };
        let taken = move |answer, feed: &mut Self, _: &mut Context<Self>| {
            feed.ticker_asked = false;
            feed.ticker(answer, asked_at);
        };
        context.spawn(actix::fut::wrap_future::<_, Self>(answer).map(taken));
    }

    fn ticker(
        &mut self,
        answer: Result<Result<Ticker, ExchangeError>, Elapsed>,
        asked_at: Duration,
    ) {
        match answer {
            Ok(Ok(ticker)) => {
                self.last.read(ticker.last, asked_at);
                self.network.price.publish(&self.last);
                self.evaluate(self.now());
            }
            Ok(Err(error)) => {
                obey_publicly(&self.shared, &self.network, &error);
                self.tell_failed_ticker(error.to_string());
            }
            Err(_) => self.tell_failed_ticker("no answer in time".to_owned()),
        }
    }

    fn tell_failed_ticker(&mut self, error: String) {
        if let Some(count) = self.failed_tickers.one_more(&error, self.now()) {
            self.shared.events.emit(Event::TickerFailed {
                network: self.network.network.name.clone(),
                error,
                count,
            });
        }
    }
}
