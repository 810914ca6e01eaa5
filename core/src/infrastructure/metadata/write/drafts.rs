//! Composites that completions draft: their stretches are written in portions, before the transaction that completes the
//! upload.
//!
//! Rule: a transaction that holds SQLite's only writer writes at most one portion of stretches. Twenty thousand in one transaction
//! let every other write wait for 70 ms.
//!
//! A draft is a composite like any other, under a name that no content has, and grows with each portion. Its upload refers
//! to it; when the upload ends, the completion has given it the name of its content, or it is GC's.

use sha2::{Digest as _, Sha256};

use super::extents::{self, Written};
use super::{candidates, uploads};
use crate::application::ports::metadata::Draft;
use crate::domain::blob::{BlobId, Hash};
use crate::domain::multipart::{Part, UploadId, UploadParts};
use crate::domain::naming::ContentName;
use crate::domain::object::ObjectId;
use crate::domain::space::{DedupDomain, SpaceId};
use crate::domain::timestamp::Timestamp;
use crate::infrastructure::metadata::read::rows;
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::transaction::{Transaction, transaction};

/// Drafts the composite of `parts`; `None` if it cannot be that of this upload any more.
pub(crate) async fn write(
    db: &Database,
    id: UploadId,
    domain: &DedupDomain,
    read: &UploadParts,
    parts: &[Part],
    now: Timestamp,
) -> Result<Option<Draft>, Fault> {
    let draft = Draft { blob: BlobId(ObjectId::fresh(now).0), revision: read.revision };
    let mut written = Written::default();
    for portion in read.portions(parts) {
        let first = written.parts == 0;
        let stands = transaction!(db, |tx| {
            match uploads::hold(&mut tx, id).await? {
                Some(counts) if counts.revision == read.revision => {
                    let stands = if first {
                        begin(&mut tx, id, domain, draft.blob, now).await?
                    } else {
                        uploads::draft_of(&mut tx, id).await? == Some(draft.blob)
                    };
                    if stands {
                        let more = extents::add_parts(&mut tx, draft.blob, id, portion, written).await?;
                        grow(&mut tx, draft.blob, more).await?;
                        Some(more)
                    } else {
                        None
                    }
                }
                _ => None,
            }
        })?;
        match stands {
            Some(more) => written = more,
            None => return Ok(None),
        }
    }
    Ok(Some(draft))
}

/// Makes an empty draft, which takes the place of the one that the upload has. Whether there is such an upload.
async fn begin(
    tx: &mut Transaction,
    id: UploadId,
    domain: &DedupDomain,
    draft: BlobId,
    now: Timestamp,
) -> Result<bool, Fault> {
    let Some(upload) = uploads::look(tx, id).await? else { return Ok(false) };
    if let Some(before) = uploads::draft_of(tx, id).await? {
        candidates::suspect(tx, &[before]).await?;
    }
    tx.query(sql!(
        "INSERT INTO blobs (id, domain, hash, parts, size, space_id, created_at) VALUES ($1, $2, $3, 1, 0, $4, $5)"
    ))
    .bind(draft.0)
    .bind(domain.as_str())
    .bind(&name(draft).0[..])
    .bind(upload.space.id.0)
    .bind(now.millis())
    .execute()
    .await?;
    tx.query(sql!("UPDATE uploads SET draft_id = $2 WHERE id = $1"))
        .bind(id.0)
        .bind(draft.0)
        .execute()
        .await?;
    Ok(true)
}

/// A name that no content has: SHA-256 over a prefix of this purpose and the blob's id.
fn name(draft: BlobId) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(b"juststorage: draft, v1\0");
    hasher.update(draft.0.as_bytes());
    Hash(hasher.finalize().into())
}

async fn grow(tx: &mut Transaction, draft: BlobId, written: Written) -> Result<(), Fault> {
    tx.query(sql!("UPDATE blobs SET size = $2, parts = $3, part_count = $3 WHERE id = $1"))
        .bind(draft.0)
        .bind(rows::signed(written.size)?)
        .bind(i64::from(written.parts))
        .execute()
        .await?;
    Ok(())
}

/// Whether an upload that the transaction holds has this draft, and the draft is whole.
pub(crate) async fn stands(
    tx: &mut Transaction,
    upload: UploadId,
    draft: BlobId,
    name: ContentName,
    size: u64,
) -> Result<bool, Fault> {
    let found = tx
        .query(sql!(
            "SELECT 1 FROM uploads u JOIN blobs b ON b.id = u.draft_id \
             WHERE u.id = $1 AND b.id = $2 AND b.parts = $3 AND b.size = $4"
        ))
        .bind(upload.0)
        .bind(draft.0)
        .bind(i64::from(name.count()))
        .bind(rows::signed(size)?)
        .optional()
        .await?;
    Ok(found.is_some())
}

/// Gives a draft the name of its content. Another transaction that has just made such a composite is a collision, and this
/// one is tried again.
pub(crate) async fn take(
    tx: &mut Transaction,
    draft: BlobId,
    space: SpaceId,
    name: ContentName,
) -> Result<(), Fault> {
    tx.query(sql!("UPDATE blobs SET hash = $2, space_id = $3 WHERE id = $1"))
        .bind(draft.0)
        .bind(&name.digest().0[..])
        .bind(space.0)
        .execute()
        .await?;
    Ok(())
}
