//! Headers in the query: presigning SDKs move them there, and the signature covers them.

use crate::query::QueryPair;

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

/// Headers beside `x-amz-…` that the SDK for JavaScript 2 writes into the query of a presigned put. They count as the
/// headers they name, in any case.
pub(crate) const PRESIGNED: &[&str] = &[
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

/// Whether `key` is a header in the query that the gateway honours there.
pub(crate) fn is_hoisted(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    HOISTED.contains(&key.as_str()) || key.strip_prefix("x-amz-meta-").is_some_and(|name| !name.is_empty())
}

/// The header, in lower case, that `key` of a presigned query names, if a put reads it there.
pub(crate) fn presigned_header(key: &str, query: &[QueryPair<'_>]) -> Option<&'static str> {
    let key = key.to_ascii_lowercase();
    let version_4 = query.iter().any(|(key, _)| key == "X-Amz-Signature");
    let presigned = version_4 || query.iter().any(|(key, _)| key == "Signature");
    // With version 2, `Expires` is when the URL ends.
    let named = PRESIGNED.iter().find(|name| **name == key && (version_4 || **name != "expires"));
    named.copied().filter(|_| presigned)
}
