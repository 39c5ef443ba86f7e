//! Proof of a request whose reply was lost: the exchange is asked, nothing is sent again.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::execution::Before;
use super::units::Sats;

/// The numbers of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProofWindows {
    /// How long after its signature the exchange may still accept a request.
    pub request_validity: Duration,
    /// What is added to that, for clocks and queues.
    pub margin_of_safety: Duration,
    /// How far two readings must lie apart.
    pub between_readings: Duration,
}

impl Default for ProofWindows {
    fn default() -> Self {
        Self {
            request_validity: Duration::from_secs(30),
            margin_of_safety: Duration::from_secs(10),
            between_readings: Duration::from_secs(2),
        }
    }
}

/// One reading of a trade's margin at the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reading {
    /// When the reading was requested.
    pub requested_at: DateTime<Utc>,
    /// Margin then, in satoshis.
    pub margin: Sats,
    /// All that was ever cashed in from the margin, in satoshis.
    pub sum_cash_in_margin: Sats,
    /// Funding taken from the margin since the request was signed, in satoshis.
    pub funding_since: Sats,
}

/// What the readings prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The margin was added, once.
    Applied,
    /// It was not, and can no longer be.
    NotApplied,
    /// Nothing is proven so far; read again at this time.
    ReadAgain(DateTime<Utc>),
    /// Something else happened to the margin meanwhile: only a person can tell.
    Unclear {
        /// What was added in all, in satoshis.
        added: Sats,
    },
}

impl Reading {
    /// What was added to the margin since: `Δmargin + ΔsumCashInMargin + funding since`.
    pub fn added_since(&self, before: &Before) -> Sats {
        (self.margin - before.margin)
            + (self.sum_cash_in_margin - before.sum_cash_in_margin)
            + self.funding_since
    }
}

/// Judges the readings made so far, oldest first, of a trade to which `amount` was to be added.
pub fn add_margin(
    before: &Before,
    amount: Sats,
    readings: &[Reading],
    windows: &ProofWindows,
) -> Verdict {
    let settled = before.signed_at + windows.request_validity + windows.margin_of_safety;
    let Some(last) = readings.last() else {
        return Verdict::ReadAgain(before.signed_at);
    };
    let added = last.added_since(before);
    if added == amount {
        return Verdict::Applied;
    }
    // Neither absence nor doubt is believed before the request can no longer be accepted, nor from
    // one reading: margin and funding are read one after the other.
    let first_settled = readings
        .iter()
        .find(|reading| reading.requested_at >= settled && reading.added_since(before) == added);
    match first_settled {
        None => Verdict::ReadAgain(settled),
        Some(first) if last.requested_at >= first.requested_at + windows.between_readings => {
            if added == Sats::ZERO {
                Verdict::NotApplied
            } else {
                Verdict::Unclear { added }
            }
        }
        Some(first) => Verdict::ReadAgain(first.requested_at + windows.between_readings),
    }
}

/// Judges the times at which something that a request would have left at the exchange was looked
/// for and not found, oldest first.
pub fn absence(
    signed_at: DateTime<Utc>,
    not_found_at: &[DateTime<Utc>],
    windows: &ProofWindows,
) -> Verdict {
    let settled = signed_at + windows.request_validity + windows.margin_of_safety;
    let mut after = not_found_at.iter().filter(|at| **at >= settled);
    match (after.next(), not_found_at.last()) {
        (None, _) => Verdict::ReadAgain(settled),
        (Some(first), Some(last)) if *last >= *first + windows.between_readings => {
            Verdict::NotApplied
        }
        (Some(first), _) => Verdict::ReadAgain(*first + windows.between_readings),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: Before = Before {
        margin: Sats(100_000),
        sum_cash_in_margin: Sats(0),
        signed_at: DateTime::UNIX_EPOCH,
    };

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + chrono::Duration::seconds(seconds)
    }

    fn reading(seconds: i64, margin: i64, cash_in: i64, funding: i64) -> Reading {
        Reading {
            requested_at: at(seconds),
            margin: Sats(margin),
            sum_cash_in_margin: Sats(cash_in),
            funding_since: Sats(funding),
        }
    }

    fn judge(readings: &[Reading]) -> Verdict {
        add_margin(&BEFORE, Sats(5_000), readings, &ProofWindows::default())
    }

    #[test]
    fn the_exact_amount_is_proof_at_once_whatever_was_cashed_in_or_paid_meanwhile() {
        assert_eq!(judge(&[reading(1, 105_000, 0, 0)]), Verdict::Applied);
        assert_eq!(judge(&[reading(1, 104_900, 0, 100)]), Verdict::Applied);
        assert_eq!(judge(&[reading(1, 103_000, 2_000, 0)]), Verdict::Applied);
        let late = [reading(1, 100_000, 0, 0), reading(39, 105_000, 0, 0)];
        assert_eq!(judge(&late), Verdict::Applied);
    }

    #[test]
    fn absence_needs_two_readings_after_the_request_can_no_longer_be_accepted() {
        let before = reading(1, 100_000, 0, 0);
        assert_eq!(judge(&[]), Verdict::ReadAgain(at(0)));
        assert_eq!(judge(&[before]), Verdict::ReadAgain(at(40)));
        assert_eq!(
            judge(&[before, reading(39, 100_000, 0, 0)]),
            Verdict::ReadAgain(at(40))
        );
        let one = reading(40, 100_000, 0, 0);
        assert_eq!(judge(&[before, one]), Verdict::ReadAgain(at(42)));
        assert_eq!(
            judge(&[one, reading(41, 100_000, 0, 0)]),
            Verdict::ReadAgain(at(42))
        );
        assert_eq!(
            judge(&[one, reading(42, 100_000, 0, 0)]),
            Verdict::NotApplied
        );
    }

    #[test]
    fn what_is_not_found_was_not_applied_once_the_request_can_no_longer_be_accepted() {
        let judge = |times: &[i64]| {
            let times: Vec<_> = times.iter().map(|seconds| at(*seconds)).collect();
            absence(at(0), &times, &ProofWindows::default())
        };
        assert_eq!(judge(&[1, 39]), Verdict::ReadAgain(at(40)));
        assert_eq!(judge(&[1, 40]), Verdict::ReadAgain(at(42)));
        assert_eq!(judge(&[40, 41]), Verdict::ReadAgain(at(42)));
        assert_eq!(judge(&[40, 42]), Verdict::NotApplied);
    }

    #[test]
    fn anything_else_is_unclear() {
        let twice = Verdict::Unclear {
            added: Sats(10_000),
        };
        let more = |seconds| reading(seconds, 110_000, 0, 0);
        assert_eq!(judge(&[more(40), more(42)]), twice);
        let less = Verdict::Unclear { added: Sats(-1) };
        let fewer = |seconds| reading(seconds, 99_999, 0, 0);
        assert_eq!(judge(&[fewer(50), fewer(52)]), less);
    }

    #[test]
    fn doubt_ends_a_proof_no_sooner_than_absence_does() {
        // The owner added three satoshis; ours may still arrive.
        let owners = |seconds| reading(seconds, 100_003, 0, 0);
        assert_eq!(judge(&[owners(1)]), Verdict::ReadAgain(at(40)));
        assert_eq!(judge(&[owners(1), owners(40)]), Verdict::ReadAgain(at(42)));
        // The funding is told before the margin shows it.
        let half = reading(40, 100_000, 0, 105);
        let whole = |seconds| reading(seconds, 99_895, 0, 105);
        assert_eq!(judge(&[half, whole(42)]), Verdict::ReadAgain(at(44)));
        assert_eq!(judge(&[half, whole(42), whole(44)]), Verdict::NotApplied);
    }
}
