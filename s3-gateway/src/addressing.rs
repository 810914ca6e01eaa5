//! The address of a request: bucket and key, from its path and its host.

use std::sync::Arc;

use http::header::HOST;
use http::{HeaderMap, StatusCode, Uri, Version};
use juststorage_core::domain::invalid::Invalid;
use percent_encoding::percent_decode_str;
use s3s::host::{S3Host, VirtualHost};

use crate::errors::Refusal;
use crate::operations::{Level, Operation};

/// The domain whose subdomains are buckets, in lower case.
pub(crate) fn check_domain(domain: &str) -> Result<Arc<str>, Invalid> {
    let domain = domain.to_ascii_lowercase();
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if domain.split('.').all(label) && domain.parse::<std::net::IpAddr>().is_err() {
        return Ok(domain.into());
    }
    Err(Invalid::new("JUSTSTORAGE_S3_DOMAIN", "must be a domain name without scheme and port"))
}

/// The host without its port.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// The bucket that a host names under `domain`.
pub(crate) fn bucket_of_host<'h>(host: &'h str, domain: &str) -> Option<&'h str> {
    let host = without_port(host);
    let at = host.len().checked_sub(domain.len())?;
    let (bucket, rest) = host.split_at_checked(at)?;
    bucket.strip_suffix('.').filter(|bucket| !bucket.is_empty() && rest.eq_ignore_ascii_case(domain))
}

/// Virtual-host addresses: only hosts under the configured domain name buckets; all others are path-style.
pub(crate) struct Domain(pub(crate) Arc<str>);

impl S3Host for Domain {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> s3s::S3Result<VirtualHost<'a>> {
        Ok(match bucket_of_host(host, &self.0) {
            Some(bucket) => VirtualHost::new(&*self.0).with_bucket(bucket.to_ascii_lowercase()),
            None => VirtualHost::new(host),
        })
    }
}

/// The operation that a request selects, and what it is about.
#[derive(Clone)]
pub(crate) struct Selected {
    pub(crate) operation: &'static Operation,
    pub(crate) bucket: Option<String>,
    pub(crate) key: Option<String>,
}

/// Level, bucket and key of a request, decoded. s3s refuses paths that are not UTF-8.
pub(crate) fn address(
    host: Option<&str>,
    domain: Option<&str>,
    path: &str,
) -> (Level, Option<String>, Option<String>) {
    let path = percent_decode_str(path).decode_utf8_lossy().into_owned();
    let rest = path.strip_prefix('/').unwrap_or(&path);
    let hosted = host.zip(domain).and_then(|(host, domain)| bucket_of_host(host, domain));
    let (bucket, key) = match hosted {
        Some(bucket) => (bucket.to_ascii_lowercase(), rest),
        // Browser clients ask for `//`.
        None if rest.is_empty() || rest == "/" => return (Level::Service, None, None),
        None => {
            let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
            (bucket.to_owned(), key)
        }
    };
    let key = (!key.is_empty()).then(|| key.to_owned());
    (if key.is_some() { Level::Object } else { Level::Bucket }, Some(bucket), key)
}

/// HTTP/1.1 names the host exactly once (RFC 9112 section 3.2).
pub(crate) fn one_host(version: Version, headers: &HeaderMap) -> Result<(), Refusal> {
    if version == Version::HTTP_11 && headers.get_all(HOST).iter().count() != 1 {
        let message = "The Host header is required, exactly once, in HTTP/1.1.";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "InvalidRequest", message));
    }
    Ok(())
}

/// The host that a request names.
pub(crate) fn host<'r>(headers: &'r HeaderMap, uri: &'r Uri) -> Option<&'r str> {
    headers
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .or_else(|| uri.authority().map(http::uri::Authority::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_hosts_name_buckets_and_keys() {
        let of = |host: &str, path: &str| address(Some(host), Some("s3.example.com"), path);
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(of("127.0.0.1:9000", "/"), (Level::Service, None, None));
        assert_eq!(of("127.0.0.1:9000", "//"), (Level::Service, None, None));
        assert_eq!(of("s3.example.com", "/b"), (Level::Bucket, some("b"), None));
        assert_eq!(of("s3.example.com", "/b/"), (Level::Bucket, some("b"), None));
        assert_eq!(of("s3.example.com", "/b//"), (Level::Object, some("b"), some("/")));
        assert_eq!(of("s3.example.com", "/b/a%2Fb"), (Level::Object, some("b"), some("a/b")));
        assert_eq!(of("b.S3.example.com:9000", "/"), (Level::Bucket, some("b"), None));
        assert_eq!(of("a.b.s3.example.com", "/k/"), (Level::Object, some("a.b"), some("k/")));
        assert_eq!(of("evils3.example.com", "/b"), (Level::Bucket, some("b"), None));
    }

    #[test]
    fn domains_are_names() {
        assert!(check_domain("S3.example.com").is_ok());
        for bad in ["", "http://a", "a:9000", "a..b", "127.0.0.1"] {
            assert!(check_domain(bad).is_err(), "{bad}");
        }
    }
}
