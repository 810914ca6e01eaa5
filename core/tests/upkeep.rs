//! What finds damage before a reader does, and what is left when a database is lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "upkeep/old_format.rs"]
mod old_format;
#[path = "upkeep/verdicts.rs"]
mod verdicts;

use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use common::{Running, noise, object, root, segment_files};
use futures::TryStreamExt as _;
use juststorage_core::application::error::Error;
use juststorage_core::application::objects::ObjectRef;
use juststorage_core::application::objects::get::ReadOptions;
use juststorage_core::application::objects::update::Change;
use juststorage_core::application::ports::clock::Clock as _;
use juststorage_core::application::ports::metadata::{ScrubPass, SpaceRef, WriterId};
use juststorage_core::application::ports::segments::SegmentStore as _;
use juststorage_core::application::rebuild::{NotEmpty, Rebuilder, Rebuilt};
use juststorage_core::application::workers::worker::run_dry;
use juststorage_core::application::workers::{
    GarbageCollector, Mover, Rewriter, Scrubber, TakeOver, WorkDone, Worker as _,
};
use juststorage_core::domain::action::Action;
use juststorage_core::domain::address::{Key, Namespace, SpaceAddress, Tenant};
use juststorage_core::domain::blob::{Hash, SegmentId};
use juststorage_core::domain::principal::Principal;
use juststorage_core::domain::state::SegmentState;
use juststorage_core::domain::storage_class::StorageClass;
use juststorage_core::infrastructure::segments::LocalSegments;
use tempfile::TempDir;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn scrubber(running: &Running, every: Duration) -> Scrubber {
    Scrubber::new(running.metadata.clone(), running.tiers.clone(), running.clock.clone(), every)
}

/// Flips a bit in the middle of the file that holds `content`.
fn damage(folder: &Path, content: &[u8]) {
    let middle = &content[content.len() / 2..][..16];
    for path in segment_files(folder) {
        let bytes = std::fs::read(&path).unwrap();
        if let Some(at) = bytes.windows(16).position(|window| window == middle) {
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            file.write_all_at(&[bytes[at] ^ 1], at as u64).unwrap();
            return;
        }
    }
    panic!("no file holds the content");
}

async fn whole_pass(running: &Running) -> (ScrubPass, Vec<String>) {
    let scrubber = scrubber(running, DAY);
    let mut pass = scrubber.begin().await.unwrap();
    let mut codes = Vec::new();
    while pass.finished_at.is_none() {
        let advanced = scrubber.advance(pass).await.unwrap();
        codes.extend(advanced.findings.into_iter().map(|finding| finding.code.to_owned()));
        pass = advanced.pass;
    }
    (pass, codes)
}

/// Rot in a pack and in a large blob is found before anyone reads it, quarantined once, and mended by the next
/// upload of the same bytes; a blob restored from a backup is released.
#[tokio::test]
async fn rot_is_found_quarantined_and_mended() {
    let folder = TempDir::new().unwrap();
    let running = Running::open(folder.path()).await;
    let (small, large) = (noise(1, 70_000), noise(2, 40 << 20));
    for (key, bytes) in [("small", &small), ("large", &large), ("sound", &noise(3, 300))] {
        running.put(key, bytes.clone()).await.unwrap();
    }
    let (pass, codes) = whole_pass(&running).await;
    assert_eq!((pass.number, pass.blobs, pass.damaged), (1, 3, 0), "{codes:?}");
    assert_eq!(pass.bytes, 70_000 + (40 << 20) + 300, "a large blob takes several steps and counts once");

    damage(folder.path(), &small);
    damage(folder.path(), &large);
    let (pass, codes) = whole_pass(&running).await;
    assert_eq!((pass.number, pass.damaged), (2, 2));
    assert_eq!(codes, ["blob-corrupt", "blob-corrupt"]);
    assert_eq!(running.metadata.quarantined(None, 10).await.unwrap().len(), 2);
    let (pass, codes) = whole_pass(&running).await;
    assert_eq!((pass.damaged, codes.len()), (2, 0), "known");

    // One is uploaded again, the other's file is restored.
    running.put("again", small.clone()).await.unwrap();
    damage(folder.path(), &{
        let mut damaged = large.to_vec();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 1;
        damaged
    });
    let (pass, _) = whole_pass(&running).await;
    assert_eq!(pass.damaged, 0);
    assert_eq!(running.metadata.quarantined(None, 10).await.unwrap(), []);
    assert_eq!(running.read("small").await.unwrap(), small);
    assert!(running.read("large").await.unwrap() == large);
    running.collect().await;
    assert_eq!(running.findings().await, []);
    running.close().await;
}

/// Bytes whose checksums are right and which are not the blob's: only its hash tells.
#[tokio::test]
async fn other_bytes_under_right_checksums_are_found() {
    let folder = TempDir::new().unwrap();
    let running = Running::open(folder.path()).await;
    let large = noise(1, 2 << 20);
    running.put("large", large.clone()).await.unwrap();
    let files = segment_files(folder.path());
    let [file] = &files[..] else { panic!("{files:?}") };
    let id = SegmentId(file.file_stem().unwrap().to_str().unwrap().parse().unwrap());
    // The file as it would be, had the bytes been mixed up on their way into it.
    let elsewhere = TempDir::new().unwrap();
    std::fs::create_dir(elsewhere.path().join("cold")).unwrap();
    let tier = LocalSegments::open(elsewhere.path().join("hot"), "hot").unwrap();
    let mut writer = tier.create_single(id, [0; 16], None).await.unwrap();
    for half in [2, 3] {
        writer.write(noise(half, 1 << 20)).await.unwrap();
    }
    writer.finish(Hash::of(&large)).await.unwrap();
    std::fs::copy(&segment_files(elsewhere.path())[0], file).unwrap();
    let (pass, codes) = whole_pass(&running).await;
    assert_eq!((pass.damaged, codes), (1, vec!["blob-hash-mismatch".to_owned()]));
    running.close().await;
}

/// The worker goes on after a restart where it was, rests in proportion to its work, and begins the next pass
/// when it is due.
#[tokio::test]
async fn a_pass_goes_on_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let running = Running::open(folder.path()).await;
    for number in 0..300 {
        running.put(&format!("k{number}"), noise(number, 100)).await.unwrap();
    }
    let step = scrubber(&running, DAY).step().await.unwrap();
    assert!(matches!(step, WorkDone::Paced(256, rest) if rest > Duration::ZERO), "{step:?}");
    running.crash().await;

    let running = Running::open(folder.path()).await;
    let worker = scrubber(&running, DAY);
    assert!(matches!(worker.step().await.unwrap(), WorkDone::Paced(44, _)));
    assert_eq!(worker.step().await.unwrap(), WorkDone::Idle, "the end");
    let pass = running.metadata.scrub_pass().await.unwrap().unwrap();
    assert_eq!((pass.number, pass.blobs), (1, 300));
    assert!(pass.finished_at.is_some());
    assert_eq!(worker.step().await.unwrap(), WorkDone::Idle, "not due");
    running.clock.advance(24 * 60 * 60 * 1000);
    assert!(matches!(worker.step().await.unwrap(), WorkDone::Paced(256, _)), "due");
    let never = scrubber(&running, Duration::ZERO);
    while never.step().await.unwrap() != WorkDone::Idle {}
    running.clock.advance(1 << 40);
    assert_eq!(never.step().await.unwrap(), WorkDone::Idle, "switched off");
    running.close().await;
}

async fn rebuild(running: &Running, tenants: &[&str]) -> Result<Rebuilt, NotEmpty> {
    let tenants = tenants.iter().map(|tenant| Tenant::new(tenant).unwrap()).collect();
    let (metadata, tiers) = (running.metadata.clone(), running.tiers.clone());
    Rebuilder::new(metadata, tiers, running.clock.clone(), tenants).run(&|_| ()).await.unwrap()
}

async fn recovered(running: &Running, tenant: &str, content: &[u8]) -> Option<Bytes> {
    let tenant = Tenant::new(tenant).unwrap();
    let who = Principal::unrestricted("root", tenant.clone());
    let place = SpaceRef::Space(SpaceAddress::new(Namespace::new("recovered").unwrap(), tenant));
    let key = Key::new(&format!("sha256/{}", Hash::of(content))).unwrap();
    let download =
        running.store.get(&who, &ObjectRef::latest(place, key), &ReadOptions::default()).await.ok()?;
    let chunks: Vec<Bytes> = download.body.try_collect().await.unwrap();
    Some(chunks.concat().into())
}

fn lose_database(folder: &Path) {
    for name in ["metadata.db", "metadata.db-wal", "metadata.db-shm"] {
        let _ = std::fs::remove_file(folder.join(name));
    }
}

/// With the database gone every leaf comes back by its hash, of its tenant if that is named: also after a crash
/// with torn and staged leftovers. Run again it changes nothing; a database in use is not touched.
#[tokio::test]
async fn a_lost_database_is_rebuilt_from_segments() {
    let folder = TempDir::new().unwrap();
    let running = Running::open(folder.path()).await;
    let contents = [noise(1, 0), noise(2, 300), noise(3, 70_000), noise(4, 1_500_000)];
    for (number, bytes) in contents.iter().enumerate() {
        running.put(&format!("k{number}"), bytes.clone()).await.unwrap();
    }
    running.crash().await;
    lose_database(folder.path());
    // What a crash leaves: a torn record behind the last one, and a single that was never finished.
    let pack = segment_files(folder.path())
        .into_iter()
        .find(|path| std::fs::metadata(path).unwrap().len() < 1_000_000)
        .unwrap();
    let length = std::fs::metadata(&pack).unwrap().len();
    let file = std::fs::File::options().write(true).open(&pack).unwrap();
    file.write_all_at(&[7; 100], length).unwrap();
    let staged = folder.path().join("hot/staging").join(uuid::Uuid::new_v4().to_string());
    std::fs::write(&staged, [0; 5000]).unwrap();

    let running = Running::open(folder.path()).await;
    let rebuilt = rebuild(&running, &["other", "acme"]).await.unwrap();
    assert_eq!((rebuilt.segments, rebuilt.objects, rebuilt.bytes), (2, 4, 1_570_300));
    assert_eq!(rebuilt.findings, []);
    assert!(!staged.exists());
    for bytes in &contents {
        assert!(recovered(&running, "acme", bytes).await.unwrap() == *bytes);
    }
    assert_eq!(running.findings().await, []);
    let again = rebuild(&running, &["acme"]).await.unwrap();
    assert_eq!(again, Rebuilt { known: 2, ..Rebuilt::default() });

    // The walls stand: the same tenant's upload of the same bytes is stored once, and the rest lives on.
    running.put("named", contents[3].clone()).await.unwrap();
    running.collect().await;
    assert_eq!(segment_files(folder.path()).len(), 2, "the second copy is gone");
    assert_eq!(running.findings().await, []);
    let refused = rebuild(&running, &["acme"]).await.unwrap_err();
    assert_eq!(refused.0.namespace.as_str(), "models");
    running.close().await;
}

/// A pack that was never sealed, with a hole in it: every record before and behind comes back, and the hole is told.
#[tokio::test]
async fn records_behind_a_hole_are_entered() {
    let folder = TempDir::new().unwrap();
    let running = Running::open(folder.path()).await;
    let contents = [noise(1, 70_000), noise(2, 80_000), noise(3, 90_000), noise(4, 100)];
    for (number, bytes) in contents.iter().enumerate() {
        running.put(&format!("k{number}"), bytes.clone()).await.unwrap();
    }
    running.crash().await;
    lose_database(folder.path());
    let [pack] = &segment_files(folder.path())[..] else { panic!("more than one pack") };
    let file = std::fs::read(pack).unwrap();
    let payload = file.windows(64).position(|window| *window == contents[1][..64]).unwrap();
    // The header of the second record, which is 64 bytes before its payload.
    let pages = std::fs::File::options().write(true).open(pack).unwrap();
    pages.write_all_at(&[0; 64], payload as u64 - 64).unwrap();

    let running = Running::open(folder.path()).await;
    let rebuilt = rebuild(&running, &["acme"]).await.unwrap();
    assert_eq!((rebuilt.segments, rebuilt.objects, rebuilt.bytes), (1, 3, 160_100));
    let codes: Vec<_> = rebuilt.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["segment-damaged"], "{:?}", rebuilt.findings);
    for bytes in [&contents[0], &contents[2], &contents[3]] {
        assert!(recovered(&running, "acme", bytes).await.unwrap() == *bytes);
    }
    assert_eq!(recovered(&running, "acme", &contents[1]).await, None);
    assert_eq!(running.findings().await, []);
    running.close().await;
}

/// Bytes whose tenant is not named stay behind a wall of their own; damaged ones are told and not entered, and
/// a sound copy elsewhere is.
#[tokio::test]
async fn what_cannot_be_told_is_kept_apart() {
    let folder = TempDir::new().unwrap();
    let running = Running::open(folder.path()).await;
    let (kept, lost) = (noise(1, 70_000), noise(2, 80_000));
    running.put("kept", kept.clone()).await.unwrap();
    running.put("lost", lost.clone()).await.unwrap();
    running.close().await;
    lose_database(folder.path());
    damage(folder.path(), &lost);

    let running = Running::open(folder.path()).await;
    let rebuilt = rebuild(&running, &["other"]).await.unwrap();
    assert_eq!(rebuilt.objects, 1);
    assert_eq!(rebuilt.findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), ["blob-corrupt"]);
    let tag = &hex::encode(Hash::of(b"t:acme").0)[..16];
    let unknown = format!("unknown-{tag}");
    assert_eq!(recovered(&running, &unknown, &kept).await.unwrap(), kept);
    assert_eq!(recovered(&running, &unknown, &lost).await, None);
    assert_eq!(recovered(&running, "acme", &kept).await, None);
    assert_eq!(running.findings().await, []);
    running.close().await;
}

/// After an outage of the database every word has run out. The others get a moment to speak before they are taken for dead.
#[tokio::test]
async fn a_silent_writer_has_a_last_chance() {
    let folder = TempDir::new().unwrap();
    let running = Running::open(folder.path()).await;
    let (own, other) = (WriterId(uuid::Uuid::from_u128(7)), WriterId(uuid::Uuid::from_u128(8)));
    let worker = TakeOver::new(running.metadata.clone(), running.tiers.clone(), running.clock.clone());
    let worker = worker.sparing(own);
    let step = async || worker.step().await.unwrap();
    running.metadata.heartbeat(other, running.clock.now()).await.unwrap();
    assert_eq!(step().await, WorkDone::Idle, "found to be silent");
    running.clock.advance(4_000);
    assert_eq!(step().await, WorkDone::Idle, "it has a moment left");
    running.metadata.heartbeat(other, running.clock.now().plus(Duration::from_secs(3))).await.unwrap();
    assert_eq!(step().await, WorkDone::Idle, "it spoke");
    running.clock.advance(4_000);
    assert_eq!(step().await, WorkDone::Idle, "silent again, from now on");
    running.clock.advance(5_000);
    assert_eq!(step().await, WorkDone::Did(1), "dead");
    assert_eq!(running.metadata.dead_writers(running.clock.now()).await.unwrap(), []);
}

/// The copies that it made are its own, and go.
#[tokio::test]
async fn a_mover_that_lost_its_lease_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    let running = Running::open(folder.path()).await;
    for (key, bytes) in [("small", noise(1, 1000)), ("large", noise(2, 3_000_000))] {
        running.put(key, bytes).await.unwrap();
        let change = Change { class: Some(StorageClass::Cold), ..Change::default() };
        running.store.update(&root(), Action::PutObject, &object(key), change).await.unwrap();
    }
    let collector = GarbageCollector::new(
        running.metadata.clone(),
        running.tiers.clone(),
        running.clock.clone(),
        Duration::ZERO,
    );
    run_dry(&collector).await.unwrap();
    let open = async || {
        let open = running.segments().await.into_iter().filter(|segment| segment.state == SegmentState::Open);
        open.map(|segment| segment.id).collect::<Vec<_>>()
    };
    let before = open().await;
    let rewriter = Rewriter::new(
        running.metadata.clone(),
        running.tiers.clone(),
        running.clock.clone(),
        WriterId(uuid::Uuid::from_u128(7)),
    );
    let mover = Mover(rewriter.fenced_by(running.metadata.under_lease("mover")));
    // The large one ends the step before the small one is tried; then it is alone.
    for key in ["large", "small"] {
        let refused = mover.step().await;
        assert!(matches!(refused, Err(Error::Unavailable)), "{key}: {refused:?}");
        assert_eq!(open().await, before, "{key}");
        running.delete("large").await;
    }
    assert!(running.segments().await.iter().all(|one| one.tier == StorageClass::Hot || one.live_bytes == 0));
    running.collect().await;
    assert_eq!(running.read("small").await.unwrap(), noise(1, 1000));
    assert_eq!(running.findings().await, []);
    running.close().await;
}

/// A process that slept for longer than its word held, and was taken over from, goes on: one answer says so, and
/// the next write takes a new pack. Its own worker never takes over from it.
#[tokio::test]
async fn a_writer_that_was_taken_for_dead_goes_on() {
    let folder = TempDir::new().unwrap();
    let running = Running::open(folder.path()).await;
    let writer = WriterId(uuid::Uuid::from_u128(7));
    let take_over = || TakeOver::new(running.metadata.clone(), running.tiers.clone(), running.clock.clone());
    running.put("before", noise(1, 300)).await.unwrap();
    running.metadata.heartbeat(writer, running.clock.now()).await.unwrap();
    assert_eq!(take_over().sparing(writer).step().await.unwrap(), WorkDone::Idle, "it lives: it asks");
    running.put("spared", noise(2, 300)).await.unwrap();

    assert_eq!(
        take_over().step().await.unwrap(),
        WorkDone::Did(1),
        "another replica sees only that it is silent"
    );
    let far = running.clock.now().plus(DAY);
    running.metadata.heartbeat(writer, far).await.unwrap();
    let refused = running.put("during", noise(3, 300)).await;
    assert!(matches!(refused, Err(Error::Unavailable)), "{refused:?}");
    for (key, seed) in [("after", 4), ("later", 5)] {
        running.put(key, noise(seed, 300)).await.unwrap();
    }
    for (key, seed) in [("before", 1), ("spared", 2), ("after", 4), ("later", 5)] {
        assert_eq!(running.read(key).await.unwrap(), noise(seed, 300), "{key}");
    }
    running.collect().await;
    assert_eq!(running.findings().await, []);
    running.close().await;
}
