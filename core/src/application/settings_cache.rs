//! What is set on spaces, remembered.

use std::sync::Arc;

use moka::Entry;
use moka::sync::Cache;

use crate::application::error::Result;
use crate::application::ports::metadata::MetadataStore;
use crate::domain::settings::SpaceSettings;
use crate::domain::space::{SettingsRevision, SpaceId};

/// Spaces whose documents are remembered.
const REMEMBERED_MAX: u64 = 1024;

/// Documents by space and revision. A space's row tells its revision with every request, so what is
/// remembered is never out of date, on whichever server it was changed.
#[derive(Clone)]
pub(crate) struct SettingsCache(Arc<Cache<SpaceId, Remembered>>);

type Remembered = (SettingsRevision, Arc<SpaceSettings>);

impl Default for SettingsCache {
    fn default() -> Self {
        Self(Arc::new(Cache::new(REMEMBERED_MAX)))
    }
}

impl SettingsCache {
    fn get(&self, space: SpaceId, revision: SettingsRevision) -> Option<Arc<SpaceSettings>> {
        // One that is newer was read after this request found the space: better still.
        self.0.get(&space).filter(|(known, _)| *known >= revision).map(|(_, settings)| settings)
    }

    fn put(&self, space: SpaceId, revision: SettingsRevision, settings: Arc<SpaceSettings>) {
        self.0.entry(space).and_upsert_with(|known| match known.map(Entry::into_value) {
            Some(newer) if newer.0 >= revision => newer,
            _ => (revision, settings),
        });
    }

    /// What is set on a space. Costs no look into the database unless it was changed since it was last looked at.
    pub(crate) async fn at(
        &self,
        spaces: &dyn MetadataStore,
        space: SpaceId,
        revision: SettingsRevision,
    ) -> Result<Arc<SpaceSettings>> {
        if revision.is_untouched() {
            return Ok(SpaceSettings::none());
        }
        if let Some(remembered) = self.get(space, revision) {
            return Ok(remembered);
        }
        let (revision, settings) = spaces.settings(space).await?;
        let settings = Arc::new(settings);
        self.put(space, revision, settings.clone());
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_revision_is_never_replaced_by_an_older_one() {
        let cache = SettingsCache::default();
        let (space, of) = (SpaceId(1), |n| (SettingsRevision(n), Arc::new(SpaceSettings::default())));
        let (two, second) = of(2);
        cache.put(space, two, second.clone());
        let (one, first) = of(1);
        cache.put(space, one, first);
        assert!(Arc::ptr_eq(&cache.get(space, one).unwrap_or_default(), &second));
        assert!(cache.get(space, SettingsRevision(3)).is_none());
    }
}
