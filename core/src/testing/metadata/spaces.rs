//! Spaces, buckets, figures.

use super::bench::{Bench, key, object, refusal};
use super::uploads::{claims, complete, new_upload, part};
use crate::application::ports::metadata::{
    BucketDeletion, DeleteObject, ListQuery, MetadataStore, Mutation, Place, PutObject, Refusal, Target,
    UpdateObject,
};
use crate::domain::address::BucketName;
use crate::domain::multipart::UploadId;
use crate::domain::object::{Attributes, ObjectId};
use crate::domain::precondition::Preconditions;
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
    assert_eq!(store.space(&Place::Bucket(name.clone())).await.unwrap(), Some(space.clone()));
    let second = bench.bucket().await;
    assert_eq!(store.space(&Place::Bucket(second)).await.unwrap(), Some(space.clone()));
    let stranger = Bench::new(store).await;
    let taken = store.create_bucket(&name, &stranger.space, false, bench.now()).await.unwrap().unwrap_err();
    assert_eq!((taken.name, taken.space), (name, space));
    assert_eq!(store.space(&Place::Space(stranger.space.clone())).await.unwrap(), None, "no trace");
    let unknown = BucketName::new("no-such-bucket").unwrap();
    assert_eq!(store.space(&Place::Bucket(unknown)).await.unwrap(), None);
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
        bench.has_deleted(bench.delete_target(Target::Id(object.id))).await;
    }
    assert!(marker.is_some());
    let keyless = bench.has_put("", b"keyless").await;
    assert_eq!(delete().await, BucketDeletion::NotEmpty, "an object without a key");
    bench.has_deleted(bench.delete_target(Target::Id(keyless.id))).await;
    let upload = new_upload(&bench, "k").await;
    part(&bench, upload, 1, "part", 4).await;
    assert_eq!(delete().await, BucketDeletion::Deleted);
    assert_eq!(delete().await, BucketDeletion::Missing);
    assert_eq!(store.find_upload(upload).await.unwrap(), None);
    assert_eq!(store.space(&Place::Bucket(name.clone())).await.unwrap(), None);
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
    assert_eq!(store.space(&Place::Space(elsewhere.space.clone())).await.unwrap(), None);
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
    let update = UpdateObject { id: a.id, class, attributes: None, lock: None, preconditions };
    object(bench.one(Mutation::Update(Box::new(update))).await);
    assert_eq!(figures(StorageClass::Hot).await, Some((1, 3, 10, 1)));
    assert_eq!(figures(StorageClass::Cold).await, Some((1, 7, 0, 0)), "the bytes have not moved yet");
    bench.set_versioning(Versioning::Enabled).await;
    bench.has_deleted(bench.delete("b")).await;
    assert_eq!(figures(StorageClass::Hot).await, Some((1, 3, 10, 1)), "markers do not count");
    bench.has_deleted(bench.delete_target(Target::Id(a.id))).await;
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
    bench.has_deleted(bench.delete_target(Target::Id(marker.unwrap().id))).await;
    assert_eq!(figures().await, (0, 2));
    for object in store.list(&ListQuery { versions: true, ..bench.everything().await }).await.unwrap() {
        bench.has_deleted(bench.delete_target(Target::Id(object.id))).await;
    }
    part(&bench, new_upload(&bench, "left").await, 1, "a", 10).await;
    assert_eq!(figures().await, (10, 0));
    assert_eq!(store.delete_bucket(&bucket, bench.now()).await.unwrap(), BucketDeletion::Deleted);
    assert_eq!(figures().await, (0, 0));
    bench.finish().await;
}
