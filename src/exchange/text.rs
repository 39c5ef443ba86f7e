//! Text from outside, made fit for a log: one line, nothing hidden in it, bounded.

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

/// Control characters, the separators of lines and paragraphs, and Unicode's format characters (as
/// of version 16), among them those that turn the direction of writing.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00AD}' | '\u{0600}'..='\u{0605}' | '\u{061C}' | '\u{06DD}' | '\u{070F}'
            | '\u{0890}' | '\u{0891}' | '\u{08E2}' | '\u{180E}'
            | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
            | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{110BD}' | '\u{110CD}'
            | '\u{13430}'..='\u{1343F}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}'
            | '\u{E0001}' | '\u{E0020}'..='\u{E007F}')
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
