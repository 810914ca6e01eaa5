//! Pairs about spaces and the buckets that name them.

use std::sync::Arc;

use juststorage_core::application::ports::metadata::{PutObject, VersionRef};
use juststorage_core::domain::address::BucketName;
use juststorage_core::domain::multipart::UploadId;
use juststorage_core::domain::object::{Attributes, ObjectId};
use juststorage_core::domain::object_lock::LockConfig;
use juststorage_core::domain::settings::{Setting, SpaceSettings};
use juststorage_core::domain::space::Versioning;
use juststorage_core::testing::metadata::bench::{Bench, etag, key};

use super::{OK, Pair, Store, Work, both, complete_through, just, one_of_two, pair, put, said, upload};

fn remove(bench: &Arc<Bench<'static>>, name: &BucketName) -> Work<String> {
    let (bench, name) = (bench.clone(), name.clone());
    Box::pin(async move { format!("{:?}", bench.store.delete_bucket(&name, bench.now()).await.unwrap()) })
}

/// Versioning is turned on while a version is written. A writer that then sees the old version keeps it.
async fn versioning_and(store: Store, through_bucket: bool) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    let id = bench.has_put("k", b"old").await.id;
    let bucket = if through_bucket { Some(bench.bucket().await) } else { None };
    let turning = bench.clone();
    let turn: Work<String> = Box::pin(async move {
        turning.set_versioning(Versioning::Enabled).await;
        let seen = turning.tag("k").await == Some(etag(b"old"));
        if seen { "seen" } else { "not seen" }.to_owned()
    });
    let left = bench.clone();
    pair(&bench, put(&bench, PutObject { bucket, ..bench.put("k", b"new") }), turn, move |answers| {
        Box::pin(async move {
            assert_eq!(answers[0], OK);
            let old = left.find_version("k", VersionRef::Null).await;
            let kept = old.is_some_and(|found| found.object.id == id);
            assert!(kept || answers[1] == "not seen", "a version went that was there when versioning was on");
            left.assert_latest("k", Some(b"new")).await;
        })
    })
}

pub(super) async fn a_put_and_versioning(store: Store) -> Pair {
    versioning_and(store, false).await
}

pub(super) async fn a_put_through_a_bucket_and_versioning(store: Store) -> Pair {
    versioning_and(store, true).await
}

/// A space whose versions can be locked has versioning, and one that suspended it cannot be locked.
pub(super) async fn object_lock_and_suspension(store: Store) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    let name = bench.bucket().await;
    bench.set_versioning(Versioning::Enabled).await;
    let (locking, suspending) = (bench.clone(), bench.clone());
    let lock: Work<String> = Box::pin(async move {
        said(locking.store.set_object_lock(&locking.space, Some(&name), LockConfig::default()).await.unwrap())
    });
    let suspend: Work<String> = Box::pin(async move {
        let now = suspending.now();
        said(suspending.store.set_versioning(&suspending.space, Versioning::Suspended, now).await.unwrap())
    });
    pair(&bench, lock, suspend, just(one_of_two))
}

/// Versioning is turned on and suspended at once; neither waits for what the other waits for.
pub(super) async fn two_versionings(store: Store) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    bench.set_versioning(Versioning::Enabled).await;
    let turn = |versioning| -> Work<String> {
        let bench = bench.clone();
        Box::pin(async move {
            said(bench.store.set_versioning(&bench.space, versioning, bench.now()).await.unwrap())
        })
    };
    pair(&bench, turn(Versioning::Enabled), turn(Versioning::Suspended), just(both))
}

pub(super) async fn a_bucket_that_goes(store: Store) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    let name = bench.bucket().await;
    let through = put(&bench, PutObject { bucket: Some(name.clone()), ..bench.put("k", b"1") });
    pair(
        &bench,
        through,
        remove(&bench, &name),
        just(|answers: &[String; 2]| match answers[0].as_str() {
            OK => assert_eq!(answers[1], "NotEmpty"),
            refused => assert_eq!((refused, answers[1].as_str()), ("NoSuchBucket", "Deleted")),
        }),
    )
}

/// An upload that is begun in a bucket ends with it.
pub(super) async fn an_upload_and_a_bucket_that_goes(store: Store) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    let name = bench.bucket().await;
    let id = UploadId(ObjectId::fresh(bench.now()).0);
    let (beginning, through) = (bench.clone(), name.clone());
    let begin: Work<String> = Box::pin(async move {
        let (bench, attributes) = (beginning, Attributes::default());
        let (space, now) = (&bench.space, bench.now());
        let key = key("k");
        said(
            bench
                .store
                .create_upload(id, space, Some(&through), Some(&key), &attributes, None, now)
                .await
                .unwrap(),
        )
    });
    pair(&bench, begin, remove(&bench, &name), move |answers| {
        Box::pin(async move {
            assert_eq!(answers[1], "Deleted");
            assert_eq!(store.find_upload(id).await.unwrap(), None, "{answers:?}");
        })
    })
}

/// A document that is set through a bucket ends with it.
pub(super) async fn a_setting_and_a_bucket_that_goes(store: Store) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    let name = bench.bucket().await;
    let space = bench.space().await.id;
    let (setting, through) = (bench.clone(), name.clone());
    let set: Work<String> = Box::pin(async move {
        let tags = Setting::Tags([("k".to_owned(), "v".to_owned())].into());
        said(setting.store.put_setting(&setting.space, Some(&through), &tags, None).await.unwrap())
    });
    pair(&bench, set, remove(&bench, &name), move |answers| {
        Box::pin(async move {
            assert_eq!(answers[1], "Deleted");
            let (_, left) = store.settings(space).await.unwrap();
            assert_eq!(left, SpaceSettings::default(), "{answers:?}");
        })
    })
}

async fn completion_and(store: Store, through_bucket: bool) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    let name = bench.bucket().await;
    let id = upload(&bench).await;
    let through = through_bucket.then(|| name.clone());
    pair(
        &bench,
        complete_through(&bench, id, through).await,
        remove(&bench, &name),
        just(|answers: &[String; 2]| match answers[0].as_str() {
            OK => assert_eq!(answers[1], "NotEmpty"),
            refused => {
                assert!(["NoSuchBucket", "NoSuchUpload"].contains(&refused), "{refused}");
                assert_eq!(answers[1], "Deleted");
            }
        }),
    )
}

pub(super) async fn a_completion_and_a_bucket_that_goes(store: Store) -> Pair {
    completion_and(store, false).await
}

pub(super) async fn a_completion_through_a_bucket_that_goes(store: Store) -> Pair {
    completion_and(store, true).await
}

pub(super) async fn an_abortion_and_a_bucket_that_goes(store: Store) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    let name = bench.bucket().await;
    let id = upload(&bench).await;
    let ending = bench.clone();
    let abort: Work<String> = Box::pin(async move {
        ending.store.abort_upload(id).await.unwrap();
        OK.to_owned()
    });
    pair(
        &bench,
        abort,
        remove(&bench, &name),
        just(|answers: &[String; 2]| {
            assert_eq!(answers, &[OK, "Deleted"]);
        }),
    )
}
