//! Candles from a file.

use std::path::{Path, PathBuf};

use super::Candle;
use crate::simulator::clock;

const HEADER: [&str; 5] = ["time", "open", "high", "low", "close"];

/// Why a tape could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TapeError {
    /// The file cannot be opened or is not CSV.
    #[error("{}: cannot be read as CSV with the columns time,open,high,low,close", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        source: ::csv::Error,
    },
    /// The first line is something else.
    #[error("{}: line 1: expected the header `time,open,high,low,close`", path.display())]
    Header {
        /// The file.
        path: PathBuf,
    },
    /// A value cannot be used.
    #[error("{}: line {line}: {field}: {problem}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// Column name.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// There is no candle in it.
    #[error("{}: no candles", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

pub(super) fn read(path: &Path) -> Result<Vec<Candle>, TapeError> {
    let read_error = |source| TapeError::Read {
        path: path.to_owned(),
        source,
    };
    let mut reader = ::csv::ReaderBuilder::new()
        .trim(::csv::Trim::All)
        .flexible(true)
        .from_path(path)
        .map_err(read_error)?;
    let header = reader.headers().map_err(read_error)?;
    if header.iter().ne(HEADER) {
        return Err(TapeError::Header {
            path: path.to_owned(),
        });
    }
    let mut candles: Vec<Candle> = Vec::new();
    for record in reader.records() {
        let record = record.map_err(read_error)?;
        let line = record.position().map_or(0, ::csv::Position::line);
        let candle = candle(&record)
            .and_then(|candle| match candles.last() {
                Some(before) if before.time >= candle.time => {
                    Err(("time", "must be later than the line before".to_owned()))
                }
                _ => Ok(candle),
            })
            .map_err(|(field, problem)| TapeError::Field {
                path: path.to_owned(),
                line,
                field,
                problem,
            })?;
        candles.push(candle);
    }
    if candles.is_empty() {
        return Err(TapeError::Empty {
            path: path.to_owned(),
        });
    }
    Ok(candles)
}

type Problem = (&'static str, String);

fn candle(record: &::csv::StringRecord) -> Result<Candle, Problem> {
    if record.len() != HEADER.len() {
        let problem = format!("there are {}, expected {}", record.len(), HEADER.join(","));
        return Err(("values", problem));
    }
    let text = |column: usize| record.get(column).unwrap_or_default();
    let price = |column: usize| match text(column).parse::<f64>() {
        Ok(price) if (1.0..=100_000_000.0).contains(&price) => Ok(price),
        _ => Err((
            HEADER[column],
            format!("`{}` is not a price in USD", text(column)),
        )),
    };
    let time = time(text(0)).ok_or_else(|| {
        (
            "time",
            format!("`{}` is neither RFC 3339 nor a Unix time", text(0)),
        )
    })?;
    let (open, high, low, close) = (price(1)?, price(2)?, price(3)?, price(4)?);
    if high < open.max(close) {
        return Err(("high", "is below open or close".to_owned()));
    }
    if low > open.min(close) {
        return Err(("low", "is above open or close".to_owned()));
    }
    Ok(Candle {
        time,
        open,
        high,
        low,
        close,
    })
}

fn time(text: &str) -> Option<i64> {
    match text.parse::<i64>() {
        // Later than 5138 in seconds: these are milliseconds.
        Ok(number) if number.abs() >= 100_000_000_000 => Some(number),
        Ok(number) => Some(number * 1000),
        Err(_) => clock::parse_iso(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Vec<Candle>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tape.csv");
        std::fs::write(&path, text).unwrap();
        read(&path).map_err(|error| {
            let shown = error.to_string();
            assert!(shown.contains("tape.csv"), "{shown}");
            shown
        })
    }

    #[test]
    fn three_forms_of_time() {
        let text = "time,open,high,low,close\n2022-01-20T00:00:00Z,1,3,1,2\n\
                    1642636860,2,3,1,2\n1642636920000,2,3,1,2\n";
        let times: Vec<_> = read_text(text)
            .unwrap()
            .iter()
            .map(|candle| candle.time)
            .collect();
        assert_eq!(
            times,
            [1_642_636_800_000, 1_642_636_860_000, 1_642_636_920_000]
        );
    }

    #[test]
    fn errors_name_line_and_field() {
        for (rows, expected) in [
            ("1,2,3,1,x\n", "line 2: close: `x`"),
            ("1,2,3,1,2\n2,2,-3,1,2\n", "line 3: high: `-3`"),
            ("yesterday,2,3,1,2\n", "line 2: time: `yesterday`"),
            ("1,2,1,1,2\n", "line 2: high: is below"),
            ("1,2,3,2.5,2\n", "line 2: low: is above"),
            ("2,2,3,1,2\n2,2,3,1,2\n", "line 3: time: must be later"),
            ("1,2,3\n", "line 2: values: there are 3"),
            ("", "no candles"),
        ] {
            let error = read_text(&format!("time,open,high,low,close\n{rows}")).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        assert!(
            read_text("a,b\n")
                .unwrap_err()
                .contains("line 1: expected the header")
        );
        assert!(
            read(Path::new("nowhere.csv"))
                .unwrap_err()
                .to_string()
                .contains("nowhere.csv")
        );
    }
}
