//! Objects by key: read and delete the latest version.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use juststorage_core::application::ports::metadata::Place;

use crate::extract::{Call, KeyPath, Named};
use crate::openapi::{Names, Replaces, TakesBytes};
use crate::problem::{Failure, ProblemBody};
use crate::render::ObjectBody;
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
        Names,
    ),
)]
pub(crate) async fn get(State(app): State<App>, call: Call, path: KeyPath) -> Result<Response, Failure> {
    let who = call.caller(&app.api, Named::InAddress(&path.space.tenant)).await?;
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
    let who = call.caller(&app.api, Named::InAddress(&path.space.tenant)).await?;
    call.about(&path.space.namespace);
    super::head(&app, &call, &who, &path.object()).await
}

/// Write an object by key
///
/// As `POST /v1/objects`, with the address in the path: for signed URLs, whose holder sends no header.
#[utoipa::path(
    put,
    path = "/v1/objects/by-key/{*address}",
    operation_id = "put_object_by_key",
    tag = "objects by key",
    params(
        ("X-Storage-Class" = Option<String>, Header, description = "`hot` or `cold`; the space's default otherwise"),
        ("X-Meta-*" = Option<String>, Header, description = "User metadata: one header for each name, 2048 bytes in all"),
        ("X-Content-SHA256" = Option<String>, Header, description = "64 hexadecimal digits that the body must hash to"),
        ("If-Match" = Option<String>, Header, description = "Only over a current object with one of these tags"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only if the key is free"),
    ),
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "The object's bytes"),
    responses(
        (status = 201, description = "Written", body = ObjectBody),
        Replaces,
        TakesBytes,
    ),
)]
pub(crate) async fn put(
    State(app): State<App>,
    call: Call,
    path: KeyPath,
    bytes: Body,
) -> Result<Response, Failure> {
    let who = call.caller(&app.api, Named::InAddress(&path.space.tenant)).await?;
    call.about(&path.space.namespace);
    super::put(&app, &call, &who, Place::Space(path.space), Some(path.key), bytes).await
}

/// Delete an object by key
///
/// Also answers 204 if there is none, unless `If-Match` asks for one: then 404. Where versions are kept, a delete marker is made instead.
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
        (status = 404, response = ProblemBody),
        (status = 412, response = ProblemBody),
    ),
)]
pub(crate) async fn delete(State(app): State<App>, call: Call, path: KeyPath) -> Result<Response, Failure> {
    let who = call.caller(&app.api, Named::InAddress(&path.space.tenant)).await?;
    super::delete(&app, &call, &who, &path.object()).await
}
