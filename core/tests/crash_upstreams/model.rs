//! What is done to a space that leaves another store, and what it must be then.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::LazyLock;

use bytes::Bytes;
use juststorage_core::domain::etag::{Etag, Md5Digest};
use juststorage_core::domain::object::Tags;
use juststorage_core::domain::upstream::Mode;
use md5::{Digest as _, Md5};

use super::common::noise;
use super::play::content;

/// Keys that the upstream has from the beginning: small, large, and in parts.
pub const FAR: &str = "far";
pub const LARGE: &str = "large";
pub const PARTS: &str = "parts";
/// A key that it does not have.
pub const NEW: &str = "new";

/// More keys of the upstream: its listings have seven lines.
pub const MORE: [&str; 7] = ["more/1", "more/2", "more/3", "more/4", "more/5", "more/6", "more/7"];

/// What is done to the space.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// It is bound, or its mode is set.
    Mode(Mode),
    /// Pages are worked off one at a time, each in a step of its own.
    Paced,
    Versioned,
    Backfill,
    Verify,
    /// What the upstream has replaced or removed is let go.
    Refresh,
    /// The space reads through again, as the guard lets it.
    Return,
    /// A client of the upstream puts something there, or removes it.
    Elsewhere(&'static str, usize),
    Gone(&'static str),
    /// Compared, and left.
    Detach,
    /// As a whole.
    Read(&'static str),
    Put(&'static str, usize),
    Upload(&'static str),
    Tag(&'static str),
    Delete(&'static str),
    /// The version that came as the `nth`.
    Remove(&'static str, usize),
    Copy(&'static str, &'static str),
    Rename(&'static str, &'static str),
}

impl Act {
    /// Whether background work is done for it before it ends.
    pub fn works(&self) -> bool {
        matches!(self, Self::Backfill | Self::Verify | Self::Refresh | Self::Detach)
    }
}

/// What is under a key; of a delete marker and of a key that is gone nothing is.
pub type State = Option<Shown>;

#[derive(Clone, PartialEq)]
pub struct Shown {
    pub bytes: Bytes,
    pub etag: String,
    pub tags: Tags,
}

impl Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes {} {:?}", self.bytes.len(), self.etag, self.tags)
    }
}

#[allow(clippy::unnecessary_wraps)] // as what it is compared with
pub fn whole(bytes: Bytes) -> State {
    let etag = Etag::md5(&Md5::digest(&bytes).into()).as_str().to_owned();
    Some(Shown { bytes, etag, tags: Tags::new() })
}

/// Of a part that is not the last: S3's smallest.
const PART: usize = 5 << 20;

pub fn in_parts(last: u64) -> ([Bytes; 2], State) {
    static FIRST: LazyLock<(Bytes, Md5Digest)> = LazyLock::new(|| {
        let bytes = noise(77, PART);
        (bytes.clone(), Md5::digest(&bytes).into())
    });
    let last = noise(last, 5);
    let etag = Etag::multipart(&[FIRST.1, Md5::digest(&last).into()]).as_str().to_owned();
    let parts = [FIRST.0.clone(), last];
    (parts.clone(), Some(Shown { bytes: parts.concat().into(), etag, tags: Tags::new() }))
}

/// What the space must be, as far as it was acknowledged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    pub mode: Option<Mode>,
    pub versioned: bool,
    /// Keys that were changed upstream alone: what is here may be what they were.
    pub elsewhere: BTreeSet<&'static str>,
    /// What each key has been, the oldest first: for both sides together.
    pub history: BTreeMap<&'static str, Vec<State>>,
    /// The versions of each key, the oldest first, where they are kept.
    pub versions: BTreeMap<&'static str, Vec<State>>,
}

impl Model {
    pub fn now(&self, key: &str) -> State {
        self.history.get(key).and_then(|states| states.last().cloned()).flatten()
    }

    fn becomes(&mut self, key: &'static str, state: State) {
        self.history.entry(key).or_insert_with(|| vec![None]).push(state.clone());
        if self.versioned {
            self.versions.entry(key).or_default().push(state);
        }
    }

    /// What an act makes of it.
    pub fn after(&self, act: &Act) -> Self {
        let mut after = self.clone();
        match *act {
            Act::Mode(mode) => after.mode = Some(mode),
            Act::Detach => after.mode = Some(Mode::Detached),
            Act::Versioned => after.versioned = true,
            Act::Return => after.mode = Some(Mode::ReadThrough),
            Act::Elsewhere(key, bytes) => {
                after.becomes(key, whole(content(bytes)));
                after.elsewhere.insert(key);
            }
            Act::Gone(key) => {
                after.becomes(key, None);
                after.elsewhere.insert(key);
            }
            Act::Put(key, bytes) => after.becomes(key, whole(content(bytes))),
            Act::Upload(key) => after.becomes(key, in_parts(1).1),
            Act::Tag(key) => {
                let tagged = self.now(key).map(|shown| Shown { tags: tags(), ..shown });
                if let Some(last) = after.versions.get_mut(key).and_then(|versions| versions.last_mut()) {
                    last.clone_from(&tagged);
                }
                after.history.entry(key).or_default().push(tagged);
            }
            Act::Delete(key) => after.becomes(key, None),
            Act::Remove(key, nth) => {
                let versions = after.versions.entry(key).or_default();
                if nth < versions.len() {
                    versions.remove(nth);
                }
                let latest = versions.last().cloned().flatten();
                after.history.entry(key).or_default().push(latest);
            }
            Act::Copy(from, to) => after.becomes(to, self.now(from)),
            Act::Rename(from, to) if self.now(from).is_some() => {
                after.becomes(from, None);
                after.becomes(to, self.now(from));
            }
            Act::Paced | Act::Backfill | Act::Verify | Act::Refresh | Act::Read(_) | Act::Rename(..) => {}
        }
        after
    }
}

pub fn tags() -> Tags {
    [("k".to_owned(), "v".to_owned())].into()
}
