//! The blobs that were there before the content that a change brings.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::batch::Batch;
use super::known::{KnownResidents, Resident};
use crate::application::ports::metadata::StagedLeaf;
use crate::domain::blob::{BlobId, Hash};
use crate::domain::object::Content;
use crate::domain::space::{DedupDomain, SpaceId};
use crate::infrastructure::metadata::read::rows;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::statement::Statement;
use crate::infrastructure::metadata::session::transaction::Transaction;

/// A staged leaf, and the id that its blob gets if its domain has no such blob yet.
pub(super) struct Newcomer<'a> {
    pub(super) fresh: Uuid,
    pub(super) domain: &'a DedupDomain,
    pub(super) space: SpaceId,
    pub(super) leaf: &'a StagedLeaf,
}

impl Newcomer<'_> {
    /// As those find it who bring the same bytes after it.
    fn as_resident(&self) -> Resident {
        let (content, segment) = (self.content(self.fresh), Some(self.leaf.location.segment));
        let tier = Some(self.leaf.location.tier);
        Resident { content, segment, tier, quarantined: false, space: self.space }
    }

    pub(super) fn content(&self, blob: Uuid) -> Content {
        Content::leaf(BlobId(blob), self.leaf.hash, self.leaf.location.length)
    }
}

/// Makes a blob of every leaf that its domain does not have; the blobs that were there, by the fresh id of
/// the leaf that found its place taken. Those are held, so that GC cannot take them before this commits.
pub(super) async fn claim(
    batch: &mut Batch<'_>,
    newcomers: &[Newcomer<'_>],
) -> Result<HashMap<Uuid, Resident>, Fault> {
    if let Some(known) = batch.ahead.residents()
        && let Some((residents, newcomers)) = told_apart(known, newcomers)
    {
        for portion in batch.tx.portions(&newcomers) {
            let count = portion.len() as u64;
            let otherwise = move |made| Fault::Collision(format!("of {count} blobs only {made} are new"));
            insert(batch, portion)?.later_changing(count, otherwise).await?;
        }
        return Ok(residents);
    }
    let mut residents = HashMap::new();
    let newcomers: Vec<_> = newcomers.iter().collect();
    for portion in batch.tx.portions(&newcomers) {
        // Most content is new, and then nothing more is to be asked.
        if insert(batch, portion)?.execute().await? != portion.len() as u64 {
            residents_of(batch, portion, &mut residents).await?;
        }
    }
    Ok(residents)
}

/// The leaves that are new, and the blobs that were there before the others, by the fresh ids of those; `None` if of one of
/// them it is not known. A leaf comes after another one with the same bytes beside it.
fn told_apart<'n, 'a>(
    mut known: KnownResidents,
    newcomers: &'n [Newcomer<'a>],
) -> Option<(HashMap<Uuid, Resident>, Vec<&'n Newcomer<'a>>)> {
    let (mut residents, mut new) = (HashMap::new(), Vec::with_capacity(newcomers.len()));
    for newcomer in newcomers {
        let there = known.get_mut(newcomer.domain.as_str())?.get_mut(&newcomer.leaf.hash.0[..])?;
        if let Some(resident) = there {
            residents.insert(newcomer.fresh, resident.clone());
        } else {
            *there = Some(newcomer.as_resident());
            new.push(newcomer);
        }
    }
    Some((residents, new))
}

/// Makes a blob of each of these leaves that its domain does not have.
fn insert<'t>(batch: &'t mut Batch<'_>, newcomers: &[&Newcomer<'_>]) -> Result<Statement<'t>, Fault> {
    const COLUMNS: usize = 9;
    let now = batch.now;
    let mut statement = batch.tx.query_rows(
        sql!(
            "INSERT INTO blobs (id, domain, hash, parts, size, segment_id, seg_offset, space_id, \
             created_at) VALUES ",
            rows,
            " ON CONFLICT (domain, hash, parts) DO NOTHING"
        ),
        newcomers.len(),
        COLUMNS,
    );
    for new in newcomers {
        let location = new.leaf.location;
        statement = statement
            .bind(new.fresh)
            .bind(new.domain.as_str().to_owned())
            .bind(new.leaf.hash.0.to_vec())
            .bind(0_i64)
            .bind(rows::signed(location.length)?)
            .bind(location.segment.0)
            .bind(rows::signed(location.offset)?)
            .bind(new.space.0)
            .bind(now.millis());
    }
    Ok(statement)
}

/// Asks for the blobs of a domain that consist of these bytes, which then stay until the end of the transaction.
pub(super) fn residents<'t>(tx: &'t mut Transaction, domain: &str, hashes: &[&Hash]) -> Statement<'t> {
    let statement = tx.query_list(
        sql!(
            "SELECT b.id, ",
            content,
            ", b.segment_id, b.quarantined, b.space_id, \
             (SELECT g.tier FROM segments g WHERE g.id = b.segment_id) AS tier FROM blobs b \
             WHERE b.domain = $1 AND b.parts = 0 AND b.hash IN (",
            list,
            ") ORDER BY b.hash",
            for_update
        ),
        1,
        hashes.len(),
    );
    statement.bind(domain.to_owned()).bind_all(hashes.iter().map(|hash| hash.0.to_vec()))
}

/// The blobs that were there before some of these leaves.
async fn residents_of(
    batch: &mut Batch<'_>,
    newcomers: &[&Newcomer<'_>],
    found: &mut HashMap<Uuid, Resident>,
) -> Result<(), Fault> {
    let mut by_domain: BTreeMap<&str, Vec<&Newcomer<'_>>> = BTreeMap::new();
    for new in newcomers.iter().copied() {
        by_domain.entry(new.domain.as_str()).or_default().push(new);
    }
    for (domain, newcomers) in by_domain {
        let mut named = HashMap::with_capacity(newcomers.len());
        for portion in batch.tx.portions(&newcomers) {
            let hashes: Vec<_> = portion.iter().map(|new| &new.leaf.hash).collect();
            named.extend(residents(batch.tx, domain, &hashes).map(Resident::of_row).await?);
        }
        for new in newcomers {
            let resident = named.get(&new.leaf.hash.0[..]).ok_or_else(|| {
                // Between the two statements another transaction removed it.
                Fault::Collision(format!("the blob of {:?} went", new.leaf.hash))
            })?;
            if resident.content.blob.0 != new.fresh {
                found.insert(new.fresh, resident.clone());
            }
        }
    }
    Ok(())
}
