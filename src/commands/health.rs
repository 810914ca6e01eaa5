//! `juststorage health`: asks a server how it is, for container images without an HTTP client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{Request, StatusCode, Uri};
use bytes::Bytes;
use http_body_util::Empty;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use serde_json::json;

use super::output::Output;
use crate::config::{ListenConfig, Settings};
use crate::exit_error::ExitError;

/// How long the server may take to answer. Docker and Kubernetes ask every few seconds.
const PATIENCE: Duration = Duration::from_secs(3);

/// Succeeds if the server with these settings answers that it lives or, with `ready`, that it is ready.
pub(super) async fn run(settings: &Settings, ready: bool, output: Output) -> Result<(), ExitError> {
    let listen = ListenConfig::new(settings)?;
    let path = if ready { "/ready" } else { "/health" };
    let scheme = if listen.tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}{path}", reached(listen.native));
    let parsed = url.parse().map_err(|_| ExitError::No(format!("{url}: no URL")))?;
    let own = listen.tls.as_ref().map(|tls| tls.certificate.as_path());
    expect(&parsed, StatusCode::OK, own, output).await
}

/// Succeeds if `url` answers with `status`. Over TLS the server has the certificate that the settings name; without such a
/// setting, one of an authority that this machine trusts.
pub(super) async fn ask_url(
    settings: &Settings,
    url: Uri,
    status: u16,
    output: Output,
) -> Result<(), ExitError> {
    let status = StatusCode::from_u16(status).map_err(|error| ExitError::No(error.to_string()))?;
    expect(&url, status, settings.tls_cert.as_deref(), output).await
}

async fn expect(url: &Uri, wanted: StatusCode, own: Option<&Path>, output: Output) -> Result<(), ExitError> {
    let status = tokio::time::timeout(PATIENCE, ask(url, own))
        .await
        .map_err(|_| ExitError::No(format!("{url}: no answer within {} s", PATIENCE.as_secs())))?
        .map_err(|error| ExitError::No(format!("{url}: {error}")))?;
    if status != wanted {
        return Err(ExitError::No(format!("{url}: the answer is {status}")));
    }
    output.print(&json!({ "url": url.to_string(), "status": status.as_u16() }), || match wanted {
        StatusCode::OK => format!("{url}: ok"),
        _ => format!("{url}: {status}, as expected"),
    })
}

/// Where this machine reaches a server that listens on `address`.
fn reached(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

async fn ask(url: &Uri, own: Option<&Path>) -> Result<StatusCode, String> {
    let provider = rustls::crypto::ring::default_provider();
    let connector = HttpsConnectorBuilder::new();
    let connector = match own {
        None if url.scheme_str() == Some("https") => connector
            .with_provider_and_native_roots(provider)
            .map_err(|error| format!("no certificate authority can be read on this machine: {error}"))?,
        own => connector.with_tls_config(trusting(own, provider)?),
    };
    let connector = connector.https_or_http().enable_http1().build();
    let client = Client::builder(TokioExecutor::new()).build::<_, Empty<Bytes>>(connector);
    let request = Request::get(url).body(Empty::new()).map_err(|error| error.to_string())?;
    let response = client.request(request).await.map_err(|error| crate::jwks::causes(&error))?;
    Ok(response.status())
}

/// Trusts the one certificate in the file `own`; without it, none.
fn trusting(own: Option<&Path>, provider: CryptoProvider) -> Result<ClientConfig, String> {
    let provider = Arc::new(provider);
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let Some(path) = own else {
        return Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth());
    };
    let own = CertificateDer::from_pem_file(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let verifier = Arc::new(OwnCertificate { own, provider });
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// Trusts exactly the certificate that the settings name: it is the server's own, and its names are not this machine's.
#[derive(Debug)]
struct OwnCertificate {
    own: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for OwnCertificate {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if end_entity.as_ref() == self.own.as_ref() {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::Error::General("the server has another certificate than JUSTSTORAGE_TLS_CERT".into()))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_address_of_all_is_reached_by_loopback() {
        for (listens, asked) in
            [("0.0.0.0:8080", "127.0.0.1:8080"), ("[::]:1", "[::1]:1"), ("192.0.2.7:8080", "192.0.2.7:8080")]
        {
            assert_eq!(reached(listens.parse().unwrap()), asked.parse().unwrap());
        }
    }
}
