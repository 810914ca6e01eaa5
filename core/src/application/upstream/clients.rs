//! Who asks for the objects of spaces that have an upstream, counted in memory until it is written down.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::space::SpaceId;
use crate::domain::upstream::clients::{Rows, Seen};

/// What was counted since it was last written down, of each space on rows that are bounded as its table is: a client that
/// invents names reaches no other credential, and no other space. All clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Clients(Arc<Mutex<HashMap<SpaceId, Rows>>>);

impl Clients {
    fn lock(&self) -> MutexGuard<'_, HashMap<SpaceId, Rows>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note(&self, space: SpaceId, seen: &Seen) {
        self.lock().entry(space).or_default().note(seen);
    }

    /// What was counted, which begins anew.
    pub(crate) fn take(&self) -> Vec<(SpaceId, Vec<Seen>)> {
        let all = std::mem::take(&mut *self.lock());
        all.into_iter().map(|(space, rows)| (space, rows.counted())).collect()
    }
}
