//! The keys of mutations that are on their way to a tier, and the mutations that wait for them.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::pending::{Hold, Pending, QUEUE_MAX};
use crate::application::ports::metadata::{Mutation, ObjectAddress};
use crate::domain::address::{Key, SpaceAddress};
use crate::domain::multipart::{PartNumber, UploadId};
use crate::domain::storage_class::StorageClass;

/// What a mutation is about to change.
#[derive(Hash)]
enum Named<'a> {
    Key(&'a SpaceAddress, &'a Key),
    Part(UploadId, PartNumber),
}

/// Hashes of what a mutation is about to change, at most two of them. Two things that share one only wait for each other.
type Hashes = [Option<u64>; 2];

fn hashes(mutation: &Mutation) -> Hashes {
    static STATE: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    let [one, other] = named_by(mutation).map(|named| named.map(|named| STATE.hash_one(named)));
    [one, other.filter(|other| one != Some(*other))]
}

fn named_by(mutation: &Mutation) -> [Option<Named<'_>>; 2] {
    let one = match mutation {
        Mutation::Put(put) => put.key.as_ref().map(|key| Named::Key(&put.space, key)),
        Mutation::Delete(delete) => match &delete.target {
            ObjectAddress::Latest(space, key) | ObjectAddress::Version(space, key, _) => {
                Some(Named::Key(space, key))
            }
            ObjectAddress::Id(_) => None,
        },
        Mutation::Move(change) => {
            let from = change.from_key.as_ref().map(|key| Named::Key(&change.from, key));
            return [from, Some(Named::Key(&change.space, &change.key))];
        }
        Mutation::PutPart(part) => Some(Named::Part(part.upload, part.number)),
        Mutation::Complete(complete) => complete.target.as_ref().map(|(space, key)| Named::Key(space, key)),
        Mutation::Expire(_) | Mutation::Update(_) | Mutation::SealPack(..) => None,
    };
    [one, None]
}

/// What is under way of one key.
struct UnderWay {
    /// The flight that all of it goes by.
    by: StorageClass,
    /// How many mutations that is.
    count: usize,
    /// Those that came behind and go another way: they count after what is under way.
    waiting: Vec<Pending>,
}

#[derive(Default)]
struct KeyTable {
    keys: HashMap<u64, UnderWay>,
    waiting: usize,
}

/// The way of a mutation.
pub(super) enum Way {
    /// By the flight of this tier.
    By(StorageClass, Pending),
    /// By none.
    Free(Pending),
    /// It waits for its key, which [`KeysUnderWay::waited`] tells.
    Waits,
    /// Too many wait.
    Refused(Pending),
}

/// The keys of what goes by flights. Clones are the same.
#[derive(Clone)]
pub(super) struct KeysUnderWay {
    state: Arc<Mutex<KeyTable>>,
    /// Tells keys of which nothing is under way any more, and for which something waits.
    freed: mpsc::UnboundedSender<u64>,
}

impl KeysUnderWay {
    /// And where the keys are told for which something waited.
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<u64>) {
        let (freed, told) = mpsc::unbounded_channel();
        (Self { state: Arc::default(), freed }, told)
    }

    fn state(&self) -> MutexGuard<'_, KeyTable> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which way a mutation goes, of which `flight` is the one that takes its payload. What goes by the flight that its key is
    /// under way by keeps its place there, and what has no payload goes along. What must go another way waits: a write that its
    /// client gave up could undo it.
    pub(super) fn enter(&self, pending: Pending, flight: Option<StorageClass>) -> Way {
        let hashes = hashes(&pending.mutation);
        let payload = pending.payload.as_ref().map(|payload| payload.tier);
        let mut state = self.state();
        let found = |hash: &u64| state.keys.get(hash).map(|under_way| (*hash, under_way));
        let Some((_, first)) = hashes.iter().flatten().find_map(found) else {
            let Some(tier) = flight else { return Way::Free(pending) };
            return Way::By(tier, self.held(&mut state, pending, hashes, tier));
        };
        let by = payload.unwrap_or(first.by);
        let goes_along = |under_way: &UnderWay| under_way.by == by && under_way.waiting.is_empty();
        let in_its_way = hashes.iter().flatten().filter_map(found).find(|(_, other)| !goes_along(other));
        let Some((hash, _)) = in_its_way else {
            return Way::By(by, self.held(&mut state, pending, hashes, by));
        };
        if state.waiting == QUEUE_MAX {
            return Way::Refused(pending);
        }
        state.waiting += 1;
        state.keys.entry(hash).and_modify(|under_way| under_way.waiting.push(pending));
        Way::Waits
    }

    /// The mutation, whose keys are under way until it is dropped.
    fn held(&self, state: &mut KeyTable, mut pending: Pending, hashes: Hashes, by: StorageClass) -> Pending {
        for hash in hashes.into_iter().flatten() {
            let nothing = || UnderWay { by, count: 0, waiting: Vec::new() };
            state.keys.entry(hash).or_insert_with(nothing).count += 1;
        }
        let keys = self.clone();
        pending.key = Some(Hold::until_dropped(move || keys.end(hashes)));
        pending
    }

    /// A mutation of these keys was answered.
    fn end(&self, hashes: Hashes) {
        let mut state = self.state();
        for hash in hashes.into_iter().flatten() {
            let Some(under_way) = state.keys.get_mut(&hash) else { continue };
            under_way.count -= 1;
            if under_way.count > 0 {
                continue;
            }
            if under_way.waiting.is_empty() {
                state.keys.remove(&hash);
            } else {
                // It stays: what comes now waits behind what waits already. Nobody listens once the packer ended.
                let _ = self.freed.send(hash);
            }
        }
    }

    /// What waited for a key that was told, in order of arrival. It is entered again before anything else.
    pub(super) fn waited(&self, key: u64) -> Vec<Pending> {
        let mut state = self.state();
        let waited = state.keys.remove(&key).map(|under_way| under_way.waiting).unwrap_or_default();
        state.waiting -= waited.len();
        waited
    }

    /// Whether anything waits.
    pub(super) fn any_waits(&self) -> bool {
        self.state().waiting > 0
    }
}
