//! Parts: send, copy, list.

use super::{PartsPage, UploadRef};
use crate::application::error::{Error, Result};
use crate::application::ingest::{Announced, Body, Intent};
use crate::application::limits::quota_exceeded;
use crate::application::object_ref::ObjectRef;
use crate::application::objects::list::PAGE_MAX;
use crate::application::objects::put::EtagStyle;
use crate::application::ports::metadata::{Mutation, MutationOutcome, NewContent, PutPart};
use crate::application::store::Store;
use crate::domain::action::Action;
use crate::domain::address::Tenant;
use crate::domain::checksum::{ChecksumAlgorithm, ChecksumKind};
use crate::domain::etag::Etag;
use crate::domain::invalid::Invalid;
use crate::domain::limits::Quota;
use crate::domain::multipart::{PART_BYTES_MAX, Part, PartNumber, Upload};
use crate::domain::naming::{ContentName, PartCount};
use crate::domain::object::Object;
use crate::domain::precondition::Preconditions;
use crate::domain::principal::Principal;
use crate::domain::range::{ByteRange, Span};

/// A part's bytes come from a stored object.
#[derive(Clone, Debug)]
pub struct CopyPartRequest {
    /// The source.
    pub source: ObjectRef,
    /// What must hold of the source.
    pub source_preconditions: Preconditions,
    /// Only these bytes of it; they must lie inside it.
    pub range: Option<ByteRange>,
}

impl Store {
    /// Takes in a part; a part with the same number is replaced. `checksum` is computed although the upload
    /// names none; one that differs from the upload's is refused.
    pub async fn put_part(
        &self,
        who: &Principal,
        reference: &UploadRef,
        number: PartNumber,
        etag: EtagStyle,
        checksum: Option<ChecksumAlgorithm>,
        body: Body,
    ) -> Result<Part> {
        let (upload, _) = self.find_upload(who, Action::PutObject, reference).await?;
        let checksum = match (upload.checksum, checksum) {
            (Some((own, _)), Some(sent)) if own != sent => {
                return Err(
                    Invalid::new("checksum", "must use the algorithm that the upload began with").into()
                );
            }
            // S3 takes no part without a checksum where composite ones were declared. Only its clients declare any.
            (Some((_, ChecksumKind::Composite)), None) if etag == EtagStyle::Md5 => {
                let reason = "must be sent with every part: the upload was created with composite checksums";
                return Err(Invalid::new("checksum", reason).into());
            }
            (Some((own, _)), _) => Some(own),
            (None, sent) => sent,
        };
        let quota = self.check_part_quota(&upload, number, body.length).await?;
        let body = self.paced(who, body).await?;
        self.land_part(&upload, number, etag, checksum, body, quota).await
    }

    /// What is left of the quota of an upload's tenant must hold one more part of `size` bytes. Saves a client its
    /// upload; decides nothing. Returns the tenant and its quota for the commit, which decides.
    async fn check_part_quota(
        &self,
        upload: &Upload,
        number: PartNumber,
        size: Option<u64>,
    ) -> Result<Option<(Tenant, Quota)>> {
        let tenant = &upload.space.address.tenant;
        let Some(quota) = self.limits.quota(tenant).await? else { return Ok(None) };
        let (held, size) = (self.metadata.holdings(tenant).await?, size.unwrap_or(0));
        if let Err(part) = quota.admit_part(held, size, 0) {
            // The part that it replaces may make room.
            let before = PartNumber::new(i64::from(number.get()) - 1).ok();
            let there = self.metadata.list_parts(upload.id, before, 1).await?;
            let replaced = there.first().filter(|part| part.number == number).map_or(0, |part| part.size);
            if replaced == 0 || quota.admit_part(held, size, replaced).is_err() {
                return Err(quota_exceeded(part));
            }
        }
        Ok(Some((tenant.clone(), quota)))
    }

    async fn land_part(
        &self,
        upload: &Upload,
        number: PartNumber,
        etag: EtagStyle,
        checksum: Option<ChecksumAlgorithm>,
        body: Body,
        quota: Option<(Tenant, Quota)>,
    ) -> Result<Part> {
        let domain = self.dedup.domain(&upload.space.address);
        let intent = Intent {
            space: &upload.space.address,
            key: upload.key.as_ref(),
            domain: &domain,
            class: upload.attributes.class.unwrap_or(upload.space.default_class),
            md5: etag == EtagStyle::Md5,
            checksum,
            bytes_max: PART_BYTES_MAX,
        };
        let landed = self.ingest.take_in(&intent, body).await?;
        let part = PutPart {
            upload: upload.id,
            number,
            domain,
            etag: landed.etag(),
            content: landed.content,
            md5: landed.md5,
            checksum: landed.checksum,
            announced: landed.announced.as_ref().map(Announced::id),
            quota,
        };
        // Given back once the part is durable.
        let _room = landed.room;
        let mutation = Mutation::PutPart(Box::new(part));
        part_of(self.committer.commit_bytes(mutation, landed.payload, landed.announced).await?)
    }

    /// Makes a part of a stored object or a range of it. Inside one dedup domain no byte moves, unless the
    /// upload carries checksums: then the bytes are read and taken in again. Returns the source and the part.
    pub async fn copy_part(
        &self,
        who: &Principal,
        reference: &UploadRef,
        number: PartNumber,
        request: &CopyPartRequest,
    ) -> Result<(Object, Part)> {
        let (upload, _) = self.find_upload(who, Action::PutObject, reference).await?;
        let source = self.copy_source(who, &request.source, &request.source_preconditions).await?;
        let content = source.object.content.ok_or(Error::NoSuchObject)?;
        let span = match request.range {
            None => Span::whole(content.size),
            Some(ByteRange::From { first, last: Some(last) }) if last < content.size => {
                Span { start: first, end: last + 1 }
            }
            // S3 UploadPartCopy: the range has the form bytes=first-last and lies inside the source.
            Some(_) => return Err(Invalid::new("range", "must be bytes=first-last inside the source").into()),
        };
        if span.length() > PART_BYTES_MAX {
            return Err(Error::BodyTooLarge { max: PART_BYTES_MAX });
        }
        let quota = self.check_part_quota(&upload, number, Some(span.length())).await?;
        let domain = self.dedup.domain(&upload.space.address);
        if upload.checksum.is_some() || self.dedup.domain(&source.object.address) != domain {
            let checksum = upload.checksum.map(|(algorithm, _)| algorithm);
            let body = self.body_of(&source, span).await?;
            let part = self.land_part(&upload, number, EtagStyle::Md5, checksum, body, quota).await?;
            return Ok((source.object, part));
        }
        let _room = self.ingest.reserve.take_metadata().await?;
        let whole = span == Span::whole(content.size);
        let (new, etag) = if whole {
            (NewContent::Existing(content.blob), source.object.etag.clone())
        } else {
            let slice = ContentName::slice(content.name, span);
            (NewContent::Slice(content.blob, span), Etag::of_content(slice.digest(), PartCount(1)))
        };
        let part = PutPart {
            upload: upload.id,
            number,
            domain,
            content: new,
            etag,
            md5: None,
            checksum: None,
            announced: None,
            quota,
        };
        let part = part_of(self.committer.commit(Mutation::PutPart(Box::new(part))).await?)?;
        Ok((source.object, part))
    }

    /// A page of an upload's parts.
    pub async fn list_parts(
        &self,
        who: &Principal,
        reference: &UploadRef,
        after: Option<PartNumber>,
        limit: u32,
    ) -> Result<PartsPage> {
        let (upload, _) = self.find_upload(who, Action::ListMultipartUploadParts, reference).await?;
        let limit = limit.min(PAGE_MAX);
        let mut parts = self.metadata.list_parts(upload.id, after, limit + 1).await?;
        let more = parts.len() > limit as usize;
        parts.truncate(limit as usize);
        Ok(PartsPage { upload, parts, more: more && limit > 0 })
    }
}

fn part_of(outcome: MutationOutcome) -> Result<Part> {
    match outcome {
        MutationOutcome::Part { part, .. } => Ok(*part),
        _ => Err(Error::Internal),
    }
}
