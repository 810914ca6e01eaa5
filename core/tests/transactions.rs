//! Two transactions of the metadata store, statement by statement: one is held before each of its statements in turn,
//! and before its commit, while another runs to its end or waits for a lock. Every pair below, both ways round, at every
//! statement, on PostgreSQL. (On SQLite transactions run one after another.) This is what the locks are for: taking one
//! away shows here, whatever the machine's pace; see `scripts/mutants`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/hold.rs"]
mod hold;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use hold::Holder;
use juststorage_core::application::ports::metadata::{
    MetadataStore, Mutation, NewContent, PutObject, PutPart, Refusal, Target,
};
use juststorage_core::domain::blob::Hash;
use juststorage_core::domain::limits::Quota;
use juststorage_core::domain::multipart::{PartClaim, PartNumber, UploadId};
use juststorage_core::domain::object::{Attributes, ObjectId};
use juststorage_core::domain::space::Versioning;
use juststorage_core::domain::storage_class::StorageClass;
use juststorage_core::infrastructure::metadata::SqlMetadata;
use juststorage_core::testing::disk::Watch;
use juststorage_core::testing::metadata::bench::{Bench, absent, etag, key, matching};
use juststorage_core::testing::postgres;

type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Store = &'static dyn MetadataStore;

/// Two that run at once, and what must be so once both were answered.
struct Pair {
    bench: Arc<Bench<'static>>,
    two: [Work<String>; 2],
    check: Box<dyn FnOnce([String; 2]) -> Work<()>>,
}

const OK: &str = "ok";

fn said<T>(outcome: Result<T, Refusal>) -> String {
    outcome.map_or_else(|refusal| format!("{refusal:?}"), |_| OK.to_owned())
}

fn put(bench: &Arc<Bench<'static>>, put: PutObject) -> Work<String> {
    let bench = bench.clone();
    Box::pin(async move { said(bench.try_put(put).await) })
}

fn delete(bench: &Arc<Bench<'static>>, target: Target) -> Work<String> {
    let bench = bench.clone();
    Box::pin(async move {
        let removed = bench.has_deleted(bench.delete_target(target)).await.0;
        if removed.is_some() { OK.to_owned() } else { "nothing".to_owned() }
    })
}

/// What garbage collection does, once each.
fn collect(bench: &Arc<Bench<'static>>) -> Work<String> {
    let bench = bench.clone();
    Box::pin(async move {
        bench.store.purge_deleting(7).await.unwrap();
        bench.store.sweep(7).await.unwrap();
        OK.to_owned()
    })
}

/// Of the two exactly one is done.
fn one_of_two(answers: &[String; 2]) {
    assert_eq!(answers.iter().filter(|answer| *answer == OK).count(), 1, "{answers:?}");
}

fn both(answers: &[String; 2]) {
    assert_eq!(answers, &[OK, OK]);
}

fn pair(
    bench: &Arc<Bench<'static>>,
    first: Work<String>,
    second: Work<String>,
    check: impl FnOnce([String; 2]) -> Work<()> + 'static,
) -> Pair {
    Pair { bench: bench.clone(), two: [first, second], check: Box::new(check) }
}

fn just(check: impl FnOnce(&[String; 2]) + 'static) -> impl FnOnce([String; 2]) -> Work<()> {
    move |answers| {
        check(&answers);
        Box::pin(std::future::ready(()))
    }
}

async fn creators(store: Store) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    let [one, other] =
        [b"a", b"b"].map(|body| put(&bench, PutObject { preconditions: absent(), ..bench.put("k", body) }));
    pair(&bench, one, other, just(one_of_two))
}

async fn swappers(store: Store) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    bench.has_put("k", b"old").await;
    let [one, other] = [b"a", b"b"]
        .map(|body| put(&bench, PutObject { preconditions: matching(b"old"), ..bench.put("k", body) }));
    pair(&bench, one, other, just(one_of_two))
}

async fn overwriters(store: Store) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    bench.has_put("k", b"old").await;
    let [one, other] = [b"a", b"b"].map(|body| put(&bench, bench.put("k", body)));
    pair(&bench, one, other, just(both))
}

/// The same bytes are put again while the collector finds that nobody refers to them.
async fn a_duplicate_and_the_collector(store: Store) -> Pair {
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
}

async fn a_copy_and_the_collector(store: Store) -> Pair {
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

async fn two_collectors(store: Store) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    for name in ["a", "b"] {
        bench.has_put(name, name.as_bytes()).await;
        bench.has_deleted(bench.delete(name)).await;
    }
    pair(&bench, collect(&bench), collect(&bench), just(both))
}

/// The latest two of three versions go at once: the third is the latest then.
async fn the_latest_and_the_next(store: Store) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    bench.set_versioning(Versioning::Enabled).await;
    bench.has_put("k", b"1").await;
    let [second, third] = [bench.has_put("k", b"2").await.id, bench.has_put("k", b"3").await.id]
        .map(|id| delete(&bench, Target::Id(id)));
    let left = bench.clone();
    pair(&bench, third, second, move |answers| {
        Box::pin(async move {
            both(&answers);
            left.assert_latest("k", Some(b"1")).await;
        })
    })
}

async fn the_same_version_twice(store: Store) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    bench.set_versioning(Versioning::Enabled).await;
    bench.has_put("k", b"1").await;
    let id = bench.has_put("k", b"2").await.id;
    let [one, other] = [(); 2].map(|()| delete(&bench, Target::Id(id)));
    let left = bench.clone();
    pair(&bench, one, other, move |answers| {
        Box::pin(async move {
            one_of_two(&answers);
            left.assert_latest("k", Some(b"1")).await;
        })
    })
}

/// Two that replace the null version, which is not the latest.
async fn null_versions(store: Store) -> Pair {
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

async fn a_bucket_that_goes(store: Store) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    let name = bench.bucket().await;
    let through = put(&bench, PutObject { bucket: Some(name.clone()), ..bench.put("k", b"1") });
    let going = bench.clone();
    let gone: Work<String> =
        Box::pin(
            async move { format!("{:?}", going.store.delete_bucket(&name, going.now()).await.unwrap()) },
        );
    pair(
        &bench,
        through,
        gone,
        just(|answers: &[String; 2]| match answers[0].as_str() {
            OK => assert_eq!(answers[1], "NotEmpty"),
            refused => assert_eq!((refused, answers[1].as_str()), ("NoSuchBucket", "Deleted")),
        }),
    )
}

async fn the_last_of_a_quota(store: Store) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    let quota = Some(Quota { bytes: None, objects: Some(2) });
    // The first write of a tenant makes the row that later ones hold.
    bench.try_put(PutObject { quota, ..bench.put("first", b"first") }).await.unwrap();
    let [one, other] =
        ["a", "b"].map(|name| put(&bench, PutObject { quota, ..bench.put(name, name.as_bytes()) }));
    pair(&bench, one, other, just(one_of_two))
}

async fn upload(bench: &Bench<'static>) -> UploadId {
    let (id, attributes, now) =
        (UploadId(ObjectId::fresh(bench.now()).0), Attributes::default(), bench.now());
    let made =
        bench.store.create_upload(id, &bench.space, None, Some(&key("k")), &attributes, None, now).await;
    made.unwrap().unwrap();
    bench.one(part(bench, id, "one")).await.unwrap();
    id
}

/// The first part, whose bytes are named by a text.
fn part(bench: &Bench<'static>, upload: UploadId, body: &str) -> Mutation {
    Mutation::PutPart(Box::new(PutPart {
        upload,
        number: PartNumber::new(1).unwrap(),
        domain: bench.domain.clone(),
        content: NewContent::Staged(bench.staged_as(Hash::of(body.as_bytes()), 100, StorageClass::Hot)),
        etag: etag(body.as_bytes()),
        md5: None,
        checksum: None,
        announced: None,
    }))
}

fn complete(bench: &Arc<Bench<'static>>, upload: UploadId) -> Work<String> {
    let claim = PartClaim { number: PartNumber::new(1).unwrap(), etag: None, checksum: None };
    let complete = Mutation::Complete(Box::new(bench.complete(upload, vec![claim])));
    let bench = bench.clone();
    Box::pin(async move { said(bench.one(complete).await) })
}

async fn a_completion_and_an_abortion(store: Store) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    let id = upload(&bench).await;
    let ending = bench.clone();
    let abort: Work<String> = Box::pin(async move {
        let aborted = ending.store.abort_upload(id).await.unwrap();
        if aborted { OK.to_owned() } else { "nothing".to_owned() }
    });
    pair(&bench, complete(&bench, id), abort, just(one_of_two))
}

async fn a_completion_and_a_part(store: Store) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    let id = upload(&bench).await;
    let (late, adding) = (part(&bench, id, "another"), bench.clone());
    let add: Work<String> = Box::pin(async move { said(adding.one(late).await) });
    // The part comes before, or too late.
    pair(
        &bench,
        complete(&bench, id),
        add,
        just(|answers: &[String; 2]| {
            assert_eq!(answers[0], OK);
            assert!([OK, "NoSuchUpload"].contains(&answers[1].as_str()), "{answers:?}");
        }),
    )
}

async fn two_of_one_part(store: Store) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    let id = upload(&bench).await;
    let [one, other] = ["a", "b"].map(|body| {
        let (part, bench) = (part(&bench, id, body), bench.clone());
        let add: Work<String> = Box::pin(async move { said(bench.one(part).await) });
        add
    });
    pair(&bench, one, other, just(both))
}

/// Versioning is turned on while a version is written: it is replaced, or kept.
async fn a_put_and_versioning(store: Store) -> Pair {
    let bench = Arc::new(Bench::new(store).await);
    bench.has_put("k", b"old").await;
    let turning = bench.clone();
    let turn: Work<String> = Box::pin(async move {
        turning.set_versioning(Versioning::Enabled).await;
        OK.to_owned()
    });
    pair(&bench, put(&bench, bench.put("k", b"new")), turn, just(both))
}

async fn at_every_statement<F: Future<Output = Pair>>(name: &str, make: impl Fn(Store) -> F) {
    // One process, one watcher.
    static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _turn = TURN.lock().await;
    let store = SqlMetadata::connect(&postgres::shared().create_database()).await.unwrap();
    store.migrate().await.unwrap();
    let store: &'static SqlMetadata = Box::leak(Box::new(store));
    let (begun, mut steps, mut got_through) = (Instant::now(), 0, 0);
    for flip in [false, true] {
        for at in 0.. {
            let holder = Arc::new(Holder::new());
            let Pair { bench, two: [first, second], check } = make(store).await;
            let what = format!(
                "{name}: the {} one held before its statement {at}",
                if flip { "second" } else { "first" }
            );
            let watch = Watch::begin(holder.clone());
            let (one, other) = if flip { (second, first) } else { (first, second) };
            let (held, through, [a, b]) = hold::one(&holder, at, &what, one, other).await;
            drop(watch);
            println!("{what}: {a}, {b}");
            check(if flip { [b, a] } else { [a, b] }).await;
            bench.collect().await;
            bench.finish().await;
            if !held {
                break;
            }
            steps += 1;
            got_through += u32::from(through);
        }
    }
    println!(
        "figures: transactions: {name}: held at {steps} statements, in {got_through} of them the other ran to its end \
         meanwhile; {} s",
        begun.elapsed().as_secs()
    );
    assert!(steps > 4 && got_through > 0, "hardly anything was interleaved");
    MetadataStore::close(store).await;
}

macro_rules! at_every_statement {
    ($($name:ident),* $(,)?) => {
        mod of {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                super::at_every_statement(stringify!($name), super::$name).await;
            }
        )*}
    };
}

at_every_statement!(
    creators,
    swappers,
    overwriters,
    a_duplicate_and_the_collector,
    a_copy_and_the_collector,
    two_collectors,
    the_latest_and_the_next,
    the_same_version_twice,
    null_versions,
    a_bucket_that_goes,
    the_last_of_a_quota,
    a_completion_and_an_abortion,
    a_completion_and_a_part,
    two_of_one_part,
    a_put_and_versioning,
);
