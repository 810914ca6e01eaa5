//! Writers that delete what they have and upload the same bytes again at once, while garbage collection, compaction,
//! moves and the scrubber run without a rest: what was acknowledged reads back, always, and in the end nothing is
//! lost and nothing left.
//!
//! `JUSTSTORAGE_SOAK_SECONDS` (15) is how long, on each database.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::{Running, noise, object, put_request, root, segment_files};
use juststorage_core::application::error::Error;
use juststorage_core::application::ingest::Body;
use juststorage_core::application::ports::clock::Clock as _;
use juststorage_core::application::ports::metadata::WriterId;
use juststorage_core::application::workers::{
    Compactor, GarbageCollector, Mover, Rewriter, Scrubber, WorkDone, Worker,
};
use juststorage_core::domain::precondition::Preconditions;
use juststorage_core::domain::space::DedupScope;
use juststorage_core::domain::storage_class::StorageClass;
use juststorage_core::testing::disk::Dice;
use juststorage_core::testing::postgres;
use tempfile::TempDir;

const WRITERS: u64 = 4;

/// Few contents, so that everybody is always at the same blobs.
const SIZES: [usize; 6] = [1, 300, 5000, 70_000, 200_000, 1_100_000];

fn content(index: usize) -> Bytes {
    noise(1000 + index as u64, SIZES[index])
}

#[derive(Default)]
struct Counts {
    puts: AtomicU64,
    reads: AtomicU64,
    deletions: AtomicU64,
    cycles: AtomicU64,
    collected: AtomicU64,
    moved: AtomicU64,
    scrubbed: AtomicU64,
}

fn add(to: &AtomicU64, count: u64) {
    to.fetch_add(count, Ordering::Relaxed);
}

async fn write(running: Arc<Running>, counts: Arc<Counts>, stop: Arc<AtomicBool>, number: u64) {
    let mut dice = Dice::new(number);
    while !stop.load(Ordering::Relaxed) {
        let index = dice.index(SIZES.len());
        let cold = dice.percent(20);
        for round in 0..2 {
            // The second time, the blob was deleted a moment ago, and is perhaps just being collected.
            let key = format!("{number}/{index}/{round}");
            let mut request = put_request(&key);
            request.attributes.class = Some(if cold { StorageClass::Cold } else { StorageClass::Hot });
            running.store.put(&root(), request, Body::of_bytes(content(index))).await.unwrap();
            add(&counts.puts, 1);
            let read = running.read(&key).await.unwrap_or_else(|error| panic!("{key} is lost: {error}"));
            assert!(read == content(index), "{key}: other bytes");
            add(&counts.reads, 1);
            running.store.delete(&root(), &object(&key), Preconditions::default()).await.unwrap();
            assert!(matches!(running.read(&key).await, Err(Error::NoSuchObject)));
            add(&counts.deletions, 1);
        }
    }
}

async fn work(worker: impl Worker, stop: Arc<AtomicBool>, done: impl Fn(u64)) {
    while !stop.load(Ordering::Relaxed) {
        match worker.step().await.unwrap() {
            WorkDone::Did(items) | WorkDone::Paced(items, _) => done(items),
            // Another kind of work may make some at any moment.
            WorkDone::Idle => tokio::task::yield_now().await,
        }
    }
}

async fn soak(engine: &str, folder: TempDir, url: String) {
    let seconds =
        std::env::var("JUSTSTORAGE_SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(15);
    let running = Arc::new(Running::try_open(folder.path(), &url, DedupScope::Tenant).await.unwrap());
    let (counts, stop) = (Arc::new(Counts::default()), Arc::new(AtomicBool::new(false)));
    let mut tasks: Vec<_> = (0..WRITERS)
        .map(|number| tokio::spawn(write(running.clone(), counts.clone(), stop.clone(), number)))
        .collect();
    let parts = || (running.metadata.clone(), running.tiers.clone(), running.clock.clone());
    let (metadata, tiers, clock) = parts();
    let rewriter =
        Rewriter::new(metadata.clone(), tiers.clone(), clock.clone(), WriterId(uuid::Uuid::from_u128(7)));
    let gc = GarbageCollector::new(metadata.clone(), tiers.clone(), clock.clone(), Duration::ZERO);
    let sweeper = {
        let (counts, stop, metadata) = (counts.clone(), stop.clone(), metadata.clone());
        let clock = clock.clone();
        async move {
            while !stop.load(Ordering::Relaxed) {
                metadata.purge_deleting(64).await.unwrap();
                add(&counts.collected, metadata.sweep(64, clock.now()).await.unwrap().blobs);
                gc.step().await.unwrap();
                add(&counts.cycles, 1);
            }
        }
    };
    tasks.push(tokio::spawn(sweeper));
    let count = |of: fn(&Counts) -> &AtomicU64| {
        let counts = counts.clone();
        move |items| add(of(&counts), items)
    };
    tasks.push(tokio::spawn(work(Mover(rewriter.clone()), stop.clone(), count(|counts| &counts.moved))));
    tasks.push(tokio::spawn(work(Compactor(rewriter), stop.clone(), count(|counts| &counts.moved))));
    let scrubber = Scrubber::new(metadata, tiers, clock, Duration::from_nanos(1));
    tasks.push(tokio::spawn(work(scrubber, stop.clone(), count(|counts| &counts.scrubbed))));

    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(seconds) && tasks.iter().all(|task| !task.is_finished()) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    let running = Arc::into_inner(running).expect("everybody has ended");
    assert_eq!(running.findings().await, []);
    assert_eq!(running.metadata.quarantined(None, 10).await.unwrap(), [], "nothing was taken for damaged");
    running.close().await;
    let running = Running::try_open(folder.path(), &url, DedupScope::Tenant).await.unwrap();
    running.collect().await;
    assert_eq!(running.findings().await, []);
    assert_eq!(segment_files(folder.path()), [] as [std::path::PathBuf; 0], "something is left");
    running.close().await;
    let [puts, reads, deletions, cycles, collected, moved, scrubbed] = [
        &counts.puts,
        &counts.reads,
        &counts.deletions,
        &counts.cycles,
        &counts.collected,
        &counts.moved,
        &counts.scrubbed,
    ]
    .map(|count| count.load(Ordering::Relaxed));
    println!(
        "figures: soak: {engine}, {seconds} s: {puts} puts, {reads} reads, {deletions} deletions, {cycles} collections, \
         {collected} blobs collected, {moved} moved, {scrubbed} scrubbed; 0 lost, 0 left; {} puts/s",
        puts / seconds.max(1)
    );
    assert!(collected > 0 && puts > 50, "hardly anything happened");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn re_uploads_race_the_collector_on_sqlite() {
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite://{}", folder.path().join("metadata.db").display());
    soak("SQLite", folder, url).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn re_uploads_race_the_collector_on_postgres() {
    soak("PostgreSQL", TempDir::new().unwrap(), postgres::shared().create_database()).await;
}
