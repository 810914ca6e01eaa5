//! The members of an error body beside code, message and ids, as S3 has them (S3 API Reference, "Error responses").
//!
//! Some are known where an error is made: [`with_member`] and [`super::Refusal::with`] take those. All others repeat
//! the request, and [`of`] derives them from the code, so that errors of s3s have them too.

use std::fmt::Write as _;
use std::time::SystemTime;

use http::header::{AUTHORIZATION, DATE, HeaderMap, HeaderName, HeaderValue, RANGE};
use http::{Method, Uri};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use s3s::S3Error;

use super::text::escape;
use crate::query::owned_pairs;

/// Carries members from an operation to the answer, through s3s, whose errors know headers and no members. The
/// answer never has it.
const CARRIER: HeaderName = HeaderName::from_static("x-juststorage-error-members");

/// How far a client's clock may be off (s3s, `presigned_url_max_skew_time_secs`).
const SKEW_MAX_MILLISECONDS: &str = "900000";

/// `error` with one more member in its body. A member that is already there stays as it is.
pub(crate) fn with_member(mut error: S3Error, name: &str, value: &str) -> S3Error {
    let mut headers = error.headers().cloned().unwrap_or_default();
    let mut carried =
        headers.get(&CARRIER).and_then(|value| value.to_str().ok()).map(str::to_owned).unwrap_or_default();
    // Writing to a string does not fail.
    let _ = write!(carried, "{name}={}&", utf8_percent_encode(value, NON_ALPHANUMERIC));
    if let Ok(carried) = HeaderValue::try_from(carried) {
        headers.insert(CARRIER, carried);
    }
    error.set_headers(headers);
    error
}

/// Takes the members that an operation gave its error out of the answer's headers.
pub(crate) fn take(headers: &mut HeaderMap) -> Vec<(String, String)> {
    let Some(carried) = headers.remove(&CARRIER) else { return Vec::new() };
    let pairs = carried.to_str().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    pairs.map(|(name, value)| (name.to_owned(), decode(value))).collect()
}

/// The parts of a request that its error may repeat. Taken before s3s consumes the request.
pub(crate) struct Repeatable {
    method: Method,
    uri: Uri,
    bucket: Option<String>,
    key: Option<String>,
    /// Those of [`KEPT`].
    headers: HeaderMap,
    /// The names of all `x-amz-` headers.
    amz: Vec<HeaderName>,
}

/// Conditions on what is written or read, in the order in which they are decided, as S3 spells them.
const CONDITIONS: [&str; 5] = [
    "If-Match",
    "If-None-Match",
    "If-Unmodified-Since",
    "x-amz-if-match-last-modified-time",
    "x-amz-if-match-size",
];

/// Headers that some member repeats.
const KEPT: [&str; 11] = [
    "x-amz-content-sha256",
    "authorization",
    "date",
    "range",
    "x-amz-copy-source-range",
    "x-amz-date",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "x-amz-if-match-last-modified-time",
    "x-amz-if-match-size",
];

impl Repeatable {
    /// Of a request that names `bucket` and `key`.
    pub(crate) fn new(
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        bucket: Option<String>,
        key: Option<String>,
    ) -> Self {
        let mut kept = HeaderMap::new();
        for name in KEPT {
            if let Some(value) = headers.get(name) {
                kept.insert(HeaderName::from_static(name), value.clone());
            }
        }
        let amz = headers.keys().filter(|name| name.as_str().starts_with("x-amz-")).cloned().collect();
        Self { method: method.clone(), uri: uri.clone(), bucket, key, headers: kept, amz }
    }

    fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    }

    /// The value of a key of the query, whose case counts or not.
    fn query(&self, key: &str, any_case: bool) -> Option<String> {
        let pairs = self.uri.query().map(owned_pairs).unwrap_or_default();
        let named = |name: &str| name == key || (any_case && name.eq_ignore_ascii_case(key));
        pairs.into_iter().find(|(name, _)| named(name)).map(|(_, value)| value)
    }

    /// The condition that did not hold. A read fails by the first and the third only.
    fn condition(&self) -> Option<String> {
        let read = matches!(self.method, Method::GET | Method::HEAD);
        let there = |name: &&&str| self.headers.contains_key(**name) && !(read && **name == "If-None-Match");
        CONDITIONS.iter().find(there).map(|name| (*name).to_owned())
    }

    /// The `x-amz-` headers that the signature does not cover.
    fn unsigned(&self) -> String {
        let authorization = self.header(AUTHORIZATION.as_str()).unwrap_or_default();
        let signed = authorization
            .split_once("SignedHeaders=")
            .map(|(_, rest)| rest.split(',').next().unwrap_or_default().trim().to_owned())
            .or_else(|| self.query("x-amz-signedheaders", true))
            .unwrap_or_default();
        let signed: Vec<_> = signed.split(';').collect();
        let names = self.amz.iter().map(HeaderName::as_str).filter(|name| !signed.contains(name));
        names.collect::<Vec<_>>().join(", ")
    }

    fn resource_type(&self) -> &'static str {
        match (&self.bucket, &self.key) {
            (None, _) => "SERVICE",
            (_, None) => "BUCKET",
            _ => "OBJECT",
        }
    }
}

/// The further members of an error body: those that were given, and those that repeat the request.
pub(crate) fn of(
    code: &str,
    message: &str,
    given: &[(String, String)],
    asked: &Repeatable,
    region: &str,
) -> String {
    let derived: Vec<(&str, Option<String>)> = match code {
        "NoSuchKey" => vec![("Key", asked.key.clone())],
        "NoSuchVersion" => {
            vec![("Key", asked.key.clone()), ("VersionId", asked.query("versionId", false))]
        }
        "NoSuchUpload" | "InvalidPart" => vec![("UploadId", asked.query("uploadId", false))],
        "InvalidRange" => {
            let range = asked.header(RANGE.as_str());
            vec![("RangeRequested", range.or_else(|| asked.header("x-amz-copy-source-range")))]
        }
        "InvalidPartNumber" => vec![("PartNumberRequested", asked.query("partNumber", false))],
        "PreconditionFailed" => vec![("Condition", asked.condition())],
        "MethodNotAllowed" => vec![
            ("Method", Some(asked.method.to_string())),
            ("ResourceType", Some(asked.resource_type().to_owned())),
        ],
        "RequestTimeTooSkewed" => {
            let time = asked.header("x-amz-date").or_else(|| asked.query("x-amz-date", true));
            vec![
                ("RequestTime", time.or_else(|| asked.header(DATE.as_str()))),
                ("ServerTime", server_time()),
                ("MaxAllowedSkewMilliseconds", Some(SKEW_MAX_MILLISECONDS.to_owned())),
            ]
        }
        "AuthorizationHeaderMalformed" if message.contains("the region ") => {
            vec![("Region", Some(region.to_owned()))]
        }
        "XAmzContentSHA256Mismatch" => {
            vec![("ClientComputedContentSHA256", asked.header("x-amz-content-sha256"))]
        }
        "AccessDenied" if message.contains("which were not signed") => {
            vec![("HeadersNotSigned", Some(asked.unsigned()))]
        }
        "InvalidArgument" => argument(message),
        "KeyTooLongError" => vec![
            ("Size", asked.key.as_ref().map(|key| key.len().to_string())),
            ("MaxSizeAllowed", Some("1024".to_owned())),
        ],
        code if is_about_bucket(code) => vec![("BucketName", asked.bucket.clone())],
        _ => Vec::new(),
    };
    let mut written = String::new();
    let mut names: Vec<&str> = Vec::new();
    let given = given.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let derived = derived.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?)));
    for (name, value) in given.chain(derived) {
        if !names.contains(&name) {
            names.push(name);
            // Writing to a string does not fail.
            let _ = write!(written, "<{name}>{}</{name}>", escape(value));
        }
    }
    written
}

/// Whether an error with this code is about a bucket, or about what is not set on it.
fn is_about_bucket(code: &str) -> bool {
    const CODES: [&str; 14] = [
        "NoSuchBucket",
        "BucketAlreadyExists",
        "BucketAlreadyOwnedByYou",
        "BucketNotEmpty",
        "InvalidBucketName",
        "NoSuchBucketPolicy",
        "NoSuchCORSConfiguration",
        "NoSuchLifecycleConfiguration",
        "NoSuchTagSet",
        "NoSuchWebsiteConfiguration",
        "ObjectLockConfigurationNotFoundError",
        "OwnershipControlsNotFoundError",
        "ReplicationConfigurationNotFoundError",
        "ServerSideEncryptionConfigurationNotFoundError",
    ];
    CODES.contains(&code) || code == "NoSuchPublicAccessBlockConfiguration"
}

/// The value that s3s could not read, by its message: `invalid header: NAME: "VALUE"` or `invalid query: KEY: VALUE`.
fn argument(message: &str) -> Vec<(&'static str, Option<String>)> {
    let rest = message.strip_prefix("invalid header: ").or_else(|| message.strip_prefix("invalid query: "));
    let Some((name, value)) = rest.and_then(|rest| rest.split_once(": ")) else { return Vec::new() };
    let bare = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    vec![("ArgumentName", Some(name.to_owned())), ("ArgumentValue", Some(bare.to_owned()))]
}

/// `2026-01-02T03:04:05Z`.
fn server_time() -> Option<String> {
    let format = time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    time::OffsetDateTime::from(SystemTime::now()).format(format).ok()
}

#[cfg(test)]
mod tests {
    use super::super::refusal::{invalid_argument, refusal};
    use super::*;
    use crate::errors::Refusal;

    fn asked(method: &Method, target: &'static str, headers: &[(&'static str, &'static str)]) -> Repeatable {
        let headers = crate::dto::headers(headers);
        let (bucket, key) = (Some("b".to_owned()), Some("k&".to_owned()));
        Repeatable::new(method, &Uri::from_static(target), &headers, bucket, key)
    }

    fn derived(code: &str, message: &str, asked: &Repeatable) -> String {
        of(code, message, &[], asked, "eu-1")
    }

    #[test]
    fn members_repeat_the_request() {
        let get = asked(&Method::GET, "/b/k?versionId=v&uploadId=u", &[("range", "bytes=9-")]);
        let cases = [
            ("NoSuchKey", "<Key>k&amp;</Key>"),
            ("NoSuchVersion", "<Key>k&amp;</Key><VersionId>v</VersionId>"),
            ("NoSuchUpload", "<UploadId>u</UploadId>"),
            ("NoSuchBucket", "<BucketName>b</BucketName>"),
            ("InvalidRange", "<RangeRequested>bytes=9-</RangeRequested>"),
            ("AuthorizationHeaderMalformed", ""),
            ("MethodNotAllowed", "<Method>GET</Method><ResourceType>OBJECT</ResourceType>"),
            ("AccessDenied", ""),
        ];
        for (code, members) in cases {
            assert_eq!(derived(code, "", &get), members, "{code}");
        }
        let region = derived("AuthorizationHeaderMalformed", "the region \"/\" is none.", &get);
        assert_eq!(region, "<Region>eu-1</Region>");
        let not_read = r#"invalid header: x-amz-a: "b""#;
        let members = "<ArgumentName>x-amz-a</ArgumentName><ArgumentValue>b</ArgumentValue>";
        assert_eq!(derived("InvalidArgument", not_read, &get), members);
    }

    #[test]
    fn the_condition_that_failed_is_named() {
        let both = &[("if-none-match", "*"), ("if-unmodified-since", "x")];
        let named = |method| derived("PreconditionFailed", "", &asked(method, "/b/k", both));
        assert_eq!(named(&Method::PUT), "<Condition>If-None-Match</Condition>");
        assert_eq!(named(&Method::GET), "<Condition>If-Unmodified-Since</Condition>");
    }

    #[test]
    fn headers_that_are_not_signed_are_named() {
        let message = "There were headers present in the request which were not signed";
        let target = "/b/k?X-Amz-SignedHeaders=host%3Bx-amz-a";
        let presigned = asked(&Method::PUT, target, &[("x-amz-a", "1"), ("x-amz-b", "1"), ("x-amz-c", "1")]);
        let members = "<HeadersNotSigned>x-amz-b, x-amz-c</HeadersNotSigned>";
        assert_eq!(derived("AccessDenied", message, &presigned), members);
        let authorization = "AWS4-HMAC-SHA256 Credential=a, SignedHeaders=host;x-amz-a, Signature=s";
        let headers = [("authorization", authorization), ("x-amz-a", "1"), ("x-amz-b", "1")];
        let signed = asked(&Method::PUT, "/b/k", &headers);
        assert_eq!(derived("AccessDenied", message, &signed), "<HeadersNotSigned>x-amz-b</HeadersNotSigned>");
    }

    #[test]
    fn members_that_were_given_stand_in_the_body_and_in_no_header() {
        let error = with_member(with_member(invalid_argument("No."), "A", "1 & ä\n"), "B", "");
        let mut headers = error.headers().cloned().unwrap_or_default();
        let given = take(&mut headers);
        assert!(headers.is_empty());
        let get = asked(&Method::GET, "/b/k", &[]);
        assert_eq!(of("InvalidArgument", "", &given, &get, ""), "<A>1 &amp; ä\n</A><B></B>");
        let other = [("Key".to_owned(), "other".to_owned())];
        assert_eq!(of("NoSuchKey", "", &other, &get, ""), "<Key>other</Key>", "what is given holds");
        let refused = refusal(Refusal::not_implemented("No.").with("Header", "x-amz-a"));
        let given = take(&mut refused.headers().cloned().unwrap_or_default());
        assert_eq!(given, [("Header".to_owned(), "x-amz-a".to_owned())]);
    }
}
