//! The keys of mutations that are on their way to a tier.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use crate::application::ports::metadata::{Mutation, ObjectAddress};
use crate::domain::address::{Key, SpaceAddress};

/// The hash of the key that a mutation is about to change, where it names one. Two keys that share one only wait for each
/// other.
pub(super) fn key_of(mutation: &Mutation) -> Option<u64> {
    static STATE: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    named_by(mutation).map(|key| STATE.hash_one(key))
}

fn named_by(mutation: &Mutation) -> Option<(&SpaceAddress, &Key)> {
    match mutation {
        Mutation::Put(put) => Some((&put.space, put.key.as_ref()?)),
        Mutation::Delete(delete) => match &delete.target {
            ObjectAddress::Latest(space, key) | ObjectAddress::Version(space, key, _) => Some((space, key)),
            ObjectAddress::Id(_) => None,
        },
        Mutation::Move(change) => Some((&change.space, &change.key)),
        _ => None,
    }
}

/// Hashes of the keys of the mutations of one flight, each with the number of its mutations.
#[derive(Clone, Default)]
pub(super) struct KeysUnderWay(Arc<Mutex<HashMap<u64, u32>>>);

impl KeysUnderWay {
    pub(super) fn has(&self, key: u64) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&key)
    }

    pub(super) fn hold(&self, key: u64) -> KeyUnderWay {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default() += 1;
        KeyUnderWay(self.clone(), key)
    }
}

/// The key of a mutation that is on its way, until it was answered.
pub(super) struct KeyUnderWay(KeysUnderWay, u64);

impl Drop for KeyUnderWay {
    fn drop(&mut self) {
        let mut keys = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = keys.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                keys.remove(&self.1);
            }
        }
    }
}
