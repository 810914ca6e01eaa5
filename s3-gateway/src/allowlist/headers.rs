//! Headers that a request may have.

use http::HeaderMap;

use crate::errors::Refusal;
use crate::operations::{self, Operation};
use crate::query::quoted;

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
    // Headers that are stored.
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
    "x-amz-object-ownership",
    "x-amz-storage-class",
    "x-amz-tagging",
    "x-amz-tagging-directive",
    "x-amz-metadata-directive",
    "x-amz-website-redirect-location",
    "x-amz-mp-object-size",
    "x-amz-transition-default-minimum-object-size",
    // Copies.
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

fn is_in(list: &[&str], name: &str) -> bool {
    list.iter().any(|known| name == *known || (known.ends_with('-') && name.starts_with(known)))
}

/// Values of `x-amz-object-ownership` on S3.
const OWNERSHIPS: [&str; 3] = ["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"];

/// The feature that a header asks for and that is not offered.
pub(super) fn refused_header(name: &str) -> Option<&'static str> {
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
        if operation.knows(name) {
            continue;
        }
        if name.starts_with("x-amz-object-lock-") || name == "x-amz-bucket-object-lock-enabled" {
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
        if operations::is_selecting_header(name) {
            let refusal =
                Refusal::invalid_argument("You can only specify a copy source header for copy requests.");
            return Err(refusal.with("ArgumentName", name));
        }
        if !operation.reads() && !is_in(KNOWN_HEADERS, name) {
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
