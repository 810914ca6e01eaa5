//! Deleting many objects in one request: those that are named, or those whose keys begin with a prefix.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

use futures::StreamExt as _;

use super::ObjectRef;
use super::cursor::{Cursor, PAGE_MAX};
use super::delete::Deletion;
use super::list::{Entry, ListRequest};
use crate::application::access::authorize;
use crate::application::entered::Wish;
use crate::application::error::{Error, Result};
use crate::application::ports::metadata::SpaceRef;
use crate::application::store::Store;
use crate::domain::action::Action;
use crate::domain::address::{Key, SpaceAddress};
use crate::domain::object::Listed;
use crate::domain::precondition::Preconditions;
use crate::domain::principal::{Principal, Right};
use crate::domain::space::Versioning;

/// Most objects that one request deletes.
pub const DELETIONS_MAX: usize = 1000;

/// Most objects that one dry run of a prefix counts: it changes nothing, and costs a tenth.
pub const PREVIEW_MAX: u32 = 10_000;

/// Deletions of one request that run concurrently: enough to share the store's commits, few enough to leave room in its
/// queue.
const CONCURRENT: usize = 64;

/// One deletion of a request for many.
#[derive(Clone, Debug)]
pub struct Removal {
    /// What to delete.
    pub object: ObjectRef,
    /// What must hold of it.
    pub preconditions: Preconditions,
    /// See [`Store::delete_bypassing`].
    pub bypass: bool,
}

/// Which keys of a space to delete.
#[derive(Clone, Debug)]
pub struct PrefixRequest {
    /// The space.
    pub space: SpaceAddress,
    /// Only keys that begin with this; empty for every key. Objects without a key are never meant.
    pub prefix: String,
    /// Where to begin: [`PrefixDeletion::next`] of the call before.
    pub after: Option<Cursor>,
    /// At most this many keys are looked at; capped at [`DELETIONS_MAX`], or [`PREVIEW_MAX`] in a dry run.
    pub max: u32,
    /// Only counts, and changes nothing.
    pub dry_run: bool,
}

/// What one call of a prefix delete did.
#[derive(Clone, Debug, Default)]
pub struct PrefixDeletion {
    /// Keys deleted; in a dry run those that would be.
    pub deleted: u64,
    /// The size of their objects in bytes. With versioning the bytes stay, behind a delete marker.
    pub bytes: u64,
    /// How many of them were deleted by a delete marker.
    pub markers: u64,
    /// Keys that stay, and why.
    pub refused: Vec<(Key, Error)>,
    /// Where the next call begins; `None` if no key is left behind the last one looked at.
    pub next: Option<Cursor>,
}

/// The entries of a request with their places in it; those that name the same object stand together, in their order.
fn in_turns(removals: Vec<Removal>) -> Vec<Vec<(usize, Removal)>> {
    let mut first_of: HashMap<ObjectRef, usize> = HashMap::with_capacity(removals.len());
    let mut turns: Vec<Vec<(usize, Removal)>> = Vec::with_capacity(removals.len());
    for (place, removal) in removals.into_iter().enumerate() {
        match first_of.entry(removal.object.clone()) {
            Slot::Occupied(first) => turns[*first.get()].push((place, removal)),
            Slot::Vacant(slot) => {
                slot.insert(turns.len());
                turns.push(vec![(place, removal)]);
            }
        }
    }
    turns
}

impl Store {
    /// Deletes many objects, each as [`Self::delete_bypassing`] deletes one: decided by itself, with an answer in the same
    /// place. Those under way at the same time share transactions. Entries that repeat an object are decided in their order.
    pub async fn delete_many(&self, who: &Principal, removals: Vec<Removal>) -> Vec<Result<Deletion>> {
        let mut results: Vec<(usize, Result<Deletion>)> = futures::stream::iter(in_turns(removals))
            .map(|turns| async move {
                let mut results = Vec::with_capacity(turns.len());
                for (place, Removal { object, preconditions, bypass }) in turns {
                    results.push((place, self.delete_bypassing(who, &object, preconditions, bypass).await));
                }
                futures::stream::iter(results)
            })
            .buffer_unordered(CONCURRENT)
            .flatten()
            .collect()
            .await;
        results.sort_unstable_by_key(|(place, _)| *place);
        results.into_iter().map(|(_, result)| result).collect()
    }

    /// Lets `who` delete in `space` as far as rights decide: what a policy says of single objects is asked for each.
    pub fn face_deletion(&self, who: &Principal, space: &SpaceAddress) -> Result<()> {
        authorize::check(who, Right::Delete, space, Error::NoSuchObject)
    }

    /// Deletes the keys of a space that begin with a prefix, each as [`Self::delete`] does: a delete marker where versions
    /// are kept. Takes the right to list and, for every key, to delete. An object that is written under such a key
    /// meanwhile is deleted or stays.
    pub async fn delete_prefix(&self, who: &Principal, request: &PrefixRequest) -> Result<PrefixDeletion> {
        self.face_deletion(who, &request.space)?;
        let mut done = PrefixDeletion::default();
        let mut after = request.after.clone();
        let most = if request.dry_run { PREVIEW_MAX } else { PAGE_MAX };
        let mut left = request.max.min(most);
        // The policy sees what is listed.
        let lister = who.clone().asking(who.context.listing(&request.prefix));
        while left > 0 {
            let list = ListRequest {
                place: SpaceRef::Space(request.space.clone()),
                prefix: request.prefix.clone(),
                delimiter: None,
                after,
                versions: false,
                keyless: false,
                limit: left.min(PAGE_MAX),
            };
            let page = self.list_latest(&lister, &list).await?;
            let lines = page.entries.into_iter().filter_map(|entry| match entry {
                Entry::Object(line) => Some(line),
                Entry::Prefix(_) => None,
            });
            let lines: Vec<Listed> = lines.collect();
            left = left.saturating_sub(u32::try_from(lines.len()).unwrap_or(u32::MAX));
            if request.dry_run {
                self.preview(who, &request.space, lines, &mut done).await?;
            } else {
                self.delete_lines(who, &request.space, lines, &mut done).await;
            }
            done.next.clone_from(&page.next);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        if !request.dry_run {
            // The request's own line names neither the space nor the prefix.
            tracing::info!(
                target: "audit",
                principal = who.name,
                space = %request.space,
                prefix = request.prefix,
                deleted = done.deleted,
                bytes = done.bytes,
                refused = done.refused.len(),
                more = done.next.is_some(),
                "prefix deleted"
            );
        }
        Ok(done)
    }

    async fn delete_lines(
        &self,
        who: &Principal,
        space: &SpaceAddress,
        lines: Vec<Listed>,
        done: &mut PrefixDeletion,
    ) {
        let removals = lines.iter().map(|line| Removal {
            object: ObjectRef::latest(SpaceRef::Space(space.clone()), line.key.clone()),
            preconditions: Preconditions::default(),
            bypass: false,
        });
        let results = self.delete_many(who, removals.collect()).await;
        for (line, result) in lines.into_iter().zip(results) {
            match result {
                // Another request was faster.
                Ok(Deletion { object: None, .. }) => {}
                Ok(Deletion { marker_made, .. }) => {
                    done.deleted += 1;
                    done.bytes = done.bytes.saturating_add(line.size);
                    done.markers += u64::from(marker_made);
                }
                Err(error) => done.refused.push((line.key, error)),
            }
        }
    }

    /// What [`Self::delete_lines`] would do, as far as access decides.
    async fn preview(
        &self,
        who: &Principal,
        space: &SpaceAddress,
        lines: Vec<Listed>,
        done: &mut PrefixDeletion,
    ) -> Result<()> {
        let place = SpaceRef::Space(space.clone());
        let entered = self.resolve(&place).await?;
        let keeps =
            self.metadata.space(&place).await?.is_some_and(|space| space.versioning != Versioning::Off);
        for line in lines {
            if let Err(refused) = entered.allow(who, Wish::of(Action::DeleteObject, Some(&line.key)), None) {
                done.refused.push((line.key, refused));
                continue;
            }
            done.deleted += 1;
            done.bytes = done.bytes.saturating_add(line.size);
            done.markers += u64::from(keeps);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Removal, in_turns};
    use crate::application::object_ref::ObjectRef;
    use crate::domain::object::ObjectId;
    use crate::domain::precondition::Preconditions;

    #[test]
    fn entries_that_repeat_an_object_wait_for_each_other() {
        let [first, second] = [1, 2].map(|number| ObjectId(uuid::Uuid::from_u128(number)));
        let removals = [first, second, first, first, second].map(|id| Removal {
            object: ObjectRef::Id(id),
            preconditions: Preconditions::default(),
            bypass: false,
        });
        let places = in_turns(removals.into()).into_iter().map(|turns| {
            turns.into_iter().map(|(place, removal)| (place, removal.object)).collect::<Vec<_>>()
        });
        assert_eq!(
            places.collect::<Vec<_>>(),
            [
                vec![(0, ObjectRef::Id(first)), (2, ObjectRef::Id(first)), (3, ObjectRef::Id(first))],
                vec![(1, ObjectRef::Id(second)), (4, ObjectRef::Id(second))],
            ]
        );
    }
}
