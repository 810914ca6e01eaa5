//! The native REST API under `/v1`.
//!
//! A front only translates: it turns an HTTP request into a request of [`Store`], calls it, and writes the result as
//! HTTP. It contains no rule of the store and knows nothing of its infrastructure.
//!
//! - `extract` reads addresses, headers, conditions, bodies and the caller.
//! - `handlers` call the store: one file for each kind of resource.
//! - `admin` has the calls of administration, one file for each concern.
//! - `browsers` keeps pages of other origins out where callers need no credential.
//! - `cors` lets pages of the origins in that the operator names.
//! - `console` serves the page under `/console/`.
//! - `render` writes headers and JSON.
//! - `problem` has the one mapping of errors to answers.
//! - `openapi` completes the document generated from the handlers.
//!
//! The API by example, with every error code, is in `docs/api.md`.

use std::sync::Arc;

use axum::Router;
use juststorage_core::application::access::Access;
use juststorage_core::application::admin::Admin;
use juststorage_core::application::store::Store;

mod admin;
mod app;
mod browsers;
mod console;
mod cors;
mod extract;
mod handlers;
mod json;
mod openapi;
pub mod problem;
mod render;
mod router;

pub use admin::spaces::{Unset, space_change, space_document, space_removal};
pub use admin::upstreams::clients::clients_document;
pub use admin::upstreams::report::report_page;
pub use admin::upstreams::{upstream_change, upstream_document};
pub use cors::Origins;

/// The parts that the native API needs.
#[derive(Clone)]
pub struct NativeApi {
    /// The store.
    pub store: Store,
    /// Authentication.
    pub access: Access,
    /// Administration.
    pub admin: Admin,
    /// Version and commit of this program.
    pub build: Build,
    /// Whether this process terminates TLS for its clients.
    pub tls: bool,
    /// Origins whose pages may make the calls of clients.
    pub origins: Origins,
    /// Where clients reach the S3 front, if this process has one.
    pub s3: Option<S3Endpoint>,
    /// Renders every metric of the process in the text format of Prometheus.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

impl NativeApi {
    /// Over a store and its credentials alone: administration tells of no workers, and there are no metrics.
    pub fn new(store: Store, access: Access) -> Self {
        let admin = Admin::new(store.clone(), access.clone());
        let build = Build { version: env!("CARGO_PKG_VERSION"), commit: None, date: None };
        Self {
            store,
            access,
            admin,
            build,
            tls: false,
            s3: None,
            origins: Origins::None,
            metrics: Arc::new(String::new),
        }
    }
}

/// Where clients reach the S3 front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Endpoint {
    /// Its URL; `None` where it listens on every address and no setting names it: then it is the host by which a client
    /// reaches the native API, at the port.
    pub url: Option<String>,
    /// The port that it listens on.
    pub port: u16,
    /// Whether it speaks TLS.
    pub tls: bool,
    /// The region of signatures.
    pub region: String,
}

/// The source that a program is built from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// Its version.
    pub version: &'static str,
    /// The commit, if the build knew it.
    pub commit: Option<&'static str>,
    /// The commit's date, if the build knew it.
    pub date: Option<String>,
}

/// Which calls an address has, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Surface {
    /// Whether it has `/metrics` and the calls of administration.
    pub admin: bool,
    /// Whether `/metrics` asks for no credential: who reaches the address may read them.
    pub open_metrics: bool,
    /// Whether pages of other origins are kept out, except those of [`NativeApi::origins`]: the address is a loopback one,
    /// and callers need no credential.
    pub guarded: bool,
}

impl Surface {
    /// Every call, metrics for callers that may read them, and no guard.
    pub const WHOLE: Self = Self { admin: true, open_metrics: false, guarded: false };
}

/// The API as one router: every call of `/v1`, and `/health`, `/ready` and `/metrics`, as far as `surface` says.
///
/// Every error is `application/problem+json`, unknown paths and methods included. Answers about an existing namespace
/// carry it as [`NamespaceLabel`](juststorage_core::application::metrics::NamespaceLabel) in their extensions, for
/// the layer that counts requests. The request id comes from the header `X-Request-Id`, which a layer around this
/// router sets.
pub fn router(api: NativeApi, surface: Surface) -> Router {
    router::build(api, surface)
}

/// The OpenAPI documents of [`router`]: 3.1, as it serves it under `/v1/openapi.json`, and the same as 3.0.3, under
/// `/v1/openapi-3.0.json`.
pub fn openapi() -> [serde_json::Value; 2] {
    openapi::documents(router::all().split_for_parts().1)
}
