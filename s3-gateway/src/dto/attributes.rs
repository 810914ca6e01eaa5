//! An object's attributes, from request headers.

use http::HeaderMap;
use juststorage_core::domain::object::{Attributes, Headers, Tags, UserMetadata};
use juststorage_core::domain::storage_class::{ClassName, StorageClass};
use s3s::S3Result;
use s3s::dto::{Metadata, Tag};

use super::fields::text;
use crate::errors::{bad_request, with_member, writable, wrong_argument};

/// Headers, metadata, tags and class of a write. `metadata` is what s3s decoded (RFC 2047 included).
pub(crate) fn attributes(headers: &HeaderMap, metadata: Option<Metadata>) -> S3Result<Attributes> {
    let (class, class_name) = storage_class(headers)?.unzip();
    check_redirect(headers)?;
    Ok(Attributes {
        headers: stored_headers(headers),
        metadata: user_metadata(headers, metadata),
        tags: text(headers, "x-amz-tagging").map(tags).transpose()?.unwrap_or_default(),
        class,
        class_name: class_name.flatten(),
        lock: super::lock::asked(headers)?,
        acl: super::acl::asked(headers),
    })
}

/// Refuses a redirect that leads nowhere.
pub(crate) fn check_redirect(headers: &HeaderMap) -> S3Result<()> {
    match text(headers, "x-amz-website-redirect-location") {
        Some(target) if !["/", "http://", "https://"].iter().any(|begin| target.starts_with(begin)) => {
            Err(bad_request(
                "InvalidRedirectLocation",
                "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.",
            ))
        }
        _ => Ok(()),
    }
}

/// The standard headers that are stored.
pub(crate) fn stored_headers(headers: &HeaderMap) -> Headers {
    let own = |name: &str| text(headers, name).map(str::to_owned);
    Headers {
        content_type: own("content-type"),
        content_encoding: super::fields::joined(headers, "content-encoding")
            .as_deref()
            .and_then(content_encoding),
        content_language: own("content-language"),
        content_disposition: own("content-disposition"),
        cache_control: own("cache-control"),
        expires: own("expires"),
        website_redirect: own("x-amz-website-redirect-location"),
    }
}

/// `Content-Encoding` without `aws-chunked`, which describes the framing of the body and not its content.
fn content_encoding(value: &str) -> Option<String> {
    let kept: Vec<_> = value
        .split(',')
        .map(str::trim)
        .filter(|token| !token.is_empty() && !token.eq_ignore_ascii_case("aws-chunked"))
        .collect();
    (!kept.is_empty()).then(|| kept.join(", "))
}

/// User metadata: from the headers as s3s decoded them, and from a presigned URL's query.
pub(crate) fn user_metadata(headers: &HeaderMap, decoded: Option<Metadata>) -> UserMetadata {
    let mut metadata: UserMetadata = headers
        .iter()
        .filter_map(|(name, value)| {
            let name = name.as_str().strip_prefix("x-amz-meta-").filter(|name| !name.is_empty())?;
            Some((name.to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        })
        .collect();
    metadata.extend(decoded.into_iter().flatten().map(|(name, value)| (name.to_ascii_lowercase(), value)));
    metadata
}

/// `x-amz-tagging`: tags written as a URL's query. One that is none, or names a tag twice, is a wrong header; what a tag
/// may hold is judged as in a document.
pub(crate) fn tags(header: &str) -> S3Result<Tags> {
    let pairs = crate::query::query_pairs(header);
    let mut keys: Vec<_> = pairs.iter().map(|(key, _)| key.as_ref()).collect();
    keys.sort_unstable();
    let twice = keys.windows(2).any(|pair| pair[0] == pair[1]);
    if twice || keys.contains(&"") || !is_encoded(header) {
        let why = "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters \
                   without tag name duplicates.";
        return Err(wrong_argument("x-amz-tagging", header, why));
    }
    let mut tags = Tags::new();
    for (key, value) in pairs {
        insert(&mut tags, key.into_owned(), value.into_owned())?;
    }
    Ok(tags)
}

/// Whether every `%` begins an octet, and all octets are UTF-8.
pub(crate) fn is_encoded(text: &str) -> bool {
    let octet =
        |rest: &str| rest.as_bytes().get(..2).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
    text.split('%').skip(1).all(octet) && percent_encoding::percent_decode_str(text).decode_utf8().is_ok()
}

/// S3 accepts letters, numbers, spaces and some signs, and reserves keys that begin with `aws:` ("Categorizing your
/// storage using tags").
fn insert(tags: &mut Tags, key: String, value: String) -> S3Result<()> {
    let other =
        |c: char| !c.is_alphanumeric() && !"+-=._:/@".contains(c) && (!c.is_whitespace() || c.is_control());
    let wrong = if key.contains(other) || key.to_ascii_lowercase().starts_with("aws:") {
        Some(
            "The TagKey you have provided is invalid: it contains a character that is not allowed, or begins with aws:",
        )
    } else if value.contains(other) {
        Some("The TagValue you have provided is invalid: it contains a character that is not allowed")
    } else {
        None
    };
    if let Some(why) = wrong {
        let error = with_member(bad_request("InvalidTag", why), "TagKey", &key);
        return Err(with_member(error, "TagValue", &value));
    }
    match tags.insert(key, value) {
        Some(_) => Err(bad_request("InvalidTag", "Cannot provide multiple Tags with the same key")),
        None => Ok(()),
    }
}

/// The tags of an XML document.
pub(crate) fn tag_set(set: Vec<Tag>) -> S3Result<Tags> {
    let mut tags = Tags::new();
    for tag in set {
        insert(&mut tags, tag.key.unwrap_or_default(), tag.value.unwrap_or_default())?;
    }
    Ok(tags)
}

/// Tags for an answer.
pub(crate) fn write_tags(tags: &Tags) -> Vec<Tag> {
    // The native API takes any text, and forms, headers and lifecycle rules once did.
    let text = |text: &String| Some(writable(text.clone()));
    tags.iter().map(|(key, value)| Tag { key: text(key), value: text(value) }).collect()
}

/// `x-amz-storage-class`: S3's names for the two tiers. `REDUCED_REDUNDANCY` is stored like `STANDARD`. Other classes
/// are refused, because their promises cannot be kept.
pub(crate) fn storage_class(headers: &HeaderMap) -> S3Result<Option<(StorageClass, Option<ClassName>)>> {
    match text(headers, "x-amz-storage-class") {
        None => Ok(None),
        Some("STANDARD") => Ok(Some((StorageClass::Hot, None))),
        Some("STANDARD_IA") => Ok(Some((StorageClass::Cold, None))),
        Some(other) => {
            if let Some(name) = ClassName::ALL.into_iter().find(|name| name.as_str() == other) {
                return Ok(Some((name.class(), Some(name))));
            }
            let error = bad_request("InvalidStorageClass", "The storage class you specified is not valid.");
            Err(with_member(error, "StorageClassRequested", other))
        }
    }
}

/// `x-amz-metadata-directive` and `x-amz-tagging-directive`: whether to replace.
pub(crate) fn replaces(headers: &HeaderMap, name: &str) -> S3Result<bool> {
    match text(headers, name) {
        None | Some("COPY") => Ok(false),
        Some("REPLACE") => Ok(true),
        Some(other) => {
            Err(wrong_argument(name, other, format!("Unknown directive: {name} must be COPY or REPLACE.")))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::dto::headers;

    #[test]
    fn aws_chunked_is_framing_and_not_stored() {
        for (sent, stored) in [
            ("aws-chunked", None),
            ("gzip,aws-chunked", Some("gzip")),
            ("aws-chunked, gzip", Some("gzip")),
            ("gzip", Some("gzip")),
            ("", None),
        ] {
            let stored_now = stored_headers(&headers(&[("content-encoding", sent)])).content_encoding;
            assert_eq!(stored_now.as_deref(), stored, "{sent}");
        }
    }

    #[test]
    fn two_tiers_have_four_names() {
        let class = |name| storage_class(&headers(&[("x-amz-storage-class", name)]));
        for (name, tier, kept) in [
            ("STANDARD", StorageClass::Hot, None),
            ("REDUCED_REDUNDANCY", StorageClass::Hot, Some(ClassName::ReducedRedundancy)),
            ("STANDARD_IA", StorageClass::Cold, None),
            ("GLACIER_IR", StorageClass::Cold, Some(ClassName::GlacierInstant)),
        ] {
            assert_eq!(class(name).unwrap(), Some((tier, kept)));
            assert_eq!(crate::dto::values::class(tier, kept), name);
        }
        for refused in [
            "OUTPOSTS",
            "EXPRESS_ONEZONE",
            "INTELLIGENT_TIERING",
            "GLACIER",
            "DEEP_ARCHIVE",
            "standard",
            "ONEZONE_IA",
        ] {
            assert_eq!(class(refused).unwrap_err().code().as_str(), "InvalidStorageClass", "{refused}");
        }
        assert_eq!(storage_class(&HeaderMap::new()).unwrap(), None);
    }

    #[test]
    fn redirects_lead_somewhere() {
        let check = |target| check_redirect(&headers(&[("x-amz-website-redirect-location", target)]));
        for good in ["/other", "http://a", "https://a/b"] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in ["google.com", "ftp://a", "httpx://a"] {
            assert_eq!(check(bad).unwrap_err().code().as_str(), "InvalidRedirectLocation", "{bad}");
        }
        assert!(check_redirect(&HeaderMap::new()).is_ok());
    }

    #[test]
    fn tags_are_written_as_a_query() {
        let read = tags("a=1&b%2Fc=x+y&empty=").unwrap();
        assert_eq!(read["a"], "1");
        assert_eq!(read["b/c"], "x y");
        assert_eq!(read["empty"], "");
        assert!(tags("&&").unwrap().is_empty());
        for wrong in ["a=1&a=2", "=", "=1", "a%", "a%2", "a=%zz", "a=%ff"] {
            assert_eq!(tags(wrong).unwrap_err().code().as_str(), "InvalidArgument", "{wrong}");
        }
        for wrong in ["a?=1", "a=1!", "aws:a=1"] {
            assert_eq!(tags(wrong).unwrap_err().code().as_str(), "InvalidTag", "{wrong}");
        }
    }

    #[test]
    fn metadata_is_what_s3s_decoded() {
        let raw = headers(&[("x-amz-meta-a", "=?UTF-8?B?w6Q=?="), ("x-amz-meta-q", "plain"), ("other", "x")]);
        let decoded = [("a".to_owned(), "ä".to_owned())].into_iter().collect();
        let metadata = user_metadata(&raw, Some(decoded));
        assert_eq!(metadata["a"], "ä");
        assert_eq!(metadata["q"], "plain");
        assert_eq!(metadata.len(), 2);
    }
}
