//! A change of a key does to the object that is only upstream what it does to one that is here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/bound.rs"]
mod bound;
mod common;

use bound::Bound;
use bytes::Bytes;
use common::{noise, object, place, put_request, root, space};
use futures::TryStreamExt as _;
use juststorage_core::application::error::Error;
use juststorage_core::application::ingest::Body;
use juststorage_core::application::objects::ObjectRef;
use juststorage_core::application::objects::get::ReadOptions;
use juststorage_core::application::objects::list::{Entry, ListRequest};
use juststorage_core::application::ports::metadata::{PassKind, VersionRef};
use juststorage_core::domain::action::Action;
use juststorage_core::domain::address::{BucketName, Key};
use juststorage_core::domain::object::Tags;
use juststorage_core::domain::object_lock::{LockConfig, LockMode, ObjectLock, Retention};
use juststorage_core::domain::precondition::Preconditions;
use juststorage_core::domain::space::Versioning;
use juststorage_core::domain::timestamp::Timestamp;
use juststorage_core::domain::upstream::{Mode, Source};
use juststorage_core::testing::upstream::{Fault, MODIFIED};

fn null(key: &str) -> ObjectRef {
    ObjectRef::Key { place: place(), key: Key::new(key).unwrap(), version: Some(VersionRef::Null) }
}

async fn versions(bound: &Bound, key: &str) -> Vec<(bool, u64)> {
    let request = ListRequest {
        place: place(),
        prefix: key.to_owned(),
        delimiter: None,
        after: None,
        versions: true,
        keyless: false,
        limit: 100,
    };
    let page = bound.run.store.list(&root(), &request).await.unwrap();
    let objects = page.entries.into_iter().filter_map(|entry| match entry {
        Entry::Object(object) => Some((object.is_delete_marker(), object.size())),
        Entry::Prefix(_) => None,
    });
    objects.collect()
}

/// Where versions are kept, a change of a key keeps the object that was only upstream, as it keeps one that is here.
#[tokio::test]
async fn where_versions_are_kept_a_change_keeps_what_is_upstream() {
    let bound = Bound::new(Mode::ReadThrough).await;
    bound.run.metadata.set_versioning(&space(), Versioning::Enabled, MODIFIED).await.unwrap().unwrap();
    for key in ["written", "deleted", "copied", "moved"] {
        bound.upstream.put(key, noise(1, 100));
    }
    bound.run.put("written", noise(2, 7)).await.unwrap();
    bound.run.delete("deleted").await;
    assert_eq!(versions(&bound, "written").await, [(false, 7), (false, 100)]);
    assert_eq!(versions(&bound, "deleted").await, [(true, 0), (false, 100)]);
    // A key that is nowhere is written and deleted as ever.
    bound.run.put("new", noise(3, 8)).await.unwrap();
    bound.run.delete("none").await;
    assert_eq!(versions(&bound, "new").await, [(false, 8)]);
    // What cannot be asked for is not lost: the change waits for the upstream.
    bound.upstream.put("unseen", noise(1, 100));
    bound.upstream.fail(Fault::Away, 3);
    let put = bound.run.store.put(&root(), put_request("unseen"), Body::of_bytes(noise(4, 9))).await;
    assert!(matches!(put, Err(Error::UpstreamAway)), "{put:?}");
    let delete = bound.run.store.delete(&root(), &object("unseen"), Preconditions::default()).await;
    assert!(matches!(delete, Err(Error::UpstreamAway)), "{delete:?}");
    bound.upstream.fail(Fault::Away, 0);
    assert_eq!(bound.get("unseen").await.unwrap().1, noise(1, 100));
    bound.end().await;
}

/// A listing of versions shows what is only upstream as the null version of its key: so it is read as such, too.
#[tokio::test]
async fn the_null_version_upstream_is_read() {
    for versioning in [Versioning::Off, Versioning::Enabled] {
        let bound = Bound::new(Mode::ReadThrough).await;
        if versioning != Versioning::Off {
            bound.run.metadata.set_versioning(&space(), versioning, MODIFIED).await.unwrap().unwrap();
        }
        bound.upstream.put("k", noise(1, 100));
        bound.upstream.put("tagged", noise(2, 10));
        assert_eq!(versions(&bound, "k").await, [(false, 100)]);
        let options = ReadOptions::default();
        let head = bound.run.store.head(&root(), &null("k"), &options).await.unwrap();
        assert_eq!((head.source, head.object.size()), (Some(Source::Upstream), 100));
        for source in [Source::Pulled, Source::Local] {
            let download = bound.run.store.get(&root(), &null("k"), &options).await.unwrap();
            assert_eq!(download.head.source, Some(source));
            let pieces: Vec<Bytes> = download.body.try_collect().await.unwrap();
            assert_eq!(pieces.concat(), noise(1, 100));
        }
        let tagged = bound.run.store.object(&root(), Action::PutObjectTagging, &null("tagged")).await;
        assert_eq!(tagged.unwrap().size(), 10);
        let none = bound.run.store.head(&root(), &null("none"), &options).await;
        assert!(matches!(none, Err(Error::NoSuchVersion)), "{none:?}");
        // Behind a version that is here nothing is asked for.
        bound.run.put("new", noise(3, 8)).await.unwrap();
        bound.upstream.put("new", noise(4, 9));
        if versioning == Versioning::Enabled {
            assert!(bound.run.store.head(&root(), &null("new"), &options).await.is_err());
        }
        bound.end().await;
    }
}

/// The null version of a key that is only upstream is that object: it goes for good, unless its retention holds it.
#[tokio::test]
async fn the_null_version_upstream_goes_and_stays_away() {
    for versioning in [Versioning::Off, Versioning::Enabled, Versioning::Suspended] {
        let bound = Bound::new(Mode::ReadThrough).await;
        if versioning != Versioning::Off {
            bound.run.metadata.set_versioning(&space(), versioning, MODIFIED).await.unwrap().unwrap();
        }
        bound.upstream.put("k", noise(1, 100));
        bound.run.store.delete(&root(), &null("k"), Preconditions::default()).await.unwrap();
        assert!(matches!(bound.get("k").await, Err(Error::NoSuchObject)), "{versioning:?}: it came back");
        assert_eq!(bound.keys("", None, 10).await, [] as [String; 0]);
        bound.end().await;
    }
    let bound = Bound::new(Mode::ReadThrough).await;
    let name = BucketName::new("locked").unwrap();
    bound.run.metadata.create_bucket(&name, &space(), false, Timestamp(0)).await.unwrap().unwrap();
    bound.run.metadata.set_versioning(&space(), Versioning::Enabled, MODIFIED).await.unwrap().unwrap();
    bound.run.metadata.set_object_lock(&space(), Some(&name), LockConfig::default()).await.unwrap().unwrap();
    bound.upstream.put("held", noise(1, 100));
    bound.upstream.describe("held", Tags::new(), |said| {
        let until = Timestamp(4_000_000_000_000);
        let retention = Some(Retention { mode: LockMode::Compliance, until });
        said.lock = ObjectLock { retention, legal_hold: None };
    });
    let refused = bound.run.store.delete(&root(), &null("held"), Preconditions::default()).await;
    assert!(matches!(refused, Err(Error::Locked)), "{refused:?}");
    bound.run.put("held", noise(2, 7)).await.unwrap();
    let refused = bound.run.store.delete(&root(), &null("held"), Preconditions::default()).await;
    assert!(matches!(refused, Err(Error::Locked)), "{refused:?}");
    assert_eq!(versions(&bound, "held").await, [(false, 7), (false, 100)]);
    bound.end().await;
}

/// What was fetched stays as a version behind what was written or deleted later; a comparison does not take that for a change upstream.
#[tokio::test]
async fn what_replaces_a_fetched_version_is_no_finding() {
    let bound = Bound::new(Mode::ReadThrough).await;
    bound.run.metadata.set_versioning(&space(), Versioning::Enabled, MODIFIED).await.unwrap().unwrap();
    for key in ["deleted", "foreign", "replaced", "same"] {
        bound.upstream.put(key, noise(1, 100));
        bound.get(key).await.unwrap();
    }
    bound.run.put("replaced", noise(2, 100)).await.unwrap();
    bound.run.delete("deleted").await;
    let report = bound.pass(PassKind::Verify).await;
    assert_eq!(report["clean"], true, "{report}");
    assert_eq!((&report["replaced_here"], &report["removed_here"]), (&1.into(), &1.into()), "{report}");
    bound.upstream.put("foreign", noise(3, 100));
    let report = bound.pass(PassKind::Verify).await;
    assert_eq!(
        (&report["differ"], &report["findings"][0]["key"]),
        (&1.into(), &"foreign".into()),
        "{report}"
    );
    bound.end().await;
}
