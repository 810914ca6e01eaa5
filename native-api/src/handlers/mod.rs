//! Every call of the API: it reads the request, calls the store, and renders the result.

pub(crate) mod by_key;
pub(crate) mod copy;
pub(crate) mod delete;
pub(crate) mod health;
pub(crate) mod list;
pub(crate) mod lock;
pub(crate) mod objects;
pub(crate) mod patch;
pub(crate) mod presign;
pub(crate) mod rename;
pub(crate) mod tags;
pub(crate) mod uploads;
pub(crate) mod usage;

use axum::body::Body;
use axum::response::Response;
use http::{HeaderName, StatusCode};
use juststorage_core::application::objects::ObjectRef;
use juststorage_core::application::objects::delete::Deletion;
use juststorage_core::application::objects::get::Download;
use juststorage_core::application::objects::put::{EtagStyle, PutRequest};
use juststorage_core::application::ports::metadata::SpaceRef;
use juststorage_core::domain::address::Key;
use juststorage_core::domain::event::How;
use juststorage_core::domain::idempotency::IdempotencyKey;
use juststorage_core::domain::principal::Principal;

use crate::app::App;
use crate::extract::{Call, attributes, body, preconditions, read_options};
use crate::problem::Failure;
use crate::render;

/// Reads an object. The body streams; if it fails midway, the connection ends early, since its length was already
/// sent.
async fn get(app: &App, call: &Call, who: &Principal, object: &ObjectRef) -> Result<Response, Failure> {
    let options = read_options(&call.headers)?;
    let Download { head, body } = app.api.store.get(who, object, &options).await?;
    call.about(&head.object.address.namespace);
    Ok(render::head(&head).map(|_| Body::from_stream(body)))
}

/// As [`get`], without the body.
async fn head(app: &App, call: &Call, who: &Principal, object: &ObjectRef) -> Result<Response, Failure> {
    let options = read_options(&call.headers)?;
    let head = app.api.store.head(who, object, &options).await?;
    call.about(&head.object.address.namespace);
    Ok(render::head(&head))
}

/// Writes an object.
async fn put(
    app: &App,
    call: &Call,
    who: &Principal,
    place: SpaceRef,
    key: Option<Key>,
    bytes: Body,
) -> Result<Response, Failure> {
    let request = PutRequest {
        place,
        key,
        attributes: attributes(&call.headers)?,
        preconditions: preconditions(&call.headers)?,
        etag: EtagStyle::Content,
        checksum: None,
        how: How::Plain,
    };
    let body = body(call, bytes)?;
    let once = call.header("Idempotency-Key")?.map(IdempotencyKey::parse).transpose()?;
    let object = match &once {
        None => app.api.store.put(who, request, body).await?,
        Some(key) => app.api.store.put_once(who, request, key, body).await?,
    };
    Ok(render::created(object))
}

/// Deletes an object.
async fn delete(app: &App, call: &Call, who: &Principal, object: &ObjectRef) -> Result<Response, Failure> {
    let conditions = preconditions(&call.headers)?;
    let Deletion { object, marker_made } = app.api.store.delete(who, object, conditions).await?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    if let Some(object) = object {
        call.about(&object.address.namespace);
        if marker_made {
            let headers = response.headers_mut();
            render::put(headers, HeaderName::from_static("x-delete-marker"), "true");
            render::put(headers, HeaderName::from_static("x-object-id"), object.id.to_string());
        }
    }
    Ok(response)
}
