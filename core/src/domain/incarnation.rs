//! Whether a data directory is the one that its writer's last server used, or a copy of it.
//!
//! Servers of one data directory write under one name, one after the other. Each start is a new *incarnation* of that
//! writer, which the directory and the database both keep. A copy of the directory falls behind as soon as the
//! original starts again; until then it is told by its place, while the original goes on saying that it lives.

use std::time::Duration;

use uuid::Uuid;

use super::timestamp::Timestamp;

/// One start of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incarnation {
    /// Counts the starts.
    pub generation: u64,
    /// Tells two starts of the same count apart.
    pub token: Uuid,
}

impl Incarnation {
    /// The one before any.
    pub const NONE: Self = Self { generation: 0, token: Uuid::nil() };

    /// The next one.
    #[must_use]
    pub fn next(self, token: Uuid) -> Self {
        Self { generation: self.generation.saturating_add(1), token }
    }
}

/// Where a data directory lies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whereabouts {
    /// The machine's name.
    pub host: String,
    /// Identifies this run of the machine.
    pub boot: String,
    /// The file system.
    pub device: u64,
    /// The directory in it.
    pub inode: u64,
    /// Its path, for people.
    pub path: String,
}

impl Whereabouts {
    /// Whether the two are one directory, whose lock then tells that the server before is gone. A file system may
    /// get another number when the machine starts again.
    pub fn is(&self, other: &Self) -> bool {
        self.inode == other.inode
            && if self.boot == other.boot { self.device == other.device } else { self.host == other.host }
    }
}

/// What the database knows about a writer's last start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastStart {
    /// Which.
    pub incarnation: Incarnation,
    /// Where.
    pub place: Whereabouts,
    /// Until when the writer's word holds that it lives, if it has not ended.
    pub alive_until: Option<Timestamp>,
}

/// A start that noted itself in both tiers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotedStart {
    /// The writer's name.
    pub writer: Uuid,
    /// Of the start.
    pub token: Uuid,
    /// When the note was there.
    pub noted_at: Timestamp,
    /// Where its data directory lies.
    pub place: Whereabouts,
}

/// After this time a note is in sight of every machine that shares the tier: network file systems keep what they know of a
/// directory for a minute.
pub const IN_SIGHT_AFTER: Duration = Duration::from_secs(120);

/// Whether a server that lives writes to another directory of a tier than the one in which `seen` was noted of it.
pub fn is_apart(start: &NotedStart, seen: Option<Uuid>, now: Timestamp) -> bool {
    seen != Some(start.token) && start.noted_at.plus(IN_SIGHT_AFTER) <= now
}

/// What a directory may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is the writer's: a server may start.
    Own,
    /// Its writer may be alive elsewhere: if it repeats its word before this moment passes, it is.
    Await(Timestamp),
    /// It is a copy: its writer has started elsewhere since.
    Copy,
}

/// Decides whether a directory that keeps the incarnation `held` and lies at `place` is the one whose start the
/// database knows last.
///
/// A directory that is *ahead* is no copy: its server died before the database knew of its start, or the database is
/// restored from a backup.
pub fn judge(held: Incarnation, last: Option<&LastStart>, place: &Whereabouts, now: Timestamp) -> Standing {
    let Some(last) = last else { return Standing::Own };
    let behind = held.generation < last.incarnation.generation;
    let twin = held.generation == last.incarnation.generation && held != last.incarnation;
    if behind || twin {
        return Standing::Copy;
    }
    match last.alive_until {
        Some(until) if until > now && !place.is(&last.place) => Standing::Await(until),
        _ => Standing::Own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incarnation(generation: u64, token: u128) -> Incarnation {
        Incarnation { generation, token: Uuid::from_u128(token) }
    }

    fn place(host: &str, boot: &str, device: u64, inode: u64) -> Whereabouts {
        Whereabouts { host: host.to_owned(), boot: boot.to_owned(), device, inode, path: "/data".to_owned() }
    }

    fn last(alive_until: Option<i64>) -> LastStart {
        LastStart {
            incarnation: incarnation(5, 55),
            place: place("a", "boot", 1, 2),
            alive_until: alive_until.map(Timestamp),
        }
    }

    #[test]
    fn a_directory_that_fell_behind_is_a_copy() {
        let here = place("a", "boot", 1, 2);
        let standing = |held, alive| judge(held, Some(&last(alive)), &here, Timestamp(100));
        for alive in [None, Some(50), Some(150)] {
            assert_eq!(standing(incarnation(4, 44), alive), Standing::Copy);
            assert_eq!(standing(Incarnation::NONE, alive), Standing::Copy);
            assert_eq!(standing(incarnation(5, 56), alive), Standing::Copy, "both started from one copy");
            assert_eq!(standing(incarnation(5, 55), alive), Standing::Own);
            assert_eq!(
                standing(incarnation(6, 66), alive),
                Standing::Own,
                "ahead: it died, or the database is old"
            );
        }
        assert_eq!(judge(Incarnation::NONE, None, &here, Timestamp(100)), Standing::Own);
    }

    #[test]
    fn a_server_whose_note_is_not_here_is_apart_once_it_must_be_in_sight() {
        let (writer, token) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let start = NotedStart { writer, token, noted_at: Timestamp(1000), place: place("a", "boot", 1, 2) };
        let in_sight = start.noted_at.plus(IN_SIGHT_AFTER);
        for other in [None, Some(Uuid::from_u128(3))] {
            assert!(is_apart(&start, other, in_sight));
            assert!(!is_apart(&start, other, in_sight.minus(Duration::from_millis(1))));
        }
        assert!(!is_apart(&start, Some(token), in_sight));
    }

    #[test]
    fn a_copy_of_a_directory_in_use_waits_for_its_owner() {
        let standing = |here, alive| judge(incarnation(5, 55), Some(&last(alive)), &here, Timestamp(100));
        for here in [place("a", "boot", 1, 3), place("a", "boot", 9, 2), place("b", "other", 1, 2)] {
            assert_eq!(standing(here.clone(), Some(150)), Standing::Await(Timestamp(150)), "{here:?}");
            assert_eq!(standing(here.clone(), Some(100)), Standing::Own, "{here:?}");
            assert_eq!(standing(here, None), Standing::Own);
        }
        // The same machine, started again.
        assert_eq!(standing(place("a", "again", 7, 2), Some(150)), Standing::Own);
    }
}
