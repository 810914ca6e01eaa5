//! Which servers are trusted over TLS, by the clients that this program makes itself.

use std::sync::Arc;

use hyper_rustls::builderstates::WantsSchemes;
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnectorBuilder};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

/// A connector to servers that the certificate authorities of this machine vouch for, or those of `SSL_CERT_FILE`. The error
/// says that none can be read.
pub fn authorities() -> Result<HttpsConnectorBuilder<WantsSchemes>, String> {
    HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(ring::default_provider())
        .map_err(|error| format!("no certificate authority can be read on this machine: {error}"))
}

/// A connector that trusts no server over TLS, for addresses without it.
pub fn none() -> Result<HttpsConnectorBuilder<WantsSchemes>, String> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    Ok(HttpsConnectorBuilder::new().with_tls_config(config))
}

/// As [`authorities`], for other protocols than HTTP.
pub(crate) fn client() -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_native_roots()
        .map_err(|error| format!("no certificate authority can be read on this machine: {error}"))?;
    Ok(builder.with_no_client_auth())
}

/// [`authorities`], or [`none()`] with a warning where none can be read: then only addresses without TLS can be reached.
pub(crate) fn authorities_or_none() -> Result<HttpsConnectorBuilder<WantsSchemes>, String> {
    authorities().or_else(|error| {
        tracing::warn!("{error}");
        none()
    })
}
