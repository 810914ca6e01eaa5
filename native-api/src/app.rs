//! What every handler works with.

use bytes::Bytes;

use crate::NativeApi;

/// The state of every handler.
#[derive(Clone)]
pub(crate) struct App {
    /// The parts of the API.
    pub(crate) api: NativeApi,
    /// The OpenAPI document as JSON.
    pub(crate) openapi: Bytes,
}
