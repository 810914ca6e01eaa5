//! Fetches the JWK set that an identity provider publishes.

use std::error::Error;

use axum::http::{Request, StatusCode, Uri, header};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt as _, TryFutureExt as _};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use juststorage_core::application::ports::key_set::KeySetSource;
use juststorage_core::infrastructure::trust;

/// Longest set, in bytes, as for one in a file.
pub const BYTES_MAX: usize = 1 << 20;

/// A JWK set at a URL. Redirects are not followed, and no cookie, credential or proxy is used.
pub struct PublishedJwks {
    url: Uri,
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

impl PublishedJwks {
    /// The set at `url`, which is plain HTTP only where the configuration let that pass. Servers are trusted by the
    /// authorities of this machine, or those of `SSL_CERT_FILE`.
    pub fn new(url: Uri) -> Result<Self, String> {
        let connector = if url.scheme_str() == Some("http") {
            trust::none()?.https_or_http().enable_http1().build()
        } else {
            trust::authorities()?.https_only().enable_http1().build()
        };
        // Minutes pass between two fetches: a connection is not kept for the next one.
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Ok(Self { url, client })
    }

    async fn get(&self) -> Result<String, String> {
        let request = Request::get(&self.url)
            .header(header::ACCEPT, "application/jwk-set+json, application/json")
            .header(header::USER_AGENT, concat!("juststorage/", env!("CARGO_PKG_VERSION")))
            .body(Empty::new())
            .map_err(|error| error.to_string())?;
        let response = self.client.request(request).await.map_err(|error| causes(&error))?;
        if response.status() != StatusCode::OK {
            return Err(format!("the answer is {}, not 200 OK", response.status()));
        }
        let body = Limited::new(response.into_body(), BYTES_MAX).collect().await;
        let body = body.map_err(|error| format!("the answer cannot be read: {}", causes(error.as_ref())))?;
        String::from_utf8(body.to_bytes().to_vec()).map_err(|_| "the answer is not UTF-8".to_owned())
    }
}

impl KeySetSource for PublishedJwks {
    fn fetch(&self) -> BoxFuture<'_, Result<String, String>> {
        self.get().map_err(|error| format!("{}: {error}", self.url)).boxed()
    }
}

/// An error and what caused it: "client error (Connect)" alone does not name the fault.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |error: &&(dyn Error + 'static)| (**error).source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
