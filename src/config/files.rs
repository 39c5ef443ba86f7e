//! Secrets that come in files, as container engines and service managers hand them over: an
//! environment variable names the file.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use reqwest::Url;

use super::{ConfigError, Environment};

/// What the file of a secret may hold, in bytes.
const MOST: u64 = 16 * 1024;
/// Where container engines put secrets. Nothing else of the machine is seen in there, and their mode is
/// not the operator's to choose.
const OF_ENGINES: &str = "/run/secrets";

/// The value of a variable that may be secret: its own, or that of the file that `NAME_FILE` names.
pub(super) fn value(
    name: &str,
    key: &str,
    environment: &Environment<'_>,
) -> Result<Option<String>, ConfigError> {
    let named = format!("{name}_FILE");
    let file = (environment.0)(&named);
    match ((environment.0)(name), file) {
        (Some(_), Some(_)) => Err(ConfigError::Key {
            path: named,
            key: key.to_owned(),
            problem: format!("{name} is given too; give one of both"),
        }),
        (None, Some(file)) => read(&named, key, Path::new(&file), environment).map(Some),
        (value, None) => Ok(value),
    }
}

/// The content of the file that a variable names, without the end of its last line.
pub(super) fn content(
    variable: &str,
    key: &str,
    environment: &Environment<'_>,
) -> Result<Option<String>, ConfigError> {
    let file = (environment.0)(variable);
    file.map(|file| read(variable, key, Path::new(&file), environment))
        .transpose()
}

fn read(
    variable: &str,
    key: &str,
    path: &Path,
    environment: &Environment<'_>,
) -> Result<String, ConfigError> {
    let refuse = |problem: String| ConfigError::Key {
        path: format!("{variable}={}", path.display()),
        key: key.to_owned(),
        problem,
    };
    let file = File::open(path).map_err(|error| refuse(error.to_string()))?;
    // Of the open file, not of the path: nobody can swap it in between.
    let metadata = file.metadata().map_err(|error| refuse(error.to_string()))?;
    if !metadata.is_file() {
        return Err(refuse("it is no file".to_owned()));
    }
    let credentials = (environment.0)("CREDENTIALS_DIRECTORY");
    let forbidden = forbidden(path, credentials.as_deref().map(Path::new));
    if metadata.permissions().mode() & forbidden != 0 {
        let path = path.display();
        return Err(refuse(format!(
            "others may read it: run `chmod 600 {path}`, and consider what it holds known"
        )));
    }
    let mut text = String::new();
    file.take(MOST + 1)
        .read_to_string(&mut text)
        .map_err(|error| refuse(error.to_string()))?;
    if text.len() as u64 > MOST {
        return Err(refuse(format!("it holds more than {MOST} bytes")));
    }
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    if text.trim().is_empty() {
        return Err(refuse("it is empty".to_owned()));
    }
    Ok(text)
}

/// The bits of its mode that a secret's file must not have. systemd may hand a credential over by an
/// access list, which shows as the mode of a group.
fn forbidden(path: &Path, credentials: Option<&Path>) -> u32 {
    if path.starts_with(OF_ENGINES) {
        0
    } else if credentials.is_some_and(|folder| path.starts_with(folder)) {
        0o037
    } else {
        0o077
    }
}

/// An address of PostgreSQL with the password of its user.
///
/// # Errors
/// What is wrong with the address; it does not show the password.
pub(super) fn with_password(url: &str, password: &str) -> Result<String, String> {
    let needed = "it belongs to an address postgres://USER@HOST/DATABASE in DATABASE_URL";
    let mut url = Url::parse(url).map_err(|_| needed.to_owned())?;
    if !matches!(url.scheme(), "postgres" | "postgresql") || url.username().is_empty() {
        return Err(needed.to_owned());
    }
    if url.password().is_some() {
        return Err("DATABASE_URL has a password too; give one of both".to_owned());
    }
    // Whatever looks encoded would be taken for that.
    url.set_password(Some(&password.replace('%', "%25")))
        .map_err(|()| needed.to_owned())?;
    Ok(url.into())
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::super::Settings;
    use super::*;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn file(&self, name: &str, mode: u32, text: &str) -> String {
            let path = self.0.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            path.display().to_string()
        }
    }

    fn load(environment: &[(&str, &str)]) -> Result<Settings, String> {
        let find = |name: &str| {
            let found = environment.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Settings::load(None, &Environment(&find)).map_err(|error| error.to_string())
    }

    #[test]
    fn addresses_come_from_files() {
        let folder = Folder(tempfile::tempdir().unwrap());
        let database = folder.file("database", 0o600, "postgres://u:p@db/vigia\n");
        let redis = folder.file("redis", 0o400, "redis://:p@redis\r\n");
        let environment = [
            ("DATABASE_URL_FILE", database.as_str()),
            ("REDIS_URL_FILE", &redis),
        ];
        let settings = load(&environment).unwrap();
        assert_eq!(settings.store.url, "postgres://u:p@db/vigia");
        assert_eq!(settings.queue.redis_url, "redis://:p@redis");
    }

    #[test]
    fn a_password_joins_its_address_whatever_it_is_made_of() {
        let folder = Folder(tempfile::tempdir().unwrap());
        let password = folder.file("password", 0o600, "a/b@c:d%e ü#?\n");
        let url = "postgres://vigia@db:5433/vigia?sslmode=require";
        let settings = load(&[("DATABASE_URL", url), ("DATABASE_PASSWORD_FILE", &password)]);
        let url = Url::parse(&settings.unwrap().store.url).unwrap();
        assert_eq!((url.username(), url.host_str()), ("vigia", Some("db")));
        assert_eq!(
            (url.port(), url.query()),
            (Some(5433), Some("sslmode=require"))
        );
        assert_eq!(
            url.password(),
            Some("a%2Fb%40c%3Ad%25e%20%C3%BC%23%3F"),
            "no sign of it ends it"
        );
    }

    #[test]
    fn what_cannot_be_used_is_named_and_never_shown() {
        let folder = Folder(tempfile::tempdir().unwrap());
        let open = folder.file("open", 0o644, "hunter2");
        let empty = folder.file("empty", 0o600, "\n");
        let long = folder.file("long", 0o600, &"hunter2".repeat(3000));
        let good = folder.file("good", 0o600, "hunter2");
        let parent = folder.0.path().display().to_string();
        let none = format!("{parent}/none");
        let with = |file: &str| load(&[("DATABASE_URL_FILE", file)]);
        for (refused, why) in [
            (with(&none), "No such file"),
            (with(&parent), "no file"),
            (with(&open), "others may read it"),
            (with(&empty), "it is empty"),
            (with(&long), "more than 16384 bytes"),
            (
                load(&[("DATABASE_URL_FILE", &good), ("DATABASE_URL", "x")]),
                "give one of both",
            ),
            (
                load(&[("DATABASE_PASSWORD_FILE", &good)]),
                "postgres://USER@HOST",
            ),
            (
                load(&[
                    ("DATABASE_PASSWORD_FILE", &good),
                    ("DATABASE_URL", "postgres://u:p@db/vigia"),
                ]),
                "has a password too",
            ),
        ] {
            let error = refused.unwrap_err();
            assert!(error.contains(why), "{why}: {error}");
            assert!(error.contains("_FILE"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn who_hands_a_secret_over_chooses_its_mode() {
        let credentials = Path::new("/run/credentials/vigia.service");
        for (path, credentials, bits) in [
            ("/etc/password", None, 0o077),
            ("/etc/password", Some(credentials), 0o077),
            ("/run/credentials/vigia.service/p", Some(credentials), 0o037),
            ("/run/credentials/vigia.service/p", None, 0o077),
            ("/run/secrets/password", None, 0),
            ("/run/secrets-of-others/password", None, 0o077),
        ] {
            assert_eq!(forbidden(Path::new(path), credentials), bits, "{path}");
        }
    }
}
