//! `PostObject`: uploads by HTML form (S3 API Reference, "POST Object").
//!
//! Forms do not go through s3s: it refuses a long-lived form by its date, answers other codes, and buffers a file
//! without a declared length. Here fields are read and bounded, the policy's signature and conditions are checked,
//! and the file streams into the store like any other body.

mod form;
mod policy;

use std::ops::RangeInclusive;

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _};
use http::header::{CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, LOCATION};
use http::{Method, Response, StatusCode, Uri};
use juststorage_core::application::access::Access;
use juststorage_core::application::error::Error;
use juststorage_core::application::ingest::{Body, Expected};
use juststorage_core::application::objects::put::{EtagStyle, PutRequest};
use juststorage_core::domain::checksum::ChecksumAlgorithm;
use juststorage_core::domain::context::Context;
use juststorage_core::domain::event::How;
use juststorage_core::domain::object::{Object, Tags};
use juststorage_core::domain::principal::Principal;
use percent_encoding::utf8_percent_encode;
use s3s::dto::Tagging;
use s3s::{S3Error, S3Result};
use time::OffsetDateTime;
use tower::BoxError;

use self::form::{File, Form, FormError};
use self::policy::FormPolicy;
use crate::acl;
use crate::allowlist;
use crate::api::Api;
use crate::auth::{self, note_namespace};
use crate::dto::{address, attributes, checksums, conditions, fields::text, values};
use crate::errors::{
    bad_request, escape, fail, internal, invalid_argument, refusal, translate, with_member, wrong_argument,
};
use crate::location::{Locations, PLAIN};
use crate::operations::{self, Op};
use crate::wire;
use crate::wire::fault::BodyFault;

/// Accepts forms.
pub(crate) struct Forms {
    pub(crate) api: Api,
    pub(crate) access: Access,
    /// Whether Signature Version 2 is accepted.
    pub(crate) sigv2: bool,
}

/// Form fields that are object headers; `x-amz-…` are too.
const HEADERS: [&str; 6] = [
    "content-type",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
];

/// Whether a request's body is a form, by any interpretation of its type.
pub(crate) fn is_form(method: &Method, headers: &HeaderMap) -> bool {
    let form = |value: &HeaderValue| {
        value.as_bytes().to_ascii_lowercase().windows(FORM_DATA.len()).any(|part| part == FORM_DATA)
    };
    *method == Method::POST && headers.get_all(CONTENT_TYPE).iter().any(form)
}

const FORM_DATA: &[u8] = b"multipart/form-data";

impl Forms {
    /// Answers a form that was posted to `bucket`.
    pub(crate) async fn answer(
        &self,
        request: &http::request::Parts,
        bucket: &str,
        frames: BoxStream<'static, Result<Bytes, BoxError>>,
    ) -> Response<s3s::Body> {
        let answered = self.store(request, bucket, frames).await;
        answered.or_else(S3Error::to_http_response).unwrap_or_else(|_| {
            let mut response = Response::new(s3s::Body::empty());
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        })
    }

    async fn store(
        &self,
        request: &http::request::Parts,
        bucket: &str,
        frames: BoxStream<'static, Result<Bytes, BoxError>>,
    ) -> S3Result<Response<s3s::Body>> {
        let boundary = text(&request.headers, "content-type").and_then(form::boundary).ok_or_else(|| {
            if is_form(&request.method, &request.headers) {
                return unreadable(FormError::Malformed("Its type names no boundary."));
            }
            let what = "Bucket POST must be of the enclosure-type multipart/form-data";
            with_member(fail(StatusCode::PRECONDITION_FAILED, "PreconditionFailed", what), "Condition", what)
        })?;
        let Form { fields, file_name, file } = form::read(frames, &boundary).await.map_err(unreadable)?;
        let fields = complete(fields, bucket, file_name.as_deref())?;
        let field =
            |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str());
        let name = address::bucket(bucket)?;
        let anonymous = !auth::form::proves(&field)
            && self.api.store.lets_strangers_ask(&name).await.map_err(translate)?;
        let who = if anonymous {
            self.api.store.anonymous(&name).await.map_err(translate)?
        } else {
            auth::form::verify(&self.access, self.sigv2, &field).await?
        };
        self.api.store.admit(&who).await.map_err(translate)?;
        if let Some(expected) = text(&request.headers, "x-amz-expected-bucket-owner") {
            auth::check_owner(&self.api.store, &who, bucket, expected).await?;
        }
        let length = if anonymous {
            0..=u64::MAX
        } else {
            FormPolicy::read(field("policy").unwrap_or_default())?
                .check(&fields, OffsetDateTime::now_utc())?
        };
        let key = field("key").filter(|key| !key.is_empty()).ok_or_else(|| {
            let why = "Bucket POST must contain a field named 'key'. It must stand before the file.";
            wrong_argument("key", "", why)
        })?;
        let headers = headers(&fields)?;
        let context = auth::context(request.extensions.get(), &headers, None);
        let referer = text(&request.headers, "referer").map(str::to_owned);
        let who = who.asking(Context { referer, ..context });
        let operation = operations::row(Op::PutObject).ok_or_else(internal)?;
        allowlist::check_headers(operation, &headers).map_err(refusal)?;
        acl::check(&self.api.store, &who, Some(bucket), &headers).await?;
        let object =
            self.put(&who, request, (bucket, key), (&headers, field("tagging")), (file, length)).await?;
        note_namespace(object.address.namespace.as_str());
        Ok(answer(&self.api.locations, request, (bucket, key), &object, field))
    }

    async fn put(
        &self,
        who: &Principal,
        request: &http::request::Parts,
        (bucket, key): (&str, &str),
        (headers, tagging): (&HeaderMap, Option<&str>),
        (file, length): (File, RangeInclusive<u64>),
    ) -> S3Result<Object> {
        let declared = checksums::declared(headers)?;
        let mut attributes = attributes::attributes(headers, None)?;
        if let Some(tagging) = tagging {
            attributes.tags = tags(tagging)?;
        }
        let put = PutRequest {
            place: address::place(bucket)?,
            key: Some(address::key(key)?),
            attributes,
            preconditions: conditions::of_write(&request.headers)?,
            etag: EtagStyle::Md5,
            checksum: Some(declared.algorithm().unwrap_or(ChecksumAlgorithm::Crc64Nvme)),
            how: How::Post,
        };
        let failure = BodyFault::default();
        let expected = Expected { sha256: None, md5: declared.md5, checksum: declared.checksum };
        let stream = bounded(file, length, failure.clone());
        let body = Body { stream, length: None, expected, trailer: None };
        self.api.store.put(who, put, body).await.map_err(|error| failure.explain(error))
    }
}

/// The fields, with the bucket of the address added and `${filename}` replaced.
fn complete(
    mut fields: Vec<(String, String)>,
    bucket: &str,
    file_name: Option<&str>,
) -> S3Result<Vec<(String, String)>> {
    for (name, value) in &mut fields {
        if name != "policy" && value.contains("${filename}") {
            *value = value.replace("${filename}", file_name.unwrap_or_default());
        }
    }
    match fields.iter().find(|(name, _)| name == "bucket") {
        Some((_, named)) if named != bucket => {
            return Err(fail(
                StatusCode::FORBIDDEN,
                "AccessDenied",
                "Access Denied: the form names another bucket than its address.",
            ));
        }
        Some(_) => {}
        None => fields.push(("bucket".to_owned(), bucket.to_owned())),
    }
    let mut names: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    if let Some((twice, _)) = names.iter().zip(names.iter().skip(1)).find(|(one, next)| one == next) {
        // It would be unclear which of them the policy allows.
        return Err(invalid_argument(format!("The form contains the field {twice} twice.")));
    }
    Ok(fields)
}

/// The fields that a Put would send as headers.
fn headers(fields: &[(String, String)]) -> S3Result<HeaderMap> {
    const SIGNING: [&str; 5] =
        ["x-amz-signature", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-security-token"];
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let header = match name.as_str() {
            "acl" => "x-amz-acl",
            name if HEADERS.contains(&name) => name,
            name if name.starts_with("x-amz-") && !SIGNING.contains(&name) => name,
            // MinIO's own fields, for example a list of further keys: refused by name with the headers.
            name if name.starts_with("x-minio-") => name,
            _ => continue,
        };
        let invalid =
            || wrong_argument(name, value, format!("The value of the form field {name} is invalid."));
        let header = HeaderName::try_from(header).map_err(|_| invalid())?;
        headers.insert(header, HeaderValue::from_bytes(value.as_bytes()).map_err(|_| invalid())?);
    }
    Ok(headers)
}

/// The `tagging` field: the XML of `PutObjectTagging`.
fn tags(xml: &str) -> S3Result<Tags> {
    let malformed = || {
        bad_request(
            "MalformedXML",
            "The XML you provided was not well-formed or did not validate against our published schema",
        )
    };
    let plain = wire::tagging(xml)?;
    let mut deserializer = s3s::xml::Deserializer::new(plain.as_bytes());
    let tagging: Tagging = s3s::xml::Deserialize::deserialize(&mut deserializer).map_err(|_| malformed())?;
    deserializer.expect_eof().map_err(|_| malformed())?;
    attributes::tag_set(tagging.tag_set)
}

/// The file's bytes; an error if there are more, or finally fewer, than the policy allows.
fn bounded(
    file: File,
    length: RangeInclusive<u64>,
    failure: BodyFault,
) -> BoxStream<'static, Result<Bytes, Error>> {
    futures::stream::unfold(Some((file, 0_u64)), move |state| {
        let (failure, length) = (failure.clone(), length.clone());
        async move {
            let (mut file, before) = state?;
            let refuse = |error: S3Error| {
                let text = error.message().unwrap_or_default().to_owned();
                failure.set(error);
                Some((Err(Error::Body(text)), None))
            };
            match file.next().await {
                Some(Err(error)) => refuse(unreadable(error)),
                Some(Ok(frame)) => {
                    let read = before + frame.len() as u64;
                    if read > *length.end() {
                        return refuse(bad_request(
                            "EntityTooLarge",
                            "Your proposed upload exceeds the maximum allowed size.",
                        ));
                    }
                    Some((Ok(frame), Some((file, read))))
                }
                None if before < *length.start() => refuse(bad_request(
                    "EntityTooSmall",
                    "Your proposed upload is smaller than the minimum allowed size.",
                )),
                None => None,
            }
        }
    })
    .boxed()
}

fn unreadable(error: FormError) -> S3Error {
    match error {
        FormError::Malformed(why) => bad_request(
            "MalformedPOSTRequest",
            format!("The body of your POST request is not well-formed multipart/form-data. {why}"),
        ),
        FormError::TooLong => bad_request(
            "MaxPostPreDataLengthExceededError",
            "Your POST request fields preceding the upload file were too large.",
        ),
        FormError::Body(error) if matches!(Error::of_stream(&*error), Error::BodyStalled) => {
            translate(Error::BodyStalled)
        }
        FormError::Body(error) => {
            tracing::debug!(%error, "the body of a form could not be read");
            bad_request("IncompleteBody", "The request body could not be read to its end.")
        }
    }
}

/// The answer that the form asks for: a redirection, a status with or without a body, or 204.
fn answer<'f>(
    locations: &Locations,
    request: &http::request::Parts,
    (bucket, key): (&str, &str),
    object: &Object,
    field: impl Fn(&str) -> Option<&'f str>,
) -> Response<s3s::Body> {
    let etag = object.etag.to_string();
    let mut response = Response::new(s3s::Body::empty());
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: String| {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    };
    set(ETAG, etag.clone());
    if let Some(version) = values::written_version(object) {
        set(HeaderName::from_static("x-amz-version-id"), version);
    }
    if let Some(checksum) = &object.checksum {
        set(checksums::header_of(checksum.algorithm), checksum.value.clone());
    }
    let redirect = field("success_action_redirect").or_else(|| field("redirect"));
    if let Some(target) = redirect.and_then(|url| redirection(url, bucket, key, &etag)) {
        set(LOCATION, target);
        *response.status_mut() = StatusCode::SEE_OTHER;
        return response;
    }
    let location = locations.of(&request.headers, &request.uri, bucket, key);
    set(LOCATION, location.clone());
    let status = match field("success_action_status") {
        Some("200") => StatusCode::OK,
        Some("201") => StatusCode::CREATED,
        // S3 answers 204 to every other value.
        _ => StatusCode::NO_CONTENT,
    };
    if status == StatusCode::CREATED {
        set(CONTENT_TYPE, "application/xml".to_owned());
        let xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<PostResponse><Location>{}</Location><Bucket>{}</Bucket>\
             <Key>{}</Key><ETag>{}</ETag></PostResponse>",
            escape(&location),
            escape(bucket),
            escape(key),
            escape(&etag)
        );
        *response.body_mut() = s3s::Body::from(xml);
    }
    *response.status_mut() = status;
    response
}

/// The URL of the redirection, if it is valid.
fn redirection(url: &str, bucket: &str, key: &str, etag: &str) -> Option<String> {
    let parsed: Uri = url.parse().ok()?;
    if !matches!(parsed.scheme_str(), Some("http" | "https")) || parsed.authority().is_none() {
        return None;
    }
    let joint = if parsed.query().is_some() { '&' } else { '?' };
    let escaped = |text: &str| utf8_percent_encode(text, PLAIN).to_string();
    Some(format!("{url}{joint}bucket={}&key={}&etag={}", escaped(bucket), escaped(key), escaped(etag)))
}
