//! A large blob on its way into an object store: through a file without a name, from which parts are sent while it
//! grows. So an upload holds no more memory than the parts in flight, however slow its client is.

use std::fs::File;
use std::io::{self, IoSlice};
use std::mem;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use object_store::multipart::PartId;
use object_store::path::Path;
use object_store::{MultipartId, PutMode, PutPayload};
use tokio::task::JoinSet;

use super::super::blocking::{SLICES_MAX, Wait, blocking, io_error, read_at, write_all_at};
use super::super::format::{BlockSums, SINGLE_PAYLOAD};
use super::super::pack::poisoned;
use super::super::single::{head, tail};
use super::bucket::Bucket;
use crate::application::ports::segments::{DomainTag, SegmentError, SingleWriter};
use crate::domain::blob::{Hash, SegmentId};

/// Pieces are gathered to so many bytes for one trip to a thread that may block.
const GATHER: usize = 256 * 1024;

/// How often a single is created, while it is unknown whether it was.
const CREATIONS: u32 = 3;

/// Parts of one upload in flight.
const IN_FLIGHT: usize = 2;

/// A single being written.
pub(super) struct RemoteSingle {
    bucket: Arc<Bucket>,
    id: SegmentId,
    domain: DomainTag,
    spool: Arc<File>,
    gathered: Vec<Bytes>,
    gathered_length: usize,
    sums: BlockSums,
    /// Bytes in the spool.
    written: u64,
    /// Of these, bytes of parts that were begun.
    sent: u64,
    upload: Option<Upload>,
    failed: bool,
}

/// A multipart upload. It is aborted when dropped, unless it was completed.
struct Upload {
    bucket: Arc<Bucket>,
    id: SegmentId,
    path: Path,
    name: MultipartId,
    parts: Vec<Option<PartId>>,
    in_flight: JoinSet<(usize, Result<PartId, SegmentError>)>,
    completed: bool,
}

impl RemoteSingle {
    pub(super) async fn create(
        bucket: Arc<Bucket>,
        id: SegmentId,
        domain: DomainTag,
    ) -> Result<Self, SegmentError> {
        let folder = bucket.spool.clone();
        let tier = bucket.tier;
        let spool = blocking(move || {
            let make = || tempfile::tempfile_in(&folder);
            let made = make().or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => std::fs::create_dir_all(&folder).and_then(|()| make()),
                _ => Err(error),
            });
            made.map_err(|error| spool_error(tier, error))
        });
        Ok(Self {
            id,
            domain,
            spool: Arc::new(spool.await?),
            gathered: vec![Bytes::from(head(id, domain))],
            gathered_length: 0,
            sums: BlockSums::new(),
            written: 0,
            sent: 0,
            upload: None,
            failed: false,
            bucket,
        })
    }

    /// Bytes of the payload that were taken in.
    fn length(&self) -> u64 {
        self.written.saturating_sub(SINGLE_PAYLOAD)
    }

    /// Writes what was gathered behind what is in the spool, the payload's bytes through its checksums.
    async fn flush(&mut self, payload: bool) -> Result<(), SegmentError> {
        let pieces = mem::take(&mut self.gathered);
        self.gathered_length = 0;
        let (file, at, tier) = (Arc::clone(&self.spool), self.written, self.bucket.tier);
        let mut sums = mem::take(&mut self.sums);
        let (sums, length) = blocking(move || {
            let mut slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
            write_all_at(&file, &mut slices, at).map_err(|error| spool_error(tier, error))?;
            // The head comes first, in a piece of its own, and is no payload.
            let head = usize::from(at == 0);
            if payload {
                pieces.iter().skip(head).for_each(|piece| sums.update(piece));
            }
            Ok((sums, pieces.iter().map(|piece| piece.len() as u64).sum::<u64>()))
        })
        .await?;
        self.sums = sums;
        self.written += length;
        Ok(())
    }

    /// Begins to send every part that is whole, the rest too if it is the `last` one.
    async fn send(&mut self, last: bool) -> Result<(), SegmentError> {
        let part = self.bucket.part;
        while self.written - self.sent >= part || last && self.written > self.sent {
            let upload = match &mut self.upload {
                Some(upload) => upload,
                none => none.insert(Upload::begin(Arc::clone(&self.bucket), self.id).await?),
            };
            let length = (self.written - self.sent).min(part);
            upload.send(&self.spool, self.sent, length).await?;
            self.sent += length;
        }
        Ok(())
    }
}

fn spool_error(tier: &'static str, error: io::Error) -> SegmentError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => SegmentError::Full(tier),
        _ => io_error("spool an upload to an object store", error),
    }
}

/// Reads what a part consists of.
async fn piece(spool: &Arc<File>, at: u64, length: u64) -> Result<PutPayload, SegmentError> {
    let spool = Arc::clone(spool);
    blocking(move || {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let bytes = read_at(&spool, length, at, Wait::Yes);
        bytes.map(PutPayload::from).map_err(|error| io_error("read a spooled upload", error))
    })
    .await
}

#[async_trait]
impl SingleWriter for RemoteSingle {
    fn id(&self) -> SegmentId {
        self.id
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), SegmentError> {
        if self.failed {
            return Err(poisoned());
        }
        self.gathered_length += bytes.len();
        self.gathered.push(bytes);
        if self.gathered_length >= GATHER || self.gathered.len() >= SLICES_MAX {
            // A caller that stops waiting leaves it unknown what was written.
            self.failed = true;
            self.flush(true).await?;
            self.send(false).await?;
            self.failed = false;
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>, hash: Hash) -> Result<(u64, u64), SegmentError> {
        if self.failed {
            return Err(poisoned());
        }
        self.flush(true).await?;
        let table = mem::take(&mut self.sums).finish();
        let tail = tail(self.id, self.domain, table, self.length(), hash)
            .ok_or_else(|| io_error("write a segment", io::ErrorKind::FileTooLarge.into()))?;
        let tail = Bytes::from(tail);
        self.gathered.push(tail.clone());
        self.flush(false).await?;
        let size = self.written;
        if self.upload.is_none() && size <= self.bucket.part {
            self.put_whole(&tail).await?;
        } else {
            self.send(true).await?;
            if let Some(upload) = self.upload.take() {
                upload.complete(size, &tail).await?;
            }
        }
        Ok((SINGLE_PAYLOAD, size))
    }
}

impl RemoteSingle {
    /// A segment of one part is one request, which creates it or finds that its name is taken.
    async fn put_whole(&self, tail: &Bytes) -> Result<(), SegmentError> {
        let _memory = self.bucket.memory(self.written).await;
        let payload = piece(&self.spool, 0, self.written).await?;
        self.bucket.create(self.id, payload, self.written, tail, "write a segment", CREATIONS).await
    }
}

impl Upload {
    /// Begins an upload, and notes its id beside the segments: the removal of the segment aborts it by the note.
    async fn begin(bucket: Arc<Bucket>, id: SegmentId) -> Result<Self, SegmentError> {
        let path = bucket.settled(id);
        let failed = |error| bucket.write_failed("begin an upload", error);
        let upload = bucket.store.create_multipart(&path).await.map_err(failed)?;
        let begun = Self {
            bucket: Arc::clone(&bucket),
            id,
            path,
            name: upload,
            parts: Vec::new(),
            in_flight: JoinSet::new(),
            completed: false,
        };
        let note = bucket.put(&bucket.staged(id), begun.name.clone(), PutMode::Overwrite).await;
        note.map_err(failed)?;
        Ok(begun)
    }

    async fn send(&mut self, spool: &Arc<File>, at: u64, length: u64) -> Result<(), SegmentError> {
        while self.in_flight.len() >= IN_FLIGHT {
            self.settle().await?;
        }
        let number = self.parts.len();
        self.parts.push(None);
        let (bucket, path, upload) = (Arc::clone(&self.bucket), self.path.clone(), self.name.clone());
        let spool = Arc::clone(spool);
        self.in_flight.spawn(async move {
            let sent = async {
                let _memory = bucket.memory(length).await;
                let payload = piece(&spool, at, length).await?;
                let sent = bucket.store.put_part(&path, &upload, number, payload).await;
                sent.map_err(|error| bucket.write_failed("write a part of a segment", error))
            };
            (number, sent.await)
        });
        Ok(())
    }

    /// Waits for one part.
    async fn settle(&mut self) -> Result<(), SegmentError> {
        match self.in_flight.join_next().await {
            None => Ok(()),
            Some(Ok((number, part))) => {
                self.parts[number] = Some(part?);
                Ok(())
            }
            Some(Err(error)) => Err(io_error("write a part of a segment", io::Error::other(error))),
        }
    }

    /// Makes an object of `size` bytes of the parts, which ends with `tail`.
    async fn complete(mut self, size: u64, tail: &[u8]) -> Result<(), SegmentError> {
        while !self.in_flight.is_empty() {
            self.settle().await?;
        }
        let parts: Option<Vec<PartId>> = mem::take(&mut self.parts).into_iter().collect();
        let parts = parts.ok_or_else(poisoned)?;
        let completed = self.bucket.store.complete_multipart(&self.path, &self.name, parts).await;
        if let Err(error) = completed
            // The answer may be what failed.
            && !self.bucket.ends_with(self.id, size, tail).await
        {
            return Err(self.bucket.write_failed("complete a segment", error));
        }
        self.completed = true;
        // The rest of the note goes with the segment.
        let (bucket, note) = (Arc::clone(&self.bucket), self.bucket.staged(self.id));
        tokio::spawn(async move { drop(bucket.remove(note).await) });
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.completed {
            return;
        }
        self.in_flight.abort_all();
        let (bucket, path, upload) = (Arc::clone(&self.bucket), self.path.clone(), mem::take(&mut self.name));
        let note = bucket.staged(self.id);
        // Best effort: what stays is aborted by its note, once the segment is removed.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if bucket.store.abort_multipart(&path, &upload).await.is_ok() {
                    drop(bucket.remove(note).await);
                }
            });
        }
    }
}
