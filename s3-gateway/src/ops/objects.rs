//! One object: `PutObject`, `GetObject`, `HeadObject`.

use futures::StreamExt as _;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH,
    CONTENT_RANGE, CONTENT_TYPE, ETAG, EXPIRES, HeaderMap, HeaderName, HeaderValue, LAST_MODIFIED, RANGE,
};
use http::{StatusCode, Uri};
use http_body::Frame;
use http_body_util::StreamBody;
use juststorage_core::application::error::Error;
use juststorage_core::application::objects::ObjectRef;
use juststorage_core::application::objects::get::{Head, IfRange, ReadOptions};
use juststorage_core::application::objects::put::{EtagStyle, PutRequest};
use juststorage_core::domain::checksum::ChecksumAlgorithm;
use juststorage_core::domain::etag::Etag;
use juststorage_core::domain::event::How;
use juststorage_core::domain::object::Object;
use juststorage_core::domain::principal::Proof;
use juststorage_core::domain::range::ByteRange;
use juststorage_core::domain::rfc2047;
use juststorage_core::domain::upstream::SOURCE_HEADER;
use s3s::dto::{PutObjectInput, PutObjectOutput};
use s3s::{Body, S3Error, S3Request, S3Response, S3Result};

use super::settings::lifecycle::expiration;
use crate::api::Api;
use crate::auth::{note_namespace, who};
use crate::dto::checksums::{self, header_of, set_checksum};
use crate::dto::{address, attributes, conditions, effective_headers, fields::text, lock, values};
use crate::errors::{bad_request, fail, translate, wrong_argument};
use crate::wire::body::{self, Trailing};

/// The decoded length of a body. s3s has put it into `Content-Length`.
pub(crate) fn body_length(length: Option<i64>) -> S3Result<u64> {
    length.and_then(|length| u64::try_from(length).ok()).ok_or_else(|| {
        fail(
            StatusCode::LENGTH_REQUIRED,
            "MissingContentLength",
            "You must provide the Content-Length HTTP header.",
        )
    })
}

pub(crate) async fn put(
    api: &Api,
    mut request: S3Request<PutObjectInput>,
) -> S3Result<S3Response<PutObjectOutput>> {
    let headers = effective_headers(&request.headers, &request.uri);
    let declared = checksums::declared(&headers)?;
    let put = PutRequest {
        place: address::place(&request.input.bucket)?,
        key: Some(address::key(&request.input.key)?),
        attributes: attributes::attributes(&headers, request.input.metadata.take())?,
        preconditions: conditions::of_write(&headers)?,
        etag: EtagStyle::Md5,
        // S3 computes this one itself when the client declares none.
        checksum: Some(declared.algorithm().unwrap_or(ChecksumAlgorithm::Crc64Nvme)),
        how: How::Plain,
    };
    let length = body_length(request.input.content_length)?;
    let trailing = Trailing::take(&mut request);
    let (body, failure) = body::incoming(request.input.body.take(), length, declared, trailing);
    let object = api.store.put(who(&request)?, put, body).await.map_err(|error| failure.explain(error))?;
    note_namespace(object.address.namespace.as_str());
    let mut output = PutObjectOutput {
        e_tag: Some(values::etag(&object.etag)),
        version_id: values::written_version(&object),
        expiration: expiration(api, &object).await?,
        ..PutObjectOutput::default()
    };
    set_checksum!(output, &object.checksum);
    output.checksum_type = object.checksum.as_ref().map(|checksum| checksums::kind_out(checksum.kind));
    Ok(S3Response::new(output))
}

/// The query of a read: the version, the part, and overridden response headers.
#[derive(Default)]
struct Query {
    version: Option<String>,
    part: Option<u32>,
    overrides: Vec<(HeaderName, String)>,
}

impl Query {
    fn read(uri: &Uri) -> S3Result<Self> {
        let mut query = Self::default();
        for (key, value) in uri.query().map(crate::query::query_pairs).unwrap_or_default() {
            match key.as_ref() {
                "versionId" => query.version = Some(value.into_owned()),
                "partNumber" => {
                    let number = value.parse().ok().filter(|number| (1..=10_000).contains(number));
                    query.part = Some(number.ok_or_else(|| {
                        let why = "Part number must be an integer between 1 and 10000, inclusive";
                        wrong_argument("partNumber", &value, why)
                    })?);
                }
                _ => query.overrides.extend(override_header(&key).map(|name| (name, value.into_owned()))),
            }
        }
        Ok(query)
    }
}

fn override_header(key: &str) -> Option<HeaderName> {
    Some(match key {
        "response-content-type" => CONTENT_TYPE,
        "response-content-language" => CONTENT_LANGUAGE,
        "response-expires" => EXPIRES,
        "response-cache-control" => CACHE_CONTROL,
        "response-content-disposition" => CONTENT_DISPOSITION,
        "response-content-encoding" => CONTENT_ENCODING,
        _ => return None,
    })
}

fn read_options(headers: &HeaderMap, query: &Query) -> S3Result<ReadOptions> {
    let range = text(headers, RANGE.as_str()).and_then(ByteRange::from_header);
    if range.is_some() && query.part.is_some() {
        return Err(bad_request(
            "InvalidRequest",
            "Cannot specify both Range header and partNumber query parameter",
        ));
    }
    let if_range = text(headers, "if-range").map(|state| {
        // A weak tag never matches (RFC 9110 section 13.1.5); what cannot be read asks for the whole object.
        match (Etag::parse(state), httpdate::parse_http_date(state)) {
            (_, Ok(date)) => IfRange::Date(date.into()),
            (Ok(tag), Err(_)) => IfRange::Tag(tag),
            (Err(_), Err(_)) => IfRange::Never,
        }
    });
    Ok(ReadOptions { range, if_range, part: query.part, preconditions: conditions::of_request(headers)? })
}

/// The parameters of a read: its query, the object, the range and the conditions.
fn asked(request: &S3Request<Body>, bucket: &str, key: &str) -> S3Result<(Query, ObjectRef, ReadOptions)> {
    let query = Query::read(&request.uri)?;
    let reference = address::object(bucket, key, query.version.as_deref())?;
    let options = read_options(&request.headers, &query)?;
    // Otherwise everybody could have a public object say what they like (S3 `GetObject`).
    if who(request)?.proof == Proof::Missing && !query.overrides.is_empty() {
        return Err(bad_request(
            "InvalidRequest",
            "Request specific response headers cannot be used for anonymous GET requests.",
        ));
    }
    Ok((query, reference, options))
}

pub(crate) async fn get(
    api: &Api,
    request: &S3Request<Body>,
    bucket: &str,
    key: &str,
) -> S3Result<S3Response<Body>> {
    let (query, reference, options) = asked(request, bucket, key)?;
    let download = api.store.get(who(request)?, &reference, &options).await.map_err(unread)?;
    let expiration = expiration(api, &download.head.object).await?;
    let mut response = answer(request, &query, &download.head, expiration);
    response.output =
        Body::http_body_unsync(StreamBody::new(download.body.map(|chunk| chunk.map(Frame::data))));
    Ok(response)
}

pub(crate) async fn head(
    api: &Api,
    request: &S3Request<Body>,
    bucket: &str,
    key: &str,
) -> S3Result<S3Response<Body>> {
    let (query, reference, options) = asked(request, bucket, key)?;
    let head = api.store.head(who(request)?, &reference, &options).await.map_err(unread)?;
    let expiration = expiration(api, &head.object).await?;
    Ok(answer(request, &query, &head, expiration))
}

fn unread(error: Error) -> S3Error {
    if let Error::NotModified(object) = &error {
        note_namespace(object.address.namespace.as_str());
    }
    translate(error)
}

/// The answer to a read, without its bytes.
fn answer(
    request: &S3Request<Body>,
    query: &Query,
    head: &Head,
    expiration: Option<String>,
) -> S3Response<Body> {
    let object = &head.object;
    note_namespace(object.address.namespace.as_str());
    let mut headers = object_headers(object);
    let size = object.size();
    // A range of nothing cannot be written: part 1 of an empty object is the object.
    let partial = head.partial && head.span.length() > 0;
    let mut set = |name: HeaderName, value: String| {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    };
    set(CONTENT_LENGTH, head.span.length().to_string());
    if let Some(source) = head.source {
        set(HeaderName::from_static(SOURCE_HEADER), source.as_str().to_owned());
    }
    if let Some(expiration) = expiration {
        set(HeaderName::from_static("x-amz-expiration"), expiration);
    }
    if partial {
        set(CONTENT_RANGE, format!("bytes {}-{}/{size}", head.span.start, head.span.end - 1));
    }
    if let Some(parts) = head.parts.filter(|_| object.parts().is_multipart()) {
        set(HeaderName::from_static("x-amz-mp-parts-count"), parts.to_string());
    }
    // The whole object's checksum never goes with a part of it: SDKs would compare it with what they got.
    let effective = effective_headers(&request.headers, &request.uri);
    let asked =
        text(&effective, "x-amz-checksum-mode").is_some_and(|mode| mode.eq_ignore_ascii_case("enabled"));
    let checksum = if partial { head.part_checksum.as_ref() } else { object.checksum.as_ref() };
    if let Some(checksum) = checksum.filter(|_| asked) {
        set(header_of(checksum.algorithm), checksum.value.clone());
        // Of a part too, it is the object's type that S3 names.
        let kind = object.checksum.as_ref().map_or(checksum.kind, |whole| whole.kind);
        set(HeaderName::from_static("x-amz-checksum-type"), kind.as_str().to_owned());
    }
    for (name, value) in &query.overrides {
        set(name.clone(), value.clone());
    }
    let mut response = S3Response::with_headers(Body::empty(), headers);
    response.status = Some(if partial { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK });
    response
}

/// The headers that describe an object.
fn object_headers(object: &Object) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let stored = &object.headers;
    let pairs = [
        (ETAG, Some(object.etag.to_string())),
        (LAST_MODIFIED, Some(httpdate::fmt_http_date(object.created_at.into()))),
        (ACCEPT_RANGES, Some("bytes".to_owned())),
        (CONTENT_TYPE, Some(stored.content_type.clone().unwrap_or_else(|| "binary/octet-stream".to_owned()))),
        (CONTENT_ENCODING, stored.content_encoding.clone()),
        (CONTENT_LANGUAGE, stored.content_language.clone()),
        (CONTENT_DISPOSITION, stored.content_disposition.clone()),
        (CACHE_CONTROL, stored.cache_control.clone()),
        (EXPIRES, stored.expires.clone()),
        (HeaderName::from_static("x-amz-website-redirect-location"), stored.website_redirect.clone()),
        (HeaderName::from_static("x-amz-version-id"), object.s3_version_id()),
        (
            HeaderName::from_static("x-amz-storage-class"),
            values::class_header(object.class, object.class_name).map(str::to_owned),
        ),
        (
            HeaderName::from_static("x-amz-tagging-count"),
            (!object.tags.is_empty()).then(|| object.tags.len().to_string()),
        ),
    ];
    for (name, value) in pairs.into_iter().chain(lock::headers(object.lock)) {
        // A stored header may hold text beyond ASCII, which goes out as the bytes that came in.
        if let Some(value) = value.and_then(|value| HeaderValue::from_bytes(value.as_bytes()).ok()) {
            headers.insert(name, value);
        }
    }
    let mut missing = 0_usize;
    for (name, value) in &object.metadata {
        let header = HeaderName::try_from(format!("x-amz-meta-{name}"));
        match (header, HeaderValue::try_from(rfc2047::encode(value).as_ref())) {
            (Ok(header), Ok(value)) => {
                headers.insert(header, value);
            }
            _ => missing += 1,
        }
    }
    if missing > 0 {
        headers.insert(HeaderName::from_static("x-amz-missing-meta"), HeaderValue::from(missing));
    }
    headers
}
