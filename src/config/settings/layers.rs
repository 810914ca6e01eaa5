//! Where a setting comes from: a flag or the environment before the TOML file, and the file before the default.

use std::path::Path;

use super::Settings;
use crate::config::{ConfigError, names};

/// The fields of `$upper` that are given, and those of `$lower` in place of the others.
macro_rules! given {
    ($upper:ident, $lower:ident; texts: $($text:ident),+; flags: $($flag:ident),+) => {
        Settings {
            $($text: filled($upper.$text).or(filled($lower.$text)),)+
            $($flag: $upper.$flag.or($lower.$flag),)+
            root_of_minio: $upper.root_of_minio || $lower.root_of_minio,
        }
    };
}

impl Settings {
    /// Reads the TOML file at `path`. An unknown name is an error, never ignored.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            ConfigError::new(names::CONFIG, format!("cannot read {}: {error}", path.display()))
        })?;
        // The message quotes the offending line, which may hold a secret: only where and why is repeated.
        toml::from_str(&text).map_err(|error: toml::de::Error| {
            let line = error.span().map_or(0, |span| text[..span.start].matches('\n').count() + 1);
            ConfigError::new(names::CONFIG, format!("{}, line {line}: {}", path.display(), error.message()))
        })
    }

    /// These settings; `lower`'s for those that are absent or empty.
    #[must_use]
    pub fn or(self, lower: Self) -> Self {
        given! {
            self, lower;
            texts:
                data_dir, database_url, database_url_file, database_connections, hot_url, cold_url,
                cache_bytes, reserve_bytes, url, token, token_file, bootstrap, native_addr, admin_addr, s3_addr,
                s3_domain, s3_public_url, tls_cert, tls_key, idle_timeout, stall_timeout, upload_rate_min,
                region, auth, s3_root_access_key, s3_root_access_key_file, s3_root_secret_key,
                s3_root_secret_key_file, master_key, master_key_file, dedup, upload_expiry, lifecycle_day,
                scrub_every, upkeep_requests_per_second, upkeep_bytes_per_second, retention, shutdown_grace, shutdown_delay, log, log_format, jwt_secret, jwt_secret_file,
                jwt_jwks, jwt_jwks_refresh, jwt_jwks_refresh_min, jwt_jwks_timeout, jwt_claim_subject,
                jwt_claim_tenant, jwt_claim_tenants, jwt_claim_namespaces, jwt_claim_prefixes,
                jwt_claim_rights, jwt_tenant, jwt_rights_prefix, limit_requests_per_second,
                limit_concurrent_requests, limit_upload_bytes_per_second, limit_download_bytes_per_second,
                quota_bytes, quota_objects, turns, jwt_issuer, jwt_audience, master_key_previous,
                master_key_previous_file, cors_origins, trusted_proxies;
            flags: database_prepared, insecure, s3_sigv2, s3_acls
        }
    }
}

/// An empty value counts as absent, because deployment tools pass empty variables.
fn filled<T: AsRef<std::ffi::OsStr>>(value: Option<T>) -> Option<T> {
    value.filter(|value| !value.as_ref().is_empty())
}
