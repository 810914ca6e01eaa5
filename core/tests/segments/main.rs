//! The local tier: the contract of its port, and what only a look at its files can prove.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod damage;
mod faulty;
mod full;
mod identity;
mod lifetime;
mod recovery;
mod vanished;
mod version1;

use std::path::PathBuf;
use std::sync::Arc;

use juststorage_core::application::ports::segments::SegmentStore as _;
use juststorage_core::domain::blob::SegmentId;
use juststorage_core::infrastructure::segments::LocalSegments;
use juststorage_core::testing::segments as contract;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tempfile::TempDir;

/// A tier of its own, removed with its directory.
struct Tier {
    root: TempDir,
    store: Arc<LocalSegments>,
}

impl Tier {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let store = Arc::new(LocalSegments::open(root.path().join("some/tier"), "hot").unwrap());
        Self { root, store }
    }

    /// The same directory, opened anew: nothing is kept open from before.
    fn reopen(&mut self) {
        self.store = Arc::new(LocalSegments::open(self.root.path().join("some/tier"), "hot").unwrap());
    }

    /// Where the documentation says that a sealed segment or a pack is.
    fn path(&self, id: SegmentId) -> PathBuf {
        let name = id.to_string();
        self.root.path().join("some/tier/segments").join(&name[..2]).join(format!("{name}.seg"))
    }

    /// Every file in the tier.
    fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut directories = vec![self.root.path().to_path_buf()];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                // Notes about commits are no data.
                let notes = path.file_name().is_some_and(|name| name == "commits" || name == "servers");
                match path.is_dir() {
                    true if notes => {}
                    true => directories.push(path),
                    false => files.push(path),
                }
            }
        }
        files
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_contract() {
    let tier = Tier::new();
    contract::run_all(tier.store.clone()).await;
    let mark = tier.root.path().join("some/tier/juststorage-tier.json");
    assert_eq!(tier.files(), [mark], "the suite removes what it wrote, and so does the tier");
}

/// Any payload, cut into any pieces, as a single and in a pack, comes back by any range.
#[test]
fn anything_comes_back() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let tier = Tier::new();
    let strategy = (
        prop_oneof![0..200_usize, 65_000..66_000_usize, 0..2_000_000_usize],
        1..300_000_usize,
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        any::<u64>(),
    );
    let mut runner = TestRunner::new(Config { cases: 48, failure_persistence: None, ..Config::default() });
    runner
        .run(&strategy, |(size, piece, one, other, seed)| {
            let payload = contract::noise(seed, size);
            let (one, other) = (one.index(size + 1), other.index(size + 1));
            let (start, end) = (one.min(other), one.max(other));
            runtime.block_on(async {
                let store = &*tier.store;
                let (single, single_offset) = contract::write_single(store, &payload, piece).await;
                let pack = SegmentId::fresh();
                let mut writer = store.create_pack(pack).await.unwrap();
                let records =
                    vec![contract::record(contract::noise(1, piece)), contract::record(payload.clone())];
                let pack_offset = writer.append(records).await.unwrap()[1];
                writer.seal().await.unwrap();
                for (segment, offset) in [(single, single_offset), (pack, pack_offset)] {
                    let mut request = contract::whole(segment, offset, size as u64);
                    assert!(contract::read(store, request).await.unwrap() == payload);
                    (request.start, request.end) = (start as u64, end as u64);
                    assert!(contract::read(store, request).await.unwrap() == payload[start..end]);
                    store.delete(segment).await.unwrap();
                }
            });
            Ok(())
        })
        .unwrap();
}
