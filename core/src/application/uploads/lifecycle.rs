//! Begin, list, complete, abort.

use std::ops::Bound;

use uuid::Uuid;

use super::{Completion, ListUploadsRequest, UploadRef, UploadRequest, UploadsPage, reach};
use crate::application::commit::refused;
use crate::application::error::{Error, Result};
use crate::application::objects::list::Cursor;
use crate::application::objects::put::object_of;
use crate::application::objects::rolling::{Rolled, Rolling};
use crate::application::ports::metadata::{CompleteUpload, ListUploadsQuery, Mutation};
use crate::application::store::Store;
use crate::domain::acl::Permission;
use crate::domain::invalid::Invalid;
use crate::domain::multipart::{CompleteRefusal, Upload, UploadId, undeclared};
use crate::domain::object::{Object, ObjectId};
use crate::domain::principal::{Principal, Right};

impl Store {
    /// Begins an upload.
    pub async fn create_upload(&self, who: &Principal, request: UploadRequest) -> Result<Upload> {
        request.attributes.validate()?;
        if let Some((algorithm, kind)) = request.checksum
            && !algorithm.allows(kind)
        {
            return Err(Invalid::new("checksum_type", "is not available for this checksum algorithm").into());
        }
        let entered = self.enter_shared(who, Right::Write, Some(Permission::Write), &request.place).await?;
        self.check_acl(&entered, request.attributes.acl).await?;
        self.precheck_lock(&entered, &request.attributes.lock)?;
        let class = self.class_in(&entered, request.attributes.class).await?;
        self.ingest.reserve.check(class, 0)?;
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
        let entered = self.enter_shared(who, Right::Read, Some(Permission::Read), &request.place).await?;
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

    /// Makes an object of the parts. No byte moves. Repeating a completion that succeeded answers alike, as
    /// long as its object is the key's latest.
    pub async fn complete_upload(
        &self,
        who: &Principal,
        reference: &UploadRef,
        completion: Completion,
    ) -> Result<Object> {
        let (upload, bucket) = match self.find_upload(who, Right::Write, reference).await {
            Err(Error::NoSuchUpload) => return self.completed(who, reference).await,
            found => found?,
        };
        if completion.checksums_required
            && let Some(number) = undeclared(upload.checksum, &completion.claims)
        {
            return Err(CompleteRefusal::NoChecksum(number).into());
        }
        // Its size follows from its parts, which the transaction knows.
        let tenant = &upload.space.address.tenant;
        let quota = self.limits.quota(tenant).await?.map(|quota| (tenant.clone(), quota));
        let complete = CompleteUpload {
            upload: upload.id,
            bucket,
            claims: completion.claims,
            id: ObjectId::fresh(self.clock.now()),
            domain: self.dedup.domain(&upload.space.address),
            expected: completion.expected,
            preconditions: completion.preconditions,
            quota,
        };
        match self.committer.commit(Mutation::Complete(Box::new(complete))).await {
            Err(Error::NoSuchUpload) => self.completed(who, reference).await,
            outcome => object_of(outcome?),
        }
    }

    async fn completed(&self, who: &Principal, reference: &UploadRef) -> Result<Object> {
        let object = self.metadata.completed_by(reference.id).await?.ok_or(Error::NoSuchUpload)?;
        let named = self.enter_named(who, Right::Write, reference).await?;
        reach(who, Right::Write, named, &object.address, object.key.as_ref())?;
        Ok(object)
    }

    /// Ends an upload without an object. Its parts' space is reclaimed by GC.
    pub async fn abort_upload(&self, who: &Principal, reference: &UploadRef) -> Result<()> {
        let (upload, _) = self.find_upload(who, Right::Delete, reference).await?;
        if self.metadata.abort_upload(upload.id).await? { Ok(()) } else { Err(Error::NoSuchUpload) }
    }
}
