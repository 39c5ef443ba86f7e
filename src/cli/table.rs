//! Aligned columns, for people.

use std::io::{self, Write};

use chrono::{DateTime, SecondsFormat, Utc};

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

/// Writes names and values, one pair to a line.
///
/// # Errors
/// The output cannot be written.
pub fn write_pairs(out: &mut dyn Write, pairs: &[(&str, String)]) -> io::Result<()> {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in pairs {
        line(out, [*name, value.as_str()].into_iter(), &[width, 0])?;
    }
    Ok(())
}

fn line<'a>(
    out: &mut dyn Write,
    cells: impl Iterator<Item = &'a str>,
    widths: &[usize],
) -> io::Result<()> {
    let mut text = String::new();
    for (cell, width) in cells.zip(widths) {
        // What came from elsewhere must not steer the terminal.
        let cell: String = cell
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
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
}
