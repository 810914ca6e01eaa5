//! Compaction: packs that are mostly dead are emptied, and small ones are merged.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::rewrite::{COMPACTION, LEAVES, Rewriter, name};
use super::stuck::Shelf;
use super::worker::{WorkDone, Worker};
use crate::application::error::Result;
use crate::application::metrics;
use crate::application::ports::metadata::{Catalogue, MetadataStore, Objects, SegmentRecord, Upkeep};
use crate::application::ports::segments::Packing;
use crate::domain::merging::{PACK_WHOLE, plan_merge};
use crate::domain::storage_class::StorageClass;

/// Sparse packs that a step looks at until it finds one that it can empty.
const PACKS: u32 = 16;

/// Small packs of a tier that a step looks at.
const SMALL_PACKS: u32 = 1024;

/// Leaves of one pack that are merged. No small pack holds more.
const PACK_LEAVES: u32 = 1 << 16;

/// Longest rest between two merges.
const MERGE_REST_MAX: Duration = Duration::from_secs(5);

/// Empties packs of which less than half is live, and merges small ones where each batch of writes is a pack.
pub struct Compactor<M: ?Sized = dyn MetadataStore>(pub Rewriter<M>);

impl<M: Objects + Catalogue + Upkeep + ?Sized> Compactor<M> {
    /// Empties a pack as far as one step goes. How many leaves were copied out of it.
    async fn compact(&self, pack: &SegmentRecord, shelf: &mut Shelf<M>) -> Result<u64> {
        let limit = shelf.page(LEAVES);
        let mut leaves = self.0.metadata.leaves_in(pack.id, limit).await?;
        let whole_pack = leaves.len() < limit as usize;
        let quarantined = leaves.iter().filter(|leaf| leaf.quarantined).count();
        leaves.retain(|leaf| !leaf.quarantined && !shelf.holds(&name(leaf)));
        leaves.truncate(LEAVES as usize);
        if leaves.is_empty() && quarantined > 0 && whole_pack {
            let error = format!(
                "the pack cannot be emptied: {quarantined} damaged blobs lie in it (`juststorage scrub` names them)"
            );
            shelf.put_aside(format!("segment:{}", pack.id), &error).await?;
            return Ok(0);
        }
        self.0.rewrite(leaves, pack.tier, shelf).await
    }

    /// The small packs of each tier whose small packs are merged, and whether these are all.
    async fn small_packs(&self, shelf: &Shelf<M>) -> Result<(Vec<(StorageClass, Vec<SegmentRecord>)>, bool)> {
        let (mut small, mut all) = (Vec::new(), true);
        for class in StorageClass::ALL {
            let merges = matches!(self.0.tiers.of(class).packing(), Packing::Batches { .. });
            if !merges {
                continue;
            }
            let limit = shelf.page(SMALL_PACKS);
            let packs = self.0.metadata.small_packs(class, PACK_WHOLE, limit).await?;
            metrics::small_packs(class, packs.len());
            all &= packs.len() < limit as usize;
            small.push((class, packs));
        }
        Ok((small, all))
    }

    /// Merges small packs of each tier that has them into one. How many leaves were copied.
    async fn merge(
        &self,
        small: Vec<(StorageClass, Vec<SegmentRecord>)>,
        shelf: &mut Shelf<M>,
    ) -> Result<u64> {
        let mut done = 0;
        for (class, mut packs) in small {
            if shelf.is_closed(class) {
                continue;
            }
            let item = |pack: &SegmentRecord| format!("pack:{}", pack.id);
            packs.retain(|pack| !shelf.holds(&item(pack)));
            let sizes: Vec<_> = packs.iter().map(|pack| pack.size).collect();
            let Some(merged) = plan_merge(&sizes) else { continue };
            let mut leaves = Vec::new();
            for pack in &packs[merged] {
                let mut live = self.0.metadata.leaves_in(pack.id, PACK_LEAVES).await?;
                let all = live.len();
                live.retain(|leaf| !leaf.quarantined && !shelf.holds(&name(leaf)));
                if live.len() < all {
                    let error = format!(
                        "the pack cannot be merged: {} blobs in it are damaged or cannot be copied",
                        all - live.len()
                    );
                    shelf.put_aside(item(pack), &error).await?;
                }
                leaves.extend(live);
            }
            done += self.0.rewrite_small(leaves, class, shelf).await?;
        }
        Ok(done)
    }
}

#[async_trait]
impl<M: Objects + Catalogue + Upkeep + ?Sized> Worker for Compactor<M> {
    fn name(&self) -> &'static str {
        COMPACTION
    }

    fn rest(&self) -> Duration {
        Duration::from_secs(30)
    }

    async fn step(&self) -> Result<WorkDone> {
        let mut shelf = self.0.shelf(self.name()).await?;
        let limit = shelf.page(PACKS);
        let packs = self.0.metadata.sparse_packs(limit).await?;
        let item = |pack: &SegmentRecord| format!("segment:{}", pack.id);
        let all = packs.len() < limit as usize;
        if all {
            shelf.keep_only("segment", &packs.iter().map(item).collect());
        }
        let (small, all_small) = self.small_packs(&shelf).await?;
        if all_small {
            let named = |pack: &SegmentRecord| format!("pack:{}", pack.id);
            shelf.keep_only("pack", &small.iter().flat_map(|(_, packs)| packs).map(named).collect());
        }
        let mine: HashSet<_> =
            packs.iter().chain(small.iter().flat_map(|(_, packs)| packs)).map(|pack| pack.id).collect();
        let all = all && all_small;
        self.0.forget_gone(&mut shelf, |leaf| !all || mine.contains(&leaf.location.segment)).await?;
        let mut done = 0;
        for pack in &packs {
            if shelf.holds(&item(pack)) || shelf.is_closed(pack.tier) {
                continue;
            }
            done += self.compact(pack, &mut shelf).await?;
            if done > 0 {
                break;
            }
        }
        let begun = Instant::now();
        let merged = self.merge(small, &mut shelf).await?;
        let failed = shelf.close(done + merged).await?;
        Ok(match (done + merged, failed) {
            (0, 0) => WorkDone::Idle,
            // Merging rests as long as it worked: it takes at most half of what the tier gives.
            (done, _) if merged > 0 => WorkDone::Paced(done, begun.elapsed().min(MERGE_REST_MAX)),
            (done, _) => WorkDone::Did(done),
        })
    }
}
