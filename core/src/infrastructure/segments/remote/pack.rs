//! A pack in an object store: one object of one batch, sealed as it is written.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use object_store::{ObjectStoreExt as _, PutPayload};

use super::super::format::{self, PACK_FIRST_RECORD, SegmentHeader};
use super::super::pack::{Batch, frame_batch, poisoned};
use super::bucket::Bucket;
use crate::application::ports::segments::{FoundRecord, PackWriter, Record, SegmentError, SegmentKind};
use crate::domain::blob::SegmentId;
use crate::infrastructure::segments::blocking::io_error;

/// A pack being written. Its owner seals it after one batch ([`PackWriter::takes_more`]); a second batch is possible, and
/// writes the whole object anew.
#[derive(Debug)]
pub(super) struct RemotePack {
    bucket: Arc<Bucket>,
    id: SegmentId,
    /// Where the records end.
    size: u64,
    /// Of the object; 0 before it is written.
    whole: u64,
    found: Vec<FoundRecord>,
    /// All before the index.
    body: Vec<Bytes>,
    /// An earlier write failed: what the object is now is unknown.
    failed: bool,
}

impl RemotePack {
    pub(super) fn new(bucket: Arc<Bucket>, id: SegmentId) -> Self {
        let header = SegmentHeader::new(SegmentKind::Pack, id).encode();
        let body = vec![Bytes::copy_from_slice(&header)];
        Self { bucket, id, size: PACK_FIRST_RECORD, whole: 0, found: Vec::new(), body, failed: false }
    }

    /// Writes the object as far as it goes, with its index.
    async fn put(&mut self) -> Result<(), SegmentError> {
        self.failed = true;
        let index = Bytes::from(format::encode_index(self.id, &self.found, self.size));
        let whole = self.size + index.len() as u64;
        let payload: PutPayload = self.body.iter().cloned().chain([index.clone()]).collect();
        let action = "write a pack";
        if self.whole == 0 {
            // Who is told that it failed writes the batch under another name.
            self.bucket.create(self.id, payload, whole, &index, action, 1).await?;
        } else {
            let written = self.bucket.store.put(&self.bucket.settled(self.id), payload).await;
            written.map_err(|error| self.bucket.write_failed(action, error))?;
        }
        self.whole = whole;
        self.failed = false;
        Ok(())
    }
}

#[async_trait]
impl PackWriter for RemotePack {
    fn id(&self) -> SegmentId {
        self.id
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn takes_more(&self) -> bool {
        self.found.is_empty()
    }

    async fn append(&mut self, records: Vec<Record>) -> Result<Vec<u64>, SegmentError> {
        if self.failed {
            return Err(poisoned());
        }
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let mut frames = Vec::new();
        let Batch { found, payload_at, end } = frame_batch(&mut frames, self.id, self.size, &records)
            .map_err(|error| io_error("append to a pack", error))?;
        let frames = Bytes::from(frames);
        let mut cut_before = 0;
        for (record, &cut) in records.iter().zip(&payload_at) {
            self.body.push(frames.slice(cut_before..cut));
            self.body.push(record.payload.clone());
            cut_before = cut;
        }
        self.body.push(frames.slice(cut_before..));
        let offsets = found.iter().map(|record| record.offset).collect();
        let before = (self.size, self.found.len());
        self.found.extend(found);
        self.size = end;
        if let Err(error) = self.put().await {
            // Batches written before stay readable, as far as they are known.
            self.size = before.0;
            self.found.truncate(before.1);
            return Err(error);
        }
        Ok(offsets)
    }

    async fn seal(mut self: Box<Self>) -> Result<u64, SegmentError> {
        if self.failed {
            return Err(poisoned());
        }
        if self.whole == 0 {
            self.put().await?;
        }
        Ok(self.whole)
    }
}
