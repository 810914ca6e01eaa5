//! JSON bodies: bounded and strict. None is read before the caller is authenticated.

use std::fmt;
use std::marker::PhantomData;

use axum::body::{Body, HttpBody as _};
use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use juststorage_core::application::error::Error;
use juststorage_core::application::pools::Room;
use juststorage_core::domain::invalid::Invalid;
use juststorage_core::domain::timestamp::Timestamp;
use serde::de::DeserializeOwned;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Call;
use super::auth::Proven;
use crate::NativeApi;
use crate::problem::{Failure, Problem};

/// Longest JSON body in bytes, unless a call allows more: an address with all attributes of an object.
pub(crate) const JSON_BYTES_MAX: usize = 64 << 10;

/// Longest list in bytes: enough for 10,000 parts with their tags, or for 1,000 of the longest keys.
pub(crate) const LIST_BYTES_MAX: usize = 2 << 20;

impl Call {
    /// The JSON body of an authenticated call ([`Proven`]), read into `T`.
    pub(crate) async fn json<T: DeserializeOwned>(
        &self,
        api: &NativeApi,
        proven: &Proven,
        body: Body,
    ) -> Result<T, Failure> {
        self.json_up_to(api, proven, body, JSON_BYTES_MAX).await
    }

    /// As [`Self::json`], of up to `bytes_max` bytes.
    pub(crate) async fn json_up_to<T: DeserializeOwned>(
        &self,
        api: &NativeApi,
        proven: &Proven,
        body: Body,
        bytes_max: usize,
    ) -> Result<T, Failure> {
        // Not even a byte of anything else.
        require_json(&self.headers)?;
        let (bytes, _room) = gather(body, api.store.room(proven.tenant()), bytes_max).await?;
        parse(&bytes)
    }

    /// The JSON body of an authenticated call, as it was sent. The handler parses it, since it knows the type.
    pub(crate) async fn json_text(
        &self,
        api: &NativeApi,
        proven: &Proven,
        body: Body,
    ) -> Result<(Bytes, Room), Failure> {
        require_json(&self.headers)?;
        gather(body, api.store.room(proven.tenant()), JSON_BYTES_MAX).await
    }

    /// As [`Self::json`], or no body at all.
    pub(crate) async fn json_if_any<T: DeserializeOwned>(
        &self,
        api: &NativeApi,
        proven: &Proven,
        body: Body,
        bytes_max: usize,
    ) -> Result<Option<T>, Failure> {
        let (bytes, _room) = gather(body, api.store.room(proven.tenant()), bytes_max).await?;
        if bytes.is_empty() {
            return Ok(None);
        }
        require_json(&self.headers)?;
        parse(&bytes).map(Some)
    }
}

/// A whole body and its memory.
async fn gather(mut body: Body, mut room: Room, bytes_max: usize) -> Result<(Bytes, Room), Failure> {
    let too_large = || {
        let detail = format!("the JSON body of this call may have at most {bytes_max} bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
    };
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(too_large().into());
    }
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| match Error::of_stream(&error) {
            Error::Body(_) => {
                Problem::new(StatusCode::BAD_REQUEST, "body_unreadable", "the body could not be read")
            }
            error => Problem::of(&error),
        })?;
        let Ok(data) = frame.into_data() else { continue };
        let length = bytes.len() + data.len();
        if length > bytes_max {
            return Err(too_large().into());
        }
        room = room.grow(length).await?;
        bytes.extend_from_slice(&data);
    }
    Ok((bytes.freeze(), room))
}

fn require_json(headers: &HeaderMap) -> Result<(), Failure> {
    // A page of another origin can send a form or plain text without asking the browser, JSON it cannot.
    if is_json(headers) {
        return Ok(());
    }
    let detail = "the body must be JSON, sent with Content-Type: application/json";
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail).into())
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
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

/// Reads a list of which no more than `MAX` + 1 entries are kept: the reader sees that it is too long, and a body
/// full of empty entries takes no more memory than that.
pub(crate) fn bounded<'de, const MAX: usize, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Vec<T>>, D::Error> {
    struct Entries<const MAX: usize, T>(PhantomData<T>);

    impl<'de, const MAX: usize, T: Deserialize<'de>> Visitor<'de> for Entries<MAX, T> {
        type Value = Option<Vec<T>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut kept = Vec::new();
            while kept.len() <= MAX {
                let Some(entry) = entries.next_element()? else { return Ok(Some(kept)) };
                kept.push(entry);
            }
            while entries.next_element::<IgnoredAny>()?.is_some() {}
            Ok(Some(kept))
        }
    }

    deserializer.deserialize_any(Entries::<MAX, T>(PhantomData))
}

/// A moment in a query or in JSON.
pub(crate) fn moment(field: &'static str, text: &str) -> Result<Timestamp, Invalid> {
    let read = OffsetDateTime::parse(text, &Rfc3339).ok();
    let millis = read.and_then(|at| i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok());
    millis.map(Timestamp).ok_or_else(|| Invalid::new(field, "must be a time such as 2027-01-01T00:00:00Z"))
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
