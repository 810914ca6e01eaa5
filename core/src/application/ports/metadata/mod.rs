//! The metadata store: the one place that knows which objects exist and where their bytes lie.
//!
//! Every method is one whole promise; its transaction stays behind it. Every write is durable when its
//! method returns. Times are passed in. Every implementation passes `testing::metadata`.
//!
//! The interface is eight ports, by concern, each beside what goes in and comes out of it. Who works on some of it names the ports
//! that it needs; [`MetadataStore`] is all of them.

use std::sync::Arc;

use async_trait::async_trait;

mod address;
mod catalogue;
mod changes;
mod content;
mod credentials;
mod error;
mod identity;
mod leases;
mod listing;
mod mirrors;
mod objects;
mod outbox;
mod records;
mod spaces;
mod told;
mod upkeep;
mod uploads;
mod upstreams;

pub use address::{ObjectAddress, SpaceRef, VersionRef};
pub use catalogue::Catalogue;
pub use changes::{
    CompleteUpload, DeleteObject, Draft, ExpireObject, MoveObject, Mutation, MutationOutcome, Pulled,
    PutObject, PutPart, Refusal, UpdateObject,
};
pub use content::{NewContent, StagedLeaf};
pub use credentials::{Credential, CredentialKind, Credentials};
pub use error::MetadataError;
pub use identity::{IdentityStore, StoreRecord, TierSample};
pub use leases::{Leases, Replica};
pub use listing::{ListQuery, ListUploadsQuery};
pub use mirrors::{
    MirrorNote, MirrorNotes, MirrorState, MirroredKey, MirroredVersion, MirroredVersions, Mirrors,
    VersionNote,
};
pub use objects::{Found, Objects};
pub use outbox::{Epoch, Outbox, OutboxFigures, OutboxRow, OutboxTarget, Replay, ReplayFrom, TargetRemoval};
pub use records::{KeptSegment, LeafRecord, Leftover, SegmentRecord, WriterId};
pub use spaces::{BucketDeletion, LifecyclePass, NewSpace, SpaceEntry, SpaceUsage, Spaces};
pub use upkeep::{Garbage, Hold, Inconsistency, Move, Relocation, Retained, ScrubPass, Stuck, Swept, Upkeep};
pub use uploads::Uploads;
pub use upstreams::{BoundSpace, PassKind, UpstreamPass, Upstreams};

/// The metadata store: all ports, and what concerns it as a whole.
#[async_trait]
pub trait MetadataStore:
    IdentityStore
    + Objects
    + Uploads
    + Spaces
    + Upstreams
    + Mirrors
    + Catalogue
    + Upkeep
    + Credentials
    + Leases
    + Outbox
{
    /// Whether the database answers.
    async fn check(&self) -> Result<(), MetadataError>;

    /// Bytes that the database takes up: its file without its log, or the database on its server.
    async fn size(&self) -> Result<u64, MetadataError>;

    /// This store for the work called `name`: whatever it changes is changed only while this process holds the lease of that
    /// name, as it took it last; otherwise it fails with [`MetadataError::LeaseLost`]. A holder that was paused until
    /// another one took over, and a step that took longer than its lease, change nothing.
    fn under_lease(&self, name: &'static str) -> Arc<dyn MetadataStore>;

    /// Finishes what is under way and closes every connection.
    async fn close(&self);
}
