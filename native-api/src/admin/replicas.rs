//! The servers of the store.

use crate::json::Json;
use axum::extract::State;
use juststorage_core::application::ports::metadata::Replica;
use juststorage_core::application::workers::WRITER_LEASE;
use serde::Serialize;
use utoipa::ToSchema;

use super::request::caller;
use crate::app::App;
use crate::extract::Call;
use crate::problem::Failure;
use crate::render;

/// The servers of the store.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReplicasBody {
    /// The server that answers.
    #[schema(required, format = Uuid)]
    server: Option<String>,
    /// All servers, in order of their starts.
    replicas: Vec<ReplicaBody>,
}

/// A server of the store.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReplicaBody {
    /// Its id.
    #[schema(format = Uuid)]
    id: String,
    /// `serving`; `draining`: it was told to stop; `silent`: it has not said for 15 seconds that it lives, and others take
    /// its work over.
    #[schema(pattern = "^(serving|draining|silent)$")]
    state: &'static str,
    /// The version of its program.
    #[schema(required)]
    version: Option<String>,
    /// When it started.
    #[schema(format = DateTime)]
    started_at: String,
    /// When it said last that it lives.
    #[schema(format = DateTime)]
    seen_at: String,
    /// Its machine's name.
    host: String,
    /// Its data directory there.
    directory: String,
    /// The background work that it does for the whole store.
    workers: Vec<String>,
}

impl ReplicaBody {
    fn of(replica: Replica, state: &'static str) -> Self {
        Self {
            id: replica.writer.0.to_string(),
            state,
            version: replica.version,
            started_at: render::rfc3339(replica.started_at),
            seen_at: render::rfc3339(replica.alive_until.minus(WRITER_LEASE)),
            host: replica.host,
            directory: replica.path,
            workers: replica.leases,
        }
    }
}

/// Replicas
///
/// The servers of the store that live, those that were told to stop, and those that fell silent and were not taken over from
/// yet. Takes the right `operator`.
#[utoipa::path(
    get,
    path = "/v1/admin/replicas",
    operation_id = "admin_list_replicas",
    tag = "admin",
    responses((status = 200, description = "All servers", body = ReplicasBody)),
)]
pub(crate) async fn list(State(app): State<App>, call: Call) -> Result<Json<ReplicasBody>, Failure> {
    let who = caller(&app, &call).await?;
    let found = app.api.admin.replicas(&who).await?;
    Ok(Json(ReplicasBody {
        server: found.server.map(|writer| writer.0.to_string()),
        replicas: found
            .replicas
            .into_iter()
            .map(|(one, state)| ReplicaBody::of(one, state.as_str()))
            .collect(),
    }))
}
