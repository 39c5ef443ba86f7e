//! Text that others have written, shown as what it is.

/// The longest reason or note that somebody may give, in characters.
pub const MOST_REASON: usize = 500;

/// What moves the cursor, turns the direction of writing or cannot be seen: control characters, the
/// separators of lines and paragraphs, and Unicode's format characters (as of version 16).
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00AD}' | '\u{0600}'..='\u{0605}' | '\u{061C}' | '\u{06DD}' | '\u{070F}'
            | '\u{0890}' | '\u{0891}' | '\u{08E2}' | '\u{180E}'
            | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
            | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{110BD}' | '\u{110CD}'
            | '\u{13430}'..='\u{1343F}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}'
            | '\u{E0001}' | '\u{E0020}'..='\u{E007F}')
}

/// The text on one line, with a space for whatever is hidden in it.
pub fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if is_hidden(c) { ' ' } else { c })
        .collect()
}

/// A reason that somebody has given: on one line, without what is hidden, and cut where it is endless;
/// `None` where nothing is left.
pub fn reason(text: Option<String>) -> Option<String> {
    let plain: String = plain(&text?).trim().chars().take(MOST_REASON).collect();
    (!plain.is_empty()).then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_hidden() {
        let hidden = "a\u{202e}b\u{2066}c\u{200b}d\u{1b}[31me\u{feff}f\u{2028}g\nh\u{e0041}i";
        assert_eq!(plain(hidden), "a b c d [31me f g h i");
        assert_eq!(plain("Überschuß 10 € 日本"), "Überschuß 10 € 日本");
    }

    #[test]
    fn a_reason_is_one_line_and_no_book() {
        let given = |text: &str| reason(Some(text.to_owned()));
        assert_eq!(given(" by hand\n\u{1b}[2J ").unwrap(), "by hand  [2J");
        assert_eq!(
            given(&"é".repeat(900)).unwrap().chars().count(),
            MOST_REASON
        );
        assert_eq!((given(" \n"), reason(None)), (None, None));
    }
}
