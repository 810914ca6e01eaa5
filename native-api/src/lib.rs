//! The native REST API under `/v1`.
//!
//! A front translates and nothing else: it reads a request into a request of
//! [`Store`], calls it, and writes what came back as HTTP. No
//! rule of the store lives here, and nothing of its infrastructure is known here.
//!
//! - `extract` reads: addresses, headers, conditions, bodies, and who is asking.
//! - `handlers` call: one file for each kind of resource.
//! - `render` writes: headers and JSON.
//! - `problem` holds the one mapping of errors to answers, and the table of codes.
//! - `openapi` completes the document that is generated from the handlers.
//!
//! The API by example, with every error code, is in `docs/api.md`.

use std::sync::Arc;

use axum::Router;
use juststorage_core::application::access::Access;
use juststorage_core::application::store::Store;

mod extract;
mod handlers;
mod openapi;
pub mod problem;
mod render;
mod router;

/// What the native API stands on.
#[derive(Clone)]
pub struct NativeApi {
    /// The store.
    pub store: Store,
    /// Who may do what.
    pub access: Access,
    /// Whether clients reach it through TLS, which this process itself terminates.
    pub tls: bool,
    /// Renders every metric of the process in the text format of Prometheus.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

/// The whole API as one router: every call of `/v1`, and `/health`, `/ready` and `/metrics`.
///
/// Every answer that is an error is `application/problem+json`, unknown paths and methods included. Answers
/// about a namespace that exists carry it as
/// [`NamespaceLabel`](juststorage_core::application::metrics::NamespaceLabel) in their extensions, for the
/// layer that counts requests. A request id is taken from the request's `X-Request-Id` header, which a layer
/// around this router is expected to set.
pub fn router(api: NativeApi) -> Router {
    router::build(api)
}

/// The OpenAPI 3.1 document of [`router`], as it serves it under `/v1/openapi.json`.
pub fn openapi() -> utoipa::openapi::OpenApi {
    openapi::complete(router::routes().split_for_parts().1)
}
