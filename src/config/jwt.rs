//! Which JSON web tokens are let in, where their keys come from, and where their claims stand.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use axum::http::Uri;
use juststorage_core::application::access::{ClaimNames, ClaimPath, JwtRules, KeySetPace, SECRET_BYTES_MIN};
use juststorage_core::domain::address::Tenant;

use super::listen::{is_loopback, timeout};
use super::names::{JWT_JWKS, JWT_JWKS_REFRESH, JWT_SECRET};
use super::{ConfigError, Settings, duration, names};

/// Longest time that a fetch may take: a request may wait for it.
const TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// Longest time between two fetches: a key that is withdrawn stays in force until then.
const EVERY_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Which JSON web tokens are let in.
#[derive(Clone)]
pub struct JwtConfig {
    /// The keys that they are signed with.
    pub source: JwtSource,
    /// Claims that they must have, and the names of claims: `JUSTSTORAGE_JWT_ISSUER`, `…_AUDIENCE`, `…_CLAIM_…`, `…_TENANT` and
    /// `…_RIGHTS_PREFIX`.
    pub rules: JwtRules,
}

/// Where the keys of JSON web tokens come from.
#[derive(Clone)]
pub enum JwtSource {
    /// `JUSTSTORAGE_JWT_SECRET`.
    Secret(String),
    /// `JUSTSTORAGE_JWT_JWKS`, a file.
    File(PathBuf),
    /// `JUSTSTORAGE_JWT_JWKS`, a URL, and how often it is asked: `…_REFRESH`, `…_REFRESH_MIN` and `…_TIMEOUT`.
    Url(Uri, KeySetPace),
}

impl JwtConfig {
    /// Judges `settings`.
    pub fn new(settings: &Settings) -> Result<Option<Self>, ConfigError> {
        let source = match (&settings.jwt_secret, &settings.jwt_jwks) {
            (None, None) => {
                let why = format!("needs {JWT_SECRET} or {JWT_JWKS}");
                return match dependent(settings).chain(of_url(settings)).find(|(_, value)| value.is_some()) {
                    Some((setting, _)) => Err(ConfigError::new(setting, why)),
                    None => Ok(None),
                };
            }
            (Some(_), Some(_)) => {
                return Err(ConfigError::new(
                    names::JWT_JWKS,
                    format!("cannot be set together with {JWT_SECRET}"),
                ));
            }
            (Some(secret), None) if secret.len() < SECRET_BYTES_MIN => {
                return Err(ConfigError::new(
                    names::JWT_SECRET,
                    format!("must have at least {SECRET_BYTES_MIN} bytes"),
                ));
            }
            (Some(secret), None) => JwtSource::Secret(secret.clone()),
            (None, Some(place)) if place.contains("://") => JwtSource::Url(url(place)?, pace(settings)?),
            (None, Some(path)) => JwtSource::File(PathBuf::from(path)),
        };
        if !matches!(source, JwtSource::Url(..))
            && let Some((setting, _)) = of_url(settings).find(|(_, value)| value.is_some())
        {
            return Err(ConfigError::new(setting, format!("means nothing unless {JWT_JWKS} is a URL")));
        }
        Ok(Some(Self { source, rules: rules(settings)? }))
    }
}

type Given<'s> = (&'static str, Option<&'s String>);

/// The settings that mean nothing unless tokens are let in.
fn dependent(settings: &Settings) -> impl Iterator<Item = Given<'_>> {
    [
        (names::JWT_ISSUER, &settings.jwt_issuer),
        (names::JWT_AUDIENCE, &settings.jwt_audience),
        (names::JWT_CLAIM_SUBJECT, &settings.jwt_claim_subject),
        (names::JWT_CLAIM_TENANT, &settings.jwt_claim_tenant),
        (names::JWT_CLAIM_TENANTS, &settings.jwt_claim_tenants),
        (names::JWT_CLAIM_NAMESPACES, &settings.jwt_claim_namespaces),
        (names::JWT_CLAIM_PREFIXES, &settings.jwt_claim_prefixes),
        (names::JWT_CLAIM_RIGHTS, &settings.jwt_claim_rights),
        (names::JWT_TENANT, &settings.jwt_tenant),
        (names::JWT_RIGHTS_PREFIX, &settings.jwt_rights_prefix),
    ]
    .into_iter()
    .map(|(setting, value)| (setting, value.as_ref()))
}

/// Those that mean nothing unless the keys are published at a URL.
fn of_url(settings: &Settings) -> impl Iterator<Item = Given<'_>> {
    [
        (names::JWT_JWKS_REFRESH, &settings.jwt_jwks_refresh),
        (names::JWT_JWKS_REFRESH_MIN, &settings.jwt_jwks_refresh_min),
        (names::JWT_JWKS_TIMEOUT, &settings.jwt_jwks_timeout),
    ]
    .into_iter()
    .map(|(setting, value)| (setting, value.as_ref()))
}

fn url(text: &str) -> Result<Uri, ConfigError> {
    let refused = || {
        ConfigError::new(
            names::JWT_JWKS,
            "must be a file, or a URL such as https://id.example.com/keys: https, or http to a loopback address, \
             without user and password",
        )
    };
    let url: Uri = text.parse().map_err(|_| refused())?;
    let authority = url.authority().filter(|authority| !authority.as_str().contains('@'));
    let host = authority.map(http::uri::Authority::host).filter(|host| !host.is_empty());
    let host = host.filter(|_| !text.contains('#')).ok_or_else(refused)?;
    let address: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    match url.scheme_str() {
        Some("https") => Ok(url),
        // An attacker who can change the answer on its way can sign tokens.
        Some("http") if host == "localhost" || address.is_some_and(is_loopback) => Ok(url),
        _ => Err(refused()),
    }
}

fn pace(settings: &Settings) -> Result<KeySetPace, ConfigError> {
    let time = |setting, text: &Option<String>, seconds| match text.as_deref().map(duration::parse) {
        None => Ok(Duration::from_secs(seconds)),
        Some(Ok(time)) if time >= Duration::from_secs(1) => Ok(time),
        Some(Ok(_)) => Err(ConfigError::new(setting, "must be at least 1s")),
        Some(Err(reason)) => Err(ConfigError::new(setting, reason)),
    };
    let every = time(names::JWT_JWKS_REFRESH, &settings.jwt_jwks_refresh, 300)?;
    // Unless set, no longer than the other may be.
    let least = match &settings.jwt_jwks_refresh_min {
        None => every.min(Duration::from_secs(30)),
        given => time(names::JWT_JWKS_REFRESH_MIN, given, 30)?,
    };
    if every > EVERY_MAX {
        return Err(ConfigError::new(names::JWT_JWKS_REFRESH, "must be at most 24h"));
    }
    if least > every {
        return Err(ConfigError::new(
            names::JWT_JWKS_REFRESH_MIN,
            format!("must be at most as long as {JWT_JWKS_REFRESH}"),
        ));
    }
    let timeout = timeout(names::JWT_JWKS_TIMEOUT, settings.jwt_jwks_timeout.as_deref(), 5)?;
    if timeout > TIMEOUT_MAX {
        return Err(ConfigError::new(names::JWT_JWKS_TIMEOUT, "must be at most 60s"));
    }
    Ok(KeySetPace { every, least, timeout })
}

fn rules(settings: &Settings) -> Result<JwtRules, ConfigError> {
    let path = |setting, text: &Option<String>, default| match text.as_deref().map(ClaimPath::parse) {
        None => Ok(default),
        Some(Ok(path)) => Ok(path),
        Some(Err(invalid)) => Err(ConfigError::new(setting, invalid.reason)),
    };
    let names = ClaimNames::default();
    let claims = ClaimNames {
        subject: path(names::JWT_CLAIM_SUBJECT, &settings.jwt_claim_subject, names.subject)?,
        tenant: path(names::JWT_CLAIM_TENANT, &settings.jwt_claim_tenant, names.tenant)?,
        tenants: path(names::JWT_CLAIM_TENANTS, &settings.jwt_claim_tenants, names.tenants)?,
        namespaces: path(names::JWT_CLAIM_NAMESPACES, &settings.jwt_claim_namespaces, names.namespaces)?,
        prefixes: path(names::JWT_CLAIM_PREFIXES, &settings.jwt_claim_prefixes, names.prefixes)?,
        rights: path(names::JWT_CLAIM_RIGHTS, &settings.jwt_claim_rights, names.rights)?,
    };
    let tenant = settings.jwt_tenant.as_deref().map(Tenant::new).transpose();
    let tenant = tenant.map_err(|invalid| ConfigError::new(names::JWT_TENANT, invalid.reason))?;
    Ok(JwtRules {
        issuer: settings.jwt_issuer.clone(),
        audience: settings.jwt_audience.clone(),
        claims,
        tenant,
        rights_prefix: settings.jwt_rights_prefix.clone(),
    })
}
