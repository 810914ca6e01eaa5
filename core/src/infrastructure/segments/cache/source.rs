//! Where pages come from.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::application::ports::segments::SegmentError;
use crate::domain::blob::SegmentId;

/// An object store that holds segments.
#[async_trait]
pub(in super::super) trait Source: Send + Sync + 'static {
    /// The bytes of `range` of a segment, or as many of them as there are.
    async fn bytes(
        &self,
        segment: SegmentId,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, SegmentError>>, SegmentError>;
}
