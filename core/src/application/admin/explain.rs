//! May X do Y on Z: what a request would be told now, and why.

use std::fmt;

use uuid::Uuid;

use super::{Admin, CredentialState, allow};
use crate::access::administer::Scope;
use crate::access::decide::{By, Decision, Why};
use crate::application::entered::Wish;
use crate::application::error::{Error, Result};
use crate::application::ports::metadata::{Credential, ObjectAddress, SpaceRef};
use crate::domain::action::{Action, Level};
use crate::domain::address::{Key, SpaceAddress};
use crate::domain::context::Context;
use crate::domain::invalid::Invalid;
use crate::domain::principal::{Principal, Proof, Right, Tenants};

/// The principal of the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The caller itself, by this very request.
    Me,
    /// A caller without a credential.
    Anonymous,
    /// The holder of a stored credential.
    Credential(Uuid),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Me => f.write_str("me"),
            Self::Anonymous => f.write_str("anonymous"),
            Self::Credential(id) => id.fmt(f),
        }
    }
}

/// The answer that it would get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessOutcome {
    /// Yes.
    Allowed(By),
    /// No.
    Refused(Why),
    /// No: the credential opens nothing any more.
    Ended(CredentialState),
}

/// A decision, explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The answer.
    pub outcome: AccessOutcome,
    /// The action.
    pub action: Action,
    /// The space.
    pub space: SpaceAddress,
}

impl Explained {
    /// Whether it is a yes.
    pub fn is_allowed(&self) -> bool {
        matches!(self.outcome, AccessOutcome::Allowed(_))
    }

    /// The right of a credential that the action takes.
    pub fn right(&self) -> Right {
        self.action.right()
    }

    /// The source that allowed it, by name.
    pub fn by(&self) -> Option<&'static str> {
        match self.outcome {
            AccessOutcome::Allowed(By::Rights) => Some("rights"),
            AccessOutcome::Allowed(By::Policy) => Some("policy"),
            AccessOutcome::Allowed(By::Acl) => Some("acl"),
            _ => None,
        }
    }

    /// The reason of a refusal, by name.
    pub fn because(&self) -> Option<&'static str> {
        match self.outcome {
            AccessOutcome::Allowed(_) => None,
            AccessOutcome::Refused(Why::Policy) => Some("policy"),
            AccessOutcome::Refused(Why::Right(_)) => Some("right"),
            AccessOutcome::Refused(Why::OutOfSight(_)) => Some("out_of_sight"),
            AccessOutcome::Refused(Why::Prefix(_)) => Some("prefix"),
            AccessOutcome::Ended(state) => Some(state.as_str()),
        }
    }
}

/// For people.
impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { action, space, .. } = self;
        let right = action.right().as_str();
        match self.outcome {
            AccessOutcome::Allowed(By::Rights) => {
                write!(
                    f,
                    "allowed: the credential has the right {right} in {space}, and no policy denies {action}"
                )
            }
            AccessOutcome::Allowed(By::Policy) => write!(f, "allowed: the policy of {space} allows {action}"),
            AccessOutcome::Allowed(By::Acl) => write!(f, "allowed: an ACL in {space} grants {action}"),
            AccessOutcome::Refused(Why::Policy) => {
                write!(f, "denied: the policy of {space} denies {action}, whatever else allows it")
            }
            AccessOutcome::Refused(Why::Right(_)) => write!(
                f,
                "denied: the right {right} is missing in {space}, and neither a policy nor an ACL grants {action}"
            ),
            AccessOutcome::Refused(Why::OutOfSight(_)) => write!(
                f,
                "denied: {space} is out of sight, since its tenant or namespace is another one, and neither a policy \
                 nor an ACL grants {action}"
            ),
            AccessOutcome::Refused(Why::Prefix(_)) => write!(
                f,
                "denied: the credential has the right {right} in {space}, but is bound to keys that begin otherwise, and \
                 neither a policy nor an ACL grants {action}"
            ),
            AccessOutcome::Ended(CredentialState::Expired) => {
                f.write_str("denied: the credential has expired")
            }
            AccessOutcome::Ended(_) => f.write_str("denied: the credential is revoked"),
        }
    }
}

impl Admin {
    /// Whether `subject` may do `action` at `place`, to the object `key` there or to the space itself, as things are now.
    ///
    /// Everybody may ask about itself; about others, who administers both the space and the credential.
    pub async fn explain(
        &self,
        who: &Principal,
        subject: Subject,
        action: Action,
        place: &SpaceRef,
        key: Option<&Key>,
    ) -> Result<Explained> {
        match (action.level(), key) {
            (Level::Object, None) => {
                return Err(Invalid::new("resource", "must name a key: the action is on objects").into());
            }
            (Level::Bucket, Some(_)) => {
                return Err(Invalid::new("resource", "must name no key: the action is on buckets").into());
            }
            _ => {}
        }
        let entered = self.store.resolve(place).await?;
        let space = entered.address.clone();
        let hidden = match place {
            SpaceRef::Bucket(_) => Error::NoSuchBucket,
            SpaceRef::Space(_) => Error::NoSuchSpace,
        };
        let explained = |outcome| Explained { outcome, action, space: space.clone() };
        let asking = match subject {
            Subject::Me => who.clone(),
            Subject::Anonymous => {
                allow(who, Scope::Space(&space), hidden)?;
                Principal::anonymous(space.tenant.clone())
            }
            Subject::Credential(id) => {
                allow(who, Scope::Space(&space), hidden)?;
                let credential = self.credential(who, id).await?;
                match CredentialState::of(&credential, self.store.clock.now()) {
                    CredentialState::Valid => holder(credential),
                    ended => return Ok(explained(AccessOutcome::Ended(ended))),
                }
            }
        };
        let object = match key {
            Some(key) => {
                let target = ObjectAddress::Latest(entered.address.clone(), key.clone());
                self.store.metadata.find(&target).await?.map(|found| found.object)
            }
            None => None,
        };
        let decision = entered.decide(&asking, Wish::of(action, key), object.as_ref());
        Ok(explained(match decision {
            Decision::Allowed(by) => AccessOutcome::Allowed(by),
            Decision::Refused(why) => AccessOutcome::Refused(why),
        }))
    }
}

/// The holder of a credential, by a request of which nothing is known.
fn holder(credential: Credential) -> Principal {
    Principal {
        name: credential.id.to_string(),
        tenant: credential.tenant,
        tenants: Tenants::Own,
        namespaces: credential.namespaces,
        prefixes: credential.prefixes,
        rights: credential.rights,
        proof: Proof::Key { id: credential.id, lookup: credential.lookup },
        context: Context::default(),
    }
}
