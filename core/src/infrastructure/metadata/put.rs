//! New versions of keys, and keyless objects.
//!
//! Many at once wherever a batch allows it: what costs on both engines is the statement, not the row.

use std::collections::{BTreeMap, HashMap};

use super::batch::Batch;
use super::commit::Applied;
use super::content::{self, Placed, Source};
use super::dialect::{Fault, sql};
use super::limits::Ledger;
use super::refusals::{held, refuse};
use super::rows;
use crate::application::ports::metadata::{NewContent, Outcome, PutObject, Refusal};
use crate::domain::address::Key;
use crate::domain::checksum::Checksum;
use crate::domain::etag::Etag;
use crate::domain::multipart::UploadId;
use crate::domain::object::{Attributes, Content, Object, ObjectId};
use crate::domain::space::{Space, SpaceId, Versioning};
use crate::domain::storage_class::ClassName;

/// Puts of different keys. Every one is decided before any is made.
pub(super) async fn put_all(batch: &mut Batch<'_>, puts: &[&PutObject]) -> Result<Vec<Applied>, Fault> {
    let mut latest = latest_of(batch, puts).await?;
    let mut refused = HashMap::new();
    let mut fit = Vec::with_capacity(puts.len());
    for (at, put) in puts.iter().enumerate() {
        let latest = latest.remove(&at);
        match admit(batch, put, latest.as_ref()).await? {
            Ok(source) => fit.push((put, latest, source)),
            Err(refusal) => drop(refused.insert(at, refusal)),
        }
    }
    batch.unannounce(fit.iter().filter_map(|(put, ..)| put.announced)).await?;

    let mut spaces = Vec::with_capacity(fit.len());
    let mut sources = Vec::with_capacity(fit.len());
    let mut versions = Vec::with_capacity(fit.len());
    for (put, latest, source) in fit {
        let space = batch.ensure_space(&put.space).await?;
        sources.push((&put.domain, space.id, source));
        versions.push(NewVersion {
            key: put.key.as_ref(),
            id: put.id,
            etag: put.etag.clone(),
            attributes: &put.attributes,
            checksum: put.checksum.clone(),
            completes: None,
            latest,
        });
        spaces.push(space);
    }
    let placed = content::place_all(batch, sources).await?;
    let dropped: Vec<_> = placed.iter().map(|placed| placed.dropped).collect();
    let mut publications = Vec::with_capacity(placed.len());
    for ((space, new), placed) in spaces.into_iter().zip(versions).zip(placed) {
        content::suspect_tier(batch, &placed, new.class_in(&space)).await?;
        publications.push((space, new, Some(placed.content)));
    }
    let objects = insert_all(batch, publications).await?;
    let mut made = objects.into_iter().zip(dropped);
    Ok((0..puts.len())
        .filter_map(|at| match refused.remove(&at) {
            Some(refusal) => Some(Err(refusal)),
            None => {
                made.next().map(|(object, dropped)| Ok(Outcome::Object { object: Box::new(object), dropped }))
            }
        })
        .collect())
}

/// The latest versions of the keys that are to be put, by the put's place.
async fn latest_of(batch: &mut Batch<'_>, puts: &[&PutObject]) -> Result<HashMap<usize, Object>, Fault> {
    let mut wanted: BTreeMap<SpaceId, (Vec<&Key>, HashMap<&Key, usize>)> = BTreeMap::new();
    for (at, put) in puts.iter().enumerate() {
        let space = batch.space_of(&put.space, put.bucket.as_ref()).await?;
        if let (Some(key), Some(space)) = (&put.key, space) {
            let (keys, places) = wanted.entry(space.id).or_default();
            keys.push(key);
            places.insert(key, at);
        }
    }
    let mut latest = HashMap::new();
    for (space, (mut keys, places)) in wanted {
        // Two transactions that want the same rows take them in the same order.
        keys.sort_unstable();
        for object in batch.latest_of(space, &keys).await? {
            if let Some(at) = object.key.as_ref().and_then(|key| places.get(key)) {
                latest.insert(*at, object);
            }
        }
        // A key that seems to be missing may only have changed hands (see `Batch::has_latest`). A write without
        // `If-Match` collides then and begins again; one with it would be told that there is nothing.
        for key in keys {
            let Some(at) = places.get(key).filter(|at| !latest.contains_key(at)) else { continue };
            if puts[*at].preconditions.if_match.is_some()
                && let Some(object) = batch.latest(space, key).await?
            {
                latest.insert(*at, object);
            }
        }
    }
    Ok(latest)
}

/// Whether a put may be made, and of what.
async fn admit<'a>(
    batch: &mut Batch<'_>,
    put: &'a PutObject,
    latest: Option<&Object>,
) -> Result<Result<Source<'a>, Refusal>, Fault> {
    let space = batch.space(&put.space).await?;
    if !batch.bucket_stands(put.bucket.as_ref(), space.as_ref().map(|space| space.id)).await? {
        return Ok(Err(Refusal::NoSuchBucket));
    }
    if let Some(refusal) = refuse(&put.preconditions, latest) {
        return Ok(Err(refusal));
    }
    let (key, attributes) = (put.key.as_ref(), &put.attributes);
    if let Some(refusal) = refuse_lock(batch, space.as_ref(), latest, key, attributes).await? {
        return Ok(Err(refusal));
    }
    let replaced = latest.zip(space).and_then(|(latest, space)| latest.makes_way(space.versioning));
    let admit =
        |ledger: &mut Ledger, size| ledger.admit(&put.space.tenant, put.quota.as_ref(), size, replaced);
    // Before its segment is fenced: of a segment that is whole and holds nothing nobody would take care. (If
    // it is lost after all, the rest of the batch has that much less room, until the client tries again.)
    if let NewContent::Staged(leaf) = &put.content
        && let Err(refusal) = admit(&mut batch.ledger, leaf.location.length)
    {
        return Ok(Err(refusal));
    }
    Ok(match content::check(batch, &put.domain, &put.content).await? {
        Ok(Source::Staged(leaf)) => Ok(Source::Staged(leaf)),
        Ok(there) => admit(&mut batch.ledger, there.size()).map(|()| there),
        refused => refused,
    })
}

/// What object lock says against a new version: that it asks for a lock where there are none, or would
/// replace a version that is held.
pub(super) async fn refuse_lock(
    batch: &mut Batch<'_>,
    space: Option<&Space>,
    latest: Option<&Object>,
    key: Option<&Key>,
    attributes: &Attributes,
) -> Result<Option<Refusal>, Fault> {
    match space.filter(|space| space.object_lock.is_some()) {
        None if attributes.lock.is_empty() => Ok(None),
        None => Ok(Some(Refusal::NoObjectLock)),
        Some(space) => {
            let replaced = match key {
                Some(key) => batch.replaced(space, key, latest).await?,
                None => None,
            };
            Ok(held(replaced.as_ref(), batch.now, false))
        }
    }
}

/// What a new version is, beside its bytes.
pub(super) struct NewVersion<'a> {
    pub(super) key: Option<&'a Key>,
    pub(super) id: ObjectId,
    pub(super) etag: Etag,
    pub(super) attributes: &'a Attributes,
    pub(super) checksum: Option<Checksum>,
    pub(super) completes: Option<UploadId>,
    /// The version that is the latest of the key so far.
    pub(super) latest: Option<Object>,
}

impl NewVersion<'_> {
    fn class_in(&self, space: &Space) -> crate::domain::storage_class::StorageClass {
        self.attributes.class.unwrap_or(space.default_class)
    }
}

/// Makes a version the latest of its key, and retires what it replaces.
pub(super) async fn publish(
    batch: &mut Batch<'_>,
    space: &Space,
    new: NewVersion<'_>,
    placed: &Placed,
) -> Result<Object, Fault> {
    content::suspect_tier(batch, placed, new.class_in(space)).await?;
    insert(batch, space, new, Some(placed.content)).await
}

/// A delete marker becomes the latest version of a key.
pub(super) async fn publish_marker(
    batch: &mut Batch<'_>,
    space: &Space,
    latest: Option<Object>,
    key: &Key,
    id: ObjectId,
) -> Result<Object, Fault> {
    let new = NewVersion {
        key: Some(key),
        id,
        // A marker has no bytes and no tag; nothing compares this one.
        etag: Etag::md5(&[0; 16]),
        // A marker is of its space's class.
        attributes: &Attributes::default(),
        checksum: None,
        completes: None,
        latest,
    };
    insert(batch, space, new, None).await
}

async fn insert(
    batch: &mut Batch<'_>,
    space: &Space,
    new: NewVersion<'_>,
    content: Option<Content>,
) -> Result<Object, Fault> {
    let made = insert_all(batch, vec![(space.clone(), new, content)]).await?.pop();
    made.ok_or_else(|| Fault::failed("a version was not made"))
}

/// New versions of different keys become the latest.
async fn insert_all(
    batch: &mut Batch<'_>,
    publications: Vec<(Space, NewVersion<'_>, Option<Content>)>,
) -> Result<Vec<Object>, Fault> {
    let mut way = Way::default();
    let mut objects = Vec::with_capacity(publications.len());
    for (space, new, content) in publications {
        let class = new.class_in(&space);
        // A marker has no bytes to hold.
        let default = space.object_lock.filter(|_| content.is_some()).and_then(|lock| lock.default_retention);
        let lock = new.attributes.lock.or_default(default, batch.now);
        let id = match new.key {
            Some(key) => {
                let id = batch.next_id(space.id, key, new.latest.as_ref(), new.id).await?;
                way.make(batch, &space, key, new.latest).await?;
                id
            }
            None => new.id,
        };
        let object = Object {
            id,
            space: space.id,
            address: space.address,
            versioning: space.versioning,
            settings: space.settings,
            key: new.key.cloned(),
            content,
            etag: new.etag,
            class,
            class_name: new.attributes.class_name.filter(|name| name.class() == class),
            headers: new.attributes.headers.clone(),
            metadata: new.attributes.metadata.clone(),
            tags: new.attributes.tags.clone(),
            checksum: new.checksum,
            lock,
            acl: new.attributes.acl,
            is_latest: true,
            is_null_version: space.versioning != Versioning::Enabled,
            created_at: batch.now,
        };
        batch.tally.committed(&object)?;
        objects.push((object, new.completes));
    }
    batch.retire(&way.retired.iter().collect::<Vec<_>>()).await?;
    batch.demote(&way.demoted.iter().collect::<Vec<_>>()).await?;
    write(batch, &objects).await?;
    Ok(objects.into_iter().map(|(object, _)| object).collect())
}

/// Writes the rows of COMMITTED objects that are the latest of their keys.
async fn write(batch: &mut Batch<'_>, objects: &[(Object, Option<UploadId>)]) -> Result<(), Fault> {
    const COLUMNS: usize = 19;
    for portion in batch.tx.portions(objects) {
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
        for (object, completes) in portion {
            statement = statement
                .bind(object.space.0)
                .bind(object.key.as_ref().map_or("", Key::as_str).to_owned())
                .bind(object.id.0)
                .bind(2_i16)
                .bind(true)
                .bind(object.is_null_version)
                .bind(object.content.map(|content| content.blob.0))
                .bind(rows::signed(object.size())?)
                .bind(object.etag.as_str().to_owned())
                .bind(object.class.code())
                .bind(rows::json(&object.headers)?)
                .bind(rows::json(&object.metadata)?)
                .bind(rows::json(&object.tags)?)
                .bind(object.checksum.as_ref().map(Checksum::to_stored))
                .bind(completes.map(|upload| upload.0))
                .bind(object.created_at.millis())
                .bind(rows::json(&object.lock)?)
                .bind(object.acl.code())
                .bind(object.class_name.map(ClassName::code));
        }
        statement.execute().await?;
    }
    Ok(())
}

/// The versions that new ones push aside.
#[derive(Default)]
struct Way {
    retired: Vec<Object>,
    demoted: Vec<Object>,
}

impl Way {
    /// What a new latest version of a key does to those before it, by the space's versioning.
    async fn make(
        &mut self,
        batch: &mut Batch<'_>,
        space: &Space,
        key: &Key,
        latest: Option<Object>,
    ) -> Result<(), Fault> {
        let replaced = batch.replaced(space, key, latest.as_ref()).await?;
        let stays = |latest: &Object| replaced.as_ref().is_none_or(|replaced| replaced.id != latest.id);
        self.demoted.extend(latest.filter(stays));
        self.retired.extend(replaced);
        Ok(())
    }
}
