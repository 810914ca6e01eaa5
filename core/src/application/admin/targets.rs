//! Event targets: declared by operators, since the store connects to what they name.

use std::time::Duration;

use super::{Admin, allow_operator};
use crate::application::error::{Error, Result};
use crate::application::ports::metadata::{
    OutboxFigures, OutboxRow, OutboxTarget, Replay, ReplayFrom, TargetRemoval,
};
use crate::application::ports::sink::{PATIENCE_MAX, Undelivered};
use crate::application::workers::outbox::{self, Deliveries, Sinks, TargetStatus};
use crate::domain::address::SpaceAddress;
use crate::domain::event::{EventKind, Facts, TargetKind, TargetName, TargetSettings};
use crate::domain::invalid::Invalid;
use crate::domain::principal::Principal;
use crate::domain::space::SpaceId;
use crate::domain::timestamp::Timestamp;

/// Most targets of a store.
const TARGETS_MAX: usize = 256;

/// Rows that one transaction of a replay makes wait again.
const REPLAYED_TOGETHER: u32 = 1000;

/// Items of a removed target that are cleared together.
const CLEARED_TOGETHER: u32 = 1000;

/// What becomes of a target's secret.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretChange {
    /// It stays.
    Keep,
    /// There is none any more: nothing is signed.
    Remove,
    /// It is this.
    Set(String),
}

/// A target, and how it is told.
#[derive(Clone, Debug)]
pub struct TargetReport {
    /// Its name.
    pub name: TargetName,
    /// Its kind.
    pub kind: TargetKind,
    /// What was said of it.
    pub settings: TargetSettings,
    /// Whether events are signed.
    pub signed: bool,
    /// The spaces that name it.
    pub spaces: Vec<SpaceAddress>,
    /// Rows that wait.
    pub waiting: u64,
    /// How long the oldest of them has waited.
    pub lag: Duration,
    /// How the delivery by this server goes.
    pub status: TargetStatus,
    /// When it was declared.
    pub created_at: Timestamp,
}

impl Admin {
    /// Tests and tells of deliveries by these.
    #[must_use]
    pub fn with_deliveries(self, sinks: Sinks, deliveries: Deliveries) -> Self {
        Self { sinks, deliveries, ..self }
    }

    /// Every target, by name.
    pub async fn targets(&self, who: &Principal) -> Result<Vec<TargetReport>> {
        allow_operator(who)?;
        let metadata = &self.store.metadata;
        let (targets, figures) = (metadata.outbox_targets().await?, metadata.outbox_figures().await?);
        let mut reports = Vec::with_capacity(targets.len());
        // What is sent to an upstream is shown with that.
        for target in targets.into_iter().filter(|target| target.kind != TargetKind::Mirror) {
            let figures = figures.iter().find(|figures| figures.name == target.name);
            reports.push(self.report(target, figures).await?);
        }
        Ok(reports)
    }

    /// One target.
    pub async fn target(&self, who: &Principal, name: &TargetName) -> Result<TargetReport> {
        let all = self.targets(who).await?;
        all.into_iter().find(|report| report.name == *name).ok_or(Error::NoSuchTarget)
    }

    async fn report(&self, target: OutboxTarget, figures: Option<&OutboxFigures>) -> Result<TargetReport> {
        Ok(TargetReport {
            spaces: self.store.metadata.outbox_spaces(&target.name).await?,
            status: self.deliveries.of(&target.name),
            settings: serde_json::from_str(&target.settings).unwrap_or_default(),
            kind: target.kind,
            signed: target.secret.is_some(),
            waiting: figures.map_or(0, |figures| figures.waiting),
            lag: figures.map_or(Duration::ZERO, |figures| figures.lag(self.now())),
            created_at: target.created_at,
            name: target.name,
        })
    }

    /// Declares a target, or changes one.
    pub async fn put_target(
        &self,
        who: &Principal,
        name: &TargetName,
        kind: TargetKind,
        settings: &TargetSettings,
        secret: SecretChange,
    ) -> Result<()> {
        allow_operator(who)?;
        if kind == TargetKind::Mirror || self.sinks.of(kind).is_none() {
            return Err(Invalid::new("kind", "is not offered here").into());
        }
        settings.validate(kind)?;
        let targets = self.store.metadata.outbox_targets().await?;
        let known = targets.iter().find(|target| target.name == *name);
        if known.is_none()
            && targets.iter().filter(|target| target.kind != TargetKind::Mirror).count() >= TARGETS_MAX
        {
            return Err(Invalid::new("name", "there are 256 targets already").into());
        }
        let secret = match secret {
            SecretChange::Keep => known.and_then(|known| known.secret.clone()),
            SecretChange::Remove => None,
            SecretChange::Set(text) => {
                kind.validate_secret(&text)?;
                Some(self.access.seal_target_secret(name, &text)?)
            }
        };
        let target = OutboxTarget {
            name: name.clone(),
            kind,
            settings: serde_json::to_string(settings).map_err(|_| Error::Internal)?,
            secret,
            rows_max: settings.rows_max,
            overflow: settings.overflow,
            keep: settings.keep(),
            created_at: known.map_or(self.now(), |known| known.created_at),
        };
        if !self.store.metadata.put_outbox_target(&target).await? {
            return Err(Invalid::new("kind", "cannot be changed: declare another target").into());
        }
        self.board.wake("outbox", false);
        tracing::info!(target = %name, who = who.name, "event target declared");
        Ok(())
    }

    /// Removes a target that no space names; with `discard` although rows wait for it. How many did.
    pub async fn remove_target(&self, who: &Principal, name: &TargetName, discard: bool) -> Result<u64> {
        allow_operator(who)?;
        match self.store.metadata.remove_outbox_target(name, discard).await? {
            TargetRemoval::Removed(waiting) => {
                self.clear_aside(name).await?;
                self.board.wake("outbox", false);
                tracing::warn!(target = %name, who = who.name, waiting, "event target removed");
                Ok(waiting)
            }
            TargetRemoval::Missing => Err(Error::NoSuchTarget),
            TargetRemoval::Named(spaces) => {
                Err(Error::TargetInUse(format!("{spaces} spaces name it in their notifications")))
            }
            TargetRemoval::Waiting(rows) => {
                Err(Error::TargetInUse(format!("{rows} events wait for it; discard them with discard=true")))
            }
        }
    }

    /// Events of a target that is gone are stuck no more.
    async fn clear_aside(&self, name: &TargetName) -> Result<()> {
        let (metadata, prefix) = (&self.store.metadata, outbox::items_of(name));
        loop {
            let stuck = metadata.stuck_under(outbox::NAME, &prefix, CLEARED_TOGETHER).await?;
            if stuck.is_empty() {
                return Ok(());
            }
            let items: Vec<_> = stuck.into_iter().map(|stuck| stuck.item).collect();
            metadata.clear_stuck(outbox::NAME, &items).await?;
        }
    }

    /// Sends a test event to a target now. What it answered, if it did not take it.
    pub async fn test_target(
        &self,
        who: &Principal,
        name: &TargetName,
    ) -> Result<std::result::Result<(), String>> {
        allow_operator(who)?;
        let targets = self.store.metadata.outbox_targets().await?;
        let target = targets.into_iter().find(|target| target.name == *name).ok_or(Error::NoSuchTarget)?;
        let sink = self.sinks.of(target.kind).ok_or(Error::NoSuchTarget)?;
        let facts = Facts { bucket: "test".to_owned(), who: Some(who.name.clone()), ..Facts::default() };
        let row = OutboxRow {
            seq: 0,
            space: SpaceId(0),
            key: String::new(),
            event_id: uuid::Uuid::now_v7(),
            event: Ok((EventKind::Test, facts)),
            created_at: self.now(),
        };
        let sent = tokio::time::timeout(PATIENCE_MAX, sink.deliver(&target, &row)).await;
        Ok(match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(Undelivered::Refused(why) | Undelivered::Away(why))) => Err(why),
            Ok(Err(why @ Undelivered::NotTried(_))) => Err(why.to_string()),
            Err(_) => Err("no answer in time".to_owned()),
        })
    }

    /// Delivered events that are kept are delivered again, from a place on. How many.
    pub async fn replay_target(&self, who: &Principal, name: &TargetName, from: ReplayFrom) -> Result<u64> {
        allow_operator(who)?;
        let targets = self.store.metadata.outbox_targets().await?;
        if targets.iter().all(|target| target.name != *name) {
            return Err(Error::NoSuchTarget);
        }
        let mut replayed = 0;
        let mut replay = Replay { from, after: i64::MIN, delivered_by: self.now() };
        loop {
            let some = self.store.metadata.replay_outbox(name, replay, REPLAYED_TOGETHER).await?;
            replayed += some.len() as u64;
            match some.last() {
                Some(last) if some.len() >= REPLAYED_TOGETHER as usize => replay.after = *last,
                _ => break,
            }
        }
        self.board.wake("outbox", false);
        tracing::info!(target = %name, who = who.name, replayed, "events are delivered again");
        Ok(replayed)
    }
}
