//! A store on another machine, over its admin API: what commands ask in place of the database while `JUSTSTORAGE_URL`
//! is set.

use axum::http::{Method, Request, Uri, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use juststorage_core::infrastructure::trust;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::config::{ConfigError, Settings};
use crate::exit_error::ExitError;
use crate::jwks::causes;

/// Longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Entries of a page.
const PAGE: u32 = 1000;

/// Characters that are escaped in a part of a path and in a value of a query.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A store and the credential for it.
pub struct Remote {
    /// Without a slash at its end.
    url: String,
    token: Option<String>,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// `text` as a part of a path, or as a value of a query.
pub fn escaped(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

impl Remote {
    /// The store that the settings name; `None`: the one on this machine.
    pub fn of(settings: &Settings) -> Result<Option<Self>, ConfigError> {
        const URL: &str = "JUSTSTORAGE_URL";
        const TOKEN: &str = "JUSTSTORAGE_TOKEN";
        let Some(url) = &settings.url else {
            return match &settings.token {
                Some(_) => Err(ConfigError::new(TOKEN, format!("must be set together with {URL}"))),
                None => Ok(None),
            };
        };
        let url = url.trim_end_matches('/');
        let refused =
            || ConfigError::new(URL, "must be a URL such as https://store.example:8080, without a query");
        let parsed: Uri = url.parse().map_err(|_| refused())?;
        let host = parsed.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        if !host || !matches!(parsed.scheme_str(), Some("http" | "https")) || parsed.query().is_some() {
            return Err(refused());
        }
        let token = settings.token.as_deref().map(str::trim).map(str::to_owned);
        if token.as_ref().is_some_and(|token| !token.bytes().all(|b| b.is_ascii_graphic())) {
            return Err(ConfigError::new(TOKEN, "must be a token, without blanks"));
        }
        let client =
            client(parsed.scheme_str() == Some("https")).map_err(|error| ConfigError::new(URL, error))?;
        Ok(Some(Self { url: url.to_owned(), token, client }))
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Reads what is at `path`.
    pub async fn get(&self, path: &str) -> Result<Value, ExitError> {
        self.call(Method::GET, path, None).await
    }

    /// Every entry of a list, page by page.
    pub async fn all(&self, path: &str, list: &str) -> Result<Vec<Value>, ExitError> {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let mark = if path.contains('?') { '&' } else { '?' };
            let page = self.get(&format!("{path}{mark}limit={PAGE}{cursor}")).await?;
            all.extend(page[list].as_array().cloned().unwrap_or_default());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={}", escaped(next)),
                None => return Ok(all),
            }
        }
    }

    /// Makes a call. What the server refuses is a no; what it could not do, the command could not do.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, ExitError> {
        let url = format!("{}{path}", self.url);
        let unable = |error: String| ExitError::Unable(format!("{url}: {error}"));
        // JSON even where there is nothing to say: without credentials a server takes nothing else.
        let mut request = Request::builder()
            .method(&method)
            .uri(&url)
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, concat!("juststorage/", env!("CARGO_PKG_VERSION")));
        if method != Method::GET {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let text = body.map(Value::to_string).unwrap_or_default();
        let request =
            request.body(Full::new(Bytes::from(text))).map_err(|error| unable(error.to_string()))?;
        let response = self.client.request(request).await.map_err(|error| unable(causes(&error)))?;
        let status = response.status();
        let answer = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let answer = answer
            .map_err(|error| unable(format!("the answer cannot be read: {}", causes(error.as_ref()))))?;
        let bytes = answer.to_bytes();
        let read = if bytes.is_empty() { Ok(Value::Null) } else { serde_json::from_slice::<Value>(&bytes) };
        match read {
            Ok(answer) if status.is_success() => Ok(answer),
            Ok(problem) if problem["code"].is_string() => {
                let detail = problem["detail"].as_str().unwrap_or_default();
                let code = problem["code"].as_str().unwrap_or_default();
                if code == "path_not_found" {
                    let advice =
                        "this address has no admin API; if JUSTSTORAGE_ADMIN_ADDR is set there, use that one";
                    return Err(unable(advice.to_owned()));
                }
                if status.is_client_error() && status != 429 {
                    return Err(ExitError::No(detail.to_owned()));
                }
                Err(unable(format!("{detail} ({status})")))
            }
            _ => Err(unable(format!("the answer is {status}, and not of this program"))),
        }
    }
}

/// Servers are trusted by the authorities of this machine, or those of `SSL_CERT_FILE`.
fn client(tls: bool) -> Result<Client<HttpsConnector<HttpConnector>, Full<Bytes>>, String> {
    let connector = if tls {
        trust::authorities()?.https_only().enable_http1().build()
    } else {
        trust::none()?.https_or_http().enable_http1().build()
    };
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}
