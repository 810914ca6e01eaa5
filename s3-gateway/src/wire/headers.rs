//! Headers that S3 reads and s3s does not, written as s3s reads them.

use http::HeaderMap;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LANGUAGE, HeaderName, HeaderValue,
};
use time::OffsetDateTime;

use super::signatures::AMZ_DATE;
use crate::dto::fields::text;

/// SigV4 takes the time from `x-amz-date`, or from `Date` where a client signs only that; s3s knows the former.
pub(crate) fn date_as_amz_date(headers: &mut HeaderMap) {
    let version_4 = headers.get(AUTHORIZATION).is_some_and(|value| value.as_bytes().starts_with(b"AWS4-"));
    if !version_4 || headers.contains_key("x-amz-date") {
        return;
    }
    // Python writes UTC as -0000.
    let gmt = text(headers, "date").map(|date| date.replace(" -0000", " GMT").replace(" +0000", " GMT"));
    let Some(date) = gmt.and_then(|date| httpdate::parse_http_date(&date).ok()) else { return };
    let written = OffsetDateTime::from(date).format(AMZ_DATE).ok();
    if let Some(value) = written.and_then(|date| HeaderValue::try_from(date).ok()) {
        headers.insert("x-amz-date", value);
    }
}

/// Joins the headers that are lists, or that S3 joins, and that a client sent in several lines, as the signature
/// joins them: the SDKs for Go and for Java write `Content-Encoding: aws-chunked` beside one of the caller's. s3s
/// refuses a header that comes twice.
pub(crate) fn join_repeated(headers: &mut HeaderMap) {
    if headers.keys_len() == headers.len() {
        return;
    }
    let listed = |name: &HeaderName| {
        [CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LANGUAGE].contains(name)
            || name.as_str().starts_with("x-amz-meta-")
    };
    let names: Vec<_> = headers.keys().filter(|name| listed(name)).cloned().collect();
    for name in names {
        let values: Vec<_> = headers.get_all(&name).iter().map(HeaderValue::as_bytes).collect();
        if values.len() < 2 {
            continue;
        }
        if let Ok(joined) = HeaderValue::from_bytes(&values.join(&b',')) {
            headers.insert(name, joined);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_signed_date_stands_in_for_the_amz_date() {
        let with = |authorization: &'static str, date: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_static(authorization));
            headers.insert("date", HeaderValue::from_static(date));
            date_as_amz_date(&mut headers);
            text(&headers, "x-amz-date").map(str::to_owned)
        };
        for date in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 -0000"] {
            assert_eq!(with("AWS4-HMAC-SHA256 x", date).unwrap(), "19941106T084937Z", "{date}");
        }
        assert_eq!(with("AWS a:b", "Sun, 06 Nov 1994 08:49:37 GMT"), None);
        assert_eq!(with("AWS4-HMAC-SHA256 x", "yesterday"), None);
    }

    #[test]
    fn headers_that_are_lists_may_come_in_several_lines() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("content-encoding", "gzip"),
            ("content-encoding", "aws-chunked"),
            ("x-amz-meta-a", "1"),
            ("x-amz-meta-a", "2"),
            ("content-type", "a/b"),
            ("content-type", "c/d"),
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        join_repeated(&mut headers);
        assert_eq!(text(&headers, "content-encoding"), Some("gzip,aws-chunked"));
        assert_eq!(text(&headers, "x-amz-meta-a"), Some("1,2"));
        assert_eq!(headers.get_all("content-type").iter().count(), 2, "no list: refused behind this");
    }
}
