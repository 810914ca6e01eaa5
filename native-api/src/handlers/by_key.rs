//! Objects by key: read and delete the latest version.

use axum::extract::State;
use axum::response::Response;

use crate::extract::{Call, KeyPath, Named};
use crate::problem::{Failure, ProblemBody};
use crate::router::App;

/// Read an object by key
///
/// The key stands in the path as it is, percent-encoded where needed; it may hold `/`, `//` and `..`.
#[utoipa::path(
    get,
    path = "/v1/objects/by-key/{*address}",
    operation_id = "get_object_by_key",
    tag = "objects by key",
    responses(
        (status = 200, description = "The object's bytes", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 404, response = ProblemBody),
    ),
)]
pub(crate) async fn get(State(app): State<App>, call: Call, path: KeyPath) -> Result<Response, Failure> {
    let who = call.caller(&app.api.access, Named::InAddress(&path.space.tenant)).await?;
    call.about(&path.space.namespace);
    super::get(&app, &call, &who, &path.object()).await
}

/// Look at an object by key
///
/// The headers that reading it would answer, and no body.
#[utoipa::path(
    head,
    path = "/v1/objects/by-key/{*address}",
    operation_id = "head_object_by_key",
    tag = "objects by key",
    responses(
        (status = 200, description = "The object's headers"),
        (status = 404, description = "There is no such object"),
    ),
)]
pub(crate) async fn head(State(app): State<App>, call: Call, path: KeyPath) -> Result<Response, Failure> {
    let who = call.caller(&app.api.access, Named::InAddress(&path.space.tenant)).await?;
    call.about(&path.space.namespace);
    super::head(&app, &call, &who, &path.object()).await
}

/// Delete an object by key
///
/// Also answers 204 if there is none. Where versions are kept, a delete marker is made instead.
#[utoipa::path(
    delete,
    path = "/v1/objects/by-key/{*address}",
    operation_id = "delete_object_by_key",
    tag = "objects by key",
    params(("If-Match" = Option<String>, Header, description = "Only if it has one of these tags")),
    responses(
        (status = 204, description = "There is no such object any more", headers(
            ("X-Delete-Marker" = String, description = "`true` if a delete marker was made"),
            ("X-Object-Id" = String, description = "The delete marker's id"),
        )),
        (status = 412, response = ProblemBody),
    ),
)]
pub(crate) async fn delete(State(app): State<App>, call: Call, path: KeyPath) -> Result<Response, Failure> {
    let who = call.caller(&app.api.access, Named::InAddress(&path.space.tenant)).await?;
    super::delete(&app, &call, &who, &path.object()).await
}
