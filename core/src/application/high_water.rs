//! How many commits are known to be durable, noted beside the segments and outside the database.
//!
//! The database counts its transactions of each server. A task beside the commits notes the count in the hot tier. A note is therefore never ahead of the database it was made for: a database that counts less than the
//! note says has lost commits, be it an older backup, or a log whose tail was lost. What its recovery then finds in the
//! tiers and does not know may be acknowledged. See `docs/decisions/0015-high-water-mark.md`.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::application::error::Result;
use crate::application::ports::metadata::{Catalogue, WriterId};
use crate::application::tiers::Tiers;

/// Notes the commits of one writer, beside them: no commit waits for it.
pub(crate) struct HighWater {
    committed: Arc<Notify>,
    end: CancellationToken,
    noting: JoinHandle<()>,
}

impl HighWater {
    /// Begins to note. Needs a tokio runtime.
    pub(crate) fn start(metadata: Arc<dyn Catalogue>, tiers: Tiers, writer: WriterId) -> Self {
        let (committed, end) = (Arc::new(Notify::new()), CancellationToken::new());
        let noting = tokio::spawn(keep_noting(metadata, tiers, writer, committed.clone(), end.clone()));
        Self { committed, end, noting }
    }

    /// A transaction has committed.
    pub(crate) fn committed(&self) {
        self.committed.notify_one();
    }

    /// No more transactions come: waits until those that did are noted.
    pub(crate) async fn end(mut self) {
        self.end.cancel();
        if let Err(error) = (&mut self.noting).await {
            tracing::error!(%error, "the last commits were not noted");
        }
    }
}

impl Drop for HighWater {
    fn drop(&mut self) {
        self.noting.abort();
    }
}

/// Notes the first commit after a rest at once, and those behind it in the tier's pace.
async fn keep_noting(
    metadata: Arc<dyn Catalogue>,
    tiers: Tiers,
    writer: WriterId,
    committed: Arc<Notify>,
    end: CancellationToken,
) {
    if let Err(error) = metadata.count_commits(writer).await {
        tracing::warn!(%error, "commits are not counted: a database that lost some would not be noticed");
    }
    loop {
        tokio::select! {
            biased;
            () = committed.notified() => {}
            () = end.cancelled() => return,
        }
        // All commits since the last note are one: those that come meanwhile have left a permit.
        note(metadata.as_ref(), &tiers, writer).await;
        let pace = tiers.hot.note_pace();
        if !pace.is_zero() {
            let _ = tokio::time::timeout(pace, end.cancelled()).await;
        }
    }
}

/// Notes how many commits of `writer` the database has, if they are counted. An older note is no reason to fail.
pub(crate) async fn note(metadata: &(impl Catalogue + ?Sized), tiers: &Tiers, writer: WriterId) {
    if let Err(error) = try_note(metadata, tiers, writer).await {
        tracing::debug!(%error, "the number of commits was not noted in the tiers");
    }
}

async fn try_note(metadata: &(impl Catalogue + ?Sized), tiers: &Tiers, writer: WriterId) -> Result<()> {
    let counts = metadata.commit_counts().await?;
    if let Some((_, commits)) = counts.into_iter().find(|(counted, _)| *counted == writer) {
        tiers.hot.note_commits(writer.0, commits).await?;
    }
    Ok(())
}

/// A writer of whose commits the database has lost some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Behind {
    /// Whose.
    pub(crate) writer: WriterId,
    /// As many commits were confirmed.
    pub(crate) noted: u64,
    /// As many the database has.
    pub(crate) known: u64,
}

/// Whether the database is older than the tiers: the writer that lost the most.
pub(crate) async fn behind(metadata: &(impl Catalogue + ?Sized), tiers: &Tiers) -> Result<Option<Behind>> {
    // The notes first: one that is written meanwhile is of a commit that the count then has.
    let notes = tiers.hot.commit_notes().await?;
    if notes.is_empty() {
        return Ok(None);
    }
    let counts = metadata.commit_counts().await?;
    let lost = notes.into_iter().map(|(writer, noted)| {
        let known = counts.iter().find(|(counted, _)| counted.0 == writer).map_or(0, |(_, commits)| *commits);
        Behind { writer: WriterId(writer), noted, known }
    });
    Ok(lost.filter(|lost| lost.noted > lost.known).max_by_key(|lost| lost.noted - lost.known))
}

/// From here on the database is taken as it is: every note says what it counts.
pub(crate) async fn accept(metadata: &(impl Catalogue + ?Sized), tiers: &Tiers) -> Result<()> {
    let notes = tiers.hot.commit_notes().await?;
    let counts = metadata.commit_counts().await?;
    for (writer, noted) in notes {
        let known = counts.iter().find(|(counted, _)| counted.0 == writer).map_or(0, |(_, commits)| *commits);
        if known < noted {
            tiers.hot.note_commits(writer, known).await?;
        }
    }
    Ok(())
}
