//! Addresses of the fronts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use juststorage_core::domain::network::Network;
use juststorage_native_api::S3Endpoint;

use super::names::{TLS_CERT, TLS_KEY};
use super::{ConfigError, Settings, amount, duration, names};

/// The addresses of the two fronts, and the names by which clients reach them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenConfig {
    /// `JUSTSTORAGE_NATIVE_ADDR`: the native API; `127.0.0.1:8080`. Port 0 takes a free one.
    pub native: SocketAddr,
    /// `JUSTSTORAGE_ADMIN_ADDR`: the admin API, metrics and the console; none: on the native address.
    pub admin: Option<SocketAddr>,
    /// `JUSTSTORAGE_S3_ADDR`: the S3 front; `127.0.0.1:9000`. Port 0 takes a free one.
    pub s3: SocketAddr,
    /// `JUSTSTORAGE_S3_DOMAIN`: for virtual-host style; none.
    pub s3_domain: Option<String>,
    /// `JUSTSTORAGE_S3_PUBLIC_URL`: URL by which clients reach the S3 front, without a slash at its end; none.
    pub s3_public_url: Option<String>,
    /// `JUSTSTORAGE_S3_SIGV2`: whether Signature Version 2 is accepted; no.
    pub s3_sigv2: bool,
    /// `JUSTSTORAGE_S3_ACLS`: whether public ACLs grant access; no.
    pub s3_acls: bool,
    /// `JUSTSTORAGE_TRUSTED_PROXIES`: proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` count; none.
    pub trusted_proxies: Vec<Network>,
    /// `JUSTSTORAGE_REGION`: the region in answers; `us-east-1`.
    pub region: String,
    /// `JUSTSTORAGE_TLS_CERT` and `JUSTSTORAGE_TLS_KEY`: both fronts speak TLS; none.
    pub tls: Option<TlsConfig>,
    /// `JUSTSTORAGE_IDLE_TIMEOUT`: how long a client may take to send a request's headers, and a connection may be
    /// idle; 75 seconds, longer than SDKs keep theirs before they ping or drop them.
    pub idle_timeout: Duration,
    /// `JUSTSTORAGE_STALL_TIMEOUT`: how long a body may bring no byte, and a client may read no byte of an answer;
    /// 60 seconds.
    pub stall_timeout: Duration,
    /// `JUSTSTORAGE_UPLOAD_RATE_MIN`: minimum bytes per second of a body; 4 KiB. 0: no minimum.
    pub upload_rate_min: u64,
}

/// Files of the certificate and its private key. Both are read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsConfig {
    /// `JUSTSTORAGE_TLS_CERT`: the certificate and its intermediate certificates, in PEM.
    pub certificate: PathBuf,
    /// `JUSTSTORAGE_TLS_KEY`: its private key, in PEM.
    pub key: PathBuf,
}

impl TlsConfig {
    fn new(settings: &Settings) -> Result<Option<Self>, ConfigError> {
        match (&settings.tls_cert, &settings.tls_key) {
            (None, None) => Ok(None),
            (Some(certificate), Some(key)) => {
                Ok(Some(Self { certificate: certificate.into(), key: key.into() }))
            }
            (Some(_), None) => {
                Err(ConfigError::new(names::TLS_KEY, format!("must be set together with {TLS_CERT}")))
            }
            (None, Some(_)) => {
                Err(ConfigError::new(names::TLS_CERT, format!("must be set together with {TLS_KEY}")))
            }
        }
    }
}

const RATE_MIN_MAX: u64 = 32 << 10;

impl ListenConfig {
    /// Validates `settings`.
    pub fn new(settings: &Settings) -> Result<Self, ConfigError> {
        let native = address(names::NATIVE_ADDR, settings.native_addr.as_deref(), 8080)?;
        let s3 = address(names::S3_ADDR, settings.s3_addr.as_deref(), 9000)?;
        if native == s3 && native.port() != 0 {
            return Err(ConfigError::new(names::S3_ADDR, "must differ from JUSTSTORAGE_NATIVE_ADDR"));
        }
        let admin = settings
            .admin_addr
            .as_deref()
            .map(|text| address(names::ADMIN_ADDR, Some(text), 0))
            .transpose()?;
        if admin.is_some_and(|admin| admin.port() != 0 && (admin == native || admin == s3)) {
            let rule = "must differ from JUSTSTORAGE_NATIVE_ADDR and JUSTSTORAGE_S3_ADDR";
            return Err(ConfigError::new(names::ADMIN_ADDR, rule));
        }
        let s3_domain = settings.s3_domain.as_deref().map(domain).transpose()?;
        let s3_public_url = settings.s3_public_url.as_deref().map(public_url).transpose()?;
        let region = settings.region.clone().unwrap_or_else(|| "us-east-1".to_owned());
        if !juststorage_s3_gateway::is_region(&region) {
            return Err(ConfigError::new(
                names::REGION,
                "must be up to 128 visible ASCII characters without slash and comma",
            ));
        }
        let tls = TlsConfig::new(settings)?;
        let idle_timeout = timeout(names::IDLE_TIMEOUT, settings.idle_timeout.as_deref(), 75)?;
        let stall_timeout = timeout(names::STALL_TIMEOUT, settings.stall_timeout.as_deref(), 60)?;
        let upload_rate_min = match settings.upload_rate_min.as_deref().map(amount::parse) {
            None => 4 << 10,
            Some(Ok(rate)) if rate <= RATE_MIN_MAX => rate,
            // An honest client may have no more than 64 KiB/s.
            Some(Ok(_)) => return Err(ConfigError::new(names::UPLOAD_RATE_MIN, "must be at most 32KiB")),
            Some(Err(reason)) => return Err(ConfigError::new(names::UPLOAD_RATE_MIN, reason)),
        };
        let s3_sigv2 = settings.s3_sigv2 == Some(true);
        let s3_acls = settings.s3_acls == Some(true);
        let trusted_proxies = networks(settings.trusted_proxies.as_deref().unwrap_or_default())?;
        Ok(Self {
            native,
            admin,
            s3,
            s3_domain,
            s3_public_url,
            s3_sigv2,
            s3_acls,
            trusted_proxies,
            region,
            tls,
            idle_timeout,
            stall_timeout,
            upload_rate_min,
        })
    }

    /// URL by which this machine reaches the native API if it listens at `address`.
    pub fn native_url(&self, address: SocketAddr) -> String {
        format!("{}://{}", self.scheme(), reached(address))
    }

    /// Whether only this machine reaches the native API, wherever it listens.
    pub fn native_is_loopback(&self) -> bool {
        is_loopback(self.native.ip()) && self.admin.is_none_or(|admin| is_loopback(admin.ip()))
    }

    /// URL by which this machine reaches the S3 front if it listens at `address`.
    pub fn s3_url(&self, address: SocketAddr) -> String {
        format!("{}://{}", self.scheme(), reached(address))
    }

    /// URL of the S3 front in answers if it listens at `address`.
    pub fn s3_public_url(&self, address: SocketAddr) -> String {
        self.s3_public_url.clone().unwrap_or_else(|| self.s3_url(address))
    }

    /// Where clients reach the S3 front if it listens at `address`.
    pub fn s3_endpoint(&self, address: SocketAddr) -> S3Endpoint {
        let named = || (!address.ip().is_unspecified()).then(|| self.s3_url(address));
        S3Endpoint {
            url: self.s3_public_url.clone().or_else(named),
            port: address.port(),
            tls: self.tls.is_some(),
            region: self.region.clone(),
        }
    }

    fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

/// A timeout: `seconds` unless set.
pub(super) fn timeout(
    setting: &'static str,
    text: Option<&str>,
    seconds: u64,
) -> Result<Duration, ConfigError> {
    match text.map(duration::parse) {
        None => Ok(Duration::from_secs(seconds)),
        Some(Ok(time)) if time >= Duration::from_millis(100) => Ok(time),
        Some(Ok(_)) => Err(ConfigError::new(setting, "must be at least 100ms")),
        Some(Err(reason)) => Err(ConfigError::new(setting, reason)),
    }
}

/// An address at which a listener is reached: clients cannot connect to 0.0.0.0 or [::].
fn reached(listens: SocketAddr) -> SocketAddr {
    let ip = match listens.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listens.port())
}

/// Whether only this machine can reach `ip`.
pub(super) fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

fn address(setting: &'static str, text: Option<&str>, port: u16) -> Result<SocketAddr, ConfigError> {
    let Some(text) = text else { return Ok((Ipv4Addr::LOCALHOST, port).into()) };
    // The one name that is certain to mean this machine. Others could come to mean another address between
    // the check for loopback and the bind.
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    numeric.as_deref().unwrap_or(text).parse().map_err(|_| {
        ConfigError::new(
            setting,
            "must be an IP address and a port, such as 127.0.0.1:8080, 0.0.0.0:8080 or [::]:8080",
        )
    })
}

/// Addresses and ranges of them, behind commas.
fn networks(text: &str) -> Result<Vec<Network>, ConfigError> {
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    let read = |name| {
        Network::parse(name).ok_or_else(|| {
            let reason = "must be IP addresses or ranges of them, behind commas, such as 10.0.0.0/8,::1";
            ConfigError::new(names::TRUSTED_PROXIES, reason)
        })
    };
    names.map(read).collect()
}

fn public_url(text: &str) -> Result<String, ConfigError> {
    let refused = || {
        let reason = "must be a URL such as https://s3.example.com: http or https, a host, no query";
        ConfigError::new(names::S3_PUBLIC_URL, reason)
    };
    let url: axum::http::Uri = text.parse().map_err(|_| refused())?;
    let host = url.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    if !host
        || !matches!(url.scheme_str(), Some("http" | "https"))
        || url.query().is_some()
        || text.contains('#')
    {
        return Err(refused());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

fn domain(text: &str) -> Result<String, ConfigError> {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() <= 253 && name.split('.').all(label) && name.parse::<IpAddr>().is_err() {
        Ok(name)
    } else {
        let reason = "must be a DNS name such as s3.example.com, without scheme and port";
        Err(ConfigError::new(names::S3_DOMAIN, reason))
    }
}
