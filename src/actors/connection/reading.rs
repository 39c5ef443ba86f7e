//! Reading the book and the balance over HTTP: often near danger, within the key's rate budget, one
//! at a time.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use super::super::obey;
use super::Connection;
use crate::domain::book::{Drift, ReadOutcome};
use crate::domain::connection::{Event as LinkEvent, Refusal, is_near};
use crate::exchange::{Class, ExchangeError, Running, Spend, UnreadableTrade};
use crate::supervision::failpoint;
use crate::telemetry::Event;

impl Connection {
    pub(super) fn read_in(&mut self, pause: Duration, context: &mut Context<Self>) {
        self.read_at = self.now() + pause;
        if let Some(timer) = self.read_timer.take() {
            context.cancel_future(timer);
        }
        if pause.is_zero() {
            self.read(context);
        } else {
            self.read_timer = Some(context.run_later(pause, Self::read));
        }
    }

    fn read(&mut self, context: &mut Context<Self>) {
        let now = self.now();
        if self.reading_since.is_some() {
            // Its answer schedules the next one; an earlier wish is kept by `read_at`.
            return;
        }
        let allowance = match self.account.rate.spend(Spend::Read, now) {
            Ok(allowance) => allowance,
            Err(free_at) => {
                let pause = self.pause_until(free_at);
                self.read_timer = Some(context.run_later(pause, Self::read));
                return;
            }
        };
        self.reading_since = Some(self.shared.clock.awake());
        let account = Arc::clone(&self.account);
        let answer = async move {
            let _held = allowance;
            failpoint::linger("connection.reading", &account.tag.name).await;
            account.rest.running(&account.credentials).await
        };
        let taken = move |answer, connection: &mut Self, context: &mut Context<Self>| {
            connection.reading_since = None;
            connection.take_reading(answer, now, context);
        };
        context.spawn(actix::fut::wrap_future::<_, Self>(answer).map(taken));
    }

    fn take_reading(
        &mut self,
        answer: Result<Running, ExchangeError>,
        requested_at: Duration,
        context: &mut Context<Self>,
    ) {
        match answer {
            Ok(running) => {
                // Asked for while this one was under way: one more, when it was asked for.
                let wished_at = self.read_at;
                self.apply_reading(running, requested_at, context);
                let (now, period) = (self.now(), self.read_period());
                let pause = if wished_at > requested_at {
                    period.min(wished_at.saturating_sub(now))
                } else {
                    period
                };
                self.read_in(pause, context);
                self.step(LinkEvent::Read { requested_at }, context);
                self.publish();
                // The one that has waited longer first: there may be a place for one alone. To take
                // over, the cross account must be known.
                if self.balance_at <= self.cross_read_at && self.candidate.is_none() {
                    self.read_balance(context);
                    self.read_cross(context);
                } else {
                    self.read_cross(context);
                    self.read_balance(context);
                }
            }
            Err(error) => self.reading_failed(&error, context),
        }
    }

    pub(super) fn reading_failed(&mut self, error: &ExchangeError, context: &mut Context<Self>) {
        self.tell_failed_reading(error);
        if refusal_of(error).is_some() {
            self.is_unfit(error);
        }
        let event = refusal_of(error).map_or(LinkEvent::ReadFailed, LinkEvent::Refused);
        self.step(event, context);
    }

    /// Logs it, and is silent where the exchange asks for that.
    pub(super) fn tell_failed_reading(&mut self, error: &ExchangeError) {
        obey::obey(&self.shared, &self.account, error);
        let (text, now) = (error.to_string(), self.now());
        self.note_error(&text);
        if let Some(count) = self.failed_readings.one_more(&text, now) {
            self.shared.events.emit(Event::ReadingFailed {
                account: self.account.tag.clone(),
                error: text,
                count,
            });
        }
    }

    /// Tells of trades that cannot be read, unless it was told of the reading before.
    fn tell_unreadable(&mut self, unreadable: &[UnreadableTrade]) {
        for trade in unreadable {
            // The problem may be told in other words each time.
            let told = self.unreadable.iter().any(|known| known.id == trade.id);
            if !told {
                self.shared.events.emit(Event::TradeUnreadable {
                    account: self.account.tag.clone(),
                    trade: trade.id,
                    problem: trade.problem.clone(),
                });
            }
        }
        self.unreadable = unreadable.to_vec();
    }

    pub(super) fn apply_reading(
        &mut self,
        running: Running,
        requested_at: Duration,
        context: &mut Context<Self>,
    ) {
        self.tell_unreadable(&running.unreadable);
        let Running {
            positions,
            unreadable,
        } = running;
        let unread = Running {
            positions: vec![],
            unreadable,
        };
        let outcome = self
            .book
            .read_some(positions, |id| unread.may_hold(id), requested_at);
        let ReadOutcome {
            drift,
            missed_event,
            read_again_at,
            ..
        } = outcome;
        // The view first: whoever hears of a difference finds it corrected.
        self.publish_view();
        self.tell_drift(drift);
        if missed_event {
            self.step(LinkEvent::SocketDeaf, context);
        }
        if let Some(at) = read_again_at {
            self.read_again_at(at, context);
        }
    }

    pub(super) fn tell_drift(&self, drift: Vec<Drift>) {
        for drift in drift {
            self.shared.events.emit(Event::BookDrift {
                account: self.account.tag.clone(),
                position: drift.position,
                field: drift.field,
                had: drift.had,
                has: drift.has,
            });
        }
    }

    pub(super) fn read_again_at(&mut self, at: Duration, context: &mut Context<Self>) {
        let pause = at.saturating_sub(self.now());
        context.run_later(pause, |connection, context| {
            connection.read_in(Duration::ZERO, context);
        });
    }

    fn read_balance(&mut self, context: &mut Context<Self>) {
        let now = self.now();
        let due = self
            .balance_at
            .is_none_or(|at| now >= at + self.shared.tuning.link.read_far);
        if !due {
            return;
        }
        let allowance = match self.account.rate.spend(Spend::Read, now) {
            Ok(allowance) => allowance,
            Err(free_at) => {
                self.read_balance_later(self.pause_until(free_at), context);
                return;
            }
        };
        let account = Arc::clone(&self.account);
        let answer = async move {
            let _held = allowance;
            account.rest.account(&account.credentials).await
        };
        let taken = move |answer, connection: &mut Self, _: &mut Context<Self>| {
            if let Ok(crate::exchange::AccountReading { balance }) = answer {
                connection.balance = Some(balance);
                connection.balance_at = Some(now);
                connection.publish();
            }
        };
        context.spawn(actix::fut::wrap_future::<_, Self>(answer).map(taken));
    }

    /// As soon as there is room for it: an executor that knows no balance asks for it itself, when
    /// it can least afford to.
    fn read_balance_later(&mut self, pause: Duration, context: &mut Context<Self>) {
        if self.balance_waits {
            return;
        }
        self.balance_waits = true;
        context.run_later(pause, |connection, context| {
            connection.balance_waits = false;
            connection.read_balance(context);
        });
    }

    /// How long to wait for a place in the rate budget. One that is to take over goes first: it needs
    /// few, and then all are its own.
    pub(super) fn pause_until(&self, free_at: Duration) -> Duration {
        const LEAST: Duration = Duration::from_millis(1);
        const BEHIND: Duration = Duration::from_millis(20);
        let pause = free_at.saturating_sub(self.now()).max(LEAST);
        match self.successor {
            Some(_) => pause + BEHIND,
            None => pause,
        }
    }

    /// Often near a trigger or liquidation, seldom far from both.
    fn read_period(&self) -> Duration {
        let windows = &self.shared.tuning.link;
        if self.book.is_dirty() || self.cross.is_dirty() || self.is_near() {
            windows.read_near
        } else {
            windows.read_far
        }
    }

    pub(super) fn is_near(&self) -> bool {
        let Some(seen) = self.account.network.price.seen(self.now()) else {
            return self.rows().next().is_some();
        };
        self.rows().any(|(position, _)| {
            let levels: Vec<_> = self
                .automations
                .values()
                .map(|automated| automated.plan.rule.level(position.into()))
                .collect();
            is_near(position, &levels, seen.price)
        })
    }
}

/// What a refused request says of the whole account, if it does.
pub(in crate::actors) fn refusal_of(error: &ExchangeError) -> Option<Refusal> {
    match error.class {
        Class::Unauthorized => Some(Refusal::Unauthorized),
        Class::Blocked => Some(Refusal::Blocked),
        _ => None,
    }
}
