//! Wrappers that do what they wrap does, until told to fail.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use uuid::Uuid;

use crate::application::ports::segments::{
    DomainTag, FoundRecord, Mended, PackWriter, Packing, Presence, ReadRequest, Record, Salvaged,
    SegmentError, SegmentStore, SingleWriter,
};
use crate::domain::blob::{Hash, SegmentId};
use crate::domain::identity::TierMark;

/// What can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Beginning a pack or a single: nothing is created.
    Create,
    /// Writing the next bytes of a single, or a batch of a pack: none of them is written.
    Write,
    /// Making bytes durable: a batch of a pack (whose bytes are in the file nevertheless, as after a real
    /// failed sync), the end of a single, the seal of a pack.
    Sync,
    /// Beginning to read.
    Read,
    /// One chunk of a stream that is being read; the stream ends there.
    Chunk,
    /// Deleting: nothing is deleted.
    Delete,
    /// Asking whether the tier can be written to.
    Check,
}

/// How it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No room: [`SegmentError::Full`].
    Full,
    /// The disk answers an error: [`SegmentError::Io`].
    Io,
    /// The tier is away: [`SegmentError::Unavailable`].
    Away,
}

#[derive(Clone, Copy, Debug)]
enum Armed {
    /// Once, when the count is down to 1.
    Once(u64, Fault),
    /// Until healed.
    Always(Fault),
}

#[derive(Debug, Default)]
struct FaultyState {
    armed: HashMap<Operation, Armed>,
    seen: HashMap<Operation, u64>,
    /// Segments of which an operation fails, always.
    bad: HashMap<(Operation, SegmentId), Fault>,
    /// Segments that cannot be read.
    spoiled: HashSet<SegmentId>,
}

/// The plan of failures of a [`FaultySegments`]. May be changed at any time.
#[derive(Debug, Default)]
pub struct Faults(Mutex<FaultyState>);

impl Faults {
    /// The `nth` next `operation` fails (1 is the very next), once. Replaces what was planned for it.
    pub fn fail(&self, operation: Operation, nth: u64, fault: Fault) {
        assert!(nth > 0, "the next operation is the first");
        self.state().armed.insert(operation, Armed::Once(nth, fault));
    }

    /// Every `operation` fails from now on.
    pub fn fail_always(&self, operation: Operation, fault: Fault) {
        self.state().armed.insert(operation, Armed::Always(fault));
    }

    /// Every `operation` on this segment fails from now on: reading or deleting it.
    pub fn fail_segment(&self, operation: Operation, segment: SegmentId, fault: Fault) {
        self.state().bad.insert((operation, segment), fault);
    }

    /// Every read of `segment` meets a bad sector from now on; all others are well.
    pub fn spoil(&self, segment: SegmentId) {
        self.state().spoiled.insert(segment);
    }

    /// Nothing fails any more. Writers that have failed stay failed.
    pub fn heal(&self) {
        let mut state = self.state();
        state.armed.clear();
        state.bad.clear();
        state.spoiled.clear();
    }

    /// How many of `operation` were begun so far, failed ones included.
    pub fn seen(&self, operation: Operation) -> u64 {
        self.state().seen.get(&operation).copied().unwrap_or(0)
    }

    fn meet_at(&self, operation: Operation, segment: SegmentId) -> Result<(), SegmentError> {
        let bad = self.state().bad.get(&(operation, segment)).copied();
        bad.map_or_else(|| self.meet(operation), |fault| Err(fault.error()))
    }

    fn meet(&self, operation: Operation) -> Result<(), SegmentError> {
        let mut state = self.state();
        *state.seen.entry(operation).or_default() += 1;
        match state.armed.get_mut(&operation) {
            Some(Armed::Always(fault)) => Err(fault.error()),
            Some(Armed::Once(1, fault)) => {
                let error = fault.error();
                state.armed.remove(&operation);
                Err(error)
            }
            Some(Armed::Once(left, _)) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn state(&self) -> MutexGuard<'_, FaultyState> {
        self.0.lock().expect("no panic while the plan is held")
    }
}

impl Fault {
    fn error(self) -> SegmentError {
        match self {
            Self::Full => SegmentError::Full("faulty"),
            Self::Io => failed("do what was planned to fail"),
            Self::Away => SegmentError::Unavailable {
                action: "do what was planned to fail",
                source: Arc::new(io::Error::other("injected")),
                advice: "heal the plan",
            },
        }
    }
}

fn failed(action: &'static str) -> SegmentError {
    SegmentError::Io { action, source: Arc::new(io::Error::other("injected")) }
}

/// A tier that fails by plan.
#[derive(Clone)]
pub struct FaultySegments {
    inner: Arc<dyn SegmentStore>,
    faults: Arc<Faults>,
    verifying: bool,
}

impl FaultySegments {
    /// Wraps `inner`; nothing fails until [`Self::faults`] says so.
    pub fn new(inner: Arc<dyn SegmentStore>) -> Self {
        Self { inner, faults: Arc::default(), verifying: false }
    }

    /// Says of itself that it reads its bytes from time to time, as an object store does.
    #[must_use]
    pub fn verifying(self) -> Self {
        Self { verifying: true, ..self }
    }

    fn meet_bad(&self, segment: SegmentId) -> Result<(), SegmentError> {
        if !self.faults.state().spoiled.contains(&segment) {
            return Ok(());
        }
        // EIO
        let source = Arc::new(io::Error::from_raw_os_error(5));
        Err(SegmentError::Unreadable { segment, action: "read a segment", source })
    }

    /// The plan.
    pub fn faults(&self) -> Arc<Faults> {
        Arc::clone(&self.faults)
    }
}

#[async_trait]
impl SegmentStore for FaultySegments {
    async fn create_pack(&self, id: SegmentId) -> Result<Box<dyn PackWriter>, SegmentError> {
        self.faults.meet(Operation::Create)?;
        let inner = self.inner.create_pack(id).await?;
        let (size, faults) = (inner.size(), self.faults());
        Ok(Box::new(FaultyPack { id, size, inner: Some(inner), faults }))
    }

    async fn create_single(
        &self,
        id: SegmentId,
        domain: DomainTag,
        expected: Option<u64>,
    ) -> Result<Box<dyn SingleWriter>, SegmentError> {
        self.faults.meet(Operation::Create)?;
        let inner = self.inner.create_single(id, domain, expected).await?;
        Ok(Box::new(FaultySingle { id, inner: Some(inner), faults: self.faults() }))
    }

    async fn read(
        &self,
        request: ReadRequest,
    ) -> Result<BoxStream<'static, Result<Bytes, SegmentError>>, SegmentError> {
        self.faults.meet_at(Operation::Read, request.segment)?;
        self.meet_bad(request.segment)?;
        let inner = self.inner.read(request).await?;
        let faults = self.faults();
        let chunks = inner.scan(false, move |ended, chunk| {
            let chunk = (!*ended).then(|| faults.meet(Operation::Chunk).and(chunk));
            *ended = !matches!(chunk, Some(Ok(_)));
            std::future::ready(chunk)
        });
        Ok(chunks.boxed())
    }

    fn packing(&self) -> Packing {
        self.inner.packing()
    }

    fn verifies_itself(&self) -> bool {
        self.verifying
    }

    async fn delete(&self, id: SegmentId) -> Result<(), SegmentError> {
        self.faults.meet_at(Operation::Delete, id)?;
        self.inner.delete(id).await
    }

    async fn recover(&self, id: SegmentId, committed: u64) -> Result<Mended, SegmentError> {
        self.meet_bad(id)?;
        self.inner.recover(id, committed).await
    }

    async fn salvage(&self, id: SegmentId) -> Result<Salvaged, SegmentError> {
        self.meet_bad(id)?;
        self.inner.salvage(id).await
    }

    async fn inspect(&self, id: SegmentId) -> Result<Vec<FoundRecord>, SegmentError> {
        self.meet_bad(id)?;
        self.inner.inspect(id).await
    }

    async fn list(&self) -> Result<BoxStream<'static, Result<SegmentId, SegmentError>>, SegmentError> {
        self.inner.list().await
    }

    async fn mark(&self) -> Result<Option<TierMark>, SegmentError> {
        self.inner.mark().await
    }

    async fn set_mark(&self, mark: &TierMark) -> Result<TierMark, SegmentError> {
        self.inner.set_mark(mark).await
    }

    async fn enter(&self, mark: &TierMark) -> Result<(), SegmentError> {
        self.inner.enter(mark).await
    }

    async fn identify(&self) -> Result<(), SegmentError> {
        self.inner.identify().await
    }

    async fn probe(&self, ids: Vec<SegmentId>) -> Result<Vec<Presence>, SegmentError> {
        let mut found = self.inner.probe(ids.clone()).await?;
        for (id, presence) in ids.into_iter().zip(&mut found) {
            if self.meet_bad(id).is_err() {
                *presence = Presence::Unreadable;
            }
        }
        Ok(found)
    }

    async fn note_commits(&self, writer: Uuid, commits: u64) -> Result<(), SegmentError> {
        self.inner.note_commits(writer, commits).await
    }

    async fn commit_notes(&self) -> Result<Vec<(Uuid, u64)>, SegmentError> {
        self.inner.commit_notes().await
    }

    async fn note_server(&self, writer: Uuid, token: Uuid) -> Result<(), SegmentError> {
        self.inner.note_server(writer, token).await
    }

    async fn server_note(&self, writer: Uuid) -> Result<Option<Uuid>, SegmentError> {
        self.inner.server_note(writer).await
    }

    async fn check(&self) -> Result<(), SegmentError> {
        self.faults.meet(Operation::Check)?;
        self.inner.check().await
    }
}

struct FaultyPack {
    id: SegmentId,
    size: u64,
    /// Gone after a failure.
    inner: Option<Box<dyn PackWriter>>,
    faults: Arc<Faults>,
}

#[async_trait]
impl PackWriter for FaultyPack {
    fn id(&self) -> SegmentId {
        self.id
    }

    fn size(&self) -> u64 {
        self.size
    }

    async fn append(&mut self, records: Vec<Record>) -> Result<Vec<u64>, SegmentError> {
        let mut inner = self.inner.take().ok_or_else(|| failed("append after a failure"))?;
        self.faults.meet(Operation::Write)?;
        let offsets = inner.append(records).await?;
        self.faults.meet(Operation::Sync)?;
        self.size = inner.size();
        self.inner = Some(inner);
        Ok(offsets)
    }

    async fn seal(mut self: Box<Self>) -> Result<u64, SegmentError> {
        let inner = self.inner.take().ok_or_else(|| failed("seal after a failure"))?;
        self.faults.meet(Operation::Sync)?;
        inner.seal().await
    }
}

struct FaultySingle {
    id: SegmentId,
    /// Gone after a failure.
    inner: Option<Box<dyn SingleWriter>>,
    faults: Arc<Faults>,
}

#[async_trait]
impl SingleWriter for FaultySingle {
    fn id(&self) -> SegmentId {
        self.id
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), SegmentError> {
        let mut inner = self.inner.take().ok_or_else(|| failed("write after a failure"))?;
        self.faults.meet(Operation::Write)?;
        inner.write(bytes).await?;
        self.inner = Some(inner);
        Ok(())
    }

    async fn finish(mut self: Box<Self>, hash: Hash) -> Result<(u64, u64), SegmentError> {
        let inner = self.inner.take().ok_or_else(|| failed("finish after a failure"))?;
        self.faults.meet(Operation::Sync)?;
        inner.finish(hash).await
    }
}
