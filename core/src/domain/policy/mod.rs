//! Bucket policies: who may do what with a bucket and its objects, beside the rights of credentials (IAM User Guide,
//! "IAM JSON policy language reference"; S3 User Guide, "Bucket policies").
//!
//! A document is read once, when it is set, and refused unless every part of it is understood. What it decides of a
//! request is AWS's outcome for it, or a denial.

mod condition;
mod json;
mod principal;
mod read;
mod wildcard;

#[cfg(test)]
mod tests;

use uuid::Uuid;

pub use self::principal::Caller;

use self::condition::{Condition, Truth, Value};
use self::principal::{Meant, Named};
use crate::domain::action::{Action, Level};
use crate::domain::address::Tenant;
use crate::domain::context::Context;
use crate::domain::invalid::Invalid;
use crate::domain::object::Tags;

/// Longest document in bytes (S3 User Guide, "Bucket policies": 20 KB).
pub const BYTES_MAX: usize = 20 << 10;

/// The tags of the object that a request is about: `None` where they are not known.
pub type KnownTags<'a> = Option<&'a Tags>;

/// A policy that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    text: String,
    bucket: String,
    statements: Vec<Statement>,
    is_public: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Allow,
    Deny,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Statement {
    effect: Effect,
    principals: Vec<Named>,
    actions: Vec<Action>,
    targets: Vec<Target>,
    conditions: Vec<Condition>,
}

/// A resource of the policy's own bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    /// The bucket itself.
    Bucket,
    /// The objects whose keys match a pattern.
    Objects(String),
}

/// What a policy is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Who asks.
    pub caller: Caller<'a>,
    /// For what.
    pub action: Action,
    /// The object's key; `None` for an action on the bucket, or on an object without key.
    pub key: Option<&'a str>,
    /// What else the request says.
    pub context: &'a Context,
    /// The object's tags.
    pub tags: KnownTags<'a>,
}

/// What a policy says to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No, whatever else says yes.
    Denied,
    /// Yes, to the caller itself or to `*`.
    Allowed,
    /// Yes, to the caller's tenant, which its credentials may do as far as they have the right.
    AllowedToTenant,
    /// Nothing.
    Silent,
}

impl Policy {
    /// Reads a document.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        read::policy(text)
    }

    /// The document, as it was set.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The bucket that its resources name.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Whether it grants something to the public (S3 User Guide, "The meaning of public").
    pub fn is_public(&self) -> bool {
        self.is_public
    }

    /// The credentials of `tenant` that it names.
    pub fn credentials_of(&self, tenant: &Tenant) -> Vec<Uuid> {
        let named = self.statements.iter().flat_map(|statement| &statement.principals);
        named
            .filter_map(|named| match named {
                Named::Credential(of, id) if of == tenant => Some(*id),
                _ => None,
            })
            .collect()
    }

    /// What it says to a request. A denial wins over everything.
    pub fn judge(&self, asked: &Asked<'_>) -> Verdict {
        let mut allowed = None;
        for statement in &self.statements {
            let Some(meant) = statement.concerns(asked) else { continue };
            match statement.effect {
                Effect::Deny => return Verdict::Denied,
                Effect::Allow => allowed = allowed.max(Some(meant)),
            }
        }
        match allowed {
            None => Verdict::Silent,
            Some(Meant::AsTenant) => Verdict::AllowedToTenant,
            Some(Meant::Itself) => Verdict::Allowed,
        }
    }
}

impl Statement {
    /// Whether it is about this request, and how it means its caller.
    fn concerns(&self, asked: &Asked<'_>) -> Option<Meant> {
        if !self.actions.contains(&asked.action) || !self.targets.iter().any(|target| target.holds(asked)) {
            return None;
        }
        let meant = self.principals.iter().filter_map(|named| named.means(asked.caller)).max()?;
        let holds = self.conditions.iter().all(|condition| {
            match condition.holds(asked.action, asked.context, asked.tags) {
                Truth::Yes => true,
                Truth::No => false,
                // What cannot be told is told in favour of the denial.
                Truth::Unknown => self.effect == Effect::Deny,
            }
        });
        holds.then_some(meant)
    }

    /// Whether it grants something to the public, from any address.
    fn is_public(&self) -> bool {
        self.effect == Effect::Allow && self.principals.contains(&Named::Everybody) && !self.is_confined()
    }

    /// Whether it is about fixed addresses only.
    fn is_confined(&self) -> bool {
        self.conditions.iter().any(|condition| {
            condition.operator.confines_to_addresses()
                && condition.values.iter().all(|value| match value {
                    Value::Network(network) => !network.is_everywhere(),
                    _ => false,
                })
        })
    }
}

impl Target {
    fn holds(&self, asked: &Asked<'_>) -> bool {
        match (self, asked.action.level()) {
            (Self::Bucket, Level::Bucket) => true,
            // An object without key is one whose key is empty.
            (Self::Objects(pattern), Level::Object) => {
                wildcard::matches(pattern, asked.key.unwrap_or_default())
            }
            _ => false,
        }
    }
}
