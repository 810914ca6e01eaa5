//! Power cuts under the segment store, by the thousand: every write acknowledged before one is there after it.
//!
//! A cycle writes packs and singles on a disk that forgets what was not synced, tears writes and reorders them,
//! cuts the power at a random step (or lets a sync fail, and cuts it later), recovers as a start does, and reads
//! everything that was acknowledged. `JUSTSTORAGE_POWER_CYCLES` (2000) is the number of cycles,
//! `JUSTSTORAGE_POWER_SEED` repeats a run from one of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use bytes::Bytes;
use juststorage_core::application::ports::segments::{PackWriter, SegmentError, SegmentStore as _};
use juststorage_core::domain::blob::{Hash, SegmentId};
use juststorage_core::infrastructure::segments::LocalSegments;
use juststorage_core::testing::disk::{Dice, Disk, Kind, Watch};
use juststorage_core::testing::segments as contract;
use tempfile::TempDir;

/// A count, to be divided by.
#[allow(clippy::cast_precision_loss, reason = "a rate is a rounded figure")]
fn number_of(count: u64) -> f64 {
    count as f64
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// In memory if there is such a file system: nothing here needs a disk that keeps its word, since none is asked.
fn folder() -> TempDir {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory).unwrap() } else { TempDir::new().unwrap() }
}

/// What the metadata store would know: it never loses what it was told.
#[derive(Default)]
struct Known {
    /// Of packs that are not sealed: how far they were committed.
    open: BTreeMap<SegmentId, u64>,
    /// Singles whose row says that they are being written.
    writing: Vec<SegmentId>,
    /// What was acknowledged: where, and which bytes.
    acknowledged: Vec<(SegmentId, u64, Bytes)>,
    /// Segments whose rows say that they are about to be removed.
    condemned: Vec<SegmentId>,
}

struct Cycle {
    store: LocalSegments,
    known: Known,
    pack: Option<Box<dyn PackWriter>>,
}

impl Cycle {
    async fn append(&mut self, dice: &mut Dice) -> Result<(), SegmentError> {
        let mut pack = if let Some(pack) = self.pack.take() {
            pack
        } else {
            let id = SegmentId::fresh();
            self.known.open.insert(id, 0);
            self.store.create_pack(id).await?
        };
        let payloads: Vec<_> = (0..=dice.roll(3))
            .map(|_| contract::noise(dice.bits(), [0, 1, 300, 300, 700, 3000, 3000, 70_000][dice.index(8)]))
            .collect();
        let offsets = pack.append(payloads.iter().cloned().map(contract::record).collect()).await?;
        self.known.open.insert(pack.id(), pack.size());
        for (payload, offset) in payloads.into_iter().zip(offsets) {
            self.known.acknowledged.push((pack.id(), offset, payload));
        }
        self.pack = Some(pack);
        Ok(())
    }

    async fn seal(&mut self) -> Result<(), SegmentError> {
        let Some(pack) = self.pack.take() else { return Ok(()) };
        let id = pack.id();
        pack.seal().await?;
        self.known.open.remove(&id);
        Ok(())
    }

    async fn single(&mut self, dice: &mut Dice) -> Result<(), SegmentError> {
        let id = SegmentId::fresh();
        self.known.writing.push(id);
        let payload = contract::noise(
            dice.bits(),
            if dice.percent(4) { 600_000 } else { [1, 5000, 70_000][dice.index(3)] },
        );
        let mut writer = self.store.create_single(id, [0; 16], None).await?;
        writer.write(payload.clone()).await?;
        if dice.percent(10) {
            drop(writer);
            return Ok(());
        }
        let (offset, _) = writer.finish(Hash::of(&payload)).await?;
        self.known.writing.retain(|writing| *writing != id);
        self.known.acknowledged.push((id, offset, payload));
        Ok(())
    }

    /// As garbage collection does: the rows go first.
    async fn remove(&mut self, dice: &mut Dice) -> Result<(), SegmentError> {
        if self.known.acknowledged.is_empty() {
            return Ok(());
        }
        let id = self.known.acknowledged[dice.index(self.known.acknowledged.len())].0;
        if self.pack.as_ref().is_some_and(|pack| pack.id() == id) || self.known.open.contains_key(&id) {
            return Ok(());
        }
        self.known.acknowledged.retain(|(segment, ..)| *segment != id);
        self.known.condemned.push(id);
        self.store.delete(id).await?;
        self.known.condemned.retain(|condemned| *condemned != id);
        Ok(())
    }

    /// As a start does, behind a writer that died. The power may go again meanwhile.
    async fn recover(&mut self) -> Result<(), SegmentError> {
        for (id, committed) in self.known.open.clone() {
            // A pack without a commit in it is condemned, as every write that was not acknowledged.
            if committed == 0 {
                self.known.open.remove(&id);
                self.known.condemned.push(id);
                continue;
            }
            self.store.recover(id, committed).await?;
            self.known.open.remove(&id);
        }
        self.known.condemned.append(&mut self.known.writing);
        for id in self.known.condemned.clone() {
            self.store.delete(id).await?;
            self.known.condemned.retain(|condemned| *condemned != id);
        }
        Ok(())
    }

    async fn check(&self, what: &str) -> Result<(), String> {
        for (segment, offset, payload) in &self.known.acknowledged {
            let request = contract::whole(*segment, *offset, payload.len() as u64);
            let request = juststorage_core::application::ports::segments::ReadRequest {
                hash: Some(Hash::of(payload)),
                ..request
            };
            match contract::read(&self.store, request).await {
                Ok(read) if read == *payload => {}
                Ok(_) => return Err(format!("{what}: other bytes")),
                Err(error) => return Err(format!("{what}: acknowledged bytes are lost: {error}")),
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct Tally {
    cuts: u64,
    kills: u64,
    failed_syncs: u64,
    acknowledged: u64,
    cuts_in_recovery: u64,
}

/// One store's life, through several ends. `Err` says what was lost.
async fn cycle(seed: u64, tally: &mut Tally, lie: Option<Kind>) -> Result<(), String> {
    let what = format!("JUSTSTORAGE_POWER_SEED={seed}");
    let mut dice = Dice::new(seed);
    let folder = folder();
    let disk = Disk::new(folder.path());
    if let Some(kind) = lie {
        disk.lie(kind);
    }
    let watch = Watch::begin(disk.clone());
    // Two directories to make: each has a name to keep.
    let open = || LocalSegments::open(folder.path().join("store").join("tier"), "hot");
    let mut cycle = Cycle { store: open().unwrap(), known: Known::default(), pack: None };
    for _ in 0..=dice.roll(2) {
        if dice.percent(25) {
            disk.fail(Kind::SyncFile, 1 + dice.roll(6));
            tally.failed_syncs += 1;
        }
        disk.die_after(dice.roll(40));
        while !disk.is_dead() {
            let done = match dice.roll(10) {
                0..5 => cycle.append(&mut dice).await,
                5 => cycle.seal().await,
                6..9 => cycle.single(&mut dice).await,
                _ => cycle.remove(&mut dice).await,
            };
            // A failure is answered and forgotten: its writer is not used again.
            drop(done);
        }
        cycle.pack = None;
        if dice.percent(30) {
            // Only the process ends; what it had not synced may go with a later cut.
            disk.revive();
            tally.kills += 1;
        } else {
            disk.cut(&mut dice);
            tally.cuts += 1;
        }
        loop {
            // The power may go again while what it left is mended.
            let again = dice.percent(20);
            if again {
                disk.die_after(dice.roll(12));
            }
            let mended = match open() {
                Ok(store) => {
                    cycle.store = store;
                    cycle.recover().await
                }
                Err(error) => Err(error),
            };
            if mended.is_ok() && !disk.is_dead() {
                break;
            }
            if !disk.is_dead() {
                return Err(format!("{what}: recovery failed: {mended:?}"));
            }
            tally.cuts_in_recovery += 1;
            disk.cut(&mut dice);
        }
        disk.die_after(u64::MAX >> 2);
        cycle.check(&what).await?;
    }
    tally.acknowledged += cycle.known.acknowledged.len() as u64;
    drop(watch);
    Ok(())
}

/// These tests can fail: on a disk that forgets what it was told to keep, or under a program that does not tell it,
/// they do so soon.
#[test]
fn a_forgotten_sync_shows() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for kind in [Kind::SyncFile, Kind::SyncDirectory] {
        let lost =
            (0..300).find(|seed| runtime.block_on(cycle(*seed, &mut Tally::default(), Some(kind))).is_err());
        println!("without {kind:?} the first loss is in cycle {}", lost.expect("a loss in 300 cycles"));
    }
}

#[test]
fn nothing_acknowledged_is_lost_with_the_power() {
    let cycles = number("JUSTSTORAGE_POWER_CYCLES").unwrap_or(2000);
    let seed = number("JUSTSTORAGE_POWER_SEED").unwrap_or_else(|| u64::from(std::process::id()) << 32);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut tally = Tally::default();
    println!("{cycles} cycles from JUSTSTORAGE_POWER_SEED={seed}");
    let begun = Instant::now();
    for seed in seed..seed + cycles {
        runtime.block_on(cycle(seed, &mut tally, None)).unwrap_or_else(|loss| panic!("{loss}"));
    }
    let Tally { cuts, kills, failed_syncs, acknowledged, cuts_in_recovery } = tally;
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "figures: power: {cycles} cycles, {cuts} power cuts, {kills} kills, {cuts_in_recovery} more cuts in recovery, \
         {failed_syncs} syncs set to fail, {acknowledged} acknowledged blobs read back at the end, 0 lost; \
         {seconds:.0} s, {:.1} cycles/s",
        number_of(cycles) / seconds
    );
    assert!(cycles < 100 || acknowledged > cycles && cuts_in_recovery > 0);
}
