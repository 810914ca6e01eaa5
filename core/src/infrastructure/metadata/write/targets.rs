//! Targets of the outbox: declared, and named by documents of spaces.

use crate::application::ports::metadata::OutboxTarget;
use crate::domain::event::TargetName;
use crate::domain::settings::SettingKind;
use crate::domain::space::SpaceId;
use crate::infrastructure::metadata::read::rows;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::transaction::Transaction;

/// Declares a target, or changes one. Its kind stays: `false` if it has another one.
pub(crate) async fn put(tx: &mut Transaction, target: &OutboxTarget) -> Result<bool, Fault> {
    let keep = u64::try_from(target.keep.as_millis()).unwrap_or(u64::MAX);
    let written = tx
        .query(sql!(
            "INSERT INTO outbox_targets (name, kind, settings, secret, rows_max, overflow, keep_ms, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (name) DO UPDATE SET \
             settings = excluded.settings, secret = excluded.secret, rows_max = excluded.rows_max, \
             overflow = excluded.overflow, keep_ms = excluded.keep_ms \
             WHERE outbox_targets.kind = excluded.kind"
        ))
        .bind(target.name.as_str())
        .bind(target.kind.code())
        .bind(target.settings.as_str())
        .bind(target.secret.clone())
        .bind(rows::signed(target.rows_max)?)
        .bind(target.overflow.code())
        .bind(rows::signed(keep)?)
        .bind(target.created_at.millis())
        .execute()
        .await?;
    Ok(written == 1)
}

/// Whether these targets exist, which they then do until the end of the transaction.
pub(crate) async fn hold_targets(tx: &mut Transaction, targets: &[TargetName]) -> Result<bool, Fault> {
    for target in targets {
        let there = tx
            .query(sql!("SELECT 1 FROM outbox_targets WHERE name = $1", for_key_share))
            .bind(target.as_str())
            .optional()
            .await?;
        if there.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Writes down which targets a document of a space names, in the place of those that it named.
pub(crate) async fn name_targets(
    tx: &mut Transaction,
    space: SpaceId,
    kind: SettingKind,
    targets: &[TargetName],
) -> Result<(), Fault> {
    if kind != SettingKind::Notifications {
        return Ok(());
    }
    tx.query(sql!("DELETE FROM outbox_routes WHERE space_id = $1 AND kind = $2"))
        .bind(space.0)
        .bind(kind.code())
        .execute()
        .await?;
    for target in targets {
        tx.query(sql!("INSERT INTO outbox_routes (space_id, kind, target) VALUES ($1, $2, $3)"))
            .bind(space.0)
            .bind(kind.code())
            .bind(target.as_str())
            .execute()
            .await?;
    }
    Ok(())
}
