//! Versions of keys: loaded, changed in memory as the domain plans it, and written together.
//!
//! What costs on both engines is the statement, not the row. The changes of a batch that concern keys are planned one
//! after another over what one look at the database found, each seeing the plans before it, and are then written by
//! statements that carry many rows. A version that the same batch makes and replaces is written as replaced.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::batch::Batch;
use super::content::{self, CheckedContent, Placed};
use crate::application::ports::metadata::PutObject;
use crate::domain::address::{BucketName, Key, SpaceAddress};
use crate::domain::blob::SegmentId;
use crate::domain::checksum::Checksum;
use crate::domain::etag::Etag;
use crate::domain::multipart::UploadId;
use crate::domain::object::{Attributes, Content, Object, ObjectId};
use crate::domain::object_lock::ObjectLock;
use crate::domain::space::{DedupDomain, Space, SpaceId};
use crate::domain::state::ObjectState;
use crate::domain::storage_class::{ClassName, StorageClass};
use crate::domain::versioning::{KeyVersions, Overwrite, Version, needs_null_version};
use crate::infrastructure::metadata::read::rows;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;

/// A key that is about to be changed.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) space: &'a SpaceAddress,
    /// The bucket that the change comes through.
    pub(crate) bucket: Option<&'a BucketName>,
    pub(crate) key: Option<&'a Key>,
    /// Whether the change is answered by what is there, so that a key which seems to be missing is looked for again (see
    /// [`Batch::has_latest`]). A write that is not collides with the key instead, and begins again.
    pub(crate) certain: bool,
}

/// What a new version is made of.
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

    /// What holds the version: what its writer says, and the space's default. A marker has no bytes to hold.
    fn lock(&self, batch: &Batch<'_>) -> ObjectLock {
        let Some(attributes) = self.attributes else { return ObjectLock::default() };
        let default = self.space.as_ref().and_then(|space| space.object_lock);
        attributes.lock.or_default(default.and_then(|lock| lock.default_retention), batch.now)
    }
}

/// A version that is planned.
struct Planned<'a> {
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

/// What was made.
pub(crate) struct Made {
    pub(crate) object: Object,
    /// The single segment that turned out to be a duplicate.
    pub(crate) dropped: Option<SegmentId>,
}

/// What plans came to.
pub(crate) struct Written {
    made: Vec<Made>,
    stored: HashMap<ObjectId, Object>,
}

impl Written {
    /// The version that was planned at this place, as it was made.
    pub(crate) fn made(&self, at: usize) -> Result<&Made, Fault> {
        self.made.get(at).ok_or_else(|| Fault::failed("a version was not made"))
    }

    /// A version, as it was before it went.
    pub(crate) fn which(&self, which: Which) -> Result<&Object, Fault> {
        match which {
            Which::Planned(at) => Ok(&self.made(at)?.object),
            Which::Stored(id) => {
                self.stored.get(&id).ok_or_else(|| Fault::failed("a version that was loaded is lost"))
            }
        }
    }
}

/// The versions of the keys that some changes concern, with what has been planned of them so far.
#[derive(Default)]
pub(crate) struct Versions<'a> {
    keys: HashMap<(&'a SpaceAddress, &'a Key), KeyVersions>,
    stored: HashMap<ObjectId, Object>,
    planned: Vec<Planned<'a>>,
    /// The places of the planned versions.
    by_id: HashMap<ObjectId, usize>,
    retired: Vec<ObjectId>,
    demoted: Vec<ObjectId>,
}

/// The keys of one space that are about to be changed.
struct InSpace<'a> {
    space: Space,
    keys: Vec<&'a Key>,
    addresses: HashMap<&'a Key, &'a SpaceAddress>,
    certain: HashSet<&'a Key>,
}

impl<'a> Versions<'a> {
    /// Loads what is there of these keys.
    pub(crate) async fn load(batch: &mut Batch<'_>, wanted: &[Wanted<'a>]) -> Result<Self, Fault> {
        let mut spaces: BTreeMap<SpaceId, InSpace<'a>> = BTreeMap::new();
        for Wanted { space: address, bucket, key, certain } in wanted {
            let space = batch.space_of(address, *bucket).await?;
            let (Some(space), Some(key)) = (space, *key) else { continue };
            let in_space = spaces.entry(space.id).or_insert_with(|| InSpace {
                space,
                keys: Vec::new(),
                addresses: HashMap::new(),
                certain: HashSet::new(),
            });
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
        let mut latest = by_key(batch.latest_of(space.id, &wanted.keys).await?);
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

    /// What is there of one key whose latest version is known.
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

    /// What is there of a key; nothing of an object without one.
    pub(crate) fn of(&self, address: &'a SpaceAddress, key: Option<&'a Key>) -> KeyVersions {
        key.and_then(|key| self.keys.get(&(address, key))).cloned().unwrap_or_default()
    }

    /// A version that was loaded.
    pub(crate) fn stored(&self, id: ObjectId) -> Option<&Object> {
        self.stored.get(&id)
    }

    /// A new version becomes the latest, as `plan` says. Where it is found among those that [`Self::write`] made.
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
                modified: batch.now,
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
        self.planned.push(Planned {
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

    /// Writes the plans down.
    pub(crate) async fn write(mut self, batch: &mut Batch<'_>) -> Result<Written, Fault> {
        batch.unannounce(self.planned.iter().filter_map(|planned| planned.new.announced)).await?;
        let spaces = self.spaces(batch).await?;
        let placed = self.place(batch, &spaces).await?;
        let mut made = Vec::with_capacity(self.planned.len());
        let mut rows = Vec::with_capacity(self.planned.len());
        for ((planned, space), placed) in self.planned.into_iter().zip(spaces).zip(placed) {
            let class = planned.class_in(&space);
            let (content, dropped) = match placed {
                Some(placed) => {
                    content::suspect_tier(batch, &placed, class).await?;
                    (Some(placed.content), placed.dropped)
                }
                None => (None, None),
            };
            let (state, is_latest, completes) = (planned.state, planned.is_latest, planned.new.completes);
            let object = planned.into_object(batch, space, content);
            batch.tally.committed(&object)?;
            if state == ObjectState::Deleting {
                batch.tally.retired(&object)?;
            }
            rows.push(NewRow { at: made.len(), state, is_latest, completes });
            made.push(Made { object, dropped });
        }
        let retired: Option<Vec<_>> = self.retired.iter().map(|id| self.stored.get(id)).collect();
        batch.retire(&retired.ok_or_else(|| Fault::failed("a version goes that was not loaded"))?).await?;
        batch.demote(&self.demoted).await?;
        insert(batch, &made, &rows).await?;
        Ok(Written { made, stored: self.stored })
    }

    /// The spaces of the planned versions, made where they do not exist.
    async fn spaces(&self, batch: &mut Batch<'_>) -> Result<Vec<Space>, Fault> {
        let mut spaces = Vec::with_capacity(self.planned.len());
        for Planned { new, .. } in &self.planned {
            let space = match &new.space {
                Some(space) => space.clone(),
                None => batch.ensure_space(new.address).await?,
            };
            // It was planned for a space as a write makes it. Another transaction made it, and more of it.
            if new.space.is_none() && !space.is_as_made() {
                return Err(Fault::Collision(format!("space {} was made meanwhile", new.address)));
            }
            spaces.push(space);
        }
        Ok(spaces)
    }

    /// Places the bytes of the planned versions; nothing for markers.
    async fn place(&mut self, batch: &mut Batch<'_>, spaces: &[Space]) -> Result<Vec<Option<Placed>>, Fault> {
        let mut sources = Vec::with_capacity(self.planned.len());
        let mut ready = Vec::with_capacity(self.planned.len());
        for (planned, space) in self.planned.iter_mut().zip(spaces) {
            match std::mem::replace(&mut planned.new.bytes, Bytes::None) {
                Bytes::CheckedContent(domain, source) => {
                    sources.push((domain, space.id, source));
                    ready.push(None);
                }
                Bytes::Placed(content) => ready.push(Some(Some(Placed::of(content)))),
                Bytes::None => ready.push(Some(None)),
            }
        }
        let mut placed = content::place_all(batch, sources).await?.into_iter();
        let placed = ready.into_iter().map(|ready| match ready {
            Some(ready) => Ok(ready),
            None => placed.next().map(Some).ok_or_else(|| Fault::failed("content was not placed")),
        });
        placed.collect()
    }
}

impl Planned<'_> {
    fn class_in(&self, space: &Space) -> StorageClass {
        self.new.attributes.and_then(|attributes| attributes.class).unwrap_or(space.default_class)
    }

    fn into_object(self, batch: &Batch<'_>, space: Space, content: Option<Content>) -> Object {
        let class = self.class_in(&space);
        let attributes = self.new.attributes.cloned().unwrap_or_default();
        Object {
            id: self.new.id,
            space: space.id,
            address: space.address,
            versioning: space.versioning,
            settings: space.settings,
            key: self.new.key.cloned(),
            content,
            etag: self.new.etag,
            class,
            class_name: attributes.class_name.filter(|name| name.class() == class),
            headers: attributes.headers,
            metadata: attributes.metadata,
            tags: attributes.tags,
            checksum: self.new.checksum,
            lock: self.lock,
            acl: attributes.acl,
            is_latest: true,
            is_null_version: self.is_null_version,
            created_at: batch.now,
        }
    }
}

fn by_key(objects: Vec<Object>) -> HashMap<Key, Object> {
    objects.into_iter().filter_map(|object| object.key.clone().map(|key| (key, object))).collect()
}

/// What a row of a new version says beside what its object does.
struct NewRow {
    at: usize,
    state: ObjectState,
    is_latest: bool,
    completes: Option<UploadId>,
}

/// Writes the rows of new versions.
async fn insert(batch: &mut Batch<'_>, made: &[Made], rows: &[NewRow]) -> Result<(), Fault> {
    const COLUMNS: usize = 19;
    for portion in batch.tx.portions(rows) {
        let mut statement = batch.tx.query_rows(
            sql!(
                "INSERT INTO objects (space_id, key, id, state, is_latest, is_null_version, blob_id, size, \
                 etag, class, headers, metadata, tags, checksum, upload_id, created_at, object_lock, acl, \
                 class_name) VALUES ",
                rows
            ),
            portion.len(),
            COLUMNS,
        );
        for row in portion {
            let object = &made[row.at].object;
            statement = statement
                .bind(object.space.0)
                .bind(object.key.as_ref().map_or("", Key::as_str).to_owned())
                .bind(object.id.0)
                .bind(row.state.code())
                .bind(row.is_latest)
                .bind(object.is_null_version)
                .bind(object.content.map(|content| content.blob.0))
                .bind(rows::signed(object.size())?)
                .bind(object.etag.as_str().to_owned())
                .bind(object.class.code())
                .bind(rows::json(&object.headers)?)
                .bind(rows::json(&object.metadata)?)
                .bind(rows::json(&object.tags)?)
                .bind(object.checksum.as_ref().map(Checksum::to_stored))
                .bind(row.completes.map(|upload| upload.0))
                .bind(object.created_at.millis())
                .bind(rows::json(&object.lock)?)
                .bind(object.acl.code())
                .bind(object.class_name.map(ClassName::code));
        }
        statement.execute().await?;
    }
    Ok(())
}
