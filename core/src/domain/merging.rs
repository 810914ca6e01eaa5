//! When small packs are merged: on tiers where each batch of writes is a pack of its own, and each pack an object.
//!
//! Packs are of three levels by their size, each sixteen times the one below. Once a level has sixteen, as many of it as fit
//! become one pack, which is of a level above, or whole. So a byte is copied about once for each level, and what is left
//! when nothing is to be merged is at most [`SMALL_PACKS_MAX`], however many batches there were.

use std::ops::Range;

/// The sizes, in bytes, below which a pack is of the first, second and third level. A larger one is whole.
const LEVELS: [u64; 3] = [16 << 10, 256 << 10, PACK_WHOLE];

/// Bytes from which a pack is not merged any more.
pub const PACK_WHOLE: u64 = 4 << 20;

/// Packs of one level that are merged.
const LEVEL_PACKS: usize = 16;

/// Most packs, of those that are not whole, that a tier has when nothing is to be merged.
pub const SMALL_PACKS_MAX: usize = LEVELS.len() * (LEVEL_PACKS - 1);

/// Bytes that are merged into one pack: they are in memory meanwhile. Two packs that are not whole always fit.
pub const MERGED_BYTES_MAX: u64 = 2 * PACK_WHOLE;

/// Packs that are merged into one.
pub const MERGED_PACKS_MAX: usize = 256;

/// Which of the packs with these sizes, in ascending order, to merge into one; `None` if there are few enough of each level.
pub fn plan_merge(sizes: &[u64]) -> Option<Range<usize>> {
    let mut begin = 0;
    for bound in LEVELS {
        let end = begin + sizes[begin..].partition_point(|size| *size < bound);
        if end - begin >= LEVEL_PACKS {
            let mut bytes = 0_u64;
            let fits = sizes[begin..end].iter().take(MERGED_PACKS_MAX).take_while(|size| {
                bytes = bytes.saturating_add(**size);
                bytes <= MERGED_BYTES_MAX
            });
            return Some(begin..begin + fits.count());
        }
        begin = end;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Merges until nothing is to be merged. The bytes that were copied.
    fn merge(packs: &mut Vec<u64>) -> u64 {
        let mut copied = 0;
        packs.sort_unstable();
        while let Some(range) = plan_merge(packs) {
            assert!(range.len() >= 2, "{range:?} of {packs:?}: nothing is gained");
            let bytes: u64 = packs.drain(range).sum();
            assert!(bytes <= MERGED_BYTES_MAX);
            copied += bytes;
            packs.push(bytes);
            packs.sort_unstable();
        }
        copied
    }

    fn small(packs: &[u64]) -> usize {
        packs.iter().filter(|size| **size < PACK_WHOLE).count()
    }

    #[test]
    fn few_packs_are_left_alone() {
        assert_eq!(plan_merge(&[]), None);
        assert_eq!(plan_merge(&[1000; 15]), None);
        assert_eq!(plan_merge(&[1000; 16]), Some(0..16));
        assert_eq!(plan_merge(&[PACK_WHOLE; 100]), None);
        let mut all = vec![1000; 15];
        all.extend([100_000; 15]);
        all.extend([PACK_WHOLE - 1; 15]);
        assert_eq!((plan_merge(&all), all.len()), (None, SMALL_PACKS_MAX));
        all.push(PACK_WHOLE - 1);
        assert_eq!(plan_merge(&all), Some(30..32), "as many as fit into memory");
        assert_eq!(plan_merge(&[100; 1000]), Some(0..MERGED_PACKS_MAX));
    }

    /// However small and however many the batches are, few packs stay, and no byte is copied often.
    #[test]
    fn the_number_of_small_packs_is_bounded() {
        for batch in [600, 5_000, 20_000, 300_000, 3_000_000] {
            let (mut packs, mut copied, mut written) = (Vec::new(), 0, 0);
            while written < 200 << 20 && packs.len() < 20_000 && written / batch < 20_000 {
                packs.push(batch);
                written += batch;
                copied += merge(&mut packs);
                assert!(small(&packs) <= SMALL_PACKS_MAX, "{} packs of {batch} bytes", small(&packs));
            }
            assert!(copied <= 5 * written, "{batch}: {copied} bytes were copied of {written}");
            assert_eq!(packs.iter().sum::<u64>(), written);
        }
    }

    /// Where they have gathered meanwhile, too.
    #[test]
    fn a_backlog_is_merged_in_large_steps() {
        let mut packs: Vec<_> = (0..20_000_u64).map(|n| 500 + n * 7919 % 300_000).collect();
        let written: u64 = packs.iter().sum();
        let copied = merge(&mut packs);
        assert!(small(&packs) <= SMALL_PACKS_MAX && copied <= 4 * written, "{copied} of {written}");
    }
}
