//! The metadata store: the one place that knows which objects exist and where their bytes lie.
//!
//! Every method is one whole promise; its transaction stays behind it. Every write is durable when its
//! method returns. Times are passed in. Every implementation passes `testing::metadata`.
//!
//! The interface is here, in the order of its concerns; what goes in and comes out is beside it, by concern.

use async_trait::async_trait;
use uuid::Uuid;

use crate::application::ports::segments::{Mended, SegmentKind};
use crate::domain::address::{BucketName, Key, Namespace, SpaceAddress, Tenant};
use crate::domain::blob::{BlobId, Extent, Location, SegmentId};
use crate::domain::checksum::{Checksum, ChecksumAlgorithm, ChecksumKind};
use crate::domain::completion::Completed;
use crate::domain::limits::{Holdings, Overrides};
use crate::domain::multipart::{Part, PartNumber, Upload, UploadId, UploadParts};
use crate::domain::object::{Attributes, Listed, Object, ObjectId};
use crate::domain::object_lock::LockConfig;
use crate::domain::range::Span;
use crate::domain::settings::{Setting, SettingKind, SettingsRevision, SpaceSettings};
use crate::domain::space::{Bucket, DedupDomain, Space, SpaceId, Versioning};
use crate::domain::storage_class::StorageClass;
use crate::domain::timestamp::Timestamp;

mod changes;
mod content;
mod error;
mod identity;
mod keys;
mod listing;
mod objects;
mod segments;
mod spaces;
mod upkeep;

pub use changes::{
    CompleteUpload, DeleteObject, Draft, ExpireObject, Mutation, Outcome, PutObject, PutPart, Refusal,
    UpdateObject,
};
pub use content::{NewContent, StagedLeaf};
pub use error::MetadataError;
pub use identity::{IdentityStore, StoreRecord, TierSample};
pub use keys::{Credential, CredentialKind};
pub use listing::{ListQuery, ListUploadsQuery};
pub use objects::{Found, Place, Target, VersionRef};
pub use segments::{KeptSegment, LeafRecord, Leftover, SegmentRecord, WriterId};
pub use spaces::{BucketDeletion, LifecyclePass, SpaceUsage};
pub use upkeep::{Hold, Inconsistency, Move, Relocation, Retained, ScrubPass, Stuck, Swept};

/// The metadata store.
#[async_trait]
pub trait MetadataStore: IdentityStore + Send + Sync + 'static {
    // --- objects -----------------------------------------------------------------------------------------

    /// Applies a batch in order, in one durable transaction, for `writer` at `now`. Each mutation is
    /// refused or done on its own; an error means that none was acknowledged.
    async fn commit(
        &self,
        writer: WriterId,
        batch: Vec<Mutation>,
        now: Timestamp,
    ) -> Result<Vec<Result<Outcome, Refusal>>, MetadataError>;

    /// The object, if it is visible. Delete markers are found too.
    async fn find(&self, target: &Target) -> Result<Option<Found>, MetadataError>;

    /// The latest version of a key, a delete marker too. `None` if the key has none, or if there is no such
    /// place.
    async fn latest(&self, place: &Place, key: &Key) -> Result<Option<Found>, MetadataError>;

    /// The extents of a composite that cover `span`, in order, clipped to it.
    async fn extents(&self, blob: BlobId, span: Span) -> Result<Vec<Extent>, MetadataError>;

    /// Where part `number` (from 1) lies in a composite, and how many parts there are.
    async fn part_span(&self, blob: BlobId, number: u32) -> Result<Option<(Span, u32)>, MetadataError>;

    /// The parts of a composite behind number `after`, ascending: number and size in bytes.
    async fn part_sizes(
        &self,
        blob: BlobId,
        after: u32,
        limit: u32,
    ) -> Result<Vec<(u32, u64)>, MetadataError>;

    /// The checksums of a composite's parts in order, as they were when an upload made it; none if none was
    /// made with this algorithm.
    async fn part_checksums(
        &self,
        blob: BlobId,
        algorithm: ChecksumAlgorithm,
    ) -> Result<Vec<Checksum>, MetadataError>;

    /// A page of a space, in byte order of keys. Costs the same wherever in the space it begins.
    async fn list(&self, query: &ListQuery) -> Result<Vec<Object>, MetadataError>;

    /// [`Self::list`] of latest versions that have a key (`query` asks for neither `versions` nor `keyless`), and only
    /// what a listing shows of them, which is all in one place.
    async fn list_latest(&self, query: &ListQuery) -> Result<Vec<Listed>, MetadataError>;

    /// The keys at which the lines of a listing begin that rolls keys up at `delimiter`, which is not empty:
    /// the first key that `query` would list (its `from` must be `Included`, and keyless objects are left
    /// out), and, as long as a key holds the delimiter behind the prefix, the first one behind all that are
    /// rolled up with it. Fewer than `limit` as it likes, but none only if there is none. Costs as much as
    /// it yields, however many keys are rolled up.
    async fn walk(&self, query: &ListQuery, delimiter: &str) -> Result<Vec<String>, MetadataError>;

    // --- spaces and buckets ------------------------------------------------------------------------------

    /// The space at a place, if it exists.
    async fn space(&self, place: &Place) -> Result<Option<Space>, MetadataError>;

    /// Sets whether a space's keys keep versions; the space is made if it does not exist. What was versioned
    /// once can only be suspended: `Off` means [`Versioning::Suspended`] there. Where versions can be locked,
    /// anything but enabled is [`Refusal::WrongVersioning`].
    async fn set_versioning(
        &self,
        space: &SpaceAddress,
        versioning: Versioning,
        now: Timestamp,
    ) -> Result<Result<Space, Refusal>, MetadataError>;

    /// From now on versions in this space can be locked, and new ones get what `config` says; cannot be
    /// undone. [`Refusal::WrongVersioning`] unless versioning is enabled there, [`Refusal::NoSuchBucket`] if
    /// `bucket` does not name the space.
    async fn set_object_lock(
        &self,
        space: &SpaceAddress,
        bucket: &BucketName,
        config: LockConfig,
    ) -> Result<Result<(), Refusal>, MetadataError>;

    /// Sets a document of a space, in place of the one of its kind. [`Refusal::NoSuchBucket`] if `bucket` does
    /// not name the space.
    async fn put_setting(
        &self,
        space: &SpaceAddress,
        bucket: &BucketName,
        setting: &Setting,
    ) -> Result<Result<(), Refusal>, MetadataError>;

    /// Removes a document of a space, if there is one; refuses as [`Self::put_setting`].
    async fn delete_setting(
        &self,
        space: &SpaceAddress,
        bucket: &BucketName,
        kind: SettingKind,
    ) -> Result<Result<(), Refusal>, MetadataError>;

    /// All documents of a space, and the revision that they are of.
    async fn settings(&self, space: SpaceId) -> Result<(SettingsRevision, SpaceSettings), MetadataError>;

    /// Every bucket whose space has a policy, and that space.
    async fn policied(&self) -> Result<Vec<(BucketName, SpaceAddress)>, MetadataError>;

    /// The spaces that the lifecycle worker should turn to, the longest untouched first: those with lifecycle
    /// rules, of which a pass is under way, or whose last pass began before `before` or applied other rules. One
    /// whose rules cannot be read has the error in its place.
    async fn next_lifecycle(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<(SpaceAddress, Result<LifecyclePass, MetadataError>)>, MetadataError>;

    /// Writes down how far a pass has come.
    async fn save_lifecycle(&self, pass: &LifecyclePass, now: Timestamp) -> Result<(), MetadataError>;

    /// Names a space, made if it does not exist; `Err` in the inner result holds the bucket that has the
    /// name already. `locking` makes a space whose versions can be locked, with versioning enabled.
    async fn create_bucket(
        &self,
        name: &BucketName,
        space: &SpaceAddress,
        locking: bool,
        now: Timestamp,
    ) -> Result<Result<Bucket, Bucket>, MetadataError>;

    /// Buckets in order of name; of one tenant, or of all.
    async fn list_buckets(
        &self,
        tenant: Option<&Tenant>,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Bucket>, MetadataError>;

    /// Removes a bucket whose space holds nothing; uploads under way there are aborted.
    async fn delete_bucket(&self, name: &BucketName, now: Timestamp)
    -> Result<BucketDeletion, MetadataError>;

    // --- uploads -----------------------------------------------------------------------------------------

    /// Begins an upload; its space is made if it does not exist.
    /// `Err(Refusal::NoSuchBucket)` if `bucket` no longer names the space.
    async fn create_upload(
        &self,
        id: UploadId,
        space: &SpaceAddress,
        bucket: Option<&BucketName>,
        key: Option<&Key>,
        attributes: &Attributes,
        checksum: Option<(ChecksumAlgorithm, ChecksumKind)>,
        now: Timestamp,
    ) -> Result<Result<Upload, Refusal>, MetadataError>;

    /// The upload, if it is under way.
    async fn find_upload(&self, id: UploadId) -> Result<Option<Upload>, MetadataError>;

    /// The latest object that completed this upload, so that a repeated completion is answered alike.
    async fn completed_by(&self, id: UploadId) -> Result<Option<Object>, MetadataError>;

    /// What an upload was completed of, for as long as there is its object. `None` for one that was completed before
    /// this was remembered.
    async fn completion(&self, id: UploadId) -> Result<Option<Completed>, MetadataError>;

    /// All parts of an upload under way, for a completion of them.
    async fn upload_parts(&self, id: UploadId) -> Result<Option<UploadParts>, MetadataError>;

    /// Writes the stretches of a composite of `parts`, which are some of `read`, in portions of which each is a
    /// transaction of its own: other writes go on between them. The upload refers to the draft until it ends, and has one
    /// at most: of two completions that draft at once, the later one goes on. `None` if the upload is gone, its parts have
    /// changed, or another draft took the place of this one.
    async fn draft_composite(
        &self,
        id: UploadId,
        domain: &DedupDomain,
        read: &UploadParts,
        parts: &[Part],
        now: Timestamp,
    ) -> Result<Option<Draft>, MetadataError>;

    /// An upload's parts after a number, ascending.
    async fn list_parts(
        &self,
        id: UploadId,
        after: Option<PartNumber>,
        limit: u32,
    ) -> Result<Vec<Part>, MetadataError>;

    /// A page of the uploads under way in a space.
    async fn list_uploads(&self, query: &ListUploadsQuery) -> Result<Vec<Upload>, MetadataError>;

    /// Ends an upload; its parts' blobs become GC's candidates. Whether there was one.
    async fn abort_upload(&self, id: UploadId) -> Result<bool, MetadataError>;

    /// Uploads begun before a moment, oldest first.
    async fn stale_uploads(&self, before: Timestamp, limit: u32) -> Result<Vec<UploadId>, MetadataError>;

    // --- writers and segments ----------------------------------------------------------------------------

    /// Says that `writer` lives until `until`. To be said before it opens its first segment: one that has open
    /// segments and never said so counts as dead. [`MetadataError::Superseded`] if another server has started under
    /// this name since.
    async fn heartbeat(&self, writer: WriterId, until: Timestamp) -> Result<(), MetadataError>;

    /// Writers whose word has run out at `now`.
    async fn dead_writers(&self, now: Timestamp) -> Result<Vec<WriterId>, MetadataError>;

    /// Takes over what a dead writer left: removes its WRITING rows and its registration, keeps its open
    /// segments (now nobody can commit into them) and returns them. They are returned again until each is
    /// [`Self::settle_segment`]d.
    async fn take_over(&self, writer: WriterId) -> Result<Leftover, MetadataError>;

    /// A taken-over segment was mended and sealed, or, with `None`, is to be removed. Of one that is kept and was
    /// found to hold nothing unknown this is forgotten; the unknown bytes of any other count as dead.
    async fn settle_segment(
        &self,
        id: SegmentId,
        mended: Option<Mended>,
        now: Timestamp,
    ) -> Result<(), MetadataError>;

    /// A taken-over segment cannot be mended now: it stays as it is, apart from its writer, who may live again, and is
    /// found by [`Self::dead_writers`] later.
    async fn set_aside(&self, id: SegmentId) -> Result<(), MetadataError>;

    /// From now on the commits of `writer` are counted, if they are not yet.
    async fn count_commits(&self, writer: WriterId) -> Result<(), MetadataError>;

    /// How many transactions with changes or relocations of each counted writer have committed.
    async fn commit_counts(&self) -> Result<Vec<(WriterId, u64)>, MetadataError>;

    /// The database is older than the tiers: keeps every segment that is open, of whichever writer, from being
    /// condemned and compacted. How many.
    async fn keep_open_segments(&self, now: Timestamp) -> Result<u64, MetadataError>;

    /// Segments that are kept, in order of id.
    async fn kept_segments(&self) -> Result<Vec<KeptSegment>, MetadataError>;

    /// Registers a segment before its file exists, so that no file is ever unaccounted for.
    async fn open_segment(
        &self,
        writer: WriterId,
        id: SegmentId,
        tier: StorageClass,
        kind: SegmentKind,
        now: Timestamp,
    ) -> Result<(), MetadataError>;

    /// Registers a single segment and, with it, the WRITING row that says who is writing what.
    async fn announce(
        &self,
        writer: WriterId,
        id: ObjectId,
        segment: SegmentId,
        tier: StorageClass,
        space: &SpaceAddress,
        key: Option<&Key>,
        now: Timestamp,
    ) -> Result<(), MetadataError>;

    /// The write came to nothing: its WRITING row goes, its segment is condemned.
    async fn abandon(&self, id: ObjectId, segment: SegmentId) -> Result<(), MetadataError>;

    /// Condemned segments whose files may be removed at `now`, the longest condemned first: those condemned at
    /// `before` or earlier, but none of them while a [`Hold`] lives; and those that no backup of the database can
    /// name, since no blob of theirs was ever committed, always.
    async fn condemned(
        &self,
        before: Timestamp,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<SegmentRecord>, MetadataError>;

    /// Whether the file of a segment may be removed at once: it has no row, or it is condemned and no backup of
    /// the database can name it.
    async fn is_unnamed(&self, id: SegmentId) -> Result<bool, MetadataError>;

    /// How many segments are condemned and not removed yet, and their bytes.
    async fn retained(&self) -> Result<Retained, MetadataError>;

    /// The files of these condemned segments are gone.
    async fn forget_segments(&self, ids: &[SegmentId]) -> Result<(), MetadataError>;

    // --- backups -----------------------------------------------------------------------------------------

    /// Stores a hold: until it expires or is ended no condemned segment is removed, by any process.
    async fn begin_hold(&self, hold: &Hold) -> Result<(), MetadataError>;

    /// Ends a hold. Whether there was one.
    async fn end_hold(&self, id: Uuid) -> Result<bool, MetadataError>;

    /// All holds, the oldest first; those that have expired too, until [`Self::expire_holds`].
    async fn holds(&self) -> Result<Vec<Hold>, MetadataError>;

    /// Removes the holds that have expired at `now`, and returns them.
    async fn expire_holds(&self, now: Timestamp) -> Result<Vec<Hold>, MetadataError>;

    // --- work that failed --------------------------------------------------------------------------------

    /// The items of one worker that failed and were put aside, or of all workers; in order of worker and item.
    async fn stuck(&self, worker: Option<&str>, limit: u32) -> Result<Vec<Stuck>, MetadataError>;

    /// Puts an item aside, or replaces what is known of it.
    async fn put_aside(&self, stuck: &Stuck) -> Result<(), MetadataError>;

    /// These items of a worker succeeded, or are gone.
    async fn clear_stuck(&self, worker: &str, items: &[String]) -> Result<(), MetadataError>;

    /// Makes the items with this name due at `now`, or all items. How many.
    async fn retry_stuck(&self, item: Option<&str>, now: Timestamp) -> Result<u64, MetadataError>;

    /// How many items each worker has put aside. Workers without any are left out.
    async fn count_stuck(&self) -> Result<Vec<(String, u64)>, MetadataError>;

    // --- garbage, moves, damage --------------------------------------------------------------------------

    /// Removes up to `limit` DELETING rows and makes their blobs candidates. How many.
    async fn purge_deleting(&self, limit: u32) -> Result<u64, MetadataError>;

    /// DELETING rows, in order of id.
    async fn deleting(&self, limit: u32) -> Result<Vec<ObjectId>, MetadataError>;

    /// As [`Self::purge_deleting`], of these rows.
    async fn purge(&self, objects: &[ObjectId]) -> Result<u64, MetadataError>;

    /// Looks at up to `limit` candidates: a blob that nothing refers to goes, a composite's children become
    /// candidates, a segment left without blobs is condemned (a pack only once sealed). A blob still
    /// referred to whose tier no longer fits its objects is queued to move.
    async fn sweep(&self, limit: u32, now: Timestamp) -> Result<Swept, MetadataError>;

    /// Candidates, in order of id.
    async fn candidates(&self, limit: u32) -> Result<Vec<BlobId>, MetadataError>;

    /// As [`Self::sweep`], of these candidates.
    async fn sweep_these(&self, blobs: &[BlobId], now: Timestamp) -> Result<Swept, MetadataError>;

    /// Leaves queued to move, that still should.
    async fn moves(&self, limit: u32) -> Result<Vec<Move>, MetadataError>;

    /// Sealed packs in which fewer payload bytes are live than dead, emptiest first. A pack that never lost a
    /// blob is not among them, however much of it is framing.
    async fn sparse_packs(&self, limit: u32) -> Result<Vec<SegmentRecord>, MetadataError>;

    /// The leaves in a segment.
    async fn leaves_in(&self, segment: SegmentId, limit: u32) -> Result<Vec<LeafRecord>, MetadataError>;

    /// Points leaves at their copies, for `writer`; those that moved or went meanwhile are left alone.
    /// Returns whether each was pointed. Segments left without blobs are condemned.
    async fn relocate(
        &self,
        writer: WriterId,
        relocations: Vec<Relocation>,
        now: Timestamp,
    ) -> Result<Vec<bool>, MetadataError>;

    /// A leaf as it is now: whoever misses bytes asks again, since compaction and moves change where they lie.
    async fn find_leaf(&self, blob: BlobId) -> Result<Option<LeafRecord>, MetadataError>;

    /// Marks a leaf as damaged if it still lies at `at`, so that the next upload of the same bytes replaces it.
    /// A leaf that has moved since is not what was found damaged.
    async fn quarantine(&self, blob: BlobId, at: Location) -> Result<(), MetadataError>;

    /// Takes the mark off a leaf that lies at `at`: its bytes were read and are sound after all, restored from a
    /// backup perhaps.
    async fn release(&self, blob: BlobId, at: Location) -> Result<(), MetadataError>;

    /// A page of the leaves marked as damaged, in order of id, after one.
    async fn quarantined(&self, after: Option<BlobId>, limit: u32) -> Result<Vec<LeafRecord>, MetadataError>;

    /// The scrub pass under way, or the last one; `None` if there never was one.
    async fn scrub_pass(&self) -> Result<Option<ScrubPass>, MetadataError>;

    /// Begins a scrub pass at `now` unless one is under way; the pass under way either way.
    async fn begin_scrub(&self, now: Timestamp) -> Result<ScrubPass, MetadataError>;

    /// Takes a pass from `from`, as it was read, to `to`. Whether it did: not if somebody else took it on
    /// meanwhile, whose progress then counts.
    async fn advance_scrub(&self, from: &ScrubPass, to: &ScrubPass) -> Result<bool, MetadataError>;

    /// Enters a whole segment that no row names, with an object for each of its leaves: for a store whose
    /// database was lost. All in one transaction, so that the segment is never seen as one that a dead writer
    /// left. Every one of `objects` must bring content staged in this segment. Returns how many objects were
    /// made; `None`, and nothing is changed, if the segment has a row.
    async fn adopt_segment(
        &self,
        segment: SegmentRecord,
        objects: Vec<PutObject>,
        now: Timestamp,
    ) -> Result<Option<u64>, MetadataError>;

    // --- keys --------------------------------------------------------------------------------------------

    /// Stores a key.
    async fn create_credential(&self, credential: &Credential) -> Result<(), MetadataError>;

    /// The key with this public part, revoked and expired ones too.
    async fn find_credential(&self, lookup: &str) -> Result<Option<Credential>, MetadataError>;

    /// All keys, oldest first; of one tenant, or of all.
    async fn list_credentials(&self, tenant: Option<&Tenant>) -> Result<Vec<Credential>, MetadataError>;

    /// Revokes a key. Whether there was one that was not revoked yet.
    async fn revoke_credential(&self, id: Uuid, now: Timestamp) -> Result<bool, MetadataError>;

    /// Stores `new` and ends the key `old` at `ends`, both or neither; a key that ends at `now` is revoked, one
    /// that ends before `ends` anyway stays as it is. Whether `old` was there and not revoked yet.
    async fn rotate_credential(
        &self,
        old: Uuid,
        now: Timestamp,
        ends: Timestamp,
        new: &Credential,
    ) -> Result<bool, MetadataError>;

    /// Puts `sealed` in the place of a key's secret, if that is still `was`. Whether it was.
    async fn reseal_credential(&self, id: Uuid, was: &[u8], sealed: &[u8]) -> Result<bool, MetadataError>;

    // --- limits ------------------------------------------------------------------------------------------

    /// What is said about a tenant's limits, if anything ever was.
    async fn tenant_limits(&self, tenant: &Tenant) -> Result<Option<Overrides>, MetadataError>;

    /// All tenants of whose limits something is said, by name.
    async fn list_tenant_limits(&self) -> Result<Vec<(Tenant, Overrides)>, MetadataError>;

    /// Says this and nothing else about a tenant's limits.
    async fn set_tenant_limits(
        &self,
        tenant: &Tenant,
        overrides: &Overrides,
        now: Timestamp,
    ) -> Result<(), MetadataError>;

    /// What a tenant keeps, from the maintained figures of its spaces.
    async fn holdings(&self, tenant: &Tenant) -> Result<Holdings, MetadataError>;

    // --- the whole store ---------------------------------------------------------------------------------

    /// The time that leases and the words of writers go by. Where machines share the database it is the database's clock,
    /// so that theirs need not agree; otherwise it is `own`, the caller's. Read just before the call that it is passed to: it may only
    /// be earlier than that call, which takes nothing from anybody too soon.
    async fn lease_time(&self, own: Timestamp) -> Result<Timestamp, MetadataError>;

    /// Takes or renews the lease `name` for `holder` until `until`, unless another holds it at `now`.
    async fn acquire_lease(
        &self,
        name: &str,
        holder: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, MetadataError>;

    /// Gives the lease back, if `holder` has it.
    async fn release_lease(&self, name: &str, holder: Uuid) -> Result<(), MetadataError>;

    /// The maintained figures, by space and class; of one tenant, one namespace, or all.
    async fn usage(
        &self,
        tenant: Option<&Tenant>,
        namespace: Option<&Namespace>,
    ) -> Result<Vec<SpaceUsage>, MetadataError>;

    /// How many writes are announced and neither committed nor abandoned, by space.
    async fn writing(&self) -> Result<Vec<(SpaceAddress, u64)>, MetadataError>;

    /// Whether the database answers.
    async fn check(&self) -> Result<(), MetadataError>;

    /// A segment's row.
    async fn find_segment(&self, id: SegmentId) -> Result<Option<SegmentRecord>, MetadataError>;

    /// A page of all segments, in order of id, after one.
    async fn scan_segments(
        &self,
        after: Option<SegmentId>,
        limit: u32,
    ) -> Result<Vec<SegmentRecord>, MetadataError>;

    /// A page of all leaves, in order of id, after one.
    async fn scan_leaves(&self, after: Option<BlobId>, limit: u32) -> Result<Vec<LeafRecord>, MetadataError>;

    /// Compares maintained figures and redundant columns with what they stand for. Reads everything: for
    /// `validate` only.
    async fn inconsistencies(&self) -> Result<Vec<Inconsistency>, MetadataError>;

    /// Finishes what is under way and closes every connection.
    async fn close(&self);
}
