//! Every step that changes what is durable, announced before it is taken, so that a test can be there: count the
//! steps, let one fail, cut the power before one, and keep its own account of what a disk would have kept.
//!
//! Without the feature `testing` nothing of this is compiled: a step is the call it stands for.

use std::fs::File;
#[cfg(not(feature = "testing"))]
use std::io;
use std::io::IoSlice;
use std::path::Path;

/// A step that is about to be taken.
#[derive(Debug)]
pub enum DurableStep<'a> {
    /// A directory is made.
    CreateDirectory(&'a Path),
    /// A file is made, empty.
    CreateFile(&'a Path),
    /// Bytes are written at an offset.
    Write(&'a File, u64, &'a [IoSlice<'a>]),
    /// A file is cut, or extended with zeroes, to a length.
    Cut(&'a File, u64),
    /// A file's bytes are made durable.
    SyncFile(&'a File),
    /// A file gets another name.
    Rename(&'a Path, &'a Path),
    /// A name is removed.
    Remove(&'a Path),
    /// A directory's names are made durable.
    SyncDirectory(&'a Path),
    /// A transaction of the metadata store is committed.
    Commit,
    /// A transaction was committed, and its caller is about to be told.
    Committed,
    /// An object store is about to do what was asked of it.
    #[cfg(feature = "testing")]
    Request,
    /// It has done so, and its answer is on the way.
    #[cfg(feature = "testing")]
    Answer,
}

/// Takes a step in the presence of the watcher, if there is one.
#[cfg(not(feature = "testing"))]
#[inline]
pub(crate) fn watched<T>(_step: &DurableStep<'_>, take: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    take()
}

/// Announces a step whose end is of no interest.
#[cfg(not(feature = "testing"))]
#[inline]
#[allow(clippy::unnecessary_wraps, reason = "with the feature `testing` a step may be refused")]
pub(crate) fn step(_step: &DurableStep<'_>) -> io::Result<()> {
    Ok(())
}

/// Announces a moment at which it matters what others do, though nothing durable changes.
#[cfg(not(feature = "testing"))]
#[inline]
pub(crate) fn point() {}

/// Announces that a transaction ran into another, and begins anew.
#[cfg(not(feature = "testing"))]
#[inline]
pub(crate) fn collided() {}

/// Announces that a transaction waits for an answer of the embedded database, for all statements that go there together.
#[cfg(not(feature = "testing"))]
#[inline]
pub(crate) fn trip() {}

#[cfg(feature = "testing")]
pub use watching::{Watch, Watcher};
#[cfg(feature = "testing")]
pub(crate) use watching::{collided, point, step, trip, watched};

#[cfg(feature = "testing")]
mod watching {
    use std::collections::HashMap;
    use std::io;
    use std::sync::{Arc, LazyLock, PoisonError, RwLock, RwLockWriteGuard};

    use tokio::runtime::{Handle, Id};

    use super::DurableStep;

    /// Sees every step of a runtime.
    pub trait Watcher: Send + Sync {
        /// A step is about to be taken. An error is the step's own: it is not taken. The number is given back to
        /// [`Self::after`].
        fn before(&self, step: &DurableStep<'_>) -> io::Result<u64>;

        /// A step was taken, and succeeded.
        fn after(&self, step: &DurableStep<'_>, number: u64);

        /// What follows changes nothing durable, but depends on what others do meanwhile: a statement of the
        /// metadata store, a look at a file.
        fn point(&self) {}

        /// A transaction ran into another, and begins anew.
        fn collided(&self) {}

        /// A transaction waits for an answer of the embedded database.
        fn trip(&self) {}
    }

    /// A runtime, with its tasks and its threads for what blocks; `None` stands for threads of no runtime.
    type Watched = Option<Id>;

    static WATCHERS: LazyLock<RwLock<HashMap<Watched, Arc<dyn Watcher>>>> = LazyLock::new(RwLock::default);

    fn watchers() -> RwLockWriteGuard<'static, HashMap<Watched, Arc<dyn Watcher>>> {
        WATCHERS.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn here() -> Watched {
        Handle::try_current().ok().map(|runtime| runtime.id())
    }

    /// As long as this lives its watcher sees every step of one runtime: a process, as far as tests are concerned, of
    /// which there may be many in one.
    #[derive(Debug)]
    pub struct Watch(Watched);

    impl Watch {
        /// Sets `watcher` to watch the runtime that this is called in, or what belongs to none.
        ///
        /// # Panics
        ///
        /// If it is watched already.
        pub fn begin(watcher: Arc<dyn Watcher>) -> Self {
            let watched = here();
            let before = watchers().insert(watched, watcher);
            assert!(before.is_none(), "somebody watches already");
            Self(watched)
        }
    }

    impl Drop for Watch {
        fn drop(&mut self) {
            watchers().remove(&self.0);
        }
    }

    fn watcher() -> Option<Arc<dyn Watcher>> {
        WATCHERS.read().unwrap_or_else(PoisonError::into_inner).get(&here()).cloned()
    }

    pub(crate) fn watched<T>(step: &DurableStep<'_>, take: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        #[cfg(feature = "loom")]
        loom_point();
        let Some(watcher) = watcher() else { return take() };
        let number = watcher.before(step)?;
        let taken = take()?;
        watcher.after(step, number);
        Ok(taken)
    }

    pub(crate) fn point() {
        #[cfg(feature = "loom")]
        loom_point();
        if let Some(watcher) = watcher() {
            watcher.point();
        }
    }

    pub(crate) fn collided() {
        if let Some(watcher) = watcher() {
            watcher.collided();
        }
    }

    pub(crate) fn trip() {
        if let Some(watcher) = watcher() {
            watcher.trip();
        }
    }

    /// Another thread may come first, for all that it may do to files.
    #[cfg(feature = "loom")]
    fn loom_point() {
        use loom::sync::atomic::{AtomicUsize, Ordering};
        loom::lazy_static! {
            static ref FILES: AtomicUsize = AtomicUsize::new(0);
        }
        // All of it depends on all of it: no order is left out.
        FILES.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn step(step: &DurableStep<'_>) -> io::Result<()> {
        #[cfg(feature = "loom")]
        loom_point();
        watcher().map_or(Ok(()), |watcher| watcher.before(step).map(drop))
    }
}
