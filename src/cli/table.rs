//! Aligned columns, for people.

use std::io::{self, Write};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;

use crate::domain::text::plain;

/// How wide a terminal is at least.
pub const WIDTH: usize = 80;

/// Writes rows below a line of headers, each column as wide as its widest cell.
///
/// # Errors
/// The output cannot be written.
pub fn write(out: &mut dyn Write, headers: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
    let width_of = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let widths = cells.map(|cell| cell.chars().count());
        let header = headers.get(column).map_or(0, |header| header.len());
        widths.max().unwrap_or(0).max(header)
    };
    let widths: Vec<_> = (0..headers.len()).map(width_of).collect();
    line(out, headers.iter().copied(), &widths)?;
    for row in rows {
        line(out, row.iter().map(String::as_str), &widths)?;
    }
    Ok(())
}

/// Writes names and values, one pair to a line; the further lines of a value stand below its first.
///
/// # Errors
/// The output cannot be written.
pub fn write_pairs(out: &mut dyn Write, pairs: &[(&str, String)]) -> io::Result<()> {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in pairs {
        let lines = value.lines().flat_map(|line| {
            // Two spaces lie between name and value.
            wrapped(line, WIDTH.saturating_sub(width + 2))
        });
        let mut lines = lines.peekable();
        if lines.peek().is_none() {
            line(out, [*name].into_iter(), &[width])?;
        }
        for (number, text) in lines.enumerate() {
            let name = if number == 0 { *name } else { "" };
            line(out, [name, text.as_str()].into_iter(), &[width, 0])?;
        }
    }
    Ok(())
}

/// Breaks a text between words into lines of at most `width` characters; a longer word has a line of
/// its own, whole, so that it can be copied.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The fields of a JSON object, one `name value` to a line; anything else as it is.
pub fn fields(json: &Value) -> String {
    let Some(fields) = json.as_object().filter(|fields| !fields.is_empty()) else {
        return bare(json);
    };
    let lines: Vec<_> = fields
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| format!("{name} {}", bare(value)))
        .collect();
    lines.join("\n")
}

/// A JSON value; a text without its quotes.
pub fn bare(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn line<'a>(
    out: &mut dyn Write,
    cells: impl Iterator<Item = &'a str>,
    widths: &[usize],
) -> io::Result<()> {
    let mut text = String::new();
    for (cell, width) in cells.zip(widths) {
        // What came from elsewhere must not steer the terminal.
        let cell = plain(cell);
        text.push_str(&format!("{cell:<width$}  "));
    }
    writeln!(out, "{}", text.trim_end())
}

/// A time to the second, UTC.
pub fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// `yes` or `no`.
pub fn yes(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}

/// What is not there is a dash.
pub fn or_dash(text: Option<impl ToString>) -> String {
    text.map_or_else(|| "-".to_owned(), |text| text.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_control_characters_do_not_reach_the_terminal() {
        let rows = [
            vec!["1".to_owned(), "größer".to_owned()],
            vec!["23456".to_owned(), "\u{1b}[2Jx".to_owned()],
        ];
        let mut out = vec![];
        write(&mut out, &["ID", "NAME"], &rows).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "ID     NAME\n1      größer\n23456   [2Jx\n");
    }

    #[test]
    fn long_values_are_broken_between_words_and_stand_below_each_other() {
        let id = "0123456789abcdef".repeat(6);
        let value = format!("{} {id}\nlast", "word ".repeat(20));
        let mut out = vec![];
        write_pairs(&mut out, &[("reason", value), ("none", String::new())]).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[0],
            format!("reason  {}", "word ".repeat(14).trim_end())
        );
        assert_eq!(
            lines[1],
            format!("        {}", "word ".repeat(6).trim_end())
        );
        assert_eq!(
            lines[2..],
            [&*format!("        {id}"), "        last", "none"]
        );
    }

    #[test]
    fn an_object_is_shown_field_by_field() {
        let json = serde_json::json!({"price": 93_000, "why": "a b", "none": null, "in": {"x": 1}});
        assert_eq!(fields(&json), "in {\"x\":1}\nprice 93000\nwhy a b");
        assert_eq!(fields(&Value::from("text")), "text");
    }
}
