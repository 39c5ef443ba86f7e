//! Numbers, durations and commands for people.

use crate::domain::execution::Action;

/// A whole number with its thousands apart: `1,234,567`.
pub(super) fn thousands(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    if number < 0 {
        text.push('-');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A price with its thousands apart: `93,456.5`.
pub(super) fn usd(price: f64) -> String {
    let whole = thousands(price.trunc() as i64);
    match (price.fract() * 100.0).round() as i64 {
        0 => whole,
        cents if cents % 10 == 0 => format!("{whole}.{}", cents / 10),
        cents => format!("{whole}.{cents:02}"),
    }
}

/// Microseconds as `512 µs` or `1.7 ms`.
pub(super) fn micros(us: u64) -> String {
    if us < 1000 {
        format!("{us} µs")
    } else {
        format!("{:.1} ms", us as f64 / 1000.0)
    }
}

/// A fraction as a percentage with one digit: `2.6 %`.
pub(super) fn percent(fraction: f64) -> String {
    format!("{:.1} %", fraction * 100.0)
}

/// A word of a command line, as a shell takes it.
pub(super) fn word(text: &str) -> String {
    let is_bare = |c: char| c.is_alphanumeric() || "-_.:/@".contains(c);
    if !text.is_empty() && text.chars().all(is_bare) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// What a command does, with its figures.
pub(super) fn described(action: Action) -> String {
    let name = action.as_str();
    match action {
        Action::AddMargin { amount } | Action::CrossDeposit { amount } => {
            format!("{name} {} sats", thousands(amount.0))
        }
        Action::UpdateTp { to } | Action::UpdateSl { to } => format!("{name} {to}"),
        Action::Open(opening) | Action::CrossOpen(opening) => {
            format!("{name} {} {}", opening.side.direction(), opening.quantity)
        }
        Action::CrossReduce { quantity, .. } => format!("{name} {quantity}"),
        Action::CloseToReopen { keep } => format!("{name} {keep}"),
        Action::Reopen(kept) => format!("{name} {}", kept.quantity),
        Action::ClosePosition | Action::CrossClose { .. } => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!(thousands(-1_234_567), "-1,234,567");
        assert_eq!(
            (thousands(0), thousands(999), thousands(1000)),
            ("0".into(), "999".into(), "1,000".into())
        );
        assert_eq!(
            (usd(93_456.5), usd(95_010.37)),
            ("93,456.5".into(), "95,010.37".into())
        );
        assert_eq!(
            (micros(512), micros(1_700)),
            ("512 µs".into(), "1.7 ms".into())
        );
        assert_eq!(percent(0.026), "2.6 %");
    }

    #[test]
    fn a_command_can_be_copied_whatever_a_name_is_made_of() {
        assert_eq!(word("mine-2"), "mine-2");
        assert_eq!(word("守"), "守");
        assert_eq!(word("my own"), "'my own'");
        assert_eq!(word("it's $HOME"), r"'it'\''s $HOME'");
    }
}
