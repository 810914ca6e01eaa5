//! Changes of objects and parts, what each comes to, and why it may be refused.

use std::sync::Arc;

use super::address::ObjectAddress;
use super::content::NewContent;
use crate::domain::address::{BucketName, Key, SpaceAddress, Tenant};
use crate::domain::blob::{BlobId, SegmentId};
use crate::domain::checksum::{Checksum, ChecksumKind, ExpectedChecksum};
use crate::domain::etag::{Etag, Md5Digest};
use crate::domain::event::{Cause, TargetName};
use crate::domain::idempotency::Once;
use crate::domain::invalid::Invalid;
use crate::domain::limits::{Quota, QuotaPart};
use crate::domain::multipart::{CompleteRefusal, Part, PartClaim, PartNumber, UploadId, UploadParts};
use crate::domain::object::{Attributes, Object, ObjectId, Tags};
use crate::domain::object_lock::LockChange;
use crate::domain::patch::AttributesPatch;
use crate::domain::precondition::Preconditions;
use crate::domain::space::{DedupDomain, SettingsRevision};
use crate::domain::storage_class::StorageClass;
use crate::domain::timestamp::Timestamp;
use crate::domain::versioning::{Denial, Expiry};

/// A new version of a key, or a keyless object.
#[derive(Clone, Debug)]
pub struct PutObject {
    /// Its space, made if it does not exist.
    pub space: SpaceAddress,
    /// The bucket it came through: must still name `space`, or [`Refusal::NoSuchBucket`].
    pub bucket: Option<BucketName>,
    /// Its key.
    pub key: Option<Key>,
    /// Its id, if it is larger than the current version's; otherwise the next larger one is taken.
    pub id: ObjectId,
    /// Where identical content is stored once.
    pub domain: DedupDomain,
    /// Its bytes.
    pub content: NewContent,
    /// Its tag.
    pub etag: Etag,
    /// What it carries.
    pub attributes: Attributes,
    /// Its checksum.
    pub checksum: Option<Checksum>,
    /// What must hold of the current version, decided inside the transaction.
    pub preconditions: Preconditions,
    /// What the space's tenant may keep, decided inside the transaction; `None` if it is not limited.
    pub quota: Option<Quota>,
    /// The WRITING row that announced it, which becomes COMMITTED.
    pub announced: Option<ObjectId>,
    /// Of an object without key: the request that must make it once. A repetition is [`Refusal::Repeated`].
    pub once: Option<Once>,
    /// Why: told along with the change.
    pub cause: Cause,
    /// That it is a copy of the upstream's: kept only if nothing was written or removed under its key here, or
    /// [`Refusal::Changed`].
    pub pulled: Option<Pulled>,
}

/// An object that was fetched from the upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// The revision of the space's settings by which it was fetched.
    pub revision: SettingsRevision,
    /// When it was last modified there, and therefore here.
    pub modified: Timestamp,
    /// What proved its bytes: [`Proof::as_str`](crate::domain::upstream::proof::Proof::as_str).
    pub proof: &'static str,
}

/// Removes a key's latest version (or makes a delete marker, by the space's versioning), or one version.
#[derive(Clone, Debug)]
pub struct DeleteObject {
    /// Which.
    pub target: ObjectAddress,
    /// The bucket it came through: must still name the target's space.
    pub bucket: Option<BucketName>,
    /// The id of a delete marker, if one must be made.
    pub marker_id: ObjectId,
    /// What must hold of the target.
    pub preconditions: Preconditions,
    /// Whether a governance retention is bypassed; the right to do so was checked.
    pub bypass_governance: bool,
    /// The space's tenant and what it may keep, as in [`PutObject::quota`]: a delete marker counts as an object. One
    /// that hides an object is made whatever the quota says, so that everything can be deleted.
    pub quota: Option<(Tenant, Quota)>,
    /// Why: told along with the change.
    pub cause: Cause,
    /// Whether a version is let go because the upstream has replaced it: the key is read through again, and nobody is told. Of a
    /// delete by the version's id.
    pub let_go: bool,
}

/// Moves an object to another key, which gets a new version of the same bytes, while the source goes as by
/// [`DeleteObject`]: both or neither.
#[derive(Clone, Debug)]
pub struct MoveObject {
    /// The version to move, as it was found: if it is no longer the latest of its key, [`Refusal::Changed`].
    pub source: ObjectId,
    /// The space it is in.
    pub from: SpaceAddress,
    /// Its key; `None` for an object that has none.
    pub from_key: Option<Key>,
    /// What must hold of it.
    pub source_preconditions: Preconditions,
    /// The id of a delete marker, if one must be made.
    pub marker_id: ObjectId,
    /// The target's space, made if it does not exist.
    pub space: SpaceAddress,
    /// The target's key, which is not the source.
    pub key: Key,
    /// The target's id, as in [`PutObject::id`].
    pub id: ObjectId,
    /// Where identical content is stored once; of both spaces.
    pub domain: DedupDomain,
    /// What must hold of the target's current version.
    pub preconditions: Preconditions,
    /// What the target's tenant may keep, as in [`PutObject::quota`].
    pub quota: Option<Quota>,
    /// Why: told along with the change.
    pub cause: Cause,
}

/// Carries out a verdict of a lifecycle rule, unless what it was passed on has changed since.
#[derive(Clone, Debug)]
pub struct ExpireObject {
    /// The version that was judged.
    pub id: ObjectId,
    /// Its tags then.
    pub tags: Tags,
    /// What is to be done.
    pub expiry: Expiry,
    /// The id of a delete marker, if one must be made.
    pub marker_id: ObjectId,
}

/// Changes what an object carries, in place.
#[derive(Clone, Debug)]
pub struct UpdateObject {
    /// Which.
    pub id: ObjectId,
    /// The new class; its blob's move is queued when that changes the tier it should lie on.
    pub class: Option<StorageClass>,
    /// What becomes of headers, metadata and tags, decided inside the transaction. Of a version that is held, only
    /// the tags may change.
    pub attributes: Option<AttributesPatch>,
    /// A change of what holds the version; only in a space where versions can be locked.
    pub lock: Option<LockChange>,
    /// What must hold of the object.
    pub preconditions: Preconditions,
    /// Why: told along with the change.
    pub cause: Cause,
}

/// Adds or replaces a part.
#[derive(Clone, Debug)]
pub struct PutPart {
    /// Of this upload.
    pub upload: UploadId,
    /// Its number.
    pub number: PartNumber,
    /// Where identical content is stored once.
    pub domain: DedupDomain,
    /// Its bytes.
    pub content: NewContent,
    /// Its tag.
    pub etag: Etag,
    /// The MD5 behind the tag.
    pub md5: Option<Md5Digest>,
    /// Its checksum.
    pub checksum: Option<Checksum>,
    /// The WRITING row that announced it, which goes away.
    pub announced: Option<ObjectId>,
    /// The upload's tenant and what it may keep, as in [`PutObject::quota`]: parts of open uploads count.
    pub quota: Option<(Tenant, Quota)>,
}

/// A composite whose stretches were written before the completion that takes it over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The blob, still under a name of its own.
    pub blob: BlobId,
    /// [`UploadParts::revision`] of the parts that it consists of.
    pub revision: u64,
}

/// Makes an object of an upload's parts, and ends the upload.
#[derive(Clone, Debug)]
pub struct CompleteUpload {
    /// The upload.
    pub upload: UploadId,
    /// The key that the upload writes, where it has one: the completion counts in order with the other changes of the key.
    pub target: Option<(SpaceAddress, Key)>,
    /// The bucket it came through: must still name the upload's space.
    pub bucket: Option<BucketName>,
    /// The parts it consists of; `None` for all that have arrived.
    pub claims: Option<Arc<[PartClaim]>>,
    /// The upload's parts as [`Uploads::upload_parts`](super::Uploads::upload_parts) read them: not inside the
    /// transaction, where other writes would wait. If they have changed since, the completion is refused with
    /// [`Refusal::Changed`].
    pub read: Arc<UploadParts>,
    /// The composite of its parts, drafted before. Without one a completion of more than
    /// [`PORTION_PIECES_MAX`](crate::domain::multipart::PORTION_PIECES_MAX) stretches is refused with
    /// [`Refusal::Changed`], unless the store has such a composite already.
    pub draft: Option<Draft>,
    /// The whole object's size as the client expects it.
    pub expected_size: Option<u64>,
    /// The kind of its checksum as the client expects it.
    pub expected_kind: Option<ChecksumKind>,
    /// The new object's id, as in [`PutObject::id`].
    pub id: ObjectId,
    /// Where identical content is stored once.
    pub domain: DedupDomain,
    /// The whole object's checksum as the client expects it.
    pub expected: Option<ExpectedChecksum>,
    /// What must hold of the current version.
    pub preconditions: Preconditions,
    /// The upload's tenant and what it may keep, as in [`PutObject::quota`].
    pub quota: Option<(Tenant, Quota)>,
    /// Why: told along with the change.
    pub cause: Cause,
}

/// One change of a batch.
#[derive(Clone, Debug)]
pub enum Mutation {
    /// See [`PutObject`].
    Put(Box<PutObject>),
    /// See [`DeleteObject`].
    Delete(Box<DeleteObject>),
    /// See [`MoveObject`].
    Move(Box<MoveObject>),
    /// See [`ExpireObject`].
    Expire(Box<ExpireObject>),
    /// See [`UpdateObject`].
    Update(Box<UpdateObject>),
    /// See [`PutPart`].
    PutPart(Box<PutPart>),
    /// See [`CompleteUpload`].
    Complete(Box<CompleteUpload>),
    /// This writer's pack is sealed, with its final size in bytes.
    SealPack(SegmentId, u64),
}

/// What a mutation did.
#[derive(Clone, Debug)]
pub enum MutationOutcome {
    /// The object as it now is (put, complete, update). `dropped` is this writer's single segment that
    /// turned out to be a duplicate: condemned in the same transaction, GC removes it.
    Object {
        /// The object.
        object: Box<Object>,
        /// The duplicate.
        dropped: Option<SegmentId>,
    },
    /// The part as it now is.
    Part {
        /// The part.
        part: Box<Part>,
        /// The duplicate, as above.
        dropped: Option<SegmentId>,
    },
    /// What a delete left behind.
    Deleted {
        /// What was removed, or the marker that was made; `None` if there was nothing (which S3 calls
        /// success).
        object: Option<Box<Object>>,
        /// Whether `object` is a new delete marker.
        marker_made: bool,
    },
    /// What a move left behind.
    Moved {
        /// The object under its new key.
        object: Box<Object>,
        /// The delete marker at the source, if one was made.
        marker: Option<ObjectId>,
        /// That marker, or the source as it was before it went.
        left: Box<Object>,
    },
    /// The pack is sealed.
    Sealed,
}

/// Why one mutation of a batch was refused, while the others of the batch stand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A condition does not hold.
    #[error("precondition failed")]
    PreconditionFailed,
    /// `If-Match` on a key that does not exist; or an update of an object that does not.
    #[error("no such object")]
    NoSuchObject,
    /// The bucket is gone or names another space.
    #[error("no such bucket")]
    NoSuchBucket,
    /// The upload is gone.
    #[error("no such upload")]
    NoSuchUpload,
    /// A version that would have to go, or whose retention would have to shrink, is held.
    #[error("the object is locked")]
    Locked,
    /// A lock is asked for where versions cannot be locked.
    #[error("object lock is not enabled")]
    NoObjectLock,
    /// The space's versioning is not what the change needs; where versions can be locked it stays enabled.
    #[error("the space is in another state of versioning")]
    WrongVersioning,
    /// What was judged or read is not there any more, or not as it was.
    #[error("the version changed since it was judged")]
    Changed,
    /// What would come of it breaks a rule, though the change itself breaks none.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The parts do not add up.
    #[error(transparent)]
    Complete(#[from] CompleteRefusal),
    /// The expected checksum is not that of the parts.
    #[error("checksum mismatch")]
    ChecksumMismatch,
    /// The tenant would keep more than its quota.
    #[error("the quota of {} does not suffice", .0.as_str())]
    QuotaExceeded(QuotaPart),
    /// The request was done before, and made this object.
    #[error("the request has made object {0}")]
    Repeated(ObjectId),
    /// Another request has the same idempotency key.
    #[error("the idempotency key is another request's")]
    KeyReused,
    /// No more idempotency keys are remembered of the tenant.
    #[error("the tenant has too many idempotency keys")]
    TooManyKeys,
    /// What must be told of the change does not fit: too much waits for this target.
    #[error("too much waits for the target {0}")]
    OutboxFull(TargetName),
    /// The blob copied from is gone: read the source again.
    #[error("the source is gone")]
    SourceGone,
    /// The segment is no longer this writer's: it was taken for dead. Stage again.
    #[error("the segment is no longer open")]
    SegmentLost,
    /// This change alone cannot be made, for a reason that is logged and not shown: a bug, or a collision
    /// that did not end. Those that shared its batch were made without it.
    #[error("the change failed: {0}")]
    Failed(String),
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::ConditionFailed => Self::PreconditionFailed,
            Denial::NoSuchObject => Self::NoSuchObject,
            Denial::Locked => Self::Locked,
            Denial::NoObjectLock => Self::NoObjectLock,
            Denial::WrongVersioning => Self::WrongVersioning,
            Denial::Overtaken => Self::Changed,
        }
    }
}
