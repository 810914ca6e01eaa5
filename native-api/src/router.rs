//! The calls of the API, and the layers around them.

use axum::Router;
use axum::middleware::from_fn;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::extract::label_namespace;
use crate::handlers::{by_key, copy, health, list, objects, patch, presign, uploads, usage};
use crate::{NativeApi, openapi, problem};

/// Every call, with its documentation.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(objects::create, list::list))
        .routes(routes!(objects::get, objects::head, objects::delete, patch::patch))
        .routes(routes!(by_key::get, by_key::head, by_key::put, by_key::delete))
        .routes(routes!(copy::copy))
        .routes(routes!(uploads::create))
        .routes(routes!(uploads::get, uploads::abort))
        .routes(routes!(uploads::put_part))
        .routes(routes!(uploads::complete))
        .routes(routes!(presign::presign))
        .routes(routes!(usage::usage))
        .routes(routes!(health::health))
        .routes(routes!(health::ready))
        .routes(routes!(health::metrics))
        .routes(routes!(health::openapi))
}

/// The router over `api`.
pub(crate) fn build(api: NativeApi) -> Router {
    let (router, document) = routes().split_for_parts();
    // A tree of text and numbers always serialises.
    let openapi = serde_json::to_vec(&openapi::complete(document)).unwrap_or_default().into();
    router
        .method_not_allowed_fallback(problem::unknown_method)
        .fallback(problem::unknown_path)
        .layer(from_fn(label_namespace))
        .layer(from_fn(problem::one_host))
        .layer(from_fn(problem::finish))
        .with_state(App { api, openapi })
}
