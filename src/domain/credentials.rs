//! An account's credentials: in clear only in memory, in types that do not print and are wiped on
//! drop.

use secrecy::{ExposeSecret, SecretString};

/// Key, secret and passphrase of one API key of the exchange.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The API key.
    pub key: SecretString,
    /// The secret that signs.
    pub secret: SecretString,
    /// The passphrase chosen when the key was made.
    pub passphrase: SecretString,
}

impl Credentials {
    /// Takes the three parts as text.
    pub fn new(
        key: impl Into<String>,
        secret: impl Into<String>,
        passphrase: impl Into<String>,
    ) -> Self {
        let part = |text: String| SecretString::from(text);
        Self {
            key: part(key.into()),
            secret: part(secret.into()),
            passphrase: part(passphrase.into()),
        }
    }

    /// The names of the parts that are empty, are no printable ASCII or have blanks around them:
    /// such a part cannot be the one the exchange gave.
    pub fn unusable_parts(&self) -> Vec<&'static str> {
        [
            ("key", &self.key),
            ("secret", &self.secret),
            ("passphrase", &self.passphrase),
        ]
        .into_iter()
        .filter(|(_, part)| {
            let part = part.expose_secret();
            part.is_empty()
                || part.trim() != part
                || !part.bytes().all(|byte| (0x20..0x7f).contains(&byte))
        })
        .map(|(name, _)| name)
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_them_prints_and_what_cannot_be_one_is_named() {
        let credentials = Credentials::new("k-1", " padded", "");
        let printed = format!("{credentials:?}");
        assert!(
            !printed.contains("k-1") && !printed.contains("padded"),
            "{printed}"
        );
        assert_eq!(credentials.unusable_parts(), ["secret", "passphrase"]);
    }
}
