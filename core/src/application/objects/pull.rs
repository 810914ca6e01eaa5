//! Pulls: an object is fetched from the upstream, proved, and kept, unless it was written or removed here meanwhile.
//!
//! However many requests miss a key, it is pulled once at a time. A pull is a task of its own: a client that goes away does
//! not end it. There is a bounded number of them, of which each tenant has its share.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::FutureExt as _;
use futures::stream::{BoxStream, StreamExt as _};
use tokio::sync::{mpsc, watch};

use crate::application::error::{Error, Result};
use crate::application::fairness::Held;
use crate::application::ingest::{Announced, Body, Expected, Intent, Landed};
use crate::application::metrics;
use crate::application::ports::metadata::{Mutation, Pulled, PutObject, SpaceRef};
use crate::application::ports::upstream::{Answer, UpstreamBody, UpstreamError, UpstreamObject};
use crate::application::store::Store;
use crate::application::upstream::flight::{
    Between, FetchFailure, FetchOutcome, Flight, Heard, Landing, TEE_PIECES, Tee, Teller,
};
use crate::application::upstream::verified::{Check, checked};
use crate::application::upstream::{Beyond, kept};
use crate::domain::address::Tenant;
use crate::domain::event::Cause;
use crate::domain::limits::Quota;
use crate::domain::multipart::OBJECT_BYTES_MAX;
use crate::domain::object::{Attributes, ObjectId};
use crate::domain::precondition::Preconditions;
use crate::domain::upstream::proof::{Proof, Said, part_count, plan};

impl Store {
    /// What the pull of an object comes to: the one that is under way, or one that begins when its tenant has its turn.
    pub(crate) async fn pull(&self, beyond: &Beyond) -> FetchOutcome {
        let under_way = self.links.flights().of(beyond.space.id, &beyond.key);
        let flight = match under_way {
            Some(flight) => flight,
            None => match self.pools.pulls.take(&Some(holder(beyond)), 1).await {
                Ok(share) => self.begin_pull(beyond, share, false, Looked::Earlier).0,
                Err(error) => return FetchOutcome::Failed(FetchFailure::Here(error)),
            },
        };
        flight.outcome().await
    }

    /// The pull of an object that is under way, or one that begins, with a tee if that is wanted. `None` if too many are under
    /// way: a read that does without leaves half of all pulls to those that cannot.
    pub(crate) fn try_pull(&self, beyond: &Beyond, wants_tee: bool) -> Option<(Flight, Option<Tee>)> {
        if let Some(flight) = self.links.flights().of(beyond.space.id, &beyond.key) {
            return Some((flight, None));
        }
        let Some(share) = self.pools.pulls.try_take(&Some(holder(beyond)), 1) else {
            metrics::upstream_pull_left();
            return None;
        };
        // Without a tee nobody waits for the first byte, and the upstream may have been waited for since.
        let looked = if wants_tee { Looked::JustNow } else { Looked::Earlier };
        Some(self.begin_pull(beyond, share, wants_tee, looked))
    }

    /// Begins a pull that holds `share` until it has ended, unless another one began meanwhile.
    fn begin_pull(
        &self,
        beyond: &Beyond,
        share: Held,
        wants_tee: bool,
        looked: Looked,
    ) -> (Flight, Option<Tee>) {
        let name = (beyond.space.id, beyond.key.clone());
        let flights = self.links.flights().clone();
        let mut under_way = flights.lock();
        if let Some(flight) = under_way.get(&name) {
            return (flight.clone(), None);
        }
        let may_be_here = looked == Looked::Earlier || flights.has_landed(&name);
        let (sender, tee) = if wants_tee {
            let (sender, tee) = mpsc::channel(TEE_PIECES);
            (Some(sender), Some(tee))
        } else {
            (None, None)
        };
        let (store, beyond) = (self.clone(), beyond.clone());
        let landing = Landing(flights.clone(), name.clone());
        let ((size, said), between) = (watch::channel(None), Between::new());
        let teller = Teller::new(sender, between.clone());
        let task = tokio::spawn(async move {
            let outcome = store.pull_now(&beyond, may_be_here, Arc::new(teller), &size).await;
            // Removed before it is told: who comes later looks here first, and finds what was kept.
            drop(landing);
            drop(share);
            outcome
        });
        let flight = async move {
            task.await.unwrap_or_else(|error| {
                tracing::error!(%error, "a pull ended badly");
                FetchOutcome::Failed(FetchFailure::Here(Error::Internal))
            })
        };
        let flight = Flight::new(flight.boxed(), said, between);
        under_way.insert(name, flight.clone());
        (flight, tee)
    }

    async fn pull_now(
        &self,
        beyond: &Beyond,
        may_be_here: bool,
        tee: Arc<Teller>,
        size: &watch::Sender<Option<u64>>,
    ) -> FetchOutcome {
        let outcome = match self.fetch(beyond, may_be_here, &tee, size).await {
            Ok(outcome) => outcome,
            Err(failure) => FetchOutcome::Failed(failure),
        };
        match &outcome {
            FetchOutcome::Kept(bytes, _) => metrics::upstream_pulled(*bytes),
            FetchOutcome::Absent => self.links.note_absent(&beyond.space, &beyond.key),
            FetchOutcome::Overtaken => {}
            FetchOutcome::Failed(failure) => {
                metrics::upstream_pull_failed();
                tracing::warn!(space = %beyond.space.address, key = beyond.key.as_str(), error = %failure, "object not pulled");
            }
        }
        let end = match &outcome {
            FetchOutcome::Failed(failure) => Err(failure.clone()),
            // Bytes that were proved are the object, whatever became of the key here.
            FetchOutcome::Kept(..) | FetchOutcome::Absent | FetchOutcome::Overtaken => Ok(()),
        };
        tee.tell(Heard::End(end)).await;
        outcome
    }

    async fn fetch(
        &self,
        beyond: &Beyond,
        may_be_here: bool,
        tee: &Arc<Teller>,
        size: &watch::Sender<Option<u64>>,
    ) -> Result<FetchOutcome, FetchFailure> {
        let (link, key) = (&beyond.link, &beyond.key);
        if may_be_here {
            let place = SpaceRef::Space(beyond.space.address.clone());
            let here = self.metadata.latest(&place, key).await;
            if here.map_err(|error| FetchFailure::Here(error.into()))?.is_some() {
                return Ok(FetchOutcome::Overtaken);
            }
        }
        let fetched = link.get(key, None, None).await.map_err(FetchFailure::Upstream)?;
        let Some(UpstreamBody { object, stream }) = fetched else { return Ok(FetchOutcome::Absent) };
        size.send_replace(Some(object.size));
        let tags = self.tags_beyond(beyond, &object).await.map_err(FetchFailure::Upstream)?;
        let attributes = kept::attributes(&beyond.space, &object, tags.clone());
        attributes.validate().map_err(FetchFailure::Unfit)?;
        let quota = self.check_quota(&beyond.space.address, Some(key), Some(object.size)).await;
        let quota = quota.map_err(FetchFailure::Here)?;
        tee.tell(Heard::Object(Box::new(object.clone()), tags.clone())).await;
        // What proves the bytes may take several questions: the client does not wait for that, but for the end. Its own task
        // goes on before the first question is written: otherwise it would wait behind that on this thread.
        let mut stream = stream;
        let first = stream.next().await;
        let mut told = 0;
        if let Some(Ok(bytes)) = &first {
            told = bytes.len() as u64;
            tee.tell(Heard::Bytes(bytes.clone())).await;
            tokio::task::yield_now().await;
        }
        let (said, object) = self.said_of(beyond, object).await.map_err(FetchFailure::Upstream)?;
        let stream = futures::stream::iter(first).chain(stream).boxed();
        let proof = plan(&said);
        let first = Attempt { beyond, object: &object, attributes, quota, tee: Some(tee), told };
        match self.keep(&first, stream, &proof).await {
            // The layouts of the parts were guesses: what they do not prove may still be the object.
            Err(failure @ FetchFailure::Upstream(UpstreamError::NotProved(_))) if is_guess(&proof, &said) => {
                // What was heard so far is not proved, whatever comes of the next readings.
                tee.take_back(failure).await;
                let again = Attempt { tee: None, ..first };
                let stream = again.open().await?;
                self.keep(&again, stream, &Proof::Twice).await
            }
            outcome => outcome,
        }
    }

    /// All that is said of an object's bytes; what is not said with the object itself is asked for where it is needed.
    async fn said_of(&self, beyond: &Beyond, object: UpstreamObject) -> Answer<(Said, UpstreamObject)> {
        let said = kept::said(&object);
        if plan(&said).as_str() == "md5" || said.size == 0 {
            return Ok((said, object));
        }
        let (link, key) = (&beyond.link, &beyond.key);
        let Some(again) = link.head(key).await? else { return Err(UpstreamError::Changed) };
        if again.etag != object.etag || again.size != object.size {
            return Err(UpstreamError::Changed);
        }
        let object = UpstreamObject { checksum: again.checksum, ..object };
        let mut said = kept::said(&object);
        if plan(&said).as_str() == "parts" && part_count(&said.etag).is_some_and(|count| count > 1) {
            said.parts = link.part_sizes(key).await?;
            if said.parts.is_none() {
                said.first_part = link.first_part(key).await?;
            }
        }
        Ok((said, object))
    }

    /// Keeps what comes, if it is proved and the key is still free.
    async fn keep(
        &self,
        attempt: &Attempt<'_>,
        stream: BoxStream<'static, Answer<Bytes>>,
        proof: &Proof,
    ) -> Result<FetchOutcome, FetchFailure> {
        let Attempt { beyond, object, .. } = attempt;
        let address = &beyond.space.address;
        let attributes = attempt.attributes.clone();
        let mut expected = Expected::default();
        let stream = match proof {
            Proof::Md5(md5) => {
                expected.md5 = Some(*md5);
                stream
            }
            Proof::Checksum(checksum) => {
                expected.checksum = Some(checksum.clone());
                stream
            }
            Proof::Parts { .. } => match Check::of_parts(object.size, proof) {
                Some(check) => checked(stream, check),
                None => stream,
            },
            Proof::Twice => {
                let trouble = Trouble::default();
                let body = Body { length: Some(object.size), ..Body::new(trouble.watch(stream)) };
                let first = self.ingest.hash_of(&address.tenant, body, OBJECT_BYTES_MAX).await;
                expected.sha256 = Some(first.map_err(|error| trouble.explain(error))?);
                attempt.open().await?
            }
        };
        let trouble = Trouble::default();
        let stream = trouble.watch(attempt.heard(stream));
        let body = Body { length: Some(object.size), expected, ..Body::new(stream) };
        let domain = self.dedup.domain(address);
        let class = attributes.class.unwrap_or_default();
        let intent = Intent {
            space: address,
            key: Some(&beyond.key),
            domain: &domain,
            class,
            md5: false,
            checksum: None,
            bytes_max: OBJECT_BYTES_MAX,
        };
        let landed = self.ingest.take_in(&intent, body).await.map_err(|error| trouble.explain(error))?;
        let Landed { content, payload, announced, room, .. } = landed;
        let modified = kept::modified(object);
        let put = PutObject {
            space: address.clone(),
            bucket: None,
            key: Some(beyond.key.clone()),
            // Versions that are written here later are newer, whatever the clocks say.
            id: ObjectId::fresh(modified.min(self.clock.now())),
            domain,
            etag: kept::etag(object),
            content,
            attributes,
            checksum: kept::checksum(object),
            preconditions: Preconditions::default(),
            quota: attempt.quota,
            announced: announced.as_ref().map(Announced::id),
            once: None,
            // Nobody is told: it was written elsewhere, and long ago.
            cause: Cause::default(),
            pulled: Some(Pulled { revision: beyond.space.settings, modified, proof: proof.as_str() }),
        };
        let _room = room;
        match self.committer.commit_bytes(Mutation::Put(Box::new(put)), payload, announced).await {
            Ok(_) => Ok(FetchOutcome::Kept(object.size, proof.as_str())),
            // Of all changes only a pull is refused in this way without a condition.
            Err(Error::Conflict) => Ok(FetchOutcome::Overtaken),
            Err(error) => Err(FetchFailure::Here(error)),
        }
    }
}

/// When the request that a pull is for looked whether the object is here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Looked {
    /// Just now.
    JustNow,
    /// Before it waited for something: its tenant's turn, or the upstream.
    Earlier,
}

/// Who holds the share of a pull: the tenant whose object it is, whoever reads it.
fn holder(beyond: &Beyond) -> Tenant {
    beyond.space.address.tenant.clone()
}

/// Whether a plan rests on layouts of parts that nothing confirmed.
fn is_guess(proof: &Proof, said: &Said) -> bool {
    matches!(proof, Proof::Parts { .. }) && said.parts.is_none() && part_count(&said.etag) != Some(1)
}

/// One reading of an object.
struct Attempt<'a> {
    beyond: &'a Beyond,
    object: &'a UpstreamObject,
    attributes: Attributes,
    quota: Option<Quota>,
    tee: Option<&'a Arc<Teller>>,
    /// So many bytes of it the tee has heard already.
    told: u64,
}

impl Attempt<'_> {
    /// The bytes of the object that was looked at, from the beginning.
    async fn open(&self) -> Result<BoxStream<'static, Answer<Bytes>>, FetchFailure> {
        let opened = self.beyond.link.get(&self.beyond.key, None, Some(&self.object.etag)).await;
        let opened =
            opened.map_err(FetchFailure::Upstream)?.ok_or(FetchFailure::Upstream(UpstreamError::Changed))?;
        if opened.object.size != self.object.size || opened.object.modified != self.object.modified {
            return Err(FetchFailure::Upstream(UpstreamError::Changed));
        }
        Ok(opened.stream)
    }

    /// The bytes, which the tee hears, too.
    fn heard(&self, stream: BoxStream<'static, Answer<Bytes>>) -> BoxStream<'static, Answer<Bytes>> {
        let (Some(tee), mut told) = (self.tee.cloned(), self.told) else { return stream };
        stream
            .then(move |piece| {
                let tee = tee.clone();
                let skipped = piece.as_ref().map_or(0, |bytes| told.min(bytes.len() as u64));
                told -= skipped;
                async move {
                    let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
                    if let Ok(bytes) = &piece
                        && skipped < bytes.len()
                    {
                        tee.tell(Heard::Bytes(bytes.slice(skipped..))).await;
                    }
                    piece
                }
            })
            .boxed()
    }
}

/// What a body failed with, behind the error that ingestion knows of it.
#[derive(Clone, Default)]
struct Trouble(Arc<Mutex<Option<UpstreamError>>>);

impl Trouble {
    fn watch(&self, stream: BoxStream<'static, Answer<Bytes>>) -> BoxStream<'static, Result<Bytes>> {
        let trouble = self.0.clone();
        stream
            .map(move |piece| {
                piece.map_err(|error| {
                    let text = error.to_string();
                    *trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    Error::Body(text)
                })
            })
            .boxed()
    }

    fn explain(&self, error: Error) -> FetchFailure {
        let trouble = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (trouble, error) {
            (Some(trouble), _) => FetchFailure::Upstream(trouble),
            (None, Error::DigestMismatch(what)) => {
                FetchFailure::Upstream(UpstreamError::NotProved(format!("their {what} is another one")))
            }
            (None, Error::BodyTooShort { expected, received }) => FetchFailure::Upstream(
                UpstreamError::NotProved(format!("{received} of {expected} bytes came")),
            ),
            (None, error) => FetchFailure::Here(error),
        }
    }
}
