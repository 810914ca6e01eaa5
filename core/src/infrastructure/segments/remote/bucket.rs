//! A prefix of a bucket: which object is called how, requests, and what the answers mean.

use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _, TryStreamExt as _};
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{
    Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload,
};
use tokio::sync::{Semaphore, SemaphorePermit};
use uuid::Uuid;

use super::super::format;
use crate::application::ports::segments::{FoundRecord, SegmentError};
use crate::domain::blob::SegmentId;
use crate::domain::identity::TierMark;

/// The operations of the crate's clients for S3, Google Cloud Storage and Azure.
pub(super) trait Objects: ObjectStore + MultipartStore {}

impl<T: ObjectStore + MultipartStore> Objects for T {}

/// Bytes of one part of a multipart upload, and of the largest segment that is written with one request. Stores want 5 MiB
/// at least and 10,000 parts at most: 80 GB, and no leaf is larger than 5 GiB. Clients like parts of 8 MiB: so that such a
/// part is one request here too, there is room for what a segment adds to it.
const PART: u64 = (8 << 20) + (64 << 10);

/// Parts of all uploads to a tier that are in memory at a time: 32 MiB, which an object store 30 ms away takes in as many.
const PARTS_MAX: u32 = 4;

/// Memory is counted in pieces of so many bytes.
const MEMORY_UNIT: u64 = 64 << 10;

/// After so long a segment that may have been created or not is not created again.
const CREATION: Duration = Duration::from_secs(10);

/// Requests at a time where many small ones are needed.
pub(super) const AT_ONCE: usize = 16;

const SEGMENTS: &str = "segments";
const STAGING: &str = "staging";
const EXTENSION: &str = ".seg";

/// Where a tier keeps what in a bucket: as in a directory, so that a tier can be copied from one to the other.
pub(super) struct Bucket {
    pub(super) store: Arc<dyn Objects>,
    prefix: Path,
    /// `hot` or `cold`, for messages.
    pub(super) tier: &'static str,
    /// Where singles wait for their parts to be sent. Files there have no names.
    pub(super) spool: PathBuf,
    /// The mark that the prefix must carry, once that is known.
    pub(super) mark: OnceLock<TierMark>,
    /// Bytes of one part, and of what is written whole.
    pub(super) part: u64,
    /// Objects that one request removes.
    pub(super) deleted_at_once: usize,
    memory: Arc<Semaphore>,
}

impl std::fmt::Debug for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not its client: that has credentials.
        f.debug_struct("Bucket")
            .field("tier", &self.tier)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl Bucket {
    pub(super) fn new(store: Arc<dyn Objects>, prefix: Path, tier: &'static str, spool: PathBuf) -> Self {
        let memory = Arc::new(Semaphore::new((PARTS_MAX * units(PART)) as usize));
        Self { store, prefix, tier, spool, mark: OnceLock::new(), part: PART, deleted_at_once: 1000, memory }
    }

    /// Waits until `length` bytes of a segment on its way may be in memory, until the permit is dropped.
    pub(super) async fn memory(&self, length: u64) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.memory.acquire_many(units(length.min(PART))).await.ok()
    }

    /// Creates the object of a segment: `payload`, of `size` bytes, which ends with `tail`. Its name was never used, so what
    /// is there, if it ends so, is what this wrote, whatever the answer was: one that was lost, or came twice, or too
    /// late. As long as it is unknown whether the object was created, that is tried `attempts` times.
    pub(super) async fn create(
        &self,
        id: SegmentId,
        payload: PutPayload,
        size: u64,
        tail: &[u8],
        action: &'static str,
        mut attempts: u32,
    ) -> Result<(), SegmentError> {
        let (path, begun) = (self.settled(id), Instant::now());
        loop {
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            let Err(error) = self.store.put_opts(&path, payload.clone(), options).await else {
                return Ok(());
            };
            if is_refusal(&error) {
                return Err(self.write_failed(action, error));
            }
            if self.ends_with(id, size, tail).await {
                return Ok(());
            }
            attempts = attempts.saturating_sub(1);
            if attempts == 0 || begun.elapsed() > CREATION {
                return Err(self.write_failed(action, error));
            }
        }
    }

    /// An object beside the segments.
    pub(super) fn beside(&self, names: &[&str]) -> Path {
        names.iter().fold(self.prefix.clone(), |path, name| path.join(*name))
    }

    /// Where a segment is.
    pub(super) fn settled(&self, id: SegmentId) -> Path {
        let name = id.to_string();
        self.beside(&[SEGMENTS, &name[..2], &format!("{name}{EXTENSION}")])
    }

    /// The note of a multipart upload that was begun for a segment: its id, by which it can be aborted.
    pub(super) fn staged(&self, id: SegmentId) -> Path {
        self.beside(&[STAGING, &id.to_string()])
    }

    /// The segment that an object's path names, if it names one.
    pub(super) fn named_by(path: &Path) -> Option<SegmentId> {
        let name = path.filename()?;
        let name = name.strip_suffix(EXTENSION).unwrap_or(name);
        Uuid::try_parse(name).ok().map(SegmentId)
    }

    /// The names of all segments, staged and settled.
    pub(super) fn list(&self) -> BoxStream<'static, Result<SegmentId, SegmentError>> {
        let listings = [STAGING, SEGMENTS].map(|folder| {
            let objects = self.store.list(Some(&self.beside(&[folder])));
            objects.map_err(|error| failed("list the tier", error))
        });
        let [staged, settled] = listings;
        staged
            .chain(settled)
            .try_filter_map(|object| std::future::ready(Ok(Self::named_by(&object.location))))
            .boxed()
    }

    /// The segments for which a multipart upload was begun and not ended.
    pub(super) async fn list_staged(&self) -> Result<Vec<SegmentId>, SegmentError> {
        let staged = self.store.list(Some(&self.beside(&[STAGING])));
        staged
            .map_err(|error| failed("list the tier", error))
            .try_filter_map(|object| std::future::ready(Ok(Self::named_by(&object.location))))
            .try_collect()
            .await
    }

    /// Stores `bytes` as a small object that is not a segment.
    pub(super) async fn put(&self, path: &Path, bytes: String, mode: PutMode) -> object_store::Result<()> {
        let options = PutOptions { mode, ..PutOptions::default() };
        self.store.put_opts(path, PutPayload::from(bytes), options).await.map(drop)
    }

    /// A small object of at most `bytes_max`; `None` if there is none of this name. That there is no bucket is an error.
    pub(super) async fn get(&self, path: &Path, bytes_max: u64) -> object_store::Result<Option<Bytes>> {
        match self.store.get_opts(path, GetOptions::default()).await {
            Ok(found) if found.meta.size > bytes_max => {
                Err(Error::Generic { store: "tier", source: format!("{path} is too long").into() })
            }
            Ok(found) => found.bytes().await.map(Some),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Bytes of a segment. Fewer than asked for if it ends before.
    pub(super) async fn range(&self, id: SegmentId, range: Range<u64>) -> Result<Bytes, SegmentError> {
        let path = self.settled(id);
        let get = async || {
            let range = Some(GetRange::Bounded(range.clone()));
            self.store.get_opts(&path, GetOptions { range, ..GetOptions::default() }).await
        };
        let failed = |error| Self::read_failed(id, range.start, error);
        match get().await.map_err(failed)?.bytes().await {
            Ok(bytes) => Ok(bytes),
            // The connection broke within the answer: that is not tried again further below.
            Err(_) => get().await.map_err(failed)?.bytes().await.map_err(failed),
        }
    }

    /// As [`Self::range`], as a stream.
    pub(super) async fn stream(
        &self,
        id: SegmentId,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, object_store::Result<Bytes>>, SegmentError> {
        let at = range.start;
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        match self.store.get_opts(&self.settled(id), options).await {
            Ok(found) => Ok(found.into_stream()),
            Err(error) => Err(Self::read_failed(id, at, error)),
        }
    }

    /// The size of a segment in bytes.
    pub(super) async fn size(&self, id: SegmentId) -> Result<u64, SegmentError> {
        let found = self.store.head(&self.settled(id)).await;
        found.map(|meta| meta.size).map_err(|error| Self::read_failed(id, 0, error))
    }

    /// The size of a segment, and what its index says; `None` if it has no whole one.
    pub(super) async fn index(&self, id: SegmentId) -> Result<(u64, Option<Indexed>), SegmentError> {
        let size = self.size(id).await?;
        let Some(trailer_at) = size.checked_sub(format::FRAME) else { return Ok((size, None)) };
        let frame = self.range(id, trailer_at..size).await?;
        let header = self.range(id, 0..format::FRAME.min(size)).await?;
        let header = header.first_chunk().map(format::SegmentHeader::decode);
        let header = match header {
            Some(Ok(header)) if header.id == id => header,
            Some(Err(damage)) => return Err(corrupt(id, 0, damage.0)),
            _ => return Err(corrupt(id, 0, "the header names another segment")),
        };
        let trailer = frame.first_chunk().map(|frame| format::Trailer::decode(frame, id, size));
        let Some(Ok(trailer)) = trailer else { return Ok((size, None)) };
        let index = if trailer.entries == 0 {
            Bytes::new()
        } else {
            self.range(id, trailer.index_offset..trailer_at).await?
        };
        let records = format::decode_index(header.version, &index, &trailer).ok();
        let indexed = |records| Indexed {
            version: header.version,
            first: header.first_record(),
            index_offset: trailer.index_offset,
            records,
        };
        Ok((size, records.map(indexed)))
    }

    /// Whether the segment `id` ends with `tail`: after an answer that was lost, whether what was sent is there. Its index
    /// names each payload by its SHA-256, and no name is given twice.
    pub(super) async fn ends_with(&self, id: SegmentId, size: u64, tail: &[u8]) -> bool {
        let from = size.saturating_sub(tail.len() as u64);
        matches!(self.size(id).await, Ok(found) if found == size)
            && matches!(self.range(id, from..size).await, Ok(found) if found == tail)
    }

    /// Sorts what an object store said while one segment was read.
    pub(super) fn read_failed(id: SegmentId, offset: u64, error: Error) -> SegmentError {
        let text = error.to_string();
        if is_absent(&error) {
            SegmentError::Missing(id)
        } else if text.contains("416") && (text.contains("Range") || text.contains("range")) {
            corrupt(id, offset, "the object ends too early")
        } else {
            failed("read a segment", error)
        }
    }

    /// Sorts what an object store said to a write.
    pub(super) fn write_failed(&self, action: &'static str, error: Error) -> SegmentError {
        let text = error.to_string();
        if ["QuotaExceeded", "507 ", "StorageFull"].iter().any(|sign| text.contains(sign)) {
            SegmentError::Full(self.tier)
        } else {
            failed(action, error)
        }
    }
}

/// Pieces of memory that so many bytes take.
fn units(length: u64) -> u32 {
    u32::try_from(length.div_ceil(MEMORY_UNIT)).unwrap_or(u32::MAX)
}

/// Whether the store has said no, so that nothing was written. After every other error something may have been.
fn is_refusal(error: &Error) -> bool {
    matches!(
        error,
        Error::PermissionDenied { .. }
            | Error::Unauthenticated { .. }
            | Error::NotFound { .. }
            | Error::NotImplemented { .. }
            | Error::NotSupported { .. }
    )
}

/// The index of a segment.
pub(super) struct Indexed {
    pub(super) version: format::Version,
    /// Where the first record begins.
    pub(super) first: u64,
    /// Where the records end.
    pub(super) index_offset: u64,
    pub(super) records: Vec<FoundRecord>,
}

/// A verdict about one segment.
pub(super) fn corrupt(segment: SegmentId, offset: u64, what: &'static str) -> SegmentError {
    SegmentError::Corrupt { segment, offset, what }
}

/// Whether there is no such object. A bucket that does not exist is another matter.
fn is_absent(error: &Error) -> bool {
    const NO_BUCKET: [&str; 3] = ["NoSuchBucket", "ContainerNotFound", "bucket does not exist"];
    matches!(error, Error::NotFound { .. }) && !NO_BUCKET.iter().any(|sign| error.to_string().contains(sign))
}

/// An error that is about the tier and no verdict about a segment.
pub(super) fn failed(action: &'static str, error: Error) -> SegmentError {
    let advice = match &error {
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            "check the credentials of the tier, and that they may list, read, write and delete there"
        }
        Error::NotFound { .. } => "check the bucket that the tier's URL names",
        Error::NotImplemented { .. } | Error::NotSupported { .. } => {
            "the object store lacks something that a tier needs"
        }
        _ => "check the tier's endpoint and the network; it is tried again",
    };
    SegmentError::Unavailable { action, source: Arc::new(io::Error::other(error)), advice }
}
