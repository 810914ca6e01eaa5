//! What a batch knows before it asks.

use std::collections::HashMap;

use uuid::Uuid;

use crate::domain::address::SpaceAddress;
use crate::domain::blob::{BlobId, SegmentId};
use crate::domain::object::{Content, Object};
use crate::domain::space::SpaceId;
use crate::domain::storage_class::StorageClass;
use crate::infrastructure::metadata::read::rows;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::statement::Row;

/// Answers to questions that were not asked yet. They are good until the changes that they were looked up for are made.
#[derive(Default)]
pub(crate) struct Ahead {
    /// The latest versions of all keys of a space that are about to be changed.
    pub(super) latest: HashMap<SpaceAddress, Vec<Object>>,
    /// The blobs that were there of content that is about to be placed.
    pub(super) residents: Option<KnownResidents>,
}

impl Ahead {
    /// The latest versions of the keys of a space, if they were looked at.
    pub(super) fn latest(&mut self, space: &SpaceAddress) -> Option<Vec<Object>> {
        self.latest.remove(space)
    }

    /// The blobs that were there. Of what is not among them nothing is known.
    pub(super) fn residents(&mut self) -> Option<KnownResidents> {
        self.residents.take()
    }

    /// The versions of these changes are loaded.
    pub(super) fn forget_versions(&mut self) {
        self.latest.clear();
    }

    /// These changes are made: what was looked at may be so no more.
    pub(super) fn forget_all(&mut self) {
        *self = Self::default();
    }
}

/// A blob that was there first.
#[derive(Clone)]
pub(super) struct Resident {
    pub(super) content: Content,
    /// Where it lies, if it is a leaf.
    pub(super) segment: Option<SegmentId>,
    /// That segment's, which never changes; `None` also where another transaction had moved the blob while its row was
    /// waited for.
    pub(super) tier: Option<StorageClass>,
    pub(super) quarantined: bool,
    pub(super) space: SpaceId,
}

impl Resident {
    /// Of a row of [`residents`], with the hash of its bytes.
    pub(super) fn of_row(row: &Row) -> Result<(Vec<u8>, Self), Fault> {
        let resident = Self {
            content: rows::content(row, BlobId(row.get("id")?))?,
            segment: row.get::<Option<Uuid>>("segment_id")?.map(SegmentId),
            tier: rows::maybe_class(row, "tier")?,
            quarantined: row.get("quarantined")?,
            space: SpaceId(row.get("space_id")?),
        };
        Ok((row.get("hash")?, resident))
    }
}

/// The blobs of content of each domain, by its hash; `None` where there is none yet.
pub(super) type KnownResidents = HashMap<String, HashMap<Vec<u8>, Option<Resident>>>;
