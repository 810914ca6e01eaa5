//! An object is sent: as it was made here, so that it has the same entity tag there.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _};
use md5::{Digest as _, Md5};

use super::notes::Note;
use super::trouble::Trouble;
use super::{Looked, MirrorSink, at_pace, class_of, give_up, in_time, shown};
use crate::application::error::Error;
use crate::application::ports::metadata::{Found, MirrorNote, ObjectAddress, SpaceRef, VersionNote};
use crate::application::ports::sink::{Term, Undelivered};
use crate::application::ports::upstream::{
    Answer, UpstreamCarried, UpstreamError, UpstreamSent, UpstreamTold,
};
use crate::application::upstream::kept;
use crate::application::upstream::verified::layout_of;
use crate::domain::etag::{Etag, Md5Digest};
use crate::domain::mirror::{Shape, UNTOLD, is_contradicted};
use crate::domain::naming::ContentName;
use crate::domain::range::Span;
use crate::domain::upstream::Fate;
use crate::domain::upstream::proof::{Proof, Said, part_count, plan};

/// Parts of an object that are looked up at once.
const PARTS_PAGE: u32 = 1000;

impl MirrorSink {
    /// Sends an object, having noted that. What it is there: its entity tag, as it is kept here, and the id of the version that
    /// is made, if one is.
    pub(super) async fn send(
        &self,
        looked: &Looked<'_>,
        found: &Found,
        note: MirrorNote,
        version: Option<VersionNote>,
        term: &Term,
    ) -> Result<(Etag, Option<String>), Trouble> {
        let object = &found.object;
        let shape = self.shape(looked, found, term).await?;
        let carried = UpstreamCarried {
            headers: object.headers.clone(),
            metadata: shown(&object.metadata),
            tags: object.tags.clone(),
            class: class_of(object),
        };
        let sending = if shape.tells() { object.etag.as_str() } else { UNTOLD };
        let sending = Some(sending.to_owned());
        let mut version = version;
        if let Some(version) = &mut version {
            version.version.sending.clone_from(&sending);
        }
        let note = Note { key: Some(MirrorNote { sending, ..note.clone() }), version };
        let told = match &shape {
            Shape::Whole(md5) => self.send_whole(looked, found, *md5, (&carried, &note), term).await?,
            Shape::Parts(parts) => self.send_parts(looked, found, parts, (&carried, &note), term).await?,
        };
        let UpstreamTold { etag, version, .. } = told;
        let etag = kept::etag_of(&etag);
        if etag != object.etag {
            let (there, here) = (Some(etag.as_str().to_owned()), Some(object.etag.as_str().to_owned()));
            self.notes
                .write(MirrorNote {
                    there,
                    here,
                    sending: None,
                    upload: None,
                    changed: None,
                    ..looked.note()
                })
                .await?;
        }
        Ok((etag, version))
    }

    /// How the object was made, as far as that is known.
    async fn shape(&self, looked: &Looked<'_>, found: &Found, term: &Term) -> Result<Shape, Trouble> {
        let object = &found.object;
        let (etag, size) = (object.etag.as_str(), object.size());
        let Some(content) = object.content.filter(|content| content.parts.is_multipart()) else {
            return Ok(Shape::of(etag, size, &self.parts_elsewhere(looked, found, term).await?));
        };
        let (mut sizes, mut after) = (Vec::new(), 0);
        loop {
            let page = self.store.metadata.part_sizes(content.blob, after, PARTS_PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            sizes.extend(page.iter().map(|(_, size)| *size));
        }
        Ok(Shape::of(etag, size, &sizes))
    }

    /// The sizes of the parts that an object of one piece had where it was made: it was fetched, or is a copy of one that was.
    /// The upstream tells them; otherwise the usual ones are tried on the bytes that are here. None if they are not found.
    async fn parts_elsewhere(
        &self,
        looked: &Looked<'_>,
        found: &Found,
        term: &Term,
    ) -> Result<Vec<u64>, Trouble> {
        let object = &found.object;
        let (etag, size) = (object.etag.as_str(), object.size());
        if part_count(etag).is_none() {
            return Ok(Vec::new());
        }
        let is_fetched = object.is_null_version
            && looked.remembered.as_ref().is_some_and(|known| known.fate == Fate::Pulled);
        let parts = if is_fetched { looked.link.part_sizes(looked.key).await? } else { None };
        let is_told = parts.is_some();
        let said = Said { size, etag: etag.to_owned(), parts, ..Said::default() };
        let Proof::Parts { mut layouts, .. } = plan(&said) else { return Ok(Vec::new()) };
        if is_told {
            return Ok(layouts.swap_remove(0));
        }
        let Reading { stream, watch } = self.read(found, Span::whole(size), term).await?;
        let layout = layout_of(stream, etag, layouts).await.map_err(|error| watch.explain(error))?;
        Ok(layout.unwrap_or_default())
    }

    async fn send_whole(
        &self,
        looked: &Looked<'_>,
        found: &Found,
        md5: Option<Md5Digest>,
        (carried, note): (&UpstreamCarried, &Note),
        term: &Term,
    ) -> Result<UpstreamTold, Trouble> {
        let object = &found.object;
        let sha256 = match (md5, object.content.map(|content| content.name)) {
            (None, Some(ContentName::Bytes(hash))) => Some(hash),
            _ => None,
        };
        at_pace(looked.link, object.size(), term).await?;
        let reading = self.read(found, Span::whole(object.size()), term).await?;
        in_time(term)?;
        self.notes.write(note.clone()).await?;
        let watch = reading.watch.clone();
        let sent = UpstreamSent { length: object.size(), md5, sha256, stream: reading.stream };
        let told = match looked.link.put(looked.key, carried, sent).await {
            // The bytes are the object's, but its tag is not made of them: where it comes from it was encrypted. It is sent
            // without.
            Err(_) if md5.is_some_and(|md5| watch.is_other(&md5, object.size())) => {
                let note = untold(note);
                return Box::pin(self.send_whole(looked, found, None, (carried, &note), term)).await;
            }
            told => told.map_err(|error| watch.explain(error))?,
        };
        match confirm(&watch.md5(), &told) {
            Ok(()) => Ok(told),
            Err(trouble) => Err(take_back(looked, &told, trouble).await),
        }
    }

    async fn send_parts(
        &self,
        looked: &Looked<'_>,
        found: &Found,
        parts: &[u64],
        (carried, note): (&UpstreamCarried, &Note),
        term: &Term,
    ) -> Result<UpstreamTold, Trouble> {
        let (link, key) = (looked.link, looked.key);
        at_pace(link, 0, term).await?;
        let upload = link.begin_upload(key, carried).await?;
        let with = |upload: Option<String>, note: &Note| Note {
            key: note.key.clone().map(|key| MirrorNote { upload, ..key }),
            version: note.version.clone(),
        };
        let mut note = with(Some(upload.clone()), note);
        let told = async {
            self.notes.write(note.clone()).await?;
            let filled = self.fill(looked, found, parts, &upload, term).await?;
            if filled.etag != found.object.etag {
                note = untold(&note);
                self.notes.write(note.clone()).await?;
            }
            self.complete(looked, &upload, filled, term).await
        };
        match told.await {
            Ok(told) => {
                self.notes.write(with(None, &note)).await?;
                Ok(told)
            }
            Err(trouble) => {
                // Otherwise by who looks at the key next.
                let _ = give_up(link, key, &upload).await;
                Err(trouble)
            }
        }
    }

    async fn fill(
        &self,
        looked: &Looked<'_>,
        found: &Found,
        parts: &[u64],
        upload: &str,
        term: &Term,
    ) -> Result<Filled, Trouble> {
        let (link, key) = (looked.link, looked.key);
        let (mut start, mut tags) = (0, Vec::with_capacity(parts.len()));
        let mut digests = Vec::with_capacity(parts.len());
        for (number, length) in (1_u32..).zip(parts) {
            let span = Span { start, end: start + length };
            at_pace(link, *length, term).await?;
            let reading = self.read(found, span, term).await?;
            let watch = reading.watch.clone();
            let sent = UpstreamSent { length: *length, md5: None, sha256: None, stream: reading.stream };
            let told = link.put_part(key, upload, number, sent).await;
            let told = told.map_err(|error| watch.explain(error))?;
            let md5 = watch.md5();
            confirm(&md5, &told)?;
            tags.push(told.etag);
            digests.push(md5);
            start = span.end;
        }
        // It may have taken long: what was replaced meanwhile is not made the upstream's for a moment.
        if !self.is_still_sent(looked, found).await? {
            return Err(Trouble::Changed);
        }
        Ok(Filled { tags, etag: Etag::multipart(&digests) })
    }

    async fn complete(
        &self,
        looked: &Looked<'_>,
        upload: &str,
        Filled { tags, etag }: Filled,
        term: &Term,
    ) -> Result<UpstreamTold, Trouble> {
        let (link, key) = (looked.link, looked.key);
        at_pace(link, 0, term).await?;
        in_time(term)?;
        match link.complete_upload(key, upload, &tags).await {
            Ok(told) => {
                if is_contradicted(etag.as_str(), &told.etag, told.opaque) {
                    return Err(take_back(looked, &told, not_the_same(&told)).await);
                }
                Ok(told)
            }
            // Where versions are kept their list tells it, when the key is looked at again.
            Err(error) if looked.versions => Err(error.into()),
            // It may have been made all the same: its answer was lost, and the upload is gone.
            Err(error) => match link.head(key).await? {
                Some(said) if kept::etag(&said) == etag => {
                    Ok(UpstreamTold { etag: said.etag, opaque: said.opaque_etag, version: said.version })
                }
                _ => Err(error.into()),
            },
        }
    }

    /// Whether what was begun to be sent is still to be: every version, where they are kept; otherwise the latest.
    async fn is_still_sent(&self, looked: &Looked<'_>, found: &Found) -> Result<bool, Trouble> {
        let metadata = &self.store.metadata;
        if looked.versions {
            return Ok(metadata.find(&ObjectAddress::Id(found.object.id)).await?.is_some());
        }
        let place = SpaceRef::Space(looked.space.address.clone());
        Ok(metadata.latest(&place, looked.key).await?.is_some_and(|now| now.object == found.object))
    }

    /// The bytes of a stretch of an object, each verified before it is sent; what they are is watched.
    async fn read(&self, found: &Found, span: Span, term: &Term) -> Result<Reading, Trouble> {
        let extents = self.store.extents_of(&found.object, found.leaf, span).await?;
        let bytes = self.store.read_extents(extents).await?;
        let (watch, term) = (Watch::default(), term.clone());
        let watching = watch.clone();
        let stream = bytes.map(move |piece| {
            if !term.lasts(std::time::Duration::ZERO) {
                return Err(UpstreamError::Away("another server sends by now".to_owned()));
            }
            watching.take(piece)
        });
        Ok(Reading { stream: stream.boxed(), watch })
    }
}

/// What is remembered of an object that gets another tag upstream than it has here.
fn untold(note: &Note) -> Note {
    let sending = Some(UNTOLD.to_owned());
    let mut note = note.clone();
    if let Some(key) = &mut note.key {
        key.sending.clone_from(&sending);
    }
    if let Some(version) = &mut note.version {
        version.version.sending = sending;
    }
    note
}

/// A version that has other bytes than were sent goes, as far as the upstream removes it: it is no version of the key here.
async fn take_back(looked: &Looked<'_>, told: &UpstreamTold, trouble: Trouble) -> Trouble {
    if let Some(version) = told.version.as_deref().filter(|_| looked.versions)
        && let Err(error) = looked.link.remove_version(looked.key, version).await
    {
        tracing::warn!(key = looked.key.as_str(), version, %error, "a version with other bytes is left upstream");
    }
    trouble
}

/// Whether the upstream has the bytes that were sent.
fn confirm(md5: &Md5Digest, told: &UpstreamTold) -> Result<(), Trouble> {
    if is_contradicted(Etag::md5(md5).as_str(), &told.etag, told.opaque) {
        return Err(not_the_same(told));
    }
    Ok(())
}

fn not_the_same(told: &UpstreamTold) -> Trouble {
    let why = format!("the upstream has other bytes than were sent: its entity tag is {}", told.etag);
    Trouble::Undelivered(Undelivered::Refused(why))
}

/// An upload that has every part.
struct Filled {
    /// The entity tags of the parts.
    tags: Vec<String>,
    /// That of the object, as the parts make it.
    etag: Etag,
}

/// Bytes that are sent.
struct Reading {
    stream: BoxStream<'static, Answer<Bytes>>,
    watch: Watch,
}

/// What was sent, and why no more of it.
#[derive(Clone, Default)]
struct Watch(Arc<Mutex<Watched>>);

#[derive(Default)]
struct Watched {
    md5: Md5,
    bytes: u64,
    trouble: Option<Error>,
}

impl Watch {
    fn take(&self, piece: Result<Bytes, Error>) -> Answer<Bytes> {
        let mut watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match piece {
            Ok(bytes) => {
                watched.md5.update(&bytes);
                watched.bytes += bytes.len() as u64;
                Ok(bytes)
            }
            Err(error) => {
                let text = error.to_string();
                watched.trouble = Some(error);
                Err(UpstreamError::Away(text))
            }
        }
    }

    /// The MD5 of what was sent.
    fn md5(&self) -> Md5Digest {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).md5.clone().finalize().into()
    }

    /// Whether all of so many bytes were sent, and have another MD5.
    fn is_other(&self, md5: &Md5Digest, size: u64) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).bytes == size && self.md5() != *md5
    }

    /// What a request failed with: what could not be read here, if anything.
    fn explain(&self, error: UpstreamError) -> Trouble {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).trouble.take() {
            Some(trouble) => trouble.into(),
            None => error.into(),
        }
    }
}
