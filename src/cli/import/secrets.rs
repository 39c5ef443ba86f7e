//! Credentials as another application may have stored them. What is not surely in clear is not
//! taken; no reason repeats anything of them.

use std::collections::BTreeMap;

use secrecy::ExposeSecret;
use secrecy::zeroize::Zeroizing;
use serde_json::value::RawValue;

use crate::domain::credentials::Credentials;

/// The names of each part.
const NAMES: [(&str, &[&str]); 3] = [
    ("key", &["key", "apiKey", "api_key"]),
    ("secret", &["secret", "apiSecret", "api_secret"]),
    ("passphrase", &["passphrase"]),
];
/// Fields, in lower case, that only what is encrypted has.
const OF_ENCRYPTED: [&str; 8] = [
    "iv",
    "nonce",
    "tag",
    "authtag",
    "ciphertext",
    "encrypted",
    "encrypteddata",
    "encrypted_data",
];
/// How texts begin that were encrypted by common libraries.
const BEGINNINGS: [&str; 4] = ["U2FsdGVkX1", "enc:", "encrypted:", "vault:"];
/// The parts of `iv:tag:text` are at least so long.
const SEALED_PART: usize = 16;

const ENCRYPTED: &str = "its credentials are encrypted, and only the application has their key: \
                         enter them with `vigia account add`";

/// Reads credentials in clear.
///
/// # Errors
/// Why they are none that can be used.
pub(super) fn read(json: &str) -> Result<Credentials, String> {
    // JSON within JSON: a text that was stored in a column of that type.
    if let Ok(inner) = serde_json::from_str::<String>(json).map(Zeroizing::new) {
        return if inner.trim_start().starts_with('{') {
            read(&inner)
        } else {
            Err(ENCRYPTED.to_owned())
        };
    }
    let fields: BTreeMap<String, &RawValue> = serde_json::from_str(json)
        .map_err(|_| "its credentials are no JSON object with a key, a secret and a passphrase")?;
    let is_sealed = fields
        .keys()
        .any(|name| OF_ENCRYPTED.contains(&name.to_lowercase().as_str()));
    if is_sealed {
        return Err(ENCRYPTED.to_owned());
    }
    let [key, secret, passphrase] = NAMES.map(|(part, names)| one(&fields, part, names));
    let (key, secret, passphrase) = (key?, secret?, passphrase?);
    if [&key, &secret, &passphrase]
        .into_iter()
        .any(|part| is_encrypted(part))
    {
        return Err(ENCRYPTED.to_owned());
    }
    let credentials = Credentials::new(&**key, &**secret, &**passphrase);
    match credentials.unusable_parts()[..] {
        [] => Ok(credentials),
        ref parts => Err(format!(
            "its credentials' {} cannot be what the exchange gave: each part is printable text \
             without blanks around it",
            parts.join(" and ")
        )),
    }
}

/// Whether two are the same.
pub(super) fn same(one: &Credentials, other: &Credentials) -> bool {
    let parts = |of: &Credentials| {
        [&of.key, &of.secret, &of.passphrase]
            .map(|part| Zeroizing::new(part.expose_secret().to_owned()))
    };
    parts(one) == parts(other)
}

/// The one text that stands under any of the names.
fn one(
    fields: &BTreeMap<String, &RawValue>,
    part: &str,
    names: &[&str],
) -> Result<Zeroizing<String>, String> {
    let mut found: Option<Zeroizing<String>> = None;
    for value in names.iter().filter_map(|name| fields.get(*name)) {
        let text = serde_json::from_str::<String>(value.get()).map(Zeroizing::new);
        let text = text.map_err(|_| format!("its credentials' {part} is no text"))?;
        if found.as_ref().is_some_and(|found| *found != text) {
            return Err(format!(
                "its credentials name two different texts as {part}"
            ));
        }
        found = Some(text);
    }
    let empty = format!("its credentials have no {part}");
    found.filter(|text| !text.is_empty()).ok_or(empty)
}

fn is_encrypted(text: &str) -> bool {
    let encoded = |part: &str| {
        part.len() >= SEALED_PART
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+/=-_".contains(&byte))
    };
    let parts = |separator| {
        let parts: Vec<_> = text.split(separator).collect();
        parts.len() > 1 && parts.into_iter().all(encoded)
    };
    let is_jwe = text.starts_with("eyJ") && text.split('.').count() == 5;
    is_jwe
        || parts(':')
        || parts('.')
        || BEGINNINGS
            .iter()
            .any(|beginning| text.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_known_and_texts_within_texts_are_read() {
        for json in [
            r#"{"key": "k", "secret": "s", "passphrase": "p:w"}"#,
            r#"{"apiKey": "k", "apiSecret": "s", "passphrase": "p:w", "note": 7}"#,
            r#"{"api_key": "k", "api_secret": "s", "key": "k", "passphrase": "p:w"}"#,
            r#""{\"key\": \"k\", \"secret\": \"s\", \"passphrase\": \"p:w\"}""#,
        ] {
            let read = read(json).unwrap();
            assert!(same(&read, &Credentials::new("k", "s", "p:w")), "{json}");
            assert!(!same(&read, &Credentials::new("k", "s", "p")));
        }
    }

    #[test]
    fn what_is_encrypted_torn_or_ambiguous_is_told_without_repeating_it() {
        let with = |key: &str| format!(r#"{{"key": "{key}", "secret": "s", "passphrase": "p"}}"#);
        for (json, says) in [
            (r#""hunter2hunter2""#.to_owned(), "encrypted"),
            (r#"{"iv": "hunter2", "data": "x"}"#.to_owned(), "encrypted"),
            (with("U2FsdGVkX1hunter2"), "encrypted"),
            (
                with("00112233445566778899aabb:hunter2hunter2hunter2"),
                "encrypted",
            ),
            (with("eyJhunter2.a.b.c.d"), "encrypted"),
            (with(" hunter2"), "key cannot be"),
            (with(""), "no key"),
            (
                r#"{"key": "hunter2", "secret": "s"}"#.to_owned(),
                "no passphrase",
            ),
            (
                r#"{"key": ["hunter2"], "secret": "s", "passphrase": "p"}"#.to_owned(),
                "no text",
            ),
            (
                r#"{"key": "hunter2", "apiKey": "b", "secret": "s", "passphrase": "p"}"#.to_owned(),
                "two different",
            ),
            ("null".to_owned(), "no JSON object"),
            ("[\"hunter2\"]".to_owned(), "no JSON object"),
            ("{\"key\": hunter2".to_owned(), "no JSON object"),
        ] {
            let error = read(&json).unwrap_err();
            assert!(
                error.contains(says) && !error.contains("hunter2"),
                "{json}: {error}"
            );
        }
    }
}
