//! The account's cross margin: read beside the trades, by keys that may.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use super::{Connection, refusal_of};
use crate::domain::book::ReadOutcome;
use crate::exchange::{Class, CrossReading, ExchangeError, Spend};

/// Whether the key may read the cross account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Access {
    /// Nobody has asked yet.
    #[default]
    Unknown,
    /// It may.
    Allowed,
    /// It may not; asked again at this time.
    Denied(Duration),
}

impl Connection {
    /// Reads the cross account where that is due: with every reading of the book while there is a
    /// position, otherwise seldom.
    pub(super) fn read_cross(&mut self, context: &mut Context<Self>) {
        let now = self.now();
        let denied = matches!(self.cross_access, Access::Denied(until) if now < until);
        let far = self.shared.tuning.link.read_far;
        let due = self.cross.is_dirty()
            || self.cross.row().is_some()
            || self.cross_read_at.is_none_or(|at| now >= at + far);
        if denied || !due || self.reading_cross {
            return;
        }
        let allowance = match self.account.rate.spend(Spend::Read, now) {
            Ok(allowance) => allowance,
            Err(free_at) => {
                self.read_cross_later(self.pause_until(free_at), context);
                return;
            }
        };
        self.reading_cross = true;
        // Also where it fails: it must not take the tokens of what else is to be read.
        self.cross_read_at = Some(now);
        let account = Arc::clone(&self.account);
        let answer = async move {
            let _held = allowance;
            let (rest, who) = (&account.rest, &account.credentials);
            rest.cross_position(who).await
        };
        let taken = move |answer, connection: &mut Self, context: &mut Context<Self>| {
            connection.reading_cross = false;
            connection.take_cross(answer, now, context);
        };
        context.spawn(actix::fut::wrap_future::<_, Self>(answer).map(taken));
    }

    /// As soon as there is room for it: the next reading of the trades may be far off, and until
    /// then nobody would guard the cross position.
    fn read_cross_later(&mut self, pause: Duration, context: &mut Context<Self>) {
        if self.cross_waits {
            return;
        }
        self.cross_waits = true;
        context.run_later(pause, |connection, context| {
            connection.cross_waits = false;
            connection.read_cross(context);
        });
    }

    fn take_cross(
        &mut self,
        answer: Result<CrossReading, ExchangeError>,
        requested_at: Duration,
        context: &mut Context<Self>,
    ) {
        let tag = &self.account.tag;
        match answer {
            Ok(reading) => self.apply_cross(reading, requested_at, context),
            // A key without the right to cross margin guards isolated trades all the same.
            Err(error) if error.class == Class::ScopeMissing => {
                if self.cross_access != Access::Allowed
                    && !matches!(self.cross_access, Access::Denied(_))
                {
                    tracing::info!(
                        event = "cross.denied", account_id = %tag.id, account_name = %tag.name,
                        "its key may not read cross margin: only isolated trades are watched"
                    );
                }
                let again = self.now() + self.shared.tuning.link.refused_pause;
                self.cross_access = Access::Denied(again);
                self.publish_view();
                self.advance(context);
            }
            Err(error) if refusal_of(&error).is_some() => self.reading_failed(&error, context),
            Err(error) => self.tell_failed_reading(&error),
        }
    }

    /// Takes a reading of the cross account.
    pub(super) fn apply_cross(
        &mut self,
        reading: CrossReading,
        requested_at: Duration,
        context: &mut Context<Self>,
    ) {
        self.cross_access = Access::Allowed;
        let CrossReading {
            margin,
            leverage,
            position,
        } = reading;
        let outcome = self.cross.read(margin, leverage, position, requested_at);
        let ReadOutcome {
            changed,
            drift,
            read_again_at,
            ..
        } = outcome;
        if changed {
            self.publish();
        } else {
            // The row is younger all the same.
            self.publish_view();
        }
        self.tell_drift(drift);
        if let Some(at) = read_again_at {
            self.read_again_at(at, context);
        }
        self.advance(context);
    }
}
