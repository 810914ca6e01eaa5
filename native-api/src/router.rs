//! The calls of the API, and the layers around them.

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admin;
use crate::app::App;
use crate::browsers;
use crate::extract::label_namespace;
use crate::handlers::{
    by_key, copy, delete, health, list, lock, objects, patch, presign, rename, tags, uploads, usage,
};
use crate::{NativeApi, Surface, console, openapi, problem};

/// Every call, with its documentation.
pub(crate) fn all() -> OpenApiRouter<App> {
    clients().merge(probes()).merge(operators())
}

/// The probes, on every address.
fn probes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(health::health)).routes(routes!(health::ready))
}

/// The calls of administration, and metrics: what `JUSTSTORAGE_ADMIN_ADDR` takes from the clients' address.
fn operators() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(health::metrics)).merge(admin::routes())
}

/// The calls that clients make.
fn clients() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(objects::create, list::list))
        .routes(routes!(objects::get, objects::head, objects::delete, patch::patch))
        .routes(routes!(lock::get, lock::set))
        .routes(routes!(by_key::get, by_key::head, by_key::put, by_key::delete))
        .routes(routes!(copy::copy))
        .routes(routes!(delete::delete))
        .routes(routes!(rename::rename))
        .routes(routes!(tags::get, tags::put, tags::delete))
        .routes(routes!(uploads::create, uploads::list))
        .routes(routes!(uploads::get, uploads::abort))
        .routes(routes!(uploads::put_part))
        .routes(routes!(uploads::complete))
        .routes(routes!(presign::presign))
        .routes(routes!(usage::usage))
        .routes(routes!(health::openapi))
        .routes(routes!(health::openapi_older))
}

/// Adds the console, which goes where the calls of administration are.
fn page(router: Router<App>) -> Router<App> {
    router
        .route("/", get(console::enter))
        .route("/console", get(console::enter))
        .route(console::PREFIX, get(console::index))
        .route("/console/{*path}", get(console::file))
}

/// The router over `api`. Its document names every call, wherever that is answered.
pub(crate) fn build(api: NativeApi, surface: Surface) -> Router {
    let openapi = openapi::documents(all().split_for_parts().1)
        .map(|document| crate::json::line(document.to_string().into_bytes()).into());
    // The layer must also be around the answer to a method that a path does not have: a preflight is one.
    let clients = clients().split_for_parts().0.method_not_allowed_fallback(problem::unknown_method);
    let clients = match api.origins.layer() {
        Some(layer) => clients.layer(layer),
        None => clients,
    };
    let router = clients.merge(probes().split_for_parts().0);
    let router = if surface.admin { page(router.merge(operators().split_for_parts().0)) } else { router };
    let router = router
        .method_not_allowed_fallback(problem::unknown_method)
        .fallback(problem::unknown_path)
        .layer(from_fn(label_namespace));
    let router = if surface.guarded {
        router.layer(from_fn_with_state(api.origins.clone(), browsers::keep_out))
    } else {
        router
    };
    router.layer(from_fn(problem::one_host)).layer(from_fn(problem::finish)).with_state(App {
        api: Arc::new(api),
        openapi,
        surface,
    })
}
