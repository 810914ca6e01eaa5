//! What every handler works with.

use bytes::Bytes;

use crate::{NativeApi, Surface};

/// The state of every handler.
#[derive(Clone)]
pub(crate) struct App {
    /// The parts of the API.
    pub(crate) api: NativeApi,
    /// The OpenAPI document as JSON.
    pub(crate) openapi: Bytes,
    /// Which calls there are.
    pub(crate) surface: Surface,
}
