//! Which pages of other origins may make the calls of clients (Fetch standard, "CORS protocol").
//!
//! A browser sends a page's request to another origin, and shows the page the answer only if that origin lets it. The
//! operator names the origins that may. Administration, metrics and the console are not among the calls: they answer pages
//! of their own origin alone.
//!
//! Credentials travel in headers that a page sets itself. So `Access-Control-Allow-Credentials` is never sent: there is no
//! cookie that a browser could add on its own.

use std::time::Duration;

use axum::http::Uri;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer, ExposeHeaders};

/// Most origins that can be named.
const ORIGINS_MAX: usize = 100;

/// For how long a browser may remember that it may ask: two hours, the most that Chromium takes.
const REMEMBERED: Duration = Duration::from_secs(2 * 60 * 60);

/// Response headers that scripts may read. `*` is every header of a request without cookies, `X-Meta-` with any name among
/// them; the names are for browsers that do not know it.
const EXPOSED: [&str; 14] = [
    "*",
    "etag",
    "location",
    "accept-ranges",
    "content-range",
    "content-disposition",
    "content-encoding",
    "retry-after",
    "www-authenticate",
    "x-content-hash",
    "x-object-id",
    "x-delete-marker",
    "x-storage-class",
    "x-request-id",
];

/// Origins whose pages may make the calls of clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origins {
    /// None but the server's own.
    #[default]
    None,
    /// Exactly these, as browsers write them in `Origin`.
    These(Vec<String>),
    /// Every origin.
    Any,
}

impl Origins {
    /// Reads origins behind commas, or `*`. The error says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut origins = Vec::new();
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            if name == "*" {
                let alone = text.trim() == "*";
                return if alone { Ok(Self::Any) } else { Err("* must stand alone".to_owned()) };
            }
            let origin = origin(name).ok_or_else(|| {
                format!("{name:?} is no origin: http or https, a host and perhaps a port, such as https://app.example.com")
            })?;
            if !origins.contains(&origin) {
                origins.push(origin);
            }
        }
        match origins.len() {
            0 => Ok(Self::None),
            1..=ORIGINS_MAX => Ok(Self::These(origins)),
            _ => Err(format!("must be at most {ORIGINS_MAX} origins")),
        }
    }

    /// Whether a page of `origin` may make the calls of clients.
    pub(crate) fn allow(&self, origin: &HeaderValue) -> bool {
        match self {
            Self::None => false,
            Self::These(origins) => origins.iter().any(|known| known.as_bytes() == origin.as_bytes()),
            Self::Any => true,
        }
    }

    /// Marks an answer that was given before the router saw the request, as the router marks its own: a script must be able
    /// to read why it was refused. `origin` is that of the request, `path` its path.
    pub fn mark(&self, origin: Option<&HeaderValue>, path: &str, headers: &mut HeaderMap) {
        let Some(origin) = origin.filter(|origin| is_for_pages(path) && self.allow(origin)) else { return };
        if headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
            return;
        }
        let allowed = if *self == Self::Any { HeaderValue::from_static("*") } else { origin.clone() };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        headers.append(VARY, HeaderValue::from_static("origin"));
        if let Ok(exposed) = HeaderValue::try_from(EXPOSED.join(",")) {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
    }

    /// The layer that answers preflights and marks answers; `None` if no origin may.
    pub(crate) fn layer(&self) -> Option<CorsLayer> {
        let allowed = match self {
            Self::None => return None,
            Self::These(origins) => {
                AllowOrigin::list(origins.iter().filter_map(|origin| HeaderValue::try_from(origin).ok()))
            }
            Self::Any => AllowOrigin::any(),
        };
        let methods = [Method::GET, Method::HEAD, Method::PUT, Method::POST, Method::PATCH, Method::DELETE];
        let layer = CorsLayer::new()
            .allow_origin(allowed)
            .allow_methods(methods)
            // User metadata has any name.
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(ExposeHeaders::list(EXPOSED.map(HeaderName::from_static)))
            .max_age(REMEMBERED);
        Some(layer)
    }
}

/// Whether a path is one of the calls that pages of other origins may be let to.
pub(crate) fn is_for_pages(path: &str) -> bool {
    path.starts_with("/v1/") && path != "/v1/admin" && !path.starts_with("/v1/admin/")
}

/// An origin as a browser writes it (RFC 6454 section 6.2): lower case, without the scheme's own port.
fn origin(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let own_port = match scheme.as_str() {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    // Nothing but a host and a port: neither a user nor a path, not even a slash.
    if rest.is_empty() || rest.contains(['/', '@', '?', '#', '*', '\\']) {
        return None;
    }
    let uri: Uri = format!("{scheme}://{rest}").parse().ok()?;
    let authority = uri.authority()?;
    let host = authority.host().to_ascii_lowercase();
    let port = match authority.as_str().get(host.len()..)? {
        "" => None,
        port => Some(port.strip_prefix(':')?.parse::<u16>().ok()?),
    };
    if host.is_empty() || host.starts_with('.') {
        return None;
    }
    Some(match port.filter(|port| *port != own_port) {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn origins_are_read_as_browsers_write_them() {
        let these = |names: &[&str]| Ok(Origins::These(names.iter().map(ToString::to_string).collect()));
        assert_eq!(Origins::parse(""), Ok(Origins::None));
        assert_eq!(Origins::parse(" * "), Ok(Origins::Any));
        assert_eq!(
            Origins::parse("https://App.Example.com:443, http://localhost:5173,https://app.example.com,"),
            these(&["https://app.example.com", "http://localhost:5173"])
        );
        assert_eq!(Origins::parse("http://[::1]:80,http://a:443"), these(&["http://[::1]", "http://a:443"]));
        for bad in [
            "null",
            "example.com",
            "https://",
            "https://a/",
            "https://a/path",
            "https://u@a",
            "https://*.example.com",
            "https://a:",
            "https://a:99999",
            "https://a b",
            "file://a",
            "ftp://a",
            "*,https://a",
            "https://a,*",
            "https://a?x",
        ] {
            assert!(Origins::parse(bad).is_err(), "{bad}");
        }
        let many = (0..=ORIGINS_MAX).map(|n| format!("https://a{n}")).collect::<Vec<_>>().join(",");
        assert!(Origins::parse(&many).is_err());
    }

    #[test]
    fn an_origin_is_allowed_to_the_byte() {
        let origins = Origins::parse("https://app.example.com").unwrap();
        for (origin, allowed) in [
            ("https://app.example.com", true),
            ("https://app.example.com.evil.example", false),
            ("https://app.example.com:8443", false),
            ("http://app.example.com", false),
            ("https://evil.example/https://app.example.com", false),
            ("null", false),
            ("", false),
        ] {
            assert_eq!(origins.allow(&HeaderValue::from_static(origin)), allowed, "{origin}");
        }
    }

    /// An answer of a layer before the router is marked once, for pages that may read it and for no other.
    #[test]
    fn answers_before_the_router_are_marked_as_its_own() {
        let app = HeaderValue::from_static("https://app.example.com");
        let marked = |origins: &str, origin: Option<&HeaderValue>, path: &str| {
            let mut headers = HeaderMap::new();
            Origins::parse(origins).unwrap().mark(origin, path, &mut headers);
            let mut again = headers.clone();
            Origins::parse(origins).unwrap().mark(origin, path, &mut again);
            assert_eq!(again, headers);
            headers.get(ACCESS_CONTROL_ALLOW_ORIGIN).map(|value| value.to_str().unwrap().to_owned())
        };
        let named = "https://app.example.com";
        assert_eq!(marked(named, Some(&app), "/v1/objects").as_deref(), Some(named));
        assert_eq!(marked("*", Some(&app), "/v1/objects").as_deref(), Some("*"));
        assert_eq!(marked("https://b.example.com", Some(&app), "/v1/objects"), None);
        assert_eq!(marked("", Some(&app), "/v1/objects"), None);
        assert_eq!(marked(named, None, "/v1/objects"), None);
        assert_eq!(marked("*", Some(&app), "/v1/admin/whoami"), None);
        assert_eq!(marked("*", Some(&app), "/metrics"), None);
    }

    #[test]
    fn administration_is_for_its_own_pages() {
        for (path, pages) in [
            ("/v1/objects", true),
            ("/v1/openapi.json", true),
            ("/v1/administer", true),
            ("/v1/admin", false),
            ("/v1/admin/whoami", false),
            ("/metrics", false),
            ("/console/", false),
            ("/", false),
        ] {
            assert_eq!(is_for_pages(path), pages, "{path}");
        }
    }
}
