//! Stored bytes, and the savings of deduplication.

use crate::json::Json;
use axum::extract::State;
use juststorage_core::application::ports::metadata::SpaceUsage;
use juststorage_core::domain::address::{Namespace, Tenant};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::extract::{Call, Named, Params};
use crate::problem::Failure;
use crate::render::SpaceUsageBody;

/// The spaces to show.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UsageParams {
    /// Only of this tenant; `X-Tenant` does the same.
    tenant: Option<String>,
    /// Only of this namespace.
    namespace: Option<String>,
}

/// Figures by space and storage class that the caller may see, and their sums.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UsageBody {
    /// By space and storage class.
    spaces: Vec<SpaceUsageBody>,
    /// Over all of them.
    total: UsageTotal,
}

/// Sums of figures.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct UsageTotal {
    /// Objects, all versions counted.
    objects: u64,
    /// Their logical bytes.
    logical_bytes: u64,
    /// Bytes on disk.
    physical_bytes: u64,
    /// Logical bytes that deduplication saves.
    saved_bytes: u64,
    /// Bytes of the parts of open uploads; they count in a quota.
    upload_bytes: u64,
    /// Delete markers; each counts as an object in a quota.
    delete_markers: u64,
}

impl UsageTotal {
    /// The sums of `figures`.
    pub(crate) fn of(figures: &[SpaceUsage]) -> Self {
        let mut total = Self::default();
        for space in figures {
            total.objects += space.objects;
            total.logical_bytes += space.logical_bytes;
            total.physical_bytes += space.physical_bytes;
            total.upload_bytes += space.upload_bytes;
            total.delete_markers += space.delete_markers;
        }
        total.saved_bytes = total.logical_bytes.saturating_sub(total.physical_bytes);
        total
    }
}

/// Usage by space
#[utoipa::path(
    get,
    path = "/v1/usage",
    operation_id = "get_usage",
    tag = "usage",
    params(UsageParams),
    responses((status = 200, description = "Figures", body = UsageBody)),
)]
pub(crate) async fn usage(
    State(app): State<App>,
    call: Call,
    Params(params): Params<UsageParams>,
) -> Result<Json<UsageBody>, Failure> {
    let in_query = params.tenant.as_deref().map(Tenant::new).transpose()?;
    let in_header = call.tenant()?;
    let namespace = params.namespace.as_deref().map(Namespace::new).transpose()?;
    let who = call.caller(&app.api, Named::Optionally(in_query.as_ref())).await?;
    let tenant = in_query.or(in_header);
    let figures = app.api.store.usage(&who, tenant.as_ref(), namespace.as_ref()).await?;
    let total = UsageTotal::of(&figures);
    Ok(Json(UsageBody { spaces: figures.iter().map(SpaceUsageBody::of).collect(), total }))
}
