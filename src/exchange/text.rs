//! Text from outside, made fit for a log: one line, nothing hidden in it, bounded.

use crate::domain::text::is_hidden;

/// The longest text of the exchange that is kept, in characters.
const MOST_TEXT: usize = 200;

/// Text that shows as what it is: what moves the cursor, turns the direction of writing or cannot
/// be seen becomes a space, and what is too long is cut.
pub(super) fn tidy(text: &str) -> String {
    text.chars()
        .map(|c| if is_hidden(c) { ' ' } else { c })
        .take(MOST_TEXT)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_hidden_and_nothing_is_endless() {
        let hidden = "a\u{202e}b\u{2066}c\u{200b}d\u{1b}[31me\u{feff}f\u{2028}g\nh\u{e0041}i";
        assert_eq!(tidy(hidden), "a b c d [31me f g h i");
        assert_eq!(tidy("Überschuß 10 € 日本"), "Überschuß 10 € 日本");
        assert_eq!(tidy(&"é".repeat(900)).chars().count(), MOST_TEXT);
    }
}
