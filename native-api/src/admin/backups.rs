//! Backups that hold removal, and what removal would take.

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use juststorage_core::application::ports::metadata::Hold;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::request::{caller, caller_with_any, no_content, uuid};
use super::usage::RetainedBody;
use crate::app::App;
use crate::extract::{Call, PathNames};
use crate::json::Json;
use crate::openapi::{Names, TakesJson};
use crate::problem::Failure;
use crate::render;

/// How long a backup holds removal unless it says otherwise, as `juststorage backup begin`.
const HOLD: Duration = Duration::from_hours(24);

/// A backup to begin.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BeginBody {
    /// Most seconds that it holds removal: 1 to 2592000 (30 days), 86400 unless said otherwise.
    #[schema(minimum = 1, maximum = 2_592_000)]
    hold_seconds: Option<u64>,
}

/// Every backup that holds removal.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HoldsBody {
    /// The oldest first.
    holds: Vec<HoldBody>,
}

/// A backup that holds removal.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HoldBody {
    /// Its id.
    #[schema(format = Uuid)]
    id: String,
    /// When it began.
    #[schema(format = DateTime)]
    begun_at: String,
    /// When it ends by itself.
    #[schema(format = DateTime)]
    expires_at: String,
}

impl HoldBody {
    fn of(hold: &Hold) -> Self {
        Self {
            id: hold.id.to_string(),
            begun_at: render::rfc3339(hold.begun_at),
            expires_at: render::rfc3339(hold.expires_at),
        }
    }
}

/// The garbage that a collection would remove.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GarbageBody {
    /// Deleted objects whose rows go.
    objects: u64,
    /// Blobs that go with them or that nothing names any more.
    blobs: u64,
    /// Bytes of these blobs. A pack file shrinks once it is compacted.
    bytes: u64,
    /// Whether there is more than was counted: 10000 of a kind at most.
    more: bool,
    /// Data files that nothing names any more: their bytes are freed once the retention has passed, and no backup holds
    /// them.
    retained: RetainedBody,
    /// Backups that hold removal.
    holds: usize,
}

/// Backups
///
/// The backups that hold removal: no data file goes meanwhile that a copy of the database may name. Takes the right
/// `operator`.
#[utoipa::path(
    get,
    path = "/v1/admin/backups",
    operation_id = "admin_list_backups",
    tag = "admin",
    responses((status = 200, description = "The backups", body = HoldsBody)),
)]
pub(crate) async fn list(State(app): State<App>, call: Call) -> Result<Json<HoldsBody>, Failure> {
    let who = caller(&app, &call).await?;
    let holds = app.api.admin.holds(&who).await?;
    Ok(Json(HoldsBody { holds: holds.iter().map(HoldBody::of).collect() }))
}

/// Begin a backup
///
/// Holds removal, as `juststorage backup begin`: copy the database then, and the tiers after it. Takes the right `operator`.
#[utoipa::path(
    post,
    path = "/v1/admin/backups",
    operation_id = "admin_begin_backup",
    tag = "admin",
    request_body = Option<BeginBody>,
    responses((status = 201, description = "It holds removal", body = HoldBody), Names, TakesJson),
)]
pub(crate) async fn begin(
    State(app): State<App>,
    call: Call,
    body: Body,
) -> Result<(StatusCode, Json<HoldBody>), Failure> {
    let (who, body) = caller_with_any::<BeginBody>(&app, &call, body).await?;
    let length = body.hold_seconds.map_or(HOLD, Duration::from_secs);
    let hold = app.api.admin.begin_hold(&who, length).await?;
    Ok((StatusCode::CREATED, Json(HoldBody::of(&hold))))
}

/// End a backup
///
/// It holds removal no longer. Takes the right `operator`.
#[utoipa::path(
    delete,
    path = "/v1/admin/backups/{backup}",
    operation_id = "admin_end_backup",
    tag = "admin",
    params(("backup" = String, Path, description = "Its id")),
    responses((status = 204, description = "It has ended"), Names),
)]
pub(crate) async fn end(State(app): State<App>, call: Call, path: PathNames) -> Result<Response, Failure> {
    let who = caller(&app, &call).await?;
    app.api.admin.end_hold(&who, uuid("backup", path.get("backup")?)?).await?;
    Ok(no_content())
}

/// Preview garbage collection
///
/// The garbage that collection would remove, counted without removing anything. Takes the right `operator`.
#[utoipa::path(
    get,
    path = "/v1/admin/garbage",
    operation_id = "admin_get_garbage",
    tag = "admin",
    responses((status = 200, description = "What would go", body = GarbageBody)),
)]
pub(crate) async fn garbage(State(app): State<App>, call: Call) -> Result<Json<GarbageBody>, Failure> {
    let who = caller(&app, &call).await?;
    let found = app.api.admin.collectable(&who).await?;
    Ok(Json(GarbageBody {
        objects: found.garbage.objects,
        blobs: found.garbage.blobs,
        bytes: found.garbage.bytes,
        more: found.more,
        retained: RetainedBody::of(found.retained),
        holds: found.holds,
    }))
}
