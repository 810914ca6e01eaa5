//! One file that is gone, or many: two different things.
//!
//! A leaf whose file is absent is quarantined, and the next upload of its bytes heals it. But where many files are absent
//! nothing is wrong with the leaves: the tier is not mounted, or a directory of it was moved away. Nothing is concluded
//! about any leaf then, and the server is not ready until the files are back. The same holds where nothing can be read.

use crate::application::error::{Error, Result};
use crate::application::ports::metadata::Catalogue;
use crate::application::ports::segments::Presence;
use crate::application::tiers::Tiers;
use crate::domain::blob::SegmentId;
use crate::domain::state::SegmentState;
use crate::domain::storage_class::StorageClass;

/// Places in the order of ids from which segments are looked for. They lie on shelves by their ids, so that several
/// places are several shelves.
const PLACES: usize = 2;

/// Segments looked for at each place.
const AT_EACH: u32 = 16;

/// How many segments were looked for on a tier, and how many could not be had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    looked: u64,
    gone: u64,
}

impl Look {
    /// A quarter of what was looked for, and more than one, or all there is.
    fn is_bulk(self) -> bool {
        self.gone > 0 && (self.gone == self.looked || self.gone > 1 && self.gone * 4 >= self.looked)
    }
}

/// Fails with [`Error::TierAbsent`] if files of a tier are absent or unreadable in bulk, and if it is not the tier at all. `but` was found so already and
/// does not count.
pub(crate) async fn check(
    metadata: &(impl Catalogue + ?Sized),
    tiers: &Tiers,
    tier: StorageClass,
    but: Option<SegmentId>,
) -> Result<()> {
    // In a directory that is not the tier everything is absent.
    tiers.of(tier).identify().await?;
    let look = look(metadata, tiers, tier, but).await?;
    if !look.is_bulk() || but.is_none() && look.looked < 2 {
        return Ok(());
    }
    let Look { looked, gone } = look;
    tracing::error!(
        tier = tier.as_str(),
        looked,
        gone,
        "segments are absent or unreadable in bulk: is the right directory mounted? Nothing was quarantined"
    );
    Err(Error::TierAbsent { tier: tier.as_str(), looked, gone })
}

/// Looks for a sample of the segments on a tier in which blobs lie.
async fn look(
    metadata: &(impl Catalogue + ?Sized),
    tiers: &Tiers,
    tier: StorageClass,
    but: Option<SegmentId>,
) -> Result<Look> {
    let mut sample = Vec::new();
    for place in 0..PLACES {
        let mut rows = metadata.scan_segments(Some(SegmentId::fresh()), AT_EACH).await?;
        if place == 0 && rows.len() < AT_EACH as usize {
            // The end of the order: it goes on at its beginning.
            rows.extend(metadata.scan_segments(None, AT_EACH).await?);
        }
        for row in rows {
            let counts = row.tier == tier && row.state == SegmentState::Sealed && row.live_bytes > 0;
            if counts && Some(row.id) != but && !sample.contains(&row.id) {
                sample.push(row.id);
            }
        }
    }
    let mut look = Look { looked: sample.len() as u64, gone: 0 };
    let found = tiers.of(tier).probe(sample.clone()).await?;
    for (id, presence) in sample.into_iter().zip(found) {
        if presence != Presence::Present {
            // Garbage collection works on meanwhile.
            let row = metadata.find_segment(id).await?;
            look.gone +=
                u64::from(row.is_some_and(|row| row.state == SegmentState::Sealed && row.live_bytes > 0));
        }
    }
    Ok(look)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_is_not_many() {
        let bulk = |looked, gone| Look { looked, gone }.is_bulk();
        assert!(!bulk(0, 0) && !bulk(32, 0) && !bulk(32, 1) && !bulk(2, 1) && !bulk(32, 7));
        assert!(bulk(1, 1) && bulk(2, 2) && bulk(8, 2) && bulk(32, 8) && bulk(32, 32));
    }
}
