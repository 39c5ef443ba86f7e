//! Where log lines go: standard error, readable on a terminal, JSON otherwise or where asked for.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging, once for the process; `filter` is in the syntax of `RUST_LOG`, which outranks
/// it. Returns the filter's error where it cannot be read; `info` is logged then.
pub fn init(format: LogFormat, filter: &str) -> Option<String> {
    let asked = std::env::var("RUST_LOG").unwrap_or_else(|_| filter.to_owned());
    let (parsed, error) = match EnvFilter::try_new(&asked) {
        Ok(parsed) => (parsed, None),
        Err(error) => (
            EnvFilter::new("info"),
            Some(format!("log filter `{asked}`: {error}")),
        ),
    };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_writer(std::io::stderr);
    let json = match format {
        LogFormat::Auto => !std::io::stderr().is_terminal(),
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    // A second call (tests) keeps the first subscriber.
    let _ = if json {
        lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .try_init()
    } else {
        lines
            .with_target(false)
            .with_ansi(std::io::stderr().is_terminal())
            .try_init()
    };
    error
}
