//! Moving an object to another key: a rename, which moves no byte.

use super::ObjectRef;
use crate::application::error::{Error, Result};
use crate::application::ports::metadata::{MoveObject, Mutation, MutationOutcome, SpaceRef};
use crate::application::request;
use crate::application::store::Store;
use crate::domain::action::Action;
use crate::domain::address::{Key, SpaceAddress};
use crate::domain::event::How;
use crate::domain::invalid::Invalid;
use crate::domain::object::{Attributes, Object, ObjectId};
use crate::domain::precondition::Preconditions;
use crate::domain::principal::Principal;

/// How often a move follows a key that is being overwritten, before the client is told to try again.
const ATTEMPTS_MAX: u32 = 10;

/// A move: its source and target.
#[derive(Clone, Debug)]
pub struct MoveRequest {
    /// The source: a key, or an id, which must be the latest version of its key or have none.
    pub source: ObjectRef,
    /// The conditions on the source.
    pub source_preconditions: Preconditions,
    /// The target's space, in the source's dedup domain.
    pub space: SpaceAddress,
    /// The target's key.
    pub key: Key,
    /// The conditions on the target's current version.
    pub preconditions: Preconditions,
}

/// The rest that a move left behind.
#[derive(Clone, Debug)]
pub struct Moved {
    /// The object under its new key: a new version, with a new id.
    pub object: Object,
    /// The delete marker that hides the source, where its space keeps versions.
    pub marker: Option<ObjectId>,
}

impl Store {
    /// Moves an object to another key, of the same space or of another one, in one transaction: at no time are both or
    /// neither there. It takes the rights to read and delete the source and to write the target.
    ///
    /// The target is a new version with a new id; it carries what the source carries, except for lock and ACL, as
    /// [`Self::copy`] has it. The source goes as by [`Self::delete`]: with a delete marker where versions are kept.
    pub async fn rename(&self, who: &Principal, request: &MoveRequest) -> Result<Moved> {
        let mut outcome = Err(Error::Conflict);
        for _ in 0..ATTEMPTS_MAX {
            outcome = self.rename_once(who, request).await;
            if !matches!(outcome, Err(Error::Conflict)) {
                break;
            }
        }
        outcome
    }

    async fn rename_once(&self, who: &Principal, request: &MoveRequest) -> Result<Moved> {
        let source = self.locate_content(who, Action::GetObject, &request.source).await?.found.object;
        self.also(who, &[Action::DeleteObject], &request.source, &source).await?;
        // As of a copy: tags that are taken along are read.
        if !source.tags.is_empty() && self.settings_around(&source).await?.policy.is_some() {
            self.also(who, &[Action::GetObjectTagging], &request.source, &source).await?;
        }
        let attributes = Attributes::carried(&source);
        let place = SpaceRef::Space(request.space.clone());
        let entered = self.enter_to_put(who, &place, Some(&request.key), &attributes).await?;
        if entered.reads_through() {
            self.precheck(&entered, Some(&request.key), &request.preconditions).await?;
        }
        if source.key.is_some() && !source.is_latest {
            return Err(Invalid::new("source", "must be the latest version of its key").into());
        }
        if source.address == request.space && source.key.as_ref() == Some(&request.key) {
            return Err(Invalid::new("destination", "must be another key").into());
        }
        let domain = self.dedup.domain(&request.space);
        if self.dedup.domain(&source.address) != domain {
            return Err(Error::OtherDomain);
        }
        let _room = self.ingest.reserve.take_metadata().await?;
        let quota = self.limits.quota(&request.space.tenant).await?;
        let now = self.clock.now();
        let mutation = MoveObject {
            source: source.id,
            from: source.address,
            from_key: source.key,
            source_preconditions: request.source_preconditions.clone(),
            marker_id: ObjectId::fresh(now),
            space: request.space.clone(),
            key: request.key.clone(),
            id: ObjectId::fresh(now),
            domain,
            preconditions: request.preconditions.clone(),
            quota,
            cause: request::cause(How::Copy),
        };
        match self.committer.commit(Mutation::Move(Box::new(mutation))).await? {
            MutationOutcome::Moved { object, marker, left } => {
                self.sent(&object).await?;
                self.sent(&left).await?;
                Ok(Moved { object: *object, marker })
            }
            _ => Err(Error::Internal),
        }
    }
}
