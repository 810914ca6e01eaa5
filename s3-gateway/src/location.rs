//! The URL of an object, as far as a client can use it: in answers to completed uploads and to forms.

use http::uri::Authority;
use http::{HeaderMap, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::addressing::bucket_of_host;
use crate::dto::fields::text;

/// Characters that stay as they are in a URL that the gateway writes.
pub(crate) const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The gateway's own address, as far as it is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Locations {
    /// The URL under which clients reach the gateway, without a slash at its end.
    pub(crate) public_url: Option<String>,
    /// Whether clients reach it over its own TLS.
    pub(crate) tls: bool,
    /// The domain whose subdomains are buckets.
    pub(crate) domain: Option<String>,
}

impl Locations {
    /// The URL of an object. The public URL wins. Without one, host and scheme are those of the request: `https` if the
    /// client used TLS, to this server or to the first proxy.
    pub(crate) fn of(&self, headers: &HeaderMap, uri: &Uri, bucket: &str, key: &str) -> String {
        let key: Vec<_> = key.split('/').map(|part| utf8_percent_encode(part, PLAIN).to_string()).collect();
        let key = key.join("/");
        if let Some(url) = &self.public_url {
            return format!("{url}/{bucket}/{key}");
        }
        let host =
            text(headers, "host").or_else(|| uri.authority().map(Authority::as_str)).unwrap_or_default();
        let scheme = if self.tls || was_https(headers) { "https" } else { "http" };
        let hosted = self.domain.as_deref().is_some_and(|domain| bucket_of_host(host, domain).is_some());
        let bucket = if hosted { String::new() } else { format!("/{bucket}") };
        format!("{scheme}://{host}{bucket}/{key}")
    }
}

/// Whether `X-Forwarded-Proto` says that the client speaks TLS with the first proxy. Each proxy may add its own behind
/// a comma, in any case.
fn was_https(headers: &HeaderMap) -> bool {
    let list = text(headers, "x-forwarded-proto").unwrap_or_default();
    list.split(',').next().is_some_and(|first| first.trim().eq_ignore_ascii_case("https"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dto::headers;

    fn location(of: &Locations, pairs: &[(&'static str, &'static str)]) -> String {
        of.of(&headers(pairs), &Uri::from_static("/b/k"), "b", "a b/ü")
    }

    #[test]
    fn the_scheme_is_the_clients() {
        let plain = Locations::default();
        for (proto, scheme) in [
            ("https", "https"),
            ("HTTPS", "https"),
            ("https, http", "https"),
            (" Https ,http", "https"),
            ("http, https", "http"),
            ("http", "http"),
            ("nonsense", "http"),
        ] {
            let url = location(&plain, &[("host", "h:9"), ("x-forwarded-proto", proto)]);
            assert_eq!(url, format!("{scheme}://h:9/b/a%20b/%C3%BC"), "{proto}");
        }
        let tls = Locations { tls: true, ..plain };
        for forwarded in [&[("host", "h")][..], &[("host", "h"), ("x-forwarded-proto", "http")]] {
            assert_eq!(location(&tls, forwarded), "https://h/b/a%20b/%C3%BC");
        }
    }

    #[test]
    fn hosts_name_buckets_and_the_public_url_wins() {
        let hosted = Locations { domain: Some("s3.test".to_owned()), ..Locations::default() };
        assert_eq!(location(&hosted, &[("host", "b.s3.test")]), "http://b.s3.test/a%20b/%C3%BC");
        assert_eq!(location(&hosted, &[("host", "s3.test")]), "http://s3.test/b/a%20b/%C3%BC");
        let public = Locations { public_url: Some("https://store.test/s3".to_owned()), tls: false, ..hosted };
        let asked = [("host", "b.s3.test"), ("x-forwarded-proto", "http")];
        assert_eq!(location(&public, &asked), "https://store.test/s3/b/a%20b/%C3%BC");
    }
}
