//! A tier in an object store: S3 and what speaks its protocol, Google Cloud Storage, Azure.
//!
//! A segment is one object, written whole or not at all, so that none is ever torn and nothing needs to be mended. It is
//! created under a name that the metadata store knew before and that is never used twice: an answer that was lost leaves
//! an object that its row collects.

mod bucket;
mod credentials;
mod open;
mod pace;
mod pack;
mod reader;
mod single;
mod suspect;
#[cfg(all(test, feature = "testing"))]
mod tests;
mod transport;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::join_all;
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt as _, PutMode};
use tokio::sync::Mutex;
use uuid::Uuid;

pub use open::ObjectStoreUrl;
pub use pace::UpkeepPace;
pub use suspect::Suspect;

use self::bucket::{AT_ONCE, Bucket, Indexed, corrupt, failed};
use self::pace::{Upkeep, slowed};
use self::pack::RemotePack;
use self::single::RemoteSingle;
use super::cache::ReadCache;
use super::handles::Handle;
use super::reader::Stretch;
use super::{mark, notes, walk};
use crate::application::ports::segments::{
    DomainTag, FoundRecord, Mended, PackWriter, Packing, Presence, ReadPurpose, ReadRequest, Salvaged,
    SegmentError, SegmentStore, SingleWriter,
};
use crate::domain::blob::SegmentId;
use crate::domain::identity::TierMark;
use crate::infrastructure::segments::blocking::{blocking, io_error};
use crate::infrastructure::segments::directory::{COMMITS, SERVERS};

/// Longest small object that is read, in bytes.
const NOTE_BYTES_MAX: u64 = 4096;

/// How long a check holds that went well, and one that did not.
const CHECK_HOLDS: Duration = Duration::from_secs(30);
const REFUSAL_HOLDS: Duration = Duration::from_secs(2);

/// Packs that are written at the same time.
const PACKS_AT_ONCE: usize = 8;

/// Between two notes of how many commits are durable. Each is a request that writes.
const NOTE_PACE: Duration = Duration::from_secs(1);

/// For how long a proxy may hold back a request that nobody waits for any more.
const LATE: Duration = Duration::from_secs(24 * 60 * 60);

/// Where the objects are that a start writes to see whether listings show them.
const PROBE: &str = "juststorage-probe";

/// The object that a check of the tier writes.
const CHECK: &str = "juststorage-check";

/// A tier under a prefix of a bucket of an object store. The store must answer every read with what was written before,
/// and honour `If-None-Match` on a write (S3, Ceph, Garage, MinIO, Google Cloud Storage, Azure do).
#[derive(Clone, Debug)]
pub struct RemoteSegments {
    bucket: Arc<Bucket>,
    /// The last check, and when it was.
    checked: Arc<Mutex<Option<Checked>>>,
    cache: Option<ReadCache>,
    upkeep: Arc<Upkeep>,
}

/// When a tier was checked, and what came of it.
#[derive(Debug)]
struct Checked(Instant, Result<(), SegmentError>);

impl RemoteSegments {
    /// A tier under the prefix `tier` of a store, for tests: its uploads have parts of `part` bytes.
    #[cfg(feature = "testing")]
    pub fn over_store<T>(store: Arc<T>, tier: &'static str, spool: std::path::PathBuf, part: u64) -> Self
    where
        T: object_store::ObjectStore + object_store::multipart::MultipartStore,
    {
        let mut bucket = Bucket::new(store, Path::from(tier), tier, spool);
        bucket.part = part;
        Self::over(bucket)
    }

    fn over(bucket: Bucket) -> Self {
        let upkeep = Arc::new(Upkeep::new(UpkeepPace::default()));
        Self { bucket: Arc::new(bucket), checked: Arc::default(), cache: None, upkeep }
    }

    /// Whose background work asks no more than `pace` of the object store.
    #[must_use]
    pub fn paced(self, pace: UpkeepPace) -> Self {
        Self { upkeep: Arc::new(Upkeep::new(pace)), ..self }
    }

    /// With a cache of what is read for clients, which tiers may share.
    #[must_use]
    pub fn with_cache(self, cache: ReadCache) -> Self {
        Self { cache: Some(cache), ..self }
    }

    async fn check_now(&self) -> Result<(), SegmentError> {
        self.identify().await?;
        let put = self.bucket.put(&self.bucket.beside(&[CHECK]), String::new(), PutMode::Overwrite).await;
        put.map_err(|error| self.bucket.write_failed("write an object to check the tier", error))
    }

    async fn verify_mark(&self, expected: &TierMark) -> Result<(), SegmentError> {
        let found = match self.mark().await? {
            Some(found) if found == *expected => return Ok(()),
            Some(found) => format!("it is {found} and not {expected}"),
            None => format!("it carries no mark and should be {expected}"),
        };
        Err(SegmentError::Unavailable {
            action: "look at the mark of the tier",
            source: Arc::new(io::Error::other(found)),
            advice: "another bucket or prefix is in the tier's place: check the tier's URL",
        })
    }

    /// Fails if the object store takes a second object for a name that is taken: two stores could take one prefix then,
    /// each in the belief that it is alone. Writes the mark as it is, so that nothing changes in such a store either.
    async fn refuse_without_conditions(&self, mark: &TierMark) -> Result<(), SegmentError> {
        let path = self.bucket.beside(&[mark::NAME]);
        match self.bucket.put(&path, mark::text(mark), PutMode::Create).await {
            // Commands may run with credentials that only read.
            Err(Error::AlreadyExists { .. } | Error::PermissionDenied { .. }) => Ok(()),
            Err(error) => Err(failed("write the tier's mark under a condition", error)),
            Ok(()) => Err(SegmentError::Unavailable {
                action: "write the tier's mark under a condition",
                source: Arc::new(io::Error::other(
                    "the object store ignores If-None-Match: it replaced an object that it should have kept",
                )),
                advice: "a tier needs a store with conditional writes: S3, Ceph, Garage, MinIO, Google Cloud Storage or \
                         Azure in a current version",
            }),
        }
    }

    /// Fails if a listing does not show an object that was just written, or shows one that was just removed: uploads that are
    /// to be aborted are found by listing, and so is what `validate` compares with the rows.
    async fn refuse_stale_listings(&self) -> Result<(), SegmentError> {
        let folder = self.bucket.beside(&[PROBE]);
        let probe = folder.clone().join(Uuid::new_v4().to_string());
        match self.bucket.put(&probe, String::new(), PutMode::Overwrite).await {
            Ok(()) => {}
            Err(Error::PermissionDenied { .. }) => return Ok(()),
            Err(error) => return Err(self.bucket.write_failed("write an object to check listings", error)),
        }
        let shown = self.listed(&folder).await?.contains(&probe);
        self.bucket.remove(probe.clone()).await?;
        let left = self.listed(&folder).await?;
        if !shown || left.contains(&probe) {
            return Err(SegmentError::Unavailable {
                action: "list what was just written",
                source: Arc::new(io::Error::other(if shown {
                    "the object store lists an object that was removed"
                } else {
                    "the object store does not list an object that was written"
                })),
                advice: "a tier needs a store whose listings are up to date: S3, Ceph, Garage, MinIO, Google Cloud Storage \
                         or Azure in a current version",
            });
        }
        // Of starts that were ended in the middle of this.
        for old in left {
            self.bucket.remove(old).await?;
        }
        Ok(())
    }

    async fn listed(&self, folder: &Path) -> Result<Vec<Path>, SegmentError> {
        let listed = self.bucket.store.list(Some(folder)).map_ok(|object| object.location).try_collect();
        listed.await.map_err(|error| failed("list the tier", error))
    }

    /// A copy of a segment on the local disk, in a file without a name.
    async fn fetched(&self, id: SegmentId) -> Result<Handle, SegmentError> {
        let size = self.bucket.size(id).await?;
        let spool = self.bucket.spool.clone();
        let mut file = blocking(move || {
            std::fs::create_dir_all(&spool)
                .and_then(|()| tempfile::tempfile_in(&spool))
                .map_err(|error| io_error("fetch a segment", error))
        })
        .await?;
        if size > 0 {
            let mut bytes = self.bucket.stream(id, 0..size).await?;
            while let Some(chunk) = bytes.next().await {
                let chunk = chunk.map_err(|error| Bucket::read_failed(id, 0, error))?;
                file = blocking(move || {
                    io::Write::write_all(&mut file, &chunk)
                        .map_err(|error| io_error("fetch a segment", error))?;
                    Ok(file)
                })
                .await?;
            }
        }
        blocking(move || Handle::of(id, file)).await
    }

    async fn remove_staged(&self, ids: &[SegmentId]) -> Result<(), SegmentError> {
        for id in self.bucket.list_staged().await? {
            if ids.contains(&id) {
                let note = self.bucket.staged(id);
                let read = self.bucket.get(&note, NOTE_BYTES_MAX).await;
                let upload = read.map_err(|error| failed("abort an upload", error))?;
                if let Some(upload) = upload.and_then(|upload| String::from_utf8(upload.into()).ok()) {
                    match self.bucket.store.abort_multipart(&self.bucket.settled(id), &upload).await {
                        Ok(()) | Err(Error::NotFound { .. }) => {}
                        Err(error) => return Err(failed("abort an upload", error)),
                    }
                }
                self.bucket.remove(note).await?;
            }
        }
        Ok(())
    }

    async fn remove_all(&self, ids: &[SegmentId]) -> Vec<Result<(), SegmentError>> {
        if let Err(error) = self.remove_staged(ids).await {
            return ids.iter().map(|_| Err(error.clone())).collect();
        }
        let paths: Vec<_> = ids.iter().map(|id| Ok(self.bucket.settled(*id))).collect();
        let mut removed = Vec::new();
        let mut refused = None;
        let mut answers = self.bucket.store.delete_stream(stream::iter(paths).boxed());
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(path) => removed.extend(Bucket::named_by(&path)),
                Err(Error::NotFound { path, .. }) => removed.extend(Bucket::named_by(&Path::from(path))),
                Err(error) => refused = Some(self.bucket.write_failed("remove segments", error)),
            }
        }
        let silent =
            || io_error("remove segments", io::Error::other("the object store did not answer for it"));
        if let Some(cache) = &self.cache {
            cache.forget(&removed).await;
        }
        let settle = |id: &SegmentId| match (removed.contains(id), &refused) {
            (true, _) => Ok(()),
            (false, Some(error)) => Err(error.clone()),
            (false, None) => Err(silent()),
        };
        ids.iter().map(settle).collect()
    }

    async fn note(&self, path: &Path, text: String) -> Result<(), SegmentError> {
        let put = self.bucket.put(path, text, PutMode::Overwrite).await;
        put.map_err(|error| self.bucket.write_failed("write a note beside the segments", error))
    }
}

#[async_trait]
impl SegmentStore for RemoteSegments {
    /// Nothing is written before the first batch: its request creates the object.
    async fn create_pack(&self, id: SegmentId) -> Result<Box<dyn PackWriter>, SegmentError> {
        Ok(Box::new(RemotePack::new(Arc::clone(&self.bucket), id)))
    }

    async fn create_single(
        &self,
        id: SegmentId,
        domain: DomainTag,
        _expected: Option<u64>,
    ) -> Result<Box<dyn SingleWriter>, SegmentError> {
        Ok(Box::new(RemoteSingle::create(Arc::clone(&self.bucket), id, domain).await?))
    }

    async fn read(
        &self,
        request: ReadRequest,
    ) -> Result<BoxStream<'static, Result<Bytes, SegmentError>>, SegmentError> {
        let (bucket, stretch) = (Arc::clone(&self.bucket), Stretch::new(request)?);
        match (request.purpose, &self.cache) {
            (ReadPurpose::Serve, Some(cache)) => cache.read(bucket, stretch).await,
            (ReadPurpose::Serve, None) => reader::read(bucket, stretch).await,
            (ReadPurpose::Upkeep, _) => {
                self.upkeep.requests(reader::requests(&stretch)).await;
                Ok(slowed(Arc::clone(&self.upkeep), reader::read(bucket, stretch).await?))
            }
        }
    }

    /// One request for each segment, of all that lies between the first and the last of its leaves.
    async fn read_small(&self, requests: Vec<ReadRequest>) -> Vec<Result<Bytes, SegmentError>> {
        reader::read_small(&self.bucket, &self.upkeep, requests).await
    }

    async fn delete(&self, id: SegmentId) -> Result<(), SegmentError> {
        self.remove_all(&[id]).await.pop().unwrap_or(Ok(()))
    }

    /// Up to a thousand with one request. An upload that was begun for one of them is aborted first: its parts cost room
    /// and are no objects.
    async fn delete_all(&self, ids: &[SegmentId]) -> Vec<Result<(), SegmentError>> {
        // A listing of uploads that were begun, and the removals.
        self.upkeep.requests(1 + ids.len().div_ceil(self.bucket.deleted_at_once) as u64).await;
        self.remove_all(ids).await
    }

    /// An object is whole, so this only looks whether it is there, and what it holds.
    async fn recover(&self, id: SegmentId, committed: u64) -> Result<Mended, SegmentError> {
        let (size, indexed) = self.bucket.index(id).await?;
        let Some(Indexed { version, first, index_offset, records }) = indexed else {
            return Err(corrupt(id, size, "the segment has no index"));
        };
        let ends = |record: &FoundRecord| version.record_end(record.offset, record.length);
        let is_end = committed <= first
            || committed == size
            || committed == index_offset
            || records.iter().any(|record| ends(record) == Some(committed));
        if !is_end {
            return Err(corrupt(id, size, "what was committed is not the end of a record"));
        }
        Ok(walk::mended(size, committed.max(first), &records))
    }

    /// Changes nothing: what has no index is listed by its records.
    async fn salvage(&self, id: SegmentId) -> Result<Salvaged, SegmentError> {
        let (size, indexed) = self.bucket.index(id).await?;
        if let Some(Indexed { version, first, records, .. }) = indexed {
            let holes = walk::holes(version, first, &records);
            return Ok(Salvaged { records, size, holes });
        }
        let handle = self.fetched(id).await?;
        blocking(move || walk::survey(&handle)).await
    }

    async fn inspect(&self, id: SegmentId) -> Result<Vec<FoundRecord>, SegmentError> {
        if let (_, Some(Indexed { records, .. })) = self.bucket.index(id).await? {
            return Ok(records);
        }
        let handle = self.fetched(id).await?;
        blocking(move || walk::list(&handle)).await
    }

    async fn list(&self) -> Result<BoxStream<'static, Result<SegmentId, SegmentError>>, SegmentError> {
        Ok(self.bucket.list())
    }

    async fn probe(&self, ids: Vec<SegmentId>) -> Result<Vec<Presence>, SegmentError> {
        let looks = stream::iter(ids).map(async |id| match self.bucket.size(id).await {
            Ok(_) => Ok(Presence::Present),
            Err(SegmentError::Missing(_)) => Ok(Presence::Absent),
            Err(error) => Err(error),
        });
        let found: Vec<_> = looks.buffered(AT_ONCE).collect().await;
        found.into_iter().collect()
    }

    async fn note_commits(&self, writer: Uuid, commits: u64) -> Result<(), SegmentError> {
        let path = self.bucket.beside(&[COMMITS, &writer.to_string()]);
        self.note(&path, notes::encode(commits)).await
    }

    async fn commit_notes(&self) -> Result<Vec<(Uuid, u64)>, SegmentError> {
        let folder = self.bucket.beside(&[COMMITS]);
        let listed: Vec<_> = self.bucket.store.list(Some(&folder)).collect().await;
        let listed: Result<Vec<_>, _> = listed.into_iter().collect();
        let listed = listed.map_err(|error| failed("read how many commits are durable", error))?;
        let read = listed.into_iter().map(async |object| {
            let writer = object.location.filename().and_then(|name| Uuid::try_parse(name).ok())?;
            let note = self.bucket.get(&object.location, NOTE_BYTES_MAX).await.ok()??;
            Some((writer, notes::decode(std::str::from_utf8(&note).ok()?)?))
        });
        Ok(join_all(read).await.into_iter().flatten().collect())
    }

    async fn note_server(&self, writer: Uuid, token: Uuid) -> Result<(), SegmentError> {
        let path = self.bucket.beside(&[SERVERS, &writer.to_string()]);
        self.note(&path, format!("{token}\n")).await
    }

    async fn server_note(&self, writer: Uuid) -> Result<Option<Uuid>, SegmentError> {
        let path = self.bucket.beside(&[SERVERS, &writer.to_string()]);
        let note = self.bucket.get(&path, NOTE_BYTES_MAX).await;
        let note = note.map_err(|error| failed("read which server writes here", error))?;
        let text = note.and_then(|note| String::from_utf8(note.into()).ok());
        Ok(text.and_then(|text| Uuid::try_parse(text.trim_end()).ok()))
    }

    async fn mark(&self) -> Result<Option<TierMark>, SegmentError> {
        let read = self.bucket.get(&self.bucket.beside(&[mark::NAME]), NOTE_BYTES_MAX).await;
        match read.map_err(|error| failed("read the mark of the tier", error))? {
            None => Ok(None),
            Some(bytes) => match mark::parse(&bytes) {
                Some(mark) => Ok(Some(mark)),
                None => Err(mark::unreadable(io::Error::other("it is no mark"))),
            },
        }
    }

    async fn set_mark(&self, mark: &TierMark) -> Result<TierMark, SegmentError> {
        let path = self.bucket.beside(&[mark::NAME]);
        match self.bucket.put(&path, mark::text(mark), PutMode::Create).await {
            Ok(()) | Err(Error::AlreadyExists { .. }) => {}
            Err(error) => return Err(self.bucket.write_failed("mark the tier", error)),
        }
        let missing = || mark::unreadable(io::ErrorKind::NotFound.into());
        self.mark().await?.ok_or_else(missing)
    }

    async fn enter(&self, mark: &TierMark) -> Result<(), SegmentError> {
        self.verify_mark(mark).await?;
        self.refuse_without_conditions(mark).await?;
        self.refuse_stale_listings().await?;
        // A second entry is by the same mark, or the prefix would have to carry two.
        let _ = self.bucket.mark.set(*mark);
        Ok(())
    }

    async fn identify(&self) -> Result<(), SegmentError> {
        match self.bucket.mark.get() {
            Some(mark) => self.verify_mark(mark).await,
            None => Ok(()),
        }
    }

    /// Reads the mark and writes a small object, once for all who ask within [`CHECK_HOLDS`]: any client may ask for readiness,
    /// and requests cost money.
    async fn check(&self) -> Result<(), SegmentError> {
        let mut checked = self.checked.lock().await;
        if let Some(Checked(at, outcome)) = &*checked {
            let holds = if outcome.is_ok() { CHECK_HOLDS } else { REFUSAL_HOLDS };
            if at.elapsed() < holds {
                return outcome.clone();
            }
        }
        let outcome = self.check_now().await;
        *checked = Some(Checked(Instant::now(), outcome.clone()));
        outcome
    }

    fn packing(&self) -> Packing {
        Packing::Batches { at_once: PACKS_AT_ONCE }
    }

    fn note_pace(&self) -> Duration {
        NOTE_PACE
    }

    fn late_for(&self) -> Duration {
        LATE
    }

    fn verifies_itself(&self) -> bool {
        true
    }
}

impl Bucket {
    /// Removes an object that is not a segment; succeeds if there is none.
    async fn remove(&self, path: Path) -> Result<(), SegmentError> {
        match self.store.delete(&path).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.write_failed("remove a note beside the segments", error)),
        }
    }
}
