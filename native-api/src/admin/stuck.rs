//! Items of background work that failed, and segments that are kept.

use crate::json::Json;
use axum::body::Body;
use axum::extract::State;
use juststorage_core::application::giving_up::Unnamed;
use juststorage_core::application::ports::metadata::Stuck;
use juststorage_core::domain::blob::SegmentId;
use juststorage_core::domain::invalid::Invalid;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::request::{PAGE_MAX, caller, caller_with, page, uuid};
use crate::app::App;
use crate::extract::{Call, Params};
use crate::openapi::{Names, TakesJson};
use crate::problem::Failure;
use crate::render;

/// Records of a segment that are listed.
const RECORDS_MAX: usize = 1000;

/// The items to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StuckParams {
    /// Only of this worker.
    worker: Option<String>,
    /// Most entries: default and maximum 1000.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// Items that were put aside.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StuckBody {
    /// In order of worker and item.
    stuck: Vec<StuckItemBody>,
    /// Whether there are more.
    more: bool,
}

/// An item that was put aside.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StuckItemBody {
    /// The worker.
    worker: String,
    /// The item.
    item: String,
    /// Why it failed the last time.
    error: String,
    /// How often it has failed.
    failures: u64,
    /// When it failed first.
    #[schema(format = DateTime)]
    since: String,
    /// When it is tried again.
    #[schema(format = DateTime)]
    next_at: String,
}

impl StuckItemBody {
    fn of(stuck: Stuck) -> Self {
        Self {
            worker: stuck.worker,
            item: stuck.item,
            error: stuck.error,
            failures: stuck.failures,
            since: render::rfc3339(stuck.since),
            next_at: render::rfc3339(stuck.next_at),
        }
    }
}

/// The items to try again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetryBody {
    /// The item; or `all`.
    item: Option<String>,
    /// All items.
    #[serde(default)]
    all: bool,
}

/// The items that are due.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RetriedBody {
    /// How many items are due now.
    due: u64,
}

/// The segments to give up.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GiveUpBody {
    /// The segment; or `all`.
    #[schema(format = Uuid)]
    segment: Option<String>,
    /// All kept segments.
    #[serde(default)]
    all: bool,
}

/// Segments that are kept, or were.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeptBody {
    /// In order of id.
    segments: Vec<KeptSegmentBody>,
}

/// A segment, and what of it no object names.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeptSegmentBody {
    /// Its id.
    #[schema(format = Uuid)]
    segment: String,
    /// Its tier.
    #[schema(pattern = "^(hot|cold)$")]
    tier: &'static str,
    /// Records that no object names; `null` where it cannot be read.
    #[schema(required)]
    records: Option<u64>,
    /// Their bytes.
    #[schema(required)]
    bytes: Option<u64>,
    /// The first 1000 of them.
    #[schema(required)]
    lost: Option<Vec<RecordBody>>,
    /// Why it cannot be read.
    #[schema(required)]
    error: Option<String>,
}

/// A record.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecordBody {
    /// The SHA-256 of its bytes.
    sha256: String,
    /// How many.
    bytes: u64,
}

impl KeptSegmentBody {
    fn of(unnamed: &Unnamed) -> Self {
        let segment = &unnamed.kept.segment;
        let (id, tier) = (segment.id.to_string(), segment.tier.as_str());
        match &unnamed.records {
            Ok(records) => {
                let shown = records.iter().take(RECORDS_MAX);
                let lost =
                    shown.map(|record| RecordBody { sha256: record.hash.to_string(), bytes: record.length });
                Self {
                    segment: id,
                    tier,
                    records: Some(records.len() as u64),
                    bytes: Some(records.iter().map(|record| record.length).sum()),
                    lost: Some(lost.collect()),
                    error: None,
                }
            }
            Err(error) => Self {
                segment: id,
                tier,
                records: None,
                bytes: None,
                lost: None,
                error: Some(error.to_string()),
            },
        }
    }
}

/// Stuck items
///
/// Items of background work that failed, and when they are tried again. Takes the right `operator`.
#[utoipa::path(
    get,
    path = "/v1/admin/stuck",
    operation_id = "admin_list_stuck",
    tag = "admin",
    params(StuckParams),
    responses((status = 200, description = "The items", body = StuckBody), Names),
)]
pub(crate) async fn list(
    State(app): State<App>,
    call: Call,
    Params(params): Params<StuckParams>,
) -> Result<Json<StuckBody>, Failure> {
    let limit = page(params.limit, PAGE_MAX)?;
    let who = caller(&app, &call).await?;
    let mut found = app.api.admin.stuck(&who, params.worker.as_deref(), limit + 1).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    Ok(Json(StuckBody { stuck: found.into_iter().map(StuckItemBody::of).collect(), more }))
}

/// Retry stuck items
///
/// Makes one item, or all, due now. Takes the right `operator`.
#[utoipa::path(
    post,
    path = "/v1/admin/stuck/retry",
    operation_id = "admin_retry_stuck",
    tag = "admin",
    request_body = RetryBody,
    responses((status = 200, description = "How many are due", body = RetriedBody), Names, TakesJson),
)]
pub(crate) async fn retry(
    State(app): State<App>,
    call: Call,
    body: Body,
) -> Result<Json<RetriedBody>, Failure> {
    let (who, body) = caller_with::<RetryBody>(&app, &call, body).await?;
    if body.item.is_some() == body.all {
        return Err(Invalid::new("item", "must be given, or all be true, and not both").into());
    }
    let due = app.api.admin.retry_stuck(&who, body.item.as_deref()).await?;
    Ok(Json(RetriedBody { due }))
}

/// Kept segments
///
/// Data files that are kept because they may hold bytes that the database does not know: it was found to be older than they
/// are. Takes the right `operator`.
#[utoipa::path(
    get,
    path = "/v1/admin/stuck/kept",
    operation_id = "admin_list_kept",
    tag = "admin",
    responses((status = 200, description = "The segments, and what would be lost", body = KeptBody)),
)]
pub(crate) async fn kept(State(app): State<App>, call: Call) -> Result<Json<KeptBody>, Failure> {
    let who = caller(&app, &call).await?;
    let found = app.api.admin.kept(&who, None).await?;
    Ok(Json(KeptBody { segments: found.iter().map(KeptSegmentBody::of).collect() }))
}

/// Give up kept segments
///
/// For good: what no object names in them is garbage, whose files go once the retention has passed. Takes the right
/// `operator`.
#[utoipa::path(
    post,
    path = "/v1/admin/stuck/give-up",
    operation_id = "admin_give_up_kept",
    tag = "admin",
    request_body = GiveUpBody,
    responses((status = 200, description = "The segments, as they were", body = KeptBody), Names, TakesJson),
)]
pub(crate) async fn give_up(
    State(app): State<App>,
    call: Call,
    body: Body,
) -> Result<Json<KeptBody>, Failure> {
    let (who, body) = caller_with::<GiveUpBody>(&app, &call, body).await?;
    if body.segment.is_some() == body.all {
        return Err(Invalid::new("segment", "must be given, or all be true, and not both").into());
    }
    let only = body.segment.as_deref().map(|id| uuid("segment", id).map(SegmentId)).transpose()?;
    let found = app.api.admin.give_up(&who, only).await?;
    Ok(Json(KeptBody { segments: found.iter().map(KeptSegmentBody::of).collect() }))
}
