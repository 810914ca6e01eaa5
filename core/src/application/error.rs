//! The one error of the core's use cases, sorted by what the caller should do.

use crate::domain::address::BucketName;
use crate::domain::invalid::Invalid;
use crate::domain::limits::QuotaPart;
use crate::domain::multipart::CompleteRefusal;
use crate::domain::principal::Right;
use crate::domain::range::Unsatisfiable;
use crate::domain::timestamp::Timestamp;

/// What a use case answers when it does not succeed. Each front translates it once, at its edge.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Fix the request: a value breaks a rule.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// Fix the request: the body is not what its digest, checksum or length declares.
    #[error("the {0} does not match the bytes received")]
    DigestMismatch(&'static str),
    /// Fix the request: the body ended before its declared length.
    #[error("the body ended after {received} of {expected} bytes")]
    BodyTooShort {
        /// As declared.
        expected: u64,
        /// As received.
        received: u64,
    },
    /// Fix the request: the body is larger than one put or part may be.
    #[error("the body exceeds {max} bytes")]
    BodyTooLarge {
        /// The limit in bytes.
        max: u64,
    },
    /// The client's stream failed: nothing was stored.
    #[error("the body could not be read: {0}")]
    Body(String),
    /// The client stopped sending, or sends less than the least rate: nothing was stored.
    #[error("the body stalled for too long, or came too slowly")]
    BodyStalled,
    /// There is no such object, or the caller may not know of it.
    #[error("the object does not exist")]
    NoSuchObject,
    /// The current version of the key is a delete marker, or the version asked for is one. The marker's
    /// version id, and whether the request named it.
    #[error("the object is a delete marker")]
    DeleteMarker {
        /// As S3 shows it.
        version_id: Option<String>,
        /// Whether the request addressed the marker by its version id (S3 answers 405 then).
        addressed: bool,
        /// When it was made.
        made: Timestamp,
    },
    /// There is no such version of the key.
    #[error("the version does not exist")]
    NoSuchVersion,
    /// The object has no such part: 416.
    #[error("the object has no such part")]
    NoSuchPart,
    /// There is no such bucket, or the caller may not know of it.
    #[error("the bucket does not exist")]
    NoSuchBucket,
    /// There is no such upload, or the caller may not know of it.
    #[error("the upload does not exist; it may have been completed or aborted")]
    NoSuchUpload,
    /// There is no such key, or it is revoked.
    #[error("the credential does not exist")]
    NoSuchCredential,
    /// There is no such space, or the caller may not know of it.
    #[error("the space does not exist")]
    NoSuchSpace,
    /// No item of background work is put aside by this name.
    #[error("no such item is stuck")]
    NoSuchItem,
    /// There is no such worker.
    #[error("there is no such worker")]
    NoSuchWorker,
    /// No backup of this id holds removal.
    #[error("no such backup holds removal")]
    NoSuchHold,
    /// No segment of this id is kept.
    #[error("no such segment is kept")]
    NoSuchSegment,
    /// The name is taken, by the caller's own tenant or by another.
    #[error("the bucket {name} exists already")]
    BucketExists {
        /// The name.
        name: BucketName,
        /// Whether the caller's own tenant holds it.
        own: bool,
    },
    /// The bucket's space holds objects or versions.
    #[error("the bucket is not empty")]
    BucketNotEmpty,
    /// 403: object lock holds the version, or its retention.
    #[error("the object is protected by object lock")]
    Locked,
    /// Fix the request: it asks for a lock where versions cannot be locked.
    #[error("object lock is not enabled there")]
    NoObjectLock,
    /// Fix the request: it grants something to strangers where ACLs do not count.
    #[error("ACLs that grant something to others than the owner do not count there")]
    AclsDisabled,
    /// 403: the owner has blocked ACLs that grant something to strangers.
    #[error("the bucket's public access block refuses this ACL")]
    AclBlocked,
    /// Make the bucket's ACL private first: it grants something to strangers.
    #[error("the bucket's ACL grants something to others than the owner")]
    AclShared,
    /// 409: the space's versioning is not what the change needs; with object lock it stays enabled.
    #[error("the state of versioning does not allow this")]
    WrongVersioning,
    /// 409: a move may not cross the border of what is deduplicated; copy, then delete.
    #[error("the destination does not share bytes with the source: copy the object, then delete it")]
    OtherDomain,
    /// 409: the first request with this idempotency key is still being answered; try again.
    #[error("the first request with this idempotency key is still under way")]
    InProgress,
    /// 422: the idempotency key is that of another request.
    #[error("another request had this idempotency key")]
    KeyReused,
    /// Between parts of core: the request was done before, and made this object.
    #[error("the request has made object {0}")]
    Repeated(crate::domain::object::ObjectId),
    /// The upload cannot be completed as asked.
    #[error(transparent)]
    Complete(#[from] CompleteRefusal),
    /// 412: a condition of the request does not hold.
    #[error("a precondition of the request does not hold: {0}")]
    PreconditionFailed(&'static str),
    /// 304: the client's copy is current. Carries what the answer's headers need.
    #[error("not modified")]
    NotModified(Box<crate::domain::object::Object>),
    /// 416.
    #[error(transparent)]
    Unsatisfiable(#[from] Unsatisfiable),
    /// 409: a concurrent write won; try again.
    #[error("a concurrent request changed the object; try again")]
    Conflict,
    /// The caller is not who it says, or did not say.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// The caller may see the space but lacks this right.
    #[error("the {} right is required", .0.as_str())]
    Forbidden(Right),
    /// 403: the bucket's policy denies it, whatever rights the caller has.
    #[error("the bucket's policy denies this")]
    PolicyDenies,
    /// 403: the credential is bound to keys of certain prefixes, and this is another key, a listing that goes beyond them,
    /// or about the space as a whole.
    #[error("the credential is bound to keys that begin with certain prefixes, and this is outside of them")]
    OutsidePrefixes,
    /// 403: the signed URL is for another content type.
    #[error("the signed URL does not allow this content type")]
    OutOfBounds,
    /// 403: the owner has blocked policies that grant something to the public.
    #[error("the bucket's public access block refuses this policy")]
    PolicyBlocked,
    /// 429: the tenant asks for more than its limit. Try again after a while.
    #[error("the tenant's limit of {what} is reached")]
    Limited {
        /// Of what.
        what: &'static str,
        /// After which while.
        retry_after: std::time::Duration,
    },
    /// The tenant keeps as much as it may. Deleting something helps.
    #[error("the tenant's quota of {} is used up", .0.as_str())]
    QuotaExceeded(QuotaPart),
    /// Slow down: a queue is full.
    #[error("the server is busy; try again")]
    Busy,
    /// 503: too much waits for a target that must be told of the change; try again later.
    #[error("too many events wait for a target of this space; try again later")]
    OutboxFull,
    /// There is no such event target.
    #[error("the event target does not exist")]
    NoSuchTarget,
    /// 409: the event target is still needed.
    #[error("the event target is in use: {0}")]
    TargetInUse(String),
    /// 507: a tier has no room.
    #[error("the storage is full")]
    Full,
    /// 503: the database cannot be reached, or a tier cannot be used just now; try again.
    #[error("the store is unavailable for the moment; try again")]
    Unavailable,
    /// 503: the object may be in the bucket's upstream, which does not answer just now; try again.
    #[error("the store that this bucket's data comes from does not answer; try again")]
    UpstreamAway,
    /// 503: the change is made here, and its upstream has not taken it in the time that it is waited for; it is still sent.
    #[error(
        "the change is made here, and the store that this bucket's data comes from has not taken it in time; it is still sent"
    )]
    UpstreamLate,
    /// 502: the object may be in the bucket's upstream, whose answer cannot be used: an operator has to act.
    #[error("the store that this bucket's data comes from did not give the object")]
    UpstreamFailed,
    /// There is no such upstream: the space is bound to none.
    #[error("the space has no upstream")]
    NoSuchUpstream,
    /// The system does not give the stored bytes: their blob is quarantined until they can be read again.
    #[error("the stored bytes cannot be read just now")]
    Unreadable,
    /// 503: many segments of a tier are absent or cannot be read. Nothing is concluded about any of them.
    #[error(
        "{gone} of {looked} segments looked for are absent from the {tier} tier or cannot be read; is it mounted?"
    )]
    TierAbsent {
        /// Which tier.
        tier: &'static str,
        /// Segments that were looked for.
        looked: u64,
        /// Those of them that could not be had.
        gone: u64,
    },
    /// The stored bytes failed their checksum: they are quarantined, never served.
    #[error("the stored bytes are damaged and were not served")]
    Corrupt,
    /// A failure of the store itself: logged with its cause, never shown with it.
    #[error("internal error")]
    Internal,
}

/// What a request's body fails with whose client sends nothing for too long, or too little. The listener cuts it off;
/// fronts find it among the causes of what they read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body is {0}")]
pub struct TooSlow(pub &'static str);

impl Error {
    /// What a body's stream failed with: [`Self::BodyStalled`] if it was cut off for being too slow.
    pub fn of_stream(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if error.is::<TooSlow>() {
                return Self::BodyStalled;
            }
            cause = error.source();
        }
        Self::Body(error.to_string())
    }

    /// After how many whole seconds, at least one, the same request may well succeed: of a limit reached and of what
    /// passes by itself. `None` where trying again does not help.
    pub fn retry_seconds(&self) -> Option<u64> {
        match self {
            // Rounded up: earlier it would be refused again.
            Self::Limited { retry_after, .. } => {
                Some((retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0)).max(1))
            }
            Self::Busy
            | Self::Unavailable
            | Self::UpstreamAway
            | Self::UpstreamLate
            | Self::TierAbsent { .. }
            | Self::InProgress => Some(1),
            Self::OutboxFull => Some(5),
            _ => None,
        }
    }
}

/// The result of a use case.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_slow_body_is_known_by_its_cause() {
        assert!(matches!(Error::of_stream(&TooSlow("slow")), Error::BodyStalled));
        assert!(
            matches!(Error::of_stream(&std::io::Error::other("reset")), Error::Body(why) if why == "reset")
        );
    }

    #[test]
    fn waits_are_told_in_whole_seconds_that_suffice() {
        let after = |millis| {
            let retry_after = Duration::from_millis(millis);
            Error::Limited { what: "requests", retry_after }.retry_seconds()
        };
        assert_eq!([after(0), after(1), after(1_000), after(1_001)], [Some(1), Some(1), Some(1), Some(2)]);
        assert_eq!(Error::Busy.retry_seconds(), Some(1));
        assert_eq!(Error::NoSuchObject.retry_seconds(), None);
    }
}
