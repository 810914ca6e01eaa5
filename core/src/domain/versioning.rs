//! Versions of a key: what a write, a delete, a removal and a lifecycle verdict do to them.
//!
//! Every rule is a function of what is there. The metadata store loads the facts inside its transaction, asks here, and
//! writes the answer down: no statement decides. [`KeyVersions`] carries the plans of one transaction along, so that a
//! change sees the effect of those before it without asking the database again.

use super::etag::Etag;
use super::object::{Object, ObjectId};
use super::object_lock::ObjectLock;
use super::precondition::{Current, Preconditions, WriteDecision};
use super::space::{SettingsRevision, Space, Versioning};
use super::timestamp::Timestamp;
use super::upstream::Mode;

#[cfg(test)]
mod tests;

/// Why a change of versions is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// A condition does not hold.
    ConditionFailed,
    /// `If-Match` on what does not exist.
    NoSuchObject,
    /// Object lock protects a version that would have to go.
    Locked,
    /// The new version asks for a lock where versions cannot be locked.
    NoObjectLock,
    /// Where versions can be locked, versioning stays enabled.
    WrongVersioning,
    /// What was fetched from the upstream is not wanted any more: the key was written or removed here meanwhile, or the
    /// space is bound in another way.
    Overtaken,
}

/// What the rules ask of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its id. Later versions of a key have larger ones.
    pub id: ObjectId,
    /// Its tag; `None` for a delete marker, which has none that a client could know.
    pub etag: Option<Etag>,
    /// In bytes; 0 for a delete marker.
    pub size: u64,
    /// When it was committed.
    pub modified: Timestamp,
    /// What keeps it from being removed.
    pub lock: ObjectLock,
    /// Whether it was written while versioning was off or suspended.
    pub is_null_version: bool,
}

impl Version {
    /// Whether it marks its key as deleted.
    pub fn is_delete_marker(&self) -> bool {
        self.etag.is_none()
    }

    fn as_current(&self) -> Current<'_> {
        Current { etag: self.etag.as_ref(), modified: self.modified, size: self.size }
    }
}

impl From<&Object> for Version {
    fn from(object: &Object) -> Self {
        Self {
            id: object.id,
            etag: (!object.is_delete_marker()).then(|| object.etag.clone()),
            size: object.size(),
            modified: object.created_at,
            lock: object.lock,
            is_null_version: object.is_null_version,
        }
    }
}

/// Whether a write or delete must know the null version of a key, too, when `latest` is its latest version: only where
/// versioning is suspended, and only if the null version does not turn out to be the latest one. Also if no latest version
/// was found: it may have just been replaced, and the null version is then what took its place.
pub fn needs_null_version(versioning: Versioning, latest: Option<&Version>) -> bool {
    versioning == Versioning::Suspended && !latest.is_some_and(|latest| latest.is_null_version)
}

/// The versions of one key that decide about its next change.
#[derive(Clone, Debug, Default)]
pub struct KeyVersions {
    latest: Option<Version>,
    null_behind: Option<Version>,
    newest: Option<ObjectId>,
}

impl KeyVersions {
    /// With this latest version, a delete marker too, and this null version behind it, which is asked for only if
    /// [`needs_null_version`] says so.
    pub fn new(latest: Option<Version>, null_behind: Option<Version>) -> Self {
        Self { latest, null_behind, newest: None }
    }

    /// The latest version, a delete marker too.
    pub fn latest(&self) -> Option<&Version> {
        self.latest.as_ref()
    }

    /// Whether the id that a new version proposes is larger than that of the latest. If it is not, the store looks for
    /// the largest id of the key, and [`Self::next_id`] decides.
    pub fn admits(&self, proposed: ObjectId) -> bool {
        self.latest.as_ref().is_none_or(|latest| latest.id < proposed)
    }

    /// The id of a new version: the one proposed, or the next after the largest: `stored` is that of all rows of the key,
    /// those too that wait for the collector.
    pub fn next_id(&self, proposed: ObjectId, stored: Option<ObjectId>) -> ObjectId {
        let latest = self.latest.as_ref().map(|latest| latest.id);
        proposed.after(stored.max(self.newest).max(latest))
    }

    /// What a new latest version does to those before it.
    fn overwrite(&self, versioning: Versioning) -> Overwrite {
        let retires = match versioning {
            Versioning::Enabled => None,
            Versioning::Off => self.latest.as_ref(),
            // Only the null version is replaced, wherever it is among the versions.
            Versioning::Suspended => {
                self.latest.as_ref().filter(|latest| latest.is_null_version).or(self.null_behind.as_ref())
            }
        };
        let demotes = self.latest.as_ref().filter(|latest| retires.is_none_or(|gone| gone.id != latest.id));
        Overwrite {
            demotes: demotes.map(|latest| latest.id),
            retires: retires.cloned(),
            is_null_version: versioning != Versioning::Enabled,
        }
    }

    /// `version` has become the latest, as `plan` says.
    pub fn replace(&mut self, plan: &Overwrite, version: Version) {
        if let Some(gone) = &plan.retires {
            self.null_behind.take_if(|null| null.id == gone.id);
        }
        self.newest = self.newest.max(Some(version.id));
        self.latest = Some(version);
    }

    /// The latest version has gone, with nothing in its place: [`DeletePlan::Remove`].
    pub fn remove_latest(&mut self) {
        self.latest = None;
    }
}

/// What a new latest version of a key does to those before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overwrite {
    /// The version that goes for good.
    pub retires: Option<Version>,
    /// The version that stays and is no longer the latest.
    pub demotes: Option<ObjectId>,
    /// Whether the new version is its key's null version.
    pub is_null_version: bool,
}

impl Overwrite {
    /// The bytes that the version which goes gives back; `None` if all of them stay.
    pub fn freed(&self) -> Option<u64> {
        self.retires.as_ref().map(|version| version.size)
    }
}

/// What a new version does, by the versioning of a space alone: for advice that is given before the commit decides.
pub fn overwrite(versioning: Versioning, there: &KeyVersions) -> Overwrite {
    there.overwrite(versioning)
}

/// Decides a new version of a key, or a new object without a key, of which nothing is there. `space` is `None` if this
/// change makes it. `lock` is the lock that the writer asks for.
pub fn plan_put(
    space: Option<&Space>,
    there: &KeyVersions,
    conditions: &Preconditions,
    lock: &ObjectLock,
    now: Timestamp,
) -> Result<Overwrite, Denial> {
    check_write(conditions, there.latest())?;
    check_lock_asked(space, lock)?;
    let plan = there.overwrite(versioning_of(space));
    check_held(plan.retires.as_ref(), now, false)?;
    Ok(plan)
}

/// Decides whether an object that was pulled from the upstream may be kept: only under a key that was never written or
/// removed here, of which `claimed` tells, and only while the space is bound as it was at the start, `revision`. It is its
/// key's null version, as an object from before there was versioning: the upstream's own ids are not known here.
pub fn plan_pull(
    space: Option<&Space>,
    there: &KeyVersions,
    revision: SettingsRevision,
    claimed: bool,
) -> Result<Overwrite, Denial> {
    let stands = space
        .is_some_and(|space| space.settings == revision && space.upstream.is_some_and(Mode::reads_through));
    if !stands || !claimed || there.latest().is_some() {
        return Err(Denial::Overtaken);
    }
    Ok(Overwrite { retires: None, demotes: None, is_null_version: true })
}

/// What the delete of a key does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeletePlan {
    /// Nothing is there, and nothing is made.
    Nothing,
    /// The latest version goes for good.
    Remove(ObjectId),
    /// A delete marker becomes the latest version.
    Mark {
        /// What the marker does to the versions before it.
        overwrite: Overwrite,
        /// Whether it hides an object: then it is made whatever a quota says.
        hides: bool,
    },
}

/// Decides the delete of a key: for good without versioning, by a marker with it.
pub fn plan_delete(
    space: Option<&Space>,
    there: &KeyVersions,
    conditions: &Preconditions,
    bypass: bool,
    now: Timestamp,
) -> Result<DeletePlan, Denial> {
    let latest = there.latest();
    decided(conditions.decide_delete_of_key(latest.map(Version::as_current)))?;
    let Some(space) = space else { return Ok(DeletePlan::Nothing) };
    let hides = latest.is_some_and(|latest| !latest.is_delete_marker());
    if !hides && !conditions.is_empty() {
        // The client would delete what it knows. That is gone already, so no marker is made, and no second one.
        return Ok(DeletePlan::Nothing);
    }
    let overwrite = there.overwrite(space.versioning);
    check_held(overwrite.retires.as_ref(), now, bypass)?;
    Ok(match (space.versioning, latest) {
        (Versioning::Off, None) => DeletePlan::Nothing,
        (Versioning::Off, Some(latest)) => DeletePlan::Remove(latest.id),
        (Versioning::Enabled | Versioning::Suspended, _) => DeletePlan::Mark { overwrite, hides },
    })
}

/// Decides what becomes of a key whose object is moved to another one: it is deleted, as by [`plan_delete`]. What is to be
/// moved must be there, whatever the conditions. The target is decided by [`plan_put`].
pub fn plan_departure(
    space: &Space,
    there: &KeyVersions,
    conditions: &Preconditions,
    now: Timestamp,
) -> Result<DeletePlan, Denial> {
    if there.latest().is_none_or(Version::is_delete_marker) {
        return Err(Denial::NoSuchObject);
    }
    plan_delete(Some(space), there, conditions, false, now)
}

/// Decides the removal of one version, if it is there. Whether it goes.
pub fn plan_removal(
    version: Option<&Version>,
    conditions: &Preconditions,
    bypass: bool,
    now: Timestamp,
) -> Result<bool, Denial> {
    decided(conditions.decide_delete(version.map(Version::as_current)))?;
    check_held(version, now, bypass)?;
    Ok(version.is_some())
}

/// The version that becomes the latest of its key after another was removed: the newest of those that are left, if it was
/// the latest that went.
pub fn successor(was_latest: bool, left: impl IntoIterator<Item = ObjectId>) -> Option<ObjectId> {
    left.into_iter().max().filter(|_| was_latest)
}

/// What is to be done with a version whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// Delete its key, as a client would, if it still is the latest version.
    Current,
    /// Remove it, if another version still is the latest.
    Noncurrent,
    /// Remove it, a delete marker, if it is all there is of its key.
    LoneMarker,
}

impl Expiry {
    /// Whether the verdict depends on the other versions of the key.
    pub fn asks_for_others(self) -> bool {
        self == Self::LoneMarker
    }
}

/// What is there of a version that a lifecycle rule has judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // four facts, independent of one another
pub struct Judged {
    /// Whether its tags are those that were judged.
    pub has_same_tags: bool,
    /// Whether it is the latest of its key.
    pub is_latest: bool,
    /// Whether it is a delete marker.
    pub is_delete_marker: bool,
    /// Whether its key has other versions; asked only if [`Expiry::asks_for_others`].
    pub has_others: bool,
}

/// What becomes of a verdict when it is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Execution {
    /// What was judged is no longer so.
    Void,
    /// Its key is deleted, as by [`plan_delete`].
    DeleteKey,
    /// It is removed, as by [`plan_removal`].
    RemoveVersion,
}

/// Decides whether a lifecycle verdict still stands.
pub fn plan_expire(expiry: Expiry, judged: Judged) -> Execution {
    let Judged { has_same_tags, is_latest, is_delete_marker, has_others } = judged;
    match expiry {
        _ if !has_same_tags => Execution::Void,
        Expiry::Current if is_latest && !is_delete_marker => Execution::DeleteKey,
        Expiry::Noncurrent if !is_latest => Execution::RemoveVersion,
        Expiry::LoneMarker if is_latest && is_delete_marker && !has_others => Execution::RemoveVersion,
        Expiry::Current | Expiry::Noncurrent | Expiry::LoneMarker => Execution::Void,
    }
}

/// Decides a change of a space's versioning. What was versioned once can only be suspended: `Off` means
/// [`Versioning::Suspended`] there. Where versions can be locked, it stays enabled.
pub fn plan_versioning(space: &Space, asked: Versioning) -> Result<Versioning, Denial> {
    match asked {
        Versioning::Enabled => Ok(Versioning::Enabled),
        _ if space.object_lock.is_some() => Err(Denial::WrongVersioning),
        Versioning::Off if space.versioning == Versioning::Off => Ok(Versioning::Off),
        Versioning::Off | Versioning::Suspended => Ok(Versioning::Suspended),
    }
}

/// Decides whether versions in a space may be made lockable: only while it keeps all of them.
pub fn check_lockable(space: &Space) -> Result<(), Denial> {
    if space.versioning == Versioning::Enabled { Ok(()) } else { Err(Denial::WrongVersioning) }
}

/// Refuses a lock that a writer asks for where versions cannot be locked. `space` is `None` if it does not exist yet.
pub fn check_lock_asked(space: Option<&Space>, lock: &ObjectLock) -> Result<(), Denial> {
    let lockable = space.is_some_and(|space| space.object_lock.is_some());
    if lock.is_empty() || lockable { Ok(()) } else { Err(Denial::NoObjectLock) }
}

/// Refuses a write over `latest` whose conditions do not hold; a delete marker counts as nothing.
pub fn check_write(conditions: &Preconditions, latest: Option<&Version>) -> Result<(), Denial> {
    let current = latest.and_then(|latest| latest.etag.as_ref().map(|etag| (etag, latest.modified)));
    decided(conditions.decide_write(current))
}

/// Refuses what would remove or rewrite a version that object lock holds.
pub fn check_held(version: Option<&Version>, now: Timestamp, bypass: bool) -> Result<(), Denial> {
    let Some(version) = version else { return Ok(()) };
    version.lock.allows_removal(now, bypass).map_err(|_| Denial::Locked)
}

/// The versioning of a space; of one that does not exist yet, what it begins with.
fn versioning_of(space: Option<&Space>) -> Versioning {
    space.map_or(Versioning::default(), |space| space.versioning)
}

fn decided(decision: WriteDecision) -> Result<(), Denial> {
    match decision {
        WriteDecision::Proceed => Ok(()),
        WriteDecision::Failed => Err(Denial::ConditionFailed),
        WriteDecision::Missing => Err(Denial::NoSuchObject),
    }
}
