//! Stored bytes, savings of deduplication, and free space.

use crate::json::Json;
use axum::extract::State;
use juststorage_core::application::ports::metadata::{Retained, SpaceUsage};
use juststorage_core::application::reserve::VolumeRoom;
use juststorage_core::domain::address::Namespace;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::request::caller_about;
use crate::app::App;
use crate::extract::{Call, Params};
use crate::handlers::usage::UsageTotal;
use crate::problem::Failure;

/// The spaces to show.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FiguresParams {
    /// Only of this tenant.
    tenant: Option<String>,
    /// Only of this namespace.
    namespace: Option<String>,
}

/// Figures of the spaces that the caller sees, and of what they lie on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FiguresBody {
    /// By space and storage class.
    spaces: Vec<SpaceFiguresBody>,
    /// Over all of them.
    total: UsageTotal,
    /// The file systems of tiers and database; `null` unless the caller is an operator.
    #[schema(required)]
    volumes: Option<Vec<VolumeBody>>,
    /// Data files that nothing names any more, kept for the retention; `null` unless the caller is an operator.
    #[schema(required)]
    retained: Option<RetainedBody>,
}

/// Figures of one storage class of a space.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SpaceFiguresBody {
    /// The service or collection.
    namespace: String,
    /// The tenant.
    tenant: String,
    /// The storage class.
    #[schema(pattern = "^(hot|cold)$")]
    storage_class: &'static str,
    #[serde(flatten)]
    figures: UsageTotal,
}

impl SpaceFiguresBody {
    fn of(usage: &SpaceUsage) -> Self {
        Self {
            namespace: usage.address.namespace.to_string(),
            tenant: usage.address.tenant.to_string(),
            storage_class: usage.class.as_str(),
            figures: UsageTotal::of(std::slice::from_ref(usage)),
        }
    }
}

/// How much room a file system has.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VolumeBody {
    /// The data that lies there.
    #[schema(pattern = "^(hot|cold|database)$")]
    name: &'static str,
    /// Bytes that may still be written, the reserve included.
    free_bytes: u64,
    /// Bytes of the whole file system.
    total_bytes: u64,
    /// Bytes that uploads leave free.
    reserve_bytes: u64,
    /// Whether uploads are refused.
    full: bool,
}

impl VolumeBody {
    fn of(room: VolumeRoom) -> Self {
        Self {
            name: room.name,
            free_bytes: room.free,
            total_bytes: room.total,
            reserve_bytes: room.reserve,
            full: room.full,
        }
    }
}

/// Data files that nothing names any more.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RetainedBody {
    /// How many.
    segments: u64,
    /// Their bytes.
    bytes: u64,
}

impl RetainedBody {
    pub(super) fn of(kept: Retained) -> Self {
        Self { segments: kept.segments, bytes: kept.bytes }
    }
}

/// Usage and room
///
/// As `/v1/usage`, for an administrator too; and, for an operator, how much room is left. Takes the right `read`, `admin` or
/// `operator`.
#[utoipa::path(
    get,
    path = "/v1/admin/usage",
    operation_id = "admin_get_usage",
    tag = "admin",
    params(FiguresParams),
    responses((status = 200, description = "Figures", body = FiguresBody)),
)]
pub(crate) async fn usage(
    State(app): State<App>,
    call: Call,
    Params(params): Params<FiguresParams>,
) -> Result<Json<FiguresBody>, Failure> {
    let namespace = params.namespace.as_deref().map(Namespace::new).transpose()?;
    let (who, tenant) = caller_about(&app, &call, params.tenant.as_deref()).await?;
    let figures = app.api.admin.figures(&who, tenant.as_ref(), namespace.as_ref()).await?;
    let volumes = figures.volumes.map(|rooms| rooms.into_iter().map(VolumeBody::of).collect());
    let retained = figures.retained;
    Ok(Json(FiguresBody {
        total: UsageTotal::of(&figures.spaces),
        spaces: figures.spaces.iter().map(SpaceFiguresBody::of).collect(),
        volumes,
        retained: retained.map(RetainedBody::of),
    }))
}
