//! The vault: seals credentials under a master key, each bound to the id of its account, so that a
//! sealed text copied to another account opens nothing.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::aead::{self, Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretBox, SecretString};

use crate::domain::credentials::Credentials;
use crate::domain::ids::AccountId;

const KEY_LEN: usize = 32;
const VERSION: &str = "v1.";
const AAD_PREFIX: &str = "vigia/credentials/v1/";
/// What the key of the audit log is derived by.
const AUDIT_KEY: &[u8] = b"vigia/audit/v1";
/// A key file longer than this is no key file.
const KEY_FILE_MOST: u64 = 1024;

/// What can go wrong with sealed credentials. Never holds key material.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// No key was given to a store that must seal or open.
    #[error(
        "no master key is set: make one with `vigia key generate` and name its file in the configuration"
    )]
    NoKey,
    /// The text is no key.
    #[error("the master key must be 32 bytes as base64, as `vigia key generate` prints them")]
    NotAKey,
    /// The key's file cannot be used.
    #[error("the master key file {path}: {what}")]
    KeyFile {
        /// Its path.
        path: String,
        /// What is wrong and what to do.
        what: String,
    },
    /// The sealed text was sealed under another key or for another account, or was changed.
    #[error(
        "the credentials of account {account} cannot be opened: the master key is another one than they were sealed under, or they were changed or copied from another account; set the right key, or enter the credentials again"
    )]
    CannotOpen {
        /// The account.
        account: AccountId,
    },
    /// Written by a later version.
    #[error(
        "the credentials of account {account} are sealed in a way that this version does not know: use the version that wrote them, or enter them again"
    )]
    UnknownVersion {
        /// The account.
        account: AccountId,
    },
    /// The credentials cannot be those of an API key.
    #[error(
        "the credentials' {parts} cannot be what the exchange gave: each part is printable text without blanks around it"
    )]
    Unusable {
        /// The parts at fault, by name.
        parts: String,
    },
    /// The system gives no random numbers, or sealing failed otherwise.
    #[error("the credentials could not be sealed: the system gives no random numbers")]
    CannotSeal,
}

/// Seals and opens credentials. Its key is wiped when it is dropped, and it does not print.
pub struct Vault {
    key: SecretBox<[u8; KEY_LEN]>,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault")
    }
}

impl Vault {
    /// Takes a key as [`Vault::generate_key_text`] makes it; blanks around it do not matter.
    ///
    /// # Errors
    /// [`VaultError::NotAKey`].
    pub fn from_key_text(text: &str) -> Result<Self, VaultError> {
        let bytes = BASE64.decode(text.trim()).map(Zeroizing::new);
        let bytes = bytes.map_err(|_| VaultError::NotAKey)?;
        if bytes.len() != KEY_LEN {
            return Err(VaultError::NotAKey);
        }
        let key = SecretBox::init_with_mut(|key: &mut [u8; KEY_LEN]| key.copy_from_slice(&bytes));
        Ok(Self { key })
    }

    /// Makes a new key.
    ///
    /// # Errors
    /// [`VaultError::CannotSeal`] when the system gives no random numbers.
    pub fn generate_key_text() -> Result<SecretString, VaultError> {
        let mut key = Zeroizing::new([0; KEY_LEN]);
        SystemRandom::new()
            .fill(&mut *key)
            .map_err(|_| VaultError::CannotSeal)?;
        Ok(SecretString::from(BASE64.encode(*key)))
    }

    /// Reads the key from a file that nobody but its owner may read.
    ///
    /// # Errors
    /// [`VaultError::KeyFile`] for a file that cannot be read or that others may read;
    /// [`VaultError::NotAKey`] for one that holds no key.
    pub fn from_file(path: &Path) -> Result<Self, VaultError> {
        Self::read(path, 0o077)
    }

    /// Reads the key from a file that a service manager hands over to this service alone. It may say
    /// so by an access list, which shows as the mode of a group.
    ///
    /// # Errors
    /// As [`Vault::from_file`].
    pub fn from_credential(path: &Path) -> Result<Self, VaultError> {
        Self::read(path, 0o037)
    }

    fn read(path: &Path, forbidden: u32) -> Result<Self, VaultError> {
        let refuse = |what: String| VaultError::KeyFile {
            path: path.display().to_string(),
            what,
        };
        let file = File::open(path)
            .map_err(|error| refuse(format!("{error}; make one with `vigia key generate`")))?;
        // Of the open file, not of the path: nobody can swap it in between.
        let metadata = file.metadata().map_err(|error| refuse(error.to_string()))?;
        if !metadata.is_file() {
            return Err(refuse("is no file; name a file that holds the key".into()));
        }
        if metadata.permissions().mode() & forbidden != 0 {
            let path = path.display();
            return Err(refuse(format!(
                "others may read it: run `chmod 600 {path}`"
            )));
        }
        let mut text = Zeroizing::new(String::with_capacity(KEY_FILE_MOST as usize));
        file.take(KEY_FILE_MOST)
            .read_to_string(&mut text)
            .map_err(|error| refuse(error.to_string()))?;
        Self::from_key_text(&text)
    }

    /// Seals credentials for an account.
    ///
    /// # Errors
    /// [`VaultError::Unusable`] for credentials that cannot be an API key's;
    /// [`VaultError::CannotSeal`].
    pub fn seal(
        &self,
        account: &AccountId,
        credentials: &Credentials,
    ) -> Result<String, VaultError> {
        let parts = credentials.unusable_parts();
        if !parts.is_empty() {
            let parts = parts.join(", ");
            return Err(VaultError::Unusable { parts });
        }
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new()
            .fill(&mut nonce)
            .map_err(|_| VaultError::CannotSeal)?;
        let mut text = plain(credentials);
        self.key()?
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                aad(account),
                &mut *text,
            )
            .map_err(|_| VaultError::CannotSeal)?;
        Ok(format!(
            "{VERSION}{}",
            BASE64.encode([&nonce, text.as_slice()].concat())
        ))
    }

    /// Opens what [`Vault::seal`] made for the same account.
    ///
    /// # Errors
    /// [`VaultError::CannotOpen`] under another key, for another account, or after any change;
    /// [`VaultError::UnknownVersion`].
    pub fn open(&self, account: &AccountId, sealed: &str) -> Result<Credentials, VaultError> {
        let cannot = || VaultError::CannotOpen {
            account: account.clone(),
        };
        let Some(sealed) = sealed.strip_prefix(VERSION) else {
            return Err(VaultError::UnknownVersion {
                account: account.clone(),
            });
        };
        let sealed = BASE64.decode(sealed).map_err(|_| cannot())?;
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN).ok_or_else(cannot)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| cannot())?;
        let mut text = Zeroizing::new(text.to_vec());
        let key = self.key()?;
        let text = key
            .open_in_place(nonce, aad(account), &mut text)
            .map_err(|_| cannot())?;
        parts(text).ok_or_else(cannot)
    }

    /// The key that binds the entries of the audit log, derived from the master key.
    pub(crate) fn audit_key(&self) -> hmac::Key {
        let master = hmac::Key::new(hmac::HMAC_SHA256, self.key.expose_secret());
        hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&master, AUDIT_KEY).as_ref())
    }

    fn key(&self) -> Result<LessSafeKey, VaultError> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, self.key.expose_secret());
        key.map(LessSafeKey::new).map_err(|_| VaultError::NotAKey)
    }
}

fn aad(account: &AccountId) -> Aad<Vec<u8>> {
    Aad::from(format!("{AAD_PREFIX}{account}").into_bytes())
}

/// Each part with its length before it. The room for all of it, and for the tag, is taken at once:
/// a buffer that grows leaves copies behind that nobody wipes.
fn plain(credentials: &Credentials) -> Zeroizing<Vec<u8>> {
    let parts = [
        &credentials.key,
        &credentials.secret,
        &credentials.passphrase,
    ]
    .map(|part| part.expose_secret().as_bytes());
    let length: usize = parts.iter().map(|part| 4 + part.len()).sum();
    let mut text = Zeroizing::new(Vec::with_capacity(length + aead::MAX_TAG_LEN));
    for part in parts {
        text.extend_from_slice(&(part.len() as u32).to_be_bytes());
        text.extend_from_slice(part);
    }
    text
}

fn parts(mut text: &[u8]) -> Option<Credentials> {
    let mut next = || {
        let (length, rest) = text.split_first_chunk::<4>()?;
        let (part, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        text = rest;
        String::from_utf8(part.to_vec()).ok()
    };
    let credentials = Credentials::new(next()?, next()?, next()?);
    text.is_empty().then_some(credentials)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault() -> Vault {
        Vault::from_key_text(Vault::generate_key_text().unwrap().expose_secret()).unwrap()
    }

    fn id(text: &str) -> AccountId {
        AccountId::new(text)
    }

    fn credentials() -> Credentials {
        Credentials::new("key-1", "s3cret/+=", "pass phrase")
    }

    #[test]
    fn what_is_sealed_opens_for_the_same_account_and_is_never_the_same_twice() {
        let vault = vault();
        let sealed = vault.seal(&id("a"), &credentials()).unwrap();
        let opened = vault.open(&id("a"), &sealed).unwrap();
        let clear = |part: &SecretString| part.expose_secret().to_owned();
        assert_eq!(clear(&opened.key), "key-1");
        assert_eq!(clear(&opened.secret), "s3cret/+=");
        assert_eq!(clear(&opened.passphrase), "pass phrase");
        assert!(sealed.starts_with("v1.") && sealed.is_ascii());
        assert_ne!(sealed, vault.seal(&id("a"), &credentials()).unwrap());
    }

    #[test]
    fn moved_changed_cut_or_sealed_under_another_key_it_is_refused_by_name() {
        let right = vault();
        let sealed = right.seal(&id("a"), &credentials()).unwrap();
        let refused = |vault: &Vault, account: &str, sealed: &str| {
            let error = vault.open(&id(account), sealed).unwrap_err();
            let account = id(account);
            assert_eq!(error, VaultError::CannotOpen { account }, "{sealed}");
            assert!(error.to_string().contains("master key"), "{error}");
        };
        refused(&right, "b", &sealed);
        refused(&vault(), "a", &sealed);
        let bytes = BASE64.decode(&sealed[3..]).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            refused(&right, "a", &format!("v1.{}", BASE64.encode(bytes)));
        }
        for length in 0..bytes.len() {
            refused(
                &right,
                "a",
                &format!("v1.{}", BASE64.encode(&bytes[..length])),
            );
        }
        refused(&right, "a", "v1.not base64");
        let later = right.open(&id("a"), "v2.AAAA").unwrap_err();
        assert!(matches!(later, VaultError::UnknownVersion { .. }));
    }

    #[test]
    fn credentials_that_cannot_be_any_are_not_sealed() {
        let error = vault().seal(&id("a"), &Credentials::new("k", " s", ""));
        let parts = "secret, passphrase".to_owned();
        assert_eq!(error, Err(VaultError::Unusable { parts }));
    }

    #[test]
    fn a_key_is_32_bytes_from_a_file_of_its_owner_and_no_error_shows_it() {
        let text = Vault::generate_key_text().unwrap();
        let text = text.expose_secret();
        for wrong in ["", "AAAA", &text[1..], "no base64 at all"] {
            let error = Vault::from_key_text(wrong).unwrap_err();
            assert_eq!(error, VaultError::NotAKey);
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, format!("{text}\n")).unwrap();
        let mode = |mode| std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        for open in [0o640, 0o604, 0o660] {
            mode(open);
            let error = Vault::from_file(&path).unwrap_err().to_string();
            assert!(error.contains("chmod 600"), "{error}");
            assert!(!error.contains(text), "{error}");
        }
        mode(0o600);
        let vault = Vault::from_file(&path).unwrap();
        assert_eq!(format!("{vault:?}"), "Vault");
        assert!(Vault::from_file(&folder.path().join("none")).is_err());
        assert!(Vault::from_file(folder.path()).is_err());
    }
}
