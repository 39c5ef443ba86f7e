//! Answers of the exchange and what went wrong on the way to them: bounded, and never taken for
//! something they are not.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::Response;
use reqwest::header::{DATE, RETRY_AFTER};

use super::error::{Effect, ExchangeError, Reached};
use super::names::Unresolved;
use super::parse::Unreadable;
use super::wire;
use crate::domain::ids::PositionId;

/// No answer the exchange has reason to give is longer.
const MOST_BYTES: usize = 8 << 20;

pub(super) async fn read_bounded(
    mut answer: Response,
    effect: Effect,
) -> Result<Vec<u8>, ExchangeError> {
    let mut body = Vec::new();
    while let Some(chunk) = answer
        .chunk()
        .await
        .map_err(|error| transport(&error, effect))?
    {
        if body.len() + chunk.len() > MOST_BYTES {
            return Err(unreadable(effect)(Unreadable(
                "the answer is too long".to_owned(),
            )));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// When the exchange made an answer, cut to whole seconds, by its own clock.
pub(super) fn date(answer: &Response) -> Option<DateTime<Utc>> {
    let date = answer.headers().get(DATE)?.to_str().ok()?;
    let date = DateTime::parse_from_rfc2822(date).ok()?;
    Some(date.to_utc())
}

pub(super) fn retry_after(answer: &Response) -> Option<Duration> {
    const LONGEST: f64 = 3600.0;
    let seconds: f64 = answer
        .headers()
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .parse()
        .ok()?;
    (0.0..=LONGEST)
        .contains(&seconds)
        .then(|| Duration::from_secs_f64(seconds))
}

pub(super) fn transport(error: &reqwest::Error, effect: Effect) -> ExchangeError {
    let reached = if error.is_connect() {
        Reached::Nothing
    } else {
        Reached::PerhapsReceived
    };
    let unresolved = find(error, |cause: &Unresolved| {
        format!("no connection: {cause}")
    });
    let what = if let Some(unresolved) = &unresolved {
        unresolved.as_str()
    } else if distrusts(error) {
        "no connection: no authority that is trusted signed the certificate of the other side; \
         ca_file of its network names more of them"
    } else if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else if error.is_builder() {
        "the request could not be made"
    } else {
        "the connection broke"
    };
    ExchangeError::new(reached, effect, None, None, what)
}

/// Whether the other side's certificate was refused.
fn distrusts(error: &reqwest::Error) -> bool {
    let refuses = |cause: &rustls::Error| matches!(cause, rustls::Error::InvalidCertificate(_));
    find(error, refuses).unwrap_or_default()
}

/// What the first cause of a kind makes of itself.
fn find<E: std::error::Error + 'static, T>(
    error: &reqwest::Error,
    told: impl Fn(&E) -> T,
) -> Option<T> {
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        if let Some(cause) = cause.downcast_ref() {
            return Some(told(cause));
        }
        // An I/O error does not name what it was made of as its source.
        next = match cause.downcast_ref::<std::io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as &dyn std::error::Error),
            None => cause.source(),
        };
    }
    None
}

/// Whether an answer is about the trade it should be about, in the state that the command brings.
pub(super) fn is_of(
    trade: &wire::Trade,
    id: PositionId,
    as_commanded: bool,
) -> Result<(), Unreadable> {
    shows(trade.id == id.0 && as_commanded)
}

/// Whether an answer shows what the command brings.
pub(super) fn shows(as_commanded: bool) -> Result<(), Unreadable> {
    if as_commanded {
        return Ok(());
    }
    Err(Unreadable(
        "it is of something else, or of another state".to_owned(),
    ))
}

/// An answer that cannot be read: after a command its effect is unknown.
pub(super) fn unreadable(effect: Effect) -> impl Fn(Unreadable) -> ExchangeError {
    move |error| {
        let message = format!("the answer cannot be read: {error}");
        ExchangeError::new(Reached::PerhapsReceived, effect, None, None, message)
    }
}
