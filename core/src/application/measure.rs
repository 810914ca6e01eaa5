//! Gauges of what the store holds, brought up to date for a reader of the metrics.

use std::collections::BTreeMap;

use super::admin::{ENDING_SOON, ends_soon, tenants_in_use};
use super::error::Result;
use super::ports::metadata::SpaceUsage;
use super::store::Store;
use super::{metrics, workers};
use crate::domain::address::SpaceAddress;
use crate::domain::state::ObjectState;
use crate::domain::storage_class::StorageClass;

/// Most spaces with a label of their own in metrics.
const SPACES_MEASURED_MAX: usize = 500;

/// Up to which blobs in quarantine are counted for metrics: an alert asks for one, and a scrape must stay cheap.
const QUARANTINED_MEASURED_MAX: u32 = 1000;

/// Up to which credentials that end soon are counted.
const ENDING_MEASURED_MAX: u32 = 1000;

const OTHER: &str = "other";

impl Store {
    /// Brings the gauges of objects, bytes, quotas, credentials, background work and the database up to date. At most 500
    /// spaces have their own label, the others are summed up under `other`.
    pub async fn measure(&self) -> Result<()> {
        self.pools.measure();
        self.committer.measure();
        let usage = self.metadata.usage(None, None).await?;
        let mut spaces: BTreeMap<SpaceAddress, [u64; 2]> = BTreeMap::new();
        let mut bytes: BTreeMap<(String, StorageClass), u64> = BTreeMap::new();
        for figures in &usage {
            let [committed, deleting] = spaces.entry(figures.address.clone()).or_default();
            *committed += figures.objects;
            *deleting += figures.deleting;
            let known = spaces.len() <= SPACES_MEASURED_MAX;
            let namespace = if known { figures.address.namespace.as_str() } else { OTHER };
            *bytes.entry((namespace.to_owned(), figures.class)).or_default() += figures.physical_bytes;
        }
        let writing: BTreeMap<_, _> = self.metadata.writing().await?.into_iter().collect();
        let mut other = [0; 3];
        for (index, (address, [committed, deleting])) in spaces.iter().enumerate() {
            let states = [writing.get(address).copied().unwrap_or_default(), *committed, *deleting];
            if index < SPACES_MEASURED_MAX {
                measure_space(address.namespace.as_str(), address.tenant.as_str(), states);
            } else {
                other.iter_mut().zip(states).for_each(|(sum, count)| *sum += count);
            }
        }
        if spaces.len() > SPACES_MEASURED_MAX {
            measure_space(OTHER, OTHER, other);
        }
        for ((namespace, class), bytes) in bytes {
            metrics::storage_bytes(&namespace, class, bytes);
        }
        self.measure_quotas(&usage).await?;
        self.measure_credentials().await?;
        self.measure_upkeep().await?;
        metrics::database_bytes(self.metadata.size().await?);
        Ok(())
    }

    async fn measure_quotas(&self, usage: &[SpaceUsage]) -> Result<()> {
        let defaults = self.limits.defaults();
        let tenants = tenants_in_use(self.metadata.list_tenant_limits().await?, usage);
        let quotas =
            tenants.into_iter().map(|(tenant, (said, held))| (tenant, said.over(&defaults).quota, held));
        self.quotas_shown.show(quotas.filter(|(_, quota, _)| !quota.is_unlimited()));
        Ok(())
    }

    async fn measure_credentials(&self) -> Result<()> {
        let now = self.clock.now();
        let by = now.plus(ENDING_SOON);
        let mut ending = self.metadata.ending_credentials(now, by, ENDING_MEASURED_MAX).await?;
        ending.retain(|one| ends_soon(one, now));
        metrics::credentials_ending(ending.len(), ending.first().and_then(|first| first.expires_at));
        Ok(())
    }

    async fn measure_upkeep(&self) -> Result<()> {
        let stuck: BTreeMap<_, _> = self.metadata.count_stuck().await?.into_iter().collect();
        for worker in workers::NAMES {
            metrics::stuck(worker, stuck.get(worker).copied().unwrap_or_default());
        }
        metrics::quarantined(self.metadata.quarantined(None, QUARANTINED_MEASURED_MAX).await?.len());
        let (now, retained) = (self.clock.now(), self.metadata.retained().await?);
        let holds = self.metadata.holds().await?.iter().filter(|hold| hold.expires_at > now).count();
        metrics::retained(holds, retained.segments, retained.bytes);
        Ok(())
    }
}

fn measure_space(namespace: &str, tenant: &str, states: [u64; 3]) {
    for (state, count) in ObjectState::ALL.into_iter().zip(states) {
        metrics::objects(namespace, tenant, state.as_str(), count);
    }
}
