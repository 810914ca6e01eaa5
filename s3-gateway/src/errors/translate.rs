//! The one place where the core's errors become S3's codes.

use http::StatusCode;
use http::header::{ALLOW, ETAG, HeaderMap, HeaderName, HeaderValue, LAST_MODIFIED, RETRY_AFTER};
use juststorage_core::application::error::Error;
use juststorage_core::domain::invalid::{Invalid, InvalidKind};
use juststorage_core::domain::multipart::{CompleteRefusal, PART_BYTES_MIN};
use juststorage_core::domain::object::Object;
use s3s::S3Error;

use super::members::with_member;
use super::refusal::{Refusal, bad_request, fail, internal, refusal};

fn with_headers(mut error: S3Error, headers: impl IntoIterator<Item = (HeaderName, String)>) -> S3Error {
    let mut all = error.headers().cloned().unwrap_or_default();
    all.extend(
        headers
            .into_iter()
            .filter_map(|(name, value)| Some((name, HeaderValue::from_str(&value).ok()?)))
            .collect::<HeaderMap>(),
    );
    error.set_headers(all);
    error
}

const DELETE_MARKER: HeaderName = HeaderName::from_static("x-amz-delete-marker");
const VERSION_ID: HeaderName = HeaderName::from_static("x-amz-version-id");

/// S3's answer for an error of the core.
pub(crate) fn translate(error: Error) -> S3Error {
    let retry = error.retry_seconds();
    let translated = translate_code(error);
    match retry {
        Some(seconds) => with_headers(translated, [(RETRY_AFTER, seconds.to_string())]),
        None => translated,
    }
}

/// The code and the words of S3. Words that are fixed there are the same here, full stops included: clients compare
/// them.
#[allow(clippy::too_many_lines)] // one table
fn translate_code(error: Error) -> S3Error {
    let message = error.to_string();
    match error {
        Error::Invalid(invalid) => translate_invalid(&invalid),
        Error::DigestMismatch(_) => bad_request("BadDigest", sentence(&message)),
        Error::BodyTooShort { .. } => bad_request("IncompleteBody", sentence(&message)),
        Error::BodyTooLarge { .. } => bad_request("EntityTooLarge", sentence(&message)),
        Error::Body(_) => bad_request("IncompleteBody", "The request body could not be read to its end."),
        Error::BodyStalled => bad_request(
            "RequestTimeout",
            "Your socket connection to the server was not read from or written to within the timeout period.",
        ),
        Error::NoSuchObject => fail(StatusCode::NOT_FOUND, "NoSuchKey", "The specified key does not exist."),
        Error::DeleteMarker { version_id, addressed, made } => {
            let marker = (DELETE_MARKER, "true".to_owned());
            let version = version_id.map(|id| (VERSION_ID, id));
            if addressed {
                let error = fail(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "MethodNotAllowed",
                    "The specified method is not allowed against this resource: it is a delete marker.",
                );
                let allow = (ALLOW, "DELETE".to_owned());
                let made = (LAST_MODIFIED, httpdate::fmt_http_date(made.into()));
                let error = with_member(error, "ResourceType", "DeleteMarker");
                with_headers(error, [marker, allow, made].into_iter().chain(version))
            } else {
                let error = fail(StatusCode::NOT_FOUND, "NoSuchKey", "The specified key does not exist.");
                with_headers(error, [marker].into_iter().chain(version))
            }
        }
        Error::NoSuchVersion => {
            fail(StatusCode::NOT_FOUND, "NoSuchVersion", "The specified version does not exist.")
        }
        Error::NoSuchPart => fail(
            StatusCode::RANGE_NOT_SATISFIABLE,
            "InvalidPartNumber",
            "The requested partnumber is not satisfiable",
        ),
        Error::NoSuchBucket => {
            fail(StatusCode::NOT_FOUND, "NoSuchBucket", "The specified bucket does not exist")
        }
        Error::NoSuchUpload => fail(
            StatusCode::NOT_FOUND,
            "NoSuchUpload",
            "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or \
             completed.",
        ),
        Error::NoSuchCredential => fail(
            StatusCode::FORBIDDEN,
            "InvalidAccessKeyId",
            "The access key you provided does not exist in our records.",
        ),
        Error::BucketExists { own: true, .. } => fail(
            StatusCode::CONFLICT,
            "BucketAlreadyOwnedByYou",
            "Your previous request to create the named bucket succeeded and you already own it.",
        ),
        Error::BucketExists { own: false, .. } => fail(
            StatusCode::CONFLICT,
            "BucketAlreadyExists",
            "The requested bucket name is not available: it is taken in this store. Select another name.",
        ),
        Error::BucketNotEmpty => {
            fail(StatusCode::CONFLICT, "BucketNotEmpty", "The bucket you tried to delete is not empty")
        }
        Error::Locked => fail(
            StatusCode::FORBIDDEN,
            "AccessDenied",
            "Access Denied because object protected by object lock.",
        ),
        Error::AclsDisabled => refusal(Refusal::acl_not_supported()),
        Error::AclBlocked => fail(
            StatusCode::FORBIDDEN,
            "AccessDenied",
            "Access Denied: the bucket's public access block refuses public ACLs.",
        ),
        Error::PolicyBlocked => fail(
            StatusCode::FORBIDDEN,
            "AccessDenied",
            "Access Denied: the bucket's public access block refuses public policies.",
        ),
        Error::AclShared => bad_request(
            "InvalidBucketAclWithObjectOwnership",
            "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting: set the bucket's ACL \
             to private first.",
        ),
        Error::NoObjectLock => bad_request("InvalidRequest", "Bucket is missing Object Lock Configuration"),
        Error::WrongVersioning => fail(
            StatusCode::CONFLICT,
            "InvalidBucketState",
            "The request is not valid with the current state of the bucket: object lock needs versioning, which \
             must be and stay enabled.",
        ),
        Error::Complete(refusal) => {
            let text = sentence(&message);
            match refusal {
                CompleteRefusal::NoParts => bad_request("MalformedXML", text),
                CompleteRefusal::Order => bad_request("InvalidPartOrder", text),
                CompleteRefusal::Part(number) => {
                    with_member(bad_request("InvalidPart", text), "PartNumber", &number.to_string())
                }
                CompleteRefusal::OtherChecksum { .. } => bad_request("BadDigest", text),
                CompleteRefusal::TooSmall { number, size } => {
                    let error =
                        with_member(bad_request("EntityTooSmall", text), "ProposedSize", &size.to_string());
                    let error = with_member(error, "MinSizeAllowed", &PART_BYTES_MIN.to_string());
                    with_member(error, "PartNumber", &number.to_string())
                }
                CompleteRefusal::TooLarge => bad_request("EntityTooLarge", text),
                CompleteRefusal::NoChecksum(_)
                | CompleteRefusal::TooManyPieces { .. }
                | CompleteRefusal::Size { .. }
                | CompleteRefusal::ChecksumKind(_) => bad_request("InvalidRequest", text),
            }
        }
        Error::PreconditionFailed(_) => fail(
            StatusCode::PRECONDITION_FAILED,
            "PreconditionFailed",
            "At least one of the pre-conditions you specified did not hold",
        ),
        Error::NotModified(object) => {
            with_headers(fail(StatusCode::NOT_MODIFIED, "NotModified", "Not Modified"), validators(&object))
        }
        Error::Unsatisfiable(unsatisfiable) => {
            let error = fail(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "InvalidRange",
                "The requested range is not satisfiable",
            );
            let range = format!("bytes */{}", unsatisfiable.size);
            let error = with_member(error, "ActualObjectSize", &unsatisfiable.size.to_string());
            with_headers(error, [(http::header::CONTENT_RANGE, range)])
        }
        Error::Conflict => fail(
            StatusCode::CONFLICT,
            "ConditionalRequestConflict",
            "The conditional request cannot succeed due to a conflicting operation against this resource.",
        ),
        Error::Limited { .. } | Error::Busy | Error::OutboxFull => {
            fail(StatusCode::SERVICE_UNAVAILABLE, "SlowDown", "Please reduce your request rate.")
        }
        Error::QuotaExceeded(_) => fail(StatusCode::FORBIDDEN, "QuotaExceeded", sentence(&message)),
        Error::Unauthenticated(_) => fail(StatusCode::FORBIDDEN, "AccessDenied", sentence(&message)),
        Error::Forbidden(_) | Error::PolicyDenies | Error::OutsidePrefixes => {
            fail(StatusCode::FORBIDDEN, "AccessDenied", format!("Access Denied: {message}."))
        }
        Error::Unavailable | Error::TierAbsent { .. } => fail(
            StatusCode::SERVICE_UNAVAILABLE,
            "ServiceUnavailable",
            "The store is unavailable for the moment. Please try again.",
        ),
        Error::UpstreamAway => fail(
            StatusCode::SERVICE_UNAVAILABLE,
            "ServiceUnavailable",
            "The store that this bucket's data comes from does not answer. Please try again.",
        ),
        Error::UpstreamLate => fail(
            StatusCode::SERVICE_UNAVAILABLE,
            "ServiceUnavailable",
            "The change is made here, and the store that this bucket's data comes from has not taken it in time. It is still \
             sent. You may repeat the request.",
        ),
        Error::UpstreamFailed => fail(
            StatusCode::BAD_GATEWAY,
            "BadGateway",
            "The store that this bucket's data comes from did not give the object.",
        ),
        // S3 itself cannot be full; 507 is what Ceph and MinIO answer, and SDKs do not hammer on it.
        Error::Full => fail(
            StatusCode::INSUFFICIENT_STORAGE,
            "InsufficientStorage",
            "The storage is full: nothing was stored.",
        ),
        Error::Corrupt => fail(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalError",
            "The stored bytes are damaged and were not served.",
        ),
        Error::Unreadable => fail(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalError",
            "The disk does not give the stored bytes.",
        ),
        // `Error::Internal`; and the enum may grow: what is not known here is not the client's fault.
        _ => internal(),
    }
}

/// The code for a value that breaks a rule, by the domain's name of the field.
fn translate_invalid(invalid: &Invalid) -> S3Error {
    let code = match invalid.field {
        "key" if invalid.kind == InvalidKind::TooLong => "KeyTooLongError",
        "bucket" | "namespace" => "InvalidBucketName",
        "tags" => "InvalidTag",
        "policy" => "MalformedPolicy",
        "metadata" if invalid.kind == InvalidKind::TooLong => "MetadataTooLarge",
        "storage_class" => "InvalidStorageClass",
        "checksum" | "checksum_type" | "cors" | "lifecycle_rule" => "InvalidRequest",
        "lifecycle_schema" => "MalformedXML",
        "retention_period" => "InvalidRetentionPeriod",
        "range" => "InvalidRange",
        _ => "InvalidArgument",
    };
    let message = match code {
        "KeyTooLongError" => "Your key is too long".to_owned(),
        // In the words of S3, as they stand.
        "MalformedPolicy" => invalid.reason.to_string(),
        _ => sentence(&invalid.to_string()),
    };
    bad_request(code, message)
}

/// The headers of a 200 that a 304 repeats (RFC 9110 section 15.4.5).
fn validators(object: &Object) -> Vec<(HeaderName, String)> {
    let mut headers = vec![
        (ETAG, object.etag.to_string()),
        (LAST_MODIFIED, httpdate::fmt_http_date(object.created_at.into())),
    ];
    headers.extend(object.headers.cache_control.clone().map(|value| (http::header::CACHE_CONTROL, value)));
    headers.extend(object.headers.expires.clone().map(|value| (http::header::EXPIRES, value)));
    headers.extend(object.s3_version_id().map(|id| (VERSION_ID, id)));
    headers
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    format!("{first}{}.", chars.as_str().trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use juststorage_core::domain::range::Unsatisfiable;
    use juststorage_core::domain::timestamp::Timestamp;

    #[test]
    fn codes_and_statuses_are_those_of_s3() {
        let cases = [
            (Error::NoSuchObject, 404, "NoSuchKey"),
            (Error::NoSuchBucket, 404, "NoSuchBucket"),
            (Error::NoSuchUpload, 404, "NoSuchUpload"),
            (Error::NoSuchVersion, 404, "NoSuchVersion"),
            (Error::NoSuchPart, 416, "InvalidPartNumber"),
            (Error::Complete(CompleteRefusal::NoParts), 400, "MalformedXML"),
            (Error::Complete(CompleteRefusal::Order), 400, "InvalidPartOrder"),
            (Error::PreconditionFailed("x"), 412, "PreconditionFailed"),
            (Error::Unsatisfiable(Unsatisfiable { size: 5 }), 416, "InvalidRange"),
            (Error::Conflict, 409, "ConditionalRequestConflict"),
            (Error::DigestMismatch("MD5"), 400, "BadDigest"),
            (Error::BodyStalled, 400, "RequestTimeout"),
            (Error::Busy, 503, "SlowDown"),
            (Error::OutboxFull, 503, "SlowDown"),
            (Error::Unavailable, 503, "ServiceUnavailable"),
            (Error::Full, 507, "InsufficientStorage"),
            (Error::UpstreamAway, 503, "ServiceUnavailable"),
            (Error::UpstreamLate, 503, "ServiceUnavailable"),
            (Error::UpstreamFailed, 502, "BadGateway"),
            (Error::Corrupt, 500, "InternalError"),
            (Error::Unreadable, 500, "InternalError"),
            (Error::TierAbsent { tier: "hot", looked: 4, gone: 4 }, 503, "ServiceUnavailable"),
            (Error::Locked, 403, "AccessDenied"),
            (Error::NoObjectLock, 400, "InvalidRequest"),
            (Error::WrongVersioning, 409, "InvalidBucketState"),
            (Error::Invalid(Invalid::new("retention_period", "x")), 400, "InvalidRetentionPeriod"),
            (Error::Invalid(Invalid::new("cors", "x")), 400, "InvalidRequest"),
            (Error::Invalid(Invalid::new("lifecycle", "x")), 400, "InvalidArgument"),
            (
                Error::DeleteMarker { version_id: None, addressed: true, made: Timestamp(0) },
                405,
                "MethodNotAllowed",
            ),
            (
                Error::DeleteMarker { version_id: None, addressed: false, made: Timestamp(0) },
                404,
                "NoSuchKey",
            ),
            (
                Error::Invalid(Invalid::too_long("key", "must be at most 1024 bytes of UTF-8")),
                400,
                "KeyTooLongError",
            ),
            (Error::Invalid(Invalid::new("key", "must not contain NUL")), 400, "InvalidArgument"),
            (Error::Invalid(Invalid::new("key", "1024 is in its text")), 400, "InvalidArgument"),
            (Error::Invalid(Invalid::too_long("metadata", "x")), 400, "MetadataTooLarge"),
            (Error::Invalid(Invalid::new("tags", "must be at most 10")), 400, "InvalidTag"),
            (Error::Invalid(Invalid::new("policy", "x")), 400, "MalformedPolicy"),
            (Error::PolicyDenies, 403, "AccessDenied"),
            (Error::OutsidePrefixes, 403, "AccessDenied"),
            (Error::PolicyBlocked, 403, "AccessDenied"),
        ];
        for (error, status, code) in cases {
            let translated = translate(error);
            assert_eq!(translated.status_code().unwrap().as_u16(), status, "{code}");
            assert_eq!(translated.code().as_str(), code);
            assert!(translated.message().is_some_and(|message| !message.is_empty()), "{code}");
        }
        assert!(translate(Error::Busy).headers().unwrap().contains_key(RETRY_AFTER));
        let range = translate(Error::Unsatisfiable(Unsatisfiable { size: 5 }));
        assert_eq!(range.headers().unwrap()["content-range"], "bytes */5");
    }

    /// Clients compare them (minio-go), full stops included.
    #[test]
    fn words_that_are_fixed_on_s3_are_the_same() {
        let cases = [
            (Error::NoSuchObject, "The specified key does not exist."),
            (Error::NoSuchBucket, "The specified bucket does not exist"),
            (Error::NoSuchVersion, "The specified version does not exist."),
            (
                Error::NoSuchUpload,
                "The specified upload does not exist. The upload ID may be invalid, or the upload may have been \
                 aborted or completed.",
            ),
            (Error::NoSuchPart, "The requested partnumber is not satisfiable"),
            (Error::BucketNotEmpty, "The bucket you tried to delete is not empty"),
            (Error::PreconditionFailed("x"), "At least one of the pre-conditions you specified did not hold"),
            (Error::Unsatisfiable(Unsatisfiable { size: 5 }), "The requested range is not satisfiable"),
        ];
        for (error, words) in cases {
            assert_eq!(translate(error).message(), Some(words));
        }
    }
}
