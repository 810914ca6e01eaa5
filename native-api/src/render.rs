//! Answers: the JSON of each resource, and an object's headers.

use std::time::{Duration, UNIX_EPOCH};

use crate::json::Json;
use axum::response::{IntoResponse as _, Response};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH,
    CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, EXPIRES, LAST_MODIFIED, LOCATION,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use juststorage_core::application::objects::get::Head;
use juststorage_core::application::ports::metadata::SpaceUsage;
use juststorage_core::domain::multipart::{Part, Upload};
use juststorage_core::domain::object::{Object, Tags, UserMetadata};
use juststorage_core::domain::timestamp::Timestamp;
use juststorage_core::domain::upstream::SOURCE_HEADER;
use serde::Serialize;
use utoipa::ToSchema;

/// Prefix of headers of user metadata.
pub(crate) const META_PREFIX: &str = "x-meta-";

/// The default media type of an object.
const OCTET_STREAM: &str = "application/octet-stream";

/// The console is served from the same origin as objects, whose bytes a writer has chosen: a document among
/// them gets an origin of its own, without scripts, so that it can neither call the API as the reader nor see a token.
const SANDBOX: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// The last second that an HTTP date can show: the end of the year 9999.
const HTTP_SECONDS_MAX: u64 = 253_402_300_799;

/// An object, or one version of it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ObjectBody {
    /// The id of exactly this version.
    #[schema(format = Uuid)]
    id: String,
    /// The service or collection.
    namespace: String,
    /// The tenant.
    tenant_id: String,
    /// Absent in objects addressed by id only.
    #[schema(required)]
    key: Option<String>,
    /// `sha256:` and 64 hexadecimal digits; for an upload in parts, the hash of the parts' hashes, `-`, and their
    /// number. Absent in delete markers.
    #[schema(required)]
    content_hash: Option<String>,
    /// In bytes.
    size_bytes: u64,
    /// The tier that it asks for.
    #[schema(pattern = "^(hot|cold)$")]
    storage_class: &'static str,
    /// The entity tag with its quotes, as in the header `ETag`.
    etag: String,
    /// Default: `application/octet-stream`.
    content_type: String,
    /// The other standard headers that are sent back with the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_disposition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    /// The user's own metadata, as in the headers `X-Meta-*`.
    #[schema(value_type = BTreeMap<String, String>)]
    metadata: UserMetadata,
    /// Tags, by name; absent if there are none.
    #[serde(skip_serializing_if = "Tags::is_empty")]
    #[schema(value_type = BTreeMap<String, String>)]
    tags: Tags,
    /// Whether it is the latest version of its key.
    is_latest: bool,
    /// Whether it marks its key as deleted.
    is_delete_marker: bool,
    /// When it was written.
    #[schema(format = DateTime)]
    created_at: String,
}

impl ObjectBody {
    pub(crate) fn of(object: Object) -> Self {
        let headers = object.headers;
        Self {
            id: object.id.to_string(),
            namespace: object.address.namespace.to_string(),
            tenant_id: object.address.tenant.to_string(),
            key: object.key.map(|key| key.to_string()),
            content_hash: object.content.map(|content| content.name.to_string()),
            size_bytes: object.content.map_or(0, |content| content.size),
            storage_class: object.class.as_str(),
            etag: object.etag.to_string(),
            content_type: headers.content_type.unwrap_or_else(|| OCTET_STREAM.to_owned()),
            content_encoding: headers.content_encoding,
            content_language: headers.content_language,
            content_disposition: headers.content_disposition,
            cache_control: headers.cache_control,
            expires: headers.expires,
            metadata: object.metadata,
            tags: object.tags,
            is_latest: object.is_latest,
            is_delete_marker: object.content.is_none(),
            created_at: rfc3339(object.created_at),
        }
    }
}

/// A page of objects.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListBody {
    /// In byte order of keys; objects without key come first.
    pub(crate) objects: Vec<ObjectBody>,
    /// The groups of keys by `delimiter`.
    pub(crate) prefixes: Vec<String>,
    /// The cursor of the next page; `null` on the last one.
    #[schema(required)]
    pub(crate) next_cursor: Option<String>,
}

/// An open upload.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UploadBody {
    /// The upload's id.
    #[schema(format = Uuid)]
    id: String,
    /// The service or collection.
    namespace: String,
    /// The tenant.
    tenant_id: String,
    /// Absent if the object will be addressed by id only.
    #[schema(required)]
    key: Option<String>,
    /// Its storage class.
    #[schema(pattern = "^(hot|cold)$")]
    storage_class: &'static str,
    /// The object's content type.
    content_type: String,
    /// The object's metadata.
    #[schema(value_type = BTreeMap<String, String>)]
    metadata: UserMetadata,
    /// When it began.
    #[schema(format = DateTime)]
    created_at: String,
}

impl UploadBody {
    pub(crate) fn of(upload: Upload) -> Self {
        Self {
            id: upload.id.0.to_string(),
            namespace: upload.space.address.namespace.to_string(),
            tenant_id: upload.space.address.tenant.to_string(),
            key: upload.key.map(|key| key.to_string()),
            storage_class: upload.attributes.class.unwrap_or(upload.space.default_class).as_str(),
            content_type: upload.attributes.headers.content_type.unwrap_or_else(|| OCTET_STREAM.to_owned()),
            metadata: upload.attributes.metadata,
            created_at: rfc3339(upload.created_at),
        }
    }
}

/// An open upload in a listing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListedUploadBody {
    /// The upload.
    #[serde(flatten)]
    upload: UploadBody,
    /// Bytes of its stored parts.
    size_bytes: u64,
    /// Seconds since it began.
    age_seconds: u64,
}

impl ListedUploadBody {
    pub(crate) fn of(upload: Upload, bytes: u64, now: Timestamp) -> Self {
        let age = now.millis().saturating_sub(upload.created_at.millis()).max(0);
        Self { size_bytes: bytes, age_seconds: age.unsigned_abs() / 1000, upload: UploadBody::of(upload) }
    }
}

/// A page of open uploads.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListUploadsBody {
    /// In byte order of keys, oldest first within a key.
    pub(crate) uploads: Vec<ListedUploadBody>,
    /// The cursor of the next page; `null` on the last one.
    #[schema(required)]
    pub(crate) next_cursor: Option<String>,
}

/// A stored part.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PartBody {
    /// From 1 to 10,000.
    part_number: u16,
    /// The entity tag with its quotes; a completion may repeat it for a check.
    etag: String,
    /// The hash of its bytes.
    content_hash: String,
    /// In bytes.
    size_bytes: u64,
    /// When it was stored.
    #[schema(format = DateTime)]
    created_at: String,
}

impl PartBody {
    pub(crate) fn of(part: &Part) -> Self {
        Self {
            part_number: part.number.get(),
            etag: part.etag.to_string(),
            content_hash: part.name.to_string(),
            size_bytes: part.size,
            created_at: rfc3339(part.created_at),
        }
    }
}

/// An upload and a page of its parts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UploadPartsBody {
    /// The upload.
    #[serde(flatten)]
    pub(crate) upload: UploadBody,
    /// Ascending by number.
    pub(crate) parts: Vec<PartBody>,
    /// The cursor of the next page; `null` on the last one.
    #[schema(required)]
    pub(crate) next_cursor: Option<String>,
}

/// The figures of one space and storage class.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SpaceUsageBody {
    /// The service or collection.
    namespace: String,
    /// The tenant.
    tenant_id: String,
    /// The storage class of the figures.
    #[schema(pattern = "^(hot|cold)$")]
    storage_class: &'static str,
    /// Objects, all versions counted.
    objects: u64,
    /// Their logical bytes.
    logical_bytes: u64,
    /// Bytes on disk that this space stored first.
    physical_bytes: u64,
    /// Logical bytes that deduplication saves, because the same bytes were stored already.
    saved_bytes: u64,
    /// Bytes of the parts of open uploads; they count in a quota.
    upload_bytes: u64,
    /// Delete markers; each counts as an object in a quota.
    delete_markers: u64,
}

impl SpaceUsageBody {
    pub(crate) fn of(usage: &SpaceUsage) -> Self {
        Self {
            namespace: usage.address.namespace.to_string(),
            tenant_id: usage.address.tenant.to_string(),
            storage_class: usage.class.as_str(),
            objects: usage.objects,
            logical_bytes: usage.logical_bytes,
            physical_bytes: usage.physical_bytes,
            saved_bytes: usage.logical_bytes.saturating_sub(usage.physical_bytes),
            upload_bytes: usage.upload_bytes,
            delete_markers: usage.delete_markers,
        }
    }
}

/// 201 with the object's location.
pub(crate) fn created(object: Object) -> Response {
    let mut headers = HeaderMap::new();
    put(&mut headers, LOCATION, format!("/v1/objects/{}", object.id));
    put(&mut headers, ETAG, object.etag.to_string());
    (StatusCode::CREATED, headers, Json(ObjectBody::of(object))).into_response()
}

/// The head of a read's answer: 200 or 206 and every header, the length included.
pub(crate) fn head(head: &Head) -> Response {
    let object = &head.object;
    let mut headers = HeaderMap::new();
    validators(&mut headers, object);
    let standard = &object.headers;
    let content_type = standard.content_type.as_deref().unwrap_or(OCTET_STREAM);
    put(&mut headers, CONTENT_TYPE, content_type);
    if !is_inert(content_type) {
        put(&mut headers, CONTENT_SECURITY_POLICY, SANDBOX);
    }
    for (name, value) in [
        (CONTENT_ENCODING, &standard.content_encoding),
        (CONTENT_LANGUAGE, &standard.content_language),
        (CONTENT_DISPOSITION, &standard.content_disposition),
    ] {
        if let Some(value) = value {
            put(&mut headers, name, value);
        }
    }
    put(&mut headers, ACCEPT_RANGES, "bytes");
    put(&mut headers, CONTENT_LENGTH, head.span.length().to_string());
    if let Some(source) = head.source {
        put(&mut headers, HeaderName::from_static(SOURCE_HEADER), source.as_str());
    }
    put(&mut headers, HeaderName::from_static("x-storage-class"), object.class.as_str());
    // An object that is not here yet has neither.
    let here = !object.id.0.is_nil();
    if here {
        put(&mut headers, HeaderName::from_static("x-object-id"), object.id.to_string());
    }
    if let Some(content) = object.content.filter(|_| here) {
        put(&mut headers, HeaderName::from_static("x-content-hash"), content.name.to_string());
    }
    for (name, value) in &object.metadata {
        if let Ok(name) = HeaderName::try_from(format!("{META_PREFIX}{name}")) {
            put(&mut headers, name, value);
        }
    }
    let status = if head.partial {
        let (start, end) = (head.span.start, head.span.end);
        // An empty part has no last byte to name.
        if end > start {
            put(&mut headers, CONTENT_RANGE, format!("bytes {start}-{}/{}", end - 1, object.size()));
        }
        StatusCode::PARTIAL_CONTENT
    } else {
        StatusCode::OK
    };
    (status, headers).into_response()
}

/// Whether a browser that opens the object at its own address runs no script of it: types that browsers never show as a
/// document with scripts. Every other type gets a [`SANDBOX`].
fn is_inert(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.split_once('/') {
        Some(("audio" | "video" | "font", _)) => true,
        Some(("image", kind)) => matches!(kind, "png" | "jpeg" | "gif" | "webp" | "avif"),
        Some(("text", kind)) => matches!(kind, "plain" | "csv"),
        Some(("application", kind)) => matches!(kind, "octet-stream" | "pdf" | "json" | "zip" | "gzip"),
        _ => false,
    }
}

/// 304 with the headers that RFC 9110 section 15.4.5 requires.
pub(crate) fn not_modified(object: &Object) -> Response {
    let mut headers = HeaderMap::new();
    validators(&mut headers, object);
    (StatusCode::NOT_MODIFIED, headers).into_response()
}

fn validators(headers: &mut HeaderMap, object: &Object) {
    put(headers, ETAG, object.etag.to_string());
    put(headers, LAST_MODIFIED, http_date(object.created_at));
    for (name, value) in [(CACHE_CONTROL, &object.headers.cache_control), (EXPIRES, &object.headers.expires)]
    {
        if let Some(value) = value {
            put(headers, name, value);
        }
    }
}

/// Sets a header. Stored values were checked when they were written; a value that no header can hold is omitted, so
/// that the read does not fail.
pub(crate) fn put(headers: &mut HeaderMap, name: HeaderName, value: impl AsRef<str>) {
    if let Ok(value) = HeaderValue::from_bytes(value.as_ref().as_bytes()) {
        headers.insert(name, value);
    }
}

fn http_date(at: Timestamp) -> String {
    let seconds = u64::try_from(at.seconds()).unwrap_or_default().min(HTTP_SECONDS_MAX);
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds))
}

/// RFC 3339 in UTC, to the millisecond.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    at.rfc3339()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_not_inert() {
        for inert in
            ["text/plain", "image/png", "application/octet-stream", "Application/PDF; x=y", "video/mp4"]
        {
            assert!(is_inert(inert), "{inert}");
        }
        for document in [
            "text/html",
            " TEXT/HTML ;charset=x",
            "image/svg+xml",
            "application/xhtml+xml",
            "text/xml",
            "",
            "x",
            "text/html,text/plain",
        ] {
            assert!(!is_inert(document), "{document}");
        }
    }

    #[test]
    fn times_have_the_forms_of_their_standards() {
        assert_eq!(rfc3339(Timestamp(784_111_777_250)), "1994-11-06T08:49:37.25Z");
        assert_eq!(http_date(Timestamp(784_111_777_250)), "Sun, 06 Nov 1994 08:49:37 GMT");
        // Times that no date can show end at the last one that can be shown.
        assert_eq!(http_date(Timestamp(i64::MAX)), "Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
