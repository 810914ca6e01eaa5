//! Deleting objects.

use super::ObjectRef;
use crate::access::decide::Decision;
use crate::application::entered::Wish;
use crate::application::error::{Error, Result};
use crate::application::ports::metadata::{
    DeleteObject, Mutation, MutationOutcome, ObjectAddress, VersionRef,
};
use crate::application::request;
use crate::application::store::Store;
use crate::domain::action::Action;
use crate::domain::event::How;
use crate::domain::object::{Object, ObjectId};
use crate::domain::precondition::Preconditions;
use crate::domain::principal::{Principal, Right};

/// What a delete left behind.
#[derive(Clone, Debug)]
pub struct Deletion {
    /// What was removed, or the delete marker that was made; `None` if there was nothing.
    pub object: Option<Object>,
    /// Whether `object` is a new delete marker.
    pub marker_made: bool,
}

impl Store {
    /// Deletes an object, or a version of it; in a space with versioning a delete of the latest makes a
    /// marker. Deleting what is not there succeeds, as S3 has it. Space is reclaimed later by GC.
    pub async fn delete(
        &self,
        who: &Principal,
        object: &ObjectRef,
        preconditions: Preconditions,
    ) -> Result<Deletion> {
        self.delete_bypassing(who, object, preconditions, false).await
    }

    /// As [`Self::delete`]; with `bypass`, a governance retention does not hold if `who` may go round it.
    pub async fn delete_bypassing(
        &self,
        who: &Principal,
        object: &ObjectRef,
        preconditions: Preconditions,
        bypass: bool,
    ) -> Result<Deletion> {
        let mut beyond = None;
        let (target, bucket, may_bypass) = match object {
            ObjectRef::Id(id) => {
                let located = self.locate(who, Action::DeleteObject, object).await?;
                (ObjectAddress::Id(*id), located.bucket, who.rights.has(Right::Admin))
            }
            ObjectRef::Key { place, key, version } => {
                let wish = |action| Wish::of(action, Some(key)).version(version.is_some());
                let entered = self.enter(who, wish(Action::DeleteObject), place).await?;
                let bypass = entered.decide(who, wish(Action::BypassGovernanceRetention), None);
                let target = entered.target(key.clone(), *version);
                // An object that is upstream is the null version of its key. It counts for a condition, and where versions are
                // kept it is hidden, or held by its retention.
                let may_be_beyond =
                    entered.reads_through() && matches!(version, None | Some(VersionRef::Null));
                if may_be_beyond
                    && (!preconditions.is_empty() || entered.keeps_beyond())
                    && self.metadata.find(&target).await?.is_none()
                {
                    Box::pin(self.settle_beyond(&entered, key, &Preconditions::default())).await?;
                }
                if may_be_beyond {
                    beyond = entered.space.clone().zip(Some(key.clone()));
                }
                (target, entered.bucket, matches!(bypass, Decision::Allowed(_)))
            }
        };
        let marker_id = ObjectId::fresh(self.clock.now());
        let bypass_governance = bypass && may_bypass;
        let quota = match &target {
            ObjectAddress::Latest(address, _) => {
                let quota = self.limits.quota(&address.tenant).await?;
                // A delete adds no bytes.
                let quota = quota.filter(|quota| quota.objects.is_some());
                quota.map(|quota| (address.tenant.clone(), quota))
            }
            ObjectAddress::Version(..) | ObjectAddress::Id(_) => None,
        };
        let cause = request::cause(How::Plain);
        let delete = DeleteObject {
            target,
            bucket,
            marker_id,
            preconditions,
            bypass_governance,
            quota,
            cause,
            let_go: false,
        };
        match self.committer.commit(Mutation::Delete(Box::new(delete))).await? {
            MutationOutcome::Deleted { object, marker_made } => {
                match (&object, &beyond) {
                    (Some(object), _) => self.sent(object).await?,
                    // What is not here goes there all the same.
                    (None, Some((space, key))) => {
                        self.sent_key((space.id, space.settings, space.upstream), Some(key)).await?;
                    }
                    (None, None) => {}
                }
                Ok(Deletion { object: object.map(|object| *object), marker_made })
            }
            _ => Err(Error::Internal),
        }
    }
}
