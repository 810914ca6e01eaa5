//! Keeps upstreams as this store is: what a key is here now is what its upstream gets, however often it is asked for.
//!
//! A row of the outbox says only that a key was changed. What is done about it is decided by
//! [`domain::mirror`](crate::domain::mirror) on both sides as they are: nothing if they are equal already.

mod notes;
mod send;
mod trouble;
mod versions;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::application::metrics;
use crate::application::ports::metadata::{
    Found, MirrorNote, MirroredKey, OutboxRow, OutboxTarget, SpaceRef,
};
use crate::application::ports::sink::{Sink, Term, Undelivered};
use crate::application::ports::upstream::{UpstreamError, UpstreamObject};
use crate::application::store::Store;
use crate::application::upstream::{Link, kept};
use crate::domain::address::{Key, Namespace, SpaceAddress, Tenant};
use crate::domain::event::{Facts, TargetName};
use crate::domain::mirror::again::GONE;
use crate::domain::mirror::{Image, Memory, Plan, Step, plan};
use crate::domain::object::{Object, Tags, UserMetadata};
use crate::domain::rfc2047;
use crate::domain::space::{Space, Versioning};
use notes::Notes;
use trouble::Trouble;

/// How often a key is looked at again that changes while it is sent.
const LOOKS_MAX: u32 = 8;

/// Sends changes of spaces to their upstreams.
pub struct MirrorSink {
    store: Store,
    notes: Notes,
    /// Tells of each target when it answers again, since a row was last tried.
    closings: Mutex<HashMap<TargetName, watch::Receiver<u64>>>,
}

/// A key that is to be made equal.
struct Looked<'a> {
    space: &'a Space,
    key: &'a Key,
    link: &'a Arc<Link>,
    /// The latest version, unless it is a delete marker.
    found: Option<Found>,
    remembered: Option<MirroredKey>,
    said: Option<UpstreamObject>,
    /// Whether versions are kept on both sides.
    versions: bool,
}

impl Looked<'_> {
    fn memory(&self) -> Memory<'_> {
        self.remembered.as_ref().map_or_else(Memory::default, memory)
    }

    /// The entity tag of what is there, as it is kept here.
    fn theirs(&self) -> Option<String> {
        self.said.as_ref().map(|said| kept::etag(said).as_str().to_owned())
    }

    /// A note that leaves everything as it is remembered.
    fn note(&self) -> MirrorNote {
        let known = self.remembered.as_ref();
        MirrorNote {
            space: self.space.id,
            key: self.key.clone(),
            there: known.and_then(|known| known.there.clone()),
            here: known.and_then(|known| known.here.clone()),
            sending: known.and_then(|known| known.sending.clone()),
            upload: None,
            changed: None,
        }
    }
}

/// What is remembered of a key, as the domain takes it.
pub(super) fn memory(known: &MirroredKey) -> Memory<'_> {
    Memory { there: known.there.as_deref(), sending: known.sending.as_deref(), here: known.here.as_deref() }
}

/// Metadata as an S3 client sees it.
fn shown(metadata: &UserMetadata) -> UserMetadata {
    let shown = |(name, value): (&String, &String)| (name.clone(), rfc2047::encode(value).into_owned());
    metadata.iter().map(shown).collect()
}

fn address(facts: &Facts) -> Option<SpaceAddress> {
    let (namespace, tenant) = (Namespace::new(&facts.namespace).ok()?, Tenant::new(&facts.tenant).ok()?);
    Some(SpaceAddress::new(namespace, tenant))
}

impl MirrorSink {
    /// Of a store whose upstreams can be connected. Takes a task of its own.
    pub fn new(store: Store) -> Self {
        let notes = Notes::new(store.metadata.clone(), store.clock.clone());
        Self { store, notes, closings: Mutex::default() }
    }

    fn closings(&self) -> MutexGuard<'_, HashMap<TargetName, watch::Receiver<u64>>> {
        self.closings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the upstream's object equal to what a key has here.
    async fn bring(&self, row: &OutboxRow, term: &Term) -> Result<(), Trouble> {
        let place = row.event.as_ref().ok().and_then(|(_, facts)| address(facts));
        let (Some(address), Ok(key)) = (place, Key::new(&row.key)) else {
            return Err(Trouble::Undelivered(Undelivered::Refused("its row cannot be read".to_owned())));
        };
        let place = SpaceRef::Space(address);
        for _ in 0..LOOKS_MAX {
            let space = self.store.metadata.space(&place).await?.filter(|space| space.id == row.space);
            // A space that is gone, or was let go by its upstream, has nothing to send.
            let Some(space) = space else { return Ok(()) };
            let settings = self.store.settings_at(space.id, space.settings).await?;
            let Some(binding) = &settings.upstream else { return Ok(()) };
            let link = self.store.links.of(&space, binding)?;
            self.closings().insert(TargetName::mirror_of(space.id), link.closings());
            match self.look(&space, &place, &key, &link, term).await {
                Err(Trouble::Changed) => {}
                done => return done,
            }
        }
        Err(Trouble::Undelivered(Undelivered::Away("the object keeps changing here".to_owned())))
    }

    async fn look(
        &self,
        space: &Space,
        place: &SpaceRef,
        key: &Key,
        link: &Arc<Link>,
        term: &Term,
    ) -> Result<(), Trouble> {
        let metadata = &self.store.metadata;
        let versions = space.versioning != Versioning::Off && link.keeps_versions().await?;
        let latest = metadata.latest(place, key).await?;
        let remembered = metadata.mirrored(space.id, std::slice::from_ref(key)).await?.pop();
        at_pace(link, 0, term).await?;
        let said = link.head(key).await?;
        let remembered = remembered.map(|(_, known)| known);
        let found = latest.clone().filter(|found| !found.object.is_delete_marker());
        let looked = Looked { space, key, link, found, remembered, said, versions };
        if let Some(upload) = looked.remembered.as_ref().and_then(|known| known.upload.as_deref()) {
            // Of an attempt that ended badly, or of a server that is no longer the one to send.
            give_up(link, key, upload).await?;
        }
        if versions {
            return self.bring_versions(&looked, latest.as_ref(), term).await;
        }
        let plan = self.plan(&looked, term).await?;
        let changed = note_foreign(&looked, plan);
        match (plan.step, &looked.found) {
            (Step::Send, Some(found)) => {
                let note = MirrorNote { there: looked.theirs(), here: None, changed, ..looked.note() };
                self.send(&looked, found, note, None, term).await?;
                metrics::upstream_mirrored("sent", found.object.size());
            }
            (Step::Remove | Step::Send, _) => self.remove(&looked, changed, term).await?,
            (Step::Tag, Some(found)) => self.tag(&looked, found, term).await?,
            (Step::Nothing | Step::AskTags | Step::Tag, _) => metrics::upstream_mirrored("equal", 0),
        }
        Ok(())
    }

    /// What is to be done about a key; its tags are asked for where they decide.
    async fn plan(&self, looked: &Looked<'_>, term: &Term) -> Result<Plan, Trouble> {
        let plan = plan_of(looked, None);
        if plan.step != Step::AskTags {
            return Ok(plan);
        }
        let tagged = looked.found.as_ref().is_some_and(|found| !found.object.tags.is_empty());
        at_pace(looked.link, 0, term).await?;
        let tags = match looked.link.tags(looked.key).await {
            // Not every store has tags.
            Err(UpstreamError::Unusable(_)) if !tagged => Tags::new(),
            tags => tags?,
        };
        Ok(plan_of(looked, Some(&tags)))
    }

    async fn remove(&self, looked: &Looked<'_>, changed: Option<String>, term: &Term) -> Result<(), Trouble> {
        if changed.is_some() {
            self.notes.write(MirrorNote { changed, ..looked.note() }).await?;
        }
        may_change(looked.link, 0, term).await?;
        looked.link.remove(looked.key).await?;
        metrics::upstream_mirrored("removed", 0);
        // Whatever is there later was put there by somebody else.
        let there = Some(GONE.to_owned());
        self.notes.write(MirrorNote { there, here: None, sending: None, ..looked.note() }).await?;
        Ok(())
    }

    async fn tag(&self, looked: &Looked<'_>, found: &Found, term: &Term) -> Result<(), Trouble> {
        may_change(looked.link, 0, term).await?;
        looked.link.set_tags(looked.key, &found.object.tags).await?;
        metrics::upstream_mirrored("tagged", 0);
        Ok(())
    }
}

/// What is to be done about a key; with the tags that the upstream has, where they were asked for.
fn plan_of(looked: &Looked<'_>, tags: Option<&Tags>) -> Plan {
    let metadata = looked.found.as_ref().map(|found| shown(&found.object.metadata)).unwrap_or_default();
    let here = looked.found.as_ref().map(|Found { object, .. }| Image {
        etag: object.etag.as_str(),
        size: object.size(),
        headers: &object.headers,
        metadata: &metadata,
        tags: Some(&object.tags),
    });
    let etag = looked.said.as_ref().map(kept::etag);
    let there = looked.said.as_ref().zip(etag.as_ref()).map(|(said, etag)| Image {
        etag: etag.as_str(),
        size: said.size,
        headers: &said.headers,
        metadata: &said.metadata,
        tags,
    });
    plan(here, there, looked.memory())
}

/// Tells of an object that somebody else has put there. Its entity tag, to be noted before it goes.
fn note_foreign(looked: &Looked<'_>, plan: Plan) -> Option<String> {
    let changed = looked.theirs().filter(|_| plan.foreign);
    if changed.is_some() {
        metrics::upstream_changed();
        tracing::warn!(
            space = %looked.space.address,
            key = looked.key.as_str(),
            "somebody else changed an object upstream; what is here goes there now"
        );
    }
    changed
}

/// Gives up an upload that nobody will complete.
async fn give_up(link: &Link, key: &Key, upload: &str) -> Result<(), UpstreamError> {
    match link.abort_upload(key, upload).await {
        Err(error) if error.is_outage() => Err(error),
        Err(error) => {
            tracing::warn!(key = key.as_str(), %error, "an upload that ended early was not given up upstream");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Waits until a request may be made that sends so many bytes: background work keeps to the pace of its target.
async fn at_pace(link: &Link, bytes: u64, term: &Term) -> Result<(), Trouble> {
    if term.wait(link.pacer.take(1, bytes)).await {
        return Ok(());
    }
    Err(Trouble::Undelivered(Undelivered::Away("this server stops".to_owned())))
}

/// The same of a request that changes something there.
async fn may_change(link: &Link, bytes: u64, term: &Term) -> Result<(), Trouble> {
    at_pace(link, bytes, term).await?;
    in_time(term)
}

/// Nothing is changed there unless this process is the one to do so, until the answer has come.
fn in_time(term: &Term) -> Result<(), Trouble> {
    if term.lasts(crate::application::ports::sink::PATIENCE_MAX) {
        return Ok(());
    }
    Err(Trouble::Undelivered(Undelivered::Away("another server is about to send".to_owned())))
}

/// The name of an object's class there; `None` for the usual one.
fn class_of(object: &Object) -> Option<String> {
    use crate::domain::storage_class::StorageClass;
    match (object.class_name, object.class) {
        (Some(name), _) => Some(name.as_str().to_owned()),
        (None, StorageClass::Cold) => Some("STANDARD_IA".to_owned()),
        (None, StorageClass::Hot) => None,
    }
}

#[async_trait]
impl Sink for MirrorSink {
    async fn deliver(&self, _: &OutboxTarget, _: &OutboxRow) -> Result<(), Undelivered> {
        Err(Undelivered::Refused("an upstream is sent objects, not events".to_owned()))
    }

    async fn recovered(&self, target: &TargetName) {
        let closings = self.closings().get(target).cloned();
        if let Some(mut closings) = closings
            && closings.changed().await.is_ok()
        {
            return;
        }
        std::future::pending::<()>().await;
    }

    fn keep(&self, targets: &[TargetName]) {
        self.closings().retain(|name, _| targets.contains(name));
    }

    async fn deliver_within(
        &self,
        _: &OutboxTarget,
        row: &OutboxRow,
        term: &Term,
    ) -> Result<(), Undelivered> {
        match self.bring(row, term).await {
            Ok(()) => Ok(()),
            Err(Trouble::Undelivered(why)) => Err(why),
            Err(Trouble::Changed) => Err(Undelivered::Away("the object keeps changing here".to_owned())),
        }
    }
}
