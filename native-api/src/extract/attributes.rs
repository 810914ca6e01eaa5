//! An object's attributes, from a request's headers.

use http::HeaderMap;
use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, EXPIRES,
};
use juststorage_core::domain::invalid::Invalid;
use juststorage_core::domain::object::{Attributes, Headers, UserMetadata};
use juststorage_core::domain::storage_class::StorageClass;

use super::call::header;
use crate::render::META_PREFIX;

/// The standard headers, `X-Meta-*` and `X-Storage-Class`.
pub(crate) fn attributes(headers: &HeaderMap) -> Result<Attributes, Invalid> {
    let read = |name: http::HeaderName, field: &'static str| {
        let values = headers.get_all(name);
        joined(values.iter().map(http::HeaderValue::as_bytes), field)
    };
    let standard = Headers {
        content_type: read(CONTENT_TYPE, "content_type")?,
        content_encoding: read(CONTENT_ENCODING, "content_encoding")?,
        content_language: read(CONTENT_LANGUAGE, "content_language")?,
        content_disposition: read(CONTENT_DISPOSITION, "content_disposition")?,
        cache_control: read(CACHE_CONTROL, "cache_control")?,
        expires: read(EXPIRES, "expires")?,
        website_redirect: None,
    };
    let mut metadata = UserMetadata::new();
    for name in headers.keys() {
        let Some(short) = name.as_str().strip_prefix(META_PREFIX) else { continue };
        let values = headers.get_all(name);
        if let Some(value) = joined(values.iter().map(http::HeaderValue::as_bytes), "metadata")? {
            metadata.insert(short.to_owned(), value);
        }
    }
    let class = header(headers, "X-Storage-Class")?.map(StorageClass::parse).transpose()?;
    Ok(Attributes { headers: standard, metadata, class, ..Attributes::default() })
}

/// Several lines of one header are one list (RFC 9110 section 5.3).
fn joined<'h>(
    values: impl Iterator<Item = &'h [u8]>,
    field: &'static str,
) -> Result<Option<String>, Invalid> {
    let lines = values
        .map(std::str::from_utf8)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| Invalid::new(field, "must be UTF-8"))?;
    Ok((!lines.is_empty()).then(|| lines.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn headers_become_attributes() {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("text/plain"));
        headers.insert("x-meta-owner", HeaderValue::from_bytes("zoë".as_bytes()).unwrap());
        headers.append("x-meta-list", HeaderValue::from_static("a"));
        headers.append("x-meta-list", HeaderValue::from_static("b"));
        headers.insert("x-storage-class", HeaderValue::from_static("cold"));
        let read = attributes(&headers).unwrap();
        assert_eq!(read.headers.content_type.as_deref(), Some("text/plain"));
        assert_eq!(read.metadata.get("owner").map(String::as_str), Some("zoë"));
        assert_eq!(read.metadata.get("list").map(String::as_str), Some("a, b"));
        assert_eq!(read.class, Some(StorageClass::Cold));
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let mut headers = HeaderMap::new();
        headers.insert("x-meta-a", HeaderValue::from_bytes(b"\xff").unwrap());
        assert_eq!(attributes(&headers).map_err(|e| e.field), Err("metadata"));
        let mut headers = HeaderMap::new();
        headers.insert("x-storage-class", HeaderValue::from_static("warm"));
        assert_eq!(attributes(&headers).map_err(|e| e.field), Err("storage_class"));
    }
}
