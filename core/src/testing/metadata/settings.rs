//! Documents of spaces, and passes of the lifecycle worker.

use uuid::Uuid;

use super::bench::Bench;
use crate::application::ports::metadata::{MetadataStore, NewSpace, Refusal};
use crate::domain::address::BucketName;
use crate::domain::lifecycle::{Expiration, Lifecycle, Rule};
use crate::domain::object_lock::LockConfig;
use crate::domain::settings::{Declared, PublicAccess, Setting, SettingKind, SpaceSettings};
use crate::domain::space::Versioning;
use crate::domain::storage_class::StorageClass;
use crate::domain::timestamp::Timestamp;

fn tags(value: &str) -> Setting {
    Setting::Tags([("k".to_owned(), value.to_owned())].into())
}

fn rules() -> Lifecycle {
    let rule =
        Rule { id: "r".to_owned(), enabled: true, expiration: Some(Expiration::Days(1)), ..Rule::default() };
    Lifecycle { rules: vec![rule], small_objects_move: false }
}

/// Each kind by itself, and every change shows in the space's revision.
pub async fn documents_replace_their_kind_and_move_the_revision(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let name = bench.bucket().await;
    let space = bench.space().await;
    assert!(space.settings.is_untouched());
    assert_eq!(store.settings(space.id).await.unwrap(), (space.settings, SpaceSettings::default()));
    let mut last = space.settings;
    let access = Setting::PublicAccess(Declared::Set(PublicAccess::DEFAULT));
    for setting in [tags("1"), access.clone(), tags("2")] {
        store.put_setting(&bench.space, Some(&name), &setting, None).await.unwrap().unwrap();
        let now = bench.space().await.settings;
        assert!(now > last);
        last = now;
    }
    let expected: SpaceSettings = [tags("2"), access].into_iter().collect();
    assert_eq!(store.settings(space.id).await.unwrap(), (last, expected));
    assert_eq!(bench.has_put("k", b"1").await.settings, last, "an object tells the revision of its space");
    store.delete_setting(&bench.space, Some(&name), SettingKind::Tags).await.unwrap().unwrap();
    store.delete_setting(&bench.space, Some(&name), SettingKind::Cors).await.unwrap().unwrap();
    let stale = store.put_setting(&bench.space, Some(&name), &tags("3"), Some(last)).await.unwrap();
    assert_eq!(stale, Err(Refusal::Changed), "what was decided on settings that are gone");
    let (revision, settings) = store.settings(space.id).await.unwrap();
    assert!(revision > last && settings.tags.is_none() && settings.public_access.is_some());
    bench.finish().await;
}

/// Of many that declare a bucket at once, one makes it, and a reader that sees it sees all that is set on its space. On a space
/// where something was set before, nothing is changed.
pub async fn a_declared_bucket_is_made_whole_and_once(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let name = BucketName::new(&format!("b{}", Uuid::new_v4().simple())).unwrap();
    let new = NewSpace {
        versioning: Some(Versioning::Enabled),
        default_class: Some(StorageClass::Cold),
        object_lock: Some(LockConfig::default()),
        documents: vec![tags("1"), Setting::Lifecycle(rules())],
    };
    let declared = (0..8).map(|_| async {
        let made = store.declare_bucket(&name, &bench.space, &new, bench.now()).await.unwrap();
        let space = match &made {
            Ok(bucket) | Err(bucket) => bucket.space.clone(),
        };
        let kept = (space.versioning, space.default_class, space.object_lock);
        assert_eq!(kept, (Versioning::Enabled, StorageClass::Cold, new.object_lock));
        let expected: SpaceSettings = new.documents.iter().cloned().collect();
        assert_eq!(store.settings(space.id).await.unwrap(), (space.settings, expected));
        made.is_ok()
    });
    let made = futures::future::join_all(declared).await;
    assert_eq!(made.iter().filter(|made| **made).count(), 1, "{made:?}");

    let used = Bench::new(store).await;
    store.make_space(&used.space, used.now()).await.unwrap();
    store.put_setting(&used.space, None, &tags("own"), None).await.unwrap().unwrap();
    let name = BucketName::new(&format!("b{}", Uuid::new_v4().simple())).unwrap();
    let made = store.declare_bucket(&name, &used.space, &new, used.now()).await.unwrap().unwrap();
    assert_eq!((made.space.versioning, made.space.object_lock), (Versioning::Off, None));
    let (_, settings) = store.settings(made.space.id).await.unwrap();
    assert_eq!(settings, [tags("own")].into_iter().collect());
}

/// Through a bucket that names another space, or none, nothing is set.
pub async fn documents_are_set_through_the_bucket_that_names_the_space(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let name = bench.bucket().await;
    let stranger = Bench::new(store).await;
    stranger.bucket().await;
    let wrong = store.put_setting(&stranger.space, Some(&name), &tags("1"), None).await.unwrap();
    assert_eq!(wrong, Err(Refusal::NoSuchBucket));
    assert!(stranger.space().await.settings.is_untouched());
    store.put_setting(&bench.space, Some(&name), &tags("1"), None).await.unwrap().unwrap();
    let before = bench.space().await;
    store.delete_bucket(&name, bench.now()).await.unwrap();
    let after = bench.space().await;
    assert!(after.settings > before.settings, "what is remembered of it never comes back");
    assert_eq!(store.settings(after.id).await.unwrap().1, SpaceSettings::default());
    let gone = store.delete_setting(&bench.space, Some(&name), SettingKind::Tags).await.unwrap();
    assert_eq!(gone, Err(Refusal::NoSuchBucket));
    bench.finish().await;
}

/// A pass goes on where it was, begins anew with other rules, and is due again only after a while.
pub async fn lifecycle_passes_are_found_until_done(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let name = bench.bucket().await;
    let next = async |before| {
        let due = store.next_lifecycle(before, 100_000).await.unwrap();
        due.into_iter().find(|(space, _)| *space == bench.space).map(|(_, pass)| pass.unwrap())
    };
    assert_eq!(next(Timestamp(i64::MAX)).await, None);
    store.put_setting(&bench.space, Some(&name), &Setting::Lifecycle(rules()), None).await.unwrap().unwrap();
    let begun = bench.now();
    let mut pass = next(begun).await.unwrap();
    assert_eq!((pass.lifecycle.clone(), pass.place.clone()), (rules(), None));
    pass.begun_at = begun;
    pass.place = Some("here".to_owned());
    store.save_lifecycle(&pass, bench.now()).await.unwrap();
    let again = next(Timestamp(0)).await.unwrap();
    assert_eq!((again.place, again.begun_at), (Some("here".to_owned()), begun));
    let mut changed = rules();
    changed.rules[0].expiration = Some(Expiration::Days(2));
    store
        .put_setting(&bench.space, Some(&name), &Setting::Lifecycle(changed.clone()), None)
        .await
        .unwrap()
        .unwrap();
    let mut anew = next(Timestamp(0)).await.unwrap();
    assert_eq!((anew.place.clone(), anew.lifecycle.clone()), (None, changed));
    anew.begun_at = begun;
    store.save_lifecycle(&anew, bench.now()).await.unwrap();
    assert_eq!(next(begun).await, None, "done");
    assert!(next(Timestamp(begun.millis() + 1)).await.is_some(), "due again");
    store.delete_setting(&bench.space, Some(&name), SettingKind::Lifecycle).await.unwrap().unwrap();
    assert_eq!(next(Timestamp(i64::MAX)).await, None);
    bench.finish().await;
}
