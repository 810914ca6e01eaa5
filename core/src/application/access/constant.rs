//! Whether the master key is the store's: a constant that it sealed must open.

use uuid::Uuid;

use super::seal::MasterKeys;
use crate::application::error::{Error, Result};
use crate::application::ports::metadata::{Credential, CredentialKind, MetadataStore, StoreRecord};
use crate::domain::identity::{SealFacts, SealVerdict, StoreId, judge_seal};
use crate::domain::timestamp::Timestamp;

/// What the constant is bound to. No access key is called like this: it has blanks.
const NAME: &str = "the store's constant";

/// The constant.
const CONSTANT: &[u8] = b"sealed with this store's master key";

/// Why a master key is not the store's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it does not open what the database holds: the store was used with another master key")]
pub struct WrongMasterKey;

/// Whether the database holds anything that a master key sealed: then a fresh one would open nothing.
pub async fn is_sealed(metadata: &dyn MetadataStore, now: Timestamp) -> Result<bool> {
    let record = metadata.store_record(StoreId(Uuid::new_v4()), now).await?;
    Ok(record.sealed.is_some() || !sealed_keys(metadata).await?.is_empty())
}

/// Finds out whether `keys` are the store's master keys. Seals the constant with them if there is none yet and every secret opens.
pub async fn prove(
    metadata: &dyn MetadataStore,
    keys: &MasterKeys,
    now: Timestamp,
) -> Result<std::result::Result<(), WrongMasterKey>> {
    let record = metadata.store_record(StoreId(Uuid::new_v4()), now).await?;
    let constant = record.sealed.as_ref().map(|sealed| keys.open(NAME, sealed).is_some());
    let secrets = if constant.is_some() { Vec::new() } else { sealed_keys(metadata).await? };
    let opened = secrets.iter().filter(|key| keys.open(&key.lookup, &key.secret).is_some()).count();
    match judge_seal(SealFacts { constant, secrets: secrets.len(), opened }) {
        SealVerdict::Right => Ok(Ok(())),
        SealVerdict::Wrong => Ok(Err(WrongMasterKey)),
        SealVerdict::New => {
            let sealed = keys.seal(NAME, CONSTANT).ok_or(Error::Internal)?;
            if metadata.seal_store(None, &sealed).await? {
                return Ok(Ok(()));
            }
            // Another server was faster, perhaps with another key.
            let record = metadata.store_record(StoreId(Uuid::new_v4()), now).await?;
            Ok(record.sealed.and_then(|sealed| keys.open(NAME, &sealed)).map(drop).ok_or(WrongMasterKey))
        }
        SealVerdict::PartlyLost => {
            tracing::error!(
                lost = secrets.len() - opened,
                "the master key does not open the secrets of some S3 credentials: revoke them and make new ones, or run `key \
                 rotate-master --revoke-lost`"
            );
            Ok(Ok(()))
        }
    }
}

/// Seals the constant with the newer of `keys`, once every secret is. `give_up`: also if neither key opens it.
pub(super) async fn reseal(
    metadata: &dyn MetadataStore,
    keys: &MasterKeys,
    give_up: bool,
    now: Timestamp,
) -> Result<()> {
    let record: StoreRecord = metadata.store_record(StoreId(Uuid::new_v4()), now).await?;
    let was = record.sealed.as_deref();
    if was.is_some_and(|sealed| keys.is_current(NAME, sealed)) {
        return Ok(());
    }
    if was.is_some_and(|sealed| keys.open(NAME, sealed).is_none()) && !give_up {
        return Ok(());
    }
    let sealed = keys.seal(NAME, CONSTANT).ok_or(Error::Internal)?;
    // If it has changed meanwhile, another process seals it anew.
    metadata.seal_store(was, &sealed).await?;
    Ok(())
}

/// The credentials whose secrets are sealed and still in use.
async fn sealed_keys(metadata: &dyn MetadataStore) -> Result<Vec<Credential>> {
    let mut keys = metadata.list_credentials(None).await?;
    keys.retain(|key| key.kind == CredentialKind::S3 && key.revoked_at.is_none());
    Ok(keys)
}
