//! Signed URLs: created by a caller with the right, used by anyone who has the URL.

use std::time::Duration;

use crate::json::Json as JsonAnswer;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::HOST;
use juststorage_core::application::access::{PresignRequest, PresignTarget, PresignedCall};
use juststorage_core::application::error::Error;
use juststorage_core::application::objects::ObjectRef;
use juststorage_core::domain::bounds::UploadBounds;
use juststorage_core::domain::invalid::Invalid;
use juststorage_core::domain::object::ObjectId;
use juststorage_core::domain::timestamp::Timestamp;
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::extract::{Address, Call, Named, signed_query};
use crate::openapi::{Names, TakesJson};
use crate::problem::Failure;
use crate::render;

/// Characters that must be escaped in a path. `/` stays: a key may contain it.
const IN_PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Characters that must be escaped in a value of the query.
const IN_QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// One call on one object, and the lifetime of the URL.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PresignBody {
    /// `GET` (which allows `HEAD` too), `PUT` (by key only) or `DELETE`.
    #[schema(pattern = "^(GET|PUT|DELETE)$")]
    method: String,
    /// The service or collection; with `key`.
    namespace: Option<String>,
    /// The tenant; default: `X-Tenant`, or the only one of the credentials.
    #[serde(alias = "tenant_id")]
    tenant: Option<String>,
    /// The key: the URL opens the object that is current when it is used.
    key: Option<String>,
    /// Instead of these three, exactly this object.
    #[schema(format = Uuid)]
    id: Option<String>,
    /// Seconds, 1 to 604800 (7 days); default 3600. A URL created with a JSON web token ends with the token at the
    /// latest.
    #[schema(minimum = 1, maximum = 604_800)]
    expires_in: Option<u64>,
    /// With `PUT`: the content type that the object gets. A request with another one is refused.
    content_type: Option<String>,
    /// With `PUT`: most bytes of the body. A longer one is cut off, and nothing is stored.
    #[schema(minimum = 0, maximum = 5_368_709_120_u64)]
    size_max: Option<u64>,
    /// With `PUT`: write only if the key is free.
    #[serde(default)]
    if_none_match: bool,
}

/// A signed URL.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PresignedBody {
    /// Its method.
    method: &'static str,
    /// The URL, with the host name of this request. Everyone who has it can make the call, without any header.
    url: String,
    /// The URL without scheme and host, for a server that clients reach by another name.
    path: String,
    /// When it ends.
    #[schema(format = DateTime)]
    expires_at: String,
}

/// Sign a URL
///
/// For one call on one object, which then needs no header: a browser, a worker or a customer can make it
/// without a key. The caller must have the right itself. The URL ends when it expires, and at once (within a
/// second) when the key it was made with is revoked, expires or loses the right.
#[utoipa::path(
    post,
    path = "/v1/presign",
    operation_id = "presign",
    tag = "signed urls",
    request_body = PresignBody,
    responses(
        (status = 201, description = "Signed. Treat it as a secret", body = PresignedBody),
        Names,
        TakesJson,
    ),
)]
pub(crate) async fn presign(State(app): State<App>, call: Call, body: Body) -> Result<Response, Failure> {
    let proven = call.prove(&app.api).await?;
    let body: PresignBody = call.json(&app.api, &proven, body).await?;
    let signed_call = PresignedCall::of_method(&body.method)
        .filter(|signed| signed.as_str() == body.method)
        .ok_or_else(|| Invalid::new("method", "must be GET, PUT or DELETE"))?;
    let lasts = Duration::from_secs(body.expires_in.unwrap_or(3600));
    let (who, space, target) = match (&body.id, &body.namespace, &body.tenant, &body.key) {
        (None, Some(namespace), tenant, Some(key)) => {
            let tenant = tenant.as_deref();
            let Address { space, key } = Address::from_members(&call, &proven, namespace, tenant, Some(key))?;
            let key = key.ok_or_else(|| Invalid::new("key", "must be given"))?;
            let who = call.caller_of(&app.api, &proven, Named::InAddress(&space.tenant)).await?;
            (who, space, PresignTarget::Key(key))
        }
        (Some(id), None, None, None) if signed_call != PresignedCall::Put => {
            let id = ObjectId::parse(id)?;
            let who = call.caller_of(&app.api, &proven, Named::ById(Error::NoSuchObject)).await?;
            let space = app.api.store.space_of(&who, signed_call.action(), &ObjectRef::Id(id)).await?;
            (who, space, PresignTarget::Id(id))
        }
        _ => {
            let rule = "must be id alone, or namespace, tenant and key; PUT takes a key";
            return Err(Invalid::new("target", rule).into());
        }
    };
    let PresignBody { content_type, size_max, if_none_match, .. } = body;
    let bounds = UploadBounds { content_type, size_max, if_none_match };
    let request = PresignRequest { call: signed_call, space, target, bounds };
    let signed = app.api.access.presign(&who, &request, lasts)?;
    let query = signed_query(&request, &signed);
    let path = match &request.target {
        PresignTarget::Id(id) => format!("/v1/objects/{id}"),
        PresignTarget::Key(key) => format!(
            "/v1/objects/by-key/{}/{}/{}",
            request.space.namespace,
            request.space.tenant,
            utf8_percent_encode(key.as_str(), IN_PATH)
        ),
    };
    let query: Vec<_> = query
        .iter()
        .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, IN_QUERY)))
        .collect();
    let path = format!("{path}?{}", query.join("&"));
    let host = call.headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| call.uri.authority().map(http::uri::Authority::as_str)).unwrap_or("localhost");
    let scheme = if app.api.tls { "https" } else { "http" };
    let body = PresignedBody {
        method: signed_call.as_str(),
        url: format!("{scheme}://{host}{path}"),
        path,
        expires_at: render::rfc3339(Timestamp(signed.expires.saturating_mul(1000))),
    };
    Ok((StatusCode::CREATED, JsonAnswer(body)).into_response())
}
