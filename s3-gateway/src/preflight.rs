//! Answers to browsers: those to preflights, and the headers that let a page of another origin read an
//! answer. Neither asks who calls: a browser sends a preflight before it sends credentials, and a page may
//! read why it was refused.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderName, HeaderValue,
    ORIGIN, VARY,
};
use http::{Method, Response, StatusCode};
use juststorage_core::application::store::Store;
use juststorage_core::domain::address::BucketName;
use juststorage_core::domain::cors::{CorsAnswer, CorsGrant, CorsRequest, is_header_name, is_method};

use crate::dto::fields::{joined, text};
use crate::errors::{Refusal, translate};
use crate::query::quoted;

/// Longest list of headers that a preflight may ask for; browsers send a few.
const HEADERS_MAX: usize = 100;

/// The question of a browser, if the request is one.
pub(crate) struct BrowserRequest {
    bucket: Option<BucketName>,
    origin: Option<String>,
    /// The method to be used, as a preflight or an old client names it.
    named: Option<String>,
    method: Method,
    headers: Vec<String>,
}

impl BrowserRequest {
    /// The question in the headers of a request to `bucket`.
    pub(crate) fn new(method: &Method, headers: &HeaderMap, bucket: Option<String>) -> Self {
        let own = |name: &HeaderName| text(headers, name.as_str()).map(str::to_owned);
        let origin = own(&ORIGIN);
        let asked = match &origin {
            Some(_) if method == Method::OPTIONS => joined(headers, ACCESS_CONTROL_REQUEST_HEADERS.as_str()),
            _ => None,
        };
        let asked = asked.unwrap_or_default();
        Self {
            bucket: bucket.and_then(|name| BucketName::new(&name).ok()),
            origin,
            named: own(&ACCESS_CONTROL_REQUEST_METHOD),
            method: method.clone(),
            headers: asked
                .split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
        }
    }

    /// The answer to a preflight.
    pub(crate) async fn preflight(&self, store: &Store) -> Result<Response<s3s::Body>, Refusal> {
        let insufficient = |what: &str| {
            let message = format!("Insufficient information. {what} request header needed.");
            Err(Refusal::new(StatusCode::BAD_REQUEST, "BadRequest", message))
        };
        if self.origin.is_none() {
            return insufficient("Origin");
        }
        if self.named.is_none() {
            return insufficient("Access-Control-Request-Method");
        }
        let bad = |message: String| Err(Refusal::new(StatusCode::BAD_REQUEST, "BadRequest", message));
        if let Some(method) = self.named.as_deref().filter(|method| !is_method(method)) {
            return bad(format!("Invalid Access-Control-Request-Method: {}", quoted(method)));
        }
        if let Some(header) = self.headers.iter().find(|header| !is_header_name(header)) {
            let header = quoted(header);
            return bad(format!("Access-Control-Request-Headers \"{header}\" contains invalid character."));
        }
        let forbidden = |message: &str| Err(Refusal::new(StatusCode::FORBIDDEN, "AccessForbidden", message));
        let too_many = self.headers.len() > HEADERS_MAX;
        match if too_many { CorsAnswer::Refused } else { self.granted(store).await? } {
            CorsAnswer::Granted(grant) => {
                let mut response = Response::new(s3s::Body::empty());
                write(&grant, response.headers_mut());
                Ok(response)
            }
            CorsAnswer::NoBucket => {
                let message = "The specified bucket does not exist";
                Err(Refusal::new(StatusCode::NOT_FOUND, "NoSuchBucket", message))
            }
            CorsAnswer::NoRules => forbidden("CORSResponse: CORS is not enabled for this bucket."),
            // S3's own words, and its own spelling: clients compare them.
            CorsAnswer::Refused => forbidden(
                "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, \
                 request method / Access-Control-Request-Method or Access-Control-Request-Headers are not \
                 whitelisted by the resource's CORS spec.",
            ),
        }
    }

    /// Adds the headers that let a page read the answer, if the bucket's rules allow it.
    pub(crate) async fn grant(&self, store: &Store, headers: &mut HeaderMap) {
        // On an error the headers are left out: then no page can read the answer.
        if let Ok(CorsAnswer::Granted(grant)) = self.granted(store).await {
            write(&grant, headers);
        }
    }

    async fn granted(&self, store: &Store) -> Result<CorsAnswer, Refusal> {
        let Some(bucket) = &self.bucket else { return Ok(CorsAnswer::NoBucket) };
        let Some(origin) = &self.origin else { return Ok(CorsAnswer::Refused) };
        let method = self.named.as_deref().unwrap_or(self.method.as_str());
        let request = CorsRequest { origin, method, headers: &self.headers };
        store.cors(bucket, request).await.map_err(|error| {
            let status = translate(error).status_code().unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            if status == StatusCode::SERVICE_UNAVAILABLE {
                Refusal::unavailable()
            } else {
                Refusal::internal()
            }
        })
    }
}

fn write(grant: &CorsGrant, headers: &mut HeaderMap) {
    let list = |list: &[String]| (!list.is_empty()).then(|| list.join(", "));
    let pairs = [
        (ACCESS_CONTROL_ALLOW_ORIGIN, Some(grant.origin.clone())),
        (ACCESS_CONTROL_ALLOW_METHODS, list(&grant.methods)),
        (ACCESS_CONTROL_ALLOW_HEADERS, list(&grant.headers).map(|headers| headers.to_ascii_lowercase())),
        (ACCESS_CONTROL_EXPOSE_HEADERS, list(&grant.expose)),
        (ACCESS_CONTROL_MAX_AGE, grant.max_age_seconds.map(|seconds| seconds.to_string())),
        // A page that names its origin may send its credentials along; `*` excludes them (Fetch standard).
        (ACCESS_CONTROL_ALLOW_CREDENTIALS, (grant.origin != "*").then(|| "true".to_owned())),
        (VARY, Some("Origin, Access-Control-Request-Headers, Access-Control-Request-Method".to_owned())),
    ];
    for (name, value) in pairs {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.insert(name, value);
        }
    }
}
