//! A cache of what is read from object stores: in memory first, then on the local disk.
//!
//! It holds pages of segments. A segment's name is never used twice and its bytes never change, so a page cannot be stale,
//! only damaged: a page on the disk has a CRC of its own, and every block that is served is checked against the CRC that the
//! segment has for it, wherever it came from. What does not match is dropped, counted and fetched again.
//!
//! Whatever the cache cannot do, reads go on without it.

mod disk;
mod flights;
mod held;
mod page;
mod pages;
mod reader;
mod source;
#[cfg(all(test, feature = "testing"))]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::BoxStream;

use self::held::Held;
use self::pages::Pages;
pub(super) use self::source::Source;
use super::reader::Stretch;
use crate::application::ports::segments::SegmentError;
use crate::domain::blob::SegmentId;

/// A cache of segments of object stores. Clones share it.
#[derive(Clone, Debug)]
pub struct ReadCache(Arc<Pages>);

impl ReadCache {
    /// A cache of at most `bytes` in files of `directory`, which leaves twice the `reserve` of uploads free (without a number,
    /// twice their default). It uses what the last process left there. The error says what the operator must change; a disk
    /// that is full or broken is none, and is tried again later.
    ///
    /// Needs a runtime of tokio, in which it writes.
    pub fn open(directory: PathBuf, bytes: u64, reserve: Option<u64>) -> Result<Self, String> {
        Ok(Self(Arc::new(Pages::new(Held::open(directory, bytes, reserve)?))))
    }

    /// Reads a stretch of a leaf, as [`SegmentStore::read`](crate::application::ports::segments::SegmentStore::read) says.
    pub(super) async fn read(
        &self,
        source: Arc<dyn Source>,
        stretch: Stretch,
    ) -> Result<BoxStream<'static, Result<Bytes, SegmentError>>, SegmentError> {
        reader::read(Arc::clone(&self.0), source, stretch).await
    }

    /// Drops what it holds of `segments`, which were removed.
    pub(super) async fn forget(&self, segments: &[SegmentId]) {
        self.0.held.forget(segments.iter().copied().collect()).await;
    }
}
