//! Which requests reach an operation at all.
//!
//! S3 chooses an operation by query keys (`PUT ?tagging`), so a server that ignores a key it does not know
//! runs the plain operation instead: `PUT ?renameObject` would overwrite an object. Here every operation
//! lists the keys it knows. A write with any other key is refused by name, before s3s sees it. A read with one is
//! carried out, as S3 does (`?v=3`, `?utm_source=…`), unless the key names a sub-resource of S3's.

mod operations;

use http::{HeaderMap, Method, StatusCode};

use self::operations::OPERATIONS;
pub(crate) use self::operations::Operation;
use crate::errors::{Refusal, unwritable};

/// What the path of a request names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// `/`.
    Service,
    /// A bucket.
    Bucket,
    /// An object.
    Object,
}

impl Level {
    fn noun(self) -> &'static str {
        match self {
            Self::Service => "the service",
            Self::Bucket => "a bucket",
            Self::Object => "an object",
        }
    }
}

/// Query keys that any request may carry, in lower case: SDK bookkeeping, and the signature's own.
/// The last three are Signature Version 2's, let through so that the refusal can name it.
const COMMON: &[&str] = &[
    "x-id",
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-signedheaders",
    "x-amz-signature",
    "x-amz-content-sha256",
    "x-amz-user-agent",
    "awsaccesskeyid",
    "signature",
    "expires",
];

/// Headers that presigning SDKs move into the query, and that are honoured there.
const HOISTED: &[&str] = &[
    "x-amz-sdk-checksum-algorithm",
    "x-amz-checksum-algorithm",
    "x-amz-checksum-type",
    "x-amz-checksum-mode",
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
    "x-amz-checksum-sha512",
    "x-amz-checksum-md5",
    "x-amz-checksum-xxhash64",
    "x-amz-checksum-xxhash3",
    "x-amz-checksum-xxhash128",
    "x-amz-acl",
    "x-amz-storage-class",
    "x-amz-tagging",
    "x-amz-website-redirect-location",
    "x-amz-object-lock-mode",
    "x-amz-object-lock-retain-until-date",
    "x-amz-object-lock-legal-hold",
    "x-amz-expected-bucket-owner",
];

/// Query keys that hold a number, or `true`. s3s repeats whatever else they hold in its refusal.
const NUMBERS: &[&str] = &[
    "max-buckets",
    "max-keys",
    "max-parts",
    "max-uploads",
    "part-number-marker",
    "partNumber",
    "fetch-owner",
];

/// Headers beside `x-amz-…` that the SDK for JavaScript 2 writes into the query of a presigned put. They count as the
/// headers they name, in any case.
const PRESIGNED: &[&str] = &[
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-md5",
    "content-type",
    "expires",
    "if-match",
    "if-none-match",
];

/// Selectors that are no sub-resources by themselves: applications use such keys for their own ends.
const NO_SUB_RESOURCES: &[&str] =
    &["id", "annotationName", "list-type", "max-directory-buckets", "partNumber"];

/// Which operations read hoisted headers: the others would ignore them.
const HOISTING: &[&str] = &["GetObject", "HeadObject", "PutObject", "UploadPart", "CreateMultipartUpload"];

/// Which of them store an object or a part.
const WRITING: &[&str] = &["PutObject", "UploadPart", "CreateMultipartUpload"];

/// Whether `key` is a header in the query that the gateway honours there.
pub(crate) fn is_hoisted(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    HOISTED.contains(&key.as_str()) || key.strip_prefix("x-amz-meta-").is_some_and(|name| !name.is_empty())
}

/// The header, in lower case, that `key` of a presigned query names, if a put reads it there.
pub(crate) fn presigned_header(key: &str, query: &[(String, String)]) -> Option<&'static str> {
    let key = key.to_ascii_lowercase();
    let version_4 = query.iter().any(|(key, _)| key == "X-Amz-Signature");
    let presigned = version_4 || query.iter().any(|(key, _)| key == "Signature");
    // With version 2, `Expires` is when the URL ends.
    let named = PRESIGNED.iter().find(|name| **name == key && (version_4 || **name != "expires"));
    named.copied().filter(|_| presigned)
}

/// Whether `key` selects an operation of S3's.
fn is_sub_resource(key: &str) -> bool {
    !NO_SUB_RESOURCES.contains(&key) && OPERATIONS.iter().any(|operation| operation.selectors.contains(&key))
}

/// Whether this request changes nothing.
fn reads(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// The names of all operations that are carried out.
pub(crate) fn offered_names() -> impl Iterator<Item = &'static str> {
    OPERATIONS.iter().filter(|operation| operation.offered).map(|operation| operation.name)
}

/// `name`, if it is that of an operation that is refused.
fn refused_name(name: &str) -> Option<&'static str> {
    OPERATIONS.iter().find(|operation| !operation.offered && operation.name == name).map(|op| op.name)
}

/// The keys and values of a query string, decoded.
pub(crate) fn query_pairs(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode_query(key), decode_query(value))
        })
        .collect()
}

fn decode_query(text: &str) -> String {
    if !text.contains(['%', '+']) {
        return text.to_owned();
    }
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

/// The operation that a request selects, if the gateway offers it and knows every query key.
pub(crate) fn admit(
    method: &Method,
    level: Level,
    query: &[(String, String)],
) -> Result<&'static Operation, Refusal> {
    let has = |key: &str| query.iter().any(|(present, _)| present == key);
    if let Some(refusal) = misused(method, level, has) {
        return Err(refusal);
    }
    let operation = OPERATIONS
        .iter()
        .find(|op| op.method == *method && op.level == level && op.selectors.iter().all(|key| has(key)))
        .ok_or_else(|| nothing_selected(method, level, query))?;
    for (key, value) in query {
        if key.is_empty() && value.is_empty() {
            continue;
        }
        let header = key.to_ascii_lowercase();
        let known = operation.selectors.contains(&key.as_str())
            || operation.params.contains(&key.as_str())
            || COMMON.contains(&header.as_str())
            || (HOISTING.contains(&operation.name) && is_hoisted(key))
            || (WRITING.contains(&operation.name) && presigned_header(key, query).is_some())
            || (reads(method)
                && !is_sub_resource(key)
                && header != "x-amz-security-token"
                && refused_header(&header).is_none())
            // What a refused operation would have known does not matter: its own name says more.
            || (!operation.offered && !operation.selectors.is_empty());
        if NUMBERS.contains(&key.as_str()) && value.contains(unwritable) {
            let refusal = Refusal::invalid_argument(format!("The value of {key} is not valid."));
            return Err(refusal.with("ArgumentName", key).with("ArgumentValue", value));
        }
        if !known {
            return Err(if key.eq_ignore_ascii_case("x-amz-security-token") {
                Refusal::invalid_token()
            } else {
                Refusal::not_implemented(format!(
                    "The query parameter {} is not implemented for {}.",
                    quoted(key),
                    operation.name
                ))
            });
        }
    }
    // SDKs say which operation they mean; a refused one may look like another (directory buckets are listed
    // as buckets are).
    let meant = query.iter().find(|(key, _)| key == "x-id").and_then(|(_, name)| refused_name(name));
    if let Some(name) = meant.or((!operation.offered).then_some(operation.name)) {
        return Err(Refusal::not_implemented(format!("{name} is not implemented.")));
    }
    match query.iter().find(|(key, _)| key == "list-type") {
        Some((key, value)) if value != "2" => {
            let refusal = Refusal::invalid_argument("list-type must be 2.");
            Err(refusal.with("ArgumentName", key).with("ArgumentValue", value))
        }
        _ => Ok(operation),
    }
}

/// Keys of S3's that select nothing here, and that S3 answers with an error of their own.
fn misused(method: &Method, level: Level, has: impl Fn(&str) -> bool) -> Option<Refusal> {
    let bad = |message: &str| Some(Refusal::new(StatusCode::BAD_REQUEST, "InvalidRequest", message));
    match *method {
        _ if level != Level::Object => None,
        Method::PUT if has("partNumber") && !has("uploadId") => {
            let why = "This operation does not accept partNumber without uploadId";
            let refusal = Refusal::invalid_argument(why).with("ArgumentName", "partNumber");
            Some(refusal.with("ArgumentValue", "partNumber"))
        }
        Method::PUT if has("uploadId") && !has("partNumber") => {
            let why = "The specified method is not allowed against this resource.";
            Some(Refusal::method_not_allowed(why.to_owned()).with("ResourceType", "UPLOAD"))
        }
        Method::GET if has("uploads") && !has("uploadId") => {
            bad("Key is not expected for the GET method ?uploads subresource")
        }
        Method::GET if has("versions") => {
            bad("There is no such thing as the ?versions sub-resource for a key")
        }
        _ => None,
    }
}

/// No operation at all: 501 if a key asks for one that we do not know, 405 if the request is plain.
fn nothing_selected(method: &Method, level: Level, query: &[(String, String)]) -> Refusal {
    let noun = level.noun();
    match query.iter().find(|(key, _)| !COMMON.contains(&key.to_ascii_lowercase().as_str())) {
        Some((key, _)) => Refusal::not_implemented(format!(
            "{method} with the query parameter {} is not implemented on {noun}.",
            quoted(key)
        )),
        None => Refusal::method_not_allowed(format!("{method} is not available on {noun}.")),
    }
}

/// A client's own text in a message: shortened, and without characters that XML cannot hold.
pub(crate) fn quoted(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// Headers that would change what the request means, and that are not offered. Never accepted and ignored.
/// A name that ends in `-` stands for all that begin with it.
const REFUSED_HEADERS: &[(&str, &str)] = &[
    ("x-amz-server-side-encryption", "Nothing is encrypted at rest here: server-side encryption"),
    ("x-amz-server-side-encryption-", "Nothing is encrypted at rest here: server-side encryption"),
    ("x-amz-copy-source-server-side-encryption-", "Server-side encryption with customer keys"),
    ("x-amz-bucket-object-lock-token", "A token for object lock"),
    ("x-amz-write-offset-bytes", "Appending to an object"),
    ("x-amz-rename-source-", "RenameObject"),
    ("x-amz-annotation-", "Annotations"),
    ("x-amz-request-route", "WriteGetObjectResponse"),
    ("x-amz-bucket-namespace", "A namespace of buckets"),
    ("x-amz-if-match-initiated-time", "A condition on the beginning of an upload"),
];

/// Headers that S3 has, and that change nothing here but what is said of them elsewhere. A name that ends in `-`
/// stands for all that begin with it. What is not here may change what a write does, and refuses it.
const KNOWN_HEADERS: &[&str] = &[
    // Signatures and SDKs.
    "x-amz-algorithm",
    // The SDK for C++ sends it with everything.
    "x-amz-api-version",
    "x-amz-content-sha256",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-region-set",
    "x-amz-signature",
    "x-amz-signedheaders",
    "x-amz-user-agent",
    "x-amz-decoded-content-length",
    "x-amz-trailer",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-te",
    // Of reads alone.
    "x-amz-max-parts",
    "x-amz-object-attributes",
    "x-amz-optional-object-attributes",
    "x-amz-part-number-marker",
    // Proxies, of Amazon too.
    "x-amz-cf-",
    "x-amz-id-2",
    "x-amz-request-id",
    // What is stored.
    "x-amz-acl",
    "x-amz-grant-full-control",
    "x-amz-grant-read",
    "x-amz-grant-read-acp",
    "x-amz-grant-write",
    "x-amz-grant-write-acp",
    "x-amz-meta-",
    "x-amz-checksum-algorithm",
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-mode",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
    "x-amz-checksum-sha512",
    "x-amz-checksum-md5",
    "x-amz-checksum-xxhash64",
    "x-amz-checksum-xxhash3",
    "x-amz-checksum-xxhash128",
    "x-amz-checksum-type",
    "x-amz-object-lock-legal-hold",
    "x-amz-object-lock-mode",
    "x-amz-object-lock-retain-until-date",
    "x-amz-object-ownership",
    "x-amz-bucket-object-lock-enabled",
    "x-amz-storage-class",
    "x-amz-tagging",
    "x-amz-tagging-directive",
    "x-amz-metadata-directive",
    "x-amz-website-redirect-location",
    "x-amz-mp-object-size",
    "x-amz-transition-default-minimum-object-size",
    // Copies.
    "x-amz-copy-source",
    "x-amz-copy-source-range",
    "x-amz-copy-source-if-match",
    "x-amz-copy-source-if-modified-since",
    "x-amz-copy-source-if-none-match",
    "x-amz-copy-source-if-unmodified-since",
    // Conditions and rights.
    "x-amz-bypass-governance-retention",
    "x-amz-confirm-remove-self-bucket-access",
    "x-amz-expected-bucket-owner",
    "x-amz-source-expected-bucket-owner",
    "x-amz-mfa",
    "x-amz-request-payer",
];

/// Headers of MinIO's own. Its clients ask by them for what S3 has not: `x-minio-force-delete` deletes all under a
/// prefix, or a bucket with all in it.
const MINIO: &str = "x-minio-";

/// Conditions that S3 has on one operation; the others would ignore them.
const DELETE_CONDITIONS: &[&str] = &["x-amz-if-match-last-modified-time", "x-amz-if-match-size"];

fn is_in(list: &[&str], name: &str) -> bool {
    list.iter().any(|known| name == *known || (known.ends_with('-') && name.starts_with(known)))
}

/// Which operations lock what they write: the others would ignore the headers. A copy is a put here.
const LOCKING: &[&str] = &["PutObject", "CreateMultipartUpload"];

/// What `x-amz-object-ownership` may say on S3.
const OWNERSHIPS: [&str; 3] = ["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"];

/// Which operations copy where a source is named.
const COPYING: &[&str] = &["PutObject", "UploadPart"];

/// What a form posts: an object, whose fields are a put's headers.
pub(crate) fn put_object() -> Option<&'static Operation> {
    OPERATIONS.iter().find(|operation| operation.name == "PutObject")
}

/// What a header asks for that is not offered.
fn refused_header(name: &str) -> Option<&'static str> {
    let refused = REFUSED_HEADERS
        .iter()
        .find(|(header, _)| if header.ends_with('-') { name.starts_with(header) } else { name == *header });
    refused.map(|(_, what)| *what)
}

/// Refuses a request whose headers ask for what is not offered. ACLs are looked at later, by [`crate::acl`]:
/// what is said of them depends on the bucket.
pub(crate) fn check_headers(operation: &Operation, headers: &HeaderMap) -> Result<(), Refusal> {
    let extending = |name: &&str| name.starts_with("x-amz-") || name.starts_with(MINIO);
    for name in headers.keys().map(http::HeaderName::as_str).filter(extending) {
        let lockless = (name.starts_with("x-amz-object-lock-") && !LOCKING.contains(&operation.name))
            || (name == "x-amz-bucket-object-lock-enabled" && operation.name != "CreateBucket");
        if lockless {
            return Err(Refusal::not_implemented(format!(
                "Object lock is not implemented for {} (header {name}).",
                operation.name
            )));
        }
        if name == "x-amz-security-token" {
            return Err(Refusal::invalid_token());
        }
        if let Some(what) = refused_header(name) {
            let refusal = Refusal::not_implemented(format!("{what} is not implemented (header {name})."));
            return Err(refusal.with("Header", name));
        }
        if name == "x-amz-copy-source" && !COPYING.contains(&operation.name) {
            let refusal =
                Refusal::invalid_argument("You can only specify a copy source header for copy requests.");
            return Err(refusal.with("ArgumentName", name));
        }
        let reads = matches!(operation.method, Method::GET | Method::HEAD);
        let conditional = operation.name == "DeleteObject" && DELETE_CONDITIONS.contains(&name);
        if !reads && !conditional && !is_in(KNOWN_HEADERS, name) {
            let what = format!("The header {} is not implemented for {}.", quoted(name), operation.name);
            return Err(Refusal::not_implemented(what).with("Header", name));
        }
    }
    let ownership = headers.get_all("x-amz-object-ownership");
    let known =
        |value: &&http::HeaderValue| OWNERSHIPS.iter().any(|name| value.as_bytes() == name.as_bytes());
    if let Some(wrong) = ownership.iter().find(|value| !known(value)) {
        let wrong = String::from_utf8_lossy(wrong.as_bytes()).into_owned();
        let message = format!("Invalid x-amz-object-ownership header: {}", quoted(&wrong));
        return Err(Refusal::invalid_argument(message).with("ArgumentName", "x-amz-object-ownership"));
    }
    if ownership.iter().any(|value| value.as_bytes() != b"BucketOwnerEnforced") {
        return Err(Refusal::not_implemented(
            "Object ownership other than BucketOwnerEnforced is not implemented.",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::Level::{Bucket, Object, Service};
    use super::*;

    fn operation(name: &str) -> &'static Operation {
        OPERATIONS.iter().find(|operation| operation.name == name).unwrap()
    }

    fn decide(method: &Method, level: Level, query: &str) -> Result<&'static str, Refusal> {
        admit(method, level, &query_pairs(query)).map(|operation| operation.name)
    }

    #[test]
    fn operations_are_chosen_by_their_keys() {
        let chosen = [
            (Method::GET, Service, "", "ListBuckets"),
            (Method::GET, Bucket, "list-type=2&prefix=a%2F&delimiter=", "ListObjectsV2"),
            (Method::GET, Bucket, "marker=a+b&max-keys=0", "ListObjects"),
            (Method::GET, Bucket, "uploads", "ListMultipartUploads"),
            (Method::GET, Bucket, "location=", "GetBucketLocation"),
            (Method::POST, Bucket, "delete", "DeleteObjects"),
            (Method::PUT, Object, "x-id=PutObject", "PutObject"),
            (Method::PUT, Object, "partNumber=1&uploadId=x", "UploadPart"),
            (Method::POST, Object, "uploads=", "CreateMultipartUpload"),
            (Method::GET, Object, "versionId=null&response-content-type=a", "GetObject"),
            (
                Method::GET,
                Object,
                "X-Amz-Signature=a&X-Amz-Expires=5&x-amz-checksum-mode=ENABLED",
                "GetObject",
            ),
            (Method::PUT, Object, "X-Amz-Signature=a&x-amz-meta-a=b", "PutObject"),
        ];
        for (method, level, query, name) in chosen {
            assert_eq!(decide(&method, level, query).unwrap(), name, "{method} {query}");
        }
    }

    /// S3 ignores what it does not know, where nothing is changed.
    #[test]
    fn reads_ignore_unknown_keys_but_no_sub_resource() {
        for (method, level, plain) in [
            (Method::GET, Object, "GetObject"),
            (Method::HEAD, Object, "HeadObject"),
            (Method::GET, Bucket, "ListObjects"),
            (Method::HEAD, Bucket, "HeadBucket"),
            (Method::GET, Service, "ListBuckets"),
        ] {
            for key in
                ["v=3", "utm_source=x", "Version=2006-03-01", "20260101", "x-my-key=1", "id=7", "X-Amz-Foo=1"]
            {
                assert_eq!(decide(&method, level, key).unwrap(), plain, "{method} ?{key}");
            }
            for key in ["renameObject", "torrent", "restore", "delete"] {
                if level != Service {
                    assert_eq!(
                        decide(&method, level, key).map_err(|r| r.status.as_u16()),
                        Err(501),
                        "{method} ?{key}"
                    );
                }
            }
        }
        let token = decide(&Method::GET, Object, "X-Amz-Security-Token=x").unwrap_err();
        assert_eq!(token.code, "InvalidToken");
        let key = "x-amz-server-side-encryption-customer-key=x";
        assert_eq!(decide(&Method::GET, Object, key).unwrap_err().status, 501);
    }

    #[test]
    fn headers_in_the_query_of_a_presigned_put_are_known() {
        for key in PRESIGNED {
            for query in
                [format!("X-Amz-Signature=a&{key}=b"), format!("Signature=a&{}=b", key.to_uppercase())]
            {
                assert!(decide(&Method::PUT, Object, &query).is_ok(), "{query}");
            }
            if *key != "expires" {
                assert_eq!(
                    decide(&Method::PUT, Object, &format!("{key}=b")).unwrap_err().status,
                    501,
                    "{key}"
                );
            }
        }
        let query = query_pairs("X-Amz-Signature=a&Expires=b");
        assert_eq!(presigned_header("Expires", &query), Some("expires"));
        assert_eq!(presigned_header("Expires", &query_pairs("Signature=a&Expires=1")), None);
        assert_eq!(decide(&Method::DELETE, Object, "X-Amz-Signature=a&If-Match=b").unwrap_err().status, 501);
    }

    /// The point of the list: no key that is not known may fall through to a plain write.
    #[test]
    fn unknown_keys_of_writes_are_refused_by_name() {
        for method in [Method::PUT, Method::POST, Method::DELETE] {
            for level in [Service, Bucket, Object] {
                for key in ["futureThing", "Tagging", "RENAMEOBJECT", "intelligent-tiering2"] {
                    let Err(refusal) = decide(&method, level, &format!("{key}=1")) else {
                        panic!("{method} ?{key} on {level:?} was let through")
                    };
                    assert!(matches!(refusal.status.as_u16(), 501 | 405), "{method} {key}");
                    assert!(refusal.status != 501 || refusal.message.contains(key) || method == Method::POST);
                }
            }
        }
    }

    /// A selector of one operation never runs another, and half of a pair of selectors runs nothing.
    #[test]
    fn selectors_never_fall_through_to_the_plain_operation() {
        let plain = ["PutObject", "GetObject", "DeleteObject", "HeadObject", "CreateBucket", "DeleteBucket"];
        let keys: std::collections::BTreeSet<_> =
            OPERATIONS.iter().flat_map(|operation| operation.selectors).collect();
        for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE] {
            for level in [Bucket, Object] {
                for key in &keys {
                    if reads(&method) && NO_SUB_RESOURCES.contains(key) {
                        continue;
                    }
                    if let Ok(name) = decide(&method, level, key) {
                        assert!(!plain.contains(&name), "{method} ?{key} ran {name}");
                    }
                }
            }
        }
    }

    #[test]
    fn refused_operations_are_named() {
        for operation in OPERATIONS.iter().filter(|operation| !operation.offered) {
            let query = format!("{}&more=1", operation.selectors.join("&"));
            let query = if operation.selectors.is_empty() { "" } else { &query };
            let refusal = decide(&operation.method, operation.level, query).unwrap_err();
            assert_eq!(refusal.status, 501);
            assert!(refusal.message.contains(operation.name), "{}", refusal.message);
        }
        let directories = decide(&Method::GET, Service, "x-id=ListDirectoryBuckets").unwrap_err();
        assert!(directories.message.contains("ListDirectoryBuckets"), "{}", directories.message);
        assert!(decide(&Method::PUT, Object, "x-id=CopyObject").is_ok());
    }

    #[test]
    fn headers_that_cannot_be_honoured_are_refused() {
        let (put, get) = (operation("PutObject"), operation("GetObject"));
        let with_on = |operation: &Operation, name: &'static str, value: &'static str| {
            check_headers(
                operation,
                &[(http::HeaderName::from_static(name), http::HeaderValue::from_static(value))]
                    .into_iter()
                    .collect(),
            )
        };
        let with = |name, value| with_on(put, name, value);
        for name in [
            "x-amz-server-side-encryption",
            "x-amz-server-side-encryption-customer-key",
            "x-amz-bucket-object-lock-enabled",
            "x-amz-write-offset-bytes",
            "x-amz-checksum-blake3",
            "x-minio-force-delete",
        ] {
            assert_eq!(with(name, "v").unwrap_err().status, 501, "{name}");
        }
        assert_eq!(with_on(get, "x-amz-object-lock-mode", "GOVERNANCE").unwrap_err().status, 501);
        assert!(with("x-amz-object-lock-mode", "GOVERNANCE").is_ok());
        assert!(with_on(operation("CreateBucket"), "x-amz-bucket-object-lock-enabled", "true").is_ok());
        assert!(with("x-amz-acl", "private").is_ok());
        assert!(with("x-amz-checksum-sha256", "v").is_ok());
        assert!(with("x-amz-meta-object-lock-mode", "v").is_ok());
        for name in [
            "x-amz-bucket-namespace",
            "x-amz-if-match-initiated-time",
            "x-amz-if-match-size",
            "x-amz-future-thing",
            "x-amz-copy-source-future",
        ] {
            let refusal = with(name, "v").unwrap_err();
            assert!(refusal.status == 501 && refusal.message.contains(name), "{name}: {}", refusal.message);
            assert_eq!(refusal.members, [("Header".to_owned(), name.to_owned())]);
        }
        assert!(with_on(get, "x-amz-future-thing", "v").is_ok(), "a read of nothing else");
        assert!(with_on(operation("DeleteObject"), "x-amz-if-match-size", "1").is_ok());
        assert!(with_on(operation("DeleteObjects"), "x-amz-if-match-size", "1").is_err());
    }
}
