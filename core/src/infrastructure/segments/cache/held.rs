//! What is here: pages in memory, and on the disk what is worth a slot there.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::super::blocking::{Wait, blocking};
use super::disk::{Disk, Found, Read, Refusal};
use super::page::PageKey;
use crate::application::metrics::read_cache as meters;
use crate::domain::blob::SegmentId;

/// Bytes of pages in memory, at most.
const MEMORY: u64 = 32 << 20;

/// Pages on their way to the disk, at most: 8 MiB. Those that come while it is full are not kept there. (Of a test, all are.)
const QUEUE: usize = if cfg!(test) { 4096 } else { 128 };

/// How often the disk's room is looked at, and a disk that could not be used is tried again.
const TICK: Duration = Duration::from_secs(5);

pub(super) struct Held {
    memory: moka::sync::Cache<PageKey, Bytes>,
    disk: OnceLock<Arc<Disk>>,
    to_disk: mpsc::Sender<ToDisk>,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not what is in memory: that is data of clients.
        f.debug_struct("Held").field("disk", &self.disk).finish_non_exhaustive()
    }
}

/// Where a page is.
#[derive(Clone)]
pub(super) enum Place {
    Memory(Bytes),
    Disk(Found),
}

/// What waits for the task that writes.
enum ToDisk {
    Page(PageKey, Bytes),
    /// Told once all before it is written.
    #[cfg(test)]
    Written(tokio::sync::oneshot::Sender<()>),
}

impl Held {
    /// Of at most `bytes` in files of `directory`: see [`Disk::open`]. The error says what the operator must change; a disk
    /// that is full or broken is none, and is tried again later.
    pub(super) fn open(directory: PathBuf, bytes: u64, reserve: Option<u64>) -> Result<Arc<Self>, String> {
        let disk = OnceLock::new();
        match Disk::open(&directory, bytes, reserve) {
            Ok(opened) => drop(disk.set(Arc::new(opened))),
            Err(Refusal::Setting(reason)) => return Err(reason),
            Err(Refusal::Disk(error)) => unusable(&directory, &error),
        }
        let memory = moka::sync::Cache::builder()
            .max_capacity(MEMORY.min(bytes / 4))
            .weigher(|_, page: &Bytes| u32::try_from(page.len() + 256).unwrap_or(u32::MAX))
            .eviction_listener(|_, _, cause| {
                if cause == moka::notification::RemovalCause::Size {
                    meters::evicted("memory", 1);
                }
            })
            .build();
        meters::bytes_max(bytes);
        let (to_disk, pages) = mpsc::channel(QUEUE);
        let held = Arc::new(Self { memory, disk, to_disk });
        let again = move || Disk::open(&directory, bytes, reserve);
        tokio::spawn(write_to_disk(Arc::downgrade(&held), pages, again));
        Ok(held)
    }

    /// Where a page is; it counts as asked for.
    pub(super) fn look(&self, key: PageKey) -> Option<Place> {
        if let Some(page) = self.memory.get(&key) {
            return Some(Place::Memory(page));
        }
        self.disk.get()?.find(key).map(Place::Disk)
    }

    /// Keeps a page that was fetched.
    pub(super) fn keep(&self, key: PageKey, page: &Bytes) {
        meters::fetched(page.len());
        self.memory.insert(key, page.clone());
        self.offer(key, page);
    }

    /// Tells the disk that a page was asked for; it is written if it is worth that.
    pub(super) fn offer(&self, key: PageKey, page: &Bytes) {
        if let Some(disk) = self.disk.get()
            && disk.wants(key)
            && self.to_disk.try_send(ToDisk::Page(key, page.clone())).is_err()
        {
            meters::skipped();
        }
    }

    /// Drops what it has of `segments`.
    pub(super) async fn forget(self: &Arc<Self>, segments: HashSet<SegmentId>) {
        let held = Arc::clone(self);
        let forgotten = blocking(move || {
            for (key, _) in &held.memory {
                if segments.contains(&key.segment) {
                    held.memory.invalidate(&*key);
                }
            }
            if let Some(disk) = held.disk.get() {
                disk.forget(&segments);
            }
            Ok(())
        });
        // It fails only where the process ends.
        let _ = forgotten.await;
    }

    /// Drops a page.
    pub(super) fn drop_page(&self, key: PageKey) {
        self.memory.invalidate(&key);
        if let Some(disk) = self.disk.get() {
            disk.drop_page(key);
        }
    }

    /// Reads pages of the disk, `None` for those that are lost, and keeps them in memory.
    pub(super) async fn read_disk(self: &Arc<Self>, found: Vec<Found>) -> Vec<Option<Bytes>> {
        let Some(disk) = self.disk.get().cloned() else { return vec![None; found.len()] };
        if let [only] = found.as_slice() {
            match disk.read(only, Wait::No) {
                Read::Page(page) => {
                    self.memory.insert(only.key(), page.clone());
                    return vec![Some(page)];
                }
                Read::Lost => return vec![None],
                Read::WouldWait => {}
            }
        }
        let held = Arc::clone(self);
        let count = found.len();
        let read = blocking(move || {
            let read = found.iter().map(|found| match disk.read(found, Wait::Yes) {
                Read::Page(page) => {
                    held.memory.insert(found.key(), page.clone());
                    Some(page)
                }
                Read::Lost | Read::WouldWait => None,
            });
            Ok(read.collect())
        });
        read.await.unwrap_or_else(|_| vec![None; count])
    }
}

#[cfg(test)]
impl Held {
    pub(super) fn memory(&self) -> &moka::sync::Cache<PageKey, Bytes> {
        &self.memory
    }

    /// Waits until all that was fetched is written.
    pub(super) async fn written(&self) {
        let (told, written) = tokio::sync::oneshot::channel();
        assert!(self.to_disk.send(ToDisk::Written(told)).await.is_ok());
        assert!(written.await.is_ok());
    }
}

/// Writes pages to the disk as they come, until the cache is gone.
async fn write_to_disk(
    cache: std::sync::Weak<Held>,
    mut pages: mpsc::Receiver<ToDisk>,
    open: impl Fn() -> Result<Disk, Refusal> + Clone + Send + 'static,
) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let mut batch = Vec::new();
        let tick = tokio::select! {
            _ = ticks.tick() => true,
            count = pages.recv_many(&mut batch, QUEUE) => {
                if count == 0 {
                    return;
                }
                false
            }
        };
        let Some(held) = cache.upgrade() else { return };
        let open = open.clone();
        let written = blocking(move || {
            match held.disk.get() {
                Some(disk) => {
                    for job in batch {
                        match job {
                            ToDisk::Page(key, page) => disk.write(key, &page),
                            #[cfg(test)]
                            ToDisk::Written(told) => drop(told.send(())),
                        }
                    }
                    if tick {
                        disk.keep_room();
                    }
                }
                None => match open() {
                    Ok(disk) => {
                        tracing::info!("the read cache's disk can be used again");
                        drop(held.disk.set(Arc::new(disk)));
                    }
                    Err(_) => meters::disk_failed("open"),
                },
            }
            if tick {
                meters::bytes("memory", held.memory.weighted_size());
            }
            Ok(())
        });
        // It fails only where the process ends.
        let _ = written.await;
    }
}

fn unusable(directory: &Path, error: &std::io::Error) {
    meters::disk_failed("open");
    tracing::warn!(
        %error, directory = %directory.display(),
        "the read cache's disk cannot be used; reads go on without it, and it is tried again"
    );
}
