//! JSON bodies: bounded, and strict about what they hold.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use crate::problem::{Failure, Problem};

/// Longest JSON body in bytes: enough to name 10,000 parts with their tags.
pub(crate) const JSON_BYTES_MAX: usize = 2 << 20;

/// A JSON body read into `T`.
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        let bytes = gather(body).await?;
        parse(&parts.headers, &bytes).map(Self)
    }
}

/// A JSON body read into `T`, or no body at all.
pub(crate) struct JsonIfAny<T>(pub(crate) Option<T>);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonIfAny<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        let bytes = gather(body).await?;
        if bytes.is_empty() {
            return Ok(Self(None));
        }
        parse(&parts.headers, &bytes).map(|value| Self(Some(value)))
    }
}

async fn gather(body: Body) -> Result<Bytes, Failure> {
    match Limited::new(body, JSON_BYTES_MAX).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            let detail = format!("a JSON body may have at most {JSON_BYTES_MAX} bytes");
            Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail).into())
        }
        Err(_) => {
            let detail = "the body could not be read";
            Err(Problem::new(StatusCode::BAD_REQUEST, "body_unreadable", detail).into())
        }
    }
}

fn parse<T: DeserializeOwned>(headers: &HeaderMap, bytes: &[u8]) -> Result<T, Failure> {
    // A page of another origin can send a form or plain text without asking the browser, JSON it cannot.
    if !is_json(headers) {
        let detail = "the body must be JSON, sent with Content-Type: application/json";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail).into());
    }
    serde_json::from_slice(bytes)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "invalid_json", error.to_string()).into())
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(text)) = headers.get(CONTENT_TYPE).map(|value| value.to_str()) else { return false };
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// Reads a field that may be absent (`None`), `null` (`Some(None)`) or a value: with `#[serde(default)]`, the
/// three cases of a merge patch (RFC 7396).
#[allow(clippy::option_option)] // three cases are what a merge patch has
pub(crate) fn patched<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn json_is_known_by_its_type() {
        for (text, json) in [
            ("application/json", true),
            ("application/JSON; charset=utf-8", true),
            ("application/merge-patch+json", true),
            ("text/plain", false),
            ("application/x-www-form-urlencoded", false),
        ] {
            let headers = [(CONTENT_TYPE, HeaderValue::from_static(text))].into_iter().collect();
            assert_eq!(is_json(&headers), json, "{text}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
