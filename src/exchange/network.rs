//! The addresses of one network of the exchange.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use reqwest::Url;
use rustls::ClientConfig;

use super::names::Names;
use crate::tls;

/// Addresses of REST and stream, and whom they are trusted by.
#[derive(Clone, Debug)]
pub struct Network {
    /// Its name: `mainnet`, `signet` or one of the operator's.
    pub name: String,
    api: Url,
    stream: Url,
    tls: Arc<ClientConfig>,
    names: Names,
}

/// An address that cannot be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkError {
    /// `api_url`, `stream_url` or `ca_file`.
    pub field: &'static str,
    /// The value.
    pub value: String,
    /// What is wrong, and what is allowed.
    pub problem: String,
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`: {}", self.field, self.value, self.problem)
    }
}

impl std::error::Error for NetworkError {}

impl Network {
    /// Takes the two addresses; the REST one with or without its `/v3`, the stream's with or
    /// without its `/v1`.
    ///
    /// # Errors
    /// An address that is none, of another scheme, or without encryption to another machine.
    pub fn new(name: &str, api_url: &str, stream_url: &str) -> Result<Self, NetworkError> {
        let api = address("api_url", api_url, ["https", "http"], "/v3")?;
        let stream = address("stream_url", stream_url, ["wss", "ws"], "/v1")?;
        Ok(Self {
            name: name.to_owned(),
            api,
            stream,
            tls: tls::trusting(None).map_err(|problem| untrusted(None, problem))?,
            names: Names::default(),
        })
    }

    /// The same network, trusted also where an authority of this PEM file signed its certificate.
    ///
    /// # Errors
    /// A file that cannot be read or holds no certificate.
    pub fn trusting(self, ca_file: &Path) -> Result<Self, NetworkError> {
        let tls =
            tls::trusting(Some(ca_file)).map_err(|problem| untrusted(Some(ca_file), problem))?;
        Ok(Self { tls, ..self })
    }

    /// How to set up an encrypted connection, for REST and stream alike.
    pub(super) fn tls(&self) -> &Arc<ClientConfig> {
        &self.tls
    }

    /// Where its hosts are.
    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    /// The REST address up to and with `/v3`, without a slash at the end.
    pub fn api_url(&self) -> &str {
        self.api.as_str()
    }

    /// The path that every REST path begins with, as it is signed.
    pub fn api_path(&self) -> &str {
        self.api.path()
    }

    /// Where sockets go: host and port.
    pub fn stream_host(&self) -> String {
        let host = self.stream.host_str().unwrap_or_default();
        let port = self.stream.port_or_known_default().unwrap_or_default();
        format!("{host}:{port}")
    }

    /// The stream's address.
    pub fn stream_url(&self) -> &str {
        self.stream.as_str()
    }
}

fn untrusted(ca_file: Option<&Path>, problem: String) -> NetworkError {
    NetworkError {
        field: "ca_file",
        value: ca_file.map_or_else(String::new, |file| file.display().to_string()),
        problem,
    }
}

fn address(
    field: &'static str,
    value: &str,
    schemes: [&str; 2],
    version: &str,
) -> Result<Url, NetworkError> {
    let refuse = |problem: String| NetworkError {
        field,
        value: value.to_owned(),
        problem,
    };
    let [encrypted, plain] = schemes;
    let mut url = Url::parse(value.trim())
        .map_err(|error| refuse(format!("{error}; for example {encrypted}://host{version}")))?;
    let host = url
        .host_str()
        .ok_or_else(|| refuse("it names no host".to_owned()))?;
    let ip: Result<IpAddr, _> = host.trim_matches(['[', ']']).parse();
    let loopback = ip.map_or(host == "localhost", |ip| ip.is_loopback());
    match url.scheme() {
        scheme if scheme == encrypted => {}
        scheme if scheme == plain && loopback => {}
        scheme if scheme == plain => {
            return Err(refuse(format!(
                "{plain}:// sends credentials unencrypted and is allowed only to this machine; \
                 use {encrypted}://"
            )));
        }
        scheme => return Err(refuse(format!("{scheme}:// is not {encrypted}://"))),
    }
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
        return Err(refuse(
            "it must not carry a query, a fragment or a user".to_owned(),
        ));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    let path = if path.ends_with(version) {
        path
    } else {
        path + version
    };
    url.set_path(&path);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_may_be_given_or_left_out() {
        for api in [
            "http://127.0.0.1:1/v3",
            "http://127.0.0.1:1",
            "http://127.0.0.1:1/v3/",
        ] {
            let network = Network::new("sim", api, "ws://127.0.0.1:1").unwrap();
            assert_eq!(network.api_url(), "http://127.0.0.1:1/v3");
            assert_eq!(network.api_path(), "/v3");
            assert_eq!(network.stream_url(), "ws://127.0.0.1:1/v1");
        }
    }

    #[test]
    fn credentials_go_unencrypted_to_this_machine_only() {
        let error = Network::new("n", "http://example.com", "wss://example.com").unwrap_err();
        assert_eq!(error.field, "api_url");
        let error = Network::new("n", "https://example.com", "ws://example.com").unwrap_err();
        assert_eq!(error.field, "stream_url");
        for bad in [
            "example.com",
            "ftp://example.com",
            "https://u@example.com",
            "https://e/?a",
        ] {
            assert!(
                Network::new("n", bad, "wss://example.com").is_err(),
                "{bad}"
            );
        }
        assert!(Network::new("n", "https://example.com", "wss://example.com").is_ok());
    }

    #[test]
    fn a_file_without_an_authority_is_refused_by_name() {
        let network = || Network::new("n", "https://example.com", "wss://example.com").unwrap();
        let error = network().trusting(Path::new("/none.pem")).unwrap_err();
        assert_eq!(error.field, "ca_file");
        assert!(error.to_string().contains("/none.pem"), "{error}");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "no certificate").unwrap();
        let error = network().trusting(file.path()).unwrap_err();
        assert!(error.problem.contains("BEGIN CERTIFICATE"), "{error}");
    }
}
