//! What is said of one leaf, of a tier, and of a database that is older than the tiers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use juststorage_core::application::error::Error;
use juststorage_core::application::tiers::Tiers;
use juststorage_core::application::workers::Scrubber;
use juststorage_core::domain::blob::SegmentId;
use juststorage_core::testing::faulty::FaultySegments;
use tempfile::TempDir;

use super::common::{Running, noise, segment_files};
use super::{DAY, scrubber, whole_pass};

const LARGE: usize = 1_500_000;

/// The files of a database, somewhere else.
fn copy_database(from: &Path, to: &Path) {
    for name in ["metadata.db", "metadata.db-wal", "metadata.db-shm"] {
        let _ = std::fs::remove_file(to.join(name));
        let _ = std::fs::copy(from.join(name), to.join(name));
    }
}

fn segment_of(path: &Path) -> SegmentId {
    SegmentId(path.file_stem().unwrap().to_str().unwrap().parse().unwrap())
}

/// Puts small objects and a large one, named after `from` and on.
async fn put_some(running: &Running, from: u64) {
    for seed in from..from + 9 {
        running.put(&format!("k{seed}"), noise(seed, 300)).await.unwrap();
    }
    running.put(&format!("k{}", from + 9), noise(from + 9, LARGE)).await.unwrap();
}

async fn all_are_there(running: &Running, number: u64) {
    for seed in 0..number {
        let length = if seed % 10 == 9 { LARGE } else { 300 };
        assert!(running.read(&format!("k{seed}")).await.unwrap() == noise(seed, length), "k{seed}");
    }
}

/// Restored behind a crash, an older database knows the open pack as shorter than it is, and a large object as one that
/// was being written. Neither is destroyed by the start and by everything that collects: `validate` names them, and
/// behind the newer database all is there. Told once.
#[tokio::test]
async fn a_start_on_an_older_database_destroys_nothing() {
    let (folder, older, newer) = (TempDir::new().unwrap(), TempDir::new().unwrap(), TempDir::new().unwrap());
    let running = Running::open(folder.path()).await;
    put_some(&running, 0).await;
    running.crash().await;
    let running = Running::open(folder.path()).await;
    assert_eq!(running.metadata.kept_segments().await.unwrap(), [], "a crash is no alarm");
    put_some(&running, 10).await;
    // While it runs, as a backup of a live database is: the pack is open in it.
    copy_database(folder.path(), older.path());
    put_some(&running, 20).await;
    put_some(&running, 30).await;
    running.crash().await;
    copy_database(folder.path(), newer.path());

    copy_database(older.path(), folder.path());
    let running = Running::open(folder.path()).await;
    running.collect().await;
    all_are_there(&running, 20).await;
    let kept = running.metadata.kept_segments().await.unwrap();
    assert_eq!(kept.len(), 1);
    assert!(kept[0].unknown_records.unwrap() >= 18);
    let mut codes: Vec<_> = running.findings().await.iter().map(|finding| finding.code).collect();
    codes.sort_unstable();
    assert_eq!(codes, ["file-unknown", "file-unknown", "segment-kept"]);
    // Even if all that it knows of the pack goes.
    for seed in 0..20 {
        running.delete(&format!("k{seed}")).await;
    }
    running.collect().await;
    assert_eq!(running.metadata.kept_segments().await.unwrap().len(), 1);
    running.crash().await;
    let running = Running::open(folder.path()).await;
    assert_eq!(running.metadata.kept_segments().await.unwrap().len(), 1, "accepted, and not forgotten");
    running.close().await;

    copy_database(newer.path(), folder.path());
    let running = Running::open(folder.path()).await;
    for seed in 20..40 {
        let length = if seed % 10 == 9 { LARGE } else { 300 };
        assert!(running.read(&format!("k{seed}")).await.unwrap() == noise(seed, length), "k{seed}");
    }
    assert_eq!(running.metadata.kept_segments().await.unwrap(), []);
    running.close().await;
}

/// A segment that the disk does not give is passed over and quarantined, and released once it is read again; the same
/// bytes sent meanwhile are stored again.
#[tokio::test]
async fn a_bad_sector_is_a_verdict_about_its_blobs() {
    let folder = TempDir::new().unwrap();
    let running = Running::open(folder.path()).await;
    for seed in 0..6 {
        running.put(&format!("k{seed}"), noise(seed, LARGE)).await.unwrap();
    }
    let faulty = FaultySegments::new(running.tiers.hot.clone());
    let faults = faulty.faults();
    let tiers = Tiers { hot: Arc::new(faulty), cold: running.tiers.cold.clone() };
    let scrubber = Scrubber::new(running.metadata.clone(), tiers, running.clock.clone(), DAY);
    let bad = segment_of(&segment_files(folder.path())[0]);
    faults.spoil(bad);
    let pass = async || {
        let (mut pass, mut codes) = (scrubber.begin().await.unwrap(), Vec::new());
        while pass.finished_at.is_none() {
            let advanced = scrubber.advance(pass).await.unwrap();
            codes.extend(advanced.findings.into_iter().map(|finding| finding.code));
            pass = advanced.pass;
        }
        (pass.blobs, pass.damaged, codes)
    };
    assert_eq!(pass().await, (6, 1, vec!["blob-unreadable"]));
    let quarantined = running.metadata.quarantined(None, 10).await.unwrap();
    assert_eq!(quarantined.iter().map(|leaf| leaf.location.segment).collect::<Vec<_>>(), [bad]);
    faults.heal();
    assert_eq!(pass().await, (6, 0, vec![]));
    assert_eq!(running.metadata.quarantined(None, 10).await.unwrap(), [], "released");

    faults.spoil(bad);
    pass().await;
    for seed in 0..6 {
        running.put("again", noise(seed, LARGE)).await.unwrap();
    }
    assert_eq!(pass().await, (6, 0, vec![]), "what is known to be bad is no duplicate");
    running.collect().await;
    assert_eq!(running.findings().await, []);
    running.close().await;
}

fn aside(path: &Path) -> PathBuf {
    path.with_extension("aside")
}

/// One absent file is quarantined; many are not: the pass stops, `validate` has one finding, and nothing is concluded.
#[tokio::test]
async fn many_absent_files_stop_the_scrubber() {
    let folder = TempDir::new().unwrap();
    let running = Running::open(folder.path()).await;
    for seed in 0..6 {
        running.put(&format!("k{seed}"), noise(seed, LARGE)).await.unwrap();
    }
    let not_ready =
        async || running.store.readiness().await.into_iter().filter(|(_, answer)| answer.is_err()).count();
    let files = segment_files(folder.path());
    std::fs::rename(&files[0], aside(&files[0])).unwrap();
    let (pass, codes) = whole_pass(&running).await;
    assert_eq!((pass.damaged, codes), (1, vec!["segment-missing".to_owned()]));
    assert_eq!(not_ready().await, 0);
    std::fs::rename(aside(&files[0]), &files[0]).unwrap();
    whole_pass(&running).await;
    for path in &files {
        std::fs::rename(path, aside(path)).unwrap();
    }
    let pass = scrubber(&running, DAY).begin().await.unwrap();
    let stopped = scrubber(&running, DAY).advance(pass).await;
    assert!(matches!(stopped, Err(Error::TierAbsent { tier: "hot", .. })), "{stopped:?}");
    let read = running.read("k1").await;
    assert!(matches!(read, Err(Error::TierAbsent { .. })), "{read:?}");
    assert_eq!(running.metadata.quarantined(None, 10).await.unwrap(), []);
    assert_eq!(not_ready().await, 1);
    assert_eq!(
        running.findings().await.iter().map(|finding| finding.code).collect::<Vec<_>>(),
        ["tier-absent"]
    );
    for path in &files {
        std::fs::rename(aside(path), path).unwrap();
    }
    let (pass, codes) = whole_pass(&running).await;
    assert_eq!((pass.damaged, codes.len()), (0, 0));
    assert_eq!(not_ready().await, 0);
    running.close().await;
}

/// An object store reads its bytes itself: the scrubber in the background leaves it alone, but for what is in quarantine;
/// `juststorage scrub` reads everything.
#[tokio::test]
async fn a_tier_that_verifies_itself_is_spared() {
    let folder = TempDir::new().unwrap();
    let running = Running::open(folder.path()).await;
    for seed in 0..6 {
        running.put(&format!("k{seed}"), noise(seed, LARGE)).await.unwrap();
    }
    let faulty = FaultySegments::new(running.tiers.hot.clone()).verifying();
    let faults = faulty.faults();
    let tiers = Tiers { hot: Arc::new(faulty), cold: running.tiers.cold.clone() };
    let make = || Scrubber::new(running.metadata.clone(), tiers.clone(), running.clock.clone(), DAY);
    let (trusting, asked) = (make().trusting(), make());
    let bad = segment_of(&segment_files(folder.path())[0]);
    faults.spoil(bad);
    let pass = async |scrubber: &Scrubber| {
        let mut pass = scrubber.begin().await.unwrap();
        while pass.finished_at.is_none() {
            pass = scrubber.advance(pass).await.unwrap().pass;
        }
        (pass.blobs, pass.bytes, pass.damaged)
    };
    assert_eq!(pass(&trusting).await, (0, 0, 0), "nothing was read");
    assert_eq!(pass(&asked).await, (6, 6 * LARGE as u64, 1));
    assert_eq!(pass(&trusting).await, (1, LARGE as u64, 1), "only what is in quarantine");
    faults.heal();
    assert_eq!(pass(&trusting).await, (1, LARGE as u64, 0));
    assert_eq!(running.metadata.quarantined(None, 10).await.unwrap(), [], "released");
    running.close().await;
}
