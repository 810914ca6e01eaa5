//! Objects: write, and read or delete by id.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use juststorage_core::application::error::Error;
use juststorage_core::application::objects::ObjectRef;

use crate::app::App;
use crate::extract::{Address, Call, IdPath, Named};
use crate::openapi::{Bytes, Names, Replaces, TakesBytes};
use crate::problem::{Failure, ProblemBody};
use crate::render::ObjectBody;

/// Write an object
///
/// The body streams and may have up to 5 GiB; for larger objects use an upload. Once this call answers, the object is
/// durable and every reader sees it.
#[utoipa::path(
    post,
    path = "/v1/objects",
    operation_id = "create_object",
    tag = "objects",
    params(
        ("X-Namespace" = String, Header, description = "The service or collection"),
        ("X-Tenant" = Option<String>, Header, description = "The tenant; default: the only one of the credentials"),
        ("X-Key" = Option<String>, Header, description = "The key, verbatim: 1 to 1024 bytes of UTF-8. Without it the object is addressed by id only"),
        ("X-Storage-Class" = Option<String>, Header, description = "`hot` or `cold`; default: the space's class"),
        ("X-Content-SHA256" = Option<String>, Header, description = "64 hexadecimal digits; if the body has another SHA-256, nothing is stored"),
        ("Content-Encoding" = Option<String>, Header, description = "Stored and sent back, as are Content-Type, Content-Language, Content-Disposition, Cache-Control and Expires"),
        ("Idempotency-Key" = Option<String>, Header, description = "Of an object without key: a repetition of the same request with the same key gets the same object, for 24 hours"),
        ("If-Match" = Option<String>, Header, description = "Write only if the current object has one of these tags"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: write only if the key is free"),
    ),
    request_body(content = inline(Bytes), content_type = "application/octet-stream", description = "The object's bytes"),
    responses(
        (status = 201, description = "Written", body = ObjectBody),
        Replaces,
        TakesBytes,
        (status = 422, response = ProblemBody),
    ),
)]
pub(crate) async fn create(State(app): State<App>, call: Call, bytes: Body) -> Result<Response, Failure> {
    let proven = call.prove(&app.api).await?;
    let address = Address::from_headers(&call, &proven)?;
    let who = call.caller_of(&app.api, &proven, Named::InAddress(&address.space.tenant)).await?;
    call.about(&address.space.namespace);
    super::put(&app, &call, &who, address.place(), address.key, bytes).await
}

/// Read an object
///
/// With `Range`, reads a part of it. Every byte is verified before it is sent. If damage is found midway, the
/// connection ends before the declared length.
#[utoipa::path(
    get,
    path = "/v1/objects/{id}",
    operation_id = "get_object",
    tag = "objects",
    params(("id" = String, Path, description = "The object's id", format = Uuid)),
    responses(
        (status = 200, description = "The object's bytes", body = inline(Bytes), content_type = "application/octet-stream"),
        Names,
    ),
)]
pub(crate) async fn get(State(app): State<App>, call: Call, id: IdPath) -> Result<Response, Failure> {
    let who = call.caller(&app.api, Named::ById(Error::NoSuchObject)).await?;
    super::get(&app, &call, &who, &ObjectRef::Id(id.0)).await
}

/// Read an object's headers
///
/// Answers with the headers of a read, without a body.
#[utoipa::path(
    head,
    path = "/v1/objects/{id}",
    operation_id = "head_object",
    tag = "objects",
    params(("id" = String, Path, description = "The object's id", format = Uuid)),
    responses(
        (status = 200, description = "The object's headers"),
        Names,
    ),
)]
pub(crate) async fn head(State(app): State<App>, call: Call, id: IdPath) -> Result<Response, Failure> {
    let who = call.caller(&app.api, Named::ById(Error::NoSuchObject)).await?;
    super::head(&app, &call, &who, &ObjectRef::Id(id.0)).await
}

/// Delete an object
///
/// Deletes exactly this version, without a delete marker. Its space is reclaimed later.
#[utoipa::path(
    delete,
    path = "/v1/objects/{id}",
    operation_id = "delete_object",
    tag = "objects",
    params(
        ("id" = String, Path, description = "The object's id", format = Uuid),
        ("If-Match" = Option<String>, Header, description = "Delete only if the object has one of these tags"),
    ),
    responses(
        (status = 204, description = "Deleted"),
        Names,
        (status = 412, response = ProblemBody),
    ),
)]
pub(crate) async fn delete(State(app): State<App>, call: Call, id: IdPath) -> Result<Response, Failure> {
    let who = call.caller(&app.api, Named::ById(Error::NoSuchObject)).await?;
    super::delete(&app, &call, &who, &ObjectRef::Id(id.0)).await
}
