//! Objects by key: read and delete the latest version.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use juststorage_core::application::ports::metadata::SpaceRef;

use crate::app::App;
use crate::extract::{Call, KeyPath, Named};
use crate::openapi::{Bytes, Names, Replaces, TakesBytes};
use crate::problem::{Failure, ProblemBody};
use crate::render::ObjectBody;

/// Read an object by key
///
/// The path contains the key, percent-encoded where needed; it may contain `/`, `//` and `..`.
#[utoipa::path(
    get,
    path = "/v1/objects/by-key/{*address}",
    operation_id = "get_object_by_key",
    tag = "objects by key",
    responses(
        (status = 200, description = "The object's bytes", body = inline(Bytes), content_type = "application/octet-stream"),
        Names,
    ),
)]
pub(crate) async fn get(State(app): State<App>, call: Call, path: KeyPath) -> Result<Response, Failure> {
    let who = call.caller(&app.api, Named::InAddress(&path.space.tenant)).await?;
    call.about(&path.space.namespace);
    super::get(&app, &call, &who, &path.object()).await
}

/// Read an object's headers by key
///
/// Answers with the headers of a read, without a body.
#[utoipa::path(
    head,
    path = "/v1/objects/by-key/{*address}",
    operation_id = "head_object_by_key",
    tag = "objects by key",
    responses(
        (status = 200, description = "The object's headers"),
        Names,
    ),
)]
pub(crate) async fn head(State(app): State<App>, call: Call, path: KeyPath) -> Result<Response, Failure> {
    let who = call.caller(&app.api, Named::InAddress(&path.space.tenant)).await?;
    call.about(&path.space.namespace);
    super::head(&app, &call, &who, &path.object()).await
}

/// Write an object by key
///
/// Like `POST /v1/objects`, with the address in the path: for signed URLs, whose users send no headers.
#[utoipa::path(
    put,
    path = "/v1/objects/by-key/{*address}",
    operation_id = "put_object_by_key",
    tag = "objects by key",
    params(
        ("X-Storage-Class" = Option<String>, Header, description = "`hot` or `cold`; default: the space's class"),
        ("X-Content-SHA256" = Option<String>, Header, description = "64 hexadecimal digits; if the body has another SHA-256, nothing is stored"),
        ("If-Match" = Option<String>, Header, description = "Write only if the current object has one of these tags"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: write only if the key is free"),
    ),
    request_body(content = inline(Bytes), content_type = "application/octet-stream", description = "The object's bytes"),
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
    super::put(&app, &call, &who, SpaceRef::Space(path.space), Some(path.key), bytes).await
}

/// Delete an object by key
///
/// A missing object is 204 too, or 404 with `If-Match`. In a space with versioning, a delete marker is created
/// instead.
#[utoipa::path(
    delete,
    path = "/v1/objects/by-key/{*address}",
    operation_id = "delete_object_by_key",
    tag = "objects by key",
    params(("If-Match" = Option<String>, Header, description = "Delete only if the object has one of these tags")),
    responses(
        (status = 204, description = "The object is deleted", headers(
            ("X-Delete-Marker" = String, description = "`true` if a delete marker was created"),
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
