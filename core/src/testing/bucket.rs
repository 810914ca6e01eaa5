//! A bucket in memory that behaves as badly as a test says: what lies between a tier and the bytes of an object store.
//!
//! Requests that change something are steps of the watcher, as those of a disk are: one before the effect, one before the
//! answer. So a process can be ended at each of them.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt as _};
use object_store::memory::InMemory;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, Error, Extensions, GetOptions, GetResult, GetResultPayload, ListResult,
    MultipartId, MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, Result,
};
use tokio::sync::oneshot;

use super::disk::Dice;
use crate::infrastructure::segments::RemoteSegments;
use crate::infrastructure::watch::{self, DurableStep};

/// What is asked of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Request {
    /// An object is put whole.
    Put,
    /// An upload in parts is begun.
    Begin,
    /// A part is put.
    Part,
    /// An upload is completed.
    Complete,
    /// An upload is aborted.
    Abort,
    /// An object, or a range of it, is read; also its head.
    Get,
    /// Objects are removed, however many.
    Delete,
    /// Objects are listed.
    List,
}

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 503, before anything was done.
    Refused,
    /// It was done, and the answer got lost.
    AnswerLost,
    /// Nobody answers; somebody on the way holds the request back until [`FaultyBucket::deliver`]. Only of a put.
    HeldBack,
    /// It is done twice, as by a client that lost the first answer: the second answer counts.
    Repeated,
    /// The connection breaks in the middle of the answer's body. Only of a read.
    Broken,
    /// The answer has fewer bytes than were asked for. Only of a read.
    Short,
    /// A bit of the answer is not what was written. Only of a read.
    Flipped,
}

/// Bytes of a part: few, so that an upload in parts is no large one.
const PART: u64 = 2 << 20;

/// Put requests that were held back, and are still to be done.
type Held = VecDeque<(Path, PutPayload, PutOptions)>;

#[derive(Default)]
struct BucketState {
    /// What goes wrong with the next requests of a kind, `None` if nothing does.
    plan: BTreeMap<Request, VecDeque<Option<Fault>>>,
    /// What goes wrong with all of them.
    always: BTreeMap<Request, Fault>,
    /// How many of a hundred requests meet a fault, by chance.
    storm: Option<(u64, Dice)>,
    asked: BTreeMap<Request, u64>,
    held: Held,
    /// What listings show instead of what is there.
    stale: Option<Vec<ObjectMeta>>,
    ignores_conditions: bool,
    /// Puts wait until they are let go.
    holding: bool,
    waiting: Vec<Option<oneshot::Sender<()>>>,
}

/// A bucket under the control of a test.
pub struct FaultyBucket {
    store: Arc<InMemory>,
    state: Mutex<BucketState>,
}

impl Default for FaultyBucket {
    fn default() -> Self {
        Self { store: Arc::new(InMemory::new()), state: Mutex::default() }
    }
}

impl fmt::Debug for FaultyBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyBucket")
    }
}

impl fmt::Display for FaultyBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a faulty bucket")
    }
}

impl FaultyBucket {
    /// A tier under the prefix `name`.
    pub fn tier(self: &Arc<Self>, name: &'static str, spool: PathBuf) -> RemoteSegments {
        RemoteSegments::over_store(self.clone(), name, spool, PART)
    }

    fn state(&self) -> MutexGuard<'_, BucketState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next request of a kind, behind those that were planned before, meets `fault`; `None`: none.
    pub fn plan(&self, request: Request, fault: Option<Fault>) {
        self.state().plan.entry(request).or_default().push_back(fault);
    }

    /// Takes back what was planned next for requests of a kind. Whether there was anything.
    pub fn forget_plan(&self, request: Request) -> bool {
        self.state().plan.get_mut(&request).and_then(VecDeque::pop_front).is_some()
    }

    /// Every request of a kind meets `fault` from now on; `None`: none does.
    pub fn always(&self, request: Request, fault: Option<Fault>) {
        match fault {
            Some(fault) => self.state().always.insert(request, fault),
            None => self.state().always.remove(&request),
        };
    }

    /// From now on `percent` of all requests meet a fault, chosen by `seed`.
    pub fn storm(&self, percent: u64, seed: u64) {
        self.state().storm = (percent > 0).then(|| (percent, Dice::new(seed)));
    }

    /// It takes a second object for a name that is taken.
    pub fn ignore_conditions(&self) {
        self.state().ignores_conditions = true;
    }

    /// From now on listings show what is there now, whatever comes and goes; or, if not `stale`, what is there.
    pub async fn list_stale(&self, stale: bool) {
        let listed = if stale { Some(self.objects().await) } else { None };
        self.state().stale = listed;
    }

    /// From now on each put waits until [`Self::let_go`] or [`Self::let_all_go`].
    pub fn hold_puts(&self) {
        self.state().holding = true;
    }

    /// How many puts came to wait.
    pub fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    /// Lets the put go on that came to wait as the `nth`, from 0.
    pub fn let_go(&self, nth: usize) {
        if let Some(waiting) = self.state().waiting.get_mut(nth).and_then(Option::take) {
            let _ = waiting.send(());
        }
    }

    /// Lets all puts go on, and those that come.
    pub fn let_all_go(&self) {
        let mut state = self.state();
        state.holding = false;
        state.waiting.clear();
    }

    /// Requests so far, by kind.
    pub fn asked(&self, request: Request) -> u64 {
        self.state().asked.get(&request).copied().unwrap_or_default()
    }

    /// All requests so far.
    pub fn asked_all(&self) -> BTreeMap<Request, u64> {
        self.state().asked.clone()
    }

    /// Does the puts that were held back: how many.
    pub async fn deliver(&self) -> usize {
        let held = std::mem::take(&mut self.state().held);
        let count = held.len();
        for (path, payload, options) in held {
            // Whether it is refused by then is of no interest to anybody.
            let _ = self.store.put_opts(&path, payload, options).await;
        }
        count
    }

    /// What is there, whatever listings show.
    pub async fn objects(&self) -> Vec<ObjectMeta> {
        self.store.list(None).map(|object| object.expect("memory lists")).collect().await
    }

    /// The paths of all segments and of the notes about uploads.
    pub async fn segments(&self) -> Vec<String> {
        let paths = self.objects().await.into_iter().map(|object| object.location.to_string());
        paths.filter(|path| path.contains("segments/") || path.contains("staging/")).collect()
    }

    fn wait(&self) -> Option<oneshot::Receiver<()>> {
        let mut state = self.state();
        state.holding.then(|| {
            let (wait, go) = oneshot::channel();
            state.waiting.push(Some(wait));
            go
        })
    }

    /// Counts a request, and says what goes wrong with it.
    fn meet(&self, request: Request) -> Option<Fault> {
        let mut state = self.state();
        *state.asked.entry(request).or_default() += 1;
        if let Some(planned) = state.plan.get_mut(&request).and_then(VecDeque::pop_front) {
            return planned;
        }
        if let Some(fault) = state.always.get(&request) {
            return Some(*fault);
        }
        let (percent, dice) = state.storm.as_mut()?;
        if !dice.percent(*percent) {
            return None;
        }
        let faults: &[Fault] = match request {
            // Wrong bytes are planned: twice in a row they are damage.
            Request::Get => &[Fault::Refused, Fault::Broken],
            Request::Put => &[Fault::Refused, Fault::AnswerLost, Fault::Repeated, Fault::HeldBack],
            Request::List => &[Fault::Refused],
            _ => &[Fault::Refused, Fault::AnswerLost],
        };
        Some(faults[dice.index(faults.len())])
    }

    /// A request that changes something: `take` is its effect.
    async fn change<T>(&self, fault: Option<Fault>, take: BoxFuture<'_, Result<T>>) -> Result<T> {
        if matches!(fault, Some(Fault::Refused)) {
            return Err(failure("503 SlowDown"));
        }
        watch::step(&DurableStep::Request).map_err(gone)?;
        let done = take.await;
        watch::step(&DurableStep::Answer).map_err(gone)?;
        if matches!(fault, Some(Fault::AnswerLost)) {
            return Err(failure("operation timed out"));
        }
        done
    }
}

fn failure(what: &'static str) -> Error {
    Error::Generic { store: "bucket", source: what.into() }
}

fn gone(error: std::io::Error) -> Error {
    Error::Generic { store: "bucket", source: error.into() }
}

#[async_trait]
impl ObjectStore for FaultyBucket {
    async fn put_opts(&self, path: &Path, payload: PutPayload, mut options: PutOptions) -> Result<PutResult> {
        let fault = self.meet(Request::Put);
        if let Some(go) = self.wait() {
            // Whoever lets all go drops the other end.
            let _ = go.await;
        }
        if self.state().ignores_conditions {
            options.mode = PutMode::Overwrite;
        }
        if fault == Some(Fault::HeldBack) {
            self.state().held.push_back((path.clone(), payload, options));
            return Err(failure("operation timed out"));
        }
        let take = async {
            if fault == Some(Fault::Repeated) {
                let _ = self.store.put_opts(path, payload.clone(), options.clone()).await;
            }
            self.store.put_opts(path, payload, options).await
        };
        self.change(fault, Box::pin(take)).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let head = options.head;
        let fault = self.meet(Request::Get);
        if fault == Some(Fault::Refused) {
            return Err(failure("503 SlowDown"));
        }
        let got = self.store.get_opts(path, options).await?;
        let fault = match fault {
            Some(fault @ (Fault::Broken | Fault::Short | Fault::Flipped)) if !head => fault,
            _ => return Ok(got),
        };
        let (meta, range) = (got.meta.clone(), got.range.clone());
        let bytes = got.bytes().await?;
        let half = bytes.slice(..bytes.len() / 2);
        let pieces = match fault {
            Fault::Broken => vec![Ok(half), Err(failure("the connection broke"))],
            Fault::Short => vec![Ok(half)],
            _ => vec![Ok(flipped(&bytes))],
        };
        let payload = GetResultPayload::Stream(stream::iter(pieces).boxed());
        let (attributes, extensions) = (Attributes::default(), Extensions::default());
        Ok(GetResult { payload, meta, range, attributes, extensions })
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (fault, store) = (self.meet(Request::Delete), self.store.clone());
        if fault == Some(Fault::Refused) || watch::step(&DurableStep::Request).is_err() {
            return paths.map(|_| Err(failure("503 SlowDown"))).boxed();
        }
        let lost = fault == Some(Fault::AnswerLost);
        let answered = move |done| if lost { Err(failure("operation timed out")) } else { done };
        store.delete_stream(paths).map(answered).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        if self.meet(Request::List) == Some(Fault::Refused) {
            return stream::once(async { Err(failure("503 SlowDown")) }).boxed();
        }
        let Some(stale) = self.state().stale.clone() else { return self.store.list(prefix) };
        let prefix = prefix.cloned().unwrap_or_default();
        let under = move |object: &ObjectMeta| object.location.prefix_matches(&prefix);
        stream::iter(stale.into_iter().filter(under).map(Ok).collect::<Vec<_>>()).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}

fn flipped(bytes: &Bytes) -> Bytes {
    let mut flipped = bytes.to_vec();
    if let Some(byte) = flipped.last_mut() {
        *byte ^= 4;
    }
    flipped.into()
}

#[async_trait]
impl MultipartStore for FaultyBucket {
    async fn create_multipart(&self, path: &Path) -> Result<MultipartId> {
        let fault = self.meet(Request::Begin);
        self.change(fault, Box::pin(self.store.create_multipart(path))).await
    }

    async fn put_part(&self, path: &Path, id: &MultipartId, part: usize, data: PutPayload) -> Result<PartId> {
        let fault = self.meet(Request::Part);
        self.change(fault, Box::pin(self.store.put_part(path, id, part, data))).await
    }

    async fn complete_multipart(
        &self,
        path: &Path,
        id: &MultipartId,
        parts: Vec<PartId>,
    ) -> Result<PutResult> {
        let fault = self.meet(Request::Complete);
        self.change(fault, Box::pin(self.store.complete_multipart(path, id, parts))).await
    }

    async fn abort_multipart(&self, path: &Path, id: &MultipartId) -> Result<()> {
        let fault = self.meet(Request::Abort);
        let abort = async {
            // As S3 says it of an upload that is over.
            let aborted = self.store.abort_multipart(path, id).await;
            aborted.map_err(|error| Error::NotFound { path: path.to_string(), source: Box::new(error) })
        };
        self.change(fault, Box::pin(abort)).await
    }
}
