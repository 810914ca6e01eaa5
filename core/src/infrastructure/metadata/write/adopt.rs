//! Segments whose rows were lost with their database.

use uuid::Uuid;

use super::batch::Fences;
use super::routes::OutboxState;
use super::tally::condemn_if_empty;
use super::{commit, segments};
use crate::application::ports::metadata::{Mutation, PutObject, SegmentRecord, WriterId};
use crate::application::ports::segments::SegmentKind;
use crate::domain::timestamp::Timestamp;
use crate::infrastructure::metadata::read::rows;
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::transaction::transaction;

/// Enters a segment as if this process had just written it, and everything in it, but never leaves it open: a
/// segment that is open belongs to a writer, and what a dead writer left may be removed.
pub(crate) async fn adopt(
    db: &Database,
    segment: SegmentRecord,
    objects: Vec<PutObject>,
    now: Timestamp,
) -> Result<Option<u64>, Fault> {
    let mut mutations: Vec<_> = objects.into_iter().map(|put| Mutation::Put(Box::new(put))).collect();
    if segment.kind == SegmentKind::Pack {
        mutations.push(Mutation::SealPack(segment.id, segment.size));
    }
    transaction!(db, |tx| {
        let writer = WriterId(Uuid::new_v4());
        let known =
            tx.query(sql!("SELECT 1 FROM segments WHERE id = $1")).bind(segment.id.0).optional().await?;
        if known.is_some() {
            None
        } else {
            segments::register(&mut tx, (writer, Uuid::nil()), segment.id, segment.tier, segment.kind, now)
                .await?;
            // A store that is made anew has no settings, and so nobody to tell.
            let outbox = OutboxState::default();
            let (applied, _) =
                commit::apply(&mut tx, &outbox, writer, &mutations, now, Fences::First).await?;
            // A single that was not committed into is still open: it holds nothing that counts.
            tx.query(sql!(
                "UPDATE segments SET state = ",
                sealed,
                ", writer = NULL, size = $2 WHERE id = $1 AND state = ",
                open
            ))
            .bind(segment.id.0)
            .bind(rows::signed(segment.size)?)
            .execute()
            .await?;
            condemn_if_empty(&mut tx, segment.id, now).await?;
            let seals = u64::from(segment.kind == SegmentKind::Pack);
            let made = applied.iter().filter(|applied| applied.is_ok()).count() as u64;
            Some(made.saturating_sub(seals))
        }
    })
}
