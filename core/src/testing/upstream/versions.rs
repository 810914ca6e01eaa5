//! Versions of an upstream in memory.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{FakeState, FakeUpstream, MODIFIED, Stored};
use crate::application::ports::upstream::{VersionsAfter, VersionsPage, VersionsQuery};
use crate::domain::mirror::versions::Listed;
use crate::domain::object::Tags;
use crate::domain::timestamp::Timestamp;

/// A version: its id, and what it is; a delete marker is nothing.
type Version = (String, Option<Stored>);

/// The versions that are kept.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) are: bool,
    /// One delete marker stands for all that follow each other, and none is made where nothing is.
    folds: bool,
    /// A marker is made on another one by the request for that.
    pub(super) makes_markers: bool,
    made: u64,
    /// The oldest first.
    of_key: BTreeMap<String, Vec<Version>>,
}

impl FakeState {
    /// A key has this from now on. The id of its version.
    pub(super) fn set(&mut self, key: &str, mut stored: Option<Stored>) -> Option<String> {
        let version = self.kept.are.then(|| {
            self.kept.made += 1;
            format!("v{}", self.kept.made)
        });
        if let Some(stored) = &mut stored {
            stored.said.version.clone_from(&version);
        }
        if let Some(version) = &version {
            self.kept.of_key.entry(key.to_owned()).or_default().push((version.clone(), stored.clone()));
        }
        match stored {
            Some(stored) => self.objects.insert(key.to_owned(), stored),
            None => self.objects.remove(key),
        };
        version
    }

    /// A key is removed. The id of the delete marker that is its latest version then.
    pub(super) fn hide(&mut self, key: &str) -> Option<String> {
        let latest = self.kept.of_key.get(key).and_then(|versions| versions.last());
        let is_hidden = latest.is_none_or(|(_, stored)| stored.is_none());
        if self.kept.are && self.kept.folds && is_hidden {
            return latest.map(|(id, _)| id.clone());
        }
        self.set(key, None)
    }

    /// What a key has was changed in place.
    pub(super) fn keep(&mut self, key: &str) {
        let stored = self.objects.get(key).cloned();
        if let Some(last) = self.kept.of_key.get_mut(key).and_then(|versions| versions.last_mut()) {
            last.1 = stored;
        }
    }

    pub(super) fn listed(&self, key: &str) -> Vec<Listed> {
        let versions = self.kept.of_key.get(key).into_iter().flatten().rev();
        let mut is_latest = true;
        let listed = versions.map(|(id, stored)| {
            // Each was made a second after the one before.
            let made: i64 = id.trim_start_matches('v').parse().unwrap_or_default();
            Listed {
                id: id.clone(),
                etag: stored.as_ref().map(|stored| stored.said.etag.clone()),
                size: stored.as_ref().map_or(0, |stored| stored.said.size),
                modified: Timestamp(MODIFIED.0 + 1000 * made),
                is_latest: std::mem::take(&mut is_latest),
            }
        });
        listed.collect()
    }

    /// A page of the versions of all keys, as S3 shows it: versions and markers apart from each other.
    pub(super) fn page_of_versions(&self, query: &VersionsQuery) -> VersionsPage {
        let mut page = VersionsPage::default();
        let mut last: Option<(String, String)> = None;
        for key in self.kept.of_key.keys() {
            let listed = self.listed(key);
            let from = match &query.after {
                VersionsAfter::Key(after) if key <= after => continue,
                VersionsAfter::Version(after, _) if key < after => continue,
                VersionsAfter::Version(after, version) if key == after => {
                    listed.iter().position(|listed| listed.id == *version).map_or(0, |at| at + 1)
                }
                _ => 0,
            };
            for listed in listed.into_iter().skip(from) {
                if page.lines.len() == query.limit.min(7) as usize {
                    let (key, version) = last.unwrap_or_default();
                    page.next = VersionsAfter::Version(key, version);
                    page.lines.sort_by_key(|(key, listed)| (key.clone(), listed.etag.is_none()));
                    return page;
                }
                last = Some((key.clone(), listed.id.clone()));
                page.lines.push((key.clone(), listed));
            }
        }
        page.lines.sort_by_key(|(key, listed)| (key.clone(), listed.etag.is_none()));
        page
    }

    pub(super) fn remove_version(&mut self, key: &str, version: &str) {
        let Some(versions) = self.kept.of_key.get_mut(key) else { return };
        versions.retain(|(id, _)| id != version);
        match versions.last().and_then(|(_, stored)| stored.clone()) {
            Some(stored) => self.objects.insert(key.to_owned(), stored),
            None => self.objects.remove(key),
        };
    }
}

impl FakeUpstream {
    /// Keeps versions of what is written from now on, or no more.
    pub fn keep_versions(&self, keeps: bool) {
        self.lock().kept.are = keeps;
    }

    /// Makes no delete marker where nothing shows, as `MinIO` does. On another marker it makes one by the request for that, if it
    /// offers it.
    pub fn fold_markers(&self, offers_request: bool) {
        let mut state = self.lock();
        (state.kept.folds, state.kept.makes_markers) = (true, offers_request);
    }

    /// The versions of a key, the oldest first: bytes, entity tag and tags; `None` of a delete marker.
    pub fn versions_of(&self, key: &str) -> Vec<Option<(Bytes, String, Tags)>> {
        let state = self.lock();
        let versions = state.kept.of_key.get(key).into_iter().flatten();
        let shown = |stored: &Stored| (stored.bytes.clone(), stored.said.etag.clone(), stored.tags.clone());
        versions.map(|(_, stored)| stored.as_ref().map(shown)).collect()
    }

    /// A version of a key is gone there, the oldest being the first, and nobody was asked.
    pub fn lose_version(&self, key: &str, nth: usize) {
        let mut state = self.lock();
        let id = state.kept.of_key.get(key).and_then(|versions| versions.get(nth)).map(|(id, _)| id.clone());
        state.remove_version(key, &id.expect("a version"));
    }

    /// Keys that have versions or delete markers.
    pub fn keys_with_versions(&self) -> Vec<String> {
        let state = self.lock();
        let kept = state.kept.of_key.iter().filter(|(_, versions)| !versions.is_empty());
        kept.map(|(key, _)| key.clone()).collect()
    }
}
