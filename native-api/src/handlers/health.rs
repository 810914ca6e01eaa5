//! Calls for operators and their tools. Probes need no credentials.

use std::collections::BTreeMap;

use crate::json::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::extract::{Call, Named};
use crate::problem::Failure;

/// The answer of a live process.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HealthBody {
    /// `ok`.
    status: &'static str,
}

/// Whether the store can serve requests.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReadyBody {
    /// `ready` or `unavailable`.
    status: &'static str,
    /// `database`, `hot` and `cold`: each `ok`, or its error. `server` once it was told to stop.
    checks: BTreeMap<&'static str, String>,
}

/// Liveness
///
/// The process answers. Uses neither database nor disk.
#[utoipa::path(
    get,
    path = "/health",
    operation_id = "health",
    tag = "operations",
    responses((status = 200, description = "Alive", body = HealthBody)),
)]
pub(crate) async fn health() -> Json<HealthBody> {
    Json(HealthBody { status: "ok" })
}

/// Readiness
///
/// Checks the database and both tiers, and names those that fail. Fails from SIGTERM on, so that balancers send requests
/// to others.
#[utoipa::path(
    get,
    path = "/ready",
    operation_id = "ready",
    tag = "operations",
    responses(
        (status = 200, description = "Every part answers", body = ReadyBody),
        (status = 503, description = "A part fails", body = ReadyBody),
    ),
)]
pub(crate) async fn ready(State(app): State<App>) -> Response {
    let parts = app.api.store.readiness().await;
    let ready = parts.iter().all(|(_, answer)| answer.is_ok());
    let checks = parts
        .into_iter()
        .map(|(part, answer)| (part, answer.map_or_else(|reason| reason, |()| "ok".to_owned())))
        .collect();
    let (code, status) =
        if ready { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "unavailable") };
    (code, Json(ReadyBody { status, checks })).into_response()
}

/// Metrics
///
/// Every metric of the process, in the text format of Prometheus. Takes the right `metrics` or `operator`, except where
/// authentication is disabled and on the address of `JUSTSTORAGE_ADMIN_ADDR`.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "metrics",
    tag = "operations",
    responses((status = 200, description = "Metrics", body = String, content_type = "text/plain")),
)]
pub(crate) async fn metrics(State(app): State<App>, call: Call) -> Result<Response, Failure> {
    if !app.surface.open_metrics {
        let who = call.caller(&app.api, Named::Optionally(None)).await?;
        app.api.admin.allow_metrics(&who)?;
    }
    // Figures that are a moment old are better than none while the database is away.
    if let Err(error) = app.api.store.measure().await {
        tracing::warn!(%error, "gauges of the store could not be updated");
    }
    let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Ok(([(CONTENT_TYPE, text)], (app.api.metrics)()).into_response())
}

/// This document
#[utoipa::path(
    get,
    path = "/v1/openapi.json",
    operation_id = "openapi",
    tag = "operations",
    responses((status = 200, description = "The OpenAPI 3.1 document of this API", body = Object)),
)]
pub(crate) async fn openapi(State(app): State<App>) -> Response {
    document(&app.openapi[0])
}

/// This document as OpenAPI 3.0.3
///
/// The same calls, for tools that do not read 3.1.
#[utoipa::path(
    get,
    path = "/v1/openapi-3.0.json",
    operation_id = "openapi_3_0",
    tag = "operations",
    responses((status = 200, description = "The OpenAPI 3.0.3 document of this API", body = Object)),
)]
pub(crate) async fn openapi_older(State(app): State<App>) -> Response {
    document(&app.openapi[1])
}

fn document(text: &Bytes) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], text.clone()).into_response()
}
