//! Spaces, buckets, figures.

use super::bench::{Bench, key, object, refusal};
use super::uploads::{claims, complete, new_upload, part};
use crate::application::ports::metadata::{
    BucketDeletion, DeleteObject, ListQuery, MetadataStore, Mutation, ObjectAddress, PutObject, Refusal,
    SpaceRef, UpdateObject,
};
use crate::domain::address::{BucketName, Namespace, SpaceAddress};
use crate::domain::event::Cause;
use crate::domain::multipart::UploadId;
use crate::domain::object::{Attributes, ObjectId};
use crate::domain::object_lock::LockConfig;
use crate::domain::precondition::Preconditions;
use crate::domain::settings::{Setting, SettingKind};
use crate::domain::space::Versioning;
use crate::domain::storage_class::StorageClass;

/// A name is given once, to a space that may have several.
pub async fn buckets_name_spaces(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let name = bench.bucket().await;
    let space = bench.space().await;
    assert_eq!(space.address, bench.space);
    assert_eq!(space.versioning, Versioning::Off);
    assert_eq!(space.default_class, StorageClass::Hot);
    assert_eq!(store.space(&SpaceRef::Bucket(name.clone())).await.unwrap(), Some(space.clone()));
    let second = bench.bucket().await;
    assert_eq!(store.space(&SpaceRef::Bucket(second)).await.unwrap(), Some(space.clone()));
    let stranger = Bench::new(store).await;
    let taken = store.create_bucket(&name, &stranger.space, false, bench.now()).await.unwrap().unwrap_err();
    assert_eq!((taken.name, taken.space), (name, space));
    assert_eq!(store.space(&SpaceRef::Space(stranger.space.clone())).await.unwrap(), None, "no trace");
    let unknown = BucketName::new("no-such-bucket").unwrap();
    assert_eq!(store.space(&SpaceRef::Bucket(unknown)).await.unwrap(), None);
    bench.finish().await;
}

/// In order of namespace and tenant, by tenant, prefix and page; each with its buckets and figures.
pub async fn spaces_are_listed_by_address(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let tenant = &bench.space.tenant;
    let address = |namespace: &str| SpaceAddress::new(Namespace::new(namespace).unwrap(), tenant.clone());
    let tag = tenant.as_str();
    let mut addresses: Vec<_> =
        ["a.1", "a-2", "ab", "b1"].iter().map(|end| address(&format!("{tag}-{end}"))).collect();
    for address in &addresses {
        store.make_space(address, bench.now()).await.unwrap();
    }
    addresses.sort_by(|one, other| one.namespace.as_str().cmp(other.namespace.as_str()));
    let list = async |tenant, prefix: &str, after: Option<&SpaceAddress>, limit| {
        let page = store.list_spaces(tenant, prefix, after, limit).await.unwrap();
        page.into_iter().map(|entry| entry.space.address).collect::<Vec<_>>()
    };
    let prefix = format!("{tag}-");
    assert_eq!(list(Some(tenant), &prefix, None, 10).await, addresses);
    assert_eq!(list(None, &prefix, None, 10).await, addresses, "of all tenants");
    assert_eq!(list(Some(tenant), &format!("{tag}-a"), None, 10).await, addresses[..3]);
    assert_eq!(list(Some(tenant), &prefix, Some(&addresses[0]), 2).await, addresses[1..3]);
    assert_eq!(list(Some(tenant), &prefix, Some(&addresses[3]), 2).await, []);
    // The same namespace of another tenant is another space, and comes beside it.
    let stranger = Bench::new(store).await;
    let theirs = SpaceAddress::new(addresses[1].namespace.clone(), stranger.space.tenant.clone());
    store.make_space(&theirs, bench.now()).await.unwrap();
    let both = list(None, addresses[1].namespace.as_str(), None, 10).await;
    assert_eq!(both.len(), 2);
    let behind = list(None, addresses[1].namespace.as_str(), Some(&both[0]), 10).await;
    assert_eq!(behind, both[1..], "a page may end between two tenants of a namespace");

    bench.has_put("k", b"counted").await;
    let mut names = [bench.bucket().await, bench.bucket().await];
    names.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    let entry = store.space_entry(&bench.space).await.unwrap().unwrap();
    assert_eq!(entry.buckets, names);
    assert_eq!(entry.figures.iter().map(|figures| figures.logical_bytes).sum::<u64>(), 7);
    let listed = store.list_spaces(Some(tenant), "", None, 100).await.unwrap();
    assert!(listed.contains(&entry), "{listed:?}");
    let empty = listed.iter().find(|one| one.space.address == addresses[0]).unwrap();
    assert!(empty.buckets.is_empty(), "{empty:?}");
    assert_eq!(store.space_entry(&address("nothing-here")).await.unwrap(), None);
    bench.finish().await;
}

/// What is set does not take a bucket, and a space is made once.
pub async fn a_space_has_settings_without_a_bucket(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let tags = Setting::Tags([("a".to_owned(), "b".to_owned())].into());
    let missing = store.put_setting(&bench.space, None, &tags, None).await.unwrap();
    assert_eq!(missing, Err(Refusal::NoSuchBucket));
    let made = store.make_space(&bench.space, bench.now()).await.unwrap();
    assert_eq!(store.make_space(&bench.space, bench.now()).await.unwrap(), made);
    store.put_setting(&bench.space, None, &tags, Some(made.settings)).await.unwrap().unwrap();
    let stale = store.put_setting(&bench.space, None, &tags, Some(made.settings)).await.unwrap();
    assert_eq!(stale, Err(Refusal::Changed));
    let (_, settings) = store.settings(made.id).await.unwrap();
    assert!(settings.tags.is_some_and(|tags| tags.contains_key("a")));
    store.delete_setting(&bench.space, None, SettingKind::Tags).await.unwrap().unwrap();
    assert_eq!(store.settings(made.id).await.unwrap().1.tags, None);

    let cold = store.set_default_class(&bench.space, StorageClass::Cold, bench.now()).await.unwrap();
    assert_eq!((cold.id, cold.default_class), (made.id, StorageClass::Cold));
    let fresh = SpaceAddress::new(Namespace::new("fresh").unwrap(), bench.space.tenant.clone());
    let fresh = store.set_default_class(&fresh, StorageClass::Cold, bench.now()).await.unwrap();
    assert_eq!(fresh.default_class, StorageClass::Cold, "made by that");

    let unversioned = store.set_object_lock(&bench.space, None, LockConfig::default()).await.unwrap();
    assert_eq!(unversioned, Err(Refusal::WrongVersioning));
    store.set_versioning(&bench.space, Versioning::Enabled, bench.now()).await.unwrap().unwrap();
    store.set_object_lock(&bench.space, None, LockConfig::default()).await.unwrap().unwrap();
    assert!(store.space(&SpaceRef::Space(bench.space.clone())).await.unwrap().unwrap().object_lock.is_some());
    bench.finish().await;
}

/// In order of name, by tenant, prefix and page.
pub async fn buckets_are_listed_by_name(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let stranger = Bench::new(store).await;
    let tag = bench.space.tenant.as_str();
    let mut names: Vec<_> = ["a.1", "a-2", "ab", "b1"].iter().map(|end| format!("{tag}-{end}")).collect();
    for name in &names {
        let name = BucketName::new(name).unwrap();
        store.create_bucket(&name, &bench.space, false, bench.now()).await.unwrap().unwrap();
    }
    let others = BucketName::new(&format!("{tag}-aa")).unwrap();
    store.create_bucket(&others, &stranger.space, false, bench.now()).await.unwrap().unwrap();
    names.sort();
    let own = Some(&bench.space.tenant);
    let list = async |tenant, prefix: &str, after: Option<&str>, limit| {
        let page = store.list_buckets(tenant, prefix, after, limit).await.unwrap();
        page.iter().map(|bucket| bucket.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(list(own, "", None, 10).await, names);
    assert_eq!(list(own, &format!("{tag}-a"), None, 10).await, names[..3]);
    assert_eq!(list(own, "", Some(&names[0]), 2).await, names[1..3]);
    assert_eq!(list(None, &format!("{tag}-a"), None, 10).await.len(), 4, "of all tenants");
    assert_eq!(list(None, tag, Some(&names[3]), 10).await, Vec::<String>::new());
    bench.finish().await;
}

/// Objects, versions and markers keep a bucket; uploads and what waits for GC do not.
pub async fn only_an_empty_bucket_can_be_deleted(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let name = bench.bucket().await;
    let delete = async || store.delete_bucket(&name, bench.now()).await.unwrap();
    bench.has_put("k", b"body").await;
    assert_eq!(delete().await, BucketDeletion::NotEmpty);
    bench.set_versioning(Versioning::Enabled).await;
    let (marker, _) = bench.has_deleted(bench.delete("k")).await;
    assert_eq!(delete().await, BucketDeletion::NotEmpty, "a version and a marker");
    for object in store
        .list(&crate::application::ports::metadata::ListQuery { versions: true, ..bench.everything().await })
        .await
        .unwrap()
    {
        bench.has_deleted(bench.delete_target(ObjectAddress::Id(object.id))).await;
    }
    assert!(marker.is_some());
    let keyless = bench.has_put("", b"keyless").await;
    assert_eq!(delete().await, BucketDeletion::NotEmpty, "an object without a key");
    bench.has_deleted(bench.delete_target(ObjectAddress::Id(keyless.id))).await;
    let upload = new_upload(&bench, "k").await;
    part(&bench, upload, 1, "part", 4).await;
    assert_eq!(delete().await, BucketDeletion::Deleted);
    assert_eq!(delete().await, BucketDeletion::Missing);
    assert_eq!(store.find_upload(upload).await.unwrap(), None);
    assert_eq!(store.space(&SpaceRef::Bucket(name.clone())).await.unwrap(), None);
    assert_eq!(bench.space().await.versioning, Versioning::Off, "settings are back to the defaults");
    bench.collect().await;
    bench.finish().await;
}

/// A bucket that was deleted, or given to another space, is not written through by those who still think so.
pub async fn a_write_through_a_bucket_that_is_gone_is_refused(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let bucket = Some(bench.bucket().await);
    let through = |name: &str| PutObject { bucket: bucket.clone(), ..bench.put(name, b"body") };
    object(bench.try_put(through("k")).await);
    let elsewhere = Bench::new(store).await;
    let wrong = PutObject { bucket: bucket.clone(), ..elsewhere.put("k", b"body") };
    assert_eq!(refusal(elsewhere.try_put(wrong).await), Refusal::NoSuchBucket);
    assert_eq!(store.space(&SpaceRef::Space(elsewhere.space.clone())).await.unwrap(), None);
    let delete = DeleteObject { bucket: bucket.clone(), ..bench.delete("k") };
    bench.has_deleted(delete.clone()).await;
    let name = bucket.clone().unwrap();
    assert_eq!(store.delete_bucket(&name, bench.now()).await.unwrap(), BucketDeletion::Deleted);
    assert_eq!(refusal(bench.try_put(through("k")).await), Refusal::NoSuchBucket);
    assert_eq!(refusal(bench.one(Mutation::Delete(Box::new(delete))).await), Refusal::NoSuchBucket);
    let upload = store
        .create_upload(
            UploadId(ObjectId::fresh(bench.now()).0),
            &bench.space,
            bucket.as_ref(),
            Some(&key("k")),
            &Attributes::default(),
            None,
            bench.now(),
        )
        .await
        .unwrap();
    assert_eq!(upload.err(), Some(Refusal::NoSuchBucket));
    bench.finish().await;
}

/// The figures after all kinds of changes, as a client would count them.
pub async fn usage_is_what_a_recount_finds(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let figures = async |class| {
        let tenant = Some(&bench.space.tenant);
        let all = store.usage(tenant, Some(&bench.space.namespace)).await.unwrap();
        assert!(all.iter().all(|usage| usage.address == bench.space));
        let usage = all.into_iter().find(|usage| usage.class == class);
        usage.map(|usage| (usage.objects, usage.logical_bytes, usage.physical_bytes, usage.deleting))
    };
    assert_eq!(figures(StorageClass::Hot).await, None);
    let a = bench.has_put("a", b"1234567").await;
    bench.has_put("b", b"1234567").await;
    assert_eq!(figures(StorageClass::Hot).await, Some((2, 14, 7, 0)));
    bench.has_put("b", b"123").await;
    assert_eq!(figures(StorageClass::Hot).await, Some((2, 10, 10, 1)));
    let preconditions = Preconditions::default();
    let class = Some(StorageClass::Cold);
    let update = UpdateObject {
        id: a.id,
        class,
        attributes: None,
        lock: None,
        preconditions,
        cause: Cause::default(),
    };
    object(bench.one(Mutation::Update(Box::new(update))).await);
    assert_eq!(figures(StorageClass::Hot).await, Some((1, 3, 10, 1)));
    assert_eq!(figures(StorageClass::Cold).await, Some((1, 7, 0, 0)), "the bytes have not moved yet");
    bench.set_versioning(Versioning::Enabled).await;
    bench.has_deleted(bench.delete("b")).await;
    assert_eq!(figures(StorageClass::Hot).await, Some((1, 3, 10, 1)), "markers do not count");
    bench.has_deleted(bench.delete_target(ObjectAddress::Id(a.id))).await;
    bench.collect().await;
    assert_eq!(figures(StorageClass::Cold).await, Some((0, 0, 0, 0)));
    assert_eq!(figures(StorageClass::Hot).await, Some((1, 3, 3, 0)));
    bench.finish().await;
}

/// What a quota counts beside objects: parts of open uploads until they are replaced, completed or aborted, also with
/// their bucket; and delete markers.
pub async fn open_parts_and_markers_are_counted(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let bucket = bench.bucket().await;
    let figures = async || {
        let all = store.usage(Some(&bench.space.tenant), None).await.unwrap();
        all.iter().fold((0, 0), |(bytes, markers), of| (bytes + of.upload_bytes, markers + of.delete_markers))
    };
    let one = new_upload(&bench, "k").await;
    part(&bench, one, 1, "a", 10).await;
    part(&bench, one, 2, "b", 20).await;
    assert_eq!(figures().await, (30, 0));
    part(&bench, one, 2, "c", 5).await;
    assert_eq!(figures().await, (15, 0));
    let two = new_upload(&bench, "k").await;
    part(&bench, two, 1, "a", 10).await;
    assert_eq!(figures().await, (25, 0));
    object(complete(&bench, one, claims(&[1])).await);
    assert_eq!(figures().await, (10, 0));
    store.abort_upload(two).await.unwrap();
    assert_eq!(figures().await, (0, 0));
    bench.set_versioning(Versioning::Enabled).await;
    let (marker, _) = bench.has_deleted(bench.delete("k")).await;
    bench.has_deleted(bench.delete("k")).await;
    assert_eq!(figures().await, (0, 2));
    bench.set_versioning(Versioning::Suspended).await;
    bench.has_deleted(bench.delete("k")).await;
    assert_eq!(figures().await, (0, 3));
    bench.has_deleted(bench.delete("k")).await;
    assert_eq!(figures().await, (0, 3), "a null marker replaces the one before");
    bench.has_deleted(bench.delete_target(ObjectAddress::Id(marker.unwrap().id))).await;
    assert_eq!(figures().await, (0, 2));
    for object in store.list(&ListQuery { versions: true, ..bench.everything().await }).await.unwrap() {
        bench.has_deleted(bench.delete_target(ObjectAddress::Id(object.id))).await;
    }
    part(&bench, new_upload(&bench, "left").await, 1, "a", 10).await;
    assert_eq!(figures().await, (10, 0));
    assert_eq!(store.delete_bucket(&bucket, bench.now()).await.unwrap(), BucketDeletion::Deleted);
    assert_eq!(figures().await, (0, 0));
    bench.finish().await;
}
