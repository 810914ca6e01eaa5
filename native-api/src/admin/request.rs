//! Shared by the calls of administration: callers, pages, and pieces of answers.

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue};
use juststorage_core::domain::address::Tenant;
use juststorage_core::domain::invalid::Invalid;
use juststorage_core::domain::principal::{Principal, Right};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::app::App;
use crate::extract::{Call, JSON_BYTES_MAX, Named, page_limit};
use crate::problem::Failure;

/// Entries of a page unless the request says otherwise, and at most.
pub(super) const PAGE: u32 = 100;
pub(super) const PAGE_MAX: u32 = 1000;

/// How many entries a page has.
pub(super) fn page(asked: Option<u32>, default: u32) -> Result<u32, Invalid> {
    page_limit(asked, default, PAGE_MAX)
}

/// A page of `found`, which was asked for with one entry more, and the cursor of the next one.
pub(super) fn cut<T>(
    mut found: Vec<T>,
    limit: u32,
    cursor: impl Fn(&T) -> String,
) -> (Vec<T>, Option<String>) {
    let limit = limit as usize;
    if found.len() <= limit {
        return (found, None);
    }
    found.truncate(limit);
    let next = found.last().map(cursor);
    (found, next)
}

/// The refusal of a cursor that this server has not made.
pub(super) fn bad_cursor() -> Invalid {
    Invalid::new("cursor", "must be next_cursor of the page before")
}

/// The caller, and the tenant that it asks about: in the query, or in `X-Tenant`.
pub(super) async fn caller_about(
    app: &App,
    call: &Call,
    tenant: Option<&str>,
) -> Result<(Principal, Option<Tenant>), Failure> {
    let in_query = tenant.map(Tenant::new).transpose()?;
    let in_header = call.tenant()?;
    let who = call.caller(&app.api, Named::Optionally(in_query.as_ref())).await?;
    Ok((who, in_query.or(in_header)))
}

/// The caller of a call that names no tenant.
pub(super) async fn caller(app: &App, call: &Call) -> Result<Principal, Failure> {
    call.caller(&app.api, Named::Optionally(None)).await
}

/// The caller, and the JSON body, which is read only once it is known who asks.
pub(super) async fn caller_with<T: DeserializeOwned>(
    app: &App,
    call: &Call,
    body: Body,
) -> Result<(Principal, T), Failure> {
    call.tenant()?;
    let proven = call.prove(&app.api).await?;
    let body = call.json(&app.api, &proven, body).await?;
    Ok((call.caller_of(&app.api, &proven, Named::Optionally(None)).await?, body))
}

/// As [`caller_with`], with no body being as good as an empty object.
pub(super) async fn caller_with_any<T: DeserializeOwned + Default>(
    app: &App,
    call: &Call,
    body: Body,
) -> Result<(Principal, T), Failure> {
    call.tenant()?;
    let proven = call.prove(&app.api).await?;
    let body = call.json_if_any(&app.api, &proven, body, JSON_BYTES_MAX).await?;
    Ok((call.caller_of(&app.api, &proven, Named::Optionally(None)).await?, body.unwrap_or_default()))
}

pub(super) fn rights(rights: impl Iterator<Item = Right>) -> Vec<&'static str> {
    rights.map(Right::as_str).collect()
}

pub(super) fn uuid(field: &'static str, text: &str) -> Result<Uuid, Invalid> {
    text.parse().map_err(|_| Invalid::new(field, "must be a UUID"))
}

pub(super) fn no_content() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// Keeps an answer with a secret out of every cache.
pub(super) fn unkept(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
