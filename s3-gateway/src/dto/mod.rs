//! Translation between S3's headers and XML and core's values. Nothing here decides.

pub(crate) mod acl;
pub(crate) mod address;
pub(crate) mod attributes;
pub(crate) mod checksums;
pub(crate) mod conditions;
pub(crate) mod fields;
pub(crate) mod lifecycle;
pub(crate) mod lock;
pub(crate) mod values;

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use crate::hoisted::{is_hoisted, presigned_header};
use crate::query::query_pairs;

/// The headers of a request, and those that a presigning SDK moved into the query. The signature covers both. Names
/// other than `x-amz-…` in the query win over headers: the signature covers the query, and need not cover such a
/// header.
///
/// The SDK for JavaScript signs the checksum of an empty body into every put, because it has no body yet. S3 reads no
/// checksum from a query (S3 User Guide, "Download and upload objects with presigned URLs"); here one counts unless
/// it is that of an empty body.
pub(crate) fn effective_headers<'h>(headers: &'h HeaderMap, uri: &Uri) -> Cow<'h, HeaderMap> {
    let Some(query) = uri.query().map(query_pairs) else { return Cow::Borrowed(headers) };
    let mut effective = Cow::Borrowed(headers);
    let void = query.iter().any(|(key, value)| checksums::is_of_nothing(key, value));
    for (key, value) in &query {
        if let Some(name) = presigned_header(key, &query) {
            if let Ok(value) = HeaderValue::from_str(value) {
                effective.to_mut().insert(HeaderName::from_static(name), value);
            }
            continue;
        }
        if !is_hoisted(key) || (void && checksums::is_about(key)) {
            continue;
        }
        let name = HeaderName::try_from(key.to_ascii_lowercase());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value))
            && !effective.contains_key(&name)
        {
            effective.to_mut().insert(name, value);
        }
    }
    effective
}

/// Headers, for tests.
#[cfg(test)]
pub(crate) fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect()
}
