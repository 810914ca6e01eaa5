//! The admin API and the metrics of MinIO, which are not here: requests for them are refused by name, and told what does
//! the same.
//!
//! Their paths begin as those of a bucket `minio` do, which may exist. So a request is refused where only MinIO's own
//! client or a scraper sends it, or where there is no such bucket; a signed request for an object of the bucket gets it.

use http::header::{AUTHORIZATION, USER_AGENT};
use http::{HeaderMap, HeaderName, Response, StatusCode, Uri};

use crate::errors::Refusal;

/// Beginnings of calls of the admin API, and what does the same here. The first that fits counts.
const INSTEAD: &[(&[&str], &str)] = &[
    (&["set-bucket-quota", "get-bucket-quota"], "`juststorage limits set` bounds a tenant"),
    (
        &[
            "add-canned-policy",
            "list-canned-policies",
            "info-canned-policy",
            "remove-canned-policy",
            "set-user-or-group-policy",
        ],
        "a credential has rights, namespaces and prefixes of keys (`juststorage key create`), and a bucket has a policy \
         (`aws s3api put-bucket-policy`)",
    ),
    (
        &["idp/builtin/policy", "idp/ldap/policy"],
        "a credential has rights, namespaces and prefixes of keys (`juststorage key create`)",
    ),
    (&["idp"], "JSON web tokens of an identity provider are accepted: JUSTSTORAGE_JWT_JWKS"),
    (
        &[
            "add-user",
            "remove-user",
            "list-users",
            "user-info",
            "set-user-status",
            "add-service-account",
            "update-service-account",
            "delete-service-account",
            "list-service-accounts",
            "info-service-account",
            "list-access-keys",
            "info-access-key",
            "temporary-account-info",
            "accountinfo",
            "group",
            "update-group-members",
            "set-group-status",
            "revoke-tokens",
            "export-iam",
            "import-iam",
        ],
        "`juststorage key create`, `key list`, `key rotate` and `key revoke` keep credentials",
    ),
    (
        &["heal", "background-heal", "scanner"],
        "`juststorage scrub` reads everything; the server does the same slowly, all the time",
    ),
    (
        &[
            "config",
            "get-config",
            "set-config",
            "del-config",
            "help-config",
            "list-config",
            "clear-config",
            "restore-config",
        ],
        "`juststorage help settings` lists the settings",
    ),
    (
        &[
            "info",
            "storageinfo",
            "datausageinfo",
            "metrics",
            "object-summary",
            "healthinfo",
            "bandwidth",
            "top",
        ],
        "`juststorage stats`, the console and /metrics of the native address show it",
    ),
    (&["trace", "log"], "the log of the server and `GET /v1/admin/events` show it"),
    (&["service", "update"], "the service manager stops, starts and updates the server"),
];

/// The call of MinIO that a request is: of its admin API or of its key server, or its metrics. `bucket` is what the
/// request addresses: the host may name another one.
pub(crate) fn asked<'u>(uri: &'u Uri, bucket: Option<&str>) -> Option<&'u str> {
    let path = uri.path().strip_prefix("/minio/").filter(|_| bucket == Some("minio"))?;
    if let Some(call) = path.strip_prefix("admin/v").or_else(|| path.strip_prefix("kms/v")) {
        return call.split_once('/').filter(|(version, _)| is_number(version)).map(|(_, call)| call);
    }
    let metrics = ["v2/metrics/", "metrics/v3", "prometheus/metrics"];
    metrics.iter().any(|begin| path.starts_with(begin)).then_some("metrics")
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether no client of a bucket sends such a request: MinIO's own library names itself, and a scraper brings a bearer
/// token, by which nothing is read here.
pub(crate) fn is_certain(headers: &HeaderMap) -> bool {
    let says = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    says(USER_AGENT).contains("madmin") || says(AUTHORIZATION).starts_with("Bearer ")
}

/// Whether there was nothing that the request could mean but MinIO: no such bucket, or a query that no operation has.
pub(crate) fn is_all(answer: &Result<Response<s3s::Body>, Refusal>) -> bool {
    match answer {
        Ok(answer) => {
            let text = answer.body().bytes();
            let code = b"<Code>NoSuchBucket</Code>";
            answer.status() == StatusCode::NOT_FOUND
                && text.is_some_and(|text| text.windows(code.len()).any(|window| window == code))
        }
        Err(refusal) => refusal.status == StatusCode::NOT_IMPLEMENTED,
    }
}

/// The refusal of a call of MinIO.
pub(crate) fn refusal(call: &str) -> Refusal {
    let begins = |name: &&str| call.starts_with(*name);
    let instead = INSTEAD.iter().find(|(names, _)| names.iter().any(begins));
    let instead =
        instead.map_or("docs/leaving-minio.md names what does the same here", |(_, instead)| *instead);
    Refusal::not_implemented(format!("The admin API of MinIO is not implemented: {instead}."))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_paths_of_minio_are_calls_of_it() {
        let asks = |uri: &str, bucket: &str| asked(&uri.parse().unwrap(), Some(bucket)).map(str::to_owned);
        assert_eq!(asks("/minio/admin/v3/info", "minio").as_deref(), Some("info"));
        assert_eq!(
            asks("/minio/admin/v4/idp/builtin/policy/attach?x=y", "minio").as_deref(),
            Some("idp/builtin/policy/attach")
        );
        assert_eq!(asks("/minio/kms/v1/status", "minio").as_deref(), Some("status"));
        for metrics in
            ["/minio/v2/metrics/cluster", "/minio/metrics/v3/api/requests", "/minio/prometheus/metrics"]
        {
            assert_eq!(asks(metrics, "minio").as_deref(), Some("metrics"), "{metrics}");
        }
        for other in [
            "/minio/admin/v3",
            "/minio/admin/vx/info",
            "/minio/admin/v/info",
            "/minio/admin",
            "/minio/health/live",
            "/minio/",
        ] {
            assert_eq!(asks(other, "minio"), None, "{other}");
        }
        assert_eq!(asks("/minio/admin/v3/info", "photos"), None, "of another bucket, by its host");
    }

    #[test]
    fn each_call_is_told_what_does_the_same() {
        for (call, piece) in [
            ("info", "juststorage stats"),
            ("info-canned-policy", "put-bucket-policy"),
            ("info-service-account", "key create"),
            ("get-bucket-quota", "limits set"),
            ("idp/builtin/policy/attach", "rights, namespaces and prefixes"),
            ("idp-config/openid", "JUSTSTORAGE_JWT_JWKS"),
            ("heal/photos", "juststorage scrub"),
            ("set-config-kv", "help settings"),
            ("service", "service manager"),
            ("site-replication/add", "docs/leaving-minio.md"),
        ] {
            let refusal = refusal(call);
            assert_eq!((refusal.status, refusal.code), (StatusCode::NOT_IMPLEMENTED, "NotImplemented"));
            assert!(refusal.message.contains(piece), "{call}: {}", refusal.message);
        }
    }

    #[test]
    fn minios_library_and_scrapers_say_who_they_are() {
        let with = |name, value| HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
        assert!(is_certain(&with(USER_AGENT, "MinIO (linux; amd64) madmin-go/3.0.70 mc/RELEASE")));
        assert!(is_certain(&with(AUTHORIZATION, "Bearer eyJ")));
        assert!(!is_certain(&with(AUTHORIZATION, "AWS4-HMAC-SHA256 x")) && !is_certain(&HeaderMap::new()));
    }
}
