//! Pages: a segment cut into stretches of 64 KiB, the unit of what is cached and fetched.
//!
//! The first page is as long as what lies before the payload of a single, so that the blocks of a single are its pages.

use std::ops::{Range, RangeInclusive};

use bytes::{Bytes, BytesMut};

use super::super::format::{BLOCK, SINGLE_PAYLOAD};
use crate::application::ports::segments::SegmentError;
use crate::domain::blob::SegmentId;

/// Bytes of a page. The first one of a segment and its last one may have fewer.
pub(super) const PAGE: u64 = BLOCK;

/// A page of a segment. A segment's name is never used twice, so what a page holds never changes; only the last page of an
/// open pack grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct PageKey {
    pub(super) segment: SegmentId,
    pub(super) number: u32,
}

/// Where page `number` begins in its segment.
pub(super) fn start_of(number: u32) -> u64 {
    match number.checked_sub(1) {
        None => 0,
        Some(before) => SINGLE_PAYLOAD + u64::from(before) * PAGE,
    }
}

/// The page that holds the byte at `offset`.
fn holding(offset: u64) -> Option<u32> {
    match offset.checked_sub(SINGLE_PAYLOAD) {
        None => Some(0),
        Some(behind) => u32::try_from(behind / PAGE).ok()?.checked_add(1),
    }
}

/// The pages that hold `length` bytes from `offset` on; at least one. No segment has more than 2^32 pages.
pub(super) fn pages_of(
    segment: SegmentId,
    offset: u64,
    length: u64,
) -> Result<RangeInclusive<u32>, SegmentError> {
    let last = offset.checked_add(length.max(1) - 1);
    match (holding(offset), last.and_then(holding)) {
        (Some(first), Some(last)) if last < u32::MAX => Ok(first..=last),
        _ => Err(SegmentError::Corrupt { segment, offset, what: "no object is so long" }),
    }
}

/// What of page `number` lies in `range`.
pub(super) fn cut(number: u32, page: &Bytes, range: &Range<u64>) -> Bytes {
    let start = start_of(number);
    let within = |at: u64| usize::try_from(at.saturating_sub(start)).unwrap_or(usize::MAX).min(page.len());
    page.slice(within(range.start)..within(range.end))
}

/// One stretch of bytes of several that follow each other.
pub(super) fn joined(mut pieces: Vec<Bytes>) -> Bytes {
    if pieces.len() <= 1 {
        return pieces.pop().unwrap_or_default();
    }
    let mut whole = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
    for piece in &pieces {
        whole.extend_from_slice(piece);
    }
    whole.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_without_gaps() {
        let id = SegmentId::fresh();
        let pages = |offset, length| pages_of(id, offset, length).unwrap();
        assert_eq!(pages(0, 4096), 0..=0);
        assert_eq!(pages(4095, 2), 0..=1);
        assert_eq!(pages(4096, PAGE), 1..=1);
        assert_eq!(pages(4096 + PAGE - 1, 2), 1..=2);
        assert_eq!(pages(10, 0), 0..=0);
        for number in [0, 1, 2, 3, 70_000] {
            assert_eq!(pages(start_of(number), 1), number..=number);
            assert_eq!(pages(start_of(number + 1) - 1, 1), number..=number);
        }
        for offset in [u64::MAX, u64::MAX - 100, 1 << 62] {
            assert!(pages_of(id, offset, 1 << 40).is_err());
        }
    }
}
