//! TLS on a listener: TLS 1.2 and 1.3, a certificate that can be replaced while connections go on.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use super::{Front, counted};

/// The certificate of a listener. All clones share it.
#[derive(Clone)]
pub struct Tls {
    front: Front,
    current: Arc<RwLock<Arc<ServerConfig>>>,
}

impl Tls {
    /// From a certificate chain and its private key, both in PEM. The error says what is wrong, and repeats nothing
    /// of them.
    pub fn new(front: Front, certificate: &str, key: &str) -> Result<Self, String> {
        Ok(Self { front, current: Arc::new(RwLock::new(config(front, certificate, key)?)) })
    }

    /// New connections get this certificate from now on; open ones keep theirs.
    pub fn replace(&self, certificate: &str, key: &str) -> Result<(), String> {
        let config = config(self.front, certificate, key)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

fn config(front: Front, certificate: &str, key: &str) -> Result<Arc<ServerConfig>, String> {
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| "the certificate file is not PEM")?;
    if chain.is_empty() {
        return Err("the certificate file contains no certificate".to_owned());
    }
    let expires = expiry(&chain);
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
        .map_err(|_| "the key file contains no readable private key in PEM")?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| format!("certificate and private key cannot be used: {error}"))?;
    config.alpn_protocols = match front {
        Front::Native => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        // The Host header that S3 clients sign is not in HTTP/2.
        Front::S3 => vec![b"http/1.1".to_vec()],
    };
    if expires.is_none() {
        tracing::warn!("the certificate's end cannot be read: no alert will say that it comes");
    }
    counted::certificate_expires(expires.unwrap_or_default());
    Ok(Arc::new(config))
}

/// When the first certificate of a chain ends, since the epoch: then clients refuse the chain. `None` if one of them cannot
/// be read.
fn expiry(chain: &[CertificateDer<'_>]) -> Option<Duration> {
    let ends = |one: &CertificateDer<'_>| {
        let read = Certificate::from_der(one).ok()?;
        Some(read.tbs_certificate().validity().not_after.to_unix_duration())
    };
    chain.iter().map(ends).min()?
}
