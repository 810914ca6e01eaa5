//! Writing an object.

use crate::application::access::authorize;
use crate::application::entered::{Entered, Wish};
use crate::application::error::{Error, Result};
use crate::application::ingest::{Announced, Body, Intent};
use crate::application::ports::metadata::{Mutation, MutationOutcome, PutObject, SpaceRef};
use crate::application::repeats::fingerprint;
use crate::application::request;
use crate::application::store::Store;
use crate::domain::action::Action;
use crate::domain::address::Key;
use crate::domain::bounds::OtherType;
use crate::domain::checksum::ChecksumAlgorithm;
use crate::domain::event::How;
use crate::domain::idempotency::{IdempotencyKey, Once};
use crate::domain::multipart::PART_BYTES_MAX;
use crate::domain::object::{Attributes, Object, ObjectId};
use crate::domain::object_lock::ObjectLock;
use crate::domain::precondition::Preconditions;
use crate::domain::principal::{Principal, Right};
use crate::domain::storage_class::StorageClass;
use crate::domain::versioning::{Denial, Version, check_lock_asked, check_write};

/// Which entity tag the client expects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EtagStyle {
    /// From the SHA-256, which is computed anyway: the native API's.
    #[default]
    Content,
    /// The MD5 of the body: S3's.
    Md5,
}

/// A write, beside its bytes.
#[derive(Clone, Debug)]
pub struct PutRequest {
    /// The space or bucket.
    pub place: SpaceRef,
    /// The key; `None` for an object addressed by id only.
    pub key: Option<Key>,
    /// Its attributes.
    pub attributes: Attributes,
    /// The conditions on the current version.
    pub preconditions: Preconditions,
    /// Which tag to make.
    pub etag: EtagStyle,
    /// Which checksum to compute and store, whether or not the client declares a value.
    pub checksum: Option<ChecksumAlgorithm>,
    /// By what kind of request.
    pub how: How,
}

/// Holds an upload to the bounds of the signed URL that it came by, if it did. Most bytes of its body.
fn bind(who: &Principal, request: &mut PutRequest) -> Result<u64> {
    let Some(bounds) = who.bounds() else { return Ok(PART_BYTES_MAX) };
    let content_type = &mut request.attributes.headers.content_type;
    *content_type = bounds.content_type_of(content_type.take()).map_err(|OtherType| Error::OutOfBounds)?;
    request.preconditions = bounds.conditions_of(std::mem::take(&mut request.preconditions));
    Ok(bounds.size_max.map_or(PART_BYTES_MAX, |size| size.min(PART_BYTES_MAX)))
}

impl Store {
    /// Writes an object. When this returns, it is durable and visible everywhere.
    ///
    /// Rights and conditions are checked before the body is polled, so that a client that waits for
    /// `100 Continue` need not send it in vain; the conditions are decided again inside the transaction.
    pub async fn put(&self, who: &Principal, request: PutRequest, body: Body) -> Result<Object> {
        self.put_as(who, request, None, body).await
    }

    /// The same; with a key once, as [`Self::put_once`] has it.
    pub(crate) async fn put_as(
        &self,
        who: &Principal,
        mut request: PutRequest,
        key: Option<&IdempotencyKey>,
        body: Body,
    ) -> Result<Object> {
        let how = request.how;
        let bytes_max = bind(who, &mut request)?;
        request.attributes.validate()?;
        let entered =
            self.enter_to_put(who, &request.place, request.key.as_ref(), &request.attributes).await?;
        self.precheck_lock(&entered, &request.attributes.lock)?;
        self.precheck(&entered, request.key.as_ref(), &request.preconditions).await?;
        let turn = key.map(|key| self.take_turn(&entered.address.tenant, key)).transpose()?;
        let body = match key {
            Some(key) => self.compare(&entered.address, &request.attributes, key, body, bytes_max).await?,
            None => body,
        };
        let quota = self.check_quota(&entered.address, request.key.as_ref(), body.length).await?;
        let class = self.class_in(&entered, request.attributes.class).await?;
        let body = self.paced(who, body).await?;
        let domain = self.dedup.domain(&entered.address);
        let intent = Intent {
            space: &entered.address,
            key: request.key.as_ref(),
            domain: &domain,
            class,
            md5: request.etag == EtagStyle::Md5,
            checksum: request.checksum,
            bytes_max,
        };
        let landed = self.ingest.take_in(&intent, body).await?;
        let once = match key {
            None => None,
            Some(key) => Some(Once {
                tenant: entered.address.tenant.clone(),
                key: key.clone(),
                fingerprint: fingerprint(&entered.address, &request.attributes, &landed.hash)?,
            }),
        };
        let put = PutObject {
            space: entered.address,
            bucket: entered.bucket,
            key: request.key,
            id: ObjectId::fresh(self.clock.now()),
            domain,
            etag: landed.etag(),
            content: landed.content,
            attributes: Attributes { class: Some(class), ..request.attributes },
            checksum: landed.checksum,
            preconditions: request.preconditions,
            quota,
            announced: landed.announced.as_ref().map(Announced::id),
            once,
            cause: request::cause(how),
            pulled: None,
        };
        // Given back once the object is durable.
        let room = landed.room;
        let mutation = Mutation::Put(Box::new(put));
        let done = self.committer.commit_bytes(mutation, landed.payload, landed.announced).await;
        drop((turn, room));
        let object = object_of(done?)?;
        self.sent(&object).await?;
        Ok(object)
    }

    /// The place of an object that `who` may write there, with all that it should carry.
    pub(crate) async fn enter_to_put(
        &self,
        who: &Principal,
        place: &SpaceRef,
        key: Option<&Key>,
        attributes: &Attributes,
    ) -> Result<Entered> {
        let entered = self.enter(who, Wish::of(Action::PutObject, key), place).await?;
        entered.allow_attributes(who, key, attributes)?;
        self.check_acl(&entered, attributes.acl)?;
        Ok(entered)
    }

    /// Refuses early what the transaction would refuse late. Saves a client its upload; decides nothing. What is upstream and
    /// counts for the change is here from then on.
    pub(crate) async fn precheck(
        &self,
        entered: &Entered,
        key: Option<&Key>,
        preconditions: &Preconditions,
    ) -> Result<()> {
        let Some(key) = key.filter(|_| !preconditions.is_empty() || entered.keeps_beyond()) else {
            return Ok(());
        };
        let found = self.metadata.find(&entered.target(key.clone(), None)).await?;
        let found = match found {
            None => Box::pin(self.settle_beyond(entered, key, preconditions)).await?,
            found => found,
        };
        let latest = found.map(|found| Version::from(&found.object));
        check_write(preconditions, latest.as_ref()).map_err(|denial| match denial {
            Denial::NoSuchObject => Error::NoSuchObject,
            _ => Error::PreconditionFailed("the current object does not match"),
        })
    }

    /// Refuses a lock that is over already, or that is asked for where there are none, or by a stranger: no ACL lets
    /// another tenant keep the owner from removing something.
    pub(crate) fn precheck_lock(&self, entered: &Entered, lock: &ObjectLock) -> Result<()> {
        if entered.as_stranger && !lock.is_empty() {
            return Err(authorize::refuse(Right::Write));
        }
        lock.validate(self.clock.now())?;
        // Of a space that was not looked up the transaction decides.
        if entered.space.is_some() && check_lock_asked(entered.space.as_ref(), lock).is_err() {
            return Err(Error::NoObjectLock);
        }
        Ok(())
    }

    /// The class that an object is written to: what it asks for, or its space's default.
    pub(crate) async fn class_in(
        &self,
        entered: &Entered,
        asked: Option<StorageClass>,
    ) -> Result<StorageClass> {
        if let Some(class) = asked {
            return Ok(class);
        }
        if let Some(space) = &entered.space {
            return Ok(space.default_class);
        }
        let space = self.metadata.space(&SpaceRef::Space(entered.address.clone())).await?;
        Ok(space.map_or_else(StorageClass::default, |space| space.default_class))
    }
}

/// The object that a commit made.
pub(crate) fn object_of(outcome: MutationOutcome) -> Result<Object> {
    match outcome {
        MutationOutcome::Object { object, .. } => Ok(*object),
        _ => Err(Error::Internal),
    }
}
