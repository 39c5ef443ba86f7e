//! Signatures. The secret is used as the text it is; it is not decoded although it looks like
//! base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};

/// Signs a REST request: `timestamp ++ method (lower case) ++ path ++ data`, where data is the body
/// as it is sent, or the query with its question mark, or nothing.
pub(super) fn rest(
    secret: &SecretString,
    timestamp_ms: i64,
    method: &str,
    path: &str,
    data: &str,
) -> String {
    let prehash = format!("{timestamp_ms}{}{path}{data}", method.to_ascii_lowercase());
    hmac(secret, &prehash)
}

/// Signs the stream's `authenticate`: `timestamp ++ nonce`.
pub(super) fn stream(secret: &SecretString, timestamp_ms: i64, nonce: &str) -> String {
    hmac(secret, &format!("{timestamp_ms}{nonce}"))
}

fn hmac(secret: &SecretString, prehash: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    STANDARD.encode(hmac::sign(&key, prehash.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of the protocol sheet, section 1.2.
    #[test]
    fn the_published_vectors() {
        let secret = SecretString::from("test-secret");
        let at = 1_767_225_600_000;
        let trade =
            r#"{"type":"market","side":"buy","quantity":1,"leverage":10,"clientId":"abc-1"}"#;
        let vectors = [
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
                trade,
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
                "?id=d0b9f9a0-4f6e-4a5a-8b7a-7f0f5f9a8a1e",
                "GXNCND58tzKwR16sY6Tpq4tDXYNreYXIkw+Zpq3+hOI=",
            ),
        ];
        for (method, path, data, signature) in vectors {
            assert_eq!(
                rest(&secret, at, method, path, data),
                signature,
                "{method} {path}"
            );
        }
        let signature = "BFXoeXejFe23YvzATU47ZVaRTk8XCbD53T2LLGo3jWw=";
        assert_eq!(stream(&secret, at, "0123456789abcdef"), signature);
    }
}
