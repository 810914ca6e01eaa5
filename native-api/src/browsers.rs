//! Keeps pages of other origins out where callers need no credential.
//!
//! Without authentication, every caller that reaches the address may do everything. A loopback address keeps other machines out,
//! but not the pages that a browser on this machine shows: every one of them can send requests to it. Three things tell
//! such a request from one of a program or of our own page:
//!
//! - its `Host`. A page whose own name was made to mean 127.0.0.1 (DNS rebinding) sends that name;
//! - its `Origin`, or `Sec-Fetch-Site`, which browsers set and pages cannot;
//! - that it is *simple* (Fetch standard, "CORS-safelisted"): a browser sends such a `POST` for any page without asking
//!   the server first. One that it must ask about is never sent, since no preflight is answered.
//!
//! Origins that the operator names ([`Origins`]) get past the last two, on the calls of clients alone.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderMap, HeaderName, Method, StatusCode, Uri};

use crate::cors::{self, Origins};
use crate::problem::Problem;

/// Headers that no page sends without a preflight. Others beside them may come from proxies and from browsers themselves.
const ASKED_FOR: [HeaderName; 6] = [
    AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-namespace"),
    HeaderName::from_static("x-tenant"),
    HeaderName::from_static("x-key"),
    HeaderName::from_static("x-content-sha256"),
];

/// Media types that a form has, or a text.
const SIMPLE_TYPES: [&str; 3] = ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"];

/// Refuses what a page of another origin may have sent, unless the operator lets that origin make the call.
pub(crate) async fn keep_out(State(origins): State<Origins>, request: Request, next: Next) -> Response {
    match judge(&origins, request.method(), request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

fn judge(origins: &Origins, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Box<Problem>> {
    // Only HTTP/1.0 may name none, and no browser speaks it.
    let named = host(uri, headers);
    let host = named.unwrap_or_default();
    if named.is_some() && !is_loopback(host) {
        let detail = "this address answers to localhost and loopback addresses only, as no credentials are required \
                      here: use such a name, or require credentials (JUSTSTORAGE_AUTH=required)";
        return refuse(StatusCode::MISDIRECTED_REQUEST, "host_not_allowed", detail);
    }
    let mut sent = headers.get_all(ORIGIN).iter();
    if let (Some(origin), None) = (sent.next(), sent.next())
        && cors::is_for_pages(uri.path())
        && origins.allow(origin)
    {
        return Ok(());
    }
    let foreign = || {
        let detail = "pages of other origins are refused, as no credentials are required here";
        refuse(StatusCode::FORBIDDEN, "origin_not_allowed", detail)
    };
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if let Some(origin) = text(ORIGIN)
        && !is_own(origin, host)
    {
        return foreign();
    }
    let site = text(HeaderName::from_static("sec-fetch-site")).unwrap_or("none");
    if !matches!(site, "none" | "same-origin") && !opens_console(method, uri, headers) {
        return foreign();
    }
    if *method == Method::POST && is_simple(headers) {
        let detail =
            "any page could have sent this request: send Content-Type: application/json, or X-Tenant";
        return refuse(StatusCode::FORBIDDEN, "simple_request", detail);
    }
    Ok(())
}

fn refuse(status: StatusCode, code: &'static str, detail: &str) -> Result<(), Box<Problem>> {
    Err(Box::new(Problem::new(status, code, detail)))
}

/// The host that the request names: in its address (HTTP/2) or in its header.
fn host<'r>(uri: &'r Uri, headers: &'r HeaderMap) -> Option<&'r str> {
    let named = headers.get(HOST).map(|host| host.to_str().unwrap_or_default());
    uri.authority().map(http::uri::Authority::as_str).or(named)
}

/// Whether a name, with or without a port, means this machine whatever a name server says (RFC 6761 section 6.3).
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) if port.is_empty() || port.starts_with(':') => address,
            _ => return false,
        },
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    match name.parse::<std::net::IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => name == "localhost" || name.ends_with(".localhost"),
    }
}

/// Whether `origin` is this very server, as `host` names it. `null` never is.
fn is_own(origin: &str, host: &str) -> bool {
    let bare = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    bare.is_some_and(|bare| bare.eq_ignore_ascii_case(host))
}

/// A link to our own page, followed from another: it shows something, and changes nothing.
fn opens_console(method: &Method, uri: &Uri, headers: &HeaderMap) -> bool {
    let navigates = headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate");
    let alone = headers.get("sec-fetch-dest").is_some_and(|dest| dest == "document");
    let path = uri.path();
    navigates
        && alone
        && *method == Method::GET
        && (path == "/" || path == "/console" || path.starts_with("/console/"))
}

/// Whether a browser sends it for any page without asking.
fn is_simple(headers: &HeaderMap) -> bool {
    if ASKED_FOR.iter().any(|name| headers.contains_key(name)) {
        return false;
    }
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    types.all(|value| {
        let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
        essence.is_empty() || SIMPLE_TYPES.iter().any(|simple| simple.eq_ignore_ascii_case(essence))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use http::HeaderValue;

    use super::*;

    fn verdict(method: &str, path: &str, headers: &[(&'static str, &'static str)]) -> u16 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let method: Method = method.parse().unwrap();
        let origins = Origins::parse("https://app.example.com").unwrap();
        let judged = judge(&origins, &method, &path.parse().unwrap(), &map);
        judged.map_or_else(|refusal| refusal.into_response().status().as_u16(), |()| 200)
    }

    #[test]
    fn only_names_of_this_machine_are_answered_to() {
        for (host, expected) in [
            ("localhost", 200),
            ("localhost:8080", 200),
            ("LOCALHOST.:8080", 200),
            ("store.localhost:8080", 200),
            ("127.0.0.1:8080", 200),
            ("127.8.9.1", 200),
            ("[::1]:8080", 200),
            ("[::ffff:127.0.0.1]", 200),
            ("", 421),
            ("evil.example", 421),
            ("evil.example:8080", 421),
            ("localhost.evil.example", 421),
            ("127.0.0.1.evil.example", 421),
            ("evillocalhost", 421),
            ("0.0.0.0:8080", 421),
            ("192.0.2.1:8080", 421),
            ("[::1]evil", 421),
            ("[::1", 421),
        ] {
            assert_eq!(verdict("GET", "/", &[("host", host)]), expected, "{host}");
        }
        assert_eq!(verdict("GET", "/", &[]), 200);
        assert_eq!(verdict("GET", "/", &[("origin", "http://localhost")]), 403);
        // HTTP/2 names the host in the address.
        assert_eq!(verdict("GET", "http://evil.example/v1/usage", &[]), 421);
        assert_eq!(verdict("GET", "http://localhost:1/v1/usage", &[]), 200);
    }

    #[test]
    fn pages_of_other_origins_are_refused_whatever_they_send() {
        let host = ("host", "localhost:8080");
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"] {
            for origin in [
                "http://evil.example",
                "http://localhost",
                "http://localhost:9999",
                "http://127.0.0.1:8080",
                "null",
                "",
                "file://",
            ] {
                let headers = [host, ("origin", origin), ("x-tenant", "acme")];
                assert_eq!(verdict(method, "/v1/objects", &headers), 403, "{method} from {origin:?}");
            }
            for own in ["http://localhost:8080", "https://localhost:8080"] {
                let headers =
                    [host, ("origin", own), ("x-tenant", "acme"), ("sec-fetch-site", "same-origin")];
                assert_eq!(verdict(method, "/v1/objects", &headers), 200, "{method} from {own:?}");
            }
            for site in ["cross-site", "same-site", "?"] {
                let headers = [host, ("sec-fetch-site", site), ("x-tenant", "acme")];
                assert_eq!(verdict(method, "/v1/objects", &headers), 403, "{method} with {site}");
            }
        }
    }

    #[test]
    fn a_page_that_the_operator_names_makes_the_calls_of_clients_and_no_others() {
        let (host, app) = (("host", "localhost:8080"), ("origin", "https://app.example.com"));
        let site = ("sec-fetch-site", "cross-site");
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"] {
            assert_eq!(verdict(method, "/v1/objects", &[host, app, site]), 200, "{method}");
            for path in ["/v1/admin/whoami", "/v1/admin", "/metrics", "/console/", "/"] {
                assert_eq!(verdict(method, path, &[host, app, site]), 403, "{method} {path}");
            }
            let rebound = [("host", "evil.example"), app, site];
            assert_eq!(verdict(method, "/v1/objects", &rebound), 421, "{method} of another host");
            let two = [host, app, ("origin", "http://evil.example"), site];
            assert_eq!(verdict(method, "/v1/objects", &two), 403, "{method} of two origins");
        }
    }

    #[test]
    fn a_link_opens_the_console_and_nothing_else() {
        let link = |method, path, mode, dest| {
            let headers = [
                ("host", "localhost"),
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", mode),
                ("sec-fetch-dest", dest),
            ];
            verdict(method, path, &headers)
        };
        assert_eq!(link("GET", "/console/", "navigate", "document"), 200);
        assert_eq!(link("GET", "/console/", "navigate", "iframe"), 403);
        assert_eq!(link("GET", "/console/app.js", "no-cors", "script"), 403);
        assert_eq!(link("POST", "/console/", "navigate", "document"), 403);
        assert_eq!(link("GET", "/v1/objects/by-key/a/b/page.html", "navigate", "document"), 403);
    }

    #[test]
    fn a_post_that_needs_no_preflight_is_refused() {
        let post = |headers: &[(&'static str, &'static str)]| {
            verdict("POST", "/v1/presign", &[&[("host", "localhost")], headers].concat())
        };
        for simple in [
            &[][..],
            &[("content-type", "text/plain")],
            &[("content-type", "text/plain; charset=utf-8")],
            &[("content-type", "multipart/form-data; boundary=x")],
            &[("content-type", "Application/X-WWW-Form-Urlencoded")],
            &[("content-type", "")],
            &[("accept", "*/*"), ("accept-language", "en"), ("range", "bytes=0-1")],
            &[("x-forwarded-for", "192.0.2.1"), ("x-requested-with", "com.example.app")],
        ] {
            assert_eq!(post(simple), 403, "{simple:?}");
        }
        for asked in [
            [("content-type", "application/json")],
            [("content-type", "application/octet-stream")],
            [("x-tenant", "acme")],
            [("x-namespace", "models")],
            [("authorization", "Bearer x")],
        ] {
            assert_eq!(post(&asked), 200, "{asked:?}");
        }
    }
}
