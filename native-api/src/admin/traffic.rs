//! Requests of the last hour.

use axum::extract::State;
use juststorage_core::application::admin::Minute;
use serde::Serialize;
use utoipa::ToSchema;

use super::request::caller;
use crate::app::App;
use crate::extract::Call;
use crate::json::Json;
use crate::problem::Failure;
use crate::render;

/// Requests of the last hour, as one server saw them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrafficBody {
    /// The server that answers: every figure is about it alone.
    #[schema(required, format = Uuid)]
    server: Option<String>,
    /// The last 60 minutes, the oldest first; fewer after a start. The last one is under way.
    minutes: Vec<MinuteBody>,
}

/// Requests of both fronts whose answers ended within one minute; probes and scrapes are left out.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MinuteBody {
    /// When it began, or the server within it.
    #[schema(format = DateTime)]
    begins_at: String,
    /// How much of it was seen: less than 60 for the first and the last one.
    seen_seconds: f64,
    /// How many.
    requests: u64,
    /// Those of them that were answered with a status of 500 or more, except 501.
    failed: u64,
    /// The time that half of them took no longer than, in milliseconds, about; `null` without any.
    #[schema(required)]
    median_ms: Option<f64>,
    /// The time that 99 of 100 took no longer than, in milliseconds, about; `null` without any.
    #[schema(required)]
    p99_ms: Option<f64>,
}

impl MinuteBody {
    fn of(minute: Minute) -> Self {
        Self {
            begins_at: render::rfc3339(minute.begins_at),
            seen_seconds: minute.seen.as_secs_f64(),
            requests: minute.requests,
            failed: minute.failed,
            median_ms: minute.median_ms,
            p99_ms: minute.p99_ms,
        }
    }
}

/// Requests of the last hour
///
/// Minute by minute, kept in the memory of this server since its start. Takes the right `operator`.
#[utoipa::path(
    get,
    path = "/v1/admin/traffic",
    operation_id = "admin_get_traffic",
    tag = "admin",
    responses((status = 200, description = "Every minute", body = TrafficBody)),
)]
pub(crate) async fn traffic(State(app): State<App>, call: Call) -> Result<Json<TrafficBody>, Failure> {
    let who = caller(&app, &call).await?;
    let seen = app.api.admin.traffic(&who)?;
    Ok(Json(TrafficBody {
        server: seen.server.map(|writer| writer.0.to_string()),
        minutes: seen.minutes.into_iter().map(MinuteBody::of).collect(),
    }))
}
