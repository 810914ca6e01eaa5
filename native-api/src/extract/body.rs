//! A request's body for core: streamed, never read as a whole here.

use axum::body::{Body as HttpBody, HttpBody as _};
use futures::stream::{StreamExt as _, TryStreamExt as _};
use juststorage_core::application::error::Error;
use juststorage_core::application::ingest::{Body, Expected};
use juststorage_core::domain::blob::Hash;
use juststorage_core::domain::invalid::Invalid;

use super::Call;

/// The body of `call` with its declared `Content-Length` and `X-Content-SHA256`.
pub(crate) fn body(call: &Call, body: HttpBody) -> Result<Body, Invalid> {
    let declared = call.header("Content-Length")?;
    let length = match declared {
        Some(text) => Some(text.parse().map_err(|_| Invalid::new("Content-Length", "must be a number"))?),
        None => body.size_hint().exact(),
    };
    let sha256 = match call.header("X-Content-SHA256")? {
        None => None,
        Some(text) => {
            // Also in the form that answers have, so that a hash can be passed on as it was received.
            let digits = text.strip_prefix("sha256:").unwrap_or(text);
            let refused = || Invalid::new("X-Content-SHA256", "must be 64 hexadecimal digits");
            Some(Hash::from_hex(digits).ok_or_else(refused)?)
        }
    };
    let stream = body.into_data_stream().map_err(|error| Error::of_stream(&error)).boxed();
    Ok(Body { length, expected: Expected { sha256, ..Expected::default() }, ..Body::new(stream) })
}
