//! The scrubber. A disk may lose a bit of what it holds and say nothing until it is read, which for most
//! objects of a store is never. Of 1.5 million drives that were watched, two in three hundred of the near-line
//! ones did so within 17 months ("An Analysis of Data Corruption in the Storage Stack", FAST 2008). Found early the bytes
//! are still to be had: from a replica under the tier, from a backup, from the client that uploaded them. So every leaf
//! is read from time to time, slowly, and what does not match its checksums is quarantined: the next upload of
//! the same bytes takes its place. What was quarantined and reads well again, restored from a backup, is released. A
//! leaf that cannot be read is passed over like a damaged one; where many files are absent or unreadable, the pass stops.
//!
//! How far a pass has come is in the metadata, so that it goes on after a restart, and on another replica.
//! Each step names where it begins: of two processes that take the same step, one counts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::stuck::{Shelf, Trouble};
use super::worker::{WorkDone, Worker};
use crate::application::absence;
use crate::application::error::Result;
use crate::application::metrics;
use crate::application::ports::clock::Clock;
use crate::application::ports::metadata::{Catalogue, LeafRecord, MetadataStore, ScrubPass, Upkeep};
use crate::application::tiers::Tiers;
use crate::application::validate::Finding;
use crate::application::verify::{LeafCheck, LeafVerdict, MISSING, UNREADABLE};
use crate::domain::blob::{BlobId, Location};

/// Leaves of one step.
const LEAVES: u32 = 256;

/// Bytes of one step: what a slow disk reads in well under a second.
const STEP_BYTES: u64 = 32 << 20;

/// Of ten seconds the worker reads one and rests nine, so that requests do not feel it.
const REST_PER_WORK: u32 = 9;

/// The longest rest between two steps.
const REST_MAX: Duration = Duration::from_secs(10);

/// The name of [`Scrubber`].
const NAME: &str = "scrub";

/// What a leaf is called among the items that failed.
fn name(leaf: &LeafRecord) -> String {
    format!("blob:{}", leaf.id.0)
}

/// Reads every leaf, slowly, and quarantines what is damaged.
pub struct Scrubber<M: ?Sized = dyn MetadataStore> {
    metadata: Arc<M>,
    tiers: Tiers,
    clock: Arc<dyn Clock>,
    every: Duration,
    /// Whether tiers that read their bytes by themselves are left to it.
    trusting: bool,
    /// A leaf too large for one step, as far as it was read.
    unfinished: Mutex<Option<LeafCheck>>,
    /// While a tier is away: which pass, and the last leaf that was read ahead of it.
    ahead: Mutex<Option<(u64, BlobId)>>,
}

/// What a step of a pass came to.
#[derive(Clone, Debug)]
pub struct Advanced {
    /// The pass as it is now.
    pub pass: ScrubPass,
    /// Damage that was not known before.
    pub findings: Vec<Finding>,
}

impl<M: Catalogue + Upkeep + ?Sized> Scrubber<M> {
    /// Over the store's parts. A pass begins `every` so long after the last one began; zero: never by itself.
    pub fn new(metadata: Arc<M>, tiers: Tiers, clock: Arc<dyn Clock>, every: Duration) -> Self {
        let (unfinished, ahead) = (Mutex::new(None), Mutex::new(None));
        Self { metadata, tiers, clock, every, trusting: false, unfinished, ahead }
    }

    /// Passes over what lies on a tier that reads its bytes by itself, such as an object store: each read there costs a
    /// request. What is in quarantine is read all the same.
    #[must_use]
    pub fn trusting(self) -> Self {
        Self { trusting: true, ..self }
    }

    fn is_spared(&self, leaf: &LeafRecord) -> bool {
        self.trusting && !leaf.quarantined && self.tiers.of(leaf.location.tier).verifies_itself()
    }

    /// The pass under way, or a new one.
    pub async fn begin(&self) -> Result<ScrubPass> {
        Ok(self.metadata.begin_scrub(self.clock.now()).await?)
    }

    /// Reads the next leaves of `pass`, or the next stretch of a large one. If another process took the pass on
    /// meanwhile their step counts, and theirs is the pass that is returned. A leaf that can neither be read nor be
    /// called damaged is put aside. Where a tier is away the pass waits for it, and leaves of the other tier that
    /// come later are read all the same, though they do not count yet.
    pub async fn advance(&self, pass: ScrubPass) -> Result<Advanced> {
        let mut unfinished = self.unfinished.lock().await;
        let mut shelf = Shelf::open(&self.metadata, NAME, self.clock.now()).await?;
        let mut findings = Vec::new();
        self.retry(&mut shelf, &mut findings).await?;
        let page = self.metadata.scan_leaves(pass.after, LEAVES).await?;
        let mut to = pass;
        if page.is_empty() {
            to.finished_at = Some(self.clock.now());
        }
        let mut left = STEP_BYTES;
        for leaf in page {
            if left == 0 {
                break;
            }
            let bytes = leaf.location.length;
            if self.is_spared(&leaf) {
                to.after = Some(leaf.id);
                continue;
            }
            if !shelf.holds(&name(&leaf)) {
                let verdict = self.check(&mut unfinished, &leaf, left).await;
                match shelf.settle(name(&leaf), verdict).await? {
                    // What was read of it counts when the rest was.
                    Some(LeafVerdict::Unfinished) => break,
                    Some(verdict) => to.damaged += self.note(&leaf, verdict, &mut findings).await?,
                    None if shelf.is_away(leaf.location.tier) => break,
                    None => findings.push(Finding { code: "blob-unreadable", detail: leaf.to_string() }),
                }
            }
            to.after = Some(leaf.id);
            to.blobs += 1;
            to.bytes += bytes;
            left = left.saturating_sub(bytes);
        }
        let ahead = if shelf.any_away() {
            self.read_ahead(&to, &mut unfinished, &mut shelf, &mut findings).await?
        } else {
            0
        };
        let progress = u64::from(to != pass) + ahead;
        shelf.close(progress).await?;
        if to == pass {
            return Ok(Advanced { pass, findings });
        }
        if !self.metadata.advance_scrub(&pass, &to).await? {
            let pass = self.metadata.scrub_pass().await?.unwrap_or(pass);
            return Ok(Advanced { pass, findings });
        }
        metrics::scrubbed(to.blobs - pass.blobs, to.bytes - pass.bytes);
        if let Some(finished) = to.finished_at {
            metrics::scrub_finished(finished, to.damaged);
            tracing::info!(
                pass = to.number,
                blobs = to.blobs,
                bytes = to.bytes,
                damaged = to.damaged,
                "scrubbed"
            );
        }
        Ok(Advanced { pass: to, findings })
    }

    /// While a tier is away: reads leaves of the other one that come later in the pass. How many.
    async fn read_ahead(
        &self,
        pass: &ScrubPass,
        unfinished: &mut Option<LeafCheck>,
        shelf: &mut Shelf<M>,
        findings: &mut Vec<Finding>,
    ) -> Result<u64> {
        let mut ahead = self.ahead.lock().await;
        let from = ahead.filter(|(number, after)| *number == pass.number && Some(*after) > pass.after);
        let page =
            self.metadata.scan_leaves(from.map_or(pass.after, |(_, after)| Some(after)), LEAVES).await?;
        let (mut read, mut left) = (0, STEP_BYTES);
        for leaf in page {
            if left == 0 {
                break;
            }
            let skipped = self.is_spared(&leaf) || shelf.is_away(leaf.location.tier);
            if !skipped && !shelf.holds(&name(&leaf)) {
                let verdict = self.check(unfinished, &leaf, left).await;
                match shelf.settle(name(&leaf), verdict).await? {
                    Some(LeafVerdict::Unfinished) => {
                        read += 1;
                        break;
                    }
                    Some(verdict) => {
                        self.note(&leaf, verdict, findings).await?;
                        read += 1;
                    }
                    None => {}
                }
                left = left.saturating_sub(leaf.location.length);
            }
            *ahead = Some((pass.number, leaf.id));
        }
        Ok(read)
    }

    /// Reads again what was put aside and is due.
    async fn retry(&self, shelf: &mut Shelf<M>, findings: &mut Vec<Finding>) -> Result<()> {
        for (item, blob) in shelf.due_blobs() {
            let Some(leaf) = self.metadata.find_leaf(blob).await? else {
                shelf.done(&item);
                continue;
            };
            let verdict = self.check(&mut None, &leaf, u64::MAX).await;
            if let Some(verdict) = shelf.settle(item, verdict).await? {
                self.note(&leaf, verdict, findings).await?;
            }
        }
        Ok(())
    }

    /// Releases what is sound after all, quarantines what is not: 1 if it is damaged.
    async fn note(
        &self,
        leaf: &LeafRecord,
        verdict: LeafVerdict,
        findings: &mut Vec<Finding>,
    ) -> Result<u64> {
        match verdict {
            LeafVerdict::Sound if leaf.quarantined => self.metadata.release(leaf.id, leaf.location).await?,
            LeafVerdict::Sound | LeafVerdict::Unfinished => {}
            LeafVerdict::Damaged(code) => {
                if !leaf.quarantined {
                    self.quarantine(leaf, code).await?;
                    findings.push(Finding { code, detail: leaf.to_string() });
                }
                return Ok(1);
            }
        }
        Ok(0)
    }

    /// Reads a leaf, at most `bytes` of it, where it lies now.
    async fn check(
        &self,
        unfinished: &mut Option<LeafCheck>,
        leaf: &LeafRecord,
        bytes: u64,
    ) -> Result<LeafVerdict, Trouble> {
        let mut leaf = leaf.clone();
        loop {
            let begun = unfinished.take().filter(|check| *check.leaf() == leaf);
            let mut check = begun.unwrap_or_else(|| LeafCheck::new(leaf.clone()));
            let verdict = check.advance(&self.tiers, bytes).await;
            match verdict.map_err(|error| Trouble::of_tier(leaf.location.tier, error))? {
                LeafVerdict::Unfinished => {
                    *unfinished = Some(check);
                    return Ok(LeafVerdict::Unfinished);
                }
                LeafVerdict::Sound => return Ok(LeafVerdict::Sound),
                LeafVerdict::Damaged(code) => match self.metadata.find_leaf(leaf.id).await? {
                    // Moved while it was read: it is read again where it went.
                    Some(now) if now.location != leaf.location => leaf = now,
                    // Where many files are gone it is not the leaves that are damaged: the pass stops here.
                    Some(_) if code == MISSING || code == UNREADABLE => {
                        let Location { tier, segment, .. } = leaf.location;
                        absence::check(self.metadata.as_ref(), &self.tiers, tier, Some(segment))
                            .await
                            .map_err(|error| Trouble::Absent(tier, error))?;
                        return Ok(LeafVerdict::Damaged(code));
                    }
                    Some(_) => return Ok(LeafVerdict::Damaged(code)),
                    // Collected while it was read.
                    None => return Ok(LeafVerdict::Sound),
                },
            }
        }
    }

    async fn quarantine(&self, leaf: &LeafRecord, code: &'static str) -> Result<()> {
        metrics::scrub_damaged(leaf.location.tier, code);
        tracing::error!(code, blob = %leaf.hash, segment = %leaf.location.segment, "blob quarantined by the scrubber");
        let now = self.metadata.find_leaf(leaf.id).await?;
        let at = now.map_or(leaf.location, |now| now.location);
        Ok(self.metadata.quarantine(leaf.id, at).await?)
    }

    fn due(&self, pass: Option<&ScrubPass>) -> bool {
        match pass {
            Some(pass) if pass.finished_at.is_none() => true,
            _ if self.every.is_zero() => false,
            Some(pass) => pass.begun_at.plus(self.every) <= self.clock.now(),
            None => true,
        }
    }
}

#[async_trait]
impl<M: Catalogue + Upkeep + ?Sized> Worker for Scrubber<M> {
    fn name(&self) -> &'static str {
        NAME
    }

    fn rest(&self) -> Duration {
        Duration::from_secs(60)
    }

    async fn step(&self) -> Result<WorkDone> {
        let pass = self.metadata.scrub_pass().await?;
        if let Some(ScrubPass { finished_at: Some(finished), damaged, .. }) = pass {
            // A gauge is a process's own: this one may not have been here when the pass ended.
            metrics::scrub_finished(finished, damaged);
        }
        if !self.due(pass.as_ref()) {
            return Ok(WorkDone::Idle);
        }
        let begun = Instant::now();
        let before = self.begin().await?;
        let after = self.advance(before).await?.pass;
        if after.finished_at.is_some() {
            return Ok(WorkDone::Idle);
        }
        let rest = begun.elapsed().saturating_mul(REST_PER_WORK).min(REST_MAX);
        Ok(WorkDone::Paced(after.blobs.saturating_sub(before.blobs), rest))
    }
}
