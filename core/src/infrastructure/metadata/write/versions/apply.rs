//! The plans of versions written down: many rows in each statement.

use std::collections::HashMap;

use super::{Bytes, KeyChange, PlannedVersion, Versions, Which};
use crate::application::ports::metadata::{MutationOutcome, Refusal};
use crate::domain::address::Key;
use crate::domain::blob::SegmentId;
use crate::domain::checksum::Checksum;
use crate::domain::multipart::UploadId;
use crate::domain::object::{Content, Object, ObjectId};
use crate::domain::space::Space;
use crate::domain::state::ObjectState;
use crate::domain::storage_class::{ClassName, StorageClass};
use crate::infrastructure::metadata::read::rows;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::write::batch::{Applied, Batch};
use crate::infrastructure::metadata::write::content::{self, Placed};
use crate::infrastructure::metadata::write::upstreams;

/// The new version.
pub(crate) struct Made {
    pub(crate) object: Object,
    /// The single segment that turned out to be a duplicate.
    pub(crate) dropped: Option<SegmentId>,
}

/// The versions that plans made, and those that they found.
pub(crate) struct AppliedVersions {
    made: Vec<Made>,
    stored: HashMap<ObjectId, Object>,
}

impl AppliedVersions {
    /// The version that was planned at this place, as it was made.
    pub(crate) fn made(&self, at: usize) -> Result<&Made, Fault> {
        self.made.get(at).ok_or_else(|| Fault::failed("a version was not made"))
    }

    /// The outcome of a change that was planned.
    fn outcome(&self, change: KeyChange) -> Result<MutationOutcome, Fault> {
        let deleted = |object: Option<&Object>, marker_made| MutationOutcome::Deleted {
            object: object.cloned().map(Box::new),
            marker_made,
        };
        Ok(match change {
            KeyChange::Put(at) => {
                let Made { object, dropped } = self.made(at)?;
                MutationOutcome::Object { object: Box::new(object.clone()), dropped: *dropped }
            }
            KeyChange::Nothing => deleted(None, false),
            KeyChange::Removed(gone) => deleted(Some(self.which(gone)?), false),
            KeyChange::Marked(at) => deleted(Some(&self.made(at)?.object), true),
        })
    }

    /// A version, as it was before it went.
    fn which(&self, which: Which) -> Result<&Object, Fault> {
        match which {
            Which::Planned(at) => Ok(&self.made(at)?.object),
            Which::Stored(id) => {
                self.stored.get(&id).ok_or_else(|| Fault::failed("a version that was loaded is lost"))
            }
        }
    }
}

impl Versions<'_> {
    /// Writes the plans down. Returns the outcome of each change, in their order.
    pub(crate) async fn apply(
        self,
        batch: &mut Batch<'_>,
        changes: Vec<Result<KeyChange, Refusal>>,
    ) -> Result<Vec<Applied>, Fault> {
        let applied = self.write(batch).await?;
        changes
            .into_iter()
            .map(|change| {
                change.map_or_else(|refusal| Ok(Err(refusal)), |change| applied.outcome(change).map(Ok))
            })
            .collect()
    }

    /// Writes the plans down.
    pub(crate) async fn write(mut self, batch: &mut Batch<'_>) -> Result<AppliedVersions, Fault> {
        batch.unannounce(self.planned.iter().filter_map(|planned| planned.new.announced)).await?;
        let spaces = self.spaces(batch).await?;
        let placed = self.place(batch, &spaces).await?;
        let mut made = Vec::with_capacity(self.planned.len());
        let mut rows = Vec::with_capacity(self.planned.len());
        for (space, key, id) in std::mem::take(&mut self.unclaimed) {
            upstreams::unclaim(batch.tx, space, key, id).await?;
        }
        let (held, mut owned) = (std::mem::take(&mut self.held), std::mem::take(&mut self.removed));
        for ((planned, space), placed) in self.planned.into_iter().zip(spaces).zip(placed) {
            if planned.state == ObjectState::Deleting && space.upstream.is_some() {
                owned.extend(planned.new.key.map(|key| (space.id, key)));
            }
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
        owned.sort_unstable();
        owned.dedup();
        upstreams::own(batch.tx, &owned, batch.now).await?;
        let left: Vec<_> = held.into_iter().filter(|key| owned.binary_search(key).is_err()).collect();
        upstreams::release(batch.tx, &left).await?;
        insert(batch, &made, &rows).await?;
        Ok(AppliedVersions { made, stored: self.stored })
    }

    /// The spaces of the planned versions, made where they do not exist.
    async fn spaces(&self, batch: &mut Batch<'_>) -> Result<Vec<Space>, Fault> {
        let mut spaces = Vec::with_capacity(self.planned.len());
        for PlannedVersion { new, .. } in &self.planned {
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

impl PlannedVersion<'_> {
    fn class_in(&self, space: &Space) -> StorageClass {
        self.new.attributes.and_then(|attributes| attributes.class).unwrap_or(space.default_class)
    }

    fn into_object(self, batch: &Batch<'_>, space: Space, content: Option<Content>) -> Object {
        let (class, modified) = (self.class_in(&space), self.new.modified(batch));
        let attributes = self.new.attributes.cloned().unwrap_or_default();
        Object {
            id: self.new.id,
            space: space.id,
            address: space.address,
            versioning: space.versioning,
            settings: space.settings,
            upstream: space.upstream,
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
            created_at: modified,
        }
    }
}

/// The statements that write versions.
impl Batch<'_> {
    /// A version becomes the latest of its key, which has none.
    pub(crate) async fn promote(&mut self, id: ObjectId) -> Result<(), Fault> {
        self.tx
            .query(sql!("UPDATE objects SET is_latest = TRUE WHERE id = $1 AND state = ", committed))
            .bind(id.0)
            .later()
            .await
    }

    /// COMMITTED → DELETING, as a plan says.
    pub(crate) async fn retire(&mut self, objects: &[&Object]) -> Result<(), Fault> {
        for portion in self.tx.portions(objects) {
            let statement = self.tx.query_list(
                sql!(
                    "UPDATE objects SET state = ",
                    deleting,
                    ", is_latest = FALSE WHERE state = ",
                    committed,
                    " AND id IN (",
                    list,
                    ")"
                ),
                0,
                portion.len(),
            );
            let count = portion.len() as u64;
            let otherwise = move |changed| {
                Fault::Collision(format!("of {count} objects only {changed} are still committed"))
            };
            let statement = statement.bind_all(portion.iter().map(|object| object.id.0));
            statement.later_changing(count, otherwise).await?;
            for object in portion {
                self.tally.retired(object)?;
            }
        }
        // What the upstream has under a key that was removed or replaced here never comes back.
        let bound = objects.iter().filter(|object| object.upstream.is_some());
        let mut owned: Vec<_> =
            bound.filter_map(|object| object.key.as_ref().map(|key| (object.space, key))).collect();
        owned.sort_unstable();
        owned.dedup();
        upstreams::own(self.tx, &owned, self.now).await
    }

    /// No longer the latest versions, but versions still.
    pub(crate) async fn demote(&mut self, ids: &[ObjectId]) -> Result<(), Fault> {
        for portion in self.tx.portions(ids) {
            let statement = self.tx.query_list(
                sql!(
                    "UPDATE objects SET is_latest = FALSE WHERE state = ",
                    committed,
                    " AND id IN (",
                    list,
                    ")"
                ),
                0,
                portion.len(),
            );
            statement.bind_all(portion.iter().map(|id| id.0)).later().await?;
        }
        Ok(())
    }
}

/// The columns of a new version's row beside those of its object.
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
        statement.later().await?;
    }
    Ok(())
}
