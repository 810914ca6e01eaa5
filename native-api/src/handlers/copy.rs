//! Copying an object.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use juststorage_core::application::objects::ObjectRef;
use juststorage_core::application::objects::copy::CopyRequest;
use juststorage_core::application::objects::get::ReadOptions;
use juststorage_core::domain::acl::CannedAcl;
use juststorage_core::domain::invalid::Invalid;
use juststorage_core::domain::object::{ObjectId, UserMetadata};
use juststorage_core::domain::object_lock::ObjectLock;
use juststorage_core::domain::precondition::Preconditions;
use juststorage_core::domain::storage_class::StorageClass;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::extract::{Address, Call, Named, Proven, preconditions};
use crate::openapi::{Replaces, TakesJson};
use crate::problem::{Failure, ProblemBody};
use crate::render::{self, ObjectBody};

/// Source and destination of a copy.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CopyBody {
    /// The object to copy.
    source: CopySource,
    /// The destination.
    destination: CopyDestination,
    /// `hot` or `cold`; default: the destination's class.
    #[schema(pattern = "^(hot|cold)$")]
    storage_class: Option<String>,
    /// The copy's metadata in place of the source's.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    metadata: Option<UserMetadata>,
    /// The copy's content type in place of the source's.
    content_type: Option<String>,
}

/// An object: by `id`, or by `namespace`, `tenant` and `key`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CopySource {
    /// The object's id.
    #[schema(format = Uuid)]
    id: Option<String>,
    /// The service or collection.
    namespace: Option<String>,
    /// The tenant; default: `X-Tenant`, or the only one of the credentials.
    #[serde(alias = "tenant_id")]
    tenant: Option<String>,
    /// The key: its latest version.
    key: Option<String>,
}

impl CopySource {
    fn object(&self, call: &Call, proven: &Proven) -> Result<ObjectRef, Failure> {
        let Self { id, namespace, tenant, key } = self;
        source(call, proven, [id, namespace, tenant, key].map(Option::as_deref))
    }
}

/// The source of a copy or a move, by its members: an id alone, or namespace, tenant (which may follow from the call) and
/// key.
pub(super) fn source(call: &Call, proven: &Proven, members: [Option<&str>; 4]) -> Result<ObjectRef, Failure> {
    match members {
        [Some(id), None, None, None] => Ok(ObjectRef::Id(ObjectId::parse(id)?)),
        [None, Some(namespace), tenant, Some(key)] => {
            let address = Address::from_members(call, proven, namespace, tenant, Some(key))?;
            let place = address.place();
            let key = address.key.ok_or_else(|| Invalid::new("source", "must have a key"))?;
            Ok(ObjectRef::latest(place, key))
        }
        _ => Err(Invalid::new("source", "must be an id alone, or namespace, tenant and key").into()),
    }
}

/// The destination of a copy.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CopyDestination {
    /// The service or collection.
    namespace: String,
    /// The tenant; default: `X-Tenant`, or the only one of the credentials.
    #[serde(alias = "tenant_id")]
    tenant: Option<String>,
    /// The key; without it the copy is addressed by id only.
    key: Option<String>,
}

/// Copy an object
///
/// Inside one dedup domain (by default one tenant) no byte moves, and the cost does not depend on the size.
#[utoipa::path(
    post,
    path = "/v1/objects/copy",
    operation_id = "copy_object",
    tag = "objects",
    params(
        ("If-Match" = Option<String>, Header, description = "Write only if the destination has one of these tags"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: write only if the destination is free"),
    ),
    request_body = CopyBody,
    responses(
        (status = 201, description = "The copy", body = ObjectBody),
        Replaces,
        TakesJson,
        (status = 507, response = ProblemBody),
    ),
)]
pub(crate) async fn copy(State(app): State<App>, call: Call, body: Body) -> Result<Response, Failure> {
    let proven = call.prove(&app.api).await?;
    let body: CopyBody = call.json(&app.api, &proven, body).await?;
    let to = &body.destination;
    let (tenant, key) = (to.tenant.as_deref(), to.key.as_deref());
    let destination = Address::from_members(&call, &proven, &to.namespace, tenant, key)?;
    let who = call.caller_of(&app.api, &proven, Named::InAddress(&destination.space.tenant)).await?;
    let mut source = body.source.object(&call, &proven)?;
    let class = body.storage_class.as_deref().map(StorageClass::parse).transpose()?;
    let replace = if body.metadata.is_some() || body.content_type.is_some() {
        let current = app.api.store.head(&who, &source, &ReadOptions::default()).await?.object;
        // The attributes that are kept and the bytes are of one version of the source.
        source = ObjectRef::Id(current.id);
        let mut headers = current.headers;
        headers.content_type = body.content_type.or(headers.content_type);
        Some((headers, body.metadata.unwrap_or(current.metadata)))
    } else {
        None
    };
    let request = CopyRequest {
        source,
        source_preconditions: Preconditions::default(),
        place: destination.place(),
        key: destination.key,
        replace,
        replace_tags: None,
        lock: ObjectLock::default(),
        class_name: None,
        acl: CannedAcl::Private,
        class,
        preconditions: preconditions(&call.headers)?,
        checksum: None,
    };
    let (_, copy) = app.api.store.copy(&who, request).await?;
    call.about(&copy.address.namespace);
    Ok(render::created(copy))
}
