//! The space in a running store, and what clients, operators and workers do to it.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use juststorage_core::application::admin::UpstreamChange;
use juststorage_core::application::error::{Error, Result};
use juststorage_core::application::ingest::Body;
use juststorage_core::application::objects::ObjectRef;
use juststorage_core::application::objects::copy::CopyRequest;
use juststorage_core::application::objects::get::ReadOptions;
use juststorage_core::application::objects::put::{EtagStyle, PutRequest};
use juststorage_core::application::objects::rename::MoveRequest;
use juststorage_core::application::objects::update::Change;
use juststorage_core::application::ports::clock::Clock as _;
use juststorage_core::application::ports::metadata::{PassKind, SpaceRef, UpstreamPass};
use juststorage_core::application::uploads::{Completion, UploadRef, UploadRequest};
use juststorage_core::application::workers::outbox::{Delivery, Passed};
use juststorage_core::application::workers::worker::{WorkDone, Worker as _};
use juststorage_core::application::workers::{Deliveries, MirrorSink, UpstreamWorker};
use juststorage_core::domain::action::Action;
use juststorage_core::domain::address::{Key, SpaceAddress};
use juststorage_core::domain::event::TargetKind;
use juststorage_core::domain::multipart::{PartClaim, PartNumber};
use juststorage_core::domain::object::{Attributes, ObjectId, Tags};
use juststorage_core::domain::patch::AttributesPatch;
use juststorage_core::domain::precondition::Preconditions;
use juststorage_core::domain::space::Versioning;
use juststorage_core::domain::upstream::Mode;
use juststorage_core::testing::disk::Disk;
use juststorage_core::testing::upstream::FakeUpstream;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::common::{Running, copy_to, put_request, root};
use super::model::{Act, Model, State, in_parts, tags};
use super::play::content;

/// Turns of background work after which it is taken never to end.
const TURNS_MAX: u32 = 1000;

/// The space in a running store.
#[derive(Clone, Copy)]
pub struct Space<'a> {
    pub address: &'a SpaceAddress,
    pub disk: &'a Arc<Disk>,
    pub upstream: &'a FakeUpstream,
    /// Under which name the server holds its leases.
    pub holder: Uuid,
}

impl Space<'_> {
    fn place(&self) -> SpaceRef {
        SpaceRef::Space(self.address.clone())
    }

    fn object(&self, key: &str) -> ObjectRef {
        ObjectRef::latest(self.place(), Key::new(key).unwrap())
    }

    pub async fn find(&self, running: &Running) -> Result<juststorage_core::domain::space::Space> {
        running.metadata.space(&self.place()).await?.ok_or(Error::NoSuchSpace)
    }

    #[allow(clippy::too_many_lines)] // one arm for each act
    pub async fn apply(&self, running: &Running, act: &Act) -> Result<()> {
        let (store, admin) = (&running.store, running.admin());
        match *act {
            Act::Mode(mode) => {
                let change = UpstreamChange {
                    endpoint: Some("http://old".into()),
                    bucket: Some("old".into()),
                    access_key: Some("K".into()),
                    secret_key: Some("S".into()),
                    mode: Some(mode),
                    keep_here: true,
                    ..UpstreamChange::default()
                };
                admin.set_upstream(&root(), self.address, &change).await.map(drop)
            }
            Act::Return => {
                let change = UpstreamChange { mode: Some(Mode::ReadThrough), ..UpstreamChange::default() };
                admin.set_upstream(&root(), self.address, &change).await.map(drop)
            }
            Act::Refresh => {
                admin.refresh_and_remove(&root(), self.address).await?;
                self.work(running).await
            }
            Act::Elsewhere(key, bytes) => {
                self.upstream.put(key, content(bytes));
                Ok(())
            }
            Act::Gone(key) => {
                self.upstream.remove(key);
                Ok(())
            }
            Act::Paced => {
                let pace = UpstreamChange {
                    requests_per_second: Some(Some(1_000_000)),
                    ..UpstreamChange::default()
                };
                admin.set_upstream(&root(), self.address, &pace).await.map(drop)
            }
            Act::Versioned => {
                let (metadata, now) = (&running.metadata, running.clock.now());
                metadata.set_versioning(self.address, Versioning::Enabled, now).await?.unwrap();
                Ok(())
            }
            Act::Backfill => {
                admin.begin_pass(&root(), self.address, PassKind::Backfill).await?;
                self.work(running).await
            }
            Act::Verify => {
                admin.begin_pass(&root(), self.address, PassKind::Verify).await?;
                self.work(running).await
            }
            Act::Detach => {
                admin.begin_pass(&root(), self.address, PassKind::Verify).await?;
                self.work(running).await?;
                admin.detach(&root(), self.address).await.map(drop)
            }
            Act::Read(key) => self.read(running, key).await.map(drop),
            Act::Put(key, bytes) => {
                let request = PutRequest { place: self.place(), etag: EtagStyle::Md5, ..put_request(key) };
                store.put(&root(), request, Body::of_bytes(content(bytes))).await.map(drop)
            }
            Act::Upload(key) => self.upload(running, key).await,
            Act::Tag(key) => {
                let patch = AttributesPatch { tags: Some(tags()), ..AttributesPatch::default() };
                let change = Change { attributes: Some(patch), ..Change::default() };
                store.update(&root(), Action::PutObject, &self.object(key), change).await.map(drop)
            }
            Act::Delete(key) => {
                store.delete(&root(), &self.object(key), Preconditions::default()).await.map(drop)
            }
            Act::Remove(key, nth) => {
                let versions = self.versions(running, key).await?;
                let Some((id, _)) = versions.get(nth) else { return Ok(()) };
                store.delete(&root(), &ObjectRef::Id(*id), Preconditions::default()).await.map(drop)
            }
            Act::Copy(from, to) => {
                let request = CopyRequest { place: self.place(), ..copy_to(self.object(from), to) };
                store.copy(&root(), request).await.map(drop)
            }
            Act::Rename(from, to) => {
                let request = MoveRequest {
                    source: self.object(from),
                    source_preconditions: Preconditions::default(),
                    space: self.address.clone(),
                    key: Key::new(to).unwrap(),
                    preconditions: Preconditions::default(),
                };
                match store.rename(&root(), &request).await {
                    // It was done before.
                    Err(Error::NoSuchObject | Error::DeleteMarker { .. }) => Ok(()),
                    done => done.map(drop),
                }
            }
        }
    }

    async fn upload(&self, running: &Running, key: &str) -> Result<()> {
        let store = &running.store;
        let key = Some(Key::new(key).unwrap());
        let request =
            UploadRequest { place: self.place(), key, attributes: Attributes::default(), checksum: None };
        let upload = store.create_upload(&root(), request).await?;
        let (reference, mut claims) = (UploadRef { id: upload.id, at: None }, Vec::new());
        for (index, bytes) in (1..).zip(in_parts(1).0) {
            let number = PartNumber::new(index).unwrap();
            let body = Body::of_bytes(bytes);
            store.put_part(&root(), &reference, number, EtagStyle::Md5, None, body).await?;
            claims.push(PartClaim { number, etag: None, checksum: None });
        }
        let completion = Completion { claims: Some(claims.into()), ..Completion::default() };
        store.complete_upload(&root(), &reference, completion).await.map(drop)
    }

    pub async fn read(&self, running: &Running, key: &str) -> Result<Bytes> {
        let download = running.store.get(&root(), &self.object(key), &ReadOptions::default()).await?;
        let pieces: Vec<Bytes> = download.body.try_collect().await?;
        Ok(pieces.concat().into())
    }

    /// Everything that workers do, until nothing is left or the disk is dead.
    pub async fn work(&self, running: &Running) -> Result<()> {
        let worker = UpstreamWorker::new(running.store.clone());
        let mut turns = 0..TURNS_MAX;
        let mut turn = || {
            assert!(turns.next().is_some(), "background work never ends");
            if self.disk.is_dead() { Err(Error::Unavailable) } else { Ok(()) }
        };
        while worker.step().await? != WorkDone::Idle {
            turn()?;
        }
        for target in running.metadata.outbox_targets().await? {
            if target.kind != TargetKind::Mirror {
                continue;
            }
            let (metadata, clock) = (running.metadata.clone(), running.clock.clone());
            let sink = Arc::new(MirrorSink::new(running.store.clone()));
            let mut delivery =
                Delivery::new(metadata, clock, self.holder, sink, target, Deliveries::default());
            while delivery.pass(&CancellationToken::new()).await? != Passed::Nothing {
                turn()?;
            }
        }
        Ok(())
    }

    pub async fn pass(&self, running: &Running, kind: PassKind) -> Option<UpstreamPass> {
        let status = running.admin().upstream(&root(), self.address).await.unwrap();
        status.passes.into_iter().find(|pass| pass.kind == kind)
    }

    /// The versions of a key that are here, the oldest first. Of what they are the bytes are not read.
    pub async fn versions(
        &self,
        running: &Running,
        key: &str,
    ) -> Result<Vec<(ObjectId, Option<(String, Tags)>)>> {
        let Ok(space) = self.find(running).await else { return Ok(Vec::new()) };
        let key = Key::new(key).unwrap();
        let found = running.metadata.versions_after(space.id, &key, None, 1000).await?;
        let shown = found.into_iter().map(|found| {
            let object = found.object;
            let is_object = !object.is_delete_marker();
            (object.id, is_object.then(|| (object.etag.as_str().to_owned(), object.tags)))
        });
        Ok(shown.collect())
    }

    /// What of the space is not as it must be, without fetching anything.
    pub async fn differs(&self, running: &Running, model: &Model) -> Option<String> {
        let mode = self.find(running).await.ok().and_then(|space| space.upstream);
        if mode != model.mode {
            return Some(format!("the mode is {mode:?}, not {:?}", model.mode));
        }
        let beyond = mode.is_some_and(Mode::reads_through);
        for (key, states) in &model.history {
            let here = self.versions(running, key).await.unwrap();
            let here: Vec<_> = here.into_iter().map(|(_, shown)| shown).collect();
            let untouched = here.is_empty() && states.len() == 1;
            if model.versioned && !untouched {
                let due: Vec<_> = model.versions.get(key).into_iter().flatten().map(short).collect();
                if here != due {
                    return Some(format!("{key} has the versions {here:?}, not {due:?}"));
                }
            }
            let head = running.store.head(&root(), &self.object(key), &ReadOptions::default()).await;
            let head = match head {
                Ok(head) => Some((head.object.etag.as_str().to_owned(), head.object.tags)),
                Err(Error::NoSuchObject | Error::DeleteMarker { .. } | Error::NoSuchSpace) => None,
                Err(error) => return Some(format!("{key}: {error}")),
            };
            let due = if untouched && !beyond { None } else { short(&model.now(key)) };
            if !beyond && model.elsewhere.contains(key) {
                // As it was before, until it is let go.
                let before = states.iter().rev().nth(1).and_then(short);
                if head.is_some() && head != before {
                    return Some(format!("{key} is {head:?}, which it never was"));
                }
                continue;
            }
            if head != due {
                return Some(format!("{key} is {head:?}, not {due:?}"));
            }
        }
        None
    }
}

fn short(state: &State) -> Option<(String, Tags)> {
    state.as_ref().map(|shown| (shown.etag.clone(), shown.tags.clone()))
}
