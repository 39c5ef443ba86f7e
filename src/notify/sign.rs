//! The signature of a notification, by which its receiver knows that it is ours and of when.

use ring::hmac;
use secrecy::{ExposeSecret, SecretString};

/// The value of the header `Vigia-Signature`: `t=UNIX_SECONDS,v1=HEX`, where `HEX` is the
/// HMAC-SHA256 of `UNIX_SECONDS.BODY` under the secret, body as it is sent.
pub fn signature(secret: &SecretString, unix_seconds: i64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    let tag = hmac::sign(&key, format!("{unix_seconds}.{body}").as_bytes());
    let hex: String = tag
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("t={unix_seconds},v1={hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reckoned by `printf '1767225600.{"a":1}' | openssl dgst -sha256 -hmac 0123456789abcdef`.
    #[test]
    fn it_is_what_other_tools_reckon() {
        let secret = SecretString::from("0123456789abcdef");
        assert_eq!(
            signature(&secret, 1_767_225_600, r#"{"a":1}"#),
            "t=1767225600,v1=539b0e21b535c5201ef7d1453c0a0de4ad132293226de9018be0cfbf0092faa6"
        );
    }
}
