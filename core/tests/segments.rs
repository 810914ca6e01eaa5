//! The local tier: the contract of its port, and what only a look at its files can prove.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use juststorage_core::infrastructure::segments::LocalSegments;
use juststorage_core::testing::segments as contract;
use tempfile::TempDir;

fn tier() -> (TempDir, Arc<LocalSegments>) {
    let root = tempfile::tempdir().unwrap();
    let store = LocalSegments::open(root.path().join("some/tier"), "hot").unwrap();
    (root, Arc::new(store))
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_contract() {
    let (_root, store) = tier();
    contract::run_all(store).await;
}
