//! What the steps of all kinds of work have in common.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::application::ports::metadata::MetadataError;
use crate::application::ports::upstream::{UpstreamError, UpstreamLine, UpstreamPage, UpstreamQuery};
use crate::application::store::Store;
use crate::application::upstream::Link;
use crate::domain::space::Space;
use crate::domain::upstream::Binding;

/// Keys of one page.
pub(super) const PAGE: u32 = 1000;

/// Pages without an object that follow each other, at most: the upstream that answers more of them cannot be listed.
const EMPTY_PAGES_MAX: u32 = 1000;

/// A step ends after this: it must be shorter than its lease.
pub(super) const STEP: Duration = Duration::from_secs(20);

/// Findings that a report names; the others are counted.
pub(super) const NAMED_MAX: usize = 1000;

/// Where a pass goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// Behind this key.
    pub(super) after: Option<String>,
}

/// One thing that a person should look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Finding {
    pub(super) key: String,
    pub(super) verdict: String,
    pub(super) why: String,
}

/// Adds a finding to those that a report names.
pub(super) fn name(findings: &mut Vec<Finding>, key: &str, verdict: &str, why: impl Into<String>) {
    if findings.len() < NAMED_MAX {
        let mut why: String = why.into();
        why.truncate(why.floor_char_boundary(300));
        findings.push(Finding { key: key.to_owned(), verdict: verdict.to_owned(), why });
    }
}

/// A pass as a step finds it.
pub(super) struct PassStep<'a> {
    pub(super) store: &'a Store,
    pub(super) space: Space,
    pub(super) binding: &'a Binding,
    pub(super) link: Arc<Link>,
    pub(super) place: Place,
    pub(super) started: Instant,
}

impl PassStep<'_> {
    /// The next page behind `after` that has an object, or the last one. A page may be cut off although it is empty, or has only keys that
    /// cannot be used: a pass that took it for the last one would end early.
    pub(super) async fn list(
        &self,
        after: Option<String>,
        limit: u32,
    ) -> Result<UpstreamPage, UpstreamError> {
        let mut query = UpstreamQuery { after, limit, ..UpstreamQuery::default() };
        let mut unusable = Vec::new();
        for _ in 0..EMPTY_PAGES_MAX {
            let mut page = self.link.list(&query).await?;
            unusable.append(&mut page.unusable);
            if page.next.is_none() || page.lines.iter().any(|line| matches!(line, UpstreamLine::Object(_))) {
                return Ok(UpstreamPage { unusable, ..page });
            }
            query.token = page.next;
        }
        Err(UpstreamError::Unusable("it lists one page without an object after the other".to_owned()))
    }

    pub(super) fn is_over(&self) -> bool {
        self.started.elapsed() >= STEP
    }
}

/// This store's database did not answer as it should.
#[allow(clippy::needless_pass_by_value)] // as `map_err` passes it
pub(super) fn away(error: MetadataError) -> UpstreamError {
    UpstreamError::Away(format!("this store's database: {error}"))
}

/// What a step came to.
pub(super) struct Stepped<R> {
    pub(super) report: R,
    /// Where the pass goes on; `None` if it is done.
    pub(super) place: Option<Place>,
    pub(super) items: u64,
    /// Requests made and bytes read, for the pace.
    pub(super) requests: u64,
    pub(super) bytes: u64,
}
