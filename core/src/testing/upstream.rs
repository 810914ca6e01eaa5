//! An upstream in memory, which can be told to misbehave in every way that real ones do.

mod port;
mod versions;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::stream::StreamExt as _;
use md5::{Digest as _, Md5};
use tokio::sync::Semaphore;

use crate::application::ports::upstream::{
    Answer, Upstream, UpstreamBody, UpstreamCarried, UpstreamConnector, UpstreamError, UpstreamFacts,
    UpstreamLine, UpstreamListed, UpstreamObject, UpstreamPage, UpstreamQuery, UpstreamSent, UpstreamTold,
    VersionsPage, VersionsQuery,
};
use crate::domain::address::Key;
use crate::domain::blob::Hash;
use crate::domain::etag::{Etag, Md5Digest};
use crate::domain::mirror::versions::Listed;
use crate::domain::object::Tags;
use crate::domain::range::Span;
use crate::domain::timestamp::Timestamp;
use crate::domain::upstream::{Addressing, MirrorSettings, Target};
use crate::infrastructure::watch::{self, DurableStep};

/// An upstream as an operator may declare it.
pub fn target() -> Target {
    Target {
        endpoint: "http://old".into(),
        bucket: "b".into(),
        prefix: String::new(),
        region: "us-east-1".into(),
        addressing: Addressing::Path,
        access_key: "k".into(),
        allow_private: false,
        requests_per_second: None,
        bytes_per_second: None,
        mirror: MirrorSettings::default(),
    }
}

/// How the body of the next answers goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// One bit of it is another one.
    Flipped,
    /// It ends early, and the connection ends well.
    Short,
    /// It ends early, and zeros fill it up.
    Padded,
    /// The connection breaks in the middle.
    Cut,
    /// No answer at all.
    Away,
    /// The credential is refused.
    Refused,
    /// A change is made, and its answer is lost.
    Lost,
}

#[derive(Clone)]
struct Stored {
    said: UpstreamObject,
    bytes: Bytes,
    tags: Tags,
    parts: Option<Vec<u64>>,
}

/// An upload in parts.
struct Upload {
    carried: UpstreamCarried,
    parts: BTreeMap<u32, Bytes>,
}

/// Told of each change that is made: the key, and the tag of what it has then.
type Told = Vec<(String, Option<String>)>;

#[derive(Default)]
struct FakeState {
    kept: versions::Kept,
    objects: BTreeMap<String, Stored>,
    uploads: BTreeMap<String, Upload>,
    uploads_begun: u64,
    /// Every change that was made through the port.
    told: Told,
    /// So many bytes have room.
    room: Option<u64>,
    /// Keys that may not be changed.
    locked: BTreeSet<String>,
    /// For the next so many calls.
    faults: Vec<Fault>,
    /// For the call after so many others.
    later: Option<(Fault, u64)>,
    /// The call after so many others never ends, and whether one does not.
    hang_at: Option<u64>,
    hangs: bool,
    calls: BTreeMap<&'static str, u64>,
    /// Bodies wait for permits of this.
    gate: Option<Arc<Semaphore>>,
    tells_parts: bool,
    /// Every listing begins with a page that has nothing.
    lists_nothing_first: bool,
    /// Listings wait for permits of this.
    list_gate: Option<Arc<Semaphore>>,
    /// Listings wait for permits of this once they have what they show.
    answer_gate: Option<Arc<Semaphore>>,
    late: usize,
    /// Listings under way, and the most of them that there were.
    listing: usize,
    listing_max: usize,
}

/// A listing that is under way.
struct Listing<'a>(&'a FakeUpstream);

impl<'a> Listing<'a> {
    fn begin(upstream: &'a FakeUpstream) -> Self {
        let mut state = upstream.lock();
        state.listing += 1;
        state.listing_max = state.listing_max.max(state.listing);
        Self(upstream)
    }
}

impl Drop for Listing<'_> {
    fn drop(&mut self) {
        self.0.lock().listing -= 1;
    }
}

/// An upstream in memory. All clones are the same.
#[derive(Clone, Default)]
pub struct FakeUpstream(Arc<Mutex<FakeState>>);

/// When everything in it was written.
pub const MODIFIED: Timestamp = Timestamp(1_600_000_000_000);

impl FakeUpstream {
    fn lock(&self) -> MutexGuard<'_, FakeState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds `bytes` at `key`, as a single put made it.
    pub fn put(&self, key: &str, bytes: Bytes) {
        let md5: Md5Digest = Md5::digest(&bytes).into();
        self.put_as(key, bytes, Etag::md5(&md5).as_str(), None);
    }

    /// Holds `bytes` at `key`, as an upload in parts of these sizes made it.
    pub fn put_parts(&self, key: &str, bytes: Bytes, parts: &[usize]) {
        let (mut rest, mut digests) = (bytes.clone(), Vec::new());
        for part in parts {
            digests.push(Md5Digest::from(Md5::digest(rest.split_to(*part))));
        }
        let sizes = parts.iter().map(|part| *part as u64).collect();
        self.put_as(key, bytes, Etag::multipart(&digests).as_str(), Some(sizes));
    }

    /// Holds `bytes` at `key` under any tag.
    pub fn put_as(&self, key: &str, bytes: Bytes, etag: &str, parts: Option<Vec<u64>>) {
        let said = UpstreamObject {
            size: bytes.len() as u64,
            etag: etag.to_owned(),
            modified: MODIFIED,
            ..UpstreamObject::default()
        };
        self.lock().set(key, Some(Stored { said, bytes, tags: Tags::new(), parts }));
    }

    /// Changes what an object carries.
    pub fn describe(&self, key: &str, tags: Tags, change: impl FnOnce(&mut UpstreamObject)) {
        let mut state = self.lock();
        let stored = state.objects.get_mut(key).expect("an object");
        stored.said.tag_count = u32::try_from(tags.len()).unwrap_or_default();
        stored.tags = tags;
        change(&mut stored.said);
        state.keep(key);
    }

    /// Every listing begins with a page that has nothing, and is not the last one.
    pub fn lists_nothing_first(&self) {
        self.lock().lists_nothing_first = true;
    }

    /// How many listings were late.
    pub fn late(&self) -> usize {
        self.lock().late
    }

    /// From now on what a listing shows is late: it waits for a permit of what is returned.
    pub fn late_listings(&self) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        self.lock().answer_gate = Some(gate.clone());
        gate
    }

    /// Listings wait until the gate has a permit for each.
    pub fn list_gate(&self) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        self.lock().list_gate = Some(gate.clone());
        gate
    }

    /// The most listings that were under way at once.
    pub fn listing_max(&self) -> usize {
        self.lock().listing_max
    }

    /// Is as new from now on.
    pub fn clear(&self) {
        *self.lock() = FakeState::default();
    }

    /// Removes an object.
    pub fn remove(&self, key: &str) {
        self.lock().set(key, None);
    }

    /// The next so many calls fail so, and no other.
    pub fn fail(&self, fault: Fault, calls: usize) {
        let mut state = self.lock();
        (state.faults, state.later) = (vec![fault; calls], None);
    }

    /// The call after so many others fails so.
    pub fn fail_later(&self, fault: Fault, calls: u64) {
        self.lock().later = Some((fault, calls));
    }

    /// Never ends, at the so-manieth of the points before and behind the calls that look or change.
    pub fn hang_at(&self, call: u64) {
        let mut state = self.lock();
        (state.hang_at, state.hangs) = (Some(call), false);
    }

    /// Whether a call hangs.
    pub fn hangs(&self) -> bool {
        self.lock().hangs
    }

    /// Nothing hangs any more that comes from now on.
    pub fn go_on(&self) {
        self.lock().hang_at = None;
    }

    /// Of a call that changes something: whether it hangs before, or after it.
    async fn hang(&self) {
        let hangs = {
            let mut state = self.lock();
            let due = state.hang_at == Some(0);
            state.hang_at = state.hang_at.map(|calls| calls.saturating_sub(1)).filter(|_| !due);
            state.hangs |= due;
            due
        };
        if hangs {
            std::future::pending::<()>().await;
        }
    }

    /// Bodies wait until the gate has a permit for each piece.
    pub fn gate(&self) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        self.lock().gate = Some(gate.clone());
        gate
    }

    /// Tells the sizes of parts.
    pub fn tell_parts(&self) {
        self.lock().tells_parts = true;
    }

    /// How often a call was made.
    pub fn calls(&self, name: &str) -> u64 {
        self.lock().calls.get(name).copied().unwrap_or_default()
    }

    fn called(&self, name: &'static str) -> Answer<Option<Fault>> {
        let mut state = self.lock();
        *state.calls.entry(name).or_default() += 1;
        let later = match &mut state.later {
            Some((fault, 0)) => Some(*fault),
            Some((_, calls)) => {
                *calls -= 1;
                None
            }
            None => None,
        };
        if later.is_some() {
            state.later = None;
        }
        match state.faults.pop().or(later) {
            Some(Fault::Away) => Err(UpstreamError::Away("503".to_owned())),
            Some(Fault::Refused) => Err(UpstreamError::Refused("403".to_owned())),
            fault => Ok(fault),
        }
    }

    /// What it has under a key: the bytes, what is said of them, and the tags.
    pub fn object(&self, key: &str) -> Option<(Bytes, UpstreamObject, Tags)> {
        let state = self.lock();
        state.objects.get(key).map(|stored| (stored.bytes.clone(), stored.said.clone(), stored.tags.clone()))
    }

    /// Its keys.
    pub fn keys(&self) -> Vec<String> {
        self.lock().objects.keys().cloned().collect()
    }

    /// Every change that was made by requests, in order: the key, and the tag of what it had then.
    pub fn told(&self) -> Vec<(String, Option<String>)> {
        self.lock().told.clone()
    }

    /// Uploads that were begun and neither completed nor given up.
    pub fn uploads(&self) -> usize {
        self.lock().uploads.len()
    }

    /// Has room for so many bytes; `None` for any number.
    pub fn has_room(&self, bytes: Option<u64>) {
        self.lock().room = bytes;
    }

    /// Refuses changes of a key from now on, or no more.
    pub fn hold(&self, key: &str, held: bool) {
        let mut state = self.lock();
        if held {
            state.locked.insert(key.to_owned());
        } else {
            state.locked.remove(key);
        }
    }

    /// Whether a change may be made; an error if not, and whether its answer is to be lost.
    fn changes(&self, name: &'static str, key: &Key) -> Answer<Option<Fault>> {
        begins()?;
        let fault = self.called(name)?;
        if self.lock().locked.contains(key.as_str()) {
            return Err(UpstreamError::Refused("403 AccessDenied".to_owned()));
        }
        Ok(fault)
    }

    /// The bytes of a request, checked as it says.
    async fn receive(&self, sent: UpstreamSent) -> Answer<Bytes> {
        let gate = self.lock().gate.clone();
        let (mut stream, mut all) = (sent.stream, Vec::new());
        while let Some(piece) = stream.next().await {
            all.extend_from_slice(&piece?);
            if let Some(gate) = &gate {
                gate.acquire().await.expect("an open gate").forget();
            }
        }
        let md5: Md5Digest = Md5::digest(&all).into();
        if all.len() as u64 != sent.length
            || sent.md5.is_some_and(|sent| sent != md5)
            || sent.sha256.is_some_and(|sent| sent != Hash::of(&all))
        {
            return Err(UpstreamError::Unusable("BadDigest".to_owned()));
        }
        if self.lock().room.is_some_and(|room| room < sent.length) {
            return Err(UpstreamError::Away("507 InsufficientStorage".to_owned()));
        }
        Ok(all.into())
    }

    /// An object is made; the answer.
    fn made(
        &self,
        key: &Key,
        carried: &UpstreamCarried,
        bytes: Bytes,
        etag: &Etag,
        parts: Option<Vec<u64>>,
        fault: Option<Fault>,
    ) -> Answer<UpstreamTold> {
        let said = UpstreamObject {
            size: bytes.len() as u64,
            etag: etag.as_str().to_owned(),
            modified: MODIFIED,
            headers: carried.headers.clone(),
            metadata: carried.metadata.clone(),
            tag_count: u32::try_from(carried.tags.len()).unwrap_or_default(),
            class: carried.class.clone(),
            ..UpstreamObject::default()
        };
        let mut state = self.lock();
        state.told.push((key.as_str().to_owned(), Some(said.etag.clone())));
        let stored = Stored { said, bytes, tags: carried.tags.clone(), parts };
        let version = state.set(key.as_str(), Some(stored));
        drop(state);
        answered(fault, UpstreamTold { etag: etag.as_str().to_owned(), opaque: false, version })
    }

    fn stored(&self, key: &Key) -> Option<Stored> {
        self.lock().objects.get(key.as_str()).cloned()
    }
}

/// A change is about to be made: whoever watches the steps may end the process before.
fn begins() -> Answer<()> {
    watch::step(&DurableStep::Request).map_err(|_| UpstreamError::Away("the process is gone".to_owned()))
}

/// A change was made: the process may end before it hears of it.
fn answered<T>(fault: Option<Fault>, answer: T) -> Answer<T> {
    watch::step(&DurableStep::Answer).map_err(|_| UpstreamError::Away("the process is gone".to_owned()))?;
    match fault {
        Some(Fault::Lost) => Err(UpstreamError::Away("the connection broke before the answer".to_owned())),
        _ => Ok(answer),
    }
}

fn place(at: u64) -> usize {
    usize::try_from(at).unwrap()
}

impl UpstreamConnector for FakeUpstream {
    fn connect(&self, _: &Target, _: &str) -> Answer<Arc<dyn Upstream>> {
        Ok(Arc::new(self.clone()))
    }
}
