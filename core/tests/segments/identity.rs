//! A tier that is another one than it was, and one whose directories somebody removed.

use juststorage_core::application::ports::segments::{SegmentError, SegmentStore as _};
use juststorage_core::domain::blob::SegmentId;
use juststorage_core::domain::identity::{StoreId, TierId, TierMark};
use juststorage_core::domain::storage_class::StorageClass;
use juststorage_core::testing::segments::{noise, write_single};
use uuid::Uuid;

use super::Tier;

async fn entered() -> (Tier, TierMark) {
    let tier = Tier::new();
    let (store, id) = (StoreId(Uuid::new_v4()), TierId(Uuid::new_v4()));
    let mark = TierMark { store, tier: id, class: StorageClass::Hot };
    tier.store.set_mark(&mark).await.unwrap();
    tier.store.enter(&mark).await.unwrap();
    (tier, mark)
}

/// The volume of a tier is unmounted: an empty directory is in its place. The tier says so, and makes nothing there.
#[tokio::test]
async fn another_directory_in_the_place_of_the_root_is_noticed() {
    let (tier, mark) = entered().await;
    let (root, away) = (tier.root.path().join("some/tier"), tier.root.path().join("away"));
    std::fs::rename(&root, &away).unwrap();
    std::fs::create_dir(&root).unwrap();
    for refused in [tier.store.identify().await, tier.store.check().await, tier.store.enter(&mark).await] {
        assert!(matches!(refused, Err(SegmentError::Unavailable { .. })), "{refused:?}");
    }
    assert!(tier.store.create_pack(SegmentId::fresh()).await.is_err());
    assert!(tier.store.create_single(SegmentId::fresh(), [0; 16], None).await.is_err());
    assert_eq!(std::fs::read_dir(&root).unwrap().count(), 0, "something was made in the wrong place");

    std::fs::remove_dir(&root).unwrap();
    std::fs::rename(&away, &root).unwrap();
    tier.store.identify().await.unwrap();
    tier.store.check().await.unwrap();
}

/// Staging holds nothing that counts: tidied away, it is made again.
#[tokio::test]
async fn a_staging_directory_that_was_removed_is_made_again() {
    let (tier, _) = entered().await;
    let staging = tier.root.path().join("some/tier/staging");
    std::fs::remove_dir(&staging).unwrap();
    tier.store.check().await.unwrap();
    std::fs::remove_dir(&staging).unwrap();
    let payload = noise(1, 70_000);
    let (id, _) = write_single(&*tier.store, &payload, 30_000).await;
    assert!(tier.path(id).exists());
}
