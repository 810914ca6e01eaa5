//! Signed reports of comparisons.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{UpstreamPath, address};
use crate::admin::request::caller;
use crate::app::App;
use crate::extract::{Call, PathNames};
use crate::json::Json;
use crate::openapi::Names;
use crate::problem::Failure;

/// The page is text alone: nothing is loaded, and nothing runs.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The report of a comparison, and its signature.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReportBody {
    /// What was compared, when, and what was found.
    #[schema(value_type = Object)]
    report: Value,
    /// Over the report as JSON without white space, the members of objects in the order of their names.
    signature: SignatureBody,
}

/// A signature.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SignatureBody {
    /// `Ed25519`.
    algorithm: String,
    /// The public key, in hexadecimal.
    key: String,
    /// The signature, in hexadecimal.
    value: String,
}

/// Public keys.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReportKeysBody {
    /// `Ed25519`.
    algorithm: &'static str,
    /// In hexadecimal: the one that signs first, then the one before it while the previous master key is known.
    keys: Vec<String>,
}

impl ReportBody {
    fn of(mut document: Value) -> Self {
        let text = |name: &str| document["signature"][name].as_str().unwrap_or_default().to_owned();
        let signature =
            SignatureBody { algorithm: text("algorithm"), key: text("key"), value: text("value") };
        Self { report: document["report"].take(), signature }
    }
}

/// The signed report of a comparison
///
/// Of the last one that is done: both stores, when and in which mode they were compared, the counts, every finding with its
/// reason, what proved the objects, and the SHA-256 of the list of all that matched. Whoever has a public key of
/// `GET /v1/admin/report-keys` can check it. Takes the right `operator`.
#[utoipa::path(
    get,
    path = "/v1/admin/upstreams/{namespace}/{tenant}/report",
    operation_id = "admin_get_upstream_report",
    tag = "admin",
    params(UpstreamPath),
    responses((status = 200, description = "The report", body = ReportBody), Names),
)]
pub(crate) async fn get(
    State(app): State<App>,
    call: Call,
    path: PathNames,
) -> Result<Json<ReportBody>, Failure> {
    let who = caller(&app, &call).await?;
    Ok(Json(ReportBody::of(app.api.admin.comparison(&who, &address(&path)?).await?)))
}

/// The report of a comparison as a page
///
/// As `report` has it, for people: one page that loads nothing. The signature is that of the JSON. Takes the right `operator`.
#[utoipa::path(
    get,
    path = "/v1/admin/upstreams/{namespace}/{tenant}/report.html",
    operation_id = "admin_get_upstream_report_page",
    tag = "admin",
    params(UpstreamPath),
    responses((status = 200, description = "The page", body = String, content_type = "text/html"), Names),
)]
pub(crate) async fn page(State(app): State<App>, call: Call, path: PathNames) -> Result<Response, Failure> {
    let who = caller(&app, &call).await?;
    let document = app.api.admin.comparison(&who, &address(&path)?).await?;
    let headers = [(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, POLICY)];
    Ok((headers, report_page(&document)).into_response())
}

/// The public keys of reports
///
/// Takes the right `operator`.
#[utoipa::path(
    get,
    path = "/v1/admin/report-keys",
    operation_id = "admin_list_report_keys",
    tag = "admin",
    responses((status = 200, description = "The keys", body = ReportKeysBody)),
)]
pub(crate) async fn keys(State(app): State<App>, call: Call) -> Result<Json<ReportKeysBody>, Failure> {
    let who = caller(&app, &call).await?;
    Ok(Json(ReportKeysBody { algorithm: "Ed25519", keys: app.api.admin.report_keys(&who)? }))
}

/// A signed report as a page for people.
pub fn report_page(document: &Value) -> String {
    super::page::render(document)
}
