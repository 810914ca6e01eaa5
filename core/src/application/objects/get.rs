//! Reading an object, or only what it carries.

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};

use super::ObjectRef;
use crate::application::absence;
use crate::application::entered::Sight;
use crate::application::error::{Error, Result};
use crate::application::fairness::Held;
use crate::application::limits::Direction;
use crate::application::metrics;
use crate::application::ports::metadata::Found;
use crate::application::ports::segments::{ReadPurpose, ReadRequest, SegmentError};
use crate::application::store::Store;
use crate::domain::action::Action;
use crate::domain::blob::Extent;
use crate::domain::checksum::Checksum;
use crate::domain::etag::Etag;
use crate::domain::object::Object;
use crate::domain::precondition::{Preconditions, ReadDecision};
use crate::domain::principal::Principal;
use crate::domain::range::{ByteRange, Span};
use crate::domain::timestamp::Timestamp;
use crate::domain::upstream::Source;

/// How to read.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// Only these bytes.
    pub range: Option<ByteRange>,
    /// The range counts only if this is current (RFC 9110 section 13.1.5).
    pub if_range: Option<IfRange>,
    /// Only this part, from 1.
    pub part: Option<u32>,
    /// What must hold.
    pub preconditions: Preconditions,
}

impl ReadOptions {
    /// Whether the whole object is wanted, whatever it is.
    pub(crate) fn is_plain(&self) -> bool {
        self.range.is_none() && self.part.is_none() && self.preconditions == Preconditions::default()
    }
}

/// The state of an object in which a range of it is wanted.
#[derive(Clone, Debug)]
pub enum IfRange {
    /// With this tag.
    Tag(Etag),
    /// Last modified in exactly this second.
    Date(Timestamp),
    /// None that there could be: the whole object is wanted.
    Never,
}

impl IfRange {
    fn is_of(&self, object: &Object) -> bool {
        match self {
            Self::Tag(tag) => *tag == object.etag,
            Self::Date(date) => date.seconds() == object.created_at.seconds(),
            Self::Never => false,
        }
    }
}

/// What a read found, without its bytes.
#[derive(Clone, Debug)]
pub struct Head {
    /// The object.
    pub object: Object,
    /// The bytes that were asked for.
    pub span: Span,
    /// Whether a range or part was asked for and is honoured: HTTP 206.
    pub partial: bool,
    /// How many parts the object has, where a part was asked for.
    pub parts: Option<u32>,
    /// The checksum of exactly the part that was asked for, where it is known.
    pub part_checksum: Option<Checksum>,
    /// Where it came from, in a space that reads through to an upstream.
    pub source: Option<Source>,
}

/// What a read found, and its bytes.
pub struct Download {
    /// What was found.
    pub head: Head,
    /// Exactly the bytes of `head.span`, each verified before it is yielded. An error ends the stream
    /// short: the front must break the connection rather than end the answer well.
    pub body: BoxStream<'static, Result<Bytes>>,
}

/// That it was here, where it might have been elsewhere.
fn local(object: &Object) -> Option<Source> {
    object.upstream.filter(|mode| mode.reads_through()).map(|_| Source::Local)
}

impl Store {
    /// An object, for a principal that may do `action` to it.
    pub async fn object(&self, who: &Principal, action: Action, object: &ObjectRef) -> Result<Object> {
        Ok(self.locate_content(who, action, object).await?.found.object)
    }

    /// What an object carries, under the same conditions as reading it.
    pub async fn head(&self, who: &Principal, object: &ObjectRef, options: &ReadOptions) -> Result<Head> {
        let found = match self.sight(who, Action::GetObject, object).await? {
            Sight::Here(located) => {
                let found = located.content(object)?.found;
                self.answered_here(who, &found.object);
                found
            }
            Sight::Beyond(entered, beyond) => {
                return Box::pin(self.head_beyond(who, &entered, &beyond, options)).await;
            }
        };
        self.decide(found.object, options).await
    }

    /// Reads an object, or a range or part of it.
    pub async fn get(&self, who: &Principal, object: &ObjectRef, options: &ReadOptions) -> Result<Download> {
        let (Found { object, leaf }, source) = match self.sight(who, Action::GetObject, object).await? {
            Sight::Here(located) => {
                let found = located.content(object)?.found;
                let source = local(&found.object);
                self.answered_here(who, &found.object);
                (found, source)
            }
            Sight::Beyond(entered, beyond) => {
                if let Some(download) = Box::pin(self.get_beyond(who, &entered, &beyond, options)).await? {
                    return Ok(download);
                }
                // It is here by now.
                let found = self.locate_read(who, Action::GetObject, object).await?.content(object)?.found;
                self.answered_from(who, beyond.space.id, Source::Pulled);
                (found, Some(Source::Pulled))
            }
        };
        let head = Head { source, ..self.decide(object, options).await? };
        let extents = self.extents_of(&head.object, leaf, head.span).await?;
        let transfer = self.transfer(who).await?;
        let body = self.read_extents(extents).await?;
        self.download(who, head, body, transfer).await
    }

    /// A read of an object that is here, in a space that may have an upstream.
    fn answered_here(&self, who: &Principal, object: &Object) {
        if let Some(source) = local(object) {
            self.answered_from(who, object.space, source);
        }
    }

    /// A share of all transfers, for one download. It is taken before what it is for is opened: until its last byte is taken
    /// a download may hold a segment's file or a connection, and a chunk in memory.
    pub(super) async fn transfer(&self, who: &Principal) -> Result<Held> {
        self.pools.transfers.take(&Some(who.tenant.clone()), 1).await
    }

    /// A download that holds `transfer` until its last byte is taken.
    pub(super) async fn download(
        &self,
        who: &Principal,
        head: Head,
        body: BoxStream<'static, Result<Bytes>>,
        transfer: Held,
    ) -> Result<Download> {
        let body = body
            .map(move |chunk| {
                let _held = &transfer;
                chunk
            })
            .boxed();
        let body = self.limits.paced(&who.tenant, body, Direction::Down).await?;
        Ok(Download { head, body })
    }

    pub(crate) async fn decide(&self, object: Object, options: &ReadOptions) -> Result<Head> {
        match options.preconditions.decide_read(&object.etag, object.created_at) {
            ReadDecision::Proceed => {}
            ReadDecision::NotModified => return Err(Error::NotModified(Box::new(object))),
            ReadDecision::Failed => return Err(Error::PreconditionFailed("the object has changed")),
        }
        let size = object.size();
        let source = local(&object);
        let range =
            options.range.filter(|_| options.if_range.as_ref().is_none_or(|state| state.is_of(&object)));
        match (options.part, range) {
            (Some(part), _) => {
                let (span, parts) = self.part_span(&object, part).await?;
                let part_checksum = self.checksum_of_part(&object, part).await?;
                Ok(Head { span, partial: true, parts: Some(parts), part_checksum, source, object })
            }
            (None, Some(range)) => {
                let span = range.resolve(size)?;
                // A range of nothing cannot be written: it is the whole of an empty object.
                let partial = span.length() > 0;
                Ok(Head { span, partial, parts: None, part_checksum: None, source, object })
            }
            (None, None) => {
                let span = Span::whole(size);
                Ok(Head { span, partial: false, parts: None, part_checksum: None, source, object })
            }
        }
    }

    /// Where a part lies. An object that was not uploaded in parts has one part: itself.
    async fn part_span(&self, object: &Object, part: u32) -> Result<(Span, u32)> {
        let content = object.content.ok_or(Error::NoSuchObject)?;
        if !content.parts.is_multipart() {
            let whole = Span::whole(content.size);
            return if part == 1 { Ok((whole, 1)) } else { Err(Error::NoSuchPart) };
        }
        self.metadata.part_span(content.blob, part).await?.ok_or(Error::NoSuchPart)
    }

    /// The stretches of leaves that make up `span` of an object.
    pub(crate) async fn extents_of(
        &self,
        object: &Object,
        leaf: Option<Extent>,
        span: Span,
    ) -> Result<Vec<Extent>> {
        match (leaf, object.content) {
            _ if span.length() == 0 => Ok(Vec::new()),
            (Some(leaf), _) => Ok(Extent::clip(&[leaf], span.start, span.end)),
            (None, Some(content)) => Ok(self.metadata.extents(content.blob, span).await?),
            (None, None) => Ok(Vec::new()),
        }
    }

    /// The bytes of `extents`, one after the other. The first is opened before this returns, so that what
    /// is missing or damaged at the beginning is an error answer and not a broken connection.
    pub(crate) async fn read_extents(
        &self,
        extents: Vec<Extent>,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        let mut extents = extents.into_iter();
        let Some(first) = extents.next() else { return Ok(stream::empty().boxed()) };
        let mut opened = self.read_extent(first).await?.peekable();
        if let Some(Err(error)) = std::pin::Pin::new(&mut opened).peek().await {
            return Err(error.clone());
        }
        let store = self.clone();
        let rest = stream::iter(extents)
            .then(move |extent| {
                let store = store.clone();
                async move { store.read_extent(extent).await }
            })
            .try_flatten();
        Ok(opened.chain(rest).boxed())
    }

    async fn read_extent(&self, extent: Extent) -> Result<BoxStream<'static, Result<Bytes>>> {
        let (extent, opened) = self.open_extent(extent).await;
        match opened {
            Ok(stream) => {
                let store = self.clone();
                let watched = stream.or_else(move |error| {
                    let store = store.clone();
                    async move { Err(store.damaged(extent, error).await) }
                });
                Ok(watched.boxed())
            }
            Err(error) => Err(self.damaged(extent, error).await),
        }
    }

    /// Opens a stretch of a leaf where it lies now. Compaction and moves remove a segment once its leaves lie
    /// elsewhere; a location that was read before that is looked up again. A segment that is open is not
    /// disturbed by its removal.
    async fn open_extent(
        &self,
        mut extent: Extent,
    ) -> (Extent, Result<BoxStream<'static, Result<Bytes, SegmentError>>, SegmentError>) {
        loop {
            let request = ReadRequest {
                segment: extent.location.segment,
                payload_offset: extent.location.offset,
                payload_length: extent.location.length,
                hash: Some(extent.hash),
                start: extent.offset,
                end: extent.offset + extent.length,
                purpose: ReadPurpose::Serve,
            };
            let opened = self.tiers.of(extent.location.tier).read(request).await;
            let Err(SegmentError::Missing(_)) = &opened else { return (extent, opened) };
            match self.metadata.find_leaf(extent.blob).await {
                Ok(Some(leaf)) if leaf.location != extent.location => extent.location = leaf.location,
                _ => return (extent, opened),
            }
        }
    }

    /// Counts and quarantines a leaf whose bytes cannot be vouched for.
    async fn damaged(&self, extent: Extent, error: SegmentError) -> Error {
        let missing = matches!(error, SegmentError::Missing(_));
        if missing && matches!(self.metadata.find_leaf(extent.blob).await, Ok(None)) {
            // Deleted and collected since it was looked up: that is no damage.
            return Error::NoSuchObject;
        }
        if let Some(segment) = error.segment() {
            let tier = extent.location.tier;
            if matches!(error, SegmentError::Unreadable { .. }) {
                metrics::unreadable_read(tier);
            } else {
                metrics::corrupt_read(tier);
            }
            if !matches!(error, SegmentError::Corrupt { .. })
                && let Err(error) =
                    absence::check(self.metadata.as_ref(), &self.tiers, tier, Some(segment)).await
            {
                return error;
            }
            tracing::error!(%error, blob = %extent.hash, "blob quarantined");
            if let Err(error) = self.metadata.quarantine(extent.blob, extent.location).await {
                tracing::warn!(%error, blob = %extent.hash, "blob could not be marked as quarantined");
            }
        }
        Error::from(error)
    }
}
