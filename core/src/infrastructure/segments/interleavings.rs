//! Threads of one process at one segment at the same time, in every order (loom; run by `make threads` with
//! the feature of that name). The code is the store's own and the files are real; only its locks and atomics are loom's,
//! and before each step in the file system another thread may come first.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use loom::thread;
use uuid::Uuid;

use super::directory::Directory;
use super::handles::Handles;
use super::local::remove;
use super::pack::LocalPack;
use super::single::{Abandon, LocalSingle};
use crate::application::ports::segments::SegmentError;
use crate::domain::blob::{Hash, SegmentId};
use crate::infrastructure::sync::atomic;
use crate::infrastructure::watch::{DurableStep, Watch, Watcher};

const SEGMENT: SegmentId = SegmentId(Uuid::from_u128(7));

/// Runs `threads` over an empty tier in every order that can be told apart, of those in which a thread is interrupted
/// at most `interruptions` times, if that is said; prints how many there were.
fn in_every_order(
    what: &str,
    interruptions: Option<usize>,
    threads: impl Fn(Arc<Directory>) + Send + Sync + 'static,
) {
    let orders = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&orders);
    let memory = Path::new("/dev/shm");
    let root = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let mut model = loom::model::Builder::new();
    model.preemption_bound = interruptions;
    model.max_branches = 10_000;
    model.check(move || {
        let tier = root.path().join(count.fetch_add(1, Ordering::Relaxed).to_string());
        threads(Arc::new(Directory::open(tier.clone(), "hot").unwrap()));
        std::fs::remove_dir_all(tier).unwrap();
    });
    let orders = orders.load(Ordering::Relaxed);
    println!("{what}: {orders} orders");
    assert!(orders > 10, "hardly anything was interleaved");
}

/// Reads as the store does: with the handle that is kept, or a new one.
fn read(directory: &Directory, handles: &Handles) {
    match handles.get(SEGMENT).map_or_else(|| handles.open(directory, SEGMENT), Ok) {
        Ok(handle) => assert_eq!(handle.id, SEGMENT),
        Err(SegmentError::Missing(id)) => assert_eq!(id, SEGMENT),
        Err(error) => panic!("{error}"),
    }
}

/// Readers keep a pack open while it is removed: it is never kept once that is done, or its room would not be given
/// back before the process ends.
fn readers_and_a_removal(directory: &Arc<Directory>, readers: usize) {
    drop(LocalPack::create(Arc::clone(directory), SEGMENT).unwrap());
    let handles = Arc::new(Handles::default());
    let mut threads: Vec<_> = (0..readers)
        .map(|_| {
            let (directory, handles) = (Arc::clone(directory), Arc::clone(&handles));
            thread::spawn(move || read(&directory, &handles))
        })
        .collect();
    let (tier, kept) = (Arc::clone(directory), Arc::clone(&handles));
    threads.push(thread::spawn(move || remove(&tier, &kept, SEGMENT).unwrap()));
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(handles.get(SEGMENT).is_none(), "a file without a name is kept open");
    assert!(matches!(handles.open(directory, SEGMENT), Err(SegmentError::Missing(_))));
}

#[test]
fn a_pack_that_is_removed_is_not_kept_open() {
    in_every_order("a reader and a removal", None, |directory| readers_and_a_removal(&directory, 1));
    in_every_order("two readers and a removal", Some(3), |directory| readers_and_a_removal(&directory, 2));
}

/// Notes whether a directory was synced.
struct Synced(PathBuf, AtomicBool);

impl Watcher for Synced {
    fn before(&self, _: &DurableStep<'_>) -> std::io::Result<u64> {
        Ok(0)
    }

    fn after(&self, step: &DurableStep<'_>, _: u64) {
        if matches!(step, DurableStep::SyncDirectory(path) if *path == self.0) {
            self.1.store(true, Ordering::SeqCst);
        }
    }
}

/// A thread that puts a segment on a shelf may rely on the shelf's name being durable, also if another thread is the one
/// that makes it.
#[test]
fn a_shelf_is_durable_before_anybody_uses_it() {
    in_every_order("two segments on a new shelf", None, |directory| {
        let watcher = Arc::new(Synced(directory.segments(), AtomicBool::new(false)));
        let _watch = Watch::begin(watcher.clone());
        let threads = [1, 2].map(|number| {
            let (directory, watcher) = (Arc::clone(&directory), Arc::clone(&watcher));
            thread::spawn(move || {
                directory.make_room(SegmentId(Uuid::from_u128(number))).unwrap();
                assert!(watcher.1.load(Ordering::SeqCst), "a power cut would take the shelf");
            })
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// A client vanishes while its large upload is being given its name: the request's future is dropped, the segment's
/// row condemned and its file removed, while the thread that seals it goes on. No file is left, whichever is first.
#[test]
fn a_client_that_vanishes_at_the_end_leaves_no_file() {
    in_every_order("sealing and giving up", None, |directory| {
        let single = LocalSingle::create(Arc::clone(&directory), SEGMENT, [0; 16]).unwrap();
        let abandoned = Arc::new(atomic::AtomicBool::new(false));
        let guard = Abandon(Arc::clone(&abandoned));
        // It may fail, if its file is taken away before it has its name.
        let sealing = thread::spawn(move || drop(single.seal(Box::default(), Hash([0; 32]), &abandoned)));
        let tier = Arc::clone(&directory);
        let vanishing = thread::spawn(move || {
            drop(guard);
            remove(&tier, &Handles::default(), SEGMENT).unwrap();
        });
        sealing.join().unwrap();
        vanishing.join().unwrap();
        for path in [directory.staged(SEGMENT), directory.settled(SEGMENT)] {
            assert!(!path.exists(), "{} is left", path.display());
        }
    });
}
