//! Group commit: the one way in which anything is written to the metadata store on a request's behalf.
//!
//! Two stages, each a task or a thread ([`RunsOn`]). The *packer* takes everything that has queued up, appends the small payloads
//! among it to the open pack of their tier and makes them durable with one sync. The *committer proper*
//! takes what the packer hands over and applies it in one durable transaction, then answers the requests.
//! While either is busy the next batch gathers before it: no timer delays a lone request, and durability
//! costs two syncs for each batch and not for each object.
//!
//! Where each batch is a pack of its own, on an object store, the packer leaves payloads to [`flights`]: several batches
//! are on their way at once, and hand themselves over in order. Mutations for other tiers do not wait for them.
//!
//! Bytes are durable before the row that names them; a request is answered after both are.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::application::error::{Error, Result};
use crate::application::high_water::HighWater;
use crate::application::ingest::{Announced, Payload};
use crate::application::limits::quota_exceeded;
use crate::application::metrics;
use crate::application::ports::clock::Clock;
use crate::application::ports::metadata::{
    MetadataError, MetadataStore, Mutation, MutationOutcome, NewContent, Refusal, WriterId,
};
use crate::application::ports::segments::SegmentKind;
use crate::application::tiers::Tiers;
use crate::domain::blob::SegmentId;
use crate::domain::storage_class::StorageClass;

mod flights;
mod keys;
mod packer;
mod pending;
mod stage;
mod unsealed;

pub use stage::RunsOn;

use flights::{Crew, Flights};
use packer::Packer;
use pending::{BATCH_MAX, LostPacks, Pending, QUEUE_MAX, content_of};
use stage::Stage;
use unsealed::{Unsealed, seal_of};

/// The names of the stages, and of their threads (at most 15 bytes are shown).
const PACKER: &str = "commit-packs";
const COMMITS: &str = "commit-rows";

/// Where use cases hand in their mutations. Cheap to clone.
#[derive(Clone)]
pub struct Committer {
    queue: mpsc::Sender<Pending>,
}

/// When a tenant with too many idempotency keys may try again: some may be forgotten by then.
const KEYS_RETRY_AFTER: Duration = Duration::from_secs(60);

/// The two stages behind a [`Committer`].
pub struct CommitterTasks {
    packer: Stage,
    commits: Stage,
    stop: CancellationToken,
}

impl CommitterTasks {
    /// Stops both stages where they are, as a crash would. What was not acknowledged may or may not be there
    /// after the next start.
    pub fn abort(self) {
        self.packer.abort();
        self.commits.abort();
    }

    /// Takes no more requests, finishes those that queue, seals the open packs.
    pub async fn shut_down(self) {
        self.stop.cancel();
        for (name, stage) in [(PACKER, self.packer), (COMMITS, self.commits)] {
            stage.ended(name).await;
        }
    }
}

impl Committer {
    /// Starts the two stages for `writer`, which must be registered, as tasks. Needs a tokio runtime.
    pub fn start(
        metadata: Arc<dyn MetadataStore>,
        tiers: Tiers,
        clock: Arc<dyn Clock>,
        writer: WriterId,
    ) -> (Self, CommitterTasks) {
        Self::start_on((RunsOn::Task, RunsOn::Task), metadata, tiers, clock, writer)
    }

    /// The same, where the stage that writes packs and the stage that commits run on what is said.
    pub fn start_on(
        (packs_on, commits_on): (RunsOn, RunsOn),
        metadata: Arc<dyn MetadataStore>,
        tiers: Tiers,
        clock: Arc<dyn Clock>,
        writer: WriterId,
    ) -> (Self, CommitterTasks) {
        let (queue, queued) = mpsc::channel(QUEUE_MAX);
        // One batch may wait while another is in its transaction: enough to keep both stages busy.
        let (packed, batches) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let lost = LostPacks::default();
        let packer = Packer::new(metadata.clone(), tiers.clone(), clock.clone(), writer, lost.clone());
        let crew = Crew { metadata: metadata.clone(), clock: clock.clone(), writer, lost: lost.clone() };
        let flights = Flights::start(StorageClass::ALL.map(|class| (class, tiers.of(class))), &crew, &packed);
        let packer = Stage::start(packs_on, PACKER, gather(packer, flights, queued, packed, stop.clone()));
        let high_water = HighWater::start(metadata.clone(), tiers, writer);
        let commits = apply_batches(metadata, clock, writer, batches, lost, high_water);
        let commits = Stage::start(commits_on, COMMITS, commits);
        (Self { queue }, CommitterTasks { packer, commits, stop })
    }

    /// Brings the gauge of the queue up to date.
    pub(crate) fn measure(&self) {
        metrics::commit_queue(self.queue.max_capacity() - self.queue.capacity());
    }

    /// Commits a mutation that brings no bytes. Durable when this returns.
    pub(crate) async fn commit(&self, mutation: Mutation) -> Result<MutationOutcome> {
        self.commit_bytes(mutation, None, None).await
    }

    /// Commits a mutation and, before it, the small payload that it brings; ends the announcement of a large
    /// one. Durable when this returns. Dropping the future does not undo it.
    pub(crate) async fn commit_bytes(
        &self,
        mutation: Mutation,
        payload: Option<Payload>,
        announced: Option<Announced>,
    ) -> Result<MutationOutcome> {
        let (reply, answer) = oneshot::channel();
        let queued_at = Instant::now();
        let pending = Pending { queued_at, mutation, payload, announced, reply: Some(reply), key: None };
        self.queue.try_send(pending).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => {
                metrics::refused_busy();
                Error::Busy
            }
            mpsc::error::TrySendError::Closed(_) => Error::Unavailable,
        })?;
        match answer.await.map_err(|_| Error::Internal)? {
            // Decided in the committer's task, which has no request to note it for.
            Err(Error::QuotaExceeded(part)) => Err(quota_exceeded(part)),
            answer => answer,
        }
    }
}

/// The first stage: takes everything that has queued up, has its payloads packed, and hands it on. A mutation without
/// payload only keeps its place in the order.
async fn gather(
    mut packer: Packer,
    mut flights: Flights,
    mut queue: mpsc::Receiver<Pending>,
    batches: mpsc::Sender<Vec<Pending>>,
    stop: CancellationToken,
) {
    let mut gathered = Vec::with_capacity(BATCH_MAX);
    let mut is_drained = false;
    'gathering: while !is_drained || flights.any_waits() {
        tokio::select! {
            biased;
            // Closed, the queue still yields what was in it, then 0.
            () = stop.cancelled(), if !queue.is_closed() => {
                queue.close();
                continue;
            }
            waited = flights.waited() => gathered = waited,
            count = queue.recv_many(&mut gathered, BATCH_MAX), if !is_drained => is_drained = count == 0,
        }
        let mut boarded = flights.board(std::mem::take(&mut gathered)).into_iter().peekable();
        while boarded.peek().is_some() {
            // More than this only where as many waited for one key.
            let mut batch: Vec<_> = boarded.by_ref().take(BATCH_MAX).collect();
            if batch.iter().any(|pending| pending.payload.is_some()) {
                batch = packer.pack(batch).await;
            }
            if batches.send(batch).await.is_err() {
                break 'gathering;
            }
        }
    }
    flights.land().await;
    let sealed = packer.seal_all().await;
    if !sealed.is_empty() {
        let _ = batches.send(sealed).await;
    }
}

/// The pack that a mutation's bytes were appended to.
fn pack_of(mutation: &mut Mutation) -> Option<SegmentId> {
    match content_of(mutation) {
        Some(NewContent::Staged(leaf)) if leaf.kind == SegmentKind::Pack => Some(leaf.location.segment),
        _ => None,
    }
}

/// The second stage: applies each batch in one transaction, and answers its requests.
async fn apply_batches(
    metadata: Arc<dyn MetadataStore>,
    clock: Arc<dyn Clock>,
    writer: WriterId,
    mut batches: mpsc::Receiver<Vec<Pending>>,
    lost: LostPacks,
    high_water: HighWater,
) {
    let mut unsealed = Unsealed::default();
    while let Some(mut batch) = unsealed.or_next(&mut batches).await {
        batch.extend(unsealed.take());
        while batch.len() < BATCH_MAX {
            let Ok(more) = batches.try_recv() else { break };
            batch.extend(more);
        }
        let started = Instant::now();
        let waited = batch.iter().map(|pending| started.duration_since(pending.queued_at)).max();
        let mut mutations = Vec::with_capacity(batch.len());
        let seals: Vec<_> = batch.iter().map(|pending| seal_of(&pending.mutation)).collect();
        let packs: Vec<_> = batch.iter_mut().map(|pending| pack_of(&mut pending.mutation)).collect();
        for pending in &mut batch {
            // The mutation's place in the batch is kept by its answer's place.
            mutations.push(std::mem::replace(&mut pending.mutation, Mutation::SealPack(NIL, 0)));
        }
        let count = mutations.len();
        match metadata.commit(writer, mutations, clock.now()).await {
            Ok(results) => {
                high_water.committed();
                let of_packs = packs.into_iter().zip(seals);
                for ((pending, (pack, seal)), result) in batch.into_iter().zip(of_packs).zip(results) {
                    match (&result, pack) {
                        (Err(Refusal::SegmentLost), Some(pack)) => lost.add(pack),
                        (Err(Refusal::Failed(_)), _) => unsealed.keep(seal),
                        _ => {}
                    }
                    pending.answer(result.map_err(refused));
                }
            }
            Err(error) => {
                // Another server is this writer by now, and took them over.
                if !matches!(error, MetadataError::Superseded) {
                    unsealed.keep(seals.into_iter().flatten());
                }
                let error = Error::from(error);
                for pending in batch {
                    pending.answer(Err(error.clone()));
                }
            }
        }
        metrics::commit_batch(count, waited.unwrap_or_default(), started.elapsed());
    }
    high_water.end().await;
}

const NIL: SegmentId = SegmentId(uuid::Uuid::nil());

/// A refusal inside the transaction, as the caller should see it.
pub(crate) fn refused(refusal: Refusal) -> Error {
    match refusal {
        Refusal::PreconditionFailed => Error::PreconditionFailed("the current object does not match"),
        Refusal::NoSuchObject => Error::NoSuchObject,
        Refusal::NoSuchBucket => Error::NoSuchBucket,
        Refusal::NoSuchUpload => Error::NoSuchUpload,
        Refusal::Invalid(invalid) => Error::Invalid(invalid),
        Refusal::Complete(refusal) => Error::Complete(refusal),
        Refusal::ChecksumMismatch => Error::DigestMismatch("checksum"),
        Refusal::Repeated(object) => Error::Repeated(object),
        Refusal::KeyReused => Error::KeyReused,
        Refusal::TooManyKeys => {
            Error::Limited { what: "idempotency keys a day", retry_after: KEYS_RETRY_AFTER }
        }
        Refusal::SourceGone | Refusal::Changed => Error::Conflict,
        Refusal::OutboxFull(target) => {
            tracing::debug!(%target, "a change is refused: too much waits for the target");
            Error::OutboxFull
        }
        Refusal::QuotaExceeded(part) => Error::QuotaExceeded(part),
        Refusal::Locked => Error::Locked,
        Refusal::NoObjectLock => Error::NoObjectLock,
        Refusal::WrongVersioning => Error::WrongVersioning,
        Refusal::Failed(cause) => {
            tracing::error!(cause, "change failed");
            Error::Internal
        }
        Refusal::SegmentLost => {
            tracing::error!("this writer was taken for dead and its segment taken over: is its clock right?");
            Error::Unavailable
        }
    }
}
