//! Kept segments that an operator gives up: what of them would be lost, and that it is.
//!
//! A start on a database older than the tiers keeps every segment that may hold acknowledged bytes which the database does
//! not know. Nothing else ever lets go of them: only who knows that no newer database will come back can say so.

use std::collections::HashSet;
use std::sync::Arc;

use crate::application::error::Result;
use crate::application::ports::metadata::{KeptSegment, MetadataStore};
use crate::application::ports::segments::{FoundRecord, SegmentError};
use crate::application::tiers::Tiers;
use crate::domain::blob::SegmentId;
use crate::domain::timestamp::Timestamp;

/// A kept segment, and what no object names in it.
#[derive(Clone, Debug)]
pub struct Unnamed {
    /// The segment.
    pub kept: KeptSegment,
    /// Its whole records that no row of the database names; an error where the segment cannot be read.
    pub records: std::result::Result<Vec<FoundRecord>, SegmentError>,
}

/// Looks at and gives up kept segments.
pub struct GivingUp {
    metadata: Arc<dyn MetadataStore>,
    tiers: Tiers,
}

impl GivingUp {
    /// Over the store's parts.
    pub fn new(metadata: Arc<dyn MetadataStore>, tiers: Tiers) -> Self {
        Self { metadata, tiers }
    }

    /// The kept segments, or the one with this id, and what would be lost with each. Changes nothing.
    pub async fn look(&self, only: Option<SegmentId>) -> Result<Vec<Unnamed>> {
        let mut all = Vec::new();
        for kept in self.metadata.kept_segments().await? {
            let id = kept.segment.id;
            if only.is_none_or(|only| only == id) {
                let found = self.tiers.of(kept.segment.tier).inspect(id).await;
                let named = self.metadata.leaves_in(id, u32::MAX).await?;
                let named: HashSet<_> = named.into_iter().map(|leaf| leaf.location.offset).collect();
                let unnamed = |mut found: Vec<FoundRecord>| {
                    found.retain(|record| !named.contains(&record.offset));
                    found
                };
                all.push(Unnamed { kept, records: found.map(unnamed) });
            }
        }
        Ok(all)
    }

    /// From now on what no object names in this segment is garbage like any other: compaction and collection free it, its
    /// file after the retention. What objects name stays. Whether the segment was kept.
    pub async fn give_up(&self, id: SegmentId, now: Timestamp) -> Result<bool> {
        let given_up = self.metadata.give_up_segment(id, now).await?;
        if given_up {
            tracing::warn!(segment = %id, "a kept segment was given up: records that no object names are garbage now");
        }
        Ok(given_up)
    }
}
