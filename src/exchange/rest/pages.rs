//! Lists that come in pages, newest first.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::de::DeserializeOwned;

use super::Rest;
use super::call::Call;
use crate::domain::credentials::Credentials;
use crate::exchange::answer::unreadable;
use crate::exchange::error::{Class, Effect, ExchangeError};
use crate::exchange::parse::Unreadable;
use crate::exchange::wire;

/// Items on a page.
const PAGE: usize = 100;
/// So many pages are read at most; what is not found by then may be there all the same.
const MOST_PAGES: usize = 10;

impl Rest {
    /// Reads what was made since a time, page by page, until `seen` has found what it looks for.
    /// Pages after the first are spent here.
    ///
    /// # Errors
    /// As every call; also where the pages are too many or the budget is spent, since absence is
    /// claimed only by whoever has seen everything.
    pub(super) async fn pages<I: DeserializeOwned, T>(
        &self,
        path: &str,
        who: &Credentials,
        since: DateTime<Utc>,
        mut seen: impl FnMut(&[I]) -> Result<Option<T>, Unreadable>,
    ) -> Result<Option<T>, ExchangeError> {
        let from = since.to_rfc3339_opts(SecondsFormat::Millis, true);
        let from = format!("?from={}&limit={PAGE}", encoded(&from));
        let mut cursor: Option<String> = None;
        // Until the next one is asked for.
        let mut _held;
        for page in 0..MOST_PAGES {
            if page > 0 {
                _held = self.spend_one_more().await.ok_or_else(|| ExchangeError {
                    class: Class::Retryable { after: None },
                    status: None,
                    code: None,
                    message: "no request is left for the next page".to_owned(),
                })?;
            }
            let query = match &cursor {
                None => from.clone(),
                Some(cursor) => format!("{from}&cursor={}", encoded(cursor)),
            };
            let page: wire::Page<I> = self.signed(&Call::get(path, query), who, None).await?;
            if let Some(found) = seen(&page.data).map_err(unreadable(Effect::Reads))? {
                return Ok(Some(found));
            }
            if page.next_cursor.is_none() || page.data.is_empty() {
                return Ok(None);
            }
            cursor = page.next_cursor;
        }
        let many = format!("more than {} items since {since}", PAGE * MOST_PAGES);
        Err(unreadable(Effect::Reads)(Unreadable(many)))
    }
}

/// A value for a query: all but letters, digits and `-._~` as `%` and two digits.
fn encoded(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => encoded.push(char::from(byte)),
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_one_value() {
        let time = encoded("2026-10-26T16:00:00.000Z");
        assert_eq!(time, "2026-10-26T16%3A00%3A00.000Z");
        assert_eq!(encoded("a&limit=1 +é"), "a%26limit%3D1%20%2B%C3%A9");
    }
}
