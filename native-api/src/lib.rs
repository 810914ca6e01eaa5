//! The native REST API under `/v1`.
//!
//! A front only translates: it turns an HTTP request into a request of [`Store`], calls it, and writes the result as
//! HTTP. It contains no rule of the store and knows nothing of its infrastructure.
//!
//! - `extract` reads addresses, headers, conditions, bodies and the caller.
//! - `handlers` call the store: one file for each kind of resource.
//! - `render` writes headers and JSON.
//! - `problem` has the one mapping of errors to answers.
//! - `openapi` completes the document generated from the handlers.
//!
//! The API by example, with every error code, is in `docs/api.md`.

use std::sync::Arc;

use axum::Router;
use juststorage_core::application::access::Access;
use juststorage_core::application::store::Store;

mod app;
mod extract;
mod handlers;
mod openapi;
pub mod problem;
mod render;
mod router;

/// The parts that the native API needs.
#[derive(Clone)]
pub struct NativeApi {
    /// The store.
    pub store: Store,
    /// Authentication.
    pub access: Access,
    /// Whether this process terminates TLS for its clients.
    pub tls: bool,
    /// Renders every metric of the process in the text format of Prometheus.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

/// The whole API as one router: every call of `/v1`, and `/health`, `/ready` and `/metrics`.
///
/// Every error is `application/problem+json`, unknown paths and methods included. Answers about an existing namespace
/// carry it as [`NamespaceLabel`](juststorage_core::application::metrics::NamespaceLabel) in their extensions, for
/// the layer that counts requests. The request id comes from the header `X-Request-Id`, which a layer around this
/// router sets.
pub fn router(api: NativeApi) -> Router {
    router::build(api)
}

/// The OpenAPI 3.1 document of [`router`], as it serves it under `/v1/openapi.json`.
pub fn openapi() -> utoipa::openapi::OpenApi {
    openapi::complete(router::routes().split_for_parts().1)
}
