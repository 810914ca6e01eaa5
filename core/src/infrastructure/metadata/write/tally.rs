//! The changes of a transaction to maintained figures, added up and written once at its end: a space's usage
//! and a pack's live bytes are single rows that every commit touches.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::application::ports::metadata::WriterId;
use crate::domain::blob::SegmentId;
use crate::domain::multipart::Upload;
use crate::domain::object::Object;
use crate::domain::space::SpaceId;
use crate::domain::storage_class::StorageClass;
use crate::domain::timestamp::Timestamp;
use crate::infrastructure::metadata::read::rows::signed;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::transaction::Transaction;

#[derive(Default)]
struct Usage {
    objects: i64,
    logical_bytes: i64,
    physical_bytes: i64,
    deleting: i64,
    upload_bytes: i64,
    markers: i64,
}

#[derive(Default)]
struct Bytes {
    live: i64,
    dead: i64,
}

/// The changes of one transaction so far. Ordered, so that transactions lock rows in the same order.
#[derive(Default)]
pub(crate) struct Tally {
    usage: BTreeMap<(SpaceId, StorageClass), Usage>,
    /// By segment: payload bytes that are referred to, and those that no longer or never were.
    bytes: BTreeMap<Uuid, Bytes>,
    /// Packs that were appended to, by whom, and up to where.
    grown: BTreeMap<SegmentId, (WriterId, u64)>,
    /// Segments that lost a blob, and when: condemned if it was their last.
    lighter: BTreeMap<Uuid, Timestamp>,
}

impl Tally {
    fn usage(&mut self, space: SpaceId, class: StorageClass) -> &mut Usage {
        self.usage.entry((space, class)).or_default()
    }

    /// An object became COMMITTED.
    pub(crate) fn committed(&mut self, object: &Object) -> Result<(), Fault> {
        self.visible(object, object.class, 1)
    }

    /// A COMMITTED object became DELETING.
    pub(crate) fn retired(&mut self, object: &Object) -> Result<(), Fault> {
        self.usage(object.space, object.class).deleting += 1;
        self.visible(object, object.class, -1)
    }

    /// A DELETING row went.
    pub(crate) fn purged(&mut self, space: SpaceId, class: StorageClass) {
        self.usage(space, class).deleting -= 1;
    }

    /// A COMMITTED object's class changed.
    pub(crate) fn reclassed(&mut self, object: &Object, to: StorageClass) -> Result<(), Fault> {
        self.visible(object, object.class, -1)?;
        self.visible(object, to, 1)
    }

    fn visible(&mut self, object: &Object, class: StorageClass, sign: i64) -> Result<(), Fault> {
        if let Some(content) = &object.content {
            let usage = self.usage(object.space, class);
            usage.objects += sign;
            usage.logical_bytes += sign * signed(content.size)?;
        } else {
            self.usage(object.space, class).markers += sign;
        }
        Ok(())
    }

    /// A part of an open upload takes the place of one of `replaced` bytes, or of none.
    pub(crate) fn part_landed(&mut self, upload: &Upload, size: u64, replaced: u64) -> Result<(), Fault> {
        let class = counted_class(upload.attributes.class);
        self.usage(upload.space.id, class).upload_bytes += signed(size)? - signed(replaced)?;
        Ok(())
    }

    /// The parts of an upload, of so many bytes together, are parts no more.
    pub(crate) fn parts_gone(
        &mut self,
        space: SpaceId,
        class: Option<StorageClass>,
        bytes: u64,
    ) -> Result<(), Fault> {
        self.usage(space, counted_class(class)).upload_bytes -= signed(bytes)?;
        Ok(())
    }

    /// A leaf that `space` brought lies in a segment from now on.
    pub(crate) fn placed(
        &mut self,
        space: SpaceId,
        tier: StorageClass,
        segment: SegmentId,
        size: u64,
    ) -> Result<(), Fault> {
        let size = signed(size)?;
        self.usage(space, tier).physical_bytes += size;
        self.bytes.entry(segment.0).or_default().live += size;
        Ok(())
    }

    /// A leaf that `space` brought no longer lies in a segment, from `now` on.
    pub(crate) fn removed(
        &mut self,
        space: SpaceId,
        tier: StorageClass,
        segment: SegmentId,
        size: u64,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let size = signed(size)?;
        self.usage(space, tier).physical_bytes -= size;
        let bytes = self.bytes.entry(segment.0).or_default();
        bytes.live -= size;
        bytes.dead += size;
        self.lighter.insert(segment.0, now);
        Ok(())
    }

    /// A payload was packed in vain: what it brings lies elsewhere already.
    pub(crate) fn wasted(&mut self, segment: SegmentId, size: u64) -> Result<(), Fault> {
        self.bytes.entry(segment.0).or_default().dead += signed(size)?;
        Ok(())
    }

    /// A pack of `writer`'s has reached this size. That it still is the writer's is seen when this is written.
    pub(crate) fn grown(&mut self, pack: SegmentId, writer: WriterId, size: u64) {
        self.grown.insert(pack, (writer, size));
    }

    /// Something else has seen to a pack's size and owner. Whether there was anything to see to.
    pub(crate) fn settled(&mut self, pack: SegmentId) -> bool {
        self.grown.remove(&pack).is_some()
    }

    /// Writes everything down. Fails if a pack that has grown is no longer its writer's.
    pub(crate) async fn write(mut self, tx: &mut Transaction) -> Result<(), Fault> {
        for (pack, (writer, size)) in self.grown {
            let bytes = self.bytes.remove(&pack.0).unwrap_or_default();
            tx.query(sql!(
                "UPDATE segments SET size = CASE WHEN size < $3 THEN $3 ELSE size END, \
                     live_bytes = live_bytes + $4, dead_bytes = dead_bytes + $5 \
                     WHERE id = $1 AND writer = $2 AND state = ",
                open,
                " AND kind = ",
                pack
            ))
            .bind(pack.0)
            .bind(writer.0)
            .bind(signed(size)?)
            .bind(bytes.live)
            .bind(bytes.dead)
            .later_changing(1, move |_| lost(pack))
            .await?;
        }
        for (segment, bytes) in &self.bytes {
            tx.query(sql!(
                "UPDATE segments SET live_bytes = live_bytes + $2, dead_bytes = dead_bytes + $3 WHERE id = $1"
            ))
            .bind(*segment)
            .bind(bytes.live)
            .bind(bytes.dead)
            .later()
            .await?;
        }
        // The update above holds the segment's row, so of two transactions that each take one of the last
        // two blobs the second sees that the first's is gone.
        for (segment, now) in &self.lighter {
            condemn_if_empty(tx, SegmentId(*segment), *now).await?;
        }
        for ((space, class), usage) in &self.usage {
            tx.query(sql!(
                "INSERT INTO usage (space_id, class, objects, logical_bytes, physical_bytes, deleting, \
                 upload_bytes, markers) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (space_id, class) DO UPDATE SET \
                 objects = usage.objects + excluded.objects, \
                 logical_bytes = usage.logical_bytes + excluded.logical_bytes, \
                 physical_bytes = usage.physical_bytes + excluded.physical_bytes, \
                 deleting = usage.deleting + excluded.deleting, \
                 upload_bytes = usage.upload_bytes + excluded.upload_bytes, \
                 markers = usage.markers + excluded.markers"
            ))
            .bind(space.0)
            .bind(class.code())
            .bind(usage.objects)
            .bind(usage.logical_bytes)
            .bind(usage.physical_bytes)
            .bind(usage.deleting)
            .bind(usage.upload_bytes)
            .bind(usage.markers)
            .later()
            .await?;
        }
        Ok(())
    }
}

/// Under which class an upload's parts count: its own, which stays; an upload of an old release may have none.
fn counted_class(class: Option<StorageClass>) -> StorageClass {
    class.unwrap_or(StorageClass::Hot)
}

/// A pack turned out to be another writer's after something had been written that refers to it.
pub(crate) fn lost(pack: SegmentId) -> Fault {
    Fault::failed(format!("pack {pack} is no longer this writer's"))
}

/// A sealed segment without blobs never gets one again: its file may go, once the retention has passed since `now`,
/// unless it is kept because the database may not know all that lies in it.
pub(crate) async fn condemn_if_empty(
    tx: &mut Transaction,
    segment: SegmentId,
    now: Timestamp,
) -> Result<(), Fault> {
    tx.query(sql!(
        "UPDATE segments SET state = ",
        condemned,
        ", condemned_at = $2 WHERE id = $1 AND state = ",
        sealed,
        " AND NOT EXISTS (SELECT 1 FROM blobs b WHERE b.segment_id = $1) \
         AND NOT EXISTS (SELECT 1 FROM kept_segments k WHERE k.segment_id = $1)"
    ))
    .bind(segment.0)
    .bind(now.millis())
    .later()
    .await
}
