//! Tiers in object stores: our own gateway, and `SeaweedFS` (`weed`, which `scripts/prepare clients` installs).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::missing_panics_doc)]

mod cache;
mod cold;
mod credentials;
mod peer;
mod refused;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt as _;
use juststorage_core::application::ports::segments::SegmentStore as _;
use juststorage_core::infrastructure::segments::{ObjectStoreUrl, RemoteSegments};
use juststorage_core::testing::segments as contract;

use peer::Peer;

fn tier(peer: &Peer, spool: &tempfile::TempDir) -> Arc<RemoteSegments> {
    let url = ObjectStoreUrl::parse(&Peer::url("contract")).unwrap().unwrap();
    let options = peer.options().map(|(name, value)| (name.to_owned(), value)).to_vec();
    Arc::new(url.with_options(options).open("cold", spool.path().to_owned()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_holds_on_our_own_gateway() {
    let spool = tempfile::tempdir().unwrap();
    let peer = Peer::gateway().await;
    contract::run_all(tier(&peer, &spool)).await;
    assert_eq!(peer.keys("contract/segments").await, [] as [String; 0]);
    assert_eq!(peer.uploads().await, 0, "uploads left open");
}

/// On an emulator of another cloud: `scripts/emulators` starts one and says where it is.
#[tokio::test(flavor = "multi_thread")]
async fn the_contract_holds_where_the_environment_says() {
    let Ok(url) = std::env::var("JUSTSTORAGE_TEST_TIER_URL") else { return };
    let options = std::env::var("JUSTSTORAGE_TEST_TIER_OPTIONS").unwrap();
    let options: BTreeMap<String, String> = serde_json::from_str(&options).unwrap();
    let spool = tempfile::tempdir().unwrap();
    let url = ObjectStoreUrl::parse(&url).unwrap().unwrap().with_options(options.into_iter().collect());
    let tier = Arc::new(url.open("cold", spool.path().to_owned()).unwrap());
    contract::run_all(tier.clone()).await;
    assert_eq!(tier.list().await.unwrap().count().await, 0, "segments are left");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_holds_on_seaweedfs() {
    let spool = tempfile::tempdir().unwrap();
    let Some(peer) = Peer::seaweedfs().await else { return };
    contract::run_all(tier(&peer, &spool)).await;
    assert_eq!(peer.keys("contract/segments").await, [] as [String; 0]);
    assert_eq!(peer.uploads().await, 0, "uploads left open");
}
