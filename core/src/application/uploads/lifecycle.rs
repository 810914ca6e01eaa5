//! Begin, list, complete, abort.

use std::collections::HashMap;
use std::ops::Bound;
use std::sync::Arc;

use uuid::Uuid;

use super::{Completion, ListUploadsRequest, UploadRef, UploadRequest, UploadsPage};
use crate::application::commit::refused;
use crate::application::entered::{Entered, Wish};
use crate::application::error::{Error, Result};
use crate::application::objects::list::Cursor;
use crate::application::objects::put::object_of;
use crate::application::objects::rolling::{Rolled, Rolling};
use crate::application::ports::metadata::{CompleteUpload, Draft, ListUploadsQuery, Mutation, SpaceRef};
use crate::application::request;
use crate::application::store::Store;
use crate::domain::action::Action;
use crate::domain::checksum::of_completion;
use crate::domain::completion::Completed;
use crate::domain::event::How;
use crate::domain::invalid::Invalid;
use crate::domain::multipart::{
    CompleteRefusal, PORTION_PIECES_MAX, PartClaim, Upload, UploadId, UploadParts, undeclared,
};
use crate::domain::object::{Object, ObjectId};
use crate::domain::principal::Principal;
use crate::domain::settings::SpaceSettings;
use crate::domain::upstream::Mode;

/// How often a completion is tried whose parts change meanwhile, or which another completion of the same upload disturbs.
const COMPLETE_ATTEMPTS: usize = 4;

impl Store {
    /// Begins an upload.
    pub async fn create_upload(&self, who: &Principal, request: UploadRequest) -> Result<Upload> {
        request.attributes.validate()?;
        if let Some((algorithm, kind)) = request.checksum
            && !algorithm.allows(kind)
        {
            return Err(Invalid::new("checksum_type", "is not available for this checksum algorithm").into());
        }
        let entered =
            self.enter_to_put(who, &request.place, request.key.as_ref(), &request.attributes).await?;
        self.precheck_lock(&entered, &request.attributes.lock)?;
        let class = self.class_in(&entered, request.attributes.class).await?;
        self.ingest.reserve.check(class, 0).await?;
        let mut attributes = request.attributes;
        attributes.class = Some(class);
        let now = self.clock.now();
        self.metadata
            .create_upload(
                UploadId(ObjectId::fresh(now).0),
                &entered.address,
                entered.bucket.as_ref(),
                request.key.as_ref(),
                &attributes,
                request.checksum,
                now,
            )
            .await?
            .map_err(refused)
    }

    /// Uploads under way in a space, by key.
    pub async fn list_uploads(&self, who: &Principal, request: &ListUploadsRequest) -> Result<UploadsPage> {
        let wish = Wish::listing(Action::ListBucketMultipartUploads, &request.prefix);
        let entered = self.enter(who, wish, &request.place).await?;
        let space = match entered.space {
            Some(space) => Some(space),
            None => self.metadata.space(&request.place).await?,
        };
        let mut page = UploadsPage { uploads: Vec::new(), prefixes: Vec::new(), next: None, space };
        let Some(space) = page.space.as_ref().map(|space| space.id) else { return Ok(page) };
        let rolling = Rolling {
            prefix: &request.prefix,
            delimiter: request.delimiter.as_deref(),
            after: request.after.clone(),
            limit: request.limit,
            from_start: request.prefix.is_empty(),
        };
        let cursor_of = |upload: &Upload| {
            Cursor::Version(upload.key.as_ref().map_or("", |key| key.as_str()).to_owned(), upload.id.0)
        };
        let fetch = |from, from_id: Option<Uuid>, limit| {
            let prefix = request.prefix.clone();
            let query = ListUploadsQuery { space, prefix, from, from_upload: from_id.map(UploadId), limit };
            async move { Ok(self.metadata.list_uploads(&query).await?) }
        };
        // Uploads under way are few: one key at a time will do.
        let walk = |from, _| {
            let next = fetch(Bound::Included(from), None, 1);
            async {
                Ok(next.await?.iter().filter_map(|u: &Upload| Some(u.key.as_ref()?.to_string())).collect())
            }
        };
        let (lines, next) = rolling.page(&fetch, walk, cursor_of).await?;
        page.next = next;
        for line in lines {
            match line {
                Rolled::Item(upload) => page.uploads.push(upload),
                Rolled::Prefix(common) => page.prefixes.push(common),
            }
        }
        Ok(page)
    }

    /// The same, and the bytes of the stored parts of each upload that has any.
    pub async fn list_uploads_with_bytes(
        &self,
        who: &Principal,
        request: &ListUploadsRequest,
    ) -> Result<(UploadsPage, HashMap<UploadId, u64>)> {
        let page = self.list_uploads(who, request).await?;
        let ids: Vec<_> = page.uploads.iter().map(|upload| upload.id).collect();
        let bytes = self.metadata.upload_bytes(&ids).await?;
        Ok((page, bytes.into_iter().collect()))
    }

    /// Makes an object of the parts. No byte moves. Repeating a completion that succeeded answers alike, as
    /// long as its object is the key's latest; a completion that asks for anything else is refused.
    pub async fn complete_upload(
        &self,
        who: &Principal,
        reference: &UploadRef,
        completion: Completion,
    ) -> Result<Object> {
        let (upload, bucket) = match self.find_upload(who, Action::PutObject, reference).await {
            Err(Error::NoSuchUpload) => return self.completed(who, reference, &completion).await,
            found => found?,
        };
        if completion.checksums_required
            && let Some(number) =
                undeclared(upload.checksum, completion.claims.as_deref().unwrap_or_default())
        {
            return Err(CompleteRefusal::NoChecksum(number).into());
        }
        if upload.space.upstream.is_some_and(Mode::reads_through) {
            // A condition is decided on the object, which may be upstream.
            let entered = self.resolve(&SpaceRef::Space(upload.space.address.clone())).await?;
            self.precheck(&entered, upload.key.as_ref(), &completion.preconditions).await?;
        }
        // Its size follows from its parts, which the transaction knows.
        let tenant = &upload.space.address.tenant;
        let quota = self.limits.quota(tenant).await?.map(|quota| (tenant.clone(), quota));
        let mut complete = CompleteUpload {
            upload: upload.id,
            target: upload.key.clone().map(|key| (upload.space.address.clone(), key)),
            bucket,
            claims: completion.claims.clone(),
            read: Arc::default(),
            draft: None,
            id: ObjectId::fresh(self.clock.now()),
            domain: self.dedup.domain(&upload.space.address),
            expected: completion.expected.clone(),
            expected_size: completion.expected_size,
            expected_kind: completion.expected_kind,
            preconditions: completion.preconditions.clone(),
            quota,
            cause: request::cause(How::Plain),
        };
        // Ten thousand parts are neither read nor written while every other write waits. If they change between this
        // and the transaction, which a client has to want, they are read again.
        let mut outcome = Err(Error::Conflict);
        for attempt in 0..COMPLETE_ATTEMPTS {
            let Some(read) = self.metadata.upload_parts(upload.id).await? else {
                outcome = Err(Error::NoSuchUpload);
                break;
            };
            // The first attempt finds every other obstacle, before anything is drafted.
            complete.draft = if attempt > 0 { self.draft(&complete, &read).await? } else { None };
            complete.read = Arc::new(read);
            outcome = self.committer.commit(Mutation::Complete(Box::new(complete.clone()))).await;
            if !matches!(outcome, Err(Error::Conflict)) {
                break;
            }
        }
        let object = match outcome {
            Err(Error::NoSuchUpload) => self.completed(who, reference, &completion).await?,
            outcome => object_of(outcome?)?,
        };
        // Also of a request that comes again: the answer that it repeats may have been that the upstream did not have it yet.
        self.sent(&object).await?;
        Ok(object)
    }

    /// Drafts the composite that a completion makes, if it is too long for one transaction.
    async fn draft(&self, complete: &CompleteUpload, read: &UploadParts) -> Result<Option<Draft>> {
        let parts = read.select(complete.claims.as_deref())?;
        if read.pieces_of(&parts) <= PORTION_PIECES_MAX {
            return Ok(None);
        }
        let (id, domain, now) = (complete.upload, &complete.domain, self.clock.now());
        Ok(self.metadata.draft_composite(id, domain, read, &parts, now).await?)
    }

    /// The object that an upload was completed to, if `asked` is what it was completed of.
    async fn completed(&self, who: &Principal, reference: &UploadRef, asked: &Completion) -> Result<Object> {
        let object = self.metadata.completed_by(reference.id).await?.ok_or(Error::NoSuchUpload)?;
        let named = self.enter_named(who, Action::PutObject, reference).await?;
        let space = (&object.address, object.space, object.settings);
        self.reach(who, Action::PutObject, named, space, object.key.as_ref()).await?;
        let Some(first) = self.metadata.completion(reference.id).await? else {
            // Completed before it was remembered of what: of the parts only their number can be told.
            confirm_number(&object, asked.claims.as_deref())?;
            confirm_whole(&object, asked, None)?;
            return Ok(object);
        };
        match &asked.claims {
            Some(claims) => first.confirm(claims)?,
            None if first.left_out => return Err(Error::NoSuchUpload),
            None => {}
        }
        confirm_whole(&object, asked, Some(&first))?;
        if asked.preconditions.as_asked() != first.conditions {
            let key = object.key.clone();
            let entered = Entered::again(object.address.clone(), SpaceSettings::none());
            self.precheck(&entered, key.as_ref(), &asked.preconditions).await?;
        }
        Ok(object)
    }

    /// Ends an upload without an object. Its parts' space is reclaimed by GC.
    pub async fn abort_upload(&self, who: &Principal, reference: &UploadRef) -> Result<()> {
        let (upload, _) = self.find_upload(who, Action::AbortMultipartUpload, reference).await?;
        if self.metadata.abort_upload(upload.id).await? { Ok(()) } else { Err(Error::NoSuchUpload) }
    }
}

/// Refuses a repeated completion that names another number of parts than the object has.
fn confirm_number(object: &Object, claims: Option<&[PartClaim]>) -> Result<()> {
    let Some(claims) = claims else { return Ok(()) };
    let Some(last) = claims.last() else { return Err(CompleteRefusal::NoParts.into()) };
    if claims.windows(2).any(|pair| pair[0].number >= pair[1].number) {
        return Err(CompleteRefusal::Order.into());
    }
    if claims.len() == object.parts().0 as usize {
        Ok(())
    } else {
        Err(CompleteRefusal::Part(last.number).into())
    }
}

/// Refuses a repeated completion that expects another object than there is.
fn confirm_whole(object: &Object, asked: &Completion, first: Option<&Completed>) -> Result<()> {
    if let (Some(expected), Some(checksum)) = (asked.expected_kind, &object.checksum)
        && expected != checksum.kind
    {
        return Err(CompleteRefusal::ChecksumKind(checksum.kind).into());
    }
    let size = object.size();
    if let Some(expected) = asked.expected_size.filter(|expected| *expected != size) {
        return Err(CompleteRefusal::Size { expected, size }.into());
    }
    let Some(expected) = &asked.expected else { return Ok(()) };
    if object.checksum.as_ref().is_some_and(|checksum| expected.is_met_by(checksum)) {
        return Ok(());
    }
    // The first completion may not have asked for it.
    let parts = first.map_or(&[][..], |first| &first.parts);
    let sums: Vec<_> = parts.iter().map(|part| (part.checksum.clone(), part.size)).collect();
    let declared = object.checksum.as_ref().map(|checksum| (checksum.algorithm, checksum.kind));
    match of_completion(declared, Some(expected), &sums) {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::DigestMismatch("checksum")),
    }
}
