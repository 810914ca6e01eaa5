//! Two transactions of the metadata store, statement by statement: one is held before each of its statements in turn,
//! and before its commit, while another runs to its end or waits for a lock. Every pair below, both ways round, at every
//! statement, on PostgreSQL. (On SQLite transactions run one after another.) This is what the locks are for: taking one
//! away shows here, whatever the machine's pace; see `scripts/mutants`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod background;
#[path = "../common/hold.rs"]
mod hold;
mod objects;
mod spaces;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use hold::Holder;
use juststorage_core::application::ports::metadata::{
    CompleteUpload, MetadataStore, Mutation, NewContent, ObjectAddress, PutObject, PutPart, Refusal,
};
use juststorage_core::domain::address::BucketName;
use juststorage_core::domain::blob::Hash;
use juststorage_core::domain::multipart::{PartClaim, PartNumber, UploadId};
use juststorage_core::domain::object::{Attributes, ObjectId};
use juststorage_core::domain::storage_class::StorageClass;
use juststorage_core::infrastructure::metadata::SqlMetadata;
use juststorage_core::testing::disk::Watch;
use juststorage_core::testing::metadata::bench::{Bench, etag, key};
use juststorage_core::testing::postgres;

type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Store = &'static dyn MetadataStore;

/// Two that run at once, and what must be so once both were answered.
struct Pair {
    bench: Arc<Bench<'static>>,
    two: [Work<String>; 2],
    check: Box<dyn FnOnce([String; 2]) -> Work<()>>,
    /// Whether one of them may have to begin anew: nothing is there yet that could be locked.
    may_collide: bool,
    /// Whether one may have to wait for the other.
    may_wait: bool,
}

impl Pair {
    fn that_may_collide(self) -> Self {
        Self { may_collide: true, ..self }
    }

    fn that_never_wait(self) -> Self {
        Self { may_wait: false, ..self }
    }
}

const OK: &str = "ok";

fn said<T>(outcome: Result<T, Refusal>) -> String {
    outcome.map_or_else(|refusal| format!("{refusal:?}"), |_| OK.to_owned())
}

fn put(bench: &Arc<Bench<'static>>, put: PutObject) -> Work<String> {
    let bench = bench.clone();
    Box::pin(async move { said(bench.try_put(put).await) })
}

fn delete(bench: &Arc<Bench<'static>>, target: ObjectAddress) -> Work<String> {
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
        bench.store.sweep(7, bench.now()).await.unwrap();
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
    let two = [first, second];
    Pair { bench: bench.clone(), two, check: Box::new(check), may_collide: false, may_wait: true }
}

fn just(check: impl FnOnce(&[String; 2]) + 'static) -> impl FnOnce([String; 2]) -> Work<()> {
    move |answers| {
        check(&answers);
        Box::pin(std::future::ready(()))
    }
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
        quota: None,
    }))
}

/// Reads the parts at once, and completes the upload later.
async fn complete(bench: &Arc<Bench<'static>>, upload: UploadId) -> Work<String> {
    complete_through(bench, upload, None).await
}

async fn complete_through(
    bench: &Arc<Bench<'static>>,
    upload: UploadId,
    bucket: Option<BucketName>,
) -> Work<String> {
    let claim = PartClaim { number: PartNumber::new(1).unwrap(), etag: None, checksum: None };
    let complete = CompleteUpload { bucket, ..bench.complete(upload, vec![claim]).await };
    let complete = Mutation::Complete(Box::new(complete));
    let bench = bench.clone();
    Box::pin(async move { said(bench.one(complete).await) })
}

async fn at_every_statement<F: Future<Output = Pair>>(name: &str, make: impl Fn(Store) -> F) {
    let store = SqlMetadata::connect(&postgres::shared().create_database()).await.unwrap();
    store.migrate().await.unwrap();
    let store: &'static SqlMetadata = Box::leak(Box::new(store));
    let (begun, mut steps, mut got_through) = (Instant::now(), 0, 0);
    for flip in [false, true] {
        for at in 0.. {
            let holder = Arc::new(Holder::new());
            let Pair { bench, two: [first, second], check, may_collide, may_wait } = make(store).await;
            let what = format!(
                "{name}: the {} one held before its statement {at}",
                if flip { "second" } else { "first" }
            );
            let watch = Watch::begin(holder.clone());
            let (one, other) = if flip { (second, first) } else { (first, second) };
            let (held, through, [a, b]) =
                hold::one(&holder, at, &what, one, other, async || store.lock_waits().await.unwrap()).await;
            drop(watch);
            println!("{what}: {a}, {b}");
            assert!(may_collide || holder.collisions() == 0, "{what}: one ran into the other");
            assert!(through || may_wait || !held, "{what}: the other waited");
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
    ($($of:ident { $($name:ident),* $(,)? })*) => {
        mod of {$(
            mod $of {$(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $name() {
                    crate::at_every_statement(stringify!($name), crate::$of::$name).await;
                }
            )*}
        )*}
    };
}

at_every_statement!(
    objects {
        creators,
        swappers,
        overwriters,
        a_duplicate_and_the_collector,
        a_copy_and_the_collector,
        the_latest_and_the_next,
        the_same_version_twice,
        null_versions,
        the_last_of_a_quota,
        a_completion_and_an_abortion,
        a_completion_and_a_part,
        two_of_one_part,
    }
    background {
        a_purge_and_a_sweep,
        two_collectors,
        a_look_at_the_queue_and_a_change_of_class,
        a_compaction_and_a_change_of_class,
        a_move_and_a_change_of_class,
        a_move_and_a_copy,
        a_move_and_a_change_of_a_whole,
        a_duplicate_and_a_compaction,
        two_hotter_duplicates,
        an_overwrite_and_a_change_of_class,
        a_null_version_and_a_change_of_class,
    }
    spaces {
        a_put_and_versioning,
        a_put_through_a_bucket_and_versioning,
        object_lock_and_suspension,
        two_versionings,
        a_bucket_that_goes,
        an_upload_and_a_bucket_that_goes,
        a_setting_and_a_bucket_that_goes,
        a_completion_and_a_bucket_that_goes,
        a_completion_through_a_bucket_that_goes,
        an_abortion_and_a_bucket_that_goes,
    }
);
