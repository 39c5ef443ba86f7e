//! Signature checks of REST and stream, written against the protocol and not against a client.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

/// Whether `signature` is base64(HMAC-SHA256(secret, message)). Constant time.
fn verify(secret: &str, message: &[u8], signature: &str) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    // Not canonical base64 is not a signature either.
    STANDARD
        .decode(signature)
        .is_ok_and(|signature| hmac::verify(&key, message, &signature).is_ok())
}

/// Checks a REST signature over timestamp, lower-case method, path, and body or query.
///
/// `data` is the raw body of POST and PUT, else the query string with its `?`, as on the wire.
pub(super) fn verify_rest(
    secret: &str,
    timestamp: &str,
    method: &str,
    path: &str,
    data: &[u8],
    signature: &str,
) -> bool {
    let mut message = Vec::with_capacity(timestamp.len() + path.len() + data.len() + 8);
    message.extend_from_slice(timestamp.as_bytes());
    message.extend_from_slice(method.to_ascii_lowercase().as_bytes());
    message.extend_from_slice(path.as_bytes());
    message.extend_from_slice(data);
    verify(secret, &message, signature)
}

/// Checks a stream signature over timestamp and nonce.
pub(super) fn verify_stream(secret: &str, timestamp: i64, nonce: &str, signature: &str) -> bool {
    verify(secret, format!("{timestamp}{nonce}").as_bytes(), signature)
}

/// Compares two passphrases in constant time, whatever their lengths.
pub(super) fn same_text(ours: &str, theirs: &str) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"compare");
    let ours = hmac::sign(&key, ours.as_bytes());
    hmac::verify(&key, theirs.as_bytes(), ours.as_ref()).is_ok()
}

/// Whether a timestamp is within the tolerance around server time, on either side.
pub(super) fn is_fresh(timestamp: i64, now: i64, tolerance: Duration) -> bool {
    u128::from(timestamp.abs_diff(now)) <= tolerance.as_millis()
}

/// Whether JSON is written as JavaScript would write it: no spaces outside strings, no `.0` or
/// trailing zeros in numbers, no escapes of plain characters.
pub(super) fn is_canonical_json(body: &[u8]) -> bool {
    let mut in_string = false;
    let mut escaped = false;
    let mut number = String::new();
    for &byte in body.iter().chain(b"\n") {
        if in_string {
            match byte {
                _ if escaped => {
                    escaped = false;
                    if byte == b'/' {
                        return false;
                    }
                }
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-' => {
                number.push(char::from(byte));
                continue;
            }
            b'"' => in_string = true,
            b' ' | b'\t' | b'\r' => return false,
            _ => {}
        }
        let fraction = number.contains('.') && !number.contains(['e', 'E']);
        if fraction && (number.ends_with('0') || number.ends_with('.')) {
            return false;
        }
        number.clear();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "test-secret";
    const TIME: &str = "1767225600000";

    #[test]
    fn the_published_vectors() {
        let order =
            r#"{"type":"market","side":"buy","quantity":1,"leverage":10,"clientId":"abc-1"}"#;
        let delete = "?id=d0b9f9a0-4f6e-4a5a-8b7a-7f0f5f9a8a1e";
        for (method, path, data, signature) in [
            (
                "GET",
                "/v3/account",
                "",
                "HXtfA1WzX+eo9TkFm4SjtYo0SvZ9f9CdFkpQpE+ZzRA=",
            ),
            (
                "GET",
                "/v3/futures/isolated/trades/closed",
                "?limit=10",
                "WKmAnCMDgjxidOXsq/b/TNTcJVJItft5MLQXtqj9+vQ=",
            ),
            (
                "POST",
                "/v3/futures/isolated/trade",
                order,
                "2pzHOdD0Adt/n9Ufarx9ahe0Oehsr0JoMMx+Aeo06QM=",
            ),
            (
                "POST",
                "/v3/futures/isolated/trades/cancel-all",
                "",
                "WssGHJtRY6vxTnYzSz9D3oMkpVsPAaRaMSWO1g5eOFM=",
            ),
            (
                "DELETE",
                "/v3/futures/isolated/trade/stoploss",
                delete,
                "GXNCND58tzKwR16sY6Tpq4tDXYNreYXIkw+Zpq3+hOI=",
            ),
        ] {
            assert!(
                verify_rest(SECRET, TIME, method, path, data.as_bytes(), signature),
                "{path}"
            );
            let other = format!("{data} ");
            assert!(!verify_rest(
                SECRET,
                TIME,
                method,
                path,
                other.as_bytes(),
                signature
            ));
        }
    }

    #[test]
    fn the_published_stream_vector() {
        let signature = "BFXoeXejFe23YvzATU47ZVaRTk8XCbD53T2LLGo3jWw=";
        assert!(verify_stream(
            SECRET,
            1_767_225_600_000,
            "0123456789abcdef",
            signature
        ));
        assert!(!verify_stream(
            SECRET,
            1_767_225_600_001,
            "0123456789abcdef",
            signature
        ));
        assert!(!verify_stream(
            "other",
            1_767_225_600_000,
            "0123456789abcdef",
            signature
        ));
        assert!(!verify_stream(
            SECRET,
            1_767_225_600_000,
            "0123456789abcdef",
            "not base64"
        ));
    }

    #[test]
    fn freshness_has_two_sides() {
        let tolerance = Duration::from_secs(10);
        assert!(is_fresh(10_000, 20_000, tolerance) && is_fresh(30_000, 20_000, tolerance));
        assert!(!is_fresh(9_999, 20_000, tolerance) && !is_fresh(30_001, 20_000, tolerance));
        assert!(!is_fresh(i64::MIN, i64::MAX, tolerance));
    }

    #[test]
    fn canonical_json() {
        for good in [r#"{"a":10,"b":"x 1.0","c":0.5,"d":[]}"#, "", "{}"] {
            assert!(is_canonical_json(good.as_bytes()), "{good}");
        }
        for bad in [
            r#"{"a": 1}"#,
            r#"{"a":10.0}"#,
            r#"{"a":0.50}"#,
            r#"{"a":"\/"}"#,
        ] {
            assert!(!is_canonical_json(bad.as_bytes()), "{bad}");
        }
    }
}
