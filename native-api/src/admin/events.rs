//! The tail of the audit log.

use crate::json::Json;
use axum::extract::State;
use juststorage_core::application::admin::{Event, EventFilter, EventResult, IDENTIFIED_MAX};
use juststorage_core::domain::invalid::Invalid;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::request::{PAGE, bad_cursor, caller_about, cut, page};
use crate::app::App;
use crate::extract::{Call, Params};
use crate::problem::Failure;
use crate::render;

/// The events to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventsParams {
    /// Only of this tenant.
    tenant: Option<String>,
    /// Only those that were `done`, `denied`, `failed`, or of which it is `unknown`.
    #[param(pattern = "^(done|denied|failed|unknown)$")]
    result: Option<String>,
    /// Most entries: default 100, maximum 1000.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next_cursor` of the previous page.
    cursor: Option<String>,
}

/// A page of events.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventsBody {
    /// The newest first.
    events: Vec<EventBody>,
    /// How many events of callers that proved who they are this server keeps.
    kept: usize,
    /// How many it has dropped since its start.
    lost: u64,
    /// For the next page; `null` on the last one.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// A request that changed something or was denied.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventBody {
    /// When its answer ended.
    #[schema(format = DateTime)]
    at: String,
    /// Its id.
    request_id: String,
    /// Its result.
    #[schema(pattern = "^(done|denied|failed|unknown)$")]
    result: &'static str,
    /// The caller, if it proved its identity.
    #[schema(required)]
    principal: Option<String>,
    /// The tenant that it counted against.
    #[schema(required)]
    tenant: Option<String>,
    /// The address that it came from.
    #[schema(required)]
    from: Option<String>,
    /// The front.
    #[schema(pattern = "^(native|s3)$")]
    front: &'static str,
    /// The operation, where its name says more than method and path.
    #[schema(required)]
    operation: Option<&'static str>,
    /// The method.
    method: String,
    /// The path, cut at 512 bytes.
    path: String,
    /// The status of the answer.
    status: u16,
    /// Why it was denied, if it was.
    #[schema(required)]
    denied: Option<&'static str>,
}

impl EventBody {
    fn of(event: Event) -> Self {
        Self {
            at: render::rfc3339(event.at),
            request_id: event.request_id,
            result: event.result.as_str(),
            principal: event.who,
            tenant: event.tenant,
            from: event.from.map(|address| address.to_string()),
            front: event.front,
            operation: event.operation,
            method: event.method,
            path: event.path,
            status: event.status,
            denied: event.denied,
        }
    }
}

/// Audit tail
///
/// The last requests to this server, since its start, that changed something or were denied. They are kept in memory and
/// bounded: the audit log is the record. Takes the right `admin` without being bound to namespaces, or `operator`.
#[utoipa::path(
    get,
    path = "/v1/admin/events",
    operation_id = "admin_list_events",
    tag = "admin",
    params(EventsParams),
    responses((status = 200, description = "A page", body = EventsBody)),
)]
pub(crate) async fn list(
    State(app): State<App>,
    call: Call,
    Params(params): Params<EventsParams>,
) -> Result<Json<EventsBody>, Failure> {
    let limit = page(params.limit, PAGE)?;
    let named = |name: &str| EventResult::ALL.into_iter().find(|result| result.as_str() == name);
    let result = params.result.as_deref().map(|name| {
        named(name).ok_or_else(|| Invalid::new("result", "must be done, denied, failed or unknown"))
    });
    let before = params.cursor.as_deref().map(|text| text.parse().map_err(|_| bad_cursor()));
    let (result, before) = (result.transpose()?, before.transpose()?);
    let (who, tenant) = caller_about(&app, &call, params.tenant.as_deref()).await?;
    let filter = EventFilter { tenant, result, before };
    let (found, lost) = app.api.admin.events(&who, &filter, limit as usize + 1)?;
    let (events, next_cursor) = cut(found, limit, |(number, _)| number.to_string());
    let events = events.into_iter().map(|(_, event)| EventBody::of(event)).collect();
    Ok(Json(EventsBody { events, kept: IDENTIFIED_MAX, lost, next_cursor }))
}
