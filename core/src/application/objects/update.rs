//! Changing what an object carries, in place.

use super::ObjectRef;
use crate::application::error::{Error, Result};
use crate::application::ports::metadata::{Mutation, MutationOutcome, UpdateObject};
use crate::application::request;
use crate::application::store::Store;
use crate::domain::action::Action;
use crate::domain::event::How;
use crate::domain::object::{Attributes, Object};
use crate::domain::object_lock::{LockChange, ObjectLock};
use crate::domain::patch::AttributesPatch;
use crate::domain::precondition::Preconditions;
use crate::domain::principal::Principal;
use crate::domain::storage_class::StorageClass;

/// How often a change follows a key that is being overwritten, before the client is told to try again.
const ATTEMPTS_MAX: u32 = 100;

/// What to change.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// The storage class; the bytes follow in the background, and reads never notice.
    pub class: Option<StorageClass>,
    /// What becomes of headers, metadata and tags.
    pub attributes: Option<AttributesPatch>,
    /// What must hold of the object.
    pub preconditions: Preconditions,
    /// A change of what holds the version. A bypass counts only for principals with the right to bypass.
    pub lock: Option<LockChange>,
    /// Whether the answer shows all of the object to who changed a part of it, who must be allowed to read it then.
    pub shown: bool,
}

impl Store {
    /// Changes an object in place, for who may do `action` to it: same id, same bytes, same tag. Of changes at once none
    /// is lost: each is applied to what the one before it left.
    pub async fn update(
        &self,
        who: &Principal,
        action: Action,
        object: &ObjectRef,
        change: Change,
    ) -> Result<Object> {
        if let Some(attributes) = &change.attributes {
            // What breaks a rule by itself is refused whatever it is applied to; the whole is looked at then.
            attributes.merged(Attributes::default()).validate()?;
        }
        let mut located = self.locate_content(who, action, object).await?;
        if let Some(acl) = change.attributes.as_ref().and_then(|attributes| attributes.acl) {
            match object {
                ObjectRef::Key { place, .. } => self.check_acl(&self.resolve(place).await?, acl)?,
                // By its id nothing is reached through a bucket, and so nothing can be shared.
                ObjectRef::Id(_) if acl.is_shared() => return Err(Error::AclsDisabled),
                ObjectRef::Id(_) => {}
            }
        }
        if change.shown {
            self.also(who, &[Action::GetObject], object, &located.found.object).await?;
        }
        let Change { class, attributes, preconditions, mut lock, shown: _ } = change;
        if let Some(LockChange::Retention { retention, bypass }) = &mut lock {
            ObjectLock { retention: *retention, legal_hold: None }.validate(self.clock.now())?;
            *bypass = *bypass && self.may_bypass(who, object, &located.found.object).await?;
        }
        let cause = request::cause(How::Plain);
        // A client that names no version means the one that is current when the change is made. If that was replaced
        // after it was looked up, the change is for the new one.
        for _ in 0..ATTEMPTS_MAX {
            let update = UpdateObject {
                id: located.found.object.id,
                class,
                attributes: attributes.clone(),
                lock,
                preconditions: preconditions.clone(),
                cause: cause.clone(),
            };
            match self.committer.commit(Mutation::Update(Box::new(update))).await {
                Ok(MutationOutcome::Object { object, .. }) => {
                    self.sent(&object).await?;
                    return Ok(*object);
                }
                Err(Error::NoSuchObject) if !object.is_exact() => {}
                Err(error) => return Err(error),
                Ok(_) => return Err(Error::Internal),
            }
            located = self.locate_content(who, action, object).await?;
        }
        Err(Error::Conflict)
    }
}
