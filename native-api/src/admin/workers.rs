//! Background work, and what the scrubber found.

use crate::json::Json;
use axum::extract::State;
use http::StatusCode;
use juststorage_core::application::admin::WorkerReport;
use juststorage_core::application::ports::metadata::{LeafRecord, ScrubPass};
use juststorage_core::domain::blob::BlobId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::request::{PAGE, bad_cursor, caller, cut, page};
use crate::app::App;
use crate::extract::{Call, Params, PathNames};
use crate::openapi::Names;
use crate::problem::Failure;
use crate::render;

/// All workers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WorkersBody {
    /// The server that answers: all but `stuck` and `backlog` is about it alone.
    #[schema(required, format = Uuid)]
    server: Option<String>,
    /// Its workers.
    workers: Vec<WorkerBody>,
    /// The scrub pass under way, or the last one.
    #[schema(required)]
    scrub: Option<ScrubPassBody>,
}

/// A worker.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WorkerBody {
    /// Its name.
    name: &'static str,
    /// Whether one server of the store at a time does this work.
    exclusive: bool,
    /// Its state here; `elsewhere`: another server does this work.
    #[schema(pattern = "^(starting|running|resting|failing|elsewhere)$")]
    state: &'static str,
    /// When its last step ended.
    #[schema(required, format = DateTime)]
    last_run_at: Option<String>,
    /// When its last step ended that did not fail.
    #[schema(required, format = DateTime)]
    last_success_at: Option<String>,
    /// Why its last step failed, if it did.
    #[schema(required)]
    last_error: Option<String>,
    /// How many steps have failed in a row.
    failures: u64,
    /// Items done since the server's start.
    items: u64,
    /// When it takes its next step.
    #[schema(required, format = DateTime)]
    next_run_at: Option<String>,
    /// Items that were put aside, of the whole store.
    stuck: u64,
    /// Items that wait, of the whole store; `null` where the number is unknown.
    #[schema(required)]
    backlog: Option<BacklogBody>,
}

/// Work that waits, counted up to 1000 items.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BacklogBody {
    /// Items.
    items: u64,
    /// Whether there are more.
    more: bool,
}

impl WorkerBody {
    fn of(report: WorkerReport) -> Self {
        let WorkerReport { status, stuck, backlog } = report;
        Self {
            name: status.name,
            exclusive: status.exclusive,
            state: status.state.as_str(),
            last_run_at: status.last_run_at.map(render::rfc3339),
            last_success_at: status.last_success_at.map(render::rfc3339),
            last_error: status.last_error,
            failures: status.failures,
            items: status.items,
            next_run_at: status.next_run_at.map(render::rfc3339),
            stuck,
            backlog: backlog.map(|backlog| BacklogBody { items: backlog.items, more: backlog.more }),
        }
    }
}

/// A reading of every blob.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ScrubPassBody {
    /// Which, from 1.
    number: u64,
    /// When it began.
    #[schema(format = DateTime)]
    begun_at: String,
    /// When it had read everything; `null` while it is under way.
    #[schema(required, format = DateTime)]
    finished_at: Option<String>,
    /// Blobs read.
    blobs: u64,
    /// Their bytes.
    bytes: u64,
    /// Those that are damaged.
    damaged: u64,
}

impl ScrubPassBody {
    fn of(pass: &ScrubPass) -> Self {
        Self {
            number: pass.number,
            begun_at: render::rfc3339(pass.begun_at),
            finished_at: pass.finished_at.map(render::rfc3339),
            blobs: pass.blobs,
            bytes: pass.bytes,
            damaged: pass.damaged,
        }
    }
}

/// The result of a call to run.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunBody {
    /// The worker.
    name: String,
    /// Whether it takes its next step now; `false` where another server does this work, at its own time.
    woken: bool,
}

/// Background work
///
/// The last runs of this server's workers, their next runs, and their backlog. Takes the right `operator`.
#[utoipa::path(
    get,
    path = "/v1/admin/workers",
    operation_id = "admin_list_workers",
    tag = "admin",
    responses((status = 200, description = "All workers", body = WorkersBody)),
)]
pub(crate) async fn list(State(app): State<App>, call: Call) -> Result<Json<WorkersBody>, Failure> {
    let who = caller(&app, &call).await?;
    let found = app.api.admin.workers(&who).await?;
    Ok(Json(WorkersBody {
        server: found.server.map(|writer| writer.0.to_string()),
        workers: found.workers.into_iter().map(WorkerBody::of).collect(),
        scrub: found.scrub.as_ref().map(ScrubPassBody::of),
    }))
}

/// Run a worker now
///
/// It takes its next step at once. `scrub` begins a pass if none is under way; `lifecycle` applies every rule again. Takes
/// the right `operator`.
#[utoipa::path(
    post,
    path = "/v1/admin/workers/{worker}/run",
    operation_id = "admin_run_worker",
    tag = "admin",
    params(("worker" = String, Path, description = "Its name")),
    responses((status = 202, description = "It was called", body = RunBody), Names),
)]
pub(crate) async fn run(
    State(app): State<App>,
    call: Call,
    path: PathNames,
) -> Result<(StatusCode, Json<RunBody>), Failure> {
    let who = caller(&app, &call).await?;
    let name = path.get("worker")?;
    let woken = app.api.admin.run_worker(&who, name).await?;
    Ok((StatusCode::ACCEPTED, Json(RunBody { name: name.to_owned(), woken })))
}

/// The findings to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ScrubParams {
    /// Most entries: default 100, maximum 1000.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next_cursor` of the previous page.
    cursor: Option<String>,
}

/// The findings of the scrubber.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ScrubBody {
    /// The pass under way, or the last one.
    #[schema(required)]
    pass: Option<ScrubPassBody>,
    /// Blobs in quarantine: damaged, or not readable.
    findings: Vec<FindingBody>,
    /// For the next page; `null` on the last one.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// A blob in quarantine.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FindingBody {
    /// Its id.
    #[schema(format = Uuid)]
    blob: String,
    /// Its SHA-256.
    sha256: String,
    /// Its bytes.
    bytes: u64,
    /// The data file that it lies in.
    #[schema(format = Uuid)]
    segment: String,
    /// Where in that file.
    offset: u64,
    /// The tier of that file.
    #[schema(pattern = "^(hot|cold)$")]
    tier: &'static str,
}

impl FindingBody {
    fn of(leaf: &LeafRecord) -> Self {
        Self {
            blob: leaf.id.0.to_string(),
            sha256: leaf.hash.to_string(),
            bytes: leaf.location.length,
            segment: leaf.location.segment.to_string(),
            offset: leaf.location.offset,
            tier: leaf.location.tier.as_str(),
        }
    }
}

/// Scrub findings
///
/// The blobs in quarantine: reads of them fail until the same bytes are uploaded again or come back. Takes the right
/// `operator`.
#[utoipa::path(
    get,
    path = "/v1/admin/scrub",
    operation_id = "admin_get_scrub",
    tag = "admin",
    params(ScrubParams),
    responses((status = 200, description = "The pass and a page of findings", body = ScrubBody)),
)]
pub(crate) async fn scrub(
    State(app): State<App>,
    call: Call,
    Params(params): Params<ScrubParams>,
) -> Result<Json<ScrubBody>, Failure> {
    let limit = page(params.limit, PAGE)?;
    let after = params.cursor.as_deref().map(|text| text.parse().map(BlobId).map_err(|_| bad_cursor()));
    let who = caller(&app, &call).await?;
    let found = app.api.admin.findings(&who, after.transpose()?, limit + 1).await?;
    let (leaves, next_cursor) = cut(found.leaves, limit, |leaf| leaf.id.0.to_string());
    let findings = leaves.iter().map(FindingBody::of).collect();
    Ok(Json(ScrubBody { pass: found.pass.as_ref().map(ScrubPassBody::of), findings, next_cursor }))
}
