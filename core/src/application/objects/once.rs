//! Puts that are repeated under an idempotency key make one object.

use super::put::PutRequest;
use crate::application::error::{Error, Result};
use crate::application::ingest::Body;
use crate::application::ports::metadata::ObjectAddress;
use crate::application::repeats::{Turn, fingerprint};
use crate::application::store::Store;
use crate::domain::address::{SpaceAddress, Tenant};
use crate::domain::idempotency::{IdempotencyKey, Verdict, is_kept, judge};
use crate::domain::invalid::Invalid;
use crate::domain::object::{Attributes, Object, ObjectId};
use crate::domain::principal::Principal;

impl Store {
    /// As [`Self::put`], of an object without a key, however often the same request is repeated: all of them are answered
    /// with the object that the first one made. One that asks for something else is [`Error::KeyReused`]; one that comes
    /// while this process still answers another is [`Error::InProgress`].
    pub async fn put_once(
        &self,
        who: &Principal,
        request: PutRequest,
        key: &IdempotencyKey,
        body: Body,
    ) -> Result<Object> {
        if request.key.is_some() {
            return Err(Invalid::new("Idempotency-Key", "is for objects without a key").into());
        }
        match self.put_as(who, request, Some(key), body).await {
            Err(Error::Repeated(object)) => self.made_before(object).await,
            result => result,
        }
    }

    /// Never waits: a request whose twin is under way is refused.
    pub(crate) fn take_turn(&self, tenant: &Tenant, key: &IdempotencyKey) -> Result<Turn> {
        self.once.begin(tenant, key).ok_or(Error::InProgress)
    }

    /// Refuses a request that is not the first with its key, once its body is known to be the same or not; gives the body
    /// back otherwise.
    pub(crate) async fn compare(
        &self,
        space: &SpaceAddress,
        attributes: &Attributes,
        key: &IdempotencyKey,
        body: Body,
        bytes_max: u64,
    ) -> Result<Body> {
        let now = self.clock.now();
        let first = self.metadata.idempotent(&space.tenant, key).await?;
        let Some(first) = first.filter(|first| is_kept(first, now)) else { return Ok(body) };
        let hash = self.ingest.hash_of(&space.tenant, body, bytes_max).await?;
        match judge(Some(&first), &fingerprint(space, attributes, &hash)?, now) {
            Verdict::Repeat(object) => Err(Error::Repeated(object)),
            Verdict::First | Verdict::Other => Err(Error::KeyReused),
        }
    }

    async fn made_before(&self, object: ObjectId) -> Result<Object> {
        let found = self.metadata.find(&ObjectAddress::Id(object)).await?;
        found.map(|found| found.object).ok_or(Error::NoSuchObject)
    }
}
