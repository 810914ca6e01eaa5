//! The cache over an object store that counts requests, holds them back, and lies.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::HashMap;
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::sync::Mutex;

use async_trait::async_trait;
use futures::future::join_all;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use tempfile::TempDir;
use tokio::sync::Semaphore;

use super::super::local::LocalSegments;
use super::disk::Disk;
use super::flights::{self, RUN};
use super::page::PAGE;
use super::*;
use crate::domain::blob::Hash;
use crate::testing::segments as contract;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// The least that the setting allows.
const BYTES: u64 = 16 << 20;

#[derive(Default)]
struct Objects {
    held: Mutex<HashMap<SegmentId, Bytes>>,
    requests: Mutex<Vec<Range<u64>>>,
    /// Where it is there, each request needs a permit before it is answered.
    gate: Option<Semaphore>,
    /// An answer breaks off after so many bytes; 0: none does.
    breaks_after: usize,
    /// So many answers are of a segment as it was when half of what was asked for had been written.
    behind: Mutex<usize>,
}

#[async_trait]
impl Source for Objects {
    async fn bytes(
        &self,
        segment: SegmentId,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, SegmentError>>, SegmentError> {
        self.requests.lock().unwrap().push(range.clone());
        if let Some(gate) = &self.gate {
            gate.acquire().await.unwrap().forget();
        }
        let held = self.held.lock().unwrap().get(&segment).cloned();
        let whole = held.ok_or(SegmentError::Missing(segment))?;
        let at = |offset: u64| usize::try_from(offset).unwrap().min(whole.len());
        let mut bytes = whole.slice(at(range.start)..at(range.end));
        let mut behind = self.behind.lock().unwrap();
        if *behind > 0 {
            *behind -= 1;
            bytes.truncate(bytes.len() / 2);
        }
        drop(behind);
        let mut broken = Vec::new();
        if self.breaks_after > 0 && bytes.len() > self.breaks_after {
            bytes.truncate(self.breaks_after);
            broken.push(Err(flights::given_up()));
        }
        let chunks: Vec<_> = bytes.chunks(50_000).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        Ok(stream::iter(chunks.into_iter().chain(broken)).boxed())
    }
}

/// A leaf of the store.
#[derive(Clone)]
struct Kept {
    request: crate::application::ports::segments::ReadRequest,
    payload: Bytes,
}

impl Kept {
    fn new(id: SegmentId, offset: u64, payload: Bytes) -> Self {
        let mut request = contract::whole(id, offset, payload.len() as u64);
        request.hash = Some(Hash::of(&payload));
        Self { request, payload }
    }

    fn range(&self, start: usize, end: usize) -> Self {
        let mut kept = self.clone();
        (kept.request.start, kept.request.end) = (start as u64, end as u64);
        kept.payload = self.payload.slice(start..end);
        kept
    }
}

/// Segments as a tier in a directory writes them.
struct Rig {
    objects: Arc<Objects>,
    tier: LocalSegments,
    directory: TempDir,
}

impl Rig {
    fn new() -> Self {
        Self::over(Objects::default())
    }

    fn over(objects: Objects) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let tier = LocalSegments::open(directory.path().join("tier"), "cold").unwrap();
        Self { objects: Arc::new(objects), tier, directory }
    }

    fn cache_dir(&self) -> PathBuf {
        self.directory.path().join("cache")
    }

    /// Ends a cache: everything is written, and its directory can be opened again.
    async fn end(&self, cache: ReadCache) {
        cache.written().await;
        drop(cache);
        // Fetches hold it until their last word is said.
        let lock = self.file("lock");
        while lock.try_lock().is_err() {
            tokio::task::yield_now().await;
        }
    }

    fn cache(&self) -> ReadCache {
        // No reserve: what is free on the machine is not what is tested.
        ReadCache::open(self.cache_dir(), BYTES, Some(0)).unwrap()
    }

    fn put(&self, segment: SegmentId) {
        let name = segment.to_string();
        let file = self.directory.path().join("tier/segments").join(&name[..2]).join(format!("{name}.seg"));
        self.objects.held.lock().unwrap().insert(segment, std::fs::read(file).unwrap().into());
    }

    async fn single(&self, seed: u64, length: usize) -> Kept {
        let payload = contract::noise(seed, length);
        let (id, offset) = contract::write_single(&self.tier, &payload, MIB).await;
        self.put(id);
        Kept::new(id, offset, payload)
    }

    async fn pack(&self, lengths: &[usize]) -> Vec<Kept> {
        use crate::application::ports::segments::SegmentStore as _;
        let id = SegmentId::fresh();
        let mut pack = self.tier.create_pack(id).await.unwrap();
        let payloads: Vec<_> =
            (0..).zip(lengths).map(|(seed, length)| contract::noise(seed + 100, *length)).collect();
        let records = payloads.iter().cloned().map(contract::record).collect();
        let offsets = pack.append(records).await.unwrap();
        pack.seal().await.unwrap();
        self.put(id);
        offsets.into_iter().zip(payloads).map(|(offset, payload)| Kept::new(id, offset, payload)).collect()
    }

    fn requests(&self) -> usize {
        self.objects.requests.lock().unwrap().len()
    }

    async fn read(&self, cache: &ReadCache, kept: &Kept) -> Result<Vec<u8>, SegmentError> {
        let stretch = Stretch::new(kept.request)?;
        let source: Arc<dyn Source> = self.objects.clone();
        let chunks: Vec<Bytes> = cache.read(source, stretch).await?.try_collect().await?;
        Ok(chunks.concat())
    }

    async fn assert_read(&self, cache: &ReadCache, kept: &Kept) {
        assert!(self.read(cache, kept).await.unwrap() == kept.payload);
    }

    fn change(&self, segment: SegmentId, change: impl FnOnce(&mut Vec<u8>)) {
        let mut held = self.objects.held.lock().unwrap();
        let mut bytes = held[&segment].to_vec();
        change(&mut bytes);
        held.insert(segment, bytes.into());
    }

    fn file(&self, name: &str) -> std::fs::File {
        std::fs::OpenOptions::new().read(true).write(true).open(self.cache_dir().join(name)).unwrap()
    }

    /// Flips a bit of every page on the disk.
    fn damage_pages(&self) {
        let pages = self.file("pages");
        for slot in 0..pages.metadata().unwrap().len() / PAGE {
            let mut byte = [0];
            pages.read_exact_at(&mut byte, slot * PAGE + 99).unwrap();
            pages.write_all_at(&[byte[0] ^ 1], slot * PAGE + 99).unwrap();
        }
    }
}

impl ReadCache {
    /// Waits until all that was fetched is written.
    async fn written(&self) {
        self.0.held.written().await;
    }

    /// Ends the cache, as the end of the process does.
    /// Forgets what is in memory.
    fn empty_memory(&self) {
        self.0.held.memory().invalidate_all();
        self.0.held.memory().run_pending_tasks();
    }
}

/// Every shape of leaf comes back whole and in ranges, and what was fetched once is not fetched again, from memory, from the
/// disk and from the disk of the next process.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_fetched_is_not_fetched_again() {
    let rig = Rig::new();
    let mut leaves = rig.pack(&[0, 1, 4096, 65_536, 65_537, 100_000, 300_000, 1 << 20, 10]).await;
    leaves.push(rig.single(1, 3 * MIB + 5).await);
    leaves.push(rig.single(2, 6 * MIB).await);
    for kept in leaves.clone() {
        let length = kept.payload.len();
        if length < 2 {
            continue;
        }
        for (start, end) in
            [(0, 0), (1, 2), (length / 2, length), (length / 3, length / 2), (length - 1, length)]
        {
            leaves.push(kept.range(start, end));
        }
    }
    let mut cache = rig.cache();
    for kept in &leaves {
        rig.assert_read(&cache, kept).await;
    }
    let fetched = rig.requests();
    cache.written().await;
    for kept in &leaves {
        rig.assert_read(&cache, kept).await;
    }
    cache.empty_memory();
    for kept in &leaves {
        rig.assert_read(&cache, kept).await;
    }
    rig.end(cache).await;
    cache = rig.cache();
    for kept in &leaves {
        rig.assert_read(&cache, kept).await;
    }
    assert_eq!(rig.requests(), fetched);
}

/// A large leaf is one request and one for its end, a small one a single request.
#[tokio::test(flavor = "multi_thread")]
async fn a_leaf_takes_few_requests() {
    let rig = Rig::new();
    let cache = rig.cache();
    rig.assert_read(&cache, &rig.single(1, 10 * MIB).await).await;
    assert_eq!(rig.requests(), 2);
    rig.assert_read(&cache, &rig.single(2, 300 * KIB).await).await;
    assert_eq!(rig.requests(), 3);
    rig.assert_read(&cache, &rig.pack(&[500, 4096]).await[1]).await;
    assert_eq!(rig.requests(), 4);
}

/// An answer that breaks goes on where it broke.
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_answer_goes_on() {
    let rig = Rig::over(Objects { breaks_after: 200_000, ..Objects::default() });
    let cache = rig.cache();
    rig.assert_read(&cache, &rig.single(1, 2 * MIB).await).await;
    assert!(rig.requests() > 8);
}

/// However many ask for a page, it is fetched once; also if the first who asked has gone.
#[tokio::test(flavor = "multi_thread")]
async fn many_who_ask_are_one_request() {
    let rig = Arc::new(Rig::over(Objects { gate: Some(Semaphore::new(0)), ..Objects::default() }));
    let kept = rig.pack(&[4096]).await.remove(0);
    let cache = rig.cache();
    let ask = || {
        let (rig, cache, kept) = (Arc::clone(&rig), cache.clone(), kept.clone());
        tokio::spawn(async move { rig.read(&cache, &kept).await.unwrap() == kept.payload })
    };
    let first = ask();
    while rig.requests() == 0 {
        tokio::task::yield_now().await;
    }
    let others: Vec<_> = (0..50).map(|_| ask()).collect();
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    rig.objects.gate.as_ref().unwrap().add_permits(100);
    assert!(join_all(others).await.into_iter().all(|right| right.unwrap()));
    assert_eq!(rig.requests(), 1);
}

/// Whoever reads everything once takes the place of nothing that is asked for again and again.
#[tokio::test(flavor = "multi_thread")]
async fn a_scan_flushes_nothing() {
    let rig = Rig::new();
    let cache = rig.cache();
    let mut hot = Vec::new();
    for seed in 0..20 {
        hot.push(rig.single(seed, 100 * KIB).await);
    }
    // Fills the disk, and then some.
    rig.assert_read(&cache, &rig.single(50, 20 * MIB).await).await;
    cache.written().await;
    for _ in 0..4 {
        for kept in &hot {
            rig.assert_read(&cache, kept).await;
        }
        cache.written().await;
    }
    let before = rig.requests();
    for seed in 0..3 {
        let scanned = rig.single(60 + seed, 20 * MIB).await;
        rig.assert_read(&cache, &scanned).await;
        cache.written().await;
    }
    let scans = rig.requests() - before;
    cache.empty_memory();
    for kept in &hot {
        rig.assert_read(&cache, kept).await;
    }
    assert_eq!(rig.requests() - before, scans, "the hot set was flushed");
}

/// A page of a pack as it was before the pack grew may be in the cache, and come there once more after it was dropped. What
/// counts as damage of the segment is what the store itself answers.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_page_is_no_damage() {
    for behind in 0..=2 {
        let rig = Rig::over(Objects { behind: Mutex::new(behind), ..Objects::default() });
        let cache = rig.cache();
        let kept = rig.pack(&[4096]).await.remove(0);
        rig.assert_read(&cache, &kept).await;
        // One more where the first answer came back from the disk's queue.
        assert!((behind + 1..=3).contains(&rig.requests()), "{behind}: {}", rig.requests());
    }
}

/// Whatever becomes of the files, the bytes are right; what is damaged is fetched again, and once.
#[tokio::test(flavor = "multi_thread")]
async fn damage_on_the_disk_is_never_served() {
    let rig = Rig::new();
    let leaves = [rig.pack(&[4096, 65_536]).await.remove(1), rig.single(1, 2 * MIB).await];
    let mut cache = rig.cache();
    for kept in &leaves {
        rig.assert_read(&cache, kept).await;
    }
    // While it runs.
    cache.written().await;
    cache.empty_memory();
    rig.damage_pages();
    let before = rig.requests();
    for kept in &leaves {
        rig.assert_read(&cache, kept).await;
    }
    assert!(rig.requests() > before, "it was fetched again");
    // Between two runs: pages, what says where they lie, and pages that lie in each other's slots.
    let swap: &dyn Fn() = &|| {
        let pages = rig.file("pages");
        let (mut one, mut other) = (vec![0; 64 * KIB], vec![0; 64 * KIB]);
        pages.read_exact_at(&mut one, PAGE).unwrap();
        pages.read_exact_at(&mut other, 2 * PAGE).unwrap();
        pages.write_all_at(&one, 2 * PAGE).unwrap();
        pages.write_all_at(&other, PAGE).unwrap();
    };
    let ways: [(&str, &dyn Fn()); 5] = [
        ("pages", &|| rig.damage_pages()),
        ("entries", &|| rig.file("index").write_all_at(&[0x5a; 5000], 4096).unwrap()),
        ("header", &|| rig.file("index").write_all_at(b"x", 3).unwrap()),
        ("cut", &|| rig.file("pages").set_len(100_000).unwrap()),
        ("swapped", swap),
    ];
    for (what, damage) in ways {
        rig.end(cache).await;
        damage();
        cache = rig.cache();
        let before = rig.requests();
        for kept in &leaves {
            assert!(rig.read(&cache, kept).await.unwrap() == kept.payload, "{what}");
        }
        let again = rig.requests();
        assert!(again > before, "{what}");
        cache.written().await;
        for kept in &leaves {
            rig.assert_read(&cache, kept).await;
        }
        assert_eq!(rig.requests(), again, "{what}: sound again");
    }
}

/// What does not match in memory is fetched again before it counts as damage; what is damaged in the tier is an error, and
/// right again once the tier is.
#[tokio::test(flavor = "multi_thread")]
async fn damage_of_the_tier_is_told_and_not_kept() {
    let rig = Rig::new();
    let cache = rig.cache();
    for kept in [rig.pack(&[4096]).await.remove(0), rig.single(1, MIB).await, rig.single(2, 3 * MIB).await] {
        let segment = kept.request.segment;
        let payload = usize::try_from(kept.request.payload_offset).unwrap();
        let table = payload + kept.payload.len();
        let footer = table + kept.payload.len().div_ceil(65_536) * 4;
        for at in [payload + 10, table - 1, table + 1, footer + 20] {
            // What is on its way to the disk would come back behind it.
            cache.written().await;
            cache.forget(&[segment]).await;
            rig.change(segment, |bytes| bytes[at] ^= 1);
            let read = rig.read(&cache, &kept).await.map(drop);
            assert!(matches!(read, Err(SegmentError::Corrupt { .. })), "{at}: {read:?}");
            rig.change(segment, |bytes| bytes[at] ^= 1);
            assert!(rig.read(&cache, &kept).await.unwrap() == kept.payload, "{at}: it stayed in the cache");
            // And from a cache that holds damaged pages, which no CRC of a page finds.
            let mut numbers = Vec::new();
            for (key, page) in cache.0.held.memory() {
                if key.segment == segment {
                    numbers.push((*key, page));
                }
            }
            for (key, page) in numbers {
                let mut damaged = page.to_vec();
                for byte in &mut damaged {
                    *byte ^= 1;
                }
                cache.0.held.memory().insert(key, damaged.into());
            }
            assert!(rig.read(&cache, &kept).await.unwrap() == kept.payload, "{at}");
        }
    }
}

/// What a segment had is gone with it, and absence is told as such.
#[tokio::test(flavor = "multi_thread")]
async fn a_removed_segment_is_forgotten() {
    let rig = Rig::new();
    let cache = rig.cache();
    let (gone, stays) = (rig.single(1, MIB).await, rig.single(2, MIB).await);
    rig.assert_read(&cache, &gone).await;
    rig.assert_read(&cache, &stays).await;
    cache.written().await;
    let segment = gone.request.segment;
    rig.objects.held.lock().unwrap().remove(&segment);
    rig.assert_read(&cache, &gone).await;
    cache.forget(&[segment]).await;
    assert!(matches!(rig.read(&cache, &gone).await, Err(SegmentError::Missing(_))));
    let before = rig.requests();
    rig.assert_read(&cache, &stays).await;
    assert_eq!(rig.requests(), before);
    rig.end(cache).await;
    assert!(matches!(rig.read(&rig.cache(), &gone).await, Err(SegmentError::Missing(_))), "it came back");
}

/// The files never take more than the setting says, also after it became smaller.
#[tokio::test(flavor = "multi_thread")]
async fn the_disk_is_bounded() {
    let rig = Rig::new();
    let taken = || -> (u64, u64) {
        let files = std::fs::read_dir(rig.cache_dir()).unwrap().map(|file| file.unwrap().metadata().unwrap());
        files.fold((0, 0), |sum, file| (sum.0 + file.len(), sum.1 + file.blocks() * 512))
    };
    let cache = rig.cache();
    for seed in 0..3 {
        rig.assert_read(&cache, &rig.single(seed, 12 * MIB).await).await;
        cache.written().await;
    }
    assert!(taken().0 <= BYTES && taken().1 <= BYTES + 64 * KIB as u64, "{:?}", taken());
    assert!(taken().1 > BYTES / 2, "{:?}", taken());
    rig.end(cache).await;
    let half = ReadCache::open(rig.cache_dir(), BYTES / 2, Some(0)).unwrap();
    assert!(taken().0 <= BYTES / 2, "{:?}", taken());
    rig.assert_read(&half, &rig.single(9, 12 * MIB).await).await;
    rig.end(half).await;
    assert!(taken().0 <= BYTES / 2 && std::fs::read_dir(rig.cache_dir()).unwrap().count() == 3);
}

/// A directory that cannot be the cache's is named; a second process is kept out.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_directory_is_refused() {
    let rig = Rig::new();
    let open = |path: PathBuf| ReadCache::open(path, BYTES, None).map(drop);
    let file = rig.directory.path().join("file");
    std::fs::write(&file, "mine").unwrap();
    assert!(open(file.clone()).unwrap_err().contains("file"));
    std::fs::create_dir_all(rig.cache_dir().join("pages")).unwrap();
    assert!(open(rig.cache_dir()).unwrap_err().contains("pages"));
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
    std::fs::remove_dir(rig.cache_dir().join("pages")).unwrap();
    let cache = rig.cache();
    assert!(open(rig.cache_dir()).unwrap_err().contains("another process"));
    rig.end(cache).await;
    open(rig.cache_dir()).unwrap();
}

/// Where the disk has no room for the cache, reads go on.
#[tokio::test(flavor = "multi_thread")]
async fn reads_go_on_without_room_on_the_disk() {
    let rig = Rig::new();
    // A reserve that no disk has.
    let cache = ReadCache::open(rig.cache_dir(), BYTES, Some(1 << 60)).unwrap();
    let kept = rig.single(1, 3 * MIB).await;
    for _ in 0..2 {
        rig.assert_read(&cache, &kept).await;
        cache.written().await;
        cache.empty_memory();
    }
    assert_eq!(rig.file("pages").metadata().unwrap().blocks(), 0);
    assert_eq!(rig.requests(), 2);
}

/// A disk that becomes short of room gets it back.
#[tokio::test(flavor = "multi_thread")]
async fn room_is_given_back() {
    let rig = Rig::new();
    let cache = rig.cache();
    let kept = rig.single(1, 8 * MIB).await;
    rig.assert_read(&cache, &kept).await;
    rig.end(cache).await;
    let blocks = || rig.file("pages").metadata().unwrap().blocks() * 512;
    assert!(blocks() >= 8 << 20);
    let disk = Disk::open(&rig.cache_dir(), BYTES, Some(1 << 60)).unwrap();
    disk.keep_room();
    assert_eq!(blocks(), 0);
    drop(disk);
    rig.assert_read(&rig.cache(), &kept).await;
}

/// With many readers each gets less, so that all of them together hold a bounded piece of memory.
#[tokio::test(flavor = "multi_thread")]
async fn many_readers_share_the_memory() {
    let rig = Rig::new();
    let cache = rig.cache();
    assert_eq!(cache.0.run(), RUN);
    let kept = rig.single(1, MIB + 5).await;
    let mut readers = Vec::new();
    for _ in 0..300 {
        let source: Arc<dyn Source> = rig.objects.clone();
        let mut reader = cache.read(source, Stretch::new(kept.request).unwrap()).await.unwrap();
        let first = reader.try_next().await.unwrap().unwrap();
        readers.push((first, reader));
    }
    assert_eq!(cache.0.run(), 1);
    for (first, reader) in readers {
        let rest: Vec<Bytes> = reader.try_collect().await.unwrap();
        assert!([&[first], rest.as_slice()].concat().concat() == kept.payload);
    }
    assert_eq!(cache.0.run(), RUN, "none is counted that has gone");
}
