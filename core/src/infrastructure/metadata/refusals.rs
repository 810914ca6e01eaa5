//! What conditions and locks say to a change.

use crate::application::ports::metadata::Refusal;
use crate::domain::object::Object;
use crate::domain::object_lock::Locked;
use crate::domain::precondition::{Current, Preconditions, WriteDecision};
use crate::domain::timestamp::Timestamp;

/// What the conditions of a write say; a delete marker counts as nothing.
pub(super) fn refuse(preconditions: &Preconditions, current: Option<&Object>) -> Option<Refusal> {
    let current = current.filter(|object| !object.is_delete_marker());
    refusal(preconditions.decide_write(current.map(|object| (&object.etag, object.created_at))))
}

/// What object lock says of a version that a change would remove.
pub(super) fn held(object: Option<&Object>, now: Timestamp, bypass: bool) -> Option<Refusal> {
    object?.lock.allows_removal(now, bypass).err().map(|Locked| Refusal::Locked)
}

/// What the conditions of a delete of one version say.
pub(super) fn refuse_delete(preconditions: &Preconditions, current: Option<&Object>) -> Option<Refusal> {
    refusal(preconditions.decide_delete(current.map(as_current)))
}

/// What the conditions of a delete of a key say, whose latest version is `latest`.
pub(super) fn refuse_delete_of_key(
    preconditions: &Preconditions,
    latest: Option<&Object>,
) -> Option<Refusal> {
    refusal(preconditions.decide_delete_of_key(latest.map(as_current)))
}

fn as_current(object: &Object) -> Current<'_> {
    Current {
        etag: (!object.is_delete_marker()).then_some(&object.etag),
        modified: object.created_at,
        size: object.size(),
    }
}

fn refusal(decision: WriteDecision) -> Option<Refusal> {
    match decision {
        WriteDecision::Proceed => None,
        WriteDecision::Failed => Some(Refusal::PreconditionFailed),
        WriteDecision::Missing => Some(Refusal::NoSuchObject),
    }
}
