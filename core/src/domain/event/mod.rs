//! What is told to the world about a change: which events there are, who wants which, and what each says.

mod kind;
mod nats;
mod notifications;
mod routes;
mod target;

pub use kind::{EventKind, EventName};
pub use nats::{NatsSecret, user_name};
pub use notifications::{Arn, NOTIFICATION_RULES_MAX, NotificationRule, Notifications};
pub use routes::{Route, Routes};
pub use target::{
    Overflow, PayloadFormat, ROWS_MAX, TakenBy, TargetKind, TargetName, TargetSettings, WEBHOOK_PATIENCE_MAX,
};

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::address::SpaceAddress;
use super::object::Object;
use super::space::Versioning;

/// What kind of request makes an object or changes one, where the change itself does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum How {
    /// One object is written, changed or deleted, as by `PutObject`.
    #[default]
    Plain,
    /// An HTML form.
    Post,
    /// From another object.
    Copy,
    /// A lifecycle rule.
    Lifecycle,
}

/// Who asked for a change: told along with it, and decides nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The principal's name, if the request proved one.
    pub who: Option<String>,
    /// Where the request came from.
    pub from: Option<IpAddr>,
    /// Its id.
    pub request_id: Option<String>,
}

/// Why a change is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cause {
    /// By what kind of request.
    pub how: How,
    /// By whose; `None` for background work.
    pub origin: Option<Arc<Origin>>,
}

/// What a row of the outbox says about its object, as JSON. Fields that are absent in an older row are as if it were not
/// known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// The bucket that the rule was set through, or the namespace.
    pub bucket: String,
    /// The namespace.
    pub namespace: String,
    /// The tenant.
    pub tenant: String,
    /// The version, also of a key that keeps none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_id: Option<String>,
    /// The version id as S3 shows it; `None` where versioning was never enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// Bytes; `None` of what was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// The tag, without quotes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The class that the object has now: `hot` or `cold`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// The rule that wants the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Who asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// From where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<IpAddr>,
    /// The request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl Facts {
    /// Of no version: only the space is told.
    pub fn of_space(address: &SpaceAddress) -> Self {
        let (namespace, tenant) = (address.namespace.as_str().to_owned(), address.tenant.as_str().to_owned());
        Self { bucket: namespace.clone(), namespace, tenant, ..Self::default() }
    }
}

/// Something that happened to a version of a key.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    /// What.
    pub kind: EventKind,
    /// To which version; as it was, if it was removed.
    pub object: &'a Object,
    /// Why.
    pub cause: &'a Cause,
}

impl Event<'_> {
    /// What `route` is told. Where only the last state of a key matters, that is read when it is sent: the row names the key,
    /// and its facts the space.
    pub fn facts(&self, route: &Route) -> Facts {
        let Object { address, id, .. } = self.object;
        if route.coalesced {
            return Facts::of_space(address);
        }
        let origin = self.cause.origin.as_deref();
        let there = !self.kind.is_removal();
        Facts {
            bucket: route.bucket.clone().unwrap_or_else(|| address.namespace.as_str().to_owned()),
            namespace: address.namespace.as_str().to_owned(),
            tenant: address.tenant.as_str().to_owned(),
            object_id: Some(id.to_string()),
            version_id: version_id(self.object),
            size: (there && self.object.content.is_some()).then(|| self.object.size()),
            etag: (there && self.object.content.is_some()).then(|| self.object.etag.as_str().to_owned()),
            class: there.then(|| self.object.class.as_str().to_owned()),
            rule: route.rule.clone(),
            who: origin.and_then(|origin| origin.who.clone()),
            from: origin.and_then(|origin| origin.from),
            request_id: origin.and_then(|origin| origin.request_id.clone()),
        }
    }
}

/// As S3 shows it: `null` for a version that was written while versioning was not enabled, nothing where it never was.
fn version_id(object: &Object) -> Option<String> {
    match object.versioning {
        Versioning::Off => None,
        _ if object.is_null_version => Some("null".to_owned()),
        _ => Some(object.id.to_string()),
    }
}
