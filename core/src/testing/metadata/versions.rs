//! Versioning: off, enabled, suspended.

use super::bench::{Bench, etag, key};
use crate::application::ports::metadata::{MetadataStore, ObjectAddress, VersionRef};
use crate::domain::object::{Object, ObjectId};
use crate::domain::space::Versioning;

async fn versions(bench: &Bench<'_>, name: &str) -> Vec<Object> {
    let query = crate::application::ports::metadata::ListQuery {
        versions: true,
        prefix: name.to_owned(),
        ..bench.everything().await
    };
    bench.store.list(&query).await.unwrap()
}

fn version(bench: &Bench<'_>, name: &str, version: VersionRef) -> ObjectAddress {
    ObjectAddress::Version(bench.space.clone(), key(name), version)
}

/// One version at a time, S3's "null", without a version id to show.
pub async fn without_versioning_a_write_replaces(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    bench.has_put("k", b"1").await;
    let second = bench.has_put("k", b"2").await;
    assert_eq!(versions(&bench, "k").await, std::slice::from_ref(&second));
    assert_eq!(second.s3_version_id(), None);
    let found = bench.find_version("k", VersionRef::Null).await.unwrap();
    assert_eq!(found.object, second);
    let (removed, marker) =
        bench.has_deleted(bench.delete_target(version(&bench, "k", VersionRef::Null))).await;
    assert_eq!((removed.map(|object| object.id), marker), (Some(second.id), false));
    assert_eq!(versions(&bench, "k").await, []);
    bench.finish().await;
}

/// Writes stack up, a delete puts a marker on top, and what was there before versioning is the null version.
pub async fn with_versioning_every_write_stays(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let before = bench.has_put("k", b"0").await;
    bench.set_versioning(Versioning::Enabled).await;
    let first = bench.has_put("k", b"1").await;
    let second = bench.has_put("k", b"2").await;
    let (marker, made) = bench.has_deleted(bench.delete("k")).await;
    let marker = marker.unwrap();
    assert!(made && marker.is_delete_marker() && marker.is_latest && !marker.is_null_version);
    bench.assert_latest("k", None).await;
    assert!(bench.find("k").await.unwrap().object.is_delete_marker(), "markers are found");

    let all = versions(&bench, "k").await;
    let ids: Vec<_> = all.iter().map(|object| object.id).collect();
    assert_eq!(ids, [marker.id, second.id, first.id, before.id]);
    assert!(all.iter().all(|object| object.is_latest == (object.id == marker.id)));
    assert_eq!(all[3].s3_version_id().as_deref(), Some("null"));
    assert_eq!(all[2].s3_version_id(), Some(first.id.to_string()));
    let found = bench.find_version("k", VersionRef::Id(first.id)).await.unwrap();
    assert_eq!(found.object.etag, etag(b"1"));
    let null = bench.find_version("k", VersionRef::Null).await.unwrap();
    assert_eq!(null.object.id, before.id);
    assert_eq!(bench.find_version("other", VersionRef::Id(first.id)).await, None, "the key must match");

    // A key that never was gets a marker all the same, and a put on a marker is a put on nothing.
    let (_, made) = bench.has_deleted(bench.delete("never")).await;
    assert!(made);
    let put = crate::application::ports::metadata::PutObject {
        preconditions: super::bench::absent(),
        ..bench.put("k", b"3")
    };
    bench.try_put(put).await.unwrap();
    assert_eq!(versions(&bench, "k").await.len(), 5);
    assert_eq!(bench.collect().await, 0, "every version keeps its blob");

    // What was versioned once is never unversioned again.
    let space = store.set_versioning(&bench.space, Versioning::Off, bench.now()).await.unwrap().unwrap();
    assert_eq!(space.versioning, Versioning::Suspended);
    bench.finish().await;
}

/// Suspended: the null version is replaced wherever it is, versions with ids stay.
pub async fn suspended_versioning_replaces_the_null_version(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    let null = bench.has_put("k", b"null").await;
    bench.set_versioning(Versioning::Enabled).await;
    let kept = bench.has_put("k", b"kept").await;
    bench.set_versioning(Versioning::Suspended).await;
    let replacing = bench.has_put("k", b"replacing").await;
    assert!(replacing.is_null_version);
    assert_eq!(replacing.s3_version_id().as_deref(), Some("null"));
    let ids = |all: Vec<Object>| all.into_iter().map(|object| object.id).collect::<Vec<_>>();
    assert_eq!(ids(versions(&bench, "k").await), [replacing.id, kept.id]);
    assert_eq!(store.find(&ObjectAddress::Id(null.id)).await.unwrap(), None);
    let again = bench.has_put("k", b"again").await;
    assert_eq!(ids(versions(&bench, "k").await), [again.id, kept.id]);
    let (marker, made) = bench.has_deleted(bench.delete("k")).await;
    let marker = marker.unwrap();
    assert!(made && marker.is_null_version);
    assert_eq!(ids(versions(&bench, "k").await), [marker.id, kept.id]);
    // Without its null version the key is what it was before.
    let null = version(&bench, "k", VersionRef::Null);
    let (removed, made) = bench.has_deleted(bench.delete_target(null)).await;
    assert!(removed.unwrap().is_delete_marker() && !made);
    bench.assert_latest("k", Some(b"kept")).await;
    bench.finish().await;
}

/// Deleting the latest version, a marker too, brings back the newest that is left.
pub async fn a_deleted_version_makes_way_for_the_one_before(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    bench.set_versioning(Versioning::Enabled).await;
    let mut made = Vec::new();
    for body in [b"1", b"2", b"3"] {
        made.push(bench.has_put("k", body).await.id);
    }
    let (marker, _) = bench.has_deleted(bench.delete("k")).await;
    let remove = async |id: ObjectId| {
        let target = version(&bench, "k", VersionRef::Id(id));
        let (removed, made) = bench.has_deleted(bench.delete_target(target)).await;
        assert_eq!((removed.map(|object| object.id), made), (Some(id), false));
    };
    remove(marker.unwrap().id).await;
    bench.assert_latest("k", Some(b"3")).await;
    remove(made[1]).await;
    bench.assert_latest("k", Some(b"3")).await;
    remove(made[2]).await;
    bench.assert_latest("k", Some(b"1")).await;
    remove(made[0]).await;
    assert_eq!(bench.find("k").await, None);
    let target = version(&bench, "k", VersionRef::Id(made[0]));
    assert_eq!(bench.has_deleted(bench.delete_target(target)).await, (None, false), "gone already");
    assert_eq!(bench.collect().await, 3);
    bench.finish().await;
}

/// Clocks disagree and go backwards: the last commit still is the latest version, and has the largest id.
pub async fn ids_ascend_whatever_the_clock_says(store: &dyn MetadataStore) {
    let bench = Bench::new(store).await;
    bench.set_versioning(Versioning::Enabled).await;
    let mut last = bench.has_put("k", b"first").await.id;
    for n in 0..5 {
        bench.set_clock_back();
        let body = format!("{n}").into_bytes();
        let put = bench.put("k", &body);
        assert!(put.id < last);
        let object = super::bench::object(bench.try_put(put).await);
        assert!(object.id > last);
        bench.assert_latest("k", Some(&body)).await;
        if n == 2 {
            // Its row waits for GC, and keeps its id: the next one must not take it again.
            bench.has_deleted(bench.delete_target(ObjectAddress::Id(object.id))).await;
        }
        last = object.id.max(last);
    }
    bench.finish().await;
}
