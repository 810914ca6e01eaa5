//! The contract over a store in memory, and over one that behaves badly.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::atomic::{AtomicUsize, Ordering};

use object_store::memory::InMemory;
use object_store::multipart::{MultipartStore, PartId};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartId, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::*;
use crate::domain::blob::Hash;
use crate::domain::identity::{StoreId, TierId};
use crate::domain::storage_class::StorageClass;
use crate::testing::bucket::{Fault, FaultyBucket, Request};
use crate::testing::segments as contract;

/// A fault of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Well,
    /// It replaces what it should keep.
    IgnoresConditions,
    /// It does what a write asks for, loses the answer, and is asked again, as a client does by itself.
    LosesAnswers,
    /// The bucket is not there.
    HasNoBucket,
    /// A reader's connection breaks after a while.
    Breaks,
}

#[derive(Debug)]
struct Peer {
    store: InMemory,
    manner: Manner,
    breaks: AtomicUsize,
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.manner)
    }
}

fn failure(what: &'static str) -> Error {
    Error::Generic { store: "peer", source: what.into() }
}

fn no_bucket(location: &Path) -> Error {
    Error::NotFound { path: location.to_string(), source: "<Code>NoSuchBucket</Code>".into() }
}

#[async_trait]
impl ObjectStore for Peer {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        mut opts: PutOptions,
    ) -> Result<PutResult> {
        match self.manner {
            Manner::HasNoBucket => return Err(no_bucket(location)),
            Manner::IgnoresConditions => opts.mode = PutMode::Overwrite,
            Manner::LosesAnswers => {
                self.store.put_opts(location, payload.clone(), opts.clone()).await?;
            }
            Manner::Well | Manner::Breaks => {}
        }
        self.store.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if self.manner == Manner::HasNoBucket {
            return Err(no_bucket(location));
        }
        let mut got = self.store.get_opts(location, options).await?;
        if self.manner == Manner::Breaks && got.range.end - got.range.start > 100_000 {
            self.breaks.fetch_add(1, Ordering::SeqCst);
            let range = got.range.clone();
            let bytes = got.bytes().await?;
            let some = bytes.slice(..bytes.len().min(300_000));
            let broken = bytes.len() > some.len();
            let rest = broken.then(|| Err(failure("the connection broke")));
            let meta = self.store.head(location).await?;
            got = GetResult {
                payload: object_store::GetResultPayload::Stream(
                    stream::iter([Ok(some)].into_iter().chain(rest)).boxed(),
                ),
                meta,
                range,
                attributes: object_store::Attributes::default(),
                extensions: object_store::Extensions::default(),
            };
        }
        Ok(got)
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.store.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}

#[async_trait]
impl MultipartStore for Peer {
    async fn create_multipart(&self, path: &Path) -> Result<MultipartId> {
        self.store.create_multipart(path).await
    }

    async fn put_part(&self, path: &Path, id: &MultipartId, part: usize, data: PutPayload) -> Result<PartId> {
        self.store.put_part(path, id, part, data).await
    }

    async fn complete_multipart(
        &self,
        path: &Path,
        id: &MultipartId,
        parts: Vec<PartId>,
    ) -> Result<PutResult> {
        let done = self.store.complete_multipart(path, id, parts).await;
        if self.manner == Manner::LosesAnswers { Err(failure("the answer was lost")) } else { done }
    }

    async fn abort_multipart(&self, path: &Path, id: &MultipartId) -> Result<()> {
        // As S3 says it of an upload that is over: a writer that was left aborts its own beside whoever tidies up.
        let aborted = self.store.abort_multipart(path, id).await;
        aborted.map_err(|error| Error::NotFound { path: path.to_string(), source: Box::new(error) })
    }
}

/// A tier over a peer of this manner, and the directory of its spool.
fn tier(manner: Manner) -> (Arc<RemoteSegments>, Arc<Peer>, tempfile::TempDir) {
    let spool = tempfile::tempdir().unwrap();
    let peer = Arc::new(Peer { store: InMemory::new(), manner, breaks: AtomicUsize::new(0) });
    (Arc::new(over(&peer, &spool)), peer, spool)
}

fn over(peer: &Arc<Peer>, spool: &tempfile::TempDir) -> RemoteSegments {
    let bucket = Bucket::new(peer.clone(), Path::from("some/tier"), "cold", spool.path().join("spool"));
    RemoteSegments::over(bucket)
}

fn mark(store: u128) -> TierMark {
    TierMark {
        store: StoreId(Uuid::from_u128(store)),
        tier: TierId(Uuid::from_u128(2)),
        class: StorageClass::Cold,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_contract() {
    let (tier, peer, spool) = tier(Manner::Well);
    contract::run_all(tier).await;
    let left: Vec<_> = peer.store.list(Some(&Path::from("some/tier/segments"))).collect().await;
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(
        std::fs::read_dir(spool.path().join("spool")).unwrap().count(),
        0,
        "spooled files have no names"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_contract_with_a_cache() {
    let (tier, peer, spool) = tier(Manner::Well);
    let cache = ReadCache::open(spool.path().join("cache"), 16 << 20, Some(0)).unwrap();
    contract::run_all(Arc::new(RemoteSegments::clone(&tier).with_cache(cache))).await;
    let left: Vec<_> = peer.store.list(Some(&Path::from("some/tier/segments"))).collect().await;
    assert!(left.is_empty(), "{left:?}");
}

/// What reads everything once, such as the scrubber, sees what the tier holds and leaves nothing in the cache.
#[tokio::test(flavor = "multi_thread")]
async fn upkeep_neither_asks_the_cache_nor_fills_it() {
    let (tier, peer, spool) = tier(Manner::Well);
    let cache = ReadCache::open(spool.path().join("cache"), 16 << 20, Some(0)).unwrap();
    let cached = RemoteSegments::clone(&tier).with_cache(cache);
    let payload = contract::noise(1, 3000);
    let (id, offset) = contract::write_single(&cached, &payload, 1 << 20).await;
    let serve = contract::whole(id, offset, 3000);
    let upkeep = ReadRequest { purpose: ReadPurpose::Upkeep, ..serve };
    let path = tier.bucket.settled(id);
    let sound = peer.store.get_opts(&path, GetOptions::default()).await.unwrap().bytes().await.unwrap();
    let put = async |bytes: Vec<u8>| {
        peer.store.put_opts(&path, bytes.into(), PutOptions::default()).await.unwrap();
    };
    let mut damaged = sound.to_vec();
    damaged[4100] ^= 1;
    assert!(contract::read(&cached, upkeep).await.unwrap() == payload);
    put(damaged.clone()).await;
    assert!(contract::read(&cached, serve).await.is_err(), "upkeep filled the cache");
    put(sound.to_vec()).await;
    assert!(contract::read(&cached, serve).await.unwrap() == payload);
    put(damaged).await;
    assert!(contract::read(&cached, serve).await.unwrap() == payload, "from the cache");
    assert!(contract::read(&cached, upkeep).await.is_err(), "upkeep asked the cache");
}

/// Where a directory's layout is the bucket's too, a tier is copied file by file; also one of format version 1.
#[tokio::test]
async fn a_tier_copied_from_a_directory_is_read() {
    let (tier, peer, _spool) = tier(Manner::Well);
    let name = |number: u128| SegmentId(Uuid::from_u128(number << 120 | number));
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/segments/version1");
    for (file, id, records) in [("pack", name(1), 5), ("single", name(3), 1), ("open", name(2), 3)] {
        let bytes = std::fs::read(folder.join(file).with_extension("seg")).unwrap();
        let path = format!("some/tier/segments/{}/{id}.seg", &id.to_string()[..2]);
        peer.store.put_opts(&Path::from(path), bytes.into(), PutOptions::default()).await.unwrap();
        let found = tier.inspect(id).await.unwrap();
        assert_eq!(
            (tier.salvage(id).await.unwrap().records, found.len()),
            (found.clone(), records),
            "{file}"
        );
        for record in found {
            let mut request = contract::whole(id, record.offset, record.length);
            request.hash = Some(record.hash);
            let read = contract::read(&*tier, request).await.unwrap();
            assert_eq!(Hash::of(&read), record.hash, "{file}");
        }
    }
}

/// An answer that was lost, or came twice, is not taken for a name that is taken, nor for a failure.
#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_do_no_harm() {
    let (tier, _, _spool) = tier(Manner::LosesAnswers);
    let payload = contract::noise(1, 20 << 20);
    let (large, offset) = contract::write_single(&*tier, &payload, 1 << 20).await;
    assert!(contract::read(&*tier, contract::whole(large, offset, 20 << 20)).await.unwrap() == payload);
    let (small, offset) = contract::write_single(&*tier, &payload.slice(..1000), 100).await;
    assert!(contract::read(&*tier, contract::whole(small, offset, 1000)).await.unwrap() == payload[..1000]);
    let id = SegmentId::fresh();
    let mut pack = tier.create_pack(id).await.unwrap();
    assert!(pack.takes_more());
    let offset = pack.append(vec![contract::record(payload.slice(..500))]).await.unwrap()[0];
    assert!(!pack.takes_more(), "the next batch has a pack of its own");
    let size = pack.seal().await.unwrap();
    assert_eq!(tier.recover(id, 0).await.unwrap().size, size);
    assert!(contract::read(&*tier, contract::whole(id, offset, 500)).await.unwrap() == payload[..500]);
}

/// What was written although the answer said otherwise counts. Where nobody can see that it was written it does not, and
/// goes when its row does.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_failed_is_collected() {
    let (spool, bucket) = (tempfile::tempdir().unwrap(), Arc::new(FaultyBucket::default()));
    let tier = bucket.tier("cold", spool.path().to_owned());
    for seen in [true, false] {
        let id = SegmentId::fresh();
        let mut pack = tier.create_pack(id).await.unwrap();
        bucket.plan(Request::Put, Some(Fault::AnswerLost));
        bucket.plan(Request::Get, (!seen).then_some(Fault::Refused));
        let written = pack.append(vec![contract::record(contract::noise(1, 500))]).await;
        if seen {
            let read = contract::read(&tier, contract::whole(id, written.unwrap()[0], 500)).await;
            assert_eq!(read.unwrap(), contract::noise(1, 500));
        } else {
            assert!(matches!(written, Err(SegmentError::Unavailable { .. })), "{written:?}");
            let again = pack.append(vec![contract::record(contract::noise(1, 500))]).await;
            assert!(again.is_err(), "never again");
        }
        assert_eq!(bucket.segments().await.len(), 1, "it is there all the same");
        tier.delete(id).await.unwrap();
        assert_eq!(bucket.segments().await, [] as [String; 0]);
    }
}

/// A store that does not honour conditions is refused before anything else is written there, at every start.
#[tokio::test]
async fn a_store_without_conditions_is_refused() {
    let (tier, _, _spool) = tier(Manner::IgnoresConditions);
    tier.set_mark(&mark(1)).await.unwrap();
    for _ in 0..2 {
        let refused = tier.enter(&mark(1)).await.unwrap_err().to_string();
        assert!(refused.contains("If-None-Match"), "{refused}");
    }
    assert_eq!(tier.mark().await.unwrap(), Some(mark(1)), "its mark is as it was");
}

/// Nor is one whose listings do not show what was written just now, or show what was removed.
#[tokio::test]
async fn a_store_with_stale_listings_is_refused() {
    let (spool, bucket) = (tempfile::tempdir().unwrap(), Arc::new(FaultyBucket::default()));
    let tier = bucket.tier("cold", spool.path().to_owned());
    tier.set_mark(&mark(1)).await.unwrap();
    tier.enter(&mark(1)).await.unwrap();
    let before = bucket.objects().await.len();
    bucket.list_stale(true).await;
    let refused = tier.enter(&mark(1)).await.unwrap_err().to_string();
    assert!(refused.contains("does not list"), "{refused}");
    bucket.list_stale(false).await;
    tier.enter(&mark(1)).await.unwrap();
    assert_eq!(bucket.objects().await.len(), before, "what it wrote to see that is gone");
}

/// A bucket that does not exist is no empty tier: nothing is missing, nothing is there to be marked.
#[tokio::test]
async fn a_missing_bucket_is_no_empty_tier() {
    let (tier, _, _spool) = tier(Manner::HasNoBucket);
    for failed in [
        tier.mark().await.map(drop),
        tier.set_mark(&mark(1)).await.map(drop),
        tier.check().await,
        contract::read(&*tier, contract::whole(SegmentId::fresh(), 128, 10)).await.map(drop),
        contract::read(&*tier, contract::whole(SegmentId::fresh(), 4096, 10 << 20)).await.map(drop),
        tier.probe(vec![SegmentId::fresh()]).await.map(drop),
    ] {
        let error = failed.unwrap_err();
        assert!(matches!(error, SegmentError::Unavailable { .. }), "{error}");
        assert!(error.to_string().contains("NoSuchBucket"), "{error}");
    }
}

/// A stream that breaks goes on where it broke.
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_stream_goes_on() {
    let (tier, peer, _spool) = tier(Manner::Breaks);
    let payload = contract::noise(1, (3 << 20) + 5);
    let length = payload.len() as u64;
    let (id, offset) = contract::write_single(&*tier, &payload, 1 << 20).await;
    let mut request = contract::whole(id, offset, length);
    request.start = 70_000;
    assert!(contract::read(&*tier, request).await.unwrap() == payload[70_000..]);
    assert!(peer.breaks.load(Ordering::SeqCst) >= 10);
}

/// A single flipped bit anywhere in a large leaf, its table or its footer is noticed.
#[tokio::test(flavor = "multi_thread")]
async fn damage_is_never_served() {
    let (tier, peer, _spool) = tier(Manner::Well);
    let payload = contract::noise(1, (2 << 20) + 5);
    let length = payload.len() as u64;
    let (id, offset) = contract::write_single(&*tier, &payload, 1 << 20).await;
    let path = tier.bucket.settled(id);
    let sound = peer.store.get_opts(&path, GetOptions::default()).await.unwrap().bytes().await.unwrap();
    let (payload_at, table_at) = (4096, 4096 + payload.len());
    let footer_at = table_at + 33 * 4;
    for position in
        [payload_at, payload_at + 1_000_000, table_at - 1, table_at + 40, footer_at, footer_at + 70]
    {
        let mut damaged = sound.to_vec();
        damaged[position] ^= 4;
        peer.store.put_opts(&path, damaged.into(), PutOptions::default()).await.unwrap();
        let read = contract::read(&*tier, contract::whole(id, offset, length)).await;
        assert!(matches!(read, Err(SegmentError::Corrupt { .. })), "{position}: {read:?}");
    }
    let cut = sound.slice(..1_000_000);
    peer.store.put_opts(&path, cut.into(), PutOptions::default()).await.unwrap();
    let read = contract::read(&*tier, contract::whole(id, offset, length)).await;
    assert!(read.is_err());
}

/// An upload of a server that died is removed with its segment, parts and note.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_was_begun_is_aborted_with_its_segment() {
    let (tier, peer, _spool) = tier(Manner::Well);
    let id = SegmentId::fresh();
    let upload = peer.store.create_multipart(&tier.bucket.settled(id)).await.unwrap();
    tier.bucket.put(&tier.bucket.staged(id), upload.clone(), PutMode::Overwrite).await.unwrap();
    tier.delete(id).await.unwrap();
    let more = peer.store.put_part(&tier.bucket.settled(id), &upload, 0, "x".into()).await;
    assert!(more.is_err(), "the upload is still open");
    assert_eq!(peer.store.list(None).count().await, 0);
}

/// As much as its pace allows and no more: the requests of reads and removals, and the bytes that are read. Reads for clients do
/// not wait. The clock is the test's own, so that this counts and measures nothing.
#[tokio::test(start_paused = true)]
async fn background_work_keeps_to_its_pace() {
    let (tier, _, _spool) = tier(Manner::Well);
    let (small, large) = (contract::noise(1, 3000), contract::noise(2, 4 << 20));
    let (small_id, small_at) = contract::write_single(&*tier, &small, 1 << 20).await;
    let (large_id, large_at) = contract::write_single(&*tier, &large, 1 << 20).await;
    let small = ReadRequest { purpose: ReadPurpose::Upkeep, ..contract::whole(small_id, small_at, 3000) };
    let large = ReadRequest { purpose: ReadPurpose::Upkeep, ..contract::whole(large_id, large_at, 4 << 20) };
    let serve = ReadRequest { purpose: ReadPurpose::Serve, ..large };
    let requests = UpkeepPace { requests_per_second: 10, bytes_per_second: 0 };
    let bytes = UpkeepPace { requests_per_second: 0, bytes_per_second: 1 << 20 };
    let paced = |pace| RemoteSegments::clone(&tier).paced(pace);
    let reads = async |pace, request: ReadRequest, count: usize| {
        let (tier, begun) = (paced(pace), tokio::time::Instant::now());
        for _ in 0..count {
            contract::read(&tier, request).await.unwrap();
        }
        begun.elapsed().as_secs_f64()
    };
    // A quarter of a second may be ahead.
    let is = |took: f64, seconds: f64| (seconds - 0.3..=seconds + 0.1).contains(&took);
    let took = reads(requests, small, 40).await;
    assert!(is(took, 4.0), "40 requests took {took} s");
    let took = reads(requests, large, 20).await;
    assert!(is(took, 4.0), "20 large leaves, two requests each, took {took} s");
    let took = reads(bytes, large, 2).await;
    assert!(is(took, 8.0), "8 MiB took {took} s");
    for pace in [requests, bytes] {
        let took = reads(pace, serve, 10).await;
        assert!(took < 0.01, "clients waited {took} s");
    }
    let (tier, begun) = (paced(requests), tokio::time::Instant::now());
    for _ in 0..20 {
        tier.read_small(vec![small]).await.pop().unwrap().unwrap();
    }
    let took = begun.elapsed().as_secs_f64();
    assert!(is(took, 2.0), "20 requests took {took} s");
    let begun = tokio::time::Instant::now();
    for _ in 0..20 {
        tier.delete_all(&[SegmentId::fresh(), SegmentId::fresh()]).await;
    }
    let took = begun.elapsed().as_secs_f64();
    assert!(is(took, 4.0), "20 removals, each a listing and a request, took {took} s");
}
