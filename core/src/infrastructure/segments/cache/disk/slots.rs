//! Which page lies in which slot, and which one gives way. Pure: knows no file.
//!
//! The oldest slot whose page was not asked for lately gives way (CLOCK, with a count of up to three), and where all slots
//! are taken, a page comes in only if it was asked for before. So whoever reads everything once, such as a backup, takes
//! the place of nothing that is asked for again.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};

use super::super::page::PageKey;
use crate::domain::blob::SegmentId;

/// The highest count of how often a page was asked for: so many turns of the hand does it survive.
const USES_MAX: u8 = 3;

/// What lies in a slot: which page, how long it is, and the CRC-32C of its entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) key: PageKey,
    pub(super) length: u32,
    pub(super) sum: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    content: Option<Content>,
    uses: u8,
}

/// A slot that was taken for a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) slot: u32,
    /// Whether another page gave way.
    pub(super) evicted: bool,
    /// Whether the disk has room for it.
    pub(super) has_room: bool,
}

#[derive(Debug)]
pub(super) struct Slots {
    all: Vec<Slot>,
    places: HashMap<PageKey, u32>,
    hand: usize,
    /// Empty, with room on the disk.
    spare: Vec<u32>,
    /// Empty, without.
    hollow: Vec<u32>,
    seen: Seen,
}

impl Slots {
    /// Slots of which those with `contents` are filled. Of two with the same page the later one is empty.
    pub(super) fn new(contents: Vec<Option<Content>>) -> Self {
        let mut slots = Self {
            all: Vec::with_capacity(contents.len()),
            places: HashMap::new(),
            hand: 0,
            spare: Vec::new(),
            hollow: Vec::new(),
            seen: Seen::new(contents.len()),
        };
        for (slot, content) in (0_u32..).zip(contents) {
            let content = content.filter(|content| !slots.places.contains_key(&content.key));
            slots.all.push(Slot { content, uses: 0 });
            match content {
                Some(content) => drop(slots.places.insert(content.key, slot)),
                None => slots.hollow.push(slot),
            }
        }
        // Those in front are filled first.
        slots.hollow.reverse();
        slots
    }

    /// Pages that are there.
    pub(super) fn filled(&self) -> usize {
        self.places.len()
    }

    /// Where a page lies; it counts as asked for.
    pub(super) fn find(&mut self, key: PageKey) -> Option<(u32, Content)> {
        let place = *self.places.get(&key)?;
        let slot = self.all.get_mut(place as usize)?;
        slot.uses = (slot.uses + 1).min(USES_MAX);
        Some((place, slot.content?))
    }

    /// Whether a page is there.
    pub(super) fn has(&self, key: PageKey) -> bool {
        self.places.contains_key(&key)
    }

    /// Whether `slot` still holds `content`.
    pub(super) fn holds(&self, slot: u32, content: &Content) -> bool {
        self.all.get(slot as usize).is_some_and(|slot| slot.content.as_ref() == Some(content))
    }

    /// Whether a page that was asked for is worth a slot and has none. `room`: whether the disk has some for another slot.
    pub(super) fn wants(&mut self, key: PageKey, room: bool) -> bool {
        if self.find(key).is_some() {
            return false;
        }
        let free = !self.spare.is_empty() || (room && !self.hollow.is_empty());
        self.seen.again(key) || free
    }

    /// Takes a slot out, empties it and returns it; `None` if there is none.
    pub(super) fn take(&mut self, room: bool) -> Option<Taken> {
        if let Some(slot) = self.spare.pop() {
            return Some(Taken { slot, evicted: false, has_room: true });
        }
        if room && let Some(slot) = self.hollow.pop() {
            return Some(Taken { slot, evicted: false, has_room: false });
        }
        self.evict().map(|slot| Taken { slot, evicted: true, has_room: true })
    }

    /// Empties up to `count` slots, those first that would give way first. They need room before they are filled again.
    pub(super) fn give_back(&mut self, count: usize) -> Vec<u32> {
        let mut given = Vec::new();
        while given.len() < count {
            match self.spare.pop().or_else(|| self.evict()) {
                Some(slot) => given.push(slot),
                None => break,
            }
        }
        self.hollow.extend(&given);
        given
    }

    /// Fills a slot that was taken.
    pub(super) fn fill(&mut self, slot: u32, content: Content) {
        if self.places.contains_key(&content.key) {
            self.spare.push(slot);
        } else if let Some(taken) = self.all.get_mut(slot as usize) {
            *taken = Slot { content: Some(content), uses: 0 };
            self.places.insert(content.key, slot);
        }
    }

    /// Puts back a slot that was taken and could not be filled.
    pub(super) fn put_back(&mut self, taken: Taken) {
        if taken.has_room { &mut self.spare } else { &mut self.hollow }.push(taken.slot);
    }

    /// Empties the slot of a page, which it returns.
    pub(super) fn remove(&mut self, key: PageKey) -> Option<u32> {
        let slot = self.places.remove(&key)?;
        self.all[slot as usize] = Slot::default();
        self.spare.push(slot);
        Some(slot)
    }

    /// Empties the slots of all pages of `segments`, and returns them.
    pub(super) fn forget(&mut self, segments: &HashSet<SegmentId>) -> Vec<u32> {
        let of_them = self.places.keys().filter(|key| segments.contains(&key.segment));
        let keys: Vec<_> = of_them.copied().collect();
        keys.into_iter().filter_map(|key| self.remove(key)).collect()
    }

    fn evict(&mut self) -> Option<u32> {
        if self.places.is_empty() {
            return None;
        }
        // Each turn takes one use off every slot, and one of them is filled.
        for _ in 0..self.all.len() * (usize::from(USES_MAX) + 1) {
            let at = self.hand;
            self.hand = (self.hand + 1) % self.all.len();
            let slot = &mut self.all[at];
            match (slot.content, slot.uses) {
                (None, _) => {}
                (Some(content), 0) => {
                    *slot = Slot::default();
                    return self.places.remove(&content.key);
                }
                (Some(_), _) => slot.uses -= 1,
            }
        }
        None
    }
}

/// Pages that share a place in [`Seen`].
const WAYS: usize = 4;

/// The least places of [`Seen`]: 64 KiB of memory.
const PLACES_MIN: usize = 4096;

/// The pages that were asked for lately, roughly: at least as many as there are slots. Of those that share a place the last
/// [`WAYS`] are known; with one, two pages that are asked for in turns would hide each other for ever.
#[derive(Debug)]
struct Seen {
    hasher: RandomState,
    places: Vec<[u32; WAYS]>,
}

impl Seen {
    fn new(slots: usize) -> Self {
        let count = slots.div_ceil(WAYS).next_power_of_two().max(PLACES_MIN);
        Self { hasher: RandomState::new(), places: vec![[0; WAYS]; count] }
    }

    /// Notes a page; whether it was noted before.
    #[allow(clippy::cast_possible_truncation, reason = "parts of a hash")]
    fn again(&mut self, key: PageKey) -> bool {
        let hash = self.hasher.hash_one(key);
        let count = self.places.len();
        let place = &mut self.places[hash as usize & (count - 1)];
        let print = (hash >> 32) as u32 | 1;
        let found = place.iter().position(|noted| *noted == print);
        // The last one in front.
        place[..=found.unwrap_or(WAYS - 1)].rotate_right(1);
        place[0] = print;
        found.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32) -> PageKey {
        PageKey { segment: SegmentId(uuid::Uuid::from_u128(7)), number }
    }

    fn content(number: u32) -> Content {
        Content { key: key(number), length: 10, sum: number }
    }

    fn add(slots: &mut Slots, number: u32, room: bool) -> bool {
        let wanted = slots.wants(key(number), room);
        if wanted {
            let taken = slots.take(room).unwrap();
            slots.fill(taken.slot, content(number));
        }
        wanted
    }

    fn full(count: u32) -> Slots {
        let mut slots = Slots::new(vec![None; count as usize]);
        for number in 0..count {
            assert!(add(&mut slots, number, true));
        }
        slots
    }

    #[test]
    fn pages_are_found_until_they_give_way() {
        let mut slots = full(4);
        assert_eq!(slots.find(key(2)), Some((2, content(2))));
        assert!(!slots.wants(key(2), true), "it is there");
        assert!(!add(&mut slots, 9, true), "asked for the first time");
        assert!(add(&mut slots, 9, true), "and again");
        assert_eq!(slots.find(key(0)), None, "the oldest gave way");
        assert!(slots.find(key(2)).is_some() && slots.find(key(9)).is_some());
        assert_eq!(slots.filled(), 4);
    }

    /// However often everything is read once, what is asked for in between stays.
    #[test]
    fn a_scan_flushes_nothing_that_is_asked_for() {
        let mut slots = full(100);
        for scan in 0..3 {
            for number in 0..10_000 {
                add(&mut slots, 1000 + number, true);
                if number % 50 == 0 {
                    for hot in 0..20 {
                        assert!(slots.find(key(hot)).is_some(), "{hot} in scan {scan} at {number}");
                    }
                }
            }
        }
        assert_eq!(slots.filled(), 100);
    }

    /// Pages that share a place are known as long as they are few.
    #[test]
    fn pages_that_are_asked_for_in_turns_do_not_hide_each_other() {
        let mut seen = Seen { hasher: RandomState::new(), places: vec![[0; WAYS]] };
        let mut round =
            |numbers: std::ops::Range<u32>| numbers.map(|n| seen.again(key(n))).collect::<Vec<_>>();
        assert_eq!(round(0..4), [false; 4]);
        assert_eq!(round(0..4), [true; 4]);
        assert_eq!(round(3..5), [true, false]);
        assert_eq!(round(0..1), [false], "it was the longest unasked for");
    }

    #[test]
    fn no_slot_is_taken_without_room() {
        let mut slots = Slots::new(vec![None; 3]);
        assert!(!slots.wants(key(1), false));
        assert_eq!(slots.take(false), None);
        add(&mut slots, 1, true);
        assert!(add(&mut slots, 1 + 1, true));
        slots.remove(key(1));
        assert!(add(&mut slots, 3, false), "where a page was, there is room");
        assert_eq!(slots.give_back(10).len(), 2);
        assert_eq!((slots.filled(), slots.take(false)), (0, None));
        assert!(add(&mut slots, 4, true));
    }

    #[test]
    fn what_is_forgotten_is_gone() {
        let mut slots = full(4);
        let other = PageKey { segment: SegmentId(uuid::Uuid::from_u128(8)), number: 1 };
        let slot = slots.take(true).unwrap().slot;
        slots.fill(slot, Content { key: other, length: 1, sum: 2 });
        let segments = HashSet::from([key(0).segment]);
        assert_eq!(slots.forget(&segments).len(), 3);
        assert!(slots.find(other).is_some() && slots.find(key(1)).is_none());
        assert!(!slots.holds(slot, &content(1)));
    }

    #[test]
    fn the_same_page_is_kept_once() {
        let slots = Slots::new(vec![Some(content(1)), Some(content(1)), Some(content(2))]);
        assert_eq!((slots.filled(), slots.hollow.len()), (2, 1));
    }
}
