//! A certificate of its own, for https and wss.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::start::SimulatorError;

/// A handshake takes no longer.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);

/// A certificate that nobody signed but itself, with its key. It is made anew each time and lies
/// nowhere; a client that trusts [`Certificate::pem`] trusts this simulator.
#[derive(Clone)]
pub struct Certificate {
    pem: String,
    config: Arc<ServerConfig>,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").finish_non_exhaustive()
    }
}

impl Certificate {
    /// A certificate for an address, for `127.0.0.1` and for `localhost`.
    ///
    /// # Errors
    /// Where no key can be made.
    pub fn generate(listen: SocketAddr) -> Result<Self, SimulatorError> {
        let wrong = |problem: String| SimulatorError::Config {
            field: "tls",
            problem,
        };
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let own: IpAddr = listen.ip();
        if !own.is_unspecified() && !names.contains(&own.to_string()) {
            names.push(own.to_string());
        }
        let made = rcgen::generate_simple_self_signed(names).map_err(|e| wrong(e.to_string()))?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder
                    .with_no_client_auth()
                    .with_single_cert(vec![made.cert.der().clone()], key)
            })
            .map_err(|e| wrong(e.to_string()))?;
        Ok(Self {
            pem: made.cert.pem(),
            config: Arc::new(config),
        })
    }

    /// What a client has to trust, as PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Shakes hands, unless the other side does not, or not in time.
    pub(super) async fn accept(&self, io: TcpStream) -> Option<TlsStream<TcpStream>> {
        let handshake = TlsAcceptor::from(Arc::clone(&self.config)).accept(io);
        tokio::time::timeout(HANDSHAKE_WITHIN, handshake)
            .await
            .ok()?
            .ok()
    }
}
