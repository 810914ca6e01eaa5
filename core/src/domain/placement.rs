//! Where bytes should lie: on which tier, and when a pack is worth rewriting.

use super::storage_class::StorageClass;

/// A pack is rewritten once fewer than this many thousandths of its payload are live: below one half, so that rewriting
/// frees more than it copies.
pub const LIVE_SHARE_MIN: u64 = 500;

/// The thousandths of a pack's payload that blobs refer to; all of a pack without payload.
pub fn live_share(live_bytes: u64, dead_bytes: u64) -> u64 {
    let payload = u128::from(live_bytes) + u128::from(dead_bytes);
    (u128::from(live_bytes) * 1000)
        .checked_div(payload)
        .map_or(1000, |share| u64::try_from(share).unwrap_or(1000))
}

/// Whether a sealed pack should be rewritten.
pub fn is_sparse(live_bytes: u64, dead_bytes: u64) -> bool {
    live_share(live_bytes, dead_bytes) < LIVE_SHARE_MIN
}

/// The tier that a blob belongs on: the hottest class that any visible object asks of it, by itself or inside a composite.
/// `None` if there is no such object: then it stays where it is.
pub fn tier_of(classes: impl IntoIterator<Item = StorageClass>) -> Option<StorageClass> {
    classes.into_iter().max()
}

/// Whether the bytes of a new upload take the place of the same bytes that are there: damaged ones are replaced, and bytes
/// on a hotter tier save a move.
pub fn takes_over(tier: StorageClass, there: StorageClass, damaged: bool) -> bool {
    damaged || tier > there
}

#[cfg(test)]
mod tests {
    use super::*;
    use StorageClass::{Cold, Hot};

    #[test]
    fn a_pack_is_sparse_once_less_than_half_of_it_is_live() {
        for (live, dead, sparse) in [
            (0, 0, false),
            (0, 1, true),
            (1, 0, false),
            (1, 1, false),
            (499, 501, true),
            (500, 500, false),
            (u64::MAX, u64::MAX, false),
            (0, u64::MAX, true),
        ] {
            assert_eq!(is_sparse(live, dead), sparse, "{live} live, {dead} dead");
        }
        assert_eq!((live_share(1, 2), live_share(0, 0)), (333, 1000));
    }

    #[test]
    fn the_hottest_class_decides_the_tier() {
        assert_eq!(tier_of([]), None);
        assert_eq!(tier_of([Cold]), Some(Cold));
        assert_eq!(tier_of([Cold, Hot, Cold]), Some(Hot));
    }

    #[test]
    fn sound_bytes_give_way_to_hotter_ones_only() {
        for (tier, there, damaged, takes) in [
            (Hot, Hot, false, false),
            (Cold, Cold, false, false),
            (Hot, Cold, false, true),
            (Cold, Hot, false, false),
            (Cold, Hot, true, true),
            (Hot, Hot, true, true),
        ] {
            assert_eq!(
                takes_over(tier, there, damaged),
                takes,
                "{tier:?} over {there:?}, damaged: {damaged}"
            );
        }
    }
}
