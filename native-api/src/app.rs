//! The state of every handler.

use std::sync::Arc;

use bytes::Bytes;

use crate::{NativeApi, Surface};

/// The state of every handler.
#[derive(Clone)]
pub(crate) struct App {
    /// The parts of the API; shared, since every request holds them.
    pub(crate) api: Arc<NativeApi>,
    /// The OpenAPI documents as JSON: 3.1, and the same as 3.0.3.
    pub(crate) openapi: [Bytes; 2],
    /// Which calls there are.
    pub(crate) surface: Surface,
}
