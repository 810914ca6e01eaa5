//! Configuration: one small struct per concern, validated once at start.
//!
//! [`settings::Settings`] holds the text that an operator typed. The structs here hold its meaning; their values are
//! valid.

pub mod access;
pub mod amount;
pub mod duration;
pub mod environment;
pub mod jwt;
pub mod limits;
pub mod listen;
pub mod logging;
pub mod minio;
pub mod names;
pub mod secrets;
pub mod settings;
pub mod storage;
pub mod tiers;

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use juststorage_core::domain::lifecycle::Day;

pub use access::{AccessConfig, MasterKeySource};
pub use jwt::{JwtConfig, JwtSource};
pub use limits::LimitsConfig;
pub use listen::{ListenConfig, TlsConfig};
pub use logging::{LogConfig, LogFormat};
pub use settings::Settings;
pub use storage::{DatabaseUrl, StorageConfig};
pub use tiers::TierUrl;

/// A refused setting: its name and the reason. Never repeats a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {reason}")]
pub struct ConfigError {
    /// The setting, by the name of its environment variable.
    pub setting: Cow<'static, str>,
    /// The fault, and a valid form.
    pub reason: String,
}

impl ConfigError {
    /// A refusal of `setting` because of `reason`.
    pub fn new(setting: &'static str, reason: impl Into<String>) -> Self {
        Self { setting: setting.into(), reason: reason.into() }
    }
}

/// The configuration of `serve`.
#[derive(Clone)]
pub struct Config {
    /// Storage.
    pub storage: StorageConfig,
    /// Addresses of the fronts.
    pub listen: ListenConfig,
    /// Authentication.
    pub access: AccessConfig,
    /// Limits of tenants.
    pub limits: LimitsConfig,
    /// Source of the master key.
    pub master_key: MasterKeySource,
    /// `JUSTSTORAGE_UPLOAD_EXPIRY`: age at which an unfinished upload is aborted; 7 days.
    pub upload_expiry: Duration,
    /// `JUSTSTORAGE_LIFECYCLE_DAY`: length of a day in lifecycle rules; 24 hours, less for tests.
    pub lifecycle_day: Day,
    /// `JUSTSTORAGE_SCRUB_EVERY`: time from the start of a scrub pass to the start of the next one; 14 days. Zero: no
    /// scrubbing.
    pub scrub_every: Duration,
    /// `JUSTSTORAGE_BOOTSTRAP`: file of what the store is to have; none.
    pub bootstrap: Option<PathBuf>,
    /// `JUSTSTORAGE_SHUTDOWN_GRACE`: time for open requests after SIGTERM; 30 seconds.
    pub shutdown_grace: Duration,
    /// `JUSTSTORAGE_SHUTDOWN_DELAY`: time after SIGTERM in which `/ready` is 503 and requests are taken; none.
    pub shutdown_delay: Duration,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Config {
    /// Validates `settings`. The error is the first refused one.
    pub fn new(settings: &Settings) -> Result<Self, ConfigError> {
        let listen = ListenConfig::new(settings)?;
        let storage = StorageConfig::new(settings)?;
        let age = |setting, text: Option<&str>, default| match text {
            None => Ok(default),
            Some(text) => duration::parse(text).map_err(|reason| ConfigError::new(setting, reason)),
        };
        let upload_expiry = age(names::UPLOAD_EXPIRY, settings.upload_expiry.as_deref(), 7 * DAY)?;
        if upload_expiry.is_zero() {
            return Err(ConfigError::new(names::UPLOAD_EXPIRY, "must be longer than 0s"));
        }
        let lifecycle_day = lifecycle_day(settings)?;
        Ok(Self {
            access: AccessConfig::new(settings, &listen)?,
            limits: LimitsConfig::new(settings)?,
            master_key: MasterKeySource::new(settings, &storage)?,
            upload_expiry,
            lifecycle_day,
            bootstrap: settings.bootstrap.clone(),
            scrub_every: age(names::SCRUB_EVERY, settings.scrub_every.as_deref(), 14 * DAY)?,
            shutdown_grace: age(
                names::SHUTDOWN_GRACE,
                settings.shutdown_grace.as_deref(),
                Duration::from_secs(30),
            )?,
            shutdown_delay: age(names::SHUTDOWN_DELAY, settings.shutdown_delay.as_deref(), Duration::ZERO)?,
            listen,
            storage,
        })
    }
}

/// `JUSTSTORAGE_LIFECYCLE_DAY`. Below a second, the worker could not keep up.
pub fn lifecycle_day(settings: &Settings) -> Result<Day, ConfigError> {
    let Some(text) = settings.lifecycle_day.as_deref() else { return Ok(Day::REAL) };
    let length = duration::parse(text).map_err(|reason| ConfigError::new(names::LIFECYCLE_DAY, reason))?;
    if (Duration::from_secs(1)..=DAY).contains(&length) {
        return Ok(Day::of(length));
    }
    Err(ConfigError::new(names::LIFECYCLE_DAY, "must be 1s to 24h"))
}

#[cfg(test)]
mod tests;
