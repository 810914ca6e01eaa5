//! Errors as clients see them: RFC 9457 problem details, each with a stable `code`.
//!
//! `docs/api.md` lists the codes.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, HOST, RETRY_AFTER, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue, StatusCode};
use juststorage_core::application::error::Error;
use juststorage_core::domain::invalid::Invalid;
use juststorage_core::domain::multipart::CompleteRefusal;
use juststorage_core::domain::object::Object;
use serde::Serialize;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};
use utoipa::{ToResponse, ToSchema};

use crate::json::line;
use crate::render;

/// The media type of every error.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Every code, as `docs/api.md` explains them. With each field that a rule is about there is also `invalid_<field>`.
pub const CODES: &[&str] = &[
    "missing_header",
    "invalid_query",
    "invalid_json",
    "tenant_mismatch",
    "digest_mismatch",
    "body_too_short",
    "body_unreadable",
    "no_parts",
    "invalid_part",
    "invalid_part_order",
    "part_too_small",
    "too_many_pieces",
    "size_mismatch",
    "checksum_mismatch",
    "unauthenticated",
    "forbidden",
    "origin_not_allowed",
    "simple_request",
    "denied_by_policy",
    "policy_blocked",
    "object_locked",
    "object_not_found",
    "object_deleted",
    "version_not_found",
    "upload_not_found",
    "bucket_not_found",
    "credential_not_found",
    "space_not_found",
    "worker_not_found",
    "item_not_found",
    "backup_not_found",
    "segment_not_found",
    "upstream_not_found",
    "path_not_found",
    "method_not_allowed",
    "body_stalled",
    "conflict",
    "invalid_target",
    "out_of_bounds",
    "outside_prefixes",
    "request_in_progress",
    "idempotency_key_reused",
    "other_dedup_domain",
    "object_lock_not_enabled",
    "wrong_versioning",
    "bucket_exists",
    "bucket_not_empty",
    "precondition_failed",
    "body_too_large",
    "object_too_large",
    "unsupported_media_type",
    "range_not_satisfiable",
    "part_not_found",
    "headers_too_large",
    "host_not_allowed",
    "rate_limited",
    "quota_exceeded",
    "data_corrupt",
    "data_unreadable",
    "internal",
    "busy",
    "outbox_full",
    "target_not_found",
    "target_in_use",
    "unavailable",
    "storage_full",
    "upstream_unavailable",
    "upstream_late",
    "upstream_failed",
];

/// Whether the documents name a code.
pub fn is_known(code: &str) -> bool {
    CODES.contains(&code) || code.starts_with("invalid_")
}

/// `Retry-After` for a used-up quota, in seconds: something may be deleted by then.
const QUOTA_RETRY_SECONDS: u64 = 60;

/// An error's body.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// `urn:juststorage:problem:<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The HTTP status in words.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The error, for people.
    pub detail: String,
    /// The error, for programs: stable. New codes may come, so a client must take one that it does not know.
    #[schema(value_type = String, pattern = "^[a-z0-9_]+$", example = "object_not_found")]
    pub code: Cow<'static, str>,
    /// The wrong header, parameter or field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<&'static str>,
    /// The request's id, as in the logs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl<'r> ToResponse<'r> for ProblemBody {
    fn response() -> (&'r str, RefOr<utoipa::openapi::Response>) {
        let schema = Ref::from_schema_name(Self::name());
        let content = ContentBuilder::new().schema(Some(schema)).build();
        let response = ResponseBuilder::new().description("A problem, by its `code`");
        ("Problem", response.content(PROBLEM_JSON, content).build().into())
    }
}

/// An error on its way to the client. It becomes a body in [`finish`], which knows the request.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: Cow<'static, str>,
    detail: String,
    field: Option<&'static str>,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem without a field.
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code: Cow::Borrowed(code), detail: detail.into(), field: None, header: None }
    }

    /// A required header is absent.
    pub(crate) fn missing_header(name: &'static str, why: &str) -> Self {
        let detail = format!("the header {name} is required{why}");
        Self::new(StatusCode::BAD_REQUEST, "missing_header", detail).about(name)
    }

    /// `X-Tenant` contradicts the address.
    pub(crate) fn tenant_mismatch() -> Self {
        let detail = "X-Tenant and the address name different tenants";
        Self::new(StatusCode::BAD_REQUEST, "tenant_mismatch", detail).about("X-Tenant")
    }

    /// Its code and its text, for an answer about one of many.
    pub(crate) fn into_words(self) -> (Cow<'static, str>, String) {
        (self.code, self.detail)
    }

    fn about(self, field: &'static str) -> Self {
        Self { field: Some(field), ..self }
    }

    fn with(self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        Self { header: Some((name, value.into())), ..self }
    }

    fn invalid(invalid: &Invalid) -> Self {
        let name = invalid.field.to_ascii_lowercase().replace('-', "_");
        let name = name.strip_prefix("x_").unwrap_or(&name);
        let code = Cow::Owned(format!("invalid_{name}"));
        Self { code, ..Self::new(StatusCode::BAD_REQUEST, "", invalid.to_string()) }.about(invalid.field)
    }

    /// The one mapping of the core's errors.
    pub(crate) fn of(error: &Error) -> Self {
        let (status, code) = match error {
            Error::Invalid(invalid) => return Self::invalid(invalid),
            Error::DigestMismatch(what) => {
                return Self::new(StatusCode::BAD_REQUEST, "digest_mismatch", error.to_string()).about(what);
            }
            Error::Unauthenticated(_) => {
                return Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", error.to_string())
                    .with(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Error::Unsatisfiable(outside) => {
                let problem =
                    Self::new(StatusCode::RANGE_NOT_SATISFIABLE, "range_not_satisfiable", error.to_string());
                return match HeaderValue::try_from(format!("bytes */{}", outside.size)) {
                    Ok(size) => problem.with(CONTENT_RANGE, size),
                    Err(_) => problem,
                };
            }
            Error::QuotaExceeded(_) => {
                return Self::new(StatusCode::TOO_MANY_REQUESTS, "quota_exceeded", error.to_string())
                    .with(RETRY_AFTER, QUOTA_RETRY_SECONDS);
            }
            Error::Limited { .. } => (StatusCode::TOO_MANY_REQUESTS, "rate_limited"),
            Error::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            Error::OutboxFull => (StatusCode::SERVICE_UNAVAILABLE, "outbox_full"),
            Error::NoSuchTarget => (StatusCode::NOT_FOUND, "target_not_found"),
            Error::TargetInUse(_) => (StatusCode::CONFLICT, "target_in_use"),
            Error::Unavailable | Error::TierAbsent { .. } => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Error::BodyTooShort { .. } => (StatusCode::BAD_REQUEST, "body_too_short"),
            Error::BodyTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
            Error::Body(_) => (StatusCode::BAD_REQUEST, "body_unreadable"),
            Error::BodyStalled => (StatusCode::REQUEST_TIMEOUT, "body_stalled"),
            Error::NoSuchObject => (StatusCode::NOT_FOUND, "object_not_found"),
            Error::DeleteMarker { .. } => (StatusCode::NOT_FOUND, "object_deleted"),
            Error::NoSuchVersion => (StatusCode::NOT_FOUND, "version_not_found"),
            Error::NoSuchPart => (StatusCode::RANGE_NOT_SATISFIABLE, "part_not_found"),
            Error::NoSuchBucket => (StatusCode::NOT_FOUND, "bucket_not_found"),
            Error::NoSuchUpload => (StatusCode::NOT_FOUND, "upload_not_found"),
            Error::NoSuchCredential => (StatusCode::NOT_FOUND, "credential_not_found"),
            Error::NoSuchSpace => (StatusCode::NOT_FOUND, "space_not_found"),
            Error::NoSuchItem => (StatusCode::NOT_FOUND, "item_not_found"),
            Error::NoSuchWorker => (StatusCode::NOT_FOUND, "worker_not_found"),
            Error::NoSuchHold => (StatusCode::NOT_FOUND, "backup_not_found"),
            Error::NoSuchUpstream => (StatusCode::NOT_FOUND, "upstream_not_found"),
            Error::UpstreamAway => (StatusCode::SERVICE_UNAVAILABLE, "upstream_unavailable"),
            Error::UpstreamLate => (StatusCode::SERVICE_UNAVAILABLE, "upstream_late"),
            Error::UpstreamFailed => (StatusCode::BAD_GATEWAY, "upstream_failed"),
            Error::NoSuchSegment => (StatusCode::NOT_FOUND, "segment_not_found"),
            Error::BucketExists { .. } => (StatusCode::CONFLICT, "bucket_exists"),
            Error::BucketNotEmpty => (StatusCode::CONFLICT, "bucket_not_empty"),
            Error::Complete(refusal) => match refusal {
                CompleteRefusal::NoParts => (StatusCode::BAD_REQUEST, "no_parts"),
                CompleteRefusal::Order => (StatusCode::BAD_REQUEST, "invalid_part_order"),
                CompleteRefusal::Part(_) | CompleteRefusal::NoChecksum(_) => {
                    (StatusCode::BAD_REQUEST, "invalid_part")
                }
                CompleteRefusal::TooSmall { .. } => (StatusCode::BAD_REQUEST, "part_too_small"),
                CompleteRefusal::TooManyPieces { .. } => (StatusCode::BAD_REQUEST, "too_many_pieces"),
                CompleteRefusal::Size { .. } => (StatusCode::BAD_REQUEST, "size_mismatch"),
                CompleteRefusal::ChecksumKind(_) | CompleteRefusal::OtherChecksum { .. } => {
                    (StatusCode::BAD_REQUEST, "checksum_mismatch")
                }
                CompleteRefusal::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "object_too_large"),
            },
            Error::PreconditionFailed(_) => (StatusCode::PRECONDITION_FAILED, "precondition_failed"),
            Error::Conflict => (StatusCode::CONFLICT, "conflict"),
            Error::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden"),
            Error::OutOfBounds => {
                return Self::new(StatusCode::FORBIDDEN, "out_of_bounds", error.to_string())
                    .about("Content-Type");
            }
            Error::PolicyDenies => (StatusCode::FORBIDDEN, "denied_by_policy"),
            Error::OutsidePrefixes => (StatusCode::FORBIDDEN, "outside_prefixes"),
            Error::PolicyBlocked => (StatusCode::FORBIDDEN, "policy_blocked"),
            Error::Locked => (StatusCode::FORBIDDEN, "object_locked"),
            Error::NoObjectLock => (StatusCode::BAD_REQUEST, "object_lock_not_enabled"),
            Error::InProgress => (StatusCode::CONFLICT, "request_in_progress"),
            Error::KeyReused => (StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused"),
            Error::OtherDomain => (StatusCode::CONFLICT, "other_dedup_domain"),
            Error::WrongVersioning => (StatusCode::CONFLICT, "wrong_versioning"),
            Error::Full => (StatusCode::INSUFFICIENT_STORAGE, "storage_full"),
            Error::Corrupt => (StatusCode::INTERNAL_SERVER_ERROR, "data_corrupt"),
            Error::Unreadable => (StatusCode::INTERNAL_SERVER_ERROR, "data_unreadable"),
            // `NotModified` is no problem: `Failure` takes it before. The core's error may also grow.
            Error::Internal | Error::NotModified(_) | _ => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        };
        let problem = Self::new(status, code, error.to_string());
        match error.retry_seconds() {
            Some(seconds) => problem.with(RETRY_AFTER, seconds),
            None => problem,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if let Some((name, value)) = &self.header {
            response.headers_mut().insert(name, value.clone());
        }
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

/// The failure of a handler.
#[derive(Debug)]
pub(crate) enum Failure {
    /// 304: not an error, but it ends a use case early as an error does.
    NotModified(Box<Object>),
    /// Anything else.
    Problem(Box<Problem>),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::NotModified(object) => Self::NotModified(object),
            error => Problem::of(&error).into(),
        }
    }
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        Problem::invalid(&invalid).into()
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::NotModified(object) => render::not_modified(&object),
            Self::Problem(problem) => problem.into_response(),
        }
    }
}

/// The answer to an unknown path.
pub(crate) async fn unknown_path() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "path_not_found", "there is no such path")
}

/// The answer to a method that a path does not have. The router adds `Allow`.
pub(crate) async fn unknown_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "the path does not have this method")
}

/// Refuses a request without a host, or with two (RFC 9112 section 3.2).
pub(crate) async fn one_host(request: Request, next: Next) -> Response {
    // HTTP/2 names the host in its pseudo-header, HTTP/1.0 need not.
    if request.version() == http::Version::HTTP_11 && request.headers().get_all(HOST).iter().count() != 1 {
        let why = ", exactly once, in HTTP/1.1";
        return Problem::missing_header("Host", why).into_response();
    }
    next.run(request).await
}

/// Writes the body of a problem, with the id of its request, and keeps browsers from guessing what an answer is: who may
/// write objects must not make one that is taken for a page or a script.
pub(crate) async fn finish(request: Request, next: Next) -> Response {
    let id = request.headers().get("x-request-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let mut response = next.run(request).await;
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let Some(problem) = response.extensions_mut().remove::<Arc<Problem>>() else { return response };
    let body = ProblemBody {
        kind: format!("urn:juststorage:problem:{}", problem.code),
        title: problem.status.canonical_reason().unwrap_or("Error"),
        status: problem.status.as_u16(),
        detail: problem.detail.clone(),
        code: problem.code.clone(),
        field: problem.field,
        request_id: id,
    };
    // Text and numbers always serialise.
    *response.body_mut() = Body::from(line(serde_json::to_vec(&body).unwrap_or_default()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.remove(http::header::CONTENT_LENGTH);
    if problem.status != StatusCode::METHOD_NOT_ALLOWED {
        headers.remove(ALLOW);
    }
    response
}

#[cfg(test)]
mod tests {
    use juststorage_core::domain::principal::Right;
    use juststorage_core::domain::range::Unsatisfiable;

    use super::*;

    #[test]
    fn invalid_fields_name_themselves_in_the_code() {
        for (field, code) in [("key", "invalid_key"), ("X-Content-SHA256", "invalid_content_sha256")] {
            let problem = Problem::of(&Error::Invalid(Invalid::new(field, "must be otherwise")));
            assert_eq!((problem.status.as_u16(), &*problem.code, problem.field), (400, code, Some(field)));
        }
    }

    #[test]
    fn statuses_follow_from_what_the_caller_should_do() {
        let status = |error: &Error| Problem::of(error).status.as_u16();
        assert_eq!(status(&Error::Forbidden(Right::Write)), 403);
        assert_eq!(status(&Error::Conflict), 409);
        assert_eq!(status(&Error::BodyTooLarge { max: 1 }), 413);
        assert_eq!(status(&Error::Full), 507);
        assert_eq!(status(&Error::Complete(CompleteRefusal::Order)), 400);
        let retry = Problem::of(&Error::Unavailable).header.unwrap();
        assert_eq!((retry.0, retry.1.to_str().unwrap()), (RETRY_AFTER, "1"));
        let wait = std::time::Duration::from_millis(1200);
        let limited = Problem::of(&Error::Limited { what: "requests", retry_after: wait });
        assert_eq!((limited.status.as_u16(), limited.header.unwrap().1.to_str().unwrap()), (429, "2"));
        let range = Problem::of(&Error::Unsatisfiable(Unsatisfiable { size: 7 })).header.unwrap();
        assert_eq!(range.1.to_str().unwrap(), "bytes */7");
        let challenge = Problem::of(&Error::Unauthenticated("no")).header.unwrap();
        assert_eq!(challenge.0, WWW_AUTHENTICATE);
    }
}
