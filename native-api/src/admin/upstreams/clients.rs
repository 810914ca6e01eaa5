//! Clients that were seen in a space with an upstream.

use axum::extract::State;
use juststorage_core::domain::upstream::clients::Seen;
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
use crate::render;

/// Clients that were seen.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClientsBody {
    /// The one that was seen last first; 1000 and a few at most, those over that together as `(others)`.
    clients: Vec<ClientBody>,
}

/// A client: a credential, and what it says of itself.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClientBody {
    /// The credential's id, `jwt:` and a subject, `root`, or `anonymous`.
    credential: String,
    /// The `User-Agent`, as far as it is ASCII, up to 128 bytes.
    user_agent: String,
    /// When it was first seen.
    #[schema(format = DateTime)]
    first_at: String,
    /// When it was last seen.
    #[schema(format = DateTime)]
    last_at: String,
    /// Reads answered from here.
    local: u64,
    /// Reads passed on from the upstream.
    upstream: u64,
    /// Reads of objects that were fetched, and are here since.
    pulled: u64,
    /// Requests to write and to delete.
    changes: u64,
    /// Listings, and requests about what is known of an object or of the bucket.
    other: u64,
}

impl ClientsBody {
    fn of(seen: Vec<Seen>) -> Self {
        let clients = seen.into_iter().map(|Seen { client, first_at, last_at, counts }| ClientBody {
            credential: client.who,
            user_agent: client.agent,
            first_at: render::rfc3339(first_at),
            last_at: render::rfc3339(last_at),
            local: counts.local,
            upstream: counts.upstream,
            pulled: counts.pulled,
            changes: counts.changes,
            other: counts.other,
        });
        Self { clients: clients.collect() }
    }
}

/// Clients of a space with an upstream
///
/// Who was seen here since the space is bound, by credential and user agent: a client that is missing, or was last seen long ago,
/// may still use the old store. Takes the right `operator`.
#[utoipa::path(
    get,
    path = "/v1/admin/upstreams/{namespace}/{tenant}/clients",
    operation_id = "admin_list_upstream_clients",
    tag = "admin",
    params(UpstreamPath),
    responses((status = 200, description = "The clients", body = ClientsBody), Names),
)]
pub(crate) async fn list(
    State(app): State<App>,
    call: Call,
    path: PathNames,
) -> Result<Json<ClientsBody>, Failure> {
    let who = caller(&app, &call).await?;
    Ok(Json(ClientsBody::of(app.api.admin.upstream_clients(&who, &address(&path)?).await?)))
}

/// The answer of `GET /v1/admin/upstreams/{namespace}/{tenant}/clients`.
pub fn clients_document(seen: Vec<Seen>) -> Result<Value, serde_json::Error> {
    serde_json::to_value(ClientsBody::of(seen))
}
