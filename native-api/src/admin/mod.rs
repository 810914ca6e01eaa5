//! The calls of administration, under `/v1/admin`. Core decides who may; these read requests and write answers.

mod buckets;
mod can;
mod credentials;
mod documents;
mod events;
mod limits;
mod spaces;
mod stuck;
mod usage;
mod whoami;
mod workers;

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue};
use juststorage_core::domain::address::Tenant;
use juststorage_core::domain::invalid::Invalid;
use juststorage_core::domain::principal::{Principal, Right};
use juststorage_core::domain::timestamp::Timestamp;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::app::App;
use crate::extract::{Call, JSON_BYTES_MAX, Named};
use crate::problem::Failure;

/// Entries of a page unless the request says otherwise, and at most.
const PAGE: u32 = 100;
const PAGE_MAX: u32 = 1000;

/// Every call of administration, with its documentation.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(whoami::whoami))
        .routes(routes!(can::can))
        .routes(routes!(spaces::list))
        .routes(routes!(spaces::get))
        .routes(routes!(spaces::set, spaces::remove))
        .routes(routes!(buckets::list, buckets::create))
        .routes(routes!(buckets::get, buckets::delete))
        .routes(routes!(credentials::list, credentials::create))
        .routes(routes!(credentials::get, credentials::revoke))
        .routes(routes!(credentials::rotate))
        .routes(routes!(limits::list))
        .routes(routes!(limits::get, limits::set))
        .routes(routes!(usage::usage))
        .routes(routes!(workers::list))
        .routes(routes!(workers::run))
        .routes(routes!(workers::scrub))
        .routes(routes!(stuck::list))
        .routes(routes!(stuck::retry))
        .routes(routes!(stuck::kept))
        .routes(routes!(stuck::give_up))
        .routes(routes!(events::list))
}

/// How many entries a page has.
fn page(asked: Option<u32>, default: u32) -> Result<u32, Invalid> {
    match asked.unwrap_or(default) {
        0 => Err(Invalid::new("limit", "must be at least 1")),
        limit => Ok(limit.min(PAGE_MAX)),
    }
}

/// A page of `found`, which was asked for with one entry more, and the cursor of the next one.
fn cut<T>(mut found: Vec<T>, limit: u32, cursor: impl Fn(&T) -> String) -> (Vec<T>, Option<String>) {
    let limit = limit as usize;
    if found.len() <= limit {
        return (found, None);
    }
    found.truncate(limit);
    let next = found.last().map(cursor);
    (found, next)
}

/// The refusal of a cursor that this server has not made.
fn bad_cursor() -> Invalid {
    Invalid::new("cursor", "must be next_cursor of the page before")
}

/// The caller, and the tenant that it asks about: in the query, or in `X-Tenant`.
async fn caller_about(
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
async fn caller(app: &App, call: &Call) -> Result<Principal, Failure> {
    call.caller(&app.api, Named::Optionally(None)).await
}

/// The caller, and the JSON body, which is read only once it is known who asks.
async fn caller_with<T: DeserializeOwned>(
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
async fn caller_with_any<T: DeserializeOwned + Default>(
    app: &App,
    call: &Call,
    body: Body,
) -> Result<(Principal, T), Failure> {
    call.tenant()?;
    let proven = call.prove(&app.api).await?;
    let body = call.json_if_any(&app.api, &proven, body, JSON_BYTES_MAX).await?;
    Ok((call.caller_of(&app.api, &proven, Named::Optionally(None)).await?, body.unwrap_or_default()))
}

fn rights(rights: impl Iterator<Item = Right>) -> Vec<&'static str> {
    rights.map(Right::as_str).collect()
}

fn uuid(field: &'static str, text: &str) -> Result<Uuid, Invalid> {
    text.parse().map_err(|_| Invalid::new(field, "must be a UUID"))
}

fn moment(field: &'static str, text: &str) -> Result<Timestamp, Invalid> {
    let read = OffsetDateTime::parse(text, &Rfc3339).ok();
    let millis = read.and_then(|at| i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok());
    millis.map(Timestamp).ok_or_else(|| Invalid::new(field, "must be a time such as 2027-01-01T00:00:00Z"))
}

fn no_content() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// Keeps an answer with a secret out of every cache.
fn unkept(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
