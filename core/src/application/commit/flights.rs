//! Small payloads for a tier on which each batch is a pack of its own, an object store. Such a tier is far away, so several
//! batches are written at the same time, and a request waits for its own tier alone. Batches are handed on in the order in
//! which their requests came, whichever of them is written first.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::stream::{FuturesOrdered, StreamExt as _};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use super::keys::{KeysUnderWay, Way};
use super::pending::{BATCH_MAX, LostPacks, PackedAt, Pending, QUEUE_MAX};
use crate::application::error::{Error, Result};
use crate::application::ingest::remove_if_nobodys;
use crate::application::metrics;
use crate::application::ports::clock::Clock;
use crate::application::ports::metadata::{Catalogue, Mutation, WriterId};
use crate::application::ports::segments::{Packing, Record, SegmentError, SegmentStore};
use crate::domain::blob::SegmentId;
use crate::domain::storage_class::StorageClass;

/// Payload bytes after which a batch takes no more: it is in memory as a whole.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// How often a batch is written, unless the last time took as long.
const ATTEMPTS: u32 = 3;
const ATTEMPT: Duration = Duration::from_secs(10);

/// Names that are registered with one transaction, before they are needed.
const NAMES: usize = 32;

/// Packs that were handed on last, of which it may turn out that they were lost.
const HANDED_ON: usize = 64;

/// What a flight works with.
#[derive(Clone)]
pub(super) struct Crew {
    pub(super) metadata: Arc<dyn Catalogue>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) writer: WriterId,
    pub(super) lost: LostPacks,
}

/// A flight for each tier that has them.
pub(super) struct Flights {
    queues: Vec<(StorageClass, mpsc::Sender<Pending>)>,
    keys: KeysUnderWay,
    freed: mpsc::UnboundedReceiver<u64>,
    tasks: JoinSet<()>,
}

impl Flights {
    /// Starts a flight for each of `tiers` that packs in batches. What they have written goes into `batches`.
    pub(super) fn start<'a>(
        tiers: impl IntoIterator<Item = (StorageClass, &'a Arc<dyn SegmentStore>)>,
        crew: &Crew,
        batches: &mpsc::Sender<Vec<Pending>>,
    ) -> Self {
        let (mut queues, mut tasks) = (Vec::new(), JoinSet::new());
        for (class, tier) in tiers {
            let Packing::Batches { at_once } = tier.packing() else { continue };
            let (queue, queued) = mpsc::channel(QUEUE_MAX);
            let flight = Arc::new(Flight {
                class,
                tier: tier.clone(),
                crew: crew.clone(),
                names: tokio::sync::Mutex::default(),
                handed_on: Mutex::default(),
                left: Mutex::default(),
            });
            tasks.spawn(flight.run(at_once.max(1), queued, batches.clone()));
            queues.push((class, queue));
        }
        let (keys, freed) = KeysUnderWay::new();
        Self { queues, keys, freed, tasks }
    }

    /// Takes those mutations out of `batch` that go by a flight: the payloads for its tier, and what changes a key of which
    /// a payload is on its way there. Those that change such a key and go another way wait ([`Self::waited`]). Otherwise a
    /// write that its client gave up could undo a later one.
    pub(super) fn board(&self, batch: Vec<Pending>) -> Vec<Pending> {
        if self.queues.is_empty() {
            return batch;
        }
        batch.into_iter().filter_map(|pending| self.take(pending)).collect()
    }

    /// Mutations whose key is no longer under way, in order of arrival. They board before anything else. Waits until there are
    /// any.
    pub(super) async fn waited(&mut self) -> Vec<Pending> {
        match self.freed.recv().await {
            Some(key) => self.keys.waited(key),
            None => std::future::pending().await,
        }
    }

    /// Whether any mutation waits for its key.
    pub(super) fn any_waits(&self) -> bool {
        self.keys.any_waits()
    }

    /// The mutation, if it goes by none.
    fn take(&self, pending: Pending) -> Option<Pending> {
        let queue = |tier| self.queues.iter().find(|(class, _)| *class == tier).map(|(_, queue)| queue);
        let own = pending.payload.as_ref().map(|payload| payload.tier);
        let (pending, refused) = match self.keys.enter(pending, own.filter(|tier| queue(*tier).is_some())) {
            Way::Free(pending) => return Some(pending),
            Way::Waits => return None,
            Way::Refused(pending) => (pending, Error::Busy),
            Way::By(tier, pending) => {
                // A key is under way by a flight that is there.
                let queue = queue(tier)?;
                match queue.try_send(pending) {
                    Ok(()) => return None,
                    Err(TrySendError::Full(pending)) => (pending, Error::Busy),
                    Err(TrySendError::Closed(pending)) => (pending, Error::Unavailable),
                }
            }
        };
        if matches!(refused, Error::Busy) {
            metrics::refused_busy();
        }
        pending.answer(Err(refused));
        None
    }

    /// Takes no more, and waits until all that was taken is handed on.
    pub(super) async fn land(mut self) {
        self.queues.clear();
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "writing packs ended badly");
            }
        }
    }
}

/// The batches on their way to one tier.
struct Flight {
    class: StorageClass,
    tier: Arc<dyn SegmentStore>,
    crew: Crew,
    names: tokio::sync::Mutex<Names>,
    handed_on: Mutex<Vec<SegmentId>>,
    /// Packs that failed, and could not be condemned.
    left: Mutex<Vec<SegmentId>>,
}

/// Names of packs that are registered and not given yet.
#[derive(Default)]
struct Names {
    ready: Vec<SegmentId>,
    /// How often this writer had lost its packs when they were registered.
    losses: u64,
}

/// A pack that was written, with where each record lies.
struct Written {
    segment: SegmentId,
    offsets: Vec<u64>,
    /// Where the records end.
    records_end: u64,
    size: u64,
}

impl Flight {
    async fn run(
        self: Arc<Self>,
        at_once: usize,
        mut queue: mpsc::Receiver<Pending>,
        batches: mpsc::Sender<Vec<Pending>>,
    ) {
        let mut under_way = FuturesOrdered::new();
        loop {
            let packed = tokio::select! {
                biased;
                Some(packed) = under_way.next() => packed,
                first = queue.recv(), if under_way.len() < at_once => {
                    let Some(first) = first else { break };
                    let batch = with_what_waits(first, &mut queue);
                    under_way.push_back(AbortOnDropHandle::new(tokio::spawn(self.clone().pack(batch))));
                    continue;
                }
            };
            if !hand_on(packed, &batches).await {
                return;
            }
        }
        while let Some(packed) = under_way.next().await {
            if !hand_on(packed, &batches).await {
                return;
            }
        }
        // Sealed empty they are garbage at once.
        let unused = std::mem::take(&mut self.names.lock().await.ready).into_iter();
        let unused = unused.map(|name| Pending::without_caller(Mutation::SealPack(name, 0))).collect();
        let _ = batches.send(unused).await;
    }

    /// Writes the payloads of a batch as one pack. Answers those that could not be written; returns the others, and what
    /// seals the pack.
    async fn pack(self: Arc<Self>, batch: Vec<Pending>) -> Vec<Pending> {
        let payloads = batch.iter().filter_map(|pending| pending.payload.as_ref());
        let records: Vec<_> = payloads.map(|payload| payload.record.clone()).collect();
        if records.is_empty() {
            return batch;
        }
        let begun = Instant::now();
        let written = self.write(records).await;
        metrics::pack_written(self.class, begun.elapsed());
        let seal = written.as_ref().ok().map(|pack| Mutation::SealPack(pack.segment, pack.size));
        let mut places = written.map(|pack| {
            let Written { segment, records_end: segment_size, .. } = pack;
            pack.offsets.into_iter().map(move |offset| PackedAt { segment, offset, segment_size })
        });
        let mut packed = Vec::with_capacity(batch.len() + 1);
        for mut pending in batch {
            if pending.payload.take().is_none() {
                packed.push(pending);
                continue;
            }
            match &mut places {
                Ok(places) => packed.extend(pending.placed(places.next())),
                Err(error) => {
                    let error = error.clone();
                    pending.answer(Err(error));
                }
            }
        }
        packed.extend(seal.map(Pending::without_caller));
        // Sealed empty they are condemned.
        let left = std::mem::take(&mut *self.left.lock().unwrap_or_else(PoisonError::into_inner));
        packed.extend(left.into_iter().map(|name| Pending::without_caller(Mutation::SealPack(name, 0))));
        packed
    }

    /// Writes a pack. Where that fails, and it is unknown whether it was written, another one is written: of two requests for
    /// one name the first might come late, and bring back what was removed.
    async fn write(&self, records: Vec<Record>) -> Result<Written> {
        let begun = Instant::now();
        for _ in 1..ATTEMPTS {
            match self.write_once(records.clone()).await {
                Err(Error::Unavailable) if begun.elapsed() < ATTEMPT => {}
                written => return written,
            }
        }
        self.write_once(records).await
    }

    async fn write_once(&self, records: Vec<Record>) -> Result<Written> {
        let segment = self.name().await?;
        let written = async {
            let mut pack = self.tier.create_pack(segment).await?;
            let offsets = pack.append(records).await?;
            let records_end = pack.size();
            let size = pack.seal().await?;
            Ok::<_, SegmentError>(Written { segment, offsets, records_end, size })
        };
        match written.await {
            Ok(written) => Ok(written),
            Err(error) => {
                let now = self.crew.clock.now();
                // Nothing of it was committed: what may have been written all the same is removed by its row.
                if let Err(error) = self.crew.metadata.settle_segment(segment, None, now).await {
                    tracing::warn!(%error, %segment, "a pack that failed was not condemned; it will be tried again");
                    self.left.lock().unwrap_or_else(PoisonError::into_inner).push(segment);
                }
                Err(error.into())
            }
        }
    }

    /// A name that is registered and given once.
    async fn name(&self) -> Result<SegmentId> {
        let mut names = self.names.lock().await;
        let losses = self.crew.lost.losses();
        if names.losses != losses {
            // All that this writer had open was taken over, the names too.
            names.losses = losses;
            names.ready.clear();
            self.leave_lost();
        }
        if names.ready.is_empty() {
            let fresh: Vec<_> = std::iter::repeat_with(SegmentId::fresh).take(NAMES).collect();
            let Crew { metadata, clock, writer, .. } = &self.crew;
            metadata.open_packs(*writer, &fresh, self.class, clock.now()).await?;
            names.ready = fresh;
        }
        let name = names.ready.pop().ok_or(Error::Internal)?;
        let mut handed_on = self.handed_on.lock().unwrap_or_else(PoisonError::into_inner);
        if handed_on.len() == HANDED_ON {
            handed_on.remove(0);
        }
        handed_on.push(name);
        Ok(name)
    }

    /// Removes the objects of packs that turned out to be another's, where nothing names them.
    fn leave_lost(&self) {
        let mut handed_on = self.handed_on.lock().unwrap_or_else(PoisonError::into_inner);
        for pack in handed_on.extract_if(.., |pack| self.crew.lost.take(*pack)) {
            let (metadata, tier) = (self.crew.metadata.clone(), self.tier.clone());
            tokio::spawn(async move { remove_if_nobodys(metadata.as_ref(), tier.as_ref(), pack).await });
        }
    }
}

/// The mutation, and those behind it that fit into the same batch.
fn with_what_waits(first: Pending, queue: &mut mpsc::Receiver<Pending>) -> Vec<Pending> {
    let mut bytes = first.payload_bytes();
    let mut batch = vec![first];
    while batch.len() < BATCH_MAX && bytes < BATCH_BYTES_MAX {
        let Ok(next) = queue.try_recv() else { break };
        bytes += next.payload_bytes();
        batch.push(next);
    }
    batch
}

/// Whether somebody takes it.
async fn hand_on(
    packed: std::result::Result<Vec<Pending>, tokio::task::JoinError>,
    batches: &mpsc::Sender<Vec<Pending>>,
) -> bool {
    match packed {
        Ok(packed) => batches.send(packed).await.is_ok(),
        Err(error) => {
            tracing::error!(%error, "a pack was not written");
            true
        }
    }
}
