//! Configuration: one small struct per concern, judged once at start.
//!
//! [`settings::Settings`] is what an operator typed. The structs here are what it means; where one exists,
//! its values hold.

pub mod access;
pub mod amount;
pub mod duration;
pub mod environment;
pub mod limits;
pub mod listen;
pub mod logging;
pub mod settings;
pub mod storage;

use std::borrow::Cow;
use std::time::Duration;

use juststorage_core::domain::lifecycle::Day;

pub use access::{AccessConfig, JwtConfig, JwtSource, MasterKeySource};
pub use limits::LimitsConfig;
pub use listen::{ListenConfig, TlsConfig};
pub use logging::{LogConfig, LogFormat};
pub use settings::Settings;
pub use storage::{DatabaseUrl, StorageConfig, TierUrl};

/// A setting that cannot be accepted: which, and why. Never repeats a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {reason}")]
pub struct ConfigError {
    /// The setting, by the name of its environment variable.
    pub setting: Cow<'static, str>,
    /// What is wrong with it, and what would be right.
    pub reason: String,
}

impl ConfigError {
    /// A refusal of `setting` because of `reason`.
    pub fn new(setting: &'static str, reason: impl Into<String>) -> Self {
        Self { setting: setting.into(), reason: reason.into() }
    }
}

/// All that `serve` needs to know.
#[derive(Clone)]
pub struct Config {
    /// Where things are kept.
    pub storage: StorageConfig,
    /// Where the fronts listen.
    pub listen: ListenConfig,
    /// Who is let in.
    pub access: AccessConfig,
    /// What tenants may take up.
    pub limits: LimitsConfig,
    /// Where the key that encrypts stored secrets comes from.
    pub master_key: MasterKeySource,
    /// `JUSTSTORAGE_UPLOAD_EXPIRY`: age at which an unfinished upload is aborted; 7 days.
    pub upload_expiry: Duration,
    /// `JUSTSTORAGE_LIFECYCLE_DAY`: how long a day of lifecycle rules is; 24 hours, less for tests.
    pub lifecycle_day: Day,
    /// `JUSTSTORAGE_SCRUB_EVERY`: how long after the begin of a scrub pass the next one begins; 14 days. Zero: none
    /// begins.
    pub scrub_every: Duration,
    /// `JUSTSTORAGE_SHUTDOWN_GRACE`: how long requests may take to finish after SIGTERM; 30 seconds.
    pub shutdown_grace: Duration,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Config {
    /// Judges `settings`. The first that cannot be accepted is the error.
    pub fn new(settings: &Settings) -> Result<Self, ConfigError> {
        let listen = ListenConfig::new(settings)?;
        let storage = StorageConfig::new(settings)?;
        let age = |setting, text: Option<&str>, default| match text {
            None => Ok(default),
            Some(text) => duration::parse(text).map_err(|reason| ConfigError::new(setting, reason)),
        };
        let upload_expiry = age("JUSTSTORAGE_UPLOAD_EXPIRY", settings.upload_expiry.as_deref(), 7 * DAY)?;
        if upload_expiry.is_zero() {
            return Err(ConfigError::new("JUSTSTORAGE_UPLOAD_EXPIRY", "must be longer than 0s"));
        }
        let lifecycle_day = lifecycle_day(settings)?;
        Ok(Self {
            access: AccessConfig::new(settings, &listen)?,
            limits: LimitsConfig::new(settings)?,
            master_key: MasterKeySource::new(settings, &storage)?,
            upload_expiry,
            lifecycle_day,
            scrub_every: age("JUSTSTORAGE_SCRUB_EVERY", settings.scrub_every.as_deref(), 14 * DAY)?,
            shutdown_grace: age(
                "JUSTSTORAGE_SHUTDOWN_GRACE",
                settings.shutdown_grace.as_deref(),
                Duration::from_secs(30),
            )?,
            listen,
            storage,
        })
    }
}

/// `JUSTSTORAGE_LIFECYCLE_DAY`. Under a second, work would never catch up with time.
pub fn lifecycle_day(settings: &Settings) -> Result<Day, ConfigError> {
    const SETTING: &str = "JUSTSTORAGE_LIFECYCLE_DAY";
    let Some(text) = settings.lifecycle_day.as_deref() else { return Ok(Day::REAL) };
    let length = duration::parse(text).map_err(|reason| ConfigError::new(SETTING, reason))?;
    if (Duration::from_secs(1)..=DAY).contains(&length) {
        return Ok(Day::of(length));
    }
    Err(ConfigError::new(SETTING, "must be 1s to 24h"))
}

#[cfg(test)]
mod tests;
