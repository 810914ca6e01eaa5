//! Reads of objects that are not here, but upstream.

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};

use super::get::{Download, Head, ReadOptions};
use crate::application::entered::{Entered, Wish};
use crate::application::error::{Error, Result};
use crate::application::ports::metadata::{Found, SpaceRef};
use crate::application::ports::upstream::{Answer, UpstreamBody, UpstreamObject};
use crate::application::store::Store;
use crate::application::upstream::flight::{FetchFailure, FetchOutcome, Flight, Heard, Tee};
use crate::application::upstream::verified::{Check, checked, held_back};
use crate::application::upstream::{Beyond, answer, kept};
use crate::domain::action::Action;
use crate::domain::address::Key;
use crate::domain::object::{Object, Tags};
use crate::domain::precondition::{Preconditions, WriteDecision};
use crate::domain::principal::Principal;
use crate::domain::range::Span;
use crate::domain::upstream::proof::plan;
use crate::domain::upstream::{Fate, Source};

/// Largest object that is fetched whole before the first byte of it is answered, in bytes.
const WAITED_BYTES_MAX: u64 = 1 << 20;

/// How often an object is fetched again for one request while the settings of its space change.
const BRINGS_MAX: u32 = 4;

/// A place for one read beyond.
struct Asked<'a> {
    who: &'a Principal,
    entered: &'a Entered,
    beyond: &'a Beyond,
}

impl Asked<'_> {
    /// The object as a request sees it, if `who` may read it.
    fn admitted(&self, said: &UpstreamObject, tags: Tags) -> Result<Object> {
        let object = kept::object(&self.beyond.space, &self.beyond.key, said, tags);
        self.entered.admit(self.who, self.wish(), &object)?;
        Ok(object)
    }

    fn wish(&self) -> Wish<'_> {
        Wish::of(Action::GetObject, Some(&self.beyond.key)).version(self.beyond.as_version)
    }

    fn absent(&self) -> Error {
        self.entered.absent(self.who, self.wish(), self.beyond.nothing())
    }
}

impl Store {
    /// Where an object is looked for that is not here; `None` if it is nowhere else.
    pub(crate) async fn beyond(&self, entered: &Entered, key: &Key) -> Result<Option<Beyond>> {
        let (Some(space), Some(binding)) = (&entered.space, &entered.settings.upstream) else {
            return Ok(None);
        };
        if !binding.mode.reads_through() {
            return Ok(None);
        }
        let link = self.links.of(space, binding);
        if link.as_ref().is_ok_and(|link| self.links.is_absent(link, space, key)) {
            return Ok(None);
        }
        // What was removed here is not asked for. What was pulled in this very moment is found by who looks again.
        if self.metadata.fate(space.id, key).await? == Some(Fate::Owned) {
            return Ok(None);
        }
        Ok(Some(Beyond { space: space.clone(), key: key.clone(), link: link?, as_version: false }))
    }

    /// The object from upstream, which is here from then on; `None` if there is none.
    pub(crate) async fn bring(&self, beyond: &Beyond) -> Result<Option<Found>> {
        let (place, mut beyond) = (SpaceRef::Space(beyond.space.address.clone()), beyond.clone());
        for _ in 0..BRINGS_MAX {
            let outcome = self.pull(&beyond).await;
            match &outcome {
                FetchOutcome::Absent => return Ok(None),
                FetchOutcome::Failed(failure) => return Err(failure.answer()),
                FetchOutcome::Kept(..) | FetchOutcome::Overtaken => {}
            }
            let found = self.metadata.latest(&place, &beyond.key).await?;
            if found.is_some() || matches!(outcome, FetchOutcome::Kept(..)) {
                return Ok(found);
            }
            // It was removed here meanwhile, or something was set on the space.
            let entered = self.resolve(&place).await?;
            match self.beyond(&entered, &beyond.key).await? {
                Some(again) => beyond = again,
                None => return Ok(None),
            }
        }
        Err(Error::UpstreamAway)
    }

    /// What a condition on a write is decided on, where nothing is here: the object upstream, which is here from then on. One
    /// of which the condition does not hold stays there; the write is refused by what is said of it.
    pub(crate) async fn settle_beyond(
        &self,
        entered: &Entered,
        key: &Key,
        conditions: &Preconditions,
    ) -> Result<Option<Found>> {
        let Some(beyond) = self.beyond(entered, key).await? else { return Ok(None) };
        if !conditions.is_empty() {
            let said = beyond.link.head(key).await.map_err(|error| answer(&error))?;
            let Some(said) = said else { return Ok(None) };
            let current = kept::etag(&said);
            if conditions.decide_write(Some((&current, kept::modified(&said)))) != WriteDecision::Proceed {
                return Err(Error::PreconditionFailed("the current object does not match"));
            }
        }
        self.bring(&beyond).await
    }

    /// The tags of an object upstream; nothing is asked where it has none.
    pub(crate) async fn tags_beyond(&self, beyond: &Beyond, said: &UpstreamObject) -> Answer<Tags> {
        if said.tag_count == 0 { Ok(Tags::new()) } else { beyond.link.tags(&beyond.key).await }
    }

    /// What an object upstream carries. It stays there.
    pub(crate) async fn head_beyond(
        &self,
        who: &Principal,
        entered: &Entered,
        beyond: &Beyond,
        options: &ReadOptions,
    ) -> Result<Head> {
        let asked = Asked { who, entered, beyond };
        let (_, object) = self.looked_at(&asked).await?;
        self.answered_from(who, beyond.space.id, Source::Upstream);
        let head = self.decide(object, options).await?;
        Ok(Head { source: Some(Source::Upstream), ..head })
    }

    async fn looked_at(&self, asked: &Asked<'_>) -> Result<(UpstreamObject, Object)> {
        let beyond = asked.beyond;
        let failed = |error| answer(&error);
        let Some(said) = beyond.link.head(&beyond.key).await.map_err(failed)? else {
            self.links.note_absent(&beyond.space, &beyond.key);
            return Err(asked.absent());
        };
        let tags = self.tags_beyond(beyond, &said).await.map_err(failed)?;
        let object = asked.admitted(&said, tags)?;
        Ok((said, object))
    }

    /// Reads an object from upstream; `None` if it is here by now. A read of a part of it passes through at once; a read of
    /// the whole is what keeps it here.
    pub(crate) async fn get_beyond(
        &self,
        who: &Principal,
        entered: &Entered,
        beyond: &Beyond,
        options: &ReadOptions,
    ) -> Result<Option<Download>> {
        let asked = Asked { who, entered, beyond };
        if !options.is_plain() {
            let (said, object) = self.looked_at(&asked).await?;
            let head = self.decide(object, options).await?;
            // A part of nothing cannot be asked for by a range.
            if head.partial && head.span.length() > 0 {
                return self.pass_on(&asked, &said, head).await.map(Some);
            }
        }
        let Some((flight, tee)) = self.try_pull(beyond, true) else {
            // Too much is fetched just now: it is read as it comes, and stays where it is.
            return self.pass_whole(&asked, options).await.map(Some);
        };
        let Some(mut tee) = tee else {
            // Another request fetches it. What is large is not waited for.
            return match flight.outcome_unless_larger(WAITED_BYTES_MAX).await {
                Some(outcome) => self.settle(&asked, options, outcome).await,
                None => self.pass_whole(&asked, options).await.map(Some),
            };
        };
        let Some(Heard::Object(said, tags)) = tee.recv().await else {
            return self.settle(&asked, options, flight.outcome().await).await;
        };
        let object = asked.admitted(&said, tags)?;
        if said.size <= WAITED_BYTES_MAX {
            drop(tee);
            return self.settle(&asked, options, flight.outcome().await).await;
        }
        let head = Head { source: Some(Source::Pulled), ..self.decide(object, options).await? };
        // What keeps it from being kept before its first byte came keeps nobody from reading it.
        let Some(Heard::Bytes(first)) = tee.recv().await else {
            return self.pass_whole(&asked, options).await.map(Some);
        };
        self.answered_from(who, beyond.space.id, Source::Pulled);
        let rest = Rest { store: self.clone(), beyond: beyond.clone(), said, flight, at: first.len() as u64 };
        let (is_last, first) = (rest.at >= rest.said.size, stream::iter([Ok(first)]));
        let body = match heard(tee, rest) {
            rest if is_last => held_back(first.chain(rest).boxed()),
            rest => first.chain(held_back(rest)).boxed(),
        };
        let transfer = self.transfer(who).await?;
        self.download(who, head, body, transfer).await.map(Some)
    }

    /// The answer once a pull has ended: from here, if it is here.
    async fn settle(
        &self,
        asked: &Asked<'_>,
        options: &ReadOptions,
        outcome: FetchOutcome,
    ) -> Result<Option<Download>> {
        match outcome {
            FetchOutcome::Kept(..) | FetchOutcome::Overtaken => Ok(None),
            FetchOutcome::Absent => Err(asked.absent()),
            // It cannot be kept; whether it can be read is another question.
            FetchOutcome::Failed(FetchFailure::Here(_) | FetchFailure::Unfit(_)) => {
                self.pass_whole(asked, options).await.map(Some)
            }
            FetchOutcome::Failed(failure) => Err(failure.answer()),
        }
    }

    /// A stretch of an object as it comes. The whole is fetched beside it.
    async fn pass_on(&self, asked: &Asked<'_>, said: &UpstreamObject, head: Head) -> Result<Download> {
        let beyond = asked.beyond;
        let transfer = self.transfer(asked.who).await?;
        let fetched = beyond.link.get(&beyond.key, Some(head.span), Some(&said.etag)).await;
        let fetched = fetched.map_err(|error| answer(&error))?;
        let Some(UpstreamBody { object, stream }) = fetched else { return Err(asked.absent()) };
        if object.size != head.span.length() {
            return Err(Error::UpstreamFailed);
        }
        // Nobody waits for it.
        drop(self.try_pull(beyond, false));
        self.answered_from(asked.who, asked.beyond.space.id, Source::Upstream);
        let head = Head { source: Some(Source::Upstream), ..head };
        self.download(asked.who, head, as_body(stream), transfer).await
    }

    /// The whole of an object as it comes, compared with what is said of it.
    async fn pass_whole(&self, asked: &Asked<'_>, options: &ReadOptions) -> Result<Download> {
        let beyond = asked.beyond;
        let failed = |error| answer(&error);
        let transfer = self.transfer(asked.who).await?;
        let Some(body) = beyond.link.get(&beyond.key, None, None).await.map_err(failed)? else {
            return Err(asked.absent());
        };
        let tags = self.tags_beyond(beyond, &body.object).await.map_err(failed)?;
        let object = asked.admitted(&body.object, tags)?;
        let head = self.decide(object, options).await?;
        let proof = plan(&kept::said(&body.object));
        let stream = checked(body.stream, Check::new(body.object.size, &proof));
        self.answered_from(asked.who, asked.beyond.space.id, Source::Upstream);
        let head = Head { source: Some(Source::Upstream), ..head };
        self.download(asked.who, head, held_back(as_body(stream)), transfer).await
    }
}

fn as_body(stream: BoxStream<'static, Answer<Bytes>>) -> BoxStream<'static, Result<Bytes>> {
    stream.map(|piece| piece.map_err(|error| answer(&error))).boxed()
}

/// What a tee does not hear, as the pull did not wait for its client.
struct Rest {
    store: Store,
    beyond: Beyond,
    said: Box<UpstreamObject>,
    flight: Flight,
    /// So many bytes were heard.
    at: u64,
}

impl Rest {
    /// From here, once it is here.
    async fn read(self) -> Result<BoxStream<'static, Result<Bytes>>> {
        let Self { store, beyond, said, flight, at } = self;
        if let FetchOutcome::Failed(failure) = flight.outcome().await {
            return Err(failure.answer());
        }
        // What is here now is proved; the bytes that the client has already are not. Both together are no object.
        if flight.is_taken_back() {
            return Err(Error::UpstreamFailed);
        }
        let place = SpaceRef::Space(beyond.space.address.clone());
        let found = store.metadata.latest(&place, &beyond.key).await?;
        // Another object by now, or none: the client asks again.
        let found =
            found.filter(|found| found.object.etag == kept::etag(&said) && found.object.size() == said.size);
        let Found { object, leaf, .. } = found.ok_or(Error::UpstreamFailed)?;
        let extents = store.extents_of(&object, leaf, Span { start: at, end: said.size }).await?;
        Ok(store.read_extents(extents).await?.boxed())
    }
}

/// The bytes that a tee hears, and those that it does not. They end well only if they were proved.
fn heard(tee: Tee, rest: Rest) -> BoxStream<'static, Result<Bytes>> {
    stream::try_unfold(Some((tee, rest)), |hearing| async move {
        let Some((mut tee, mut rest)) = hearing else { return Ok(None) };
        match tee.recv().await {
            Some(Heard::Bytes(bytes)) => {
                rest.at += bytes.len() as u64;
                let piece = stream::iter([Ok(bytes)]).boxed();
                Ok(Some((piece, Some((tee, rest)))))
            }
            Some(Heard::End(Ok(()))) => Ok(None),
            Some(Heard::End(Err(failure))) => Err(failure.answer()),
            None => Ok(Some((rest.read().await?, None))),
            Some(Heard::Object(..)) => Err(Error::UpstreamFailed),
        }
    })
    .try_flatten()
    .boxed()
}
