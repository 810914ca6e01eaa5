//! The space beside what it must be: each act is done to both, and both sides are compared.

use std::fmt::Debug;

use juststorage_core::application::error::{Error, Result};
use juststorage_core::application::objects::ObjectRef;
use juststorage_core::application::ports::metadata::PassKind;
use juststorage_core::domain::address::{Namespace, SpaceAddress, Tenant};
use juststorage_core::domain::precondition::Preconditions;
use juststorage_core::domain::upstream::Mode;
use juststorage_core::testing::upstream::FakeUpstream;
use serde_json::Value;

use super::common::{Running, noise, root, segment_files};
use super::model::{Act, FAR, LARGE, MORE, Model, PARTS, Shown, State, in_parts, whole};
use super::play::{Engine, Operation, Play, content};
use super::space::Space;

/// The space, and what it must be.
pub struct Leaving {
    pub play: Play,
    pub upstream: FakeUpstream,
    address: SpaceAddress,
    spaces: u32,
    model: Model,
    /// What it is instead, if what failed last was done all the same.
    pending: Option<Model>,
    /// Deaths so far.
    deaths: usize,
}

impl Leaving {
    pub fn new(engine: Engine) -> Self {
        let upstream = FakeUpstream::default();
        let play = Play::beside(engine, upstream.clone());
        let address = SpaceAddress::new(Namespace::new("none").unwrap(), Tenant::new("acme").unwrap());
        Self { play, upstream, address, spaces: 0, model: Model::default(), pending: None, deaths: 0 }
    }

    /// Begins with a space that was never there, and an upstream that has something and may keep versions.
    pub fn begin(&mut self, versions: bool) {
        self.spaces += 1;
        self.address.namespace = Namespace::new(&format!("space{}", self.spaces)).unwrap();
        self.upstream.clear();
        self.upstream.keep_versions(versions);
        (self.model, self.pending, self.deaths) = (Model::default(), None, 0);
        let (parts, in_parts) = in_parts(0);
        self.upstream.put(FAR, content(1));
        self.upstream.put(LARGE, content(3));
        self.upstream.put_parts(PARTS, parts.concat().into(), &parts.map(|part| part.len()));
        self.upstream.tell_parts();
        for (key, state) in [(FAR, whole(content(1))), (LARGE, whole(content(3))), (PARTS, in_parts)] {
            self.model.history.insert(key, vec![state.clone()]);
            self.model.versions.insert(key, vec![state]);
        }
        // More than a page of a listing.
        for (n, key) in MORE.iter().enumerate() {
            let bytes = noise(n as u64, 20);
            self.upstream.put(key, bytes.clone());
            self.model.history.insert(key, vec![whole(bytes.clone())]);
            self.model.versions.insert(key, vec![whole(bytes)]);
        }
    }

    fn space(&self) -> Space<'_> {
        Space {
            address: &self.address,
            disk: &self.play.disk,
            upstream: &self.upstream,
            holder: self.play.writer.0,
        }
    }

    /// Does an act to both.
    pub fn attempt(&mut self, act: &Act) -> Result<()> {
        let after = self.model.after(act);
        let (told, space) = (self.upstream.told(), self.space());
        let done = self.play.with(|running| async move { space.apply(running, act).await });
        match &done {
            Ok(()) => self.model = after,
            Err(_) => self.pending = Some(after),
        }
        // A change is sent by the outbox alone.
        assert!(act.works() || self.upstream.told() == told, "{act:?} sends something");
        done
    }

    /// Lets everything be done that waits, until nothing does.
    pub fn work(&mut self) -> Result<()> {
        let (told, quiet) = (self.upstream.told(), self.model.mode != Some(Mode::Mirror) && !self.waits());
        let space = self.space();
        let worked = self.play.with(|running| async move { space.work(running).await });
        assert!(!quiet || self.upstream.told() == told, "nothing is sent that was not to be mirrored");
        worked
    }

    fn waits(&self) -> bool {
        self.play.with(async |running| {
            let figures = running.metadata.outbox_figures().await;
            figures.map_or(true, |figures| figures.iter().any(|figures| figures.waiting > 0))
        })
    }

    /// The process has died, and the next one lives.
    pub fn died(&mut self) {
        self.deaths += 1;
    }

    /// What is here is what was acknowledged; what was under way when something failed, all of it or nothing.
    pub fn compare(&mut self, after: &dyn Debug) {
        if let Some(pending) = self.pending.take()
            && self.differs(&pending).is_none()
        {
            self.model = pending;
        }
        if let Some(what) = self.differs(&self.model) {
            panic!("{what} after {after:?}");
        }
    }

    fn differs(&self, model: &Model) -> Option<String> {
        let space = self.space();
        self.play.with(|running| async move { space.differs(running, model).await })
    }

    /// Where everything goes to both sides they are equal; and what was sent was sent in its order.
    pub fn compare_upstream(&self, after: &dyn Debug) {
        for (key, states) in &self.model.history {
            let mut due: Vec<Option<&str>> =
                states.iter().map(|state| state.as_ref().map(|shown| shown.etag.as_str())).collect();
            due.dedup();
            let mut due = due.into_iter();
            let mut last = None;
            for (_, told) in self.upstream.told().iter().filter(|(told, _)| told == key) {
                let told = told.as_deref();
                // The same may come again, and nothing else twice.
                if last != Some(told.map(str::to_owned)) {
                    assert!(
                        due.any(|due| due == told),
                        "{key}: {told:?} was sent out of its order after {after:?}"
                    );
                    last = Some(told.map(str::to_owned));
                }
            }
        }
        if self.model.mode != Some(Mode::Mirror) {
            return;
        }
        for key in self.model.history.keys() {
            let there = self.upstream.object(key);
            let there = there.map(|(bytes, said, tags)| Shown { bytes, etag: said.etag, tags });
            assert_eq!(there, self.model.now(key), "{key} upstream after {after:?}");
            if self.model.versioned {
                let there = self.upstream.versions_of(key).into_iter();
                let there: Vec<State> = there
                    .map(|version| version.map(|(bytes, etag, tags)| Shown { bytes, etag, tags }))
                    .collect();
                let here = self.model.versions.get(key).cloned().unwrap_or_default();
                assert_eq!(there, here, "versions of {key} upstream after {after:?}");
            }
        }
        for key in self.upstream.keys() {
            assert!(self.model.history.contains_key(key.as_str()), "{key} was never here, after {after:?}");
        }
        let uploads = self.upstream.uploads();
        assert!(uploads <= self.deaths, "{uploads} uploads are left upstream after {after:?}");
        let space = self.space();
        let (waiting, changed) = self.play.with(|running| async move {
            let id = space.find(running).await.unwrap().id;
            let waiting: u64 =
                running.metadata.outbox_figures().await.unwrap().iter().map(|figures| figures.waiting).sum();
            (waiting, running.metadata.mirror_state(id, 10).await.unwrap())
        });
        assert_eq!((waiting, changed.changed, changed.dropped), (0, 0, 0), "{changed:?} after {after:?}");
    }

    /// Reads everything: then all of it is here, and a comparison is clean, unless a client of the upstream alone is right.
    pub fn read_all(&mut self, after: &dyn Debug) {
        if self.model.mode == Some(Mode::Observe) {
            return;
        }
        let space = self.space();
        for key in self.model.history.keys() {
            let read = self.play.with(|running| async move { space.read(running, key).await });
            let read = match read {
                Ok(bytes) => Some(bytes),
                Err(Error::NoSuchObject | Error::DeleteMarker { .. }) => None,
                Err(error) => panic!("{key}: {error} after {after:?}"),
            };
            let due = self.model.now(key).map(|shown| shown.bytes);
            assert!(read == due, "{key} is read as {:?} bytes after {after:?}", read.map(|read| read.len()));
        }
        if self.model.mode.is_some_and(Mode::reads_through) {
            self.attempt(&Act::Verify).unwrap();
            self.work().unwrap();
            let report = self.report(PassKind::Verify);
            assert_eq!(report["clean"], true, "{report} after {after:?}");
        }
    }

    /// The report of a pass that is done.
    fn report(&self, kind: PassKind) -> Value {
        let space = self.space();
        let pass = self.play.with(|running| async move { space.pass(running, kind).await.unwrap() });
        assert!(pass.finished_at.is_some(), "{kind:?} is not done");
        serde_json::from_str(&pass.report).unwrap()
    }

    /// What an act that is done has come to.
    pub fn came_to(&self, act: &Act, after: &dyn Debug) {
        let space = self.space();
        let here = |key: &'static str| {
            self.play.with(|running| async move { !space.versions(running, key).await.unwrap().is_empty() })
        };
        match act {
            Act::Read(key) => assert!(here(key), "{key} is kept after {after:?}"),
            Act::Backfill => {
                let report = self.report(PassKind::Backfill);
                assert_eq!(report["clean"], true, "{report} after {after:?}");
                for key in self.model.history.keys() {
                    assert!(here(key) == self.model.now(key).is_some(), "{key} is fetched after {after:?}");
                }
            }
            Act::Refresh => {
                let report = self.report(PassKind::Refresh);
                assert_eq!(report["clean"], true, "{report} after {after:?}");
                for key in &self.model.elsewhere {
                    assert!(!here(key), "{key} is let go after {after:?}");
                }
            }
            Act::Verify => assert!(self.report(PassKind::Verify)["clean"].is_boolean()),
            _ => {}
        }
    }

    /// Ends with the upstream and everything else: then nothing is left, not a file.
    pub fn empty(&mut self, after: &dyn Debug) {
        if self.model.mode.is_some_and(Mode::reads_through) {
            self.attempt(&Act::Mode(Mode::Observe)).unwrap();
        }
        let (space, keys) = (self.space(), self.model.history.keys().copied().collect::<Vec<_>>());
        self.play.with(|running| async move {
            if let Ok(found) = space.find(running).await
                && found.upstream.is_some()
            {
                running.admin().forget_upstream(&root(), space.address).await.unwrap();
            }
            for key in keys {
                for (id, _) in space.versions(running, key).await.unwrap() {
                    let version = ObjectRef::Id(id);
                    running.store.delete(&root(), &version, Preconditions::default()).await.unwrap();
                }
            }
        });
        // A restart seals the open packs, so that even the last of them can go.
        self.play.attempt(&Operation::Restart).unwrap();
        self.play.with(Running::expire_uploads);
        self.play.with(Running::collect);
        let left = segment_files(self.play.root());
        assert!(left.is_empty(), "{left:?} is left after {after:?}");
        self.play.assert_valid(after);
    }
}
