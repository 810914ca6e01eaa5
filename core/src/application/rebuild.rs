//! A store whose database is lost, made anew of its segments, as far as bytes go.
//!
//! Segments say of each leaf its bytes, its SHA-256 and a tag of the dedup domain it belongs to, and nothing
//! else: no key, no headers, no versions, not which leaves make up a composite. So every leaf comes back as an
//! object of its own, keyed by its hash, in a space of its own, in the dedup domain that it had before. A user who
//! knows which hashes they need (the native API tells them with every object) has their bytes again, and gives
//! them their names by copying, which moves no byte.

use std::sync::Arc;

use futures::stream::StreamExt as _;

use crate::application::error::{Error, Result};
use crate::application::high_water;
use crate::application::ports::clock::Clock;
use crate::application::ports::metadata::{
    LeafRecord, MetadataStore, NewContent, PutObject, SegmentRecord, StagedLeaf,
};
use crate::application::ports::segments::{FoundRecord, Salvaged, SegmentError, SegmentKind};
use crate::application::tiers::Tiers;
use crate::application::validate::Finding;
use crate::application::verify::{LeafCheck, LeafVerdict};
use crate::domain::address::{Key, Namespace, SpaceAddress, Tenant};
use crate::domain::blob::{BlobId, Location, SegmentId};
use crate::domain::etag::Etag;
use crate::domain::event::Cause;
use crate::domain::naming::PartCount;
use crate::domain::object::{Attributes, ObjectId};
use crate::domain::precondition::Preconditions;
use crate::domain::space::{DedupDomain, DedupScope};
use crate::domain::state::SegmentState;
use crate::domain::storage_class::StorageClass;

/// The namespace in which rebuilt objects lie.
pub const NAMESPACE: &str = "recovered";

/// The result of a rebuild.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Segments entered.
    pub segments: u64,
    /// Objects made: one for each leaf, counted again where bytes lay twice.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Segments that have rows already, of an earlier, broken off rebuild.
    pub known: u64,
    /// Records that could not be entered.
    pub findings: Vec<Finding>,
}

/// Why nothing was rebuilt: the database knows this space, which no rebuild made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the database holds the space {0}: only an empty one is rebuilt")]
pub struct NotEmpty(pub SpaceAddress);

/// Makes a store anew.
pub struct Rebuilder {
    metadata: Arc<dyn MetadataStore>,
    tiers: Tiers,
    clock: Arc<dyn Clock>,
    tenants: Vec<Tenant>,
}

impl Rebuilder {
    /// Over the store's parts, the database being empty. A segment says which tenant its bytes belong to only to
    /// who knows the tenant's name: those in `tenants` get theirs back, others one made of their domain's tag.
    pub fn new(
        metadata: Arc<dyn MetadataStore>,
        tiers: Tiers,
        clock: Arc<dyn Clock>,
        tenants: Vec<Tenant>,
    ) -> Self {
        Self { metadata, tiers, clock, tenants }
    }

    /// Enters every segment of both tiers. To be run while nothing else writes. May be broken off and run
    /// again.
    pub async fn run(
        &self,
        progress: &(dyn Fn(&Rebuilt) + Sync),
    ) -> Result<std::result::Result<Rebuilt, NotEmpty>> {
        let namespace = Namespace::new(NAMESPACE).map_err(|_| Error::Internal)?;
        let usage = self.metadata.usage(None, None).await?;
        if let Some(other) = usage.into_iter().find(|usage| usage.address.namespace != namespace) {
            return Ok(Err(NotEmpty(other.address)));
        }
        let mut rebuilt = Rebuilt::default();
        for tier in StorageClass::ALL {
            // Sealing a pack does not rename it, so the listing is not disturbed.
            let mut names = self.tiers.of(tier).list().await?;
            while let Some(id) = names.next().await {
                self.segment(&namespace, tier, id?, &mut rebuilt).await?;
                progress(&rebuilt);
            }
        }
        // The notes about the lost database say nothing of this one.
        high_water::accept(self.metadata.as_ref(), &self.tiers).await?;
        Ok(Ok(rebuilt))
    }

    async fn segment(
        &self,
        namespace: &Namespace,
        tier: StorageClass,
        id: SegmentId,
        rebuilt: &mut Rebuilt,
    ) -> Result<()> {
        if self.metadata.find_segment(id).await?.is_some() {
            rebuilt.known += 1;
            return Ok(());
        }
        let store = self.tiers.of(tier);
        // What of an unsealed pack was committed is unknown: every whole record is kept, a torn one cut.
        let Salvaged { records: found, size, holes } = match store.salvage(id).await {
            Ok(salvaged) => salvaged,
            // A single that was being written: it was never acknowledged.
            Err(SegmentError::Missing(_)) => return Ok(store.delete(id).await?),
            Err(error @ (SegmentError::Corrupt { .. } | SegmentError::Unreadable { .. })) => {
                let unreadable = matches!(error, SegmentError::Unreadable { .. });
                let code = if unreadable { "segment-unreadable" } else { "segment-damaged" };
                let detail = format!("on the {} tier: {error}", tier.as_str());
                rebuilt.findings.push(Finding { code, detail });
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        for (offset, bytes) in holes {
            let tier = tier.as_str();
            let detail = format!(
                "segment {id} on the {tier} tier: the {bytes} bytes at offset {offset} are no whole record; those before \
                 and behind are entered"
            );
            rebuilt.findings.push(Finding { code: "segment-damaged", detail });
        }
        // A pack of one record is as good as a single: what lies in it is never compacted, only removed.
        let kind = if found.len() == 1 { SegmentKind::Single } else { SegmentKind::Pack };
        let mut objects = Vec::with_capacity(found.len());
        let mut bytes = 0;
        for record in found {
            let location = Location { tier, segment: id, offset: record.offset, length: record.length };
            if let Some(finding) = self.damage(&record, location).await? {
                rebuilt.findings.push(finding);
                continue;
            }
            bytes += record.length;
            let leaf = StagedLeaf { hash: record.hash, location, kind, segment_size: size };
            objects.push(self.object(namespace, &record, leaf)?);
        }
        let state = SegmentState::Sealed;
        let segment = SegmentRecord { id, tier, kind, state, size, live_bytes: 0 };
        if let Some(made) = self.metadata.adopt_segment(segment, objects, self.clock.now()).await? {
            rebuilt.segments += 1;
            rebuilt.objects += made;
            rebuilt.bytes += bytes;
        }
        Ok(())
    }

    /// The fault of a record's bytes. Damaged ones are not entered: a sound copy may lie elsewhere.
    async fn damage(&self, record: &FoundRecord, location: Location) -> Result<Option<Finding>> {
        let id = BlobId(uuid::Uuid::nil());
        let domain = DedupDomain(String::new());
        let leaf = LeafRecord { id, domain, hash: record.hash, location, quarantined: false };
        let detail = leaf.to_string();
        match LeafCheck::new(leaf).advance(&self.tiers, u64::MAX).await? {
            LeafVerdict::Damaged(code) => Ok(Some(Finding { code, detail })),
            LeafVerdict::Sound | LeafVerdict::Unfinished => Ok(None),
        }
    }

    fn object(&self, namespace: &Namespace, record: &FoundRecord, leaf: StagedLeaf) -> Result<PutObject> {
        let (tenant, domain) = self.owner(record.domain)?;
        let attributes = Attributes { class: Some(leaf.location.tier), ..Attributes::default() };
        Ok(PutObject {
            space: SpaceAddress::new(namespace.clone(), tenant),
            bucket: None,
            key: Some(Key::new(&format!("sha256/{}", record.hash)).map_err(|_| Error::Internal)?),
            id: ObjectId::fresh(self.clock.now()),
            domain,
            etag: Etag::of_content(record.hash, PartCount::NONE),
            content: NewContent::Staged(leaf),
            attributes,
            checksum: None,
            preconditions: Preconditions::default(),
            announced: None,
            once: None,
            pulled: None,
            quota: None,
            cause: Cause::default(),
        })
    }

    /// Whose a record is. Bytes of a domain that was not named stay apart from all others'.
    fn owner(&self, tag: [u8; 16]) -> Result<(Tenant, DedupDomain)> {
        let space = |tenant: &Tenant| {
            let namespace = Namespace::new(NAMESPACE).map_err(|_| Error::Internal)?;
            Ok::<_, Error>(SpaceAddress::new(namespace, tenant.clone()))
        };
        for tenant in &self.tenants {
            let domain = DedupScope::Tenant.domain(&space(tenant)?);
            if domain.tag() == tag {
                return Ok((tenant.clone(), domain));
            }
        }
        let unknown =
            Tenant::new(&format!("unknown-{}", hex::encode(&tag[..8]))).map_err(|_| Error::Internal)?;
        let shared = DedupScope::Store.domain(&space(&unknown)?);
        if shared.tag() == tag {
            return Ok((Tenant::new("shared").map_err(|_| Error::Internal)?, shared));
        }
        let domain = DedupScope::Tenant.domain(&space(&unknown)?);
        Ok((unknown, domain))
    }
}
