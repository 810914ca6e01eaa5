//! Operations that are ended at every step, by all processors at once.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use juststorage_core::testing::disk::Kind;

/// How often each operation was ended at each kind of step.
pub type Pairs = BTreeMap<(&'static str, Kind), u64>;

/// How often every point is to be met, where `JUSTSTORAGE_CRASH_POINT_ROUNDS` says it.
pub fn rounds() -> Option<u64> {
    std::env::var("JUSTSTORAGE_CRASH_POINT_ROUNDS").ok().and_then(|text| text.parse().ok())
}

/// Does all that is to do. Each processor takes from it, with a store of its own; `work` notes each operation that it ended,
/// and at what step.
pub fn on_all_processors<J: Send, S>(
    todo: impl Iterator<Item = J> + Send,
    store: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, J, &dyn Fn(&'static str, Kind)) + Sync,
) -> Pairs {
    let (todo, pairs) = (Mutex::new(todo), Mutex::new(Pairs::new()));
    let note = |name, kind| *pairs.lock().unwrap().entry((name, kind)).or_default() += 1;
    let processor = || {
        let mut store = store();
        let next = || todo.lock().unwrap().next();
        while let Some(job) = next() {
            work(&mut store, job, &note);
        }
    };
    std::thread::scope(|threads| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            threads.spawn(processor);
        }
    });
    pairs.into_inner().unwrap()
}

/// Panics unless some operation was ended at each of these kinds of steps.
pub fn assert_met(pairs: &Pairs, kinds: &[Kind]) {
    let met: BTreeSet<_> = pairs.keys().map(|(_, kind)| *kind).collect();
    for kind in kinds {
        assert!(met.contains(kind), "no operation was ended at {kind:?}");
    }
}
