//! Whether a leaf's bytes are what its row says: read through, checked block by block by the tier, and hashed.

use futures::stream::TryStreamExt as _;
use sha2::{Digest as _, Sha256};

use crate::application::error::Result;
use crate::application::ports::metadata::{Catalogue, LeafRecord};
use crate::application::ports::segments::{ReadPurpose, ReadRequest, SegmentError};
use crate::application::progress;
use crate::application::tiers::Tiers;
use crate::domain::blob::Hash;

/// Chunks larger than this are hashed on a thread that may take its time.
const HASHED_AT_ONCE: usize = 64 << 10;

/// That a leaf's file is not there.
pub(crate) const MISSING: &str = "segment-missing";

/// That a leaf's bytes cannot be read.
pub(crate) const UNREADABLE: &str = "blob-unreadable";

/// That a leaf's bytes fail their checksum.
const CORRUPT: &str = "blob-corrupt";

/// That a leaf's bytes pass their checksums and are others all the same.
const OTHER_BYTES: &str = "blob-hash-mismatch";

/// The codes of all findings about a leaf.
pub(crate) const CODES: [&str; 4] = [MISSING, UNREADABLE, CORRUPT, OTHER_BYTES];

/// What a look at a leaf found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeafVerdict {
    /// Not read to its end yet.
    Unfinished,
    /// Every byte is what was written.
    Sound,
    /// It is not; the finding's code says how.
    Damaged(&'static str),
}

/// A leaf being read, in one go or in stretches.
pub(crate) struct LeafCheck {
    leaf: LeafRecord,
    hasher: Sha256,
    done: u64,
}

impl LeafCheck {
    /// Before its first byte.
    pub(crate) fn new(leaf: LeafRecord) -> Self {
        Self { leaf, hasher: Sha256::new(), done: 0 }
    }

    /// The leaf.
    pub(crate) fn leaf(&self) -> &LeafRecord {
        &self.leaf
    }

    /// Reads up to `bytes_max` more bytes.
    pub(crate) async fn advance(
        &mut self,
        tiers: &Tiers,
        bytes_max: u64,
    ) -> Result<LeafVerdict, SegmentError> {
        let location = &self.leaf.location;
        let end = self.done.saturating_add(bytes_max).min(location.length);
        let request = ReadRequest {
            segment: location.segment,
            payload_offset: location.offset,
            payload_length: location.length,
            hash: Some(self.leaf.hash),
            start: self.done,
            end,
            purpose: ReadPurpose::Upkeep,
        };
        match self.read(tiers, request).await {
            Ok(()) => self.done = end,
            Err(SegmentError::Missing(_)) => return Ok(LeafVerdict::Damaged(MISSING)),
            Err(SegmentError::Unreadable { .. }) => return Ok(LeafVerdict::Damaged(UNREADABLE)),
            Err(SegmentError::Corrupt { .. }) => return Ok(LeafVerdict::Damaged(CORRUPT)),
            Err(error) => return Err(error),
        }
        if self.done < self.leaf.location.length {
            return Ok(LeafVerdict::Unfinished);
        }
        let hash = Hash(self.hasher.clone().finalize().into());
        Ok(if hash == self.leaf.hash { LeafVerdict::Sound } else { LeafVerdict::Damaged(OTHER_BYTES) })
    }

    async fn read(&mut self, tiers: &Tiers, request: ReadRequest) -> Result<(), SegmentError> {
        let mut bytes = tiers.of(self.leaf.location.tier).read(request).await?;
        while let Some(chunk) = bytes.try_next().await? {
            progress::made();
            if chunk.len() <= HASHED_AT_ONCE {
                self.hasher.update(&chunk);
                continue;
            }
            let mut hasher = std::mem::take(&mut self.hasher);
            let hashed = tokio::task::spawn_blocking(move || {
                hasher.update(&chunk);
                hasher
            });
            self.hasher = hashed.await.map_err(|error| SegmentError::Io {
                action: "hash",
                source: std::sync::Arc::new(std::io::Error::other(error)),
            })?;
        }
        Ok(())
    }
}

/// Whether a leaf still lies where it was read: garbage collection and the movers work on meanwhile, and what
/// they removed behind a reader is no damage.
pub(crate) async fn still_there(metadata: &(impl Catalogue + ?Sized), leaf: &LeafRecord) -> Result<bool> {
    let now = metadata.find_leaf(leaf.id).await?;
    Ok(now.is_some_and(|now| now.location == leaf.location))
}
