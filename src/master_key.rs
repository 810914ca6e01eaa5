//! The master key of a store: found, verified, and created only where nothing was ever encrypted.

use juststorage_core::application::access::{MasterKeys, constant};

use crate::compose::Parts;
use crate::config::MasterKeySource;
use crate::config::names;
use crate::exit_error::ExitError;

/// The master keys, verified with the database. If the key belongs in the data directory, is missing there, and the
/// database holds nothing encrypted, it is created.
pub async fn open(parts: &Parts, source: &MasterKeySource) -> Result<MasterKeys, ExitError> {
    let now = parts.clock.now();
    let metadata = parts.metadata.as_ref();
    let keys = match parts.data_dir.master_keys(source)? {
        Some(keys) => keys,
        None if constant::is_sealed(metadata, now).await? => {
            return Err(ExitError::Unable(format!(
                "the master key {} is missing, and {} holds secrets that it sealed: restore it from its backup, or set \
                 JUSTSTORAGE_MASTER_KEY. {LOST}",
                parts.data_dir.master_key_file().display(),
                parts.storage().database
            )));
        }
        None => {
            parts.data_dir.make_master_key()?;
            made(parts, source)?
        }
    };
    match constant::prove(metadata, &keys, now).await? {
        Ok(()) => Ok(keys),
        Err(wrong) => Err(ExitError::Unable(format!(
            "{} is not the master key of {}: {wrong}. Nothing was changed. {LOST}",
            name(parts, source),
            parts.storage().database
        ))),
    }
}

/// As [`open`], for a store whose master key is lost for good: uses the present key unverified, and creates one if
/// there is none.
pub fn open_anyway(parts: &Parts, source: &MasterKeySource) -> Result<MasterKeys, ExitError> {
    if let Some(keys) = parts.data_dir.master_keys(source)? {
        return Ok(keys);
    }
    parts.data_dir.make_master_key()?;
    made(parts, source)
}

const LOST: &str = "If the right one is lost for good: `juststorage key rotate-master --revoke-lost` revokes the S3 keys \
                    that it sealed, and the store goes on with the present one";

fn made(parts: &Parts, source: &MasterKeySource) -> Result<MasterKeys, ExitError> {
    parts.data_dir.master_keys(source)?.ok_or_else(|| {
        ExitError::unable(format!("read {}", parts.data_dir.master_key_file().display()), "it is gone")
    })
}

/// The setting or file of the key.
fn name(parts: &Parts, source: &MasterKeySource) -> String {
    match source {
        MasterKeySource::Given(..) => names::MASTER_KEY.to_owned(),
        MasterKeySource::Kept => parts.data_dir.master_key_file().display().to_string(),
    }
}
