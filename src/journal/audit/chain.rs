//! What binds an entry to the one before it: HMAC-SHA256 over all that the entry says and over the
//! hash of the one before, under a key derived from the master key.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::hmac;
use serde::Serialize;
use serde_json::Value;

/// Of the way of computing hashes.
const VERSION: &str = "v1";
/// What the key's own mark is computed of.
const MARKED: &[u8] = b"vigia/audit/mark";
/// Bytes of a key's mark.
const MARK_LEN: usize = 4;

/// An entry's number and hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Link {
    /// Its number.
    pub seq: i64,
    /// `v1.MARK.MAC`: which key, and what it makes of the entry, as base64 of URLs.
    pub hash: String,
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.hash)
    }
}

impl FromStr for Link {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wanted = "a head is NUMBER:HASH, as `vigia audit verify` prints it";
        let (seq, hash) = text.trim().split_once(':').ok_or(wanted)?;
        let seq = seq.trim().parse().map_err(|_| wanted)?;
        if hash.split('.').count() != 3 || !hash.starts_with(VERSION) {
            return Err(wanted);
        }
        let hash = hash.to_owned();
        Ok(Self { seq, hash })
    }
}

/// All that an entry says, as texts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said<'a> {
    pub(super) automation: &'a str,
    pub(super) execution: &'a str,
    pub(super) account: &'a str,
    pub(super) kind: &'a str,
    pub(super) message: &'a str,
    /// As [`canonical`] writes it.
    pub(super) data: &'a str,
    pub(super) timestamp: &'a str,
}

/// What a hash says of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// The entry is what it was.
    Same,
    /// The entry or its hash was changed.
    Changed,
    /// It was made under another key, of this mark.
    OtherKey(String),
}

/// Computes hashes. Its key is never shown.
#[derive(Clone, Debug)]
pub(in crate::journal) struct Chain {
    key: hmac::Key,
    mark: String,
}

impl Chain {
    pub(super) fn new(key: hmac::Key) -> Self {
        let mark = hmac::sign(&key, MARKED);
        let mark = BASE64.encode(&mark.as_ref()[..MARK_LEN]);
        Self { key, mark }
    }

    /// The hash of an entry that follows on one with hash `before`; the first follows on none.
    pub(super) fn hash(&self, before: Option<&str>, said: Said<'_>) -> String {
        let mac = BASE64.encode(hmac::sign(&self.key, &covered(before, said)));
        format!("{VERSION}.{}.{mac}", self.mark)
    }

    pub(super) fn judge(&self, hash: &str, before: Option<&str>, said: Said<'_>) -> Judged {
        let mut parts = hash.split('.');
        let (Some(VERSION), Some(mark), Some(mac), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Judged::Changed;
        };
        if mark != self.mark {
            return Judged::OtherKey(mark.to_owned());
        }
        let same = BASE64.decode(mac).is_ok_and(|mac| {
            let covered = covered(before, said);
            hmac::verify(&self.key, &covered, &mac).is_ok()
        });
        if same { Judged::Same } else { Judged::Changed }
    }
}

/// Each part with its length before it, so that nothing can move from one into the next.
fn covered(before: Option<&str>, said: Said<'_>) -> Vec<u8> {
    let parts = [
        before.unwrap_or_default(),
        said.automation,
        said.execution,
        said.account,
        said.kind,
        said.message,
        said.data,
        said.timestamp,
    ];
    let mut covered = Vec::with_capacity(parts.iter().map(|part| 8 + part.len()).sum());
    for part in parts {
        covered.extend_from_slice(&(part.len() as u64).to_be_bytes());
        covered.extend_from_slice(part.as_bytes());
    }
    covered
}

/// JSON as it is read back from the text that is stored: a figure may differ in its last digit from
/// what was written. `None` for what is no JSON.
pub(super) fn canonical(stored: &str) -> Option<String> {
    let value: Value = serde_json::from_str(stored).ok()?;
    Some(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(byte: u8) -> Chain {
        Chain::new(hmac::Key::new(hmac::HMAC_SHA256, &[byte; 32]))
    }

    const SAID: Said<'_> = Said {
        automation: "a",
        execution: "e",
        account: "c",
        kind: "k",
        message: "m",
        data: "{}",
        timestamp: "t",
    };

    #[test]
    fn any_change_of_an_entry_or_of_what_it_follows_on_is_seen() {
        let chain = chain(1);
        let hash = chain.hash(Some("v1.x.y"), SAID);
        assert_eq!(chain.judge(&hash, Some("v1.x.y"), SAID), Judged::Same);
        let other = |change: fn(&mut Said<'_>)| {
            let mut said = SAID;
            change(&mut said);
            said
        };
        for said in [
            other(|said| said.automation = "b"),
            other(|said| said.execution = "f"),
            other(|said| said.account = "d"),
            other(|said| said.kind = "l"),
            other(|said| said.message = "n"),
            other(|said| said.data = "[]"),
            other(|said| said.timestamp = "u"),
            // The same bytes, parted elsewhere.
            other(|said| (said.automation, said.execution) = ("ae", "")),
        ] {
            assert_eq!(chain.judge(&hash, Some("v1.x.y"), said), Judged::Changed);
        }
        for before in [None, Some("v1.x.z")] {
            assert_eq!(chain.judge(&hash, before, SAID), Judged::Changed);
        }
        for at in 0..hash.len() {
            let mut bytes = hash.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            let judged = chain.judge(&changed, Some("v1.x.y"), SAID);
            assert_ne!(judged, Judged::Same, "{changed}");
        }
    }

    #[test]
    fn another_key_is_named_by_its_mark_and_no_key_is_shown() {
        let hash = chain(1).hash(None, SAID);
        let mark = hash.split('.').nth(1).unwrap().to_owned();
        let judged = chain(2).judge(&hash, None, SAID);
        assert_eq!(judged, Judged::OtherKey(mark));
        let shown = format!("{:?}", chain(7));
        assert!(!shown.contains("7, 7"), "{shown}");
    }

    #[test]
    fn figures_are_the_same_after_any_number_of_readings() {
        for text in [
            r#"{"b":1e300,"a":0.1,"c":-0.0}"#,
            r#"[1.7976931348623157e308]"#,
        ] {
            let read = canonical(text).unwrap();
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(read, value.to_string());
        }
        assert_eq!(canonical("{"), None);
    }

    #[test]
    fn a_head_is_read_as_it_is_printed() {
        let link = Link {
            seq: 7,
            hash: chain(1).hash(None, SAID),
        };
        assert_eq!(link.to_string().parse(), Ok(link));
        for wrong in ["", "7", "x:v1.a.b", "7:v1.a", "7:v2.a.b"] {
            assert!(wrong.parse::<Link>().is_err(), "{wrong}");
        }
    }
}
