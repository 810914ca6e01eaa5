//! The port of the outbox.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use super::Answer;
use crate::application::ports::metadata::{
    Epoch, Outbox, OutboxFigures, OutboxRow, OutboxTarget, Replay, TargetRemoval,
};
use crate::domain::address::SpaceAddress;
use crate::domain::event::{Facts, TargetName};
use crate::domain::space::SpaceId;
use crate::domain::timestamp::Timestamp;
use crate::infrastructure::metadata::SqlMetadata;
use crate::infrastructure::metadata::upkeep::outbox;
use crate::infrastructure::metadata::write::outbox as write;

#[async_trait]
impl Outbox for SqlMetadata {
    async fn outbox_targets(&self) -> Answer<Vec<OutboxTarget>> {
        Ok(outbox::all(&self.db).await?)
    }

    async fn put_outbox_target(&self, target: &OutboxTarget) -> Answer<bool> {
        Ok(outbox::put(&self.db, target).await?)
    }

    async fn remove_outbox_target(&self, name: &TargetName, discard: bool) -> Answer<TargetRemoval> {
        Ok(outbox::remove(&self.db, name, discard).await?)
    }

    async fn outbox_spaces(&self, name: &TargetName) -> Answer<Vec<SpaceAddress>> {
        Ok(outbox::spaces(&self.db, name).await?)
    }

    async fn take_over_outbox(&self, name: &TargetName) -> Answer<Option<Epoch>> {
        Ok(outbox::take_over(&self.db, name).await?)
    }

    async fn outbox_page(&self, name: &TargetName, after: i64, limit: u32) -> Answer<Vec<OutboxRow>> {
        Ok(outbox::page(&self.db, name, after, limit).await?)
    }

    async fn acknowledge(
        &self,
        name: &TargetName,
        epoch: Epoch,
        rows: &[i64],
        now: Timestamp,
        keep: Duration,
    ) -> Answer<bool> {
        let settled = outbox::acknowledge(&self.db, name, epoch, rows, now, keep).await?;
        self.outbox.went(name, i64::try_from(settled.unwrap_or(0)).unwrap_or(i64::MAX));
        self.outbox.acknowledged.send_modify(|count| *count = count.wrapping_add(1));
        Ok(settled.is_some())
    }

    async fn purge_outbox(&self, name: &TargetName, before: Timestamp, limit: u32) -> Answer<u64> {
        Ok(outbox::purge(&self.db, name, before, limit).await?)
    }

    async fn replay_outbox(&self, name: &TargetName, replay: Replay, limit: u32) -> Answer<Vec<i64>> {
        let replayed = outbox::replay(&self.db, name, replay, limit).await?;
        self.outbox.went(name, -i64::try_from(replayed.len()).unwrap_or(i64::MAX));
        Ok(replayed)
    }

    async fn outbox_figures(&self) -> Answer<Vec<OutboxFigures>> {
        let targets = outbox::all(&self.db).await?;
        let mut figures = Vec::with_capacity(targets.len());
        for OutboxTarget { name, rows_max, .. } in &targets {
            let waiting = if let Some(waiting) = self.outbox.carried(name) {
                waiting
            } else {
                let waiting = outbox::count_waiting(&self.db, name, *rows_max).await?;
                self.outbox.counted(name, waiting);
                waiting
            };
            let oldest = outbox::oldest(&self.db, name).await?;
            figures.push(OutboxFigures { name: name.clone(), waiting, oldest });
        }
        self.outbox.bound_by(&targets);
        Ok(figures)
    }

    async fn tell_test(
        &self,
        space: SpaceId,
        targets: &[TargetName],
        facts: &Facts,
        now: Timestamp,
    ) -> Answer<()> {
        self.outbox.committed(write::tell_test(&self.db, space, targets, facts, now).await?);
        Ok(())
    }

    fn outbox_bell(&self) -> watch::Receiver<u64> {
        self.outbox.bell()
    }

    fn outbox_acknowledged(&self) -> watch::Receiver<u64> {
        self.outbox.acknowledged.subscribe()
    }
}
