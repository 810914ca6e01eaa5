//! Copying an object: inside one dedup domain no byte moves, across domains the bytes are read and written
//! like an upload, so that the wall between domains also holds for them.

use super::ObjectRef;
use super::put::{EtagStyle, PutRequest, object_of};
use crate::application::error::{Error, Result};
use crate::application::ingest::{Body, digest_only};
use crate::application::ports::metadata::{Found, Mutation, NewContent, PutObject, SpaceRef};
use crate::application::request;
use crate::application::store::Store;
use crate::domain::acl::CannedAcl;
use crate::domain::action::Action;
use crate::domain::address::Key;
use crate::domain::checksum::{Checksum, ChecksumAlgorithm, ChecksumKind};
use crate::domain::event::How;
use crate::domain::object::{Attributes, Headers, Object, ObjectId, Tags, UserMetadata};
use crate::domain::object_lock::ObjectLock;
use crate::domain::precondition::{Preconditions, ReadDecision};
use crate::domain::principal::Principal;
use crate::domain::range::Span;
use crate::domain::storage_class::{ClassName, StorageClass};

/// What [`Error::PreconditionFailed`] says of a condition on the source.
pub const SOURCE_DIFFERS: &str = "the copy source does not match";

/// What to copy, and to where.
#[derive(Clone, Debug)]
pub struct CopyRequest {
    /// The source.
    pub source: ObjectRef,
    /// What must hold of the source.
    pub source_preconditions: Preconditions,
    /// The target's space or bucket.
    pub place: SpaceRef,
    /// The target's key.
    pub key: Option<Key>,
    /// Headers and metadata of the target; `None` to take the source's.
    pub replace: Option<(Headers, UserMetadata)>,
    /// Tags of the target; `None` to take the source's.
    pub replace_tags: Option<Tags>,
    /// What holds the target; the source's lock is never taken over.
    pub lock: ObjectLock,
    /// What the target grants to strangers; the source's ACL is never taken over.
    pub acl: CannedAcl,
    /// The target's class; `None` for its space's default, as S3 has it.
    pub class: Option<StorageClass>,
    /// The name by which the class is asked for, if it is not the usual one; the source's is never taken over.
    pub class_name: Option<ClassName>,
    /// What must hold of the target's current version.
    pub preconditions: Preconditions,
    /// The checksum the target should carry; `None` to take the source's.
    pub checksum: Option<ChecksumAlgorithm>,
}

impl Store {
    /// Copies an object. Returns the source and the target.
    pub async fn copy(&self, who: &Principal, request: CopyRequest) -> Result<(Object, Object)> {
        // A source that GC takes between the look and the commit is looked up once more: the answer is then
        // what a request that came a moment later would get.
        match self.copy_once(who, &request).await {
            Err(Error::Conflict) => self.copy_once(who, &request).await,
            result => result,
        }
    }

    async fn copy_once(&self, who: &Principal, request: &CopyRequest) -> Result<(Object, Object)> {
        let source = self.copy_source(who, &request.source, &request.source_preconditions).await?;
        let (headers, metadata) = request
            .replace
            .clone()
            .unwrap_or_else(|| (source.object.headers.clone(), source.object.metadata.clone()));
        let copies_tags = request.replace_tags.is_none() && !source.object.tags.is_empty();
        // S3 `CopyObject`: tags that are copied are read. An ACL knows no difference.
        if copies_tags && self.settings_around(&source.object).await?.policy.is_some() {
            self.also(who, &[Action::GetObjectTagging], &request.source, &source.object).await?;
        }
        let tags = request.replace_tags.clone().unwrap_or_else(|| source.object.tags.clone());
        let mut attributes = Attributes {
            headers,
            metadata,
            tags,
            class: None,
            class_name: request.class_name,
            lock: request.lock,
            acl: request.acl,
        };
        let entered = self.enter_to_put(who, &request.place, request.key.as_ref(), &attributes).await?;
        attributes.class = Some(self.class_in(&entered, request.class).await?);
        self.precheck_lock(&entered, &attributes.lock)?;
        attributes.validate()?;
        if entered.reads_through() {
            self.precheck(&entered, request.key.as_ref(), &request.preconditions).await?;
        }
        let domain = self.dedup.domain(&entered.address);
        let content = source.object.content.ok_or(Error::NoSuchObject)?;
        if self.dedup.domain(&source.object.address) != domain {
            return self.copy_bytes(who, request, source, attributes).await;
        }
        let _room = self.ingest.reserve.take_metadata().await?;
        let size = source.object.size();
        let quota = self.check_quota(&entered.address, request.key.as_ref(), Some(size)).await?;
        let checksum = self.checksum_of(&source, request.checksum).await?;
        let put = PutObject {
            space: entered.address,
            bucket: entered.bucket,
            key: request.key.clone(),
            id: ObjectId::fresh(self.clock.now()),
            domain,
            content: NewContent::Existing(content.blob),
            etag: source.object.etag.clone(),
            attributes,
            checksum,
            preconditions: request.preconditions.clone(),
            quota,
            announced: None,
            once: None,
            cause: request::cause(How::Copy),
            pulled: None,
        };
        let object = object_of(self.committer.commit(Mutation::Put(Box::new(put))).await?)?;
        self.sent(&object).await?;
        Ok((source.object, object))
    }

    /// The source of a copy, if `who` may read it and the conditions on it hold.
    pub(crate) async fn copy_source(
        &self,
        who: &Principal,
        source: &ObjectRef,
        preconditions: &Preconditions,
    ) -> Result<Found> {
        let found = self.locate_content(who, Action::GetObject, source).await?.found;
        match preconditions.decide_copy_source(&found.object.etag, found.object.created_at) {
            ReadDecision::Proceed => Ok(found),
            ReadDecision::NotModified | ReadDecision::Failed => {
                Err(Error::PreconditionFailed(SOURCE_DIFFERS))
            }
        }
    }

    async fn copy_bytes(
        &self,
        who: &Principal,
        request: &CopyRequest,
        source: Found,
        attributes: Attributes,
    ) -> Result<(Object, Object)> {
        let body = self.body_of(&source, Span::whole(source.object.size())).await?;
        // A tag that is an MD5 of the body stays one.
        let etag =
            if source.object.etag.as_str().contains('-') { EtagStyle::Content } else { EtagStyle::Md5 };
        let stored = source.object.checksum.as_ref().map(|checksum| checksum.algorithm);
        let put = PutRequest {
            place: request.place.clone(),
            key: request.key.clone(),
            attributes,
            preconditions: request.preconditions.clone(),
            etag,
            checksum: request.checksum.or(stored),
            how: How::Copy,
        };
        let object = self.put(who, put, body).await?;
        Ok((source.object, object))
    }

    /// A stretch of a stored object as the body of a write.
    pub(crate) async fn body_of(&self, source: &Found, span: Span) -> Result<Body> {
        let extents = self.extents_of(&source.object, source.leaf, span).await?;
        Ok(Body::of_stored(self.read_extents(extents).await?, span.length()))
    }

    /// The checksum that a copy carries: the source's, unless another algorithm is asked for. That one has
    /// to be computed, which reads the bytes but moves none.
    async fn checksum_of(
        &self,
        source: &Found,
        asked: Option<ChecksumAlgorithm>,
    ) -> Result<Option<Checksum>> {
        let stored = source.object.checksum.as_ref();
        let Some(algorithm) = asked else { return Ok(stored.cloned()) };
        if let Some(stored) =
            stored.filter(|c| c.algorithm == algorithm && c.kind == ChecksumKind::FullObject)
        {
            return Ok(Some(stored.clone()));
        }
        let body = self.body_of(source, Span::whole(source.object.size())).await?;
        Ok(Some(digest_only(body, algorithm).await?))
    }
}
