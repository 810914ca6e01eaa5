//! A tier: where segments, the only kind of data file, are written and read.

use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::stream::{BoxStream, TryStreamExt as _};
use uuid::Uuid;

use crate::domain::blob::{Hash, SegmentId};
use crate::domain::identity::TierMark;

/// Why a tier could not do what it was asked.
///
/// [`Self::Missing`], [`Self::Corrupt`] and [`Self::Unreadable`] are verdicts about one segment: others are well, and
/// work on many segments goes on with the next. All others are about the tier.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SegmentError {
    /// No room is left, or a quota is reached.
    #[error("no space left on the {0} tier")]
    Full(&'static str),
    /// The segment is not there.
    #[error("segment {0} is missing")]
    Missing(SegmentId),
    /// Bytes do not match their checksum, or a header, footer or index is not what was written.
    #[error("segment {segment} is damaged at byte {offset}: {what}")]
    Corrupt {
        /// Which segment.
        segment: SegmentId,
        /// Where, from its beginning.
        offset: u64,
        /// What is wrong, for the log.
        what: &'static str,
    },
    /// The file is there and the system does not give its bytes: a bad sector, a damaged file system, a mode that
    /// keeps the process out. They may be read again later.
    #[error("segment {segment} cannot be read: {action}: {source}")]
    Unreadable {
        /// Which segment.
        segment: SegmentId,
        /// What was attempted.
        action: &'static str,
        /// What the system said.
        source: std::sync::Arc<std::io::Error>,
    },
    /// The machine cannot just now, and may again after an operator has acted: a read-only file system, no file
    /// descriptor or memory left.
    #[error("{action}: {source}; {advice}")]
    Unavailable {
        /// What was attempted.
        action: &'static str,
        /// What the system said.
        source: std::sync::Arc<std::io::Error>,
        /// What the operator should do, for the log.
        advice: &'static str,
    },
    /// Anything else the operating system answered. After a failed write or sync a segment is not
    /// written to again.
    #[error("{action}: {source}")]
    Io {
        /// What was attempted.
        action: &'static str,
        /// What the system said.
        source: std::sync::Arc<std::io::Error>,
    },
}

impl SegmentError {
    /// The segment, if this is a verdict about one and not about the tier.
    #[must_use]
    pub fn segment(&self) -> Option<SegmentId> {
        match self {
            Self::Missing(segment) | Self::Corrupt { segment, .. } | Self::Unreadable { segment, .. } => {
                Some(*segment)
            }
            Self::Full(_) | Self::Unavailable { .. } | Self::Io { .. } => None,
        }
    }
}

/// A segment whose writer died, mended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mended {
    /// Of the file, in bytes.
    pub size: u64,
    /// Whole records in it beyond what the metadata store knew of.
    pub unknown_records: u64,
    /// Their payload bytes.
    pub unknown_bytes: u64,
}

/// What a look for a segment's file found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is there, and its first bytes can be read, whatever they are.
    Present,
    /// It is not there.
    Absent,
    /// It is there, or may be, and cannot be read.
    Unreadable,
}

/// A short tag of the dedup domain that a record belongs to, so that a store whose database is lost can be
/// rebuilt with its walls: the first 16 bytes of the SHA-256 of the domain's name.
pub type DomainTag = [u8; 16];

/// Which of the two shapes a segment has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentKind {
    /// One large blob, streamed.
    Single,
    /// Many small blobs, appended in batches.
    Pack,
}

/// How small blobs get into packs on a tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Batch after batch is appended to one open pack.
    Appended,
    /// Each batch is a pack of its own. Writing one takes long and several at a time take no longer: so many are.
    Batches {
        /// Packs that are written at the same time.
        at_once: usize,
    },
}

/// One small blob to append to a pack.
#[derive(Clone, Debug)]
pub struct Record {
    /// Of the domain it belongs to.
    pub domain: DomainTag,
    /// Its SHA-256.
    pub hash: Hash,
    /// Its bytes.
    pub payload: Bytes,
}

/// One blob found in a segment by reading the segment alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundRecord {
    /// Of the domain it belongs to.
    pub domain: DomainTag,
    /// Its SHA-256, as its footer states it.
    pub hash: Hash,
    /// Of the payload's first byte, from the segment's beginning.
    pub offset: u64,
    /// Of the payload, in bytes.
    pub length: u64,
}

/// What a segment holds about which nothing is known any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salvaged {
    /// Every whole record, in order of offset.
    pub records: Vec<FoundRecord>,
    /// Of the file, in bytes.
    pub size: u64,
    /// Stretches before and between the records that are no whole record: where each begins, and its bytes.
    pub holes: Vec<(u64, u64)>,
}

/// What a read is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadPurpose {
    /// A client's answer: it may come from a cache, and fills it.
    Serve,
    /// Upkeep: it is about what the tier holds, and neither asks a cache nor fills it.
    Upkeep,
}

/// One stretch of a leaf to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadRequest {
    /// The segment.
    pub segment: SegmentId,
    /// Of the leaf's payload, from the segment's beginning.
    pub payload_offset: u64,
    /// Of the leaf's payload, in bytes.
    pub payload_length: u64,
    /// The leaf's SHA-256: a record that carries another is [`SegmentError::Corrupt`], so that not even a
    /// wrong location serves wrong bytes. `None` asks for the bytes that lie there.
    pub hash: Option<Hash>,
    /// Of the first byte wanted, inside the payload.
    pub start: u64,
    /// One past the last byte wanted, inside the payload.
    pub end: u64,
    /// What for.
    pub purpose: ReadPurpose,
}

/// A pack that is being appended to. Dropping it leaves a file that [`SegmentStore::recover`] can mend.
#[async_trait]
pub trait PackWriter: Send {
    /// The pack's name.
    fn id(&self) -> SegmentId;

    /// Where the records end, all of them durable.
    fn size(&self) -> u64;

    /// Whether another batch costs no more than itself. Where it does not, the pack is sealed after its first one.
    fn takes_more(&self) -> bool {
        true
    }

    /// Appends `records` in order and makes them durable with one sync. Returns each payload's offset.
    ///
    /// All or nothing: after an error none of them counts, and the pack must not be appended to again. It is an
    /// error too if the file has lost its name or its directory meanwhile: bytes without a name do not count.
    async fn append(&mut self, records: Vec<Record>) -> Result<Vec<u64>, SegmentError>;

    /// Writes the index and makes it durable; returns the file's size.
    async fn seal(self: Box<Self>) -> Result<u64, SegmentError>;
}

/// A segment that receives one large blob. Dropping it unfinished removes what was staged, as far as the
/// process still can; the rest is [`SegmentStore::recover`]'s.
#[async_trait]
pub trait SingleWriter: Send {
    /// The segment's name.
    fn id(&self) -> SegmentId;

    /// Writes the next bytes of the payload. They are not durable yet.
    async fn write(&mut self, bytes: Bytes) -> Result<(), SegmentError>;

    /// Ends the payload, whose SHA-256 is `hash`, seals the segment, makes it durable and visible under
    /// its name. Returns the payload's offset and the file's size.
    async fn finish(self: Box<Self>, hash: Hash) -> Result<(u64, u64), SegmentError>;
}

/// A tier. Every implementation passes `testing::segments`.
#[async_trait]
pub trait SegmentStore: Send + Sync + 'static {
    /// Begins a pack. Its file exists, durably, once a batch was appended; it may exist before.
    async fn create_pack(&self, id: SegmentId) -> Result<Box<dyn PackWriter>, SegmentError>;

    /// Begins a segment of one large blob. `expected` bytes are likely to come, if known.
    async fn create_single(
        &self,
        id: SegmentId,
        domain: DomainTag,
        expected: Option<u64>,
    ) -> Result<Box<dyn SingleWriter>, SegmentError>;

    /// Reads a stretch of a leaf. Every byte that the stream yields was checked against its block's CRC
    /// before it was yielded; chunks are at most 1 MiB; what all readers hold at a time is bounded.
    ///
    /// A reader that has begun is not disturbed by [`Self::delete`].
    async fn read(
        &self,
        request: ReadRequest,
    ) -> Result<BoxStream<'static, Result<Bytes, SegmentError>>, SegmentError>;

    /// Reads small leaves whole, in as few requests as the tier can: one answer for each, in order.
    async fn read_small(&self, requests: Vec<ReadRequest>) -> Vec<Result<Bytes, SegmentError>> {
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests {
            let read = async {
                let mut chunks = self.read(request).await?;
                let mut payload = BytesMut::new();
                while let Some(chunk) = chunks.try_next().await? {
                    payload.extend_from_slice(&chunk);
                }
                Ok(payload.freeze())
            };
            answers.push(read.await);
        }
        answers
    }

    /// Removes a segment, staged or sealed, durably: it does not come back after a power cut. Succeeds if it is
    /// gone already.
    async fn delete(&self, id: SegmentId) -> Result<(), SegmentError>;

    /// Removes segments as [`Self::delete`] does, in as few requests as the tier can: one answer for each, in order.
    async fn delete_all(&self, ids: &[SegmentId]) -> Vec<Result<(), SegmentError>> {
        let mut answers = Vec::with_capacity(ids.len());
        for id in ids {
            // What is about the tier holds for the rest of them.
            let away = match answers.last() {
                Some(Err(error @ (SegmentError::Unavailable { .. } | SegmentError::Full(_)))) => {
                    Some(SegmentError::clone(error))
                }
                _ => None,
            };
            answers.push(match away {
                Some(error) => Err(error),
                None => self.delete(*id).await,
            });
        }
        answers
    }

    /// Mends a segment whose writer died: seals it, with every whole record in it, those beyond `committed` bytes
    /// too, the length that the metadata store knows of. Only what lies behind the last whole record is cut off.
    /// Fails with [`SegmentError::Corrupt`], and changes nothing, if the file is shorter or what lies before
    /// `committed` is not whole records. Idempotent.
    async fn recover(&self, id: SegmentId, committed: u64) -> Result<Mended, SegmentError>;

    /// As [`Self::recover`], of a segment about which nothing is known any more: a pack that is not sealed is
    /// cut behind its last whole record and sealed. What lies between whole records stays as it is. Fails with
    /// [`SegmentError::Corrupt`], and changes nothing, if a record was begun and none is whole. Idempotent.
    async fn salvage(&self, id: SegmentId) -> Result<Salvaged, SegmentError>;

    /// The blobs that a sealed segment holds, read from its index, or from its records if it has none.
    async fn inspect(&self, id: SegmentId) -> Result<Vec<FoundRecord>, SegmentError>;

    /// The names of all segments, sealed and begun, as far as something of them is on the tier, in no order, as they were
    /// when asked.
    async fn list(&self) -> Result<BoxStream<'static, Result<SegmentId, SegmentError>>, SegmentError>;

    /// Looks for the files of segments: one answer for each, in order.
    async fn probe(&self, ids: Vec<SegmentId>) -> Result<Vec<Presence>, SegmentError>;

    /// Notes beside the segments, outside the metadata store, how many commits of `writer` that store has confirmed.
    /// Replaces what was noted before. Not synced: it may be older after a power cut, and is never newer.
    async fn note_commits(&self, writer: Uuid, commits: u64) -> Result<(), SegmentError>;

    /// What [`Self::note_commits`] noted, of every writer, as far as it can be read.
    async fn commit_notes(&self) -> Result<Vec<(Uuid, u64)>, SegmentError>;

    /// Notes beside the segments, durably, that the start `token` of a server of `writer` writes to this tier. Replaces the
    /// note of the start before.
    async fn note_server(&self, writer: Uuid, token: Uuid) -> Result<(), SegmentError>;

    /// The start that was noted last of `writer`; `None` if none was.
    async fn server_note(&self, writer: Uuid) -> Result<Option<Uuid>, SegmentError>;

    /// What the tier's root says about itself; `None` if it carries no mark, or is not there.
    async fn mark(&self) -> Result<Option<TierMark>, SegmentError>;

    /// Marks the tier's root, durably, unless it carries a mark; the root is made if it is not there. Returns the mark
    /// that it carries.
    async fn set_mark(&self, mark: &TierMark) -> Result<TierMark, SegmentError>;

    /// From now on the tier is the one that carries `mark`, which is checked. Makes the directories that it lacks.
    async fn enter(&self, mark: &TierMark) -> Result<(), SegmentError>;

    /// Fails with [`SegmentError::Unavailable`] unless the root still carries the mark of [`Self::enter`]. Reads one small
    /// file: to be asked before absence is taken for loss. Succeeds before `enter`.
    async fn identify(&self) -> Result<(), SegmentError>;

    /// Whether the tier is itself ([`Self::identify`]) and can be written to just now.
    async fn check(&self) -> Result<(), SegmentError>;

    /// How small blobs get into packs here.
    fn packing(&self) -> Packing {
        Packing::Appended
    }

    /// How long to wait between two of [`Self::note_commits`]: each costs a hand-over between threads, or a request.
    fn note_pace(&self) -> Duration {
        Duration::ZERO
    }

    /// How long a write that was given up may still take effect after its segment was removed. Zero where it cannot.
    fn late_for(&self) -> Duration {
        Duration::ZERO
    }

    /// Whether what the tier lies on reads its bytes by itself from time to time, and mends them: what is read here only
    /// to be checked costs requests and finds nothing.
    fn verifies_itself(&self) -> bool {
        false
    }
}
