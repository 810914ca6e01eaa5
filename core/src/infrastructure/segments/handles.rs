//! Open files of packs, kept for the next reader: opening a file costs more than reading 4 KiB of it.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, PoisonError};

use super::blocking::{Wait, read_error, read_exact_at};
use super::directory::Directory;
use super::format::{FRAME_SIZE, SegmentHeader, Version};
use crate::application::ports::segments::{SegmentError, SegmentKind};
use crate::domain::blob::SegmentId;
use crate::infrastructure::sync::atomic::{AtomicU64, Ordering};
use crate::infrastructure::sync::{Mutex, MutexGuard};
use crate::infrastructure::watch;

const SHARDS: usize = 8;
const HANDLES_PER_SHARD_MAX: usize = 32;

/// A segment open for reading, whose header was checked.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) id: SegmentId,
    pub(super) version: Version,
    pub(super) kind: SegmentKind,
    pub(super) file: File,
}

impl Handle {
    /// Opens `id` and checks that the file says it is that segment. Blocks.
    pub(super) fn open(directory: &Directory, id: SegmentId, writable: bool) -> Result<Self, SegmentError> {
        watch::point();
        Self::of(id, directory.open_settled(id, writable)?)
    }

    /// As [`Self::open`], of a file that is open. Blocks.
    pub(super) fn of(id: SegmentId, file: File) -> Result<Self, SegmentError> {
        let mut frame = [0; FRAME_SIZE];
        let corrupt = |what| SegmentError::Corrupt { segment: id, offset: 0, what };
        read_exact_at(&file, &mut frame, 0, Wait::Yes).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => corrupt("the file ends inside its header"),
            _ => read_error(id, "read a segment's header", error),
        })?;
        let header = SegmentHeader::decode(&frame).map_err(|damage| corrupt(damage.0))?;
        if header.id != id {
            return Err(corrupt("the header names another segment"));
        }
        Ok(Self { id, version: header.version, kind: header.kind, file })
    }

    /// Whether the file has lost its name.
    fn is_unlinked(&self) -> bool {
        watch::point();
        self.file.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
    }
}

type Shard = HashMap<SegmentId, (Arc<Handle>, u64)>;

/// The handles used last, at most 256.
#[derive(Debug, Default)]
pub(super) struct Handles {
    shards: [Mutex<Shard>; SHARDS],
    clock: AtomicU64,
}

impl Handles {
    /// The handle of `id`, if it is kept.
    pub(super) fn get(&self, id: SegmentId) -> Option<Arc<Handle>> {
        let mut shard = self.shard(id);
        let (handle, used) = shard.get_mut(&id)?;
        *used = self.clock.fetch_add(1, Ordering::Relaxed);
        Some(Arc::clone(handle))
    }

    /// Opens `id`, and keeps it if it is a pack: a single is read in few large steps, and is large, so that
    /// an open handle would keep much room from being freed if another process removed it. Blocks.
    pub(super) fn open(&self, directory: &Directory, id: SegmentId) -> Result<Arc<Handle>, SegmentError> {
        let handle = Arc::new(Handle::open(directory, id, false)?);
        if handle.kind == SegmentKind::Pack {
            self.keep(&handle);
            // A deletion unlinks, then forgets. If it forgot before we kept, it had unlinked before this look.
            if handle.is_unlinked() {
                self.forget(id);
            }
        }
        Ok(handle)
    }

    /// Drops the handle of `id`, whose file was unlinked. Readers that hold it finish.
    pub(super) fn forget(&self, id: SegmentId) {
        self.shard(id).remove(&id);
    }

    fn keep(&self, handle: &Arc<Handle>) {
        let mut shard = self.shard(handle.id);
        if shard.len() >= HANDLES_PER_SHARD_MAX && !shard.contains_key(&handle.id) {
            let oldest = shard.iter().min_by_key(|(_, (_, used))| *used).map(|(id, _)| *id);
            oldest.and_then(|id| shard.remove(&id));
        }
        shard.insert(handle.id, (Arc::clone(handle), self.clock.fetch_add(1, Ordering::Relaxed)));
    }

    fn shard(&self, id: SegmentId) -> MutexGuard<'_, Shard> {
        // The last byte of a UUID is random in every version.
        let shard = usize::from(id.0.as_bytes()[15]) % SHARDS;
        // A panic elsewhere leaves a map that is still a map.
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
