//! Moving an object to another key.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::HeaderName;
use juststorage_core::application::objects::ObjectRef;
use juststorage_core::application::objects::rename::{MoveRequest, Moved};
use juststorage_core::domain::invalid::Invalid;
use juststorage_core::domain::precondition::{EtagCondition, Preconditions};
use serde::Deserialize;
use utoipa::ToSchema;

use super::copy;
use crate::app::App;
use crate::extract::{Address, Call, Named, Proven, preconditions};
use crate::openapi::{Replaces, TakesJson};
use crate::problem::{Failure, ProblemBody};
use crate::render::{self, ObjectBody};

/// Source and destination of a move.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MoveBody {
    /// The object to move.
    source: MoveSource,
    /// Where it goes.
    destination: MoveDestination,
}

/// An object: by `id`, or by `namespace`, `tenant` and `key`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MoveSource {
    /// The object's id: of the latest version of its key, or of an object without one.
    #[schema(format = Uuid)]
    id: Option<String>,
    /// The service or collection.
    namespace: Option<String>,
    /// The tenant; default: `X-Tenant`, or the only one of the credentials.
    #[serde(alias = "tenant_id")]
    tenant: Option<String>,
    /// The key.
    key: Option<String>,
    /// Move only if the object has one of these tags, as in the header `If-Match`.
    if_match: Option<String>,
}

impl MoveSource {
    fn object(&self, call: &Call, proven: &Proven) -> Result<ObjectRef, Failure> {
        let Self { id, namespace, tenant, key, .. } = self;
        copy::source(call, proven, [id, namespace, tenant, key].map(Option::as_deref))
    }
}

/// The destination of a move.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MoveDestination {
    /// The service or collection.
    namespace: String,
    /// The tenant; default: `X-Tenant`, or the only one of the credentials.
    #[serde(alias = "tenant_id")]
    tenant: Option<String>,
    /// The key.
    key: String,
}

/// Move an object
///
/// In one transaction, and without moving a byte: every reader sees the object either under the old key or under the new
/// one. It gets a new id; where versions are kept, a delete marker hides the old key.
#[utoipa::path(
    post,
    path = "/v1/objects/move",
    operation_id = "move_object",
    tag = "objects",
    params(
        ("If-Match" = Option<String>, Header, description = "Move only if the destination has one of these tags"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: move only if the destination is free"),
    ),
    request_body = MoveBody,
    responses(
        (status = 201, description = "The object under its new key", body = ObjectBody),
        Replaces,
        TakesJson,
        (status = 507, response = ProblemBody),
    ),
)]
pub(crate) async fn rename(State(app): State<App>, call: Call, body: Body) -> Result<Response, Failure> {
    let proven = call.prove(&app.api).await?;
    let body: MoveBody = call.json(&app.api, &proven, body).await?;
    let to = &body.destination;
    let destination =
        Address::from_members(&call, &proven, &to.namespace, to.tenant.as_deref(), Some(&to.key))?;
    let who = call.caller_of(&app.api, &proven, Named::InAddress(&destination.space.tenant)).await?;
    let key = destination.key.ok_or_else(|| Invalid::new("destination", "must have a key"))?;
    let if_match = body.source.if_match.as_deref();
    let if_match = if_match.map(|tags| EtagCondition::parse("if_match", tags)).transpose()?;
    let request = MoveRequest {
        source: body.source.object(&call, &proven)?,
        source_preconditions: Preconditions { if_match, ..Preconditions::default() },
        space: destination.space,
        key,
        preconditions: preconditions(&call.headers)?,
    };
    let Moved { object, marker } = app.api.store.rename(&who, &request).await?;
    call.about(&object.address.namespace);
    let mut response = render::created(object);
    if let Some(marker) = marker {
        let name = HeaderName::from_static("x-source-delete-marker");
        render::put(response.headers_mut(), name, marker.to_string());
    }
    Ok(response)
}
