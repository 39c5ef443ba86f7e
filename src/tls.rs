//! Whom an encrypted connection trusts: the authorities that browsers trust, as they are compiled
//! in, and those that the operator names. So all that goes out trusts the same, on every machine.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// How to set up connections that trust also the authorities of a PEM file.
///
/// # Errors
/// What is wrong with the file.
pub fn trusting(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(file) = ca_file {
        for authority in authorities(file)? {
            roots
                .add(authority)
                .map_err(|error| format!("a certificate of it cannot be trusted: {error}"))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn authorities(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let authorities = read.map_err(|error| error.to_string())?;
    if authorities.is_empty() {
        return Err("it holds no -----BEGIN CERTIFICATE-----".to_owned());
    }
    Ok(authorities)
}
