//! Answers in JSON.

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HeaderValue};
use serde::Serialize;

/// An answer in JSON with a newline at its end, so that a shell's prompt begins on a line of its own.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(text) => {
                ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], line(text)).into_response()
            }
            Err(error) => {
                tracing::error!(%error, "an answer could not be written as JSON");
                http::StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

/// A document as a line.
pub(crate) fn line(mut document: Vec<u8>) -> Vec<u8> {
    document.push(b'\n');
    document
}
