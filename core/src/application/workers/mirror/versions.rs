//! Versions of a key, where both sides keep them: each arrives there in the order in which it was made here.
//!
//! What was sent is remembered by its id there. Before a version is sent that is noted; where nothing says whether it arrived,
//! the upstream's list does ([`domain::mirror::versions`](crate::domain::mirror::versions)). An upstream takes a version only on
//! top of the others: those that are older than one that is there are not sent.

use super::trouble::Trouble;
use super::{Looked, MirrorSink, at_pace, may_change, note_foreign};
use crate::application::metrics;
use crate::application::ports::metadata::{Found, MirrorNote, MirroredVersion, VersionNote};
use crate::application::ports::sink::Term;
use crate::application::workers::mirror::notes::Note;
use crate::domain::mirror::Step;
use crate::domain::mirror::versions::{Listed, MARKER, Unsure, adopted, landed};
use crate::domain::object::{Object, ObjectId};

/// Versions that are looked up at once.
const PAGE: u32 = 100;

/// What is there before a version is sent.
#[derive(Default)]
struct Before {
    /// The id of the latest version there.
    below: Option<String>,
    /// Its entity tag, as it is kept here.
    etag: Option<String>,
    /// The tag of an object that somebody else has put there, until it was noted.
    changed: Option<String>,
    /// The id under which the version was sent before.
    own: Option<String>,
}

/// What sending a delete marker came to.
enum MarkerOutcome {
    /// It is there, with this id.
    Made(String),
    /// The upstream makes none, since nothing shows there anyway.
    Needless,
    /// What showed there is gone, and left no marker: no versions are kept any more.
    NoVersions,
}

impl Looked<'_> {
    fn version_note(&self, version: MirroredVersion) -> VersionNote {
        VersionNote { space: self.space.id, key: self.key.clone(), version }
    }

    /// The id of the latest version there, unless it is a delete marker.
    fn latest_there(&self) -> Option<&str> {
        self.said.as_ref().and_then(|said| said.version.as_deref())
    }
}

impl MirrorSink {
    /// Makes the upstream's versions of a key those that are here.
    pub(super) async fn bring_versions(
        &self,
        looked: &Looked<'_>,
        latest: Option<&Found>,
        term: &Term,
    ) -> Result<(), Trouble> {
        let known = self.store.metadata.mirrored_versions(looked.space.id, looked.key, PAGE).await?;
        if !known.open.is_empty() {
            self.settle(looked, known.open, known.newest.as_ref(), term).await?;
            return Err(Trouble::Changed);
        }
        let newest = match known.newest {
            None => self.adopt(looked).await?,
            newest => newest,
        };
        let plan = self.plan(looked, term).await?;
        let mut before = Before {
            below: looked.latest_there().map(str::to_owned),
            etag: looked.theirs(),
            changed: note_foreign(looked, plan),
            own: None,
        };
        let sent =
            self.send_newer(looked, newest.as_ref().map(|newest| newest.id), &mut before, term).await?;
        if self.remove_gone(looked, sent, term).await? {
            // What is the latest there now is not what was looked at.
            return Err(Trouble::Changed);
        }
        if sent {
            return Ok(());
        }
        before.own = newest
            .filter(|newest| latest.is_some_and(|latest| latest.object.id == newest.id))
            .and_then(|newest| newest.there);
        match (plan.step, latest) {
            (Step::Send | Step::Remove, Some(latest)) => {
                self.send_version(looked, latest, &mut before, term).await
            }
            (Step::Send | Step::Remove, None) => self.remove(looked, before.changed, term).await,
            (Step::Tag, Some(latest)) => self.tag(looked, latest, term).await,
            (Step::Nothing | Step::AskTags | Step::Tag, _) => {
                metrics::upstream_mirrored("equal", 0);
                Ok(())
            }
        }
    }

    /// What was begun and not ended: an answer that was lost, or a process that died.
    async fn settle(
        &self,
        looked: &Looked<'_>,
        open: Vec<MirroredVersion>,
        newest: Option<&MirroredVersion>,
        term: &Term,
    ) -> Result<(), Trouble> {
        for version in open {
            let Some(sending) = version.sending.as_deref() else {
                self.remove_stale(looked, version, term).await?;
                continue;
            };
            at_pace(looked.link, 0, term).await?;
            let listed = looked.link.versions(looked.key).await?;
            let before =
                [version.below.as_deref(), version.there.as_deref(), newest.and_then(|n| n.there.as_deref())];
            let before: Vec<&str> = before.into_iter().flatten().collect();
            let (id, own) = (version.id, version.there.clone());
            match (landed(&listed, Unsure { sending, before: &before }), own) {
                (Some(landed), own) => {
                    let stale = own.filter(|own| *own != landed.id);
                    let sent =
                        MirroredVersion { stale, ..MirroredVersion::sent(id, Some(landed.id.clone())) };
                    self.notes.write(looked.version_note(sent)).await?;
                }
                (None, Some(own)) => {
                    self.notes.write(looked.version_note(MirroredVersion::sent(id, Some(own)))).await?;
                }
                (None, None) => {
                    self.notes.forget(looked.space.id, looked.key, vec![id]).await?;
                }
            }
        }
        Ok(())
    }

    /// Of a key of which no version was sent: which one the upstream has, if it has one of them.
    async fn adopt(&self, looked: &Looked<'_>) -> Result<Option<MirroredVersion>, Trouble> {
        let (Some(said), Some(theirs)) = (&looked.said, looked.theirs()) else { return Ok(None) };
        let mut after = None;
        loop {
            let here = self.store.metadata.versions_after(looked.space.id, looked.key, after, PAGE).await?;
            let Some(last) = here.last() else { return Ok(None) };
            after = Some(last.object.id);
            let lines = here.iter().map(|found| (found.object.id, line(&found.object)));
            let is_same = |mine: &str| mine == theirs || looked.memory().is_same(mine, &theirs);
            if let Some(id) = adopted(lines, said.size, is_same) {
                let sent = MirroredVersion::sent(id, said.version.clone());
                if sent.there.is_some() {
                    self.notes.write(looked.version_note(sent.clone())).await?;
                }
                return Ok(Some(sent));
            }
        }
    }

    /// Sends every version behind one, in order. Whether there were any.
    async fn send_newer(
        &self,
        looked: &Looked<'_>,
        newest: Option<ObjectId>,
        before: &mut Before,
        term: &Term,
    ) -> Result<bool, Trouble> {
        let (mut after, mut sent) = (newest, false);
        loop {
            let page = self.store.metadata.versions_after(looked.space.id, looked.key, after, PAGE).await?;
            let is_last = page.len() < PAGE as usize;
            for found in page {
                self.send_version(looked, &found, before, term).await?;
                (after, sent) = (Some(found.object.id), true);
            }
            if is_last {
                return Ok(sent);
            }
        }
    }

    /// Sends a version, or again under another id; it is the latest there then.
    async fn send_version(
        &self,
        looked: &Looked<'_>,
        found: &Found,
        before: &mut Before,
        term: &Term,
    ) -> Result<(), Trouble> {
        let Before { below, etag, changed, own } = std::mem::take(before);
        let hidden = if found.object.is_delete_marker() && etag.is_none() {
            at_pace(looked.link, 0, term).await?;
            Some(looked.link.versions(looked.key).await?)
        } else {
            None
        };
        let below = below.or_else(|| hidden.iter().flatten().next().map(|latest| latest.id.clone()));
        let note = MirrorNote { there: etag, here: None, sending: None, changed, ..looked.note() };
        let version = MirroredVersion {
            there: own.clone(),
            sending: Some(MARKER.to_owned()),
            below: below.clone(),
            ..MirroredVersion::sent(found.object.id, None)
        };
        let version = looked.version_note(version);
        let (etag, told) = if found.object.is_delete_marker() {
            self.notes.write(Note { key: Some(note), version: Some(version) }).await?;
            let marker = match self.send_marker(looked, hidden.as_deref(), term).await? {
                MarkerOutcome::Made(id) => Some(id),
                MarkerOutcome::NoVersions => None,
                MarkerOutcome::Needless => {
                    metrics::upstream_mirrored("equal", 0);
                    self.notes.forget(looked.space.id, looked.key, vec![found.object.id]).await?;
                    *before = Before { below, ..Before::default() };
                    return Ok(());
                }
            };
            metrics::upstream_mirrored("removed", 0);
            (None, marker)
        } else {
            let (etag, told) = self.send(looked, found, note, Some(version), term).await?;
            metrics::upstream_mirrored("sent", found.object.size());
            (Some(etag), told)
        };
        let Some(told) = told else {
            // It keeps no versions any more: what is sent from now on is the latest.
            looked.link.made_no_version();
            self.notes.forget(looked.space.id, looked.key, vec![found.object.id]).await?;
            return Ok(());
        };
        let stale = own.filter(|own| *own != told);
        let sent = MirroredVersion { stale, ..MirroredVersion::sent(found.object.id, Some(told.clone())) };
        self.notes.write(looked.version_note(sent.clone())).await?;
        let etag = etag.map(|etag| etag.as_str().to_owned());
        *before = Before { below: Some(told), etag, ..Before::default() };
        self.remove_stale(looked, sent, term).await
    }

    /// Sends a delete marker. `hidden` is what the upstream lists of the key, where nothing shows there: only then may a store make
    /// none. A marker that was there already is not taken for one that was sent: it may be another version's, and goes with that.
    async fn send_marker(
        &self,
        looked: &Looked<'_>,
        hidden: Option<&[Listed]>,
        term: &Term,
    ) -> Result<MarkerOutcome, Trouble> {
        may_change(looked.link, 0, term).await?;
        let Some(marker) = looked.link.remove(looked.key).await? else {
            // Of a key that has nothing at all, none is made also where versions are kept.
            let is_bare = hidden.is_some_and(<[Listed]>::is_empty);
            return Ok(if is_bare { MarkerOutcome::Needless } else { MarkerOutcome::NoVersions });
        };
        let is_new = |marker: &String| hidden.into_iter().flatten().all(|listed| listed.id != *marker);
        if is_new(&marker) {
            return Ok(MarkerOutcome::Made(marker));
        }
        may_change(looked.link, 0, term).await?;
        let marker = looked.link.add_marker(looked.key).await?.filter(is_new);
        Ok(marker.map_or(MarkerOutcome::Needless, MarkerOutcome::Made))
    }

    /// Removes the version there in whose place another one was sent.
    async fn remove_stale(
        &self,
        looked: &Looked<'_>,
        version: MirroredVersion,
        term: &Term,
    ) -> Result<(), Trouble> {
        let Some(stale) = &version.stale else { return Ok(()) };
        may_change(looked.link, 0, term).await?;
        looked.link.remove_version(looked.key, stale).await?;
        self.notes.write(looked.version_note(MirroredVersion { stale: None, ..version })).await
    }

    /// Removes versions there that are not here any more, the oldest first: so none of them is the latest for a moment. Whether
    /// another one may be the latest there than was looked at.
    async fn remove_gone(&self, looked: &Looked<'_>, sent: bool, term: &Term) -> Result<bool, Trouble> {
        let (metadata, mut unsure) = (&self.store.metadata, false);
        loop {
            let gone = metadata.versions_gone(looked.space.id, looked.key, PAGE).await?;
            if gone.is_empty() {
                return Ok(unsure);
            }
            for version in &gone {
                let Some(there) = &version.there else { continue };
                let latest = looked.latest_there().is_none_or(|latest| latest == there);
                if latest && !sent && !unsure {
                    unsure = true;
                    // What shows then was there before, and nobody has changed it.
                    let forgotten = MirrorNote { there: None, sending: None, here: None, ..looked.note() };
                    self.notes.write(forgotten).await?;
                }
                may_change(looked.link, 0, term).await?;
                looked.link.remove_version(looked.key, there).await?;
                metrics::upstream_mirrored("version_removed", 0);
            }
            let gone: Vec<ObjectId> = gone.iter().map(|version| version.id).collect();
            self.notes.forget(looked.space.id, looked.key, gone).await?;
        }
    }
}

/// The entity tag and size of a version; `None` of a delete marker.
fn line(object: &Object) -> Option<(&str, u64)> {
    (!object.is_delete_marker()).then(|| (object.etag.as_str(), object.size()))
}
