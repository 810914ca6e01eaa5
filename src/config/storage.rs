//! Storage settings.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use juststorage_core::domain::limits::TRANSFER_BYTES_MIN;
use juststorage_core::domain::space::DedupScope;
use juststorage_core::infrastructure::metadata::{Connections, SqlMetadata};
use juststorage_core::infrastructure::segments::UpkeepPace;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::{ConfigError, Settings, TierUrl, amount, duration, names, tiers};

/// Characters that must be escaped in the path of a `sqlite://` URL.
const PATH_ESCAPED: &AsciiSet = &CONTROLS.add(b'%').add(b'?').add(b'#').add(b' ');

/// The default retention: longer than the copy of a database takes, which precedes the copy of the tiers.
const RETENTION: Duration = Duration::from_hours(1);

/// The default size of the read cache, and its least one, in bytes.
const CACHE: u64 = 10 << 30;
const CACHE_MIN: u64 = 16 << 20;

/// The default pace of background work on object stores: less than any store is slowed down by, and a day for 17 million requests.
const UPKEEP: UpkeepPace = UpkeepPace { requests_per_second: 200, bytes_per_second: 64 << 20 };

/// The data directory, the database and the tiers.
#[derive(Clone, Debug)]
pub struct StorageConfig {
    /// `JUSTSTORAGE_DATA_DIR`: `./data`.
    pub data_dir: PathBuf,
    /// `DATABASE_URL`: `sqlite://<data>/metadata.db`.
    pub database: DatabaseUrl,
    /// `JUSTSTORAGE_DATABASE_CONNECTIONS` (16) and `JUSTSTORAGE_DATABASE_PREPARED` (true).
    pub connections: Connections,
    /// `JUSTSTORAGE_HOT_URL`: `file://<data>/hot`.
    pub hot: TierUrl,
    /// `JUSTSTORAGE_COLD_URL`: `file://<data>/cold`.
    pub cold: TierUrl,
    /// `JUSTSTORAGE_CACHE_BYTES`: what is cached of tiers in object stores; 10 GiB. 0: nothing.
    pub cache_bytes: u64,
    /// `JUSTSTORAGE_UPKEEP_REQUESTS_PER_SECOND`, `JUSTSTORAGE_UPKEEP_BYTES_PER_SECOND`: what background work may ask of a tier
    /// in an object store; 200 and 64 MiB.
    pub upkeep: UpkeepPace,
    /// `JUSTSTORAGE_DEDUP`: `tenant`.
    pub dedup: DedupScope,
    /// `JUSTSTORAGE_RESERVE_BYTES`: a twentieth of each file system, 1 GiB at most.
    pub reserve: Option<u64>,
    /// `JUSTSTORAGE_RETENTION`: how long a segment without references is kept; 1 hour.
    pub retention: Duration,
}

impl StorageConfig {
    /// Validates `settings`.
    pub fn new(settings: &Settings) -> Result<Self, ConfigError> {
        let data_dir = settings.data_dir.clone().unwrap_or_else(|| PathBuf::from("./data"));
        let database = match &settings.database_url {
            Some(url) => DatabaseUrl::parse(url)?,
            None => DatabaseUrl::embedded(&data_dir.join("metadata.db"))?,
        };
        let tier = |name, url: Option<&str>, default: &str| {
            TierUrl::parse(name, url, &data_dir.join(default), tiers::environment)
        };
        let hot = tier(names::HOT_URL, settings.hot_url.as_deref(), "hot")?;
        let cold = tier(names::COLD_URL, settings.cold_url.as_deref(), "cold")?;
        if hot.is_same_place(&cold) {
            return Err(ConfigError::new(names::COLD_URL, "must differ from JUSTSTORAGE_HOT_URL"));
        }
        let dedup = match settings.dedup.as_deref() {
            None | Some("tenant") => DedupScope::Tenant,
            Some("space") => DedupScope::Space,
            Some("store") => DedupScope::Store,
            Some(_) => {
                return Err(ConfigError::new(names::DEDUP, "must be space, tenant or store"));
            }
        };
        let connections = connections(settings)?;
        let reserve = settings.reserve_bytes.as_deref().map(amount::parse).transpose();
        let reserve = reserve.map_err(|reason| ConfigError::new(names::RESERVE_BYTES, reason))?;
        let cache_bytes = cache_bytes(settings)?;
        let upkeep = upkeep(settings)?;
        let retention = match settings.retention.as_deref() {
            None => RETENTION,
            Some(text) => {
                duration::parse(text).map_err(|reason| ConfigError::new(names::RETENTION, reason))?
            }
        };
        Ok(Self {
            data_dir,
            database,
            connections,
            hot,
            cold,
            cache_bytes,
            upkeep,
            dedup,
            reserve,
            retention,
        })
    }

    /// Whether a tier is an object store.
    pub fn has_object_store(&self) -> bool {
        [&self.hot, &self.cold].iter().any(|tier| matches!(tier, TierUrl::ObjectStore(_)))
    }

    /// The directory of the read cache.
    pub fn cache_dir(&self) -> PathBuf {
        self.data_dir.join("cache")
    }
}

/// The size of the read cache.
fn cache_bytes(settings: &Settings) -> Result<u64, ConfigError> {
    let Some(text) = settings.cache_bytes.as_deref() else { return Ok(CACHE) };
    let refused = |reason: String| ConfigError::new(names::CACHE_BYTES, reason);
    match amount::parse(text).map_err(refused)? {
        bytes if bytes == 0 || bytes >= CACHE_MIN => Ok(bytes),
        _ => Err(refused("must be at least 16MiB, or 0 for no cache".to_owned())),
    }
}

/// The pace of background work on object stores.
fn upkeep(settings: &Settings) -> Result<UpkeepPace, ConfigError> {
    let read = |setting, text: Option<&str>, default| match text {
        None => Ok(default),
        Some(text) => amount::parse(text).map_err(|reason| ConfigError::new(setting, reason)),
    };
    let requests = settings.upkeep_requests_per_second.as_deref();
    let bytes = settings.upkeep_bytes_per_second.as_deref();
    let pace = UpkeepPace {
        requests_per_second: read(names::UPKEEP_REQUESTS_PER_SECOND, requests, UPKEEP.requests_per_second)?,
        bytes_per_second: read(names::UPKEEP_BYTES_PER_SECOND, bytes, UPKEEP.bytes_per_second)?,
    };
    if (1..TRANSFER_BYTES_MIN).contains(&pace.bytes_per_second) {
        let reason = "must be at least 64KiB, or 0 for no bound";
        return Err(ConfigError::new(names::UPKEEP_BYTES_PER_SECOND, reason));
    }
    Ok(pace)
}

/// Connections to PostgreSQL.
fn connections(settings: &Settings) -> Result<Connections, ConfigError> {
    let mut connections = Connections::default();
    if let Some(text) = &settings.database_connections {
        let most = text.trim().parse().ok().filter(|most| (2..=1000).contains(most));
        connections.most = most.ok_or_else(|| {
            ConfigError::new(names::DATABASE_CONNECTIONS, "must be a whole number, 2 to 1000")
        })?;
    }
    connections.prepared = settings.database_prepared.unwrap_or(connections.prepared);
    Ok(connections)
}

/// The URL of a metadata database that this version can use. Shown without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    fn parse(url: &str) -> Result<Self, ConfigError> {
        let known = ["sqlite:", "postgres://", "postgresql://"];
        if !known.iter().any(|scheme| url.starts_with(scheme)) || url.contains(":memory:") {
            return Err(ConfigError::new(
                names::DATABASE_URL,
                "must begin with sqlite:// or postgres://, and name a file or server",
            ));
        }
        let url = Self(url.to_owned());
        if !url.is_embedded() {
            SqlMetadata::check_url(url.reveal()).map_err(|why| ConfigError::new(names::DATABASE_URL, why))?;
        }
        Ok(url)
    }

    fn embedded(path: &Path) -> Result<Self, ConfigError> {
        let path =
            path.to_str().ok_or_else(|| ConfigError::new(names::DATA_DIR, "must be a path in UTF-8"))?;
        Ok(Self(format!("sqlite://{}", utf8_percent_encode(path, PATH_ESCAPED))))
    }

    /// Whether it is a file of this machine, not a server.
    pub fn is_embedded(&self) -> bool {
        self.0.starts_with("sqlite:")
    }

    /// The whole URL with its password: to connect, never to show.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Passwords stand before the last `@` of the authority, and may stand in the query too.
        let shown = self.0.split('?').next().unwrap_or_default();
        match shown.split_once("://") {
            Some((scheme, rest)) if !self.is_embedded() => {
                let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
                write!(f, "{scheme}://{host}")
            }
            _ => f.write_str(shown),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}
