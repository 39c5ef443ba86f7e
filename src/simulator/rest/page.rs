//! Pages: newest first, cut by time.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::ApiError;
use crate::simulator::clock::{iso, parse_iso};

/// Largest and default page.
const MAX_LIMIT: usize = 1000;

/// `from`, `to`, `limit` and `cursor` of a request.
pub(super) struct Page {
    from: i64,
    to: i64,
    limit: usize,
    /// Only what is older than this.
    before: i64,
}

impl Page {
    pub(super) fn parse(query: &HashMap<String, String>) -> Result<Page, ApiError> {
        let time = |name: &str, default| match query.get(name) {
            Some(text) => parse_iso(text)
                .ok_or_else(|| ApiError::bad(name, format!("{name} must be an ISO 8601 date"))),
            None => Ok(default),
        };
        let limit = match query.get("limit").map(|text| text.parse()) {
            None => MAX_LIMIT,
            Some(Ok(limit)) if (1..=MAX_LIMIT).contains(&limit) => limit,
            Some(_) => return Err(ApiError::bad("limit", "limit must be from 1 to 1000")),
        };
        let (from, to) = (time("from", i64::MIN)?, time("to", i64::MAX)?);
        Ok(Page {
            from,
            to,
            limit,
            before: time("cursor", i64::MAX)?,
        })
    }

    /// The page of items given newest first, each with its time in milliseconds.
    pub(super) fn cut<T>(
        &self,
        newest_first: impl Iterator<Item = T>,
        time: impl Fn(&T) -> i64,
        show: impl Fn(&T) -> Value,
    ) -> Value {
        let mut items = newest_first.filter(|item| {
            let at = time(item);
            at >= self.from && at <= self.to && at < self.before
        });
        let page: Vec<T> = items.by_ref().take(self.limit).collect();
        // A cursor only where it leads to something.
        let next = items
            .next()
            .and_then(|_| page.last())
            .map(|last| iso(time(last)));
        let data: Vec<Value> = page.iter().map(show).collect();
        json!({ "data": data, "nextCursor": next })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(query: &[(&str, &str)]) -> Value {
        let query = query
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()));
        let page = Page::parse(&query.collect()).unwrap();
        page.cut(
            [5_000, 4_000, 3_000, 2_000].iter(),
            |at| **at,
            |at| json!(at),
        )
    }

    #[test]
    fn a_cursor_leads_on_until_the_end() {
        let first = cut(&[("limit", "3")]);
        assert_eq!(first["data"], json!([5_000, 4_000, 3_000]));
        let cursor = first["nextCursor"].as_str().unwrap();
        let second = cut(&[("limit", "3"), ("cursor", cursor)]);
        assert_eq!(second, json!({ "data": [2_000], "nextCursor": null }));
    }

    #[test]
    fn from_and_to_include_their_ends() {
        let query = [
            ("from", "1970-01-01T00:00:03.000Z"),
            ("to", "1970-01-01T00:00:04.000Z"),
        ];
        assert_eq!(cut(&query)["data"], json!([4_000, 3_000]));
    }

    #[test]
    fn bad_parameters_are_named() {
        for (name, value) in [
            ("limit", "0"),
            ("limit", "1001"),
            ("from", "x"),
            ("cursor", "x"),
        ] {
            let query = HashMap::from([(name.to_owned(), value.to_owned())]);
            let error = Page::parse(&query).err().unwrap();
            assert!(error.body().contains(name), "{}", error.body());
        }
    }
}
