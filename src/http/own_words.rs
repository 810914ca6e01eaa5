//! Answers that the layers around a front give in its place, in its own form.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};

use super::{Front, RequestId};

/// An answer in the front's own form, before the front sees the request or after it failed. Code and message are not
/// escaped, so they must contain nothing of the request.
pub(super) fn own_words(
    front: Front,
    id: &RequestId,
    status: StatusCode,
    code: &str,
    message: &str,
) -> Response<Body> {
    let id = id.as_str();
    let (content_type, body) = match front {
        Front::Native => (
            "application/problem+json",
            format!(
                r#"{{"type":"urn:juststorage:problem:{code}","title":"{}","status":{},"detail":"{message}","code":"{code}","request_id":"{id}"}}"#,
                status.canonical_reason().unwrap_or("Error"),
                status.as_u16(),
            ),
        ),
        Front::S3 => (
            "application/xml",
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message><RequestId>{id}</RequestId></Error>",
            ),
        ),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if front == Front::Native {
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
    response
}
