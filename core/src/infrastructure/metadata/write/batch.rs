//! Shared by the changes of one transaction: the statements that several of them need, and the facts known by now,
//! so that it is asked once.

use std::collections::{BTreeMap, HashMap};

use super::known::Ahead;
use super::limits::Ledger;
use super::routes::OutboxState;
use super::tally::{Tally, lost};
use super::{segments, spaces};
use crate::application::ports::metadata::{Mutation, MutationOutcome, NewContent, Refusal, WriterId};
use crate::application::ports::segments::SegmentKind;
use crate::domain::address::{BucketName, Key, SpaceAddress, Tenant};
use crate::domain::blob::SegmentId;
use crate::domain::event::TargetName;
use crate::domain::object::{Object, ObjectId};
use crate::domain::space::{Bucket, Space, SpaceId};
use crate::domain::storage_class::StorageClass;
use crate::domain::timestamp::Timestamp;
use crate::infrastructure::metadata::read::rows;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::transaction::Transaction;

/// The outcome of one change.
pub(crate) type Applied = Result<MutationOutcome, Refusal>;

/// When a batch makes sure that the packs it commits into are still its writer's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fences {
    /// With the last statements, which change the packs' rows anyway: if one is not, the whole transaction fails.
    /// That saves every batch a statement, for the price of a second transaction when a writer was taken for dead.
    Last,
    /// Before anything is written: then what would go into a lost pack is refused by itself.
    First,
}

/// A transaction under way, and what it has learnt so far.
pub(crate) struct Batch<'t> {
    pub(crate) tx: &'t mut Transaction,
    pub(crate) writer: WriterId,
    pub(crate) now: Timestamp,
    pub(crate) tally: Tally,
    /// The holdings of tenants with quotas.
    pub(crate) ledger: Ledger,
    /// The size each pack has reached with this batch.
    pack_sizes: BTreeMap<SegmentId, u64>,
    fences: Fences,
    /// Whether each pack is still this writer's.
    fenced: HashMap<SegmentId, bool>,
    pub(super) spaces: HashMap<SpaceAddress, Space>,
    buckets: HashMap<BucketName, Option<SpaceId>>,
    /// What was asked before it was needed.
    pub(super) ahead: Ahead,
    /// A segment's tier never changes.
    tiers: HashMap<SegmentId, StorageClass>,
    /// Packs that this batch sealed.
    pub(crate) sealed: Vec<SegmentId>,
    /// How many idempotency keys are remembered of each tenant that has come by with one.
    pub(crate) keys_kept: HashMap<Tenant, u64>,
    /// What is known of the outbox.
    pub(crate) outbox: OutboxState,
    /// Rows that the changes so far were let in for, by target: at most so many are written.
    pub(crate) admitted_rows: HashMap<TargetName, u64>,
}

impl<'t> Batch<'t> {
    pub(crate) fn new(
        tx: &'t mut Transaction,
        writer: WriterId,
        mutations: &[Mutation],
        now: Timestamp,
        fences: Fences,
        ledger: Ledger,
        outbox: OutboxState,
    ) -> Self {
        let mut pack_sizes = BTreeMap::new();
        for mutation in mutations {
            let content = match mutation {
                Mutation::Put(put) => &put.content,
                Mutation::PutPart(part) => &part.content,
                _ => continue,
            };
            if let NewContent::Staged(leaf) = content
                && leaf.kind == SegmentKind::Pack
            {
                let size = pack_sizes.entry(leaf.location.segment).or_insert(0);
                *size = leaf.segment_size.max(*size);
            }
        }
        Self {
            tx,
            writer,
            now,
            tally: Tally::default(),
            ledger,
            pack_sizes,
            fences,
            fenced: HashMap::new(),
            spaces: HashMap::new(),
            buckets: HashMap::new(),
            ahead: Ahead::default(),
            tiers: HashMap::new(),
            sealed: Vec::new(),
            keys_kept: HashMap::new(),
            outbox,
            admitted_rows: HashMap::new(),
        }
    }

    /// The space, if it exists.
    pub(crate) async fn space(&mut self, address: &SpaceAddress) -> Result<Option<Space>, Fault> {
        if let Some(space) = self.spaces.get(address) {
            return Ok(Some(space.clone()));
        }
        let space = spaces::lock_space(self.tx, address).await?;
        if let Some(space) = &space {
            self.spaces.insert(address.clone(), space.clone());
        }
        Ok(space)
    }

    /// The space, if a change of this batch has entered it.
    pub(crate) fn known_space(&self, address: &SpaceAddress) -> Option<Space> {
        self.spaces.get(address).cloned()
    }

    /// The space, made if it does not exist.
    pub(crate) async fn ensure_space(&mut self, address: &SpaceAddress) -> Result<Space, Fault> {
        if let Some(space) = self.space(address).await? {
            return Ok(space);
        }
        let space = spaces::ensure_space(self.tx, address, self.now).await?;
        self.spaces.insert(address.clone(), space.clone());
        Ok(space)
    }

    /// Whether a bucket, if one is named, names this space.
    pub(crate) async fn bucket_stands(
        &mut self,
        bucket: Option<&BucketName>,
        space: Option<SpaceId>,
    ) -> Result<bool, Fault> {
        let Some(name) = bucket else { return Ok(true) };
        let named = self.named_by(name).await?;
        Ok(named.is_some() && named == space)
    }

    /// The space at `address`. The bucket that the request went through is looked up first: that tells its space,
    /// too, in one statement.
    pub(crate) async fn space_of(
        &mut self,
        address: &SpaceAddress,
        bucket: Option<&BucketName>,
    ) -> Result<Option<Space>, Fault> {
        if let Some(bucket) = bucket {
            self.named_by(bucket).await?;
        }
        self.space(address).await
    }

    /// The space that a bucket names, which is known from then on.
    async fn named_by(&mut self, name: &BucketName) -> Result<Option<SpaceId>, Fault> {
        if let Some(known) = self.buckets.get(name) {
            return Ok(*known);
        }
        let bucket = spaces::lock_bucket(self.tx, name).await?;
        Ok(self.know_bucket(name, bucket))
    }

    /// Remembers which space a bucket names, and that space.
    pub(super) fn know_bucket(&mut self, name: &BucketName, bucket: Option<Bucket>) -> Option<SpaceId> {
        let named = bucket.as_ref().map(|bucket| bucket.space.id);
        self.buckets.insert(name.clone(), named);
        if let Some(Bucket { space, .. }) = bucket {
            self.spaces.entry(space.address.clone()).or_insert(space);
        }
        named
    }

    /// Whether the space that a bucket names is known.
    pub(super) fn knows_bucket(&self, name: &BucketName) -> bool {
        self.buckets.contains_key(name)
    }

    /// A visible object by its id. What is set on its space stays as it is until the end of the transaction: who is to be
    /// told of the change is.
    pub(crate) async fn object(&mut self, id: ObjectId) -> Result<Option<Object>, Fault> {
        self.tx
            .query(sql!(object, " WHERE o.id = $1 AND o.state = ", committed, for_update_of_object_in_space))
            .bind(id.0)
            .find(rows::object)
            .await
    }

    /// The newest version that a key has beside one. It stays so until the end of the transaction: another one may be
    /// deleting the very same version.
    pub(crate) async fn newest_beside(
        &mut self,
        space: SpaceId,
        key: &Key,
        id: ObjectId,
    ) -> Result<Option<ObjectId>, Fault> {
        self.tx
            .query(sql!(
                "SELECT id FROM objects WHERE space_id = $1 AND key = $2 AND state = ",
                committed,
                " AND id <> $3 \
                 ORDER BY id DESC LIMIT 1",
                for_update
            ))
            .bind(space.0)
            .bind(key.as_str())
            .bind(id.0)
            .find(|row| row.first().map(ObjectId))
            .await
    }

    /// WRITING → gone, because what it announced is there or will never be.
    pub(crate) async fn unannounce(
        &mut self,
        announced: impl IntoIterator<Item = ObjectId>,
    ) -> Result<(), Fault> {
        let announced: Vec<_> = announced.into_iter().collect();
        for portion in self.tx.portions(&announced) {
            let statement = self.tx.query_list(
                sql!("DELETE FROM objects WHERE state = ", writing, " AND id IN (", list, ")"),
                0,
                portion.len(),
            );
            statement.bind_all(portion.iter().map(|id| id.0)).later().await?;
        }
        Ok(())
    }

    /// Makes sure that a segment is still this writer's to commit into; a single is whole thereby.
    pub(crate) async fn fence(
        &mut self,
        segment: SegmentId,
        kind: SegmentKind,
        size: u64,
    ) -> Result<bool, Fault> {
        if kind == SegmentKind::Single {
            return segments::fence(self.tx, self.writer, segment, kind, size).await;
        }
        if let Some(known) = self.fenced.get(&segment) {
            return Ok(*known);
        }
        let size = self.pack_sizes.get(&segment).copied().unwrap_or(size);
        if self.fences == Fences::Last {
            self.tally.grown(segment, self.writer, size);
            return Ok(true);
        }
        let ours = segments::fence(self.tx, self.writer, segment, kind, size).await?;
        self.fenced.insert(segment, ours);
        Ok(ours)
    }

    /// The tier of a segment that a blob lies in.
    pub(crate) async fn tier(&mut self, segment: SegmentId) -> Result<StorageClass, Fault> {
        if let Some(tier) = self.tiers.get(&segment) {
            return Ok(*tier);
        }
        let tier = self
            .tx
            .query(sql!("SELECT tier FROM segments WHERE id = $1"))
            .bind(segment.0)
            .find(|row| rows::class(row, "tier"))
            .await?
            .ok_or_else(|| Fault::Collision(format!("segment {segment} is gone")))?;
        self.tiers.insert(segment, tier);
        Ok(tier)
    }

    /// Says that this writer's pack is whole, and how long it is.
    pub(crate) async fn seal_pack(&mut self, pack: SegmentId, size: u64) -> Result<Applied, Fault> {
        let grown = self.tally.settled(pack);
        let sealed = self
            .tx
            .query(sql!(
                "UPDATE segments SET state = ",
                sealed,
                ", writer = NULL, size = $3 \
                 WHERE id = $1 AND writer = $2 AND state = ",
                open,
                " AND kind = ",
                pack
            ))
            .bind(pack.0)
            .bind(self.writer.0)
            .bind(rows::signed(size)?)
            .execute()
            .await?;
        if sealed != 1 {
            // Leaves that this batch put into it must be refused as well.
            return if grown { Err(lost(pack)) } else { Ok(Err(Refusal::SegmentLost)) };
        }
        self.fenced.insert(pack, false);
        self.sealed.push(pack);
        Ok(Ok(MutationOutcome::Sealed))
    }
}
