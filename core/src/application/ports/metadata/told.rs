//! Which events a change is told as.

use super::address::{ObjectAddress, VersionRef};
use super::changes::{Mutation, MutationOutcome, UpdateObject};
use crate::domain::address::{Key, SpaceAddress};
use crate::domain::event::{Cause, Event, EventKind, How};
use crate::domain::object::Object;
use crate::domain::patch::AttributesPatch;
use crate::domain::storage_class::StorageClass;

/// Of background work that follows a rule.
static OF_A_RULE: Cause = Cause { how: How::Lifecycle, origin: None };

impl Mutation {
    /// The events that this change made, which came to `outcome`. In the order in which they are told.
    pub fn told<'a>(&'a self, outcome: &'a MutationOutcome) -> Vec<Event<'a>> {
        let event = |kind, object: &'a Object, cause: &'a Cause| Event { kind, object, cause };
        match (self, outcome) {
            // What is fetched from an upstream was written there, and told there.
            (Self::Put(put), MutationOutcome::Object { object, .. }) if put.pulled.is_none() => {
                vec![event(created(put.cause.how), object, &put.cause)]
            }
            (Self::Complete(complete), MutationOutcome::Object { object, .. }) => {
                vec![event(EventKind::CompleteMultipartUpload, object, &complete.cause)]
            }
            (Self::Update(update), MutationOutcome::Object { object, .. }) => {
                changed(update).map(|kind| event(kind, object, &update.cause)).collect()
            }
            // What the upstream has replaced was told there.
            (Self::Delete(delete), MutationOutcome::Deleted { object: Some(object), marker_made })
                if !delete.let_go =>
            {
                let kind = if *marker_made { EventKind::DeleteMarkerCreated } else { EventKind::Delete };
                vec![event(kind, object, &delete.cause)]
            }
            (Self::Expire(_), MutationOutcome::Deleted { object: Some(object), marker_made }) => {
                let marked = EventKind::LifecycleDeleteMarkerCreated;
                let kind = if *marker_made { marked } else { EventKind::LifecycleDelete };
                vec![event(kind, object, &OF_A_RULE)]
            }
            (Self::Move(change), MutationOutcome::Moved { object, marker, left }) => {
                let gone = if marker.is_some() { EventKind::DeleteMarkerCreated } else { EventKind::Delete };
                vec![event(EventKind::Copy, object, &change.cause), event(gone, left, &change.cause)]
            }
            _ => Vec::new(),
        }
    }

    /// The key of a delete that found nothing here: what the upstream of its space has goes all the same.
    pub fn removes_beyond<'a>(&'a self, outcome: &MutationOutcome) -> Option<(&'a SpaceAddress, &'a Key)> {
        match (self, outcome) {
            (Self::Delete(delete), MutationOutcome::Deleted { object: None, .. }) => match &delete.target {
                ObjectAddress::Latest(address, key)
                | ObjectAddress::Version(address, key, VersionRef::Null) => Some((address, key)),
                ObjectAddress::Version(..) | ObjectAddress::Id(_) => None,
            },
            _ => None,
        }
    }
}

fn created(how: How) -> EventKind {
    match how {
        How::Post => EventKind::Post,
        How::Copy => EventKind::Copy,
        How::Plain | How::Lifecycle => EventKind::Put,
    }
}

/// The kinds of a change in place: one for each thing that S3 changes by a request of its own.
fn changed(update: &UpdateObject) -> impl Iterator<Item = EventKind> {
    let patch = update.attributes.as_ref();
    let tags = patch.and_then(|patch| patch.tags.as_ref());
    [
        patch.is_some_and(AttributesPatch::changes_headers).then_some(EventKind::Copy),
        tags.map(|tags| if tags.is_empty() { EventKind::TaggingDelete } else { EventKind::TaggingPut }),
        patch.and_then(|patch| patch.acl).map(|_| EventKind::AclPut),
        update.class.map(|class| match class {
            StorageClass::Cold => EventKind::LifecycleTransition,
            StorageClass::Hot => EventKind::RestoreCompleted,
        }),
        update.lock.map(|_| EventKind::LockChanged),
    ]
    .into_iter()
    .flatten()
}
