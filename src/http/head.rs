//! The largest head of a request, and the answer to a larger one.
//!
//! S3 allows 8 KiB of headers and 2 KiB of metadata, which may be hundreds of small entries. Both fronts allow more,
//! and answer a larger head in their own words. hyper's own limits are half as many lines more and twice the bytes,
//! so that real clients do not meet its bare 431.

use axum::body::Body;
use axum::http::{Request, Response, StatusCode};

use super::own_words::own_words;
use super::{Front, RequestId};

/// Most bytes of a request's line and headers. A presigned URL with a long key takes a few more than S3 allows.
const BYTES_MAX: usize = 32 << 10;

/// Most lines of a request's headers.
const LINES_MAX: usize = 1000;

/// Most bytes that hyper reads of a head; its read buffer for bodies is as large.
pub(super) const READ_BYTES_MAX: usize = 64 << 10;

/// Most lines that hyper reads. It makes room for all of them for each head that it parses: about 2 ns a line.
pub(super) const READ_LINES_MAX: usize = 1500;

/// The answer to a request whose head is too large.
pub(super) fn refusal<B>(front: Front, id: &RequestId, request: &Request<B>) -> Option<Response<Body>> {
    let line = request.method().as_str().len()
        + request.uri().path_and_query().map_or(0, |target| target.as_str().len())
        + "  HTTP/1.1\r\n".len();
    let headers = request.headers();
    let lines = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    if headers.len() <= LINES_MAX && line + lines.sum::<usize>() <= BYTES_MAX {
        return None;
    }
    let limits = format!("{} KiB or {LINES_MAX} headers", BYTES_MAX >> 10);
    Some(match front {
        Front::S3 => own_words(
            front,
            id,
            StatusCode::BAD_REQUEST,
            "RequestHeaderSectionTooLarge",
            &format!(
                "Your request header and query parameters used to make the request exceed the maximum allowed size: \
                 {limits}."
            ),
        ),
        Front::Native => own_words(
            front,
            id,
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "headers_too_large",
            &format!("the request's line and headers exceed {limits}"),
        ),
    })
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderName, HeaderValue};

    use super::*;

    fn refused(front: Front, lines: usize, bytes: usize) -> Option<u16> {
        let mut headers: HeaderMap = (0..lines)
            .map(|n| (HeaderName::try_from(format!("x-amz-meta-{n}")).unwrap(), HeaderValue::from_static("")))
            .collect();
        let id = RequestId::of(front, &mut HeaderMap::new());
        headers.insert("x-long", HeaderValue::try_from("x".repeat(bytes)).unwrap());
        let mut request = Request::new(());
        *request.headers_mut() = headers;
        refusal(front, &id, &request).map(|answer| answer.status().as_u16())
    }

    #[test]
    fn many_lines_and_long_ones_are_refused() {
        for (lines, bytes, s3, native) in [
            (0, 30 << 10, None, None),
            (0, 33 << 10, Some(400), Some(431)),
            (999, 0, None, None),
            (1000, 0, Some(400), Some(431)),
        ] {
            assert_eq!(refused(Front::S3, lines, bytes), s3, "{lines} {bytes}");
            assert_eq!(refused(Front::Native, lines, bytes), native, "{lines} {bytes}");
        }
    }
}
