//! Pairs about objects and the uploads that make them.

use std::sync::Arc;

use juststorage_core::application::ports::metadata::{NewContent, ObjectAddress, PutObject};
use juststorage_core::domain::limits::Quota;
use juststorage_core::domain::space::Versioning;
use juststorage_core::testing::metadata::bench::{Bench, absent, etag, matching};

use super::{
    OK, Pair, Store, Work, both, collect, complete, delete, just, one_of_two, pair, part, put, said, upload,
};

pub(super) async fn creators(store: Store) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    let [one, other] =
        [b"a", b"b"].map(|body| put(&bench, PutObject { preconditions: absent(), ..bench.put("k", body) }));
    pair(&bench, one, other, just(one_of_two)).that_may_collide()
}

pub(super) async fn swappers(store: Store) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    bench.has_put("k", b"old").await;
    let [one, other] = [b"a", b"b"]
        .map(|body| put(&bench, PutObject { preconditions: matching(b"old"), ..bench.put("k", body) }));
    pair(&bench, one, other, just(one_of_two))
}

pub(super) async fn overwriters(store: Store) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    bench.has_put("k", b"old").await;
    let [one, other] = [b"a", b"b"].map(|body| put(&bench, bench.put("k", body)));
    // The second finds that what it waited for is no longer the latest, and not what is: it looks again.
    pair(&bench, one, other, just(both)).that_may_collide()
}

/// The same bytes are put again while the collector finds that nothing refers to them.
pub(super) async fn a_duplicate_and_the_collector(store: Store) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    bench.has_put("old", b"same").await;
    bench.has_deleted(bench.delete("old")).await;
    let again = put(&bench, bench.put("new", b"same"));
    let found = bench.clone();
    pair(&bench, again, collect(&bench), move |answers| {
        Box::pin(async move {
            both(&answers);
            assert!(found.find("new").await.unwrap().leaf.is_some(), "its bytes are gone");
        })
    })
    // The collector may come between finding the bytes there and holding them.
    .that_may_collide()
}

pub(super) async fn a_copy_and_the_collector(store: Store) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    let blob = bench.has_put("old", b"same").await.content.unwrap().blob;
    bench.has_deleted(bench.delete("old")).await;
    let copy = put(&bench, bench.put_content("new", NewContent::Existing(blob), etag(b"same")));
    let found = bench.clone();
    pair(&bench, copy, collect(&bench), move |answers| {
        Box::pin(async move {
            match answers[0].as_str() {
                OK => assert!(found.find("new").await.unwrap().leaf.is_some(), "its bytes are gone"),
                refused => assert_eq!(refused, "SourceGone"),
            }
        })
    })
}

/// The latest two of three versions go at once: the third is the latest then.
pub(super) async fn the_latest_and_the_next(store: Store) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    bench.set_versioning(Versioning::Enabled).await;
    bench.has_put("k", b"1").await;
    let [second, third] = [bench.has_put("k", b"2").await.id, bench.has_put("k", b"3").await.id]
        .map(|id| delete(&bench, ObjectAddress::Id(id)));
    let left = bench.clone();
    pair(&bench, third, second, move |answers| {
        Box::pin(async move {
            both(&answers);
            left.assert_latest("k", Some(b"1")).await;
        })
    })
}

pub(super) async fn the_same_version_twice(store: Store) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    bench.set_versioning(Versioning::Enabled).await;
    bench.has_put("k", b"1").await;
    let id = bench.has_put("k", b"2").await.id;
    let [one, other] = [(); 2].map(|()| delete(&bench, ObjectAddress::Id(id)));
    let left = bench.clone();
    pair(&bench, one, other, move |answers| {
        Box::pin(async move {
            one_of_two(&answers);
            left.assert_latest("k", Some(b"1")).await;
        })
    })
}

/// Two that replace the null version, which is not the latest.
pub(super) async fn null_versions(store: Store) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    bench.has_put("k", b"null").await;
    bench.set_versioning(Versioning::Enabled).await;
    bench.has_put("k", b"1").await;
    bench.set_versioning(Versioning::Suspended).await;
    let [one, other] = [b"a", b"b"].map(|body| put(&bench, bench.put("k", body)));
    let left = bench.clone();
    pair(&bench, one, other, move |answers| {
        Box::pin(async move {
            both(&answers);
            let mut query = left.everything().await;
            query.versions = true;
            assert_eq!(left.names(&query).await, ["k", "k"], "one null version and the other");
        })
    })
}

pub(super) async fn the_last_of_a_quota(store: Store) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    let quota = Some(Quota { bytes: None, objects: Some(2) });
    // The first write of a tenant makes the row that later ones hold.
    bench.try_put(PutObject { quota, ..bench.put("first", b"first") }).await.unwrap();
    let [one, other] =
        ["a", "b"].map(|name| put(&bench, PutObject { quota, ..bench.put(name, name.as_bytes()) }));
    pair(&bench, one, other, just(one_of_two))
}

pub(super) async fn a_completion_and_an_abortion(store: Store) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    let id = upload(&bench).await;
    let ending = bench.clone();
    let abort: Work<String> = Box::pin(async move {
        let aborted = ending.store.abort_upload(id).await.unwrap();
        if aborted { OK.to_owned() } else { "nothing".to_owned() }
    });
    pair(&bench, complete(&bench, id).await, abort, just(one_of_two))
}

pub(super) async fn a_completion_and_a_part(store: Store) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    let id = upload(&bench).await;
    let (late, adding) = (part(&bench, id, "another"), bench.clone());
    let add: Work<String> = Box::pin(async move { said(adding.one(late).await) });
    // The part comes before, and the completion does not count, or the part comes too late.
    pair(
        &bench,
        complete(&bench, id).await,
        add,
        just(|answers: &[String; 2]| {
            let answers = [answers[0].as_str(), answers[1].as_str()];
            assert!([["Changed", OK], [OK, "NoSuchUpload"]].contains(&answers), "{answers:?}");
        }),
    )
}

pub(super) async fn two_of_one_part(store: Store) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    let id = upload(&bench).await;
    let [one, other] = ["a", "b"].map(|body| {
        let (part, bench) = (part(&bench, id, body), bench.clone());
        let add: Work<String> = Box::pin(async move { said(bench.one(part).await) });
        add
    });
    pair(&bench, one, other, just(both))
}
