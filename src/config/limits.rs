//! Default limits of tenants.

use juststorage_core::domain::limits::{Limits, Quota};

use super::{ConfigError, Settings, amount, names};

/// Requests per processor that the server works on at once before tenants take turns.
const TURNS_PER_PROCESSOR: usize = 128;

/// The default limits of tenants, and how tenants share one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitsConfig {
    /// `JUSTSTORAGE_LIMIT_…` and `JUSTSTORAGE_QUOTA_…`: none.
    pub defaults: Limits,
    /// `JUSTSTORAGE_TURNS`: requests that the server works on at once before tenants take turns; 128 per
    /// processor.
    pub turns: usize,
}

impl LimitsConfig {
    /// Validates `settings`.
    pub fn new(settings: &Settings) -> Result<Self, ConfigError> {
        let read = |setting, text: &Option<String>| {
            let limit = text.as_deref().map(amount::parse).transpose();
            limit.map_err(|reason| ConfigError::new(setting, reason))
        };
        let requests = read(names::LIMIT_REQUESTS_PER_SECOND, &settings.limit_requests_per_second)?;
        let concurrent = read(names::LIMIT_CONCURRENT_REQUESTS, &settings.limit_concurrent_requests)?;
        let upload = read(names::LIMIT_UPLOAD_BYTES_PER_SECOND, &settings.limit_upload_bytes_per_second)?;
        let download =
            read(names::LIMIT_DOWNLOAD_BYTES_PER_SECOND, &settings.limit_download_bytes_per_second)?;
        let quota = Quota {
            bytes: read(names::QUOTA_BYTES, &settings.quota_bytes)?,
            objects: read(names::QUOTA_OBJECTS, &settings.quota_objects)?,
        };
        let defaults = Limits {
            requests_per_second: requests,
            concurrent_requests: concurrent,
            upload_bytes_per_second: upload,
            download_bytes_per_second: download,
            quota,
        };
        defaults.validate().map_err(|invalid| {
            let setting = match invalid.field {
                "requests_per_second" => names::LIMIT_REQUESTS_PER_SECOND,
                "concurrent_requests" => names::LIMIT_CONCURRENT_REQUESTS,
                "upload_bytes_per_second" => names::LIMIT_UPLOAD_BYTES_PER_SECOND,
                _ => names::LIMIT_DOWNLOAD_BYTES_PER_SECOND,
            };
            ConfigError::new(setting, invalid.reason)
        })?;
        let turns = match read(names::TURNS, &settings.turns)?.map(usize::try_from) {
            None => TURNS_PER_PROCESSOR * juststorage_core::cores(),
            Some(Ok(turns)) if turns > 0 => turns,
            Some(_) => return Err(ConfigError::new(names::TURNS, "must be at least 1")),
        };
        Ok(Self { defaults, turns })
    }
}
