//! Metadata against data, and back: everything that two places say about one thing is compared.
//!
//! Safe beside a running server: what changes while it looks is looked at again before it is reported.

use std::collections::{BTreeMap, HashSet};

use futures::stream::StreamExt as _;
use std::sync::Arc;

use crate::application::absence;
use crate::application::error::{Error, Result};
use crate::application::ports::metadata::{KeptSegment, MetadataStore, SegmentRecord};
use crate::application::ports::segments::SegmentError;
use crate::application::tiers::Tiers;
use crate::application::verify::{LeafCheck, LeafVerdict, MISSING, UNREADABLE, still_there};
use crate::domain::blob::{Location, SegmentId};
use crate::domain::state::SegmentState;
use crate::domain::storage_class::StorageClass;

/// Rows of one page.
const PAGE: u32 = 512;

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which rule, in kebab-case: `blob-corrupt`, `segment-missing`, `file-unknown`, `usage-mismatch`, …
    pub code: &'static str,
    /// What exactly, for people.
    pub detail: String,
}

/// How far a validation is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Segments whose files were looked for.
    pub segments: u64,
    /// Blobs whose bytes were read and hashed.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What a validation found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What was looked at.
    pub checked: Progress,
    /// What is wrong; empty if nothing is.
    pub findings: Vec<Finding>,
}

/// Checks a store.
pub struct Validator {
    metadata: Arc<dyn MetadataStore>,
    tiers: Tiers,
}

impl Validator {
    /// Over the store's parts.
    pub fn new(metadata: Arc<dyn MetadataStore>, tiers: Tiers) -> Self {
        Self { metadata, tiers }
    }

    /// Reads everything: rows against one another, every blob's bytes against its hash, every file against
    /// its row. `progress` is told now and then.
    pub async fn run(&self, progress: &(dyn Fn(Progress) + Sync)) -> Result<Report> {
        let mut report = Report::default();
        for rows in self.metadata.inconsistencies().await? {
            report.findings.push(Finding { code: rows.code, detail: rows.detail });
        }
        if report.findings.iter().any(|finding| finding.code == "database-damaged") {
            // Its rows cannot be held against anything.
            return Ok(report);
        }
        self.check_kept(&mut report).await?;
        self.check_leaves(&mut report, progress).await?;
        self.check_files(&mut report, progress).await?;
        Ok(report)
    }

    /// Segments that a start on an older database did not dare to touch.
    async fn check_kept(&self, report: &mut Report) -> Result<()> {
        for KeptSegment { segment, unknown_records } in self.metadata.kept_segments().await? {
            let (id, tier) = (segment.id, segment.tier.as_str());
            let records =
                unknown_records.map_or("an unknown number of".to_owned(), |records| records.to_string());
            let detail = format!(
                "segment {id} on the {tier} tier holds {records} records that the database does not know, since it was \
                 older than the tier at a start: restore a newer database, look for the bytes with `validate --rebuild` \
                 over an empty one, or give them up with `stuck give-up {id}`"
            );
            report.findings.push(Finding { code: "segment-kept", detail });
        }
        Ok(())
    }

    async fn check_leaves(&self, report: &mut Report, progress: &(dyn Fn(Progress) + Sync)) -> Result<()> {
        let mut after = None;
        // By tier: blobs that are gone with many others, which is one finding.
        let mut in_bulk: BTreeMap<&'static str, (String, u64)> = BTreeMap::new();
        loop {
            let page = self.metadata.scan_leaves(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            for leaf in &page {
                if leaf.quarantined {
                    report.findings.push(Finding { code: "blob-quarantined", detail: leaf.to_string() });
                } else if let LeafVerdict::Damaged(code) =
                    LeafCheck::new(leaf.clone()).advance(&self.tiers, u64::MAX).await?
                    && still_there(self.metadata.as_ref(), leaf).await?
                {
                    let Location { tier, segment, .. } = leaf.location;
                    if code == MISSING || code == UNREADABLE {
                        if let Some((_, blobs)) = in_bulk.get_mut(tier.as_str()) {
                            *blobs += 1;
                            continue;
                        }
                        match absence::check(self.metadata.as_ref(), &self.tiers, tier, Some(segment)).await {
                            Ok(()) => {}
                            Err(error @ Error::TierAbsent { .. }) => {
                                in_bulk.insert(tier.as_str(), (error.to_string(), 1));
                                continue;
                            }
                            Err(error) => return Err(error),
                        }
                    }
                    report.findings.push(Finding { code, detail: leaf.to_string() });
                }
                report.checked.blobs += 1;
                report.checked.bytes += leaf.location.length;
                progress(report.checked);
            }
        }
        for (why, blobs) in in_bulk.into_values() {
            report.findings.push(Finding { code: "tier-absent", detail: format!("{why}: {blobs} blobs") });
        }
        Ok(())
    }

    /// Every file has a row. (Every row's file was read through its leaves; a sealed segment without leaves
    /// is GC's business.)
    async fn check_files(&self, report: &mut Report, progress: &(dyn Fn(Progress) + Sync)) -> Result<()> {
        for tier in StorageClass::ALL {
            let mut files = self.tiers.of(tier).list().await?.chunks(PAGE as usize);
            while let Some(chunk) = files.next().await {
                let mut unknown = HashSet::new();
                for file in chunk {
                    unknown.insert(file?);
                }
                report.checked.segments += unknown.len() as u64;
                progress(report.checked);
                self.strike_known(tier, &mut unknown).await?;
                for segment in unknown {
                    let detail = format!(
                        "segment {segment} on the {} tier has no row: the database may be older than the tiers",
                        tier.as_str()
                    );
                    report.findings.push(Finding { code: "file-unknown", detail });
                }
            }
        }
        Ok(())
    }

    /// Takes out of `segments` those that the metadata knows on this tier. A row comes before its file and
    /// goes after it, so a file listed earlier has its row now, unless GC has just removed both.
    async fn strike_known(&self, tier: StorageClass, segments: &mut HashSet<SegmentId>) -> Result<()> {
        for id in segments.clone() {
            if self.known(tier, id).await? || !self.exists(tier, id).await? {
                segments.remove(&id);
            }
        }
        Ok(())
    }

    async fn known(&self, tier: StorageClass, id: SegmentId) -> Result<bool> {
        let row: Option<SegmentRecord> = self.metadata.find_segment(id).await?;
        let is_known = row.is_some_and(|row| row.tier == tier || row.state == SegmentState::Condemned);
        // What came after it was removed is garbage collection's.
        Ok(is_known || self.metadata.is_late(id).await?)
    }

    async fn exists(&self, tier: StorageClass, id: SegmentId) -> Result<bool> {
        match self.tiers.of(tier).inspect(id).await {
            Err(SegmentError::Missing(_)) => Ok(false),
            // A file that cannot be read as a segment is there all the same.
            Ok(_) | Err(SegmentError::Corrupt { .. } | SegmentError::Unreadable { .. }) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }
}
