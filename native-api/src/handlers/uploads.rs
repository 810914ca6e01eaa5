//! Resumable uploads in parts, with the same code as S3 multipart uploads.

use crate::json::Json as JsonAnswer;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header::{ETAG, LOCATION};
use http::{HeaderMap, StatusCode};
use juststorage_core::application::error::Error;
use juststorage_core::application::objects::list::{Cursor, PAGE_MAX};
use juststorage_core::application::objects::put::EtagStyle;
use juststorage_core::application::uploads::{Completion, ListUploadsRequest, UploadRef, UploadRequest};
use juststorage_core::domain::etag::Etag;
use juststorage_core::domain::invalid::Invalid;
use juststorage_core::domain::multipart::{PartClaim, PartNumber, UploadId};
use juststorage_core::domain::object::{Attributes, Headers, UserMetadata};
use juststorage_core::domain::principal::Principal;
use juststorage_core::domain::storage_class::StorageClass;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::extract::{
    Address, Call, JSON_BYTES_MAX, LIST_BYTES_MAX, Named, Params, PartPath, Proven, UploadPath, attributes,
    body, page_limit, preconditions,
};
use crate::openapi::{Bytes, Names, Replaces, TakesBytes, TakesJson};
use crate::problem::{Failure, ProblemBody};
use crate::render::{
    self, ListUploadsBody, ListedUploadBody, ObjectBody, PartBody, UploadBody, UploadPartsBody,
};

/// Most uploads of one page: the parts of each are added up.
const LISTED_MAX: u32 = 100;

/// The object of an upload: instead of headers, for keys that no header can hold.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateUploadBody {
    /// The service or collection.
    namespace: String,
    /// The tenant; default: `X-Tenant`, or the only one of the credentials.
    #[serde(alias = "tenant_id")]
    tenant: Option<String>,
    /// The key; without it the object is addressed by id only.
    key: Option<String>,
    /// `hot` or `cold`; default: the space's class.
    #[schema(pattern = "^(hot|cold)$")]
    storage_class: Option<String>,
    /// The object's content type.
    content_type: Option<String>,
    /// The object's metadata.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    metadata: UserMetadata,
}

impl CreateUploadBody {
    fn read(self, call: &Call, proven: &Proven) -> Result<(Address, Attributes), Failure> {
        let (tenant, key) = (self.tenant.as_deref(), self.key.as_deref());
        let address = Address::from_members(call, proven, &self.namespace, tenant, key)?;
        let class = self.storage_class.as_deref().map(StorageClass::parse).transpose()?;
        let headers = Headers { content_type: self.content_type, ..Headers::default() };
        let attributes = Attributes { headers, metadata: self.metadata, class, ..Attributes::default() };
        Ok((address, attributes))
    }
}

fn of(id: UploadId) -> UploadRef {
    UploadRef { id, at: None }
}

async fn caller(app: &App, call: &Call) -> Result<Principal, Failure> {
    call.caller(&app.api, Named::ById(Error::NoSuchUpload)).await
}

/// Begin an upload
///
/// Describe the object either with the headers of `POST /v1/objects` and no body, or in JSON.
#[utoipa::path(
    post,
    path = "/v1/uploads",
    operation_id = "create_upload",
    tag = "uploads",
    params(
        ("X-Namespace" = Option<String>, Header, description = "The service or collection; required unless in the body"),
        ("X-Tenant" = Option<String>, Header, description = "The tenant; default: the one in the body, or the only one of the credentials"),
        ("X-Key" = Option<String>, Header, description = "The key, verbatim"),
        ("X-Storage-Class" = Option<String>, Header, description = "`hot` or `cold`"),
    ),
    request_body(content = Option<CreateUploadBody>, description = "Instead of the headers"),
    responses(
        (status = 201, description = "Begun", body = UploadBody, headers(
            ("Location" = String, description = "The upload's path"),
        )),
        TakesJson,
    ),
)]
pub(crate) async fn create(State(app): State<App>, call: Call, body: Body) -> Result<Response, Failure> {
    let proven = call.prove(&app.api).await?;
    let body: Option<CreateUploadBody> = call.json_if_any(&app.api, &proven, body, JSON_BYTES_MAX).await?;
    let (address, attributes) = match body {
        Some(body) => body.read(&call, &proven)?,
        None => (Address::from_headers(&call, &proven)?, attributes(&call.headers)?),
    };
    let who = call.caller_of(&app.api, &proven, Named::InAddress(&address.space.tenant)).await?;
    let place = address.place();
    let request = UploadRequest { place, key: address.key, attributes, checksum: None };
    let upload = app.api.store.create_upload(&who, request).await?;
    call.about(&upload.space.address.namespace);
    let mut headers = HeaderMap::new();
    render::put(&mut headers, LOCATION, format!("/v1/uploads/{}", upload.id.0));
    Ok((StatusCode::CREATED, headers, JsonAnswer(UploadBody::of(upload))).into_response())
}

/// The uploads to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListUploadsParams {
    /// The service or collection.
    namespace: String,
    /// The tenant; default: `X-Tenant`, or the only one of the credentials.
    tenant: Option<String>,
    /// Only uploads of keys with this prefix.
    #[serde(default)]
    prefix: String,
    /// Most uploads: default and maximum 100.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// `next_cursor` of the previous page.
    cursor: Option<String>,
}

/// List uploads
///
/// Those under way in a space, with the bytes that have arrived: to find what to resume or to abort.
#[utoipa::path(
    get,
    path = "/v1/uploads",
    operation_id = "list_uploads",
    tag = "uploads",
    params(ListUploadsParams),
    responses((status = 200, description = "A page", body = ListUploadsBody)),
)]
pub(crate) async fn list(
    State(app): State<App>,
    call: Call,
    Params(params): Params<ListUploadsParams>,
) -> Result<JsonAnswer<ListUploadsBody>, Failure> {
    let proven = call.prove(&app.api).await?;
    let address = Address::from_members(&call, &proven, &params.namespace, params.tenant.as_deref(), None)?;
    let who = call.caller_of(&app.api, &proven, Named::InAddress(&address.space.tenant)).await?;
    let request = ListUploadsRequest {
        place: address.place(),
        prefix: params.prefix,
        delimiter: None,
        after: params.cursor.as_deref().map(Cursor::decode).transpose()?,
        limit: page_limit(params.limit, LISTED_MAX, LISTED_MAX)?,
    };
    let (page, bytes) = app.api.store.list_uploads_with_bytes(&who, &request).await?;
    if let Some(space) = &page.space {
        call.about(&space.address.namespace);
    }
    let now = app.api.admin.now();
    let uploads = page.uploads.into_iter().map(|upload| {
        let size = bytes.get(&upload.id).copied().unwrap_or_default();
        ListedUploadBody::of(upload, size, now)
    });
    let next_cursor = page.next.as_ref().map(Cursor::encode);
    Ok(JsonAnswer(ListUploadsBody { uploads: uploads.collect(), next_cursor }))
}

/// Send a part
///
/// In any order and at the same time as others; a part with the same number is replaced. Every part except the last
/// has at least 5 MiB, none more than 5 GiB.
#[utoipa::path(
    put,
    path = "/v1/uploads/{id}/parts/{number}",
    operation_id = "put_part",
    tag = "uploads",
    params(
        ("id" = String, Path, description = "The upload's id", format = Uuid),
        ("number" = u16, Path, description = "The part's position, from 1 to 10,000", minimum = 1, maximum = 10000),
        ("X-Content-SHA256" = Option<String>, Header, description = "64 hexadecimal digits; if the part has another SHA-256, it is not stored"),
    ),
    request_body(content = inline(Bytes), content_type = "application/octet-stream", description = "The part's bytes"),
    responses(
        (status = 200, description = "Durable", body = PartBody, headers(("ETag" = String, description = "The part's tag"))),
        Names,
        (status = 409, response = ProblemBody),
        TakesBytes,
    ),
)]
pub(crate) async fn put_part(
    State(app): State<App>,
    call: Call,
    id: UploadPath,
    number: PartPath,
    bytes: Body,
) -> Result<Response, Failure> {
    let who = caller(&app, &call).await?;
    let body = body(&call, bytes)?;
    let part = app.api.store.put_part(&who, &of(id.0), number.0, EtagStyle::Content, None, body).await?;
    let mut headers = HeaderMap::new();
    render::put(&mut headers, ETAG, part.etag.to_string());
    Ok((headers, JsonAnswer(PartBody::of(&part))).into_response())
}

/// The page of an upload's parts.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PartsParams {
    /// Most parts: default and maximum 1000.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next_cursor` of the previous page.
    cursor: Option<String>,
}

/// Read an upload
///
/// With its stored parts, so that a client can send the missing ones.
#[utoipa::path(
    get,
    path = "/v1/uploads/{id}",
    operation_id = "get_upload",
    tag = "uploads",
    params(("id" = String, Path, description = "The upload's id", format = Uuid), PartsParams),
    responses(
        (status = 200, description = "The upload and a page of its parts", body = UploadPartsBody),
        Names,
    ),
)]
pub(crate) async fn get(
    State(app): State<App>,
    call: Call,
    id: UploadPath,
    Params(params): Params<PartsParams>,
) -> Result<JsonAnswer<UploadPartsBody>, Failure> {
    let who = caller(&app, &call).await?;
    let after = match &params.cursor {
        None => None,
        Some(cursor) => {
            let number = cursor.parse().ok().and_then(|number| PartNumber::new(number).ok());
            Some(number.ok_or_else(|| Invalid::new("cursor", "must be a cursor that a listing returned"))?)
        }
    };
    let limit = page_limit(params.limit, PAGE_MAX, PAGE_MAX)?;
    let page = app.api.store.list_parts(&who, &of(id.0), after, limit).await?;
    call.about(&page.upload.space.address.namespace);
    let last = page.parts.last().map(|part| part.number.to_string());
    Ok(JsonAnswer(UploadPartsBody {
        upload: UploadBody::of(page.upload),
        parts: page.parts.iter().map(PartBody::of).collect(),
        next_cursor: last.filter(|_| page.more),
    }))
}

/// The parts of the object.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CompleteBody {
    /// Ascending by number.
    parts: Option<Vec<PartClaimBody>>,
}

/// A part, by its number.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PartClaimBody {
    /// From 1 to 10,000.
    #[schema(minimum = 1, maximum = 10000)]
    part_number: i64,
    /// The part's tag as it was answered, for a check.
    etag: Option<String>,
}

impl PartClaimBody {
    fn read(self) -> Result<PartClaim, Invalid> {
        let etag = self.etag.as_deref().map(Etag::parse).transpose()?;
        Ok(PartClaim { number: PartNumber::new(self.part_number)?, etag, checksum: None })
    }
}

/// Complete an upload
///
/// Creates an object from the named parts, or from all stored ones. No byte moves. If the answer was lost, repeat it:
/// the same request gets the same answer, another one is refused.
#[utoipa::path(
    post,
    path = "/v1/uploads/{id}/complete",
    operation_id = "complete_upload",
    tag = "uploads",
    params(
        ("id" = String, Path, description = "The upload's id", format = Uuid),
        ("If-Match" = Option<String>, Header, description = "Complete only if the current object has one of these tags"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: complete only if the key is free"),
    ),
    request_body(content = Option<CompleteBody>, description = "The parts; default: all stored ones"),
    responses(
        (status = 201, description = "The object", body = ObjectBody),
        Replaces,
        TakesJson,
    ),
)]
pub(crate) async fn complete(
    State(app): State<App>,
    call: Call,
    id: UploadPath,
    body: Body,
) -> Result<Response, Failure> {
    let proven = call.prove(&app.api).await?;
    let who = call.caller_of(&app.api, &proven, Named::ById(Error::NoSuchUpload)).await?;
    let body: Option<CompleteBody> = call.json_if_any(&app.api, &proven, body, LIST_BYTES_MAX).await?;
    let reference = of(id.0);
    let parts = body.and_then(|body| body.parts);
    let claims = parts.map(|parts| parts.into_iter().map(PartClaimBody::read).collect::<Result<_, _>>());
    let completion = Completion {
        claims: claims.transpose()?,
        preconditions: preconditions(&call.headers)?,
        ..Completion::default()
    };
    let object = app.api.store.complete_upload(&who, &reference, completion).await?;
    call.about(&object.address.namespace);
    Ok(render::created(object))
}

/// Abort an upload
///
/// The space of its parts is reclaimed later.
#[utoipa::path(
    delete,
    path = "/v1/uploads/{id}",
    operation_id = "abort_upload",
    tag = "uploads",
    params(("id" = String, Path, description = "The upload's id", format = Uuid)),
    responses((status = 204, description = "Aborted"), Names),
)]
pub(crate) async fn abort(State(app): State<App>, call: Call, id: UploadPath) -> Result<StatusCode, Failure> {
    let who = caller(&app, &call).await?;
    app.api.store.abort_upload(&who, &of(id.0)).await?;
    Ok(StatusCode::NO_CONTENT)
}
