//! Configurations laid over one another: the defaults, a file, the environment.

use toml::{Table, Value};

use super::ConfigError;

/// Reads TOML.
pub(super) fn parse(path: &str, text: &str) -> Result<Table, ConfigError> {
    text.parse()
        .map_err(|error: toml::de::Error| ConfigError::Syntax {
            path: path.to_owned(),
            error: error.to_string().trim().to_owned(),
        })
}

/// Replaces what the upper table names.
pub(super) fn lay_over(table: &mut Table, over: Table) {
    for (key, value) in over {
        match (table.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => lay_over(below, above),
            (_, value) => {
                table.insert(key, value);
            }
        }
    }
}

/// Replaces one value.
pub(super) fn set(table: &mut Table, keys: &[&str], value: String) {
    match keys {
        [] => {}
        [key] => {
            table.insert((*key).to_owned(), Value::String(value));
        }
        [key, rest @ ..] => {
            let below = table
                .entry((*key).to_owned())
                .or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(below) = below {
                set(below, rest, value);
            }
        }
    }
}

/// The first key of a duration that is longer than so many milliseconds.
pub(super) fn longer_than(table: &Table, most_ms: i64) -> Option<String> {
    table.iter().find_map(|(key, value)| match value {
        Value::Table(below) => longer_than(below, most_ms).map(|below| format!("{key}.{below}")),
        Value::Integer(ms) => (key.ends_with("_ms") && *ms > most_ms).then(|| key.clone()),
        _ => None,
    })
}
