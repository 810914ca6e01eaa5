//! Versions of keys: loaded, and changed in memory as the domain plans it; [`apply`] writes them together.
//!
//! The cost on both engines is that of the statement, not of the row. The changes of a batch that concern keys are planned one
//! after another over what one look at the database found, each seeing the plans before it, and are then written by
//! statements that carry many rows. A version that the same batch makes and replaces is written as replaced.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::batch::Batch;
use super::content::CheckedContent;
use crate::application::ports::metadata::{Pulled, PutObject};
use crate::domain::address::{BucketName, Key, SpaceAddress};
use crate::domain::checksum::Checksum;
use crate::domain::etag::Etag;
use crate::domain::multipart::UploadId;
use crate::domain::object::{Attributes, Content, Object, ObjectId};
use crate::domain::object_lock::ObjectLock;
use crate::domain::space::{DedupDomain, Space, SpaceId};
use crate::domain::state::ObjectState;
use crate::domain::timestamp::Timestamp;
use crate::domain::versioning::{KeyVersions, Overwrite, Version, needs_null_version};
use crate::infrastructure::metadata::session::fault::Fault;

mod apply;
mod load;
mod touch;

pub(crate) use touch::Touch;

/// A key that is about to be changed.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) space: &'a SpaceAddress,
    /// The bucket that the change comes through.
    pub(crate) bucket: Option<&'a BucketName>,
    pub(crate) key: Option<&'a Key>,
    /// Whether the change is answered by what is there, so that a key which seems to be missing is looked for again (see
    /// [`Batch::look_again_for_latest`]). A write that is not collides with the key instead, and begins again.
    pub(crate) certain: bool,
    /// What the change says of the key to the space's upstream, if it has one.
    pub(crate) touch: Touch<'a>,
}

/// The facts of a new version.
pub(crate) struct NewVersion<'a> {
    pub(crate) address: &'a SpaceAddress,
    /// Its space as it was planned for; `None` if that did not exist.
    pub(crate) space: Option<Space>,
    pub(crate) key: Option<&'a Key>,
    pub(crate) id: ObjectId,
    pub(crate) etag: Etag,
    /// `None` for a delete marker, which is of its space's class and carries nothing.
    pub(crate) attributes: Option<&'a Attributes>,
    pub(crate) checksum: Option<Checksum>,
    pub(crate) completes: Option<UploadId>,
    pub(crate) announced: Option<ObjectId>,
    /// That it is a copy of the upstream's.
    pub(crate) pulled: Option<&'a Pulled>,
    pub(crate) bytes: Bytes<'a>,
}

/// The bytes of a new version.
pub(crate) enum Bytes<'a> {
    /// To be placed in this domain.
    CheckedContent(&'a DedupDomain, CheckedContent<'a>),
    /// In the store already.
    Placed(Content),
    /// A delete marker has none.
    None,
}

impl<'a> NewVersion<'a> {
    /// The version that a put makes.
    pub(crate) fn of_put(put: &'a PutObject, space: Option<Space>, source: CheckedContent<'a>) -> Self {
        Self {
            address: &put.space,
            space,
            key: put.key.as_ref(),
            id: put.id,
            etag: put.etag.clone(),
            attributes: Some(&put.attributes),
            checksum: put.checksum.clone(),
            completes: None,
            announced: put.announced,
            pulled: put.pulled.as_ref(),
            bytes: Bytes::CheckedContent(&put.domain, source),
        }
    }

    /// A delete marker.
    pub(crate) fn marker(address: &'a SpaceAddress, space: Space, key: &'a Key, id: ObjectId) -> Self {
        Self {
            address,
            space: Some(space),
            key: Some(key),
            id,
            // A marker has no bytes and no tag; nothing compares this one.
            etag: Etag::md5(&[0; 16]),
            attributes: None,
            checksum: None,
            completes: None,
            announced: None,
            pulled: None,
            bytes: Bytes::None,
        }
    }

    fn size(&self) -> u64 {
        match &self.bytes {
            Bytes::CheckedContent(_, source) => source.size(),
            Bytes::Placed(content) => content.size,
            Bytes::None => 0,
        }
    }

    /// When it counts as written.
    fn modified(&self, batch: &Batch<'_>) -> Timestamp {
        self.pulled.map_or(batch.now, |pulled| pulled.modified)
    }

    /// The lock of the version: its writer's, or the space's default. A marker has no bytes to hold.
    fn lock(&self, batch: &Batch<'_>) -> ObjectLock {
        let Some(attributes) = self.attributes else { return ObjectLock::default() };
        let default = self.space.as_ref().and_then(|space| space.object_lock);
        attributes.lock.or_default(default.and_then(|lock| lock.default_retention), batch.now)
    }
}

/// A version that is planned.
struct PlannedVersion<'a> {
    new: NewVersion<'a>,
    lock: ObjectLock,
    is_null_version: bool,
    state: ObjectState,
    is_latest: bool,
}

/// A version of a key, stored or planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Stored(ObjectId),
    Planned(usize),
}

/// The plan of one change of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyChange {
    /// A put: its version is planned at this place.
    Put(usize),
    /// A delete with nothing to do.
    Nothing,
    /// A delete that removes this version.
    Removed(Which),
    /// A delete: its marker is planned at this place.
    Marked(usize),
}

/// The versions of the keys that some changes concern, with what has been planned of them so far.
#[derive(Default)]
pub(crate) struct Versions<'a> {
    keys: HashMap<(&'a SpaceAddress, &'a Key), KeyVersions>,
    stored: HashMap<ObjectId, Object>,
    planned: Vec<PlannedVersion<'a>>,
    /// The places of the planned versions.
    by_id: HashMap<ObjectId, usize>,
    retired: Vec<ObjectId>,
    demoted: Vec<ObjectId>,
    /// Keys that a pull may fill, and those that it left after all.
    claimed: HashMap<ObjectId, (SpaceId, &'a Key)>,
    unclaimed: Vec<(SpaceId, &'a Key, ObjectId)>,
    /// Keys whose places are held, and those that are removed: whatever the upstream has under them stays away.
    held: Vec<(SpaceId, &'a Key)>,
    removed: Vec<(SpaceId, &'a Key)>,
}

/// The keys of one space that are about to be changed.
struct InSpace<'a> {
    space: Space,
    keys: Vec<&'a Key>,
    addresses: HashMap<&'a Key, &'a SpaceAddress>,
    certain: HashSet<&'a Key>,
    touches: Vec<(&'a Key, Touch<'a>)>,
}

impl<'a> Versions<'a> {
    /// Loads what is there of these keys.
    pub(crate) async fn load(batch: &mut Batch<'_>, wanted: &[Wanted<'a>]) -> Result<Self, Fault> {
        let mut spaces: BTreeMap<SpaceId, InSpace<'a>> = BTreeMap::new();
        for Wanted { space: address, bucket, key, certain, touch } in wanted {
            let space = batch.space_of(address, *bucket).await?;
            let (Some(space), Some(key)) = (space, *key) else { continue };
            let in_space = spaces.entry(space.id).or_insert_with(|| InSpace {
                space,
                keys: Vec::new(),
                addresses: HashMap::new(),
                certain: HashSet::new(),
                touches: Vec::new(),
            });
            if in_space.space.upstream.is_some() {
                in_space.touches.push((key, *touch));
            }
            if in_space.addresses.insert(key, address).is_none() {
                in_space.keys.push(key);
            }
            if *certain {
                in_space.certain.insert(key);
            }
        }
        let mut versions = Self::default();
        for mut in_space in spaces.into_values() {
            // Two transactions that want the same rows take them in the same order.
            in_space.keys.sort_unstable();
            versions.load_space(batch, &in_space).await?;
        }
        Ok(versions)
    }

    async fn load_space(&mut self, batch: &mut Batch<'_>, wanted: &InSpace<'a>) -> Result<(), Fault> {
        let space = &wanted.space;
        self.touch(batch, wanted).await?;
        let mut latest = by_key(match batch.ahead.latest(&space.address) {
            Some(latest) => latest,
            None => batch.latest_of(space.id, &wanted.keys).await?,
        });
        let missing =
            wanted.keys.iter().filter(|key| wanted.certain.contains(*key) && !latest.contains_key(**key));
        let missing: Vec<_> = missing.copied().collect();
        latest.extend(by_key(batch.look_again_for_latest(space.id, &missing).await?));

        let facts: HashMap<_, _> =
            latest.iter().map(|(key, object)| (key.clone(), Version::from(object))).collect();
        let behind: Vec<_> = wanted
            .keys
            .iter()
            .copied()
            .filter(|key| needs_null_version(space.versioning, facts.get(*key)))
            .collect();
        let nulls = by_key(batch.null_versions_of(space.id, &behind).await?);
        for key in &wanted.keys {
            let there = KeyVersions::new(facts.get(*key).cloned(), nulls.get(*key).map(Version::from));
            self.keys.insert((wanted.addresses[key], key), there);
        }
        let objects = latest.into_values().chain(nulls.into_values());
        self.stored.extend(objects.map(|object| (object.id, object)));
        Ok(())
    }

    /// The facts about one key whose latest version is known.
    pub(crate) async fn of_one(
        batch: &mut Batch<'_>,
        space: &Space,
        address: &'a SpaceAddress,
        key: &'a Key,
        latest: Option<Object>,
    ) -> Result<Self, Fault> {
        let mut versions = Self::default();
        let fact = latest.as_ref().map(Version::from);
        let null = if needs_null_version(space.versioning, fact.as_ref()) {
            batch.null_version(space.id, key).await?
        } else {
            None
        };
        versions.keys.insert((address, key), KeyVersions::new(fact, null.as_ref().map(Version::from)));
        versions.stored.extend(latest.into_iter().chain(null).map(|object| (object.id, object)));
        Ok(versions)
    }

    /// The facts about a key; none for an object without one.
    pub(crate) fn of(&self, address: &'a SpaceAddress, key: Option<&'a Key>) -> KeyVersions {
        key.and_then(|key| self.keys.get(&(address, key))).cloned().unwrap_or_default()
    }

    /// A version that was loaded.
    pub(crate) fn stored(&self, id: ObjectId) -> Option<&Object> {
        self.stored.get(&id)
    }

    /// A new version becomes the latest, as `plan` says. Returns its place among those that [`Self::write`] makes.
    pub(crate) async fn replace(
        &mut self,
        batch: &mut Batch<'_>,
        mut new: NewVersion<'a>,
        plan: &Overwrite,
    ) -> Result<usize, Fault> {
        let lock = new.lock(batch);
        if let Some(key) = new.key {
            let there = self.keys.entry((new.address, key)).or_default();
            if !there.admits(new.id) {
                let stored = match &new.space {
                    Some(space) => batch.newest_of(space.id, key).await?,
                    None => None,
                };
                new.id = there.next_id(new.id, stored);
            }
            let version = Version {
                id: new.id,
                etag: new.attributes.map(|_| new.etag.clone()),
                size: new.size(),
                modified: new.modified(batch),
                lock,
                is_null_version: plan.is_null_version,
            };
            there.replace(plan, version);
            if let Some(gone) = &plan.retires {
                self.retire(gone.id);
            }
            if let Some(old) = plan.demotes {
                self.demote(old);
            }
        }
        self.by_id.insert(new.id, self.planned.len());
        self.planned.push(PlannedVersion {
            new,
            lock,
            is_null_version: plan.is_null_version,
            state: ObjectState::Committed,
            is_latest: true,
        });
        Ok(self.planned.len() - 1)
    }

    /// The latest version of a key goes, with nothing in its place.
    pub(crate) fn remove_latest(&mut self, address: &'a SpaceAddress, key: &'a Key, gone: ObjectId) -> Which {
        if let Some(there) = self.keys.get_mut(&(address, key)) {
            there.remove_latest();
        }
        self.retire(gone)
    }

    fn retire(&mut self, gone: ObjectId) -> Which {
        if let Some(at) = self.by_id.get(&gone).copied() {
            let planned = &mut self.planned[at];
            (planned.state, planned.is_latest) = (ObjectState::Deleting, false);
            Which::Planned(at)
        } else {
            self.retired.push(gone);
            Which::Stored(gone)
        }
    }

    fn demote(&mut self, old: ObjectId) {
        match self.by_id.get(&old).copied() {
            Some(at) => self.planned[at].is_latest = false,
            None => self.demoted.push(old),
        }
    }
}

fn by_key(objects: Vec<Object>) -> HashMap<Key, Object> {
    objects.into_iter().filter_map(|object| object.key.clone().map(|key| (key, object))).collect()
}
