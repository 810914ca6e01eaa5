//! Authentication settings. The defaults are open only on loopback addresses.

use juststorage_core::application::access::{AuthMode, MasterKey, RootKey, check_access_key};
use juststorage_native_api::Origins;

use super::jwt::JwtConfig;
use super::listen::is_loopback;
use super::names::MASTER_KEY;
use super::{ConfigError, ListenConfig, Settings, StorageConfig, names};

/// Both parts of the root credential on a loopback address, unless set.
pub const ROOT_KEY_DEFAULT: &str = "juststorage";

/// Shortest secret of the root credential if other machines can reach the S3 front, in characters.
const SECRET_CHARS_MIN: usize = 16;

/// Shortest secret of the root credential on a loopback address, in characters.
const SECRET_CHARS_MIN_LOOPBACK: usize = 8;

/// How requests authenticate.
#[derive(Clone)]
pub struct AccessConfig {
    /// `JUSTSTORAGE_AUTH`: whether the native API requires credentials.
    pub mode: AuthMode,
    /// Whether pages of other origins are kept out of the native API: authentication is disabled, and only this machine
    /// reaches it.
    pub guarded: bool,
    /// `JUSTSTORAGE_CORS_ORIGINS`: origins whose pages may call the native API; none.
    pub origins: Origins,
    /// `JUSTSTORAGE_S3_ROOT_ACCESS_KEY` and `JUSTSTORAGE_S3_ROOT_SECRET_KEY`.
    pub root: RootKey,
    /// Whether the root credential is the well-known default, which may be shown.
    pub root_is_default: bool,
    /// Accepted JSON web tokens, if any.
    pub jwt: Option<JwtConfig>,
}

impl AccessConfig {
    /// Validates `settings` for fronts that listen as `listen` says.
    pub fn new(settings: &Settings, listen: &ListenConfig) -> Result<Self, ConfigError> {
        let mode = mode(settings, listen.native_is_loopback())?;
        // An operator that lets other machines in does not mean to keep pages out.
        let guarded =
            mode == AuthMode::Disabled && listen.native_is_loopback() && settings.insecure != Some(true);
        let origins = origins(settings, mode)?;
        let root = root(settings, is_loopback(listen.s3.ip()))?;
        let root_is_default = root.access_key == ROOT_KEY_DEFAULT && root.secret_key == ROOT_KEY_DEFAULT;
        Ok(Self { mode, guarded, origins, root, root_is_default, jwt: JwtConfig::new(settings)? })
    }
}

fn mode(settings: &Settings, loopback: bool) -> Result<AuthMode, ConfigError> {
    match settings.auth.as_deref() {
        None if loopback => Ok(AuthMode::Disabled),
        None | Some("required") => Ok(AuthMode::Required),
        Some("disabled") if loopback || settings.insecure == Some(true) => Ok(AuthMode::Disabled),
        Some("disabled") => Err(ConfigError::new(
            names::AUTH,
            "disabled lets everyone who reaches JUSTSTORAGE_NATIVE_ADDR or JUSTSTORAGE_ADMIN_ADDR do everything, and other machines \
             can reach it: use required, a loopback address, or add --insecure",
        )),
        Some(_) => Err(ConfigError::new(names::AUTH, "must be required or disabled")),
    }
}

fn origins(settings: &Settings, mode: AuthMode) -> Result<Origins, ConfigError> {
    let refused = |reason| ConfigError::new(names::CORS_ORIGINS, reason);
    let origins = Origins::parse(settings.cors_origins.as_deref().unwrap_or_default()).map_err(refused)?;
    if origins == Origins::Any && mode == AuthMode::Disabled {
        let reason = "* would let every page in the world do everything, since JUSTSTORAGE_AUTH is disabled: name the origins, \
                      or require credentials";
        return Err(refused(reason.to_owned()));
    }
    Ok(origins)
}

fn root(settings: &Settings, loopback: bool) -> Result<RootKey, ConfigError> {
    let (user, password) = if settings.root_of_minio {
        (names::MINIO_ROOT_USER, names::MINIO_ROOT_PASSWORD)
    } else {
        (names::S3_ROOT_ACCESS_KEY, names::S3_ROOT_SECRET_KEY)
    };
    let (access_key, secret_key) = match (&settings.s3_root_access_key, &settings.s3_root_secret_key) {
        (Some(access_key), Some(secret_key)) => (access_key.as_str(), secret_key.as_str()),
        (None, None) if loopback => (ROOT_KEY_DEFAULT, ROOT_KEY_DEFAULT),
        (None, None) => {
            return Err(ConfigError::new(
                user,
                "must be set, with JUSTSTORAGE_S3_ROOT_SECRET_KEY, because other machines can reach \
                 JUSTSTORAGE_S3_ADDR",
            ));
        }
        (Some(_), None) => {
            return Err(ConfigError::new(password, "must be set together with the access key"));
        }
        (None, Some(_)) => return Err(ConfigError::new(user, "must be set together with the secret key")),
    };
    check_access_key(access_key).map_err(|invalid| ConfigError::new(user, invalid.reason))?;
    let shortest = if loopback { SECRET_CHARS_MIN_LOOPBACK } else { SECRET_CHARS_MIN };
    if secret_key.chars().count() < shortest {
        return Err(ConfigError::new(password, format!("must have at least {shortest} characters")));
    }
    Ok(RootKey { access_key: access_key.to_owned(), secret_key: secret_key.to_owned() })
}

/// Source of the master key, which encrypts stored S3 secrets.
#[derive(Clone, Debug)]
pub enum MasterKeySource {
    /// `JUSTSTORAGE_MASTER_KEY`, and `JUSTSTORAGE_MASTER_KEY_PREVIOUS` while it is being replaced.
    Given(MasterKey, Option<MasterKey>),
    /// A file under the data directory, created at the first use. The database is in the same directory, so a
    /// reader of one can read the other anyway.
    Kept,
}

impl MasterKeySource {
    /// Validates `settings`. A database that several machines share needs a master key that they share too.
    pub fn new(settings: &Settings, storage: &StorageConfig) -> Result<Self, ConfigError> {
        let read = |setting, hex: &String| {
            MasterKey::from_hex(hex).map_err(|invalid| ConfigError::new(setting, invalid.reason))
        };
        let previous = settings
            .master_key_previous
            .as_ref()
            .map(|hex| read(names::MASTER_KEY_PREVIOUS, hex))
            .transpose()?;
        match &settings.master_key {
            Some(hex) => Ok(Self::Given(read(names::MASTER_KEY, hex)?, previous)),
            None if previous.is_some() => {
                Err(ConfigError::new(names::MASTER_KEY_PREVIOUS, format!("needs {MASTER_KEY}")))
            }
            None if storage.database.is_embedded() => Ok(Self::Kept),
            None => Err(ConfigError::new(
                names::MASTER_KEY,
                "must be set because DATABASE_URL is not embedded: it encrypts the S3 secrets kept there. \
                 Make one with: openssl rand -hex 32",
            )),
        }
    }
}
