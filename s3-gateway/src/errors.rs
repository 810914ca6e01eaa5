//! The one place where the core's errors become S3's codes, and where error bodies are written.

mod members;

use std::str::FromStr as _;

use http::header::{ALLOW, ETAG, HeaderMap, HeaderName, HeaderValue, LAST_MODIFIED, RETRY_AFTER};
use http::{Method, StatusCode};
use juststorage_core::application::error::Error;
use juststorage_core::domain::invalid::{Invalid, InvalidKind};
use juststorage_core::domain::multipart::{CompleteRefusal, PART_BYTES_MIN};
use juststorage_core::domain::object::Object;
use s3s::{S3Error, S3ErrorCode};

pub(crate) use self::members::{Asked, take as take_members, with_member};

/// An answer that the gateway gives before s3s sees the request.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// Further members of the body: [`Refusal::with`].
    pub(crate) members: Vec<(String, String)>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), members: Vec::new() }
    }

    /// The same with one more member in its body.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.members.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn not_implemented(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, "NotImplemented", message)
    }

    pub(crate) fn method_not_allowed(message: String) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
    }

    pub(crate) fn invalid_argument(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidArgument", message)
    }

    pub(crate) fn invalid_token() -> Self {
        let message = "Session tokens are not issued here: sign with an access key alone.";
        Self::new(StatusCode::BAD_REQUEST, "InvalidToken", message)
    }

    pub(crate) fn acl_not_supported() -> Self {
        let message = "The bucket does not allow ACLs other than private and bucket-owner-full-control.";
        Self::new(StatusCode::BAD_REQUEST, "AccessControlListNotSupported", message)
    }

    pub(crate) fn unavailable() -> Self {
        let message = "The metadata store cannot be reached. Please try again.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message)
    }

    pub(crate) fn internal() -> Self {
        let message = "We encountered an internal error. Please try again.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message)
    }
}

/// An error with exactly this status, code and message, but for what XML cannot hold of it.
pub(crate) fn fail(status: StatusCode, code: &str, message: impl Into<String>) -> S3Error {
    let code = S3ErrorCode::from_str(code).unwrap_or(S3ErrorCode::InternalError);
    let mut error = S3Error::with_message(code, writable(message.into()));
    error.set_status_code(status);
    error
}

/// 400 for a body that is not what the schema asks for, and why.
pub(crate) fn malformed_xml(why: &str) -> S3Error {
    bad_request(
        "MalformedXML",
        format!(
            "The XML you provided was not well-formed or did not validate against our published schema: {why}."
        ),
    )
}

/// A refusal as an operation answers it.
pub(crate) fn refusal(of: Refusal) -> S3Error {
    let error = fail(of.status, of.code, of.message);
    of.members.iter().fold(error, |error, (name, value)| with_member(error, name, value))
}

/// 400 with a code.
pub(crate) fn bad_request(code: &str, message: impl Into<String>) -> S3Error {
    fail(StatusCode::BAD_REQUEST, code, message)
}

/// 400 `InvalidArgument`.
pub(crate) fn invalid_argument(message: impl Into<String>) -> S3Error {
    bad_request("InvalidArgument", message)
}

/// 400 `InvalidArgument` that names the argument and its value.
pub(crate) fn wrong_argument(name: &str, value: &str, message: impl Into<String>) -> S3Error {
    with_member(with_member(invalid_argument(message), "ArgumentName", name), "ArgumentValue", value)
}

/// 501, naming what is missing.
pub(crate) fn not_implemented(message: impl Into<String>) -> S3Error {
    fail(StatusCode::NOT_IMPLEMENTED, "NotImplemented", message)
}

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

/// What S3 answers for an error of the core.
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
        Error::Limited { .. } | Error::Busy => {
            fail(StatusCode::SERVICE_UNAVAILABLE, "SlowDown", "Please reduce your request rate.")
        }
        Error::QuotaExceeded(_) => fail(StatusCode::FORBIDDEN, "QuotaExceeded", sentence(&message)),
        Error::Unauthenticated(_) => fail(StatusCode::FORBIDDEN, "AccessDenied", sentence(&message)),
        Error::Forbidden(_) | Error::PolicyDenies => {
            fail(StatusCode::FORBIDDEN, "AccessDenied", format!("Access Denied: {message}."))
        }
        Error::Unavailable | Error::TierAbsent { .. } => fail(
            StatusCode::SERVICE_UNAVAILABLE,
            "ServiceUnavailable",
            "The store is unavailable for the moment. Please try again.",
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

/// 500 without a word on the cause, which is in the log.
pub(crate) fn internal() -> S3Error {
    refusal(Refusal::internal())
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

/// What a 304 repeats of a 200's headers (RFC 9110 section 15.4.5).
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

/// The ids that an answer carries, and the resource it is about.
pub(crate) struct Context<'a> {
    pub(crate) resource: &'a str,
    pub(crate) request_id: &'a str,
    pub(crate) host_id: &'a str,
    /// The region that the store says it is in.
    pub(crate) region: &'a str,
    /// The request.
    pub(crate) asked: &'a Asked,
}

/// The body of a refusal.
pub(crate) fn render(refusal: &Refusal, context: &Context<'_>) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{}</Message>{}{}</Error>",
        refusal.code,
        escape(&refusal.message),
        members::of(refusal.code, &refusal.message, &refusal.members, context.asked, context.region),
        tail(context)
    )
}

/// What s3s says of a document that lacks something: S3's documentation of the code, and not S3's words.
const DESCRIBED: &str = "This happens when the user sends malformed XML (XML that doesn&apos;t conform to the published XSD) for \
    the configuration. The error message is, \"The XML you provided was not well-formed or did not validate against our \
    published schema.\"";
const MALFORMED: &str =
    "The XML you provided was not well-formed or did not validate against our published schema.";

/// An error body of s3s, which knows neither ids nor further members, with them. `given` are the members that the
/// operation gave.
pub(crate) fn complete(body: &[u8], given: &[(String, String)], context: &Context<'_>) -> Option<Vec<u8>> {
    const END: &[u8] = b"</Error>";
    let head = body.strip_suffix(END)?;
    let mut completed =
        String::from_utf8_lossy(head).replace("&quot;", "\"").replace(DESCRIBED, MALFORMED).into_bytes();
    // git-annex, for one, fails on an error without a message.
    if !head.windows(9).any(|window| window == b"<Message>") {
        completed.extend_from_slice(b"<Message>The request failed.</Message>");
    }
    let (code, message) = (text_of(head, "Code"), text_of(head, "Message"));
    let further = members::of(&code, &message, given, context.asked, context.region);
    completed.extend_from_slice(further.as_bytes());
    completed.extend_from_slice(tail(context).as_bytes());
    completed.extend_from_slice(END);
    Some(completed)
}

/// The text of an element of an error body that s3s wrote.
fn text_of(body: &[u8], element: &str) -> String {
    let text = String::from_utf8_lossy(body);
    let inner = text
        .split_once(&format!("<{element}>"))
        .and_then(|(_, rest)| rest.split_once(&format!("</{element}>")))
        .map(|(inner, _)| inner)
        .unwrap_or_default();
    let plain = inner.replace("&lt;", "<").replace("&gt;", ">").replace("&apos;", "'");
    plain.replace("&quot;", "\"").replace("&amp;", "&")
}

fn tail(context: &Context<'_>) -> String {
    format!(
        "<Resource>{}</Resource><RequestId>{}</RequestId><HostId>{}</HostId>",
        escape(context.resource),
        escape(context.request_id),
        escape(context.host_id)
    )
}

/// An element's text as XML holds it; characters that XML 1.0 cannot hold become U+FFFD. Quotes stay as they are, as S3
/// writes them.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            c if unwritable(c) => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Text with U+FFFD for each character that XML cannot hold, for whatever repeats what a client wrote: s3s answers
/// 500 to everything else.
pub(crate) fn writable(text: String) -> String {
    if text.contains(unwritable) { text.replace(unwritable, "\u{fffd}") } else { text }
}

/// Whether XML 1.0 cannot hold this character, not even as a reference (section 2.2, production 2).
pub(crate) fn unwritable(c: char) -> bool {
    (c < ' ' && !matches!(c, '\t' | '\n' | '\r')) || matches!(c, '\u{fffe}' | '\u{ffff}')
}

/// Whether an answer must not have a body (RFC 9110 sections 6.4.1 and 9.3.2).
pub(crate) fn bodiless(method: &Method, status: StatusCode) -> bool {
    *method == Method::HEAD
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
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
            (Error::Unavailable, 503, "ServiceUnavailable"),
            (Error::Full, 507, "InsufficientStorage"),
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

    #[test]
    fn error_bodies_carry_the_ids() {
        let asked = Asked::new(&Method::GET, &http::Uri::from_static("/b"), &HeaderMap::new(), None, None);
        let context =
            Context { resource: "/b/a&b\u{1}", request_id: "R", host_id: "H", region: "r", asked: &asked };
        let completed = complete(b"<Error><Code>X</Code></Error>", &[], &context).unwrap();
        let text = String::from_utf8(completed).unwrap();
        assert!(text.contains("<Message>") && text.contains("<RequestId>R</RequestId><HostId>H</HostId>"));
        assert!(text.contains("<Resource>/b/a&amp;b\u{fffd}</Resource>") && text.ends_with("</Error>"));
        let quoted = b"<Error><Code>X</Code><Message>a &quot;b&quot; &lt;</Message></Error>";
        let text = String::from_utf8(complete(quoted, &[], &context).unwrap()).unwrap();
        assert!(text.contains("<Message>a \"b\" &lt;</Message>"), "MinIO's clients look for the quotes");
        assert!(complete(b"<ListBucketResult/>", &[], &context).is_none());
    }
}
