//! The event targets that documents of spaces name.

use crate::domain::event::TargetName;
use crate::domain::settings::SettingKind;
use crate::domain::space::SpaceId;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::transaction::Transaction;

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
