//! The first thing that a process does with a store: find out that database and tiers belong together.

use futures::StreamExt as _;
use uuid::Uuid;

use crate::application::ports::metadata::{MetadataError, MetadataStore, StoreRecord};
use crate::application::ports::segments::{SegmentError, SegmentStore};
use crate::application::tiers::Tiers;
use crate::domain::identity::{
    self, Mismatch, Purpose, StoreFacts, StoreId, TierFacts, TierId, TierMark, TierStep,
};
use crate::domain::storage_class::StorageClass;
use crate::domain::timestamp::Timestamp;

/// How many segments of a tier are looked for in a root that was never marked.
const SAMPLE: u32 = 64;

/// Why a store was not opened.
#[derive(Clone, Debug, thiserror::Error)]
pub enum IdentityError {
    /// The database and a tier do not belong together.
    #[error("the {} tier: {why}", class.as_str())]
    Mismatch {
        /// The database's store.
        store: StoreId,
        /// Which tier.
        class: StorageClass,
        /// What is wrong with it.
        why: Mismatch,
    },
    /// The database failed.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// A tier failed.
    #[error("the {} tier: {error}", class.as_str())]
    Tier {
        /// Which tier.
        class: StorageClass,
        /// How.
        error: SegmentError,
    },
}

/// A store whose database and tiers belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Established {
    /// Its id.
    pub store: StoreId,
    /// Whether both tiers have been marked by a server. Before, nothing can be done with them.
    pub tiers_in_use: bool,
}

/// Finds out whether the database and both roots belong together, and marks or records what is new. Both tiers are
/// entered afterwards, so that each knows what it is. Refuses without having changed anything.
pub async fn establish(
    metadata: &dyn MetadataStore,
    tiers: &Tiers,
    purpose: Purpose,
    now: Timestamp,
) -> Result<Established, IdentityError> {
    let record = metadata.store_record(StoreId(Uuid::new_v4()), now).await?;
    let facts = StoreFacts {
        hot: facts(metadata, tiers, StorageClass::Hot, &record).await?,
        cold: facts(metadata, tiers, StorageClass::Cold, &record).await?,
    };
    let plan = identity::judge(record.id, purpose, &facts)
        .map_err(|(class, why)| IdentityError::Mismatch { store: record.id, class, why })?;
    if plan.store != record.id && !metadata.adopt_store(record.id, plan.store).await? {
        // Another process was faster, and tied the database to other tiers.
        return Err(MetadataError::Contended("the store's id has changed; start again".to_owned()).into());
    }
    let mut tiers_in_use = true;
    for (class, step) in [(StorageClass::Hot, plan.hot), (StorageClass::Cold, plan.cold)] {
        let tier = tiers.of(class).as_ref();
        match step {
            TierStep::Carries(mark) => enter(tier, class, &mark).await?,
            TierStep::Record(mark) => record_and_enter(metadata, tier, mark, now).await?,
            TierStep::Mark => {
                let mark = TierMark { store: plan.store, tier: TierId(Uuid::new_v4()), class };
                let found =
                    tier.set_mark(&mark).await.map_err(|error| IdentityError::Tier { class, error })?;
                if found.class != class || found.store != plan.store {
                    // Another process marked it meanwhile, or it is the other tier's directory.
                    let why = if found.store == plan.store {
                        Mismatch::OtherClass(found)
                    } else {
                        Mismatch::OtherStore { found: found.store, expected: plan.store }
                    };
                    return Err(IdentityError::Mismatch { store: plan.store, class, why });
                }
                record_and_enter(metadata, tier, found, now).await?;
            }
            TierStep::Leave => tiers_in_use = false,
        }
    }
    Ok(Established { store: plan.store, tiers_in_use })
}

/// Whether either root carries a mark or holds a segment: a store lies there, whatever the database says.
pub async fn is_in_use(tiers: &Tiers) -> Result<bool, IdentityError> {
    for class in StorageClass::ALL {
        let failed = |error| IdentityError::Tier { class, error };
        let tier = tiers.of(class).as_ref();
        if tier.mark().await.map_err(failed)?.is_some() || holds_segments(tier).await.map_err(failed)? {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn record_and_enter(
    metadata: &dyn MetadataStore,
    tier: &dyn SegmentStore,
    mark: TierMark,
    now: Timestamp,
) -> Result<(), IdentityError> {
    let class = mark.class;
    let expected = metadata.record_tier(class, mark.tier, now).await?;
    if expected != mark.tier {
        // Another server began at the same time, with another root.
        let why = Mismatch::OtherTier { found: mark, expected };
        return Err(IdentityError::Mismatch { store: mark.store, class, why });
    }
    enter(tier, class, &mark).await
}

async fn enter(tier: &dyn SegmentStore, class: StorageClass, mark: &TierMark) -> Result<(), IdentityError> {
    tier.enter(mark).await.map_err(|error| IdentityError::Tier { class, error })
}

async fn facts(
    metadata: &dyn MetadataStore,
    tiers: &Tiers,
    class: StorageClass,
    record: &StoreRecord,
) -> Result<TierFacts, IdentityError> {
    let failed = |error| IdentityError::Tier { class, error };
    let tier = tiers.of(class).as_ref();
    let mark = tier.mark().await.map_err(failed)?;
    let recorded = match class {
        StorageClass::Hot => record.hot,
        StorageClass::Cold => record.cold,
    };
    if recorded.is_some() {
        return Ok(TierFacts { recorded, mark, ..TierFacts::default() });
    }
    let sample = metadata.sample_tier(class, SAMPLE).await?;
    let mut absent = 0;
    for id in &sample.segments {
        match tier.inspect(*id).await {
            Err(SegmentError::Missing(_)) => absent += 1,
            Err(error @ SegmentError::Unavailable { .. }) => return Err(failed(error)),
            // A file that is damaged is there.
            _ => {}
        }
    }
    Ok(TierFacts {
        recorded,
        mark,
        known: sample.known,
        sampled: sample.segments.len(),
        absent,
        holds_segments: holds_segments(tier).await.map_err(failed)?,
    })
}

async fn holds_segments(tier: &dyn SegmentStore) -> Result<bool, SegmentError> {
    Ok(tier.list().await?.next().await.transpose()?.is_some())
}
