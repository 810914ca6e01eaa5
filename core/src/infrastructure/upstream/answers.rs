//! Answers of the SDK as answers of the port.

use std::error::Error;

use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::RequestId as _;
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{ChecksumType, ObjectLockLegalHoldStatus, ObjectLockMode, ServerSideEncryption};
use http_body_util::LengthLimitError;

use super::ANSWER_BYTES_MAX;
use crate::application::ports::upstream::{UpstreamError, UpstreamObject};
use crate::domain::checksum::{Checksum, ChecksumAlgorithm, ChecksumKind};
use crate::domain::object::Headers;
use crate::domain::object_lock::{LockMode, ObjectLock, Retention};
use crate::domain::timestamp::Timestamp;
use crate::infrastructure::outbound::ResolveError;

/// The SDK's response.
pub(super) type Raw = aws_sdk_s3::config::http::HttpResponse;

/// What a failure means.
#[allow(clippy::needless_pass_by_value)] // as `map_err` passes it
pub(super) fn failure<E>(error: SdkError<E, Raw>) -> UpstreamError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    if cause::<LengthLimitError>(&error).is_some() {
        return UpstreamError::Unusable(format!("an answer of more than {ANSWER_BYTES_MAX} bytes"));
    }
    let status = error.raw_response().map(|answer| answer.status().as_u16());
    let Some(status) = status else {
        if let Some(out @ ResolveError::OutOfReach { .. }) = cause(&error) {
            return UpstreamError::Forbidden(out.to_string());
        }
        let text = causes(&error);
        return match error {
            SdkError::ConstructionFailure(_) => UpstreamError::Unusable(text),
            _ => UpstreamError::Away(text),
        };
    };
    let code = error.code().unwrap_or_default().to_owned();
    let message = error.message().unwrap_or_default();
    let request = match &error {
        SdkError::ServiceError(service) => service.raw().request_id().map(str::to_owned),
        _ => None,
    };
    let request = request.map(|id| format!(", request {id}")).unwrap_or_default();
    let said = match (code.as_str(), message) {
        ("", "") => format!("status {status}{request}"),
        (code, message) => format!("{code} {message} (status {status}{request})"),
    };
    match (status, code.as_str()) {
        (508, _) | (_, "LoopDetected") => UpstreamError::Ourselves,
        (_, "NoSuchBucket") => UpstreamError::NoSuchBucket(said),
        (301 | 302 | 307 | 308, _)
        | (_, "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException") => {
            UpstreamError::Elsewhere(said)
        }
        (412, _) => UpstreamError::Changed,
        // Not every store has every call: the same will not succeed later.
        (501, _) => UpstreamError::Unusable(said),
        _ if is_full(&code) => UpstreamError::Away(said),
        // Its clock or ours is wrong: no request will succeed, and neither will any by itself.
        (401 | 403, _) => UpstreamError::Refused(said),
        (408 | 429 | 500..=599, _) | (_, "SlowDown" | "RequestTimeout") => UpstreamError::Away(said),
        _ => UpstreamError::Unusable(said),
    }
}

/// Whether an upstream says that it has no room just now, as stores of several makers do.
fn is_full(code: &str) -> bool {
    ["QuotaExceeded", "StorageFull", "InsufficientStorage", "InsufficientCapacity"]
        .iter()
        .any(|full| code.contains(full))
}

/// Whether an answer says that the object is not there.
pub(super) fn is_absent<E: ProvideErrorMetadata>(error: &SdkError<E, Raw>) -> bool {
    let status = error.raw_response().map(|answer| answer.status().as_u16());
    status == Some(404) && error.code() != Some("NoSuchBucket")
}

/// What caused a failure, if it is of this type.
fn cause<'e, E: Error + 'static>(failure: &'e (dyn Error + 'static)) -> Option<&'e E> {
    let mut next = Some(failure);
    while let Some(error) = next {
        if let Some(cause) = error.downcast_ref() {
            return Some(cause);
        }
        next = error.source();
    }
    None
}

/// A failure and what caused it, without the request.
fn causes<E: std::error::Error>(error: &E) -> String {
    let mut text = DisplayErrorContext(error).to_string();
    // Behind the causes stands a dump of all of them.
    if let Some((short, _)) = text.split_once(" (") {
        text = short.to_owned();
    }
    text.truncate(text.floor_char_boundary(300));
    text
}

pub(super) fn time(time: Option<&DateTime>) -> Timestamp {
    Timestamp(time.and_then(|time| time.to_millis().ok()).unwrap_or_default())
}

/// The id of a version. What was made while versions were not kept is replaced by the next that is.
pub(super) fn version(id: Option<&str>) -> Option<String> {
    id.filter(|id| !id.is_empty() && *id != "null").map(str::to_owned)
}

/// A tag without its quotes.
pub(super) fn tag(etag: Option<&str>) -> String {
    etag.unwrap_or_default().trim_start_matches("W/").trim_matches('"').to_owned()
}

pub(super) fn opaque(encryption: Option<&ServerSideEncryption>, customer: Option<&str>) -> bool {
    customer.is_some()
        || matches!(encryption, Some(ServerSideEncryption::AwsKms | ServerSideEncryption::AwsKmsDsse))
}

/// The first of the checksums that were sent.
pub(super) fn checksum(
    kind: Option<&ChecksumType>,
    sent: [(ChecksumAlgorithm, Option<&str>); 5],
) -> Option<Checksum> {
    let (algorithm, value) = sent.into_iter().find_map(|(algorithm, value)| Some((algorithm, value?)))?;
    // Without a type, `-n` at its end tells that it is over the parts.
    let kind = match kind {
        Some(ChecksumType::Composite) => ChecksumKind::Composite,
        Some(ChecksumType::FullObject) => ChecksumKind::FullObject,
        _ if value.contains('-') => ChecksumKind::Composite,
        _ => ChecksumKind::FullObject,
    };
    Some(Checksum { algorithm, kind, value: value.to_owned() })
}

pub(super) fn lock(
    mode: Option<&ObjectLockMode>,
    until: Option<&DateTime>,
    hold: Option<&ObjectLockLegalHoldStatus>,
) -> ObjectLock {
    let mode = mode.and_then(|mode| LockMode::parse(&mode.as_str().to_ascii_lowercase()).ok());
    let retention = mode.zip(until).map(|(mode, until)| Retention { mode, until: time(Some(until)) });
    let legal_hold = hold.map(|hold| *hold == ObjectLockLegalHoldStatus::On);
    ObjectLock { retention, legal_hold }
}

/// What the answers to `HeadObject` and `GetObject` have in common: the SDK has a type for each.
macro_rules! object_of {
    ($output:expr) => {{
        use $crate::domain::checksum::ChecksumAlgorithm as Algorithm;
        use $crate::infrastructure::upstream::answers;
        let output = &$output;
        let checksums = [
            (Algorithm::Crc64Nvme, output.checksum_crc64_nvme()),
            (Algorithm::Sha256, output.checksum_sha256()),
            (Algorithm::Crc32c, output.checksum_crc32_c()),
            (Algorithm::Crc32, output.checksum_crc32()),
            (Algorithm::Sha1, output.checksum_sha1()),
        ];
        $crate::application::ports::upstream::UpstreamObject {
            size: output.content_length().and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
            etag: answers::tag(output.e_tag()),
            opaque_etag: answers::opaque(output.server_side_encryption(), output.sse_customer_algorithm()),
            modified: answers::time(output.last_modified()),
            headers: answers::headers([
                output.content_type(),
                output.content_encoding(),
                output.content_language(),
                output.content_disposition(),
                output.cache_control(),
                output.expires_string(),
                output.website_redirect_location(),
            ]),
            metadata: output
                .metadata()
                .into_iter()
                .flatten()
                .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
                .collect(),
            tag_count: 0,
            class: output.storage_class().map(|class| class.as_str().to_owned()),
            checksum: answers::checksum(output.checksum_type(), checksums),
            lock: answers::lock(
                output.object_lock_mode(),
                output.object_lock_retain_until_date(),
                output.object_lock_legal_hold_status(),
            ),
            version: answers::version(output.version_id()),
        }
    }};
}

pub(super) use object_of;

pub(super) fn headers(values: [Option<&str>; 7]) -> Headers {
    let [kind, encoding, language, disposition, cache, expires, redirect] =
        values.map(|value| value.filter(|value| !value.is_empty()).map(str::to_owned));
    Headers {
        content_type: kind,
        // It says how the body was sent there, and nothing of the object.
        content_encoding: encoding.filter(|encoding| encoding != "aws-chunked"),
        content_language: language,
        content_disposition: disposition,
        cache_control: cache,
        expires,
        website_redirect: redirect,
    }
}

/// With this many tags.
pub(super) fn tagged(object: UpstreamObject, tags: Option<i32>) -> UpstreamObject {
    UpstreamObject { tag_count: tags.and_then(|tags| u32::try_from(tags).ok()).unwrap_or_default(), ..object }
}
