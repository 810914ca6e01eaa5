//! What both sides list, side by side.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::step::{PAGE, PassStep, away};
use crate::application::ports::metadata::ListQuery;
use crate::application::ports::upstream::{UpstreamError, UpstreamLine};
use crate::application::upstream::kept;
use crate::domain::address::Key;
use crate::domain::space::Versioning;
use crate::domain::upstream::compare::Side;

/// A line of one side: entity tag and size.
pub(super) type Line = (String, u64);

/// A side of a comparison.
pub(super) fn side(line: Option<&Line>) -> Option<Side<'_>> {
    line.map(|(etag, size)| Side { etag, size: *size })
}

/// What both sides have under a key.
#[derive(Default)]
pub(super) struct Pair {
    pub(super) here: Option<Line>,
    pub(super) there: Option<Line>,
}

/// The keys of one page.
pub(super) struct Sides {
    pub(super) pairs: BTreeMap<String, Pair>,
    /// Keys that the upstream has and that cannot be one here.
    pub(super) unusable: Vec<String>,
    /// The last of them; `None` if nothing follows.
    pub(super) end: Option<String>,
}

impl Sides {
    /// The next page of keys behind `after`.
    pub(super) async fn page(step: &PassStep<'_>, after: Option<String>) -> Result<Self, UpstreamError> {
        let page = step.list(after.clone(), PAGE).await?;
        let mut pairs: BTreeMap<String, Pair> = BTreeMap::new();
        let mut last: Option<String> = None;
        for line in page.lines {
            let UpstreamLine::Object(object) = line else { continue };
            let key = object.key.as_str().to_owned();
            if last.as_ref().is_some_and(|last| key <= *last) {
                return Err(UpstreamError::Unusable(
                    "it does not list its keys in the order of their bytes".to_owned(),
                ));
            }
            let there = (kept::etag_of(&object.etag).as_str().to_owned(), object.size);
            pairs.entry(key.clone()).or_default().there = Some(there);
            last = Some(key);
        }
        let query = ListQuery {
            space: step.space.id,
            prefix: String::new(),
            from: after.map_or(Bound::Unbounded, Bound::Excluded),
            from_version: None,
            versions: false,
            versioned: step.space.versioning != Versioning::Off,
            keyless: false,
            limit: PAGE,
        };
        let here = step.store.metadata.list_latest(&query).await.map_err(away)?;
        // Each side is known up to its last line only, unless nothing follows it.
        let far_end = page.next.and(last);
        let is_cut = here.len() >= PAGE as usize;
        let near_end = here.last().filter(|_| is_cut).map(|line| line.key.as_str().to_owned());
        let end = [far_end, near_end].into_iter().flatten().min();
        for line in here {
            let here = (line.etag.as_str().to_owned(), line.size);
            pairs.entry(line.key.as_str().to_owned()).or_default().here = Some(here);
        }
        let mut sides = Self { pairs, unusable: page.unusable, end: None };
        sides.cut(end);
        Ok(sides)
    }

    /// Leaves out what lies behind `end`.
    pub(super) fn cut(&mut self, end: Option<String>) {
        if let Some(end) = &end {
            self.pairs.retain(|key, _| key <= end);
            self.unusable.retain(|key| key <= end);
        }
        self.end = end;
    }

    /// Those that can be keys here.
    pub(super) fn keys(&self) -> Vec<Key> {
        self.pairs.keys().filter_map(|key| Key::new(key).ok()).collect()
    }
}
