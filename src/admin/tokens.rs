//! The tokens that open the door, and what each opens.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use ring::digest::{SHA256, digest};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

use crate::config::{AdminSettings, process_environment};

/// A shorter token could be guessed.
const SHORTEST: usize = 24;
/// A longer file holds no token.
const FILE_MOST: u64 = 4096;

/// What a token lets its bearer do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// Look.
    Viewer,
    /// Look and act.
    Operator,
}

/// All tokens of this service. Kept as digests: comparing these takes the same time whatever was
/// given, and none can be read out of them.
pub(super) struct Tokens(Vec<(Role, [u8; 32])>);

impl Tokens {
    /// Those of the configuration, and one that was made for the operator at this start.
    ///
    /// # Errors
    /// A token that cannot be read, or that is none. Never repeats any part of it.
    pub(super) fn of(settings: &AdminSettings, fresh: &SecretString) -> Result<Self> {
        let mut tokens = Self(vec![(Role::Operator, digest_of(fresh.expose_secret()))]);
        let configured = [
            (
                Role::Operator,
                "VIGIA_OPERATOR_TOKEN",
                "admin.operator_token_file",
                &settings.operator_token_file,
            ),
            (
                Role::Viewer,
                "VIGIA_VIEWER_TOKEN",
                "admin.viewer_token_file",
                &settings.viewer_token_file,
            ),
        ];
        for (role, variable, key, path) in configured {
            let text = if let Some(text) = process_environment(variable) {
                Zeroizing::new(text)
            } else if path.as_os_str().is_empty() {
                continue;
            } else {
                read(path).with_context(|| format!("{key}: {}", path.display()))?
            };
            tokens.add(role, text.trim()).context(key)?;
        }
        Ok(tokens)
    }

    fn add(&mut self, role: Role, text: &str) -> Result<()> {
        if text.len() < SHORTEST || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            bail!(
                "a token is one word of at least {SHORTEST} letters, digits and signs: make one \
                 with `openssl rand -hex 32`"
            );
        }
        let digest = digest_of(text);
        if self.0.iter().any(|(_, known)| *known == digest) {
            bail!("it is the other role's token too: make one for each");
        }
        self.0.push((role, digest));
        Ok(())
    }

    /// What a request's `Authorization` lets it do; `None`: nothing.
    pub(super) fn role(&self, authorization: &str) -> Option<Role> {
        let given = digest_of(authorization.strip_prefix("Bearer ")?);
        // All of them, each to its end: the time tells nothing.
        let opened = self.0.iter().filter(|(_, known)| are_equal(known, &given));
        opened.map(|(role, _)| *role).max()
    }
}

fn digest_of(text: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    bytes
}

fn are_equal(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

fn read(path: &Path) -> Result<Zeroizing<String>> {
    let file = File::open(path).context("it cannot be opened")?;
    // Of the open file, not of the path: nobody can swap it in between.
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        bail!("others may read it: run `chmod 600` on it, and consider the token known");
    }
    let mut text = Zeroizing::new(String::with_capacity(FILE_MOST as usize));
    file.take(FILE_MOST)
        .read_to_string(&mut text)
        .context("it cannot be read")?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    const OPERATORS: &str = "operators-0123456789-abcdef";
    const VIEWERS: &str = "viewers-0123456789-abcdef-xyz";

    fn file(text: &str, mode: u32) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let mode = PermissionsExt::from_mode(mode);
        std::fs::set_permissions(file.path(), mode).unwrap();
        file
    }

    fn tokens(operator: Option<&Path>, viewer: Option<&Path>) -> Result<Tokens> {
        let settings = AdminSettings {
            listen: String::new(),
            operator_token_file: operator.map_or_else(PathBuf::new, Path::to_owned),
            viewer_token_file: viewer.map_or_else(PathBuf::new, Path::to_owned),
        };
        Tokens::of(&settings, &"fresh".into())
    }

    #[test]
    fn each_token_opens_what_it_is_for_and_nothing_else_opens_anything() {
        let (operator, viewer) = (file(OPERATORS, 0o600), file(&format!("{VIEWERS}\n"), 0o400));
        let tokens = tokens(Some(operator.path()), Some(viewer.path())).unwrap();
        let role = |token: &str| tokens.role(&format!("Bearer {token}"));
        assert_eq!(role("fresh"), Some(Role::Operator));
        assert_eq!(role(OPERATORS), Some(Role::Operator));
        assert_eq!(role(VIEWERS), Some(Role::Viewer));
        for wrong in ["", " fresh", "fresh ", "Fresh", "fres", &VIEWERS[1..]] {
            assert_eq!(role(wrong), None, "{wrong}");
        }
        for wrong in ["", "fresh", "bearer fresh", "Basic fresh", "Bearerfresh"] {
            assert_eq!(tokens.role(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_token_that_is_none_is_refused_without_repeating_it() {
        let good = file(OPERATORS, 0o600);
        let refused = |path: &Path| match tokens(Some(good.path()), Some(path)) {
            Ok(_) => panic!("it was to be refused"),
            Err(error) => format!("{error:#}"),
        };
        for (text, mode, why) in [
            ("", 0o600, "one word"),
            ("hunter2", 0o600, "one word"),
            ("hunter2 hunter2 hunter2 hunter2", 0o600, "one word"),
            (VIEWERS, 0o644, "others may read it"),
            (OPERATORS, 0o600, "the other role's"),
        ] {
            let error = refused(file(text, mode).path());
            assert!(error.contains("admin.viewer_token_file"), "{error}");
            assert!(error.contains(why), "{error}");
            assert!(text.is_empty() || !error.contains(text), "{error}");
        }
        assert!(refused(Path::new("/nowhere/token")).contains("/nowhere/token"));
    }
}
