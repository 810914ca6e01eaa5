//! Upstreams: the stores that spaces are leaving.

pub(crate) mod clients;
mod page;
pub(crate) mod report;

use crate::json::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use juststorage_core::application::admin::{MirrorStatus, UpstreamChange, UpstreamStatus};
use juststorage_core::application::ports::metadata::{PassKind, UpstreamPass};
use juststorage_core::domain::address::{Namespace, SpaceAddress, Tenant};
use juststorage_core::domain::invalid::Invalid;
use juststorage_core::domain::upstream::{Addressing, Mode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::request::{PAGE, bad_cursor, caller, caller_with, cut, no_content, page};
use crate::app::App;
use crate::extract::{Call, Params, PathNames, patched};
use crate::openapi::{Conflicts, Names, TakesJson};
use crate::problem::{Failure, Problem};
use crate::render;

/// Where to begin, and how much to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UpstreamsParams {
    /// Most entries: default 100, maximum 1000.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next_cursor` of the previous page.
    cursor: Option<String>,
}

/// The path of a space.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code)]
struct UpstreamPath {
    /// The service or collection
    namespace: String,
    /// The tenant
    tenant: String,
}

/// A space's upstream. The secret key is not among it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UpstreamBody {
    /// The service or collection.
    namespace: String,
    /// The tenant.
    tenant: String,
    /// How far the space has left it.
    #[schema(pattern = "^(observe|read-through|mirror|detached)$")]
    mode: &'static str,
    /// `http://host:port` or `https://host:port`.
    endpoint: String,
    /// The bucket there.
    upstream_bucket: String,
    /// What the keys there begin with.
    prefix: String,
    /// Region of the signatures.
    region: String,
    /// How its bucket is named in requests.
    #[schema(pattern = "^(path|virtual)$")]
    addressing: &'static str,
    /// The public part of its credential.
    access_key: String,
    /// Whether its address may be private or loopback.
    allow_private: bool,
    /// Requests per second that background work makes at most; `null`: as fast as it answers.
    #[schema(required)]
    requests_per_second: Option<u32>,
    /// Bytes per second that background work reads at most.
    #[schema(required)]
    bytes_per_second: Option<u64>,
    /// Keys that may wait to be sent, in the mode `mirror`.
    mirror_rows_max: u64,
    /// What becomes of a change over that.
    #[schema(pattern = "^(refuse|drop)$")]
    mirror_overflow: &'static str,
    /// Seconds that a change waits until the upstream has it, before it is answered; `null`: it does not wait.
    #[schema(required)]
    mirror_wait_seconds: Option<u32>,
    /// The survey under way, or the last one.
    #[schema(required)]
    survey: Option<PassBody>,
    /// The backfill under way, or the last one.
    #[schema(required)]
    backfill: Option<PassBody>,
    /// The comparison under way, or the last one.
    #[schema(required)]
    verify: Option<PassBody>,
    /// The refresh under way, or the last one.
    #[schema(required)]
    refresh: Option<PassBody>,
    /// What is sent to it; `null` if the space was never mirrored.
    #[schema(required)]
    mirror: Option<MirrorBody>,
}

/// What is sent to an upstream.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MirrorBody {
    /// What is sent of a key: `all` its versions and delete markers, in order, where both sides keep them as the last survey
    /// found; otherwise the `latest`.
    #[schema(pattern = "^(all|latest)$")]
    versions: &'static str,
    /// Keys that wait to be sent, whatever the mode is now.
    waiting: u64,
    /// How long the oldest change has waited.
    lag_seconds: u64,
    /// Keys whose change the upstream refused; they are tried again later.
    aside: u64,
    /// Attempts that failed since something was last sent, as far as this server made them.
    failures: u32,
    /// Why the last attempt failed.
    #[schema(required)]
    last_error: Option<String>,
    /// Changes that were dropped as too many waited, and were not made good by a pass yet.
    dropped: u64,
    /// Keys that somebody else had changed upstream when a change from here replaced or removed them.
    changed_there: u64,
    /// Up to 100 of those keys, the latest first.
    changed: Vec<ChangedBody>,
    /// The pass over all keys under way, or the last one.
    #[schema(required)]
    pass: Option<PassBody>,
}

/// A key that somebody else changed upstream.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangedBody {
    /// The key.
    key: String,
    /// When that was found.
    #[schema(format = DateTime)]
    at: String,
}

impl MirrorBody {
    fn of(status: &UpstreamStatus, mirror: &MirrorStatus, pass: Option<PassBody>) -> Self {
        let changed = mirror.state.changed_keys.iter();
        Self {
            versions: if status.mirrors_versions() { "all" } else { "latest" },
            waiting: mirror.waiting,
            lag_seconds: mirror.lag.as_secs(),
            aside: mirror.aside,
            failures: mirror.sending.failures,
            last_error: mirror.sending.last_error.clone(),
            dropped: mirror.state.dropped,
            changed_there: mirror.state.changed,
            changed: changed
                .map(|(key, at)| ChangedBody { key: key.clone(), at: render::rfc3339(*at) })
                .collect(),
            pass,
        }
    }
}

/// A pass over an upstream.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PassBody {
    /// When it began.
    #[schema(format = DateTime)]
    begun_at: String,
    /// When it was done; `null` while it is under way.
    #[schema(required, format = DateTime)]
    finished_at: Option<String>,
    /// What it has found so far.
    #[schema(value_type = Object)]
    report: Value,
}

impl PassBody {
    fn of(pass: &UpstreamPass) -> Self {
        let mut report: Value = serde_json::from_str(&pass.report).unwrap_or_default();
        // What only the signed report tells.
        report.as_object_mut().and_then(|report| report.remove("evidence"));
        Self {
            begun_at: render::rfc3339(pass.begun_at),
            finished_at: pass.finished_at.map(render::rfc3339),
            report,
        }
    }
}

impl UpstreamBody {
    fn of(status: &UpstreamStatus) -> Self {
        let (space, binding) = (&status.bound.space, &status.bound.binding);
        let target = &binding.target;
        let pass = |kind| status.passes.iter().find(|pass| pass.kind == kind).map(PassBody::of);
        Self {
            namespace: space.address.namespace.to_string(),
            tenant: space.address.tenant.to_string(),
            mode: binding.mode.as_str(),
            endpoint: target.endpoint.clone(),
            upstream_bucket: target.bucket.clone(),
            prefix: target.prefix.clone(),
            region: target.region.clone(),
            addressing: target.addressing.as_str(),
            access_key: target.access_key.clone(),
            allow_private: target.allow_private,
            requests_per_second: target.requests_per_second,
            bytes_per_second: target.bytes_per_second,
            mirror_rows_max: target.mirror.rows_max,
            mirror_overflow: if target.mirror.refuses() { "refuse" } else { "drop" },
            mirror_wait_seconds: target.mirror.wait_seconds,
            survey: pass(PassKind::Survey),
            backfill: pass(PassKind::Backfill),
            verify: pass(PassKind::Verify),
            refresh: pass(PassKind::Refresh),
            mirror: status
                .mirror
                .as_ref()
                .map(|mirror| MirrorBody::of(status, mirror, pass(PassKind::Mirror))),
        }
    }
}

/// A page of upstreams.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UpstreamsBody {
    /// In order of namespace and tenant.
    upstreams: Vec<UpstreamBody>,
    /// For the next page; `null` on the last one.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// What to set; what is absent stays.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(clippy::option_option)] // absent, null, a value
pub(crate) struct SetUpstreamBody {
    /// `http://host:port` or `https://host:port`.
    endpoint: Option<String>,
    /// The bucket there.
    upstream_bucket: Option<String>,
    /// What the keys there begin with: left out here. Default: nothing.
    prefix: Option<String>,
    /// Region of the signatures. Default: `us-east-1`.
    region: Option<String>,
    /// `path` (default) or `virtual`.
    #[schema(pattern = "^(path|virtual)$")]
    addressing: Option<String>,
    /// The public part of its credential.
    access_key: Option<String>,
    /// The secret part; needed again for another endpoint or access key.
    secret_key: Option<String>,
    /// How far the space leaves it. Default: `observe`.
    #[schema(pattern = "^(observe|read-through|mirror)$")]
    mode: Option<String>,
    /// Whether its address may be private or loopback. Default: no.
    allow_private: Option<bool>,
    /// Requests per second of background work; `null`: no bound.
    #[serde(default, deserialize_with = "patched")]
    #[schema(value_type = Option<u32>)]
    requests_per_second: Option<Option<u32>>,
    /// Bytes per second of background work; `null`: no bound.
    #[serde(default, deserialize_with = "patched")]
    #[schema(value_type = Option<u64>)]
    bytes_per_second: Option<Option<u64>>,
    /// Keys that may wait to be sent, in the mode `mirror`. Default: 10000000.
    #[schema(minimum = 1, maximum = 100_000_000)]
    mirror_rows_max: Option<u64>,
    /// What becomes of a change over that: `refuse`, or `drop` until a pass makes it good. Default: `drop`.
    #[schema(pattern = "^(refuse|drop)$")]
    mirror_overflow: Option<String>,
    /// Seconds that a change waits until the upstream has it: then it is answered, or with 503 if the time is over. A change for which
    /// there is no room is refused then. `null`: it does not wait.
    #[serde(default, deserialize_with = "patched")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 50)]
    mirror_wait_seconds: Option<Option<u32>>,
    /// What is here wins over what clients have written to the upstream meanwhile. Only where the mode goes from `observe` or
    /// `detached` back to one that reads through, which is refused otherwise unless a refresh was clean within the last hour.
    keep_here: Option<bool>,
}

impl SetUpstreamBody {
    fn read(self) -> Result<UpstreamChange, Invalid> {
        Ok(UpstreamChange {
            endpoint: self.endpoint,
            bucket: self.upstream_bucket,
            prefix: self.prefix,
            region: self.region,
            addressing: self.addressing.as_deref().map(Addressing::parse).transpose()?,
            access_key: self.access_key,
            secret_key: self.secret_key,
            mode: self.mode.as_deref().map(Mode::parse).transpose()?,
            allow_private: self.allow_private,
            requests_per_second: self.requests_per_second,
            bytes_per_second: self.bytes_per_second,
            mirror_rows_max: self.mirror_rows_max,
            mirror_wait_seconds: self.mirror_wait_seconds,
            keep_here: self.keep_here.unwrap_or_default(),
            mirror_refuse: match self.mirror_overflow.as_deref() {
                None => None,
                Some("refuse") => Some(true),
                Some("drop") => Some(false),
                Some(_) => return Err(Invalid::new("mirror_overflow", "must be refuse or drop")),
            },
        })
    }
}

/// List upstreams
///
/// Of every space that has one. Takes the right `operator`.
#[utoipa::path(
    get,
    path = "/v1/admin/upstreams",
    operation_id = "admin_list_upstreams",
    tag = "admin",
    params(UpstreamsParams),
    responses((status = 200, description = "A page", body = UpstreamsBody)),
)]
pub(crate) async fn list(
    State(app): State<App>,
    call: Call,
    Params(params): Params<UpstreamsParams>,
) -> Result<Json<UpstreamsBody>, Failure> {
    let limit = page(params.limit, PAGE)?;
    let after = params.cursor.as_deref().map(|text| cursor(text).ok_or_else(bad_cursor)).transpose()?;
    let who = caller(&app, &call).await?;
    let found = app.api.admin.upstreams(&who, after.as_ref(), limit + 1).await?;
    let (page, next_cursor) = cut(found, limit, |status| status.bound.space.address.to_string());
    Ok(Json(UpstreamsBody { upstreams: page.iter().map(UpstreamBody::of).collect(), next_cursor }))
}

fn cursor(text: &str) -> Option<SpaceAddress> {
    let (namespace, tenant) = text.split_once('/')?;
    Some(SpaceAddress::new(Namespace::new(namespace).ok()?, Tenant::new(tenant).ok()?))
}

/// The upstream of a space
///
/// And the last survey, backfill and comparison. Takes the right `operator`.
#[utoipa::path(
    get,
    path = "/v1/admin/upstreams/{namespace}/{tenant}",
    operation_id = "admin_get_upstream",
    tag = "admin",
    params(UpstreamPath),
    responses((status = 200, description = "The upstream", body = UpstreamBody), Names),
)]
pub(crate) async fn get(
    State(app): State<App>,
    call: Call,
    path: PathNames,
) -> Result<Json<UpstreamBody>, Failure> {
    let who = caller(&app, &call).await?;
    Ok(Json(UpstreamBody::of(&app.api.admin.upstream(&who, &address(&path)?).await?)))
}

/// Bind a space to an upstream
///
/// Or change how it is bound; what is absent stays. The space is made if it does not exist. The upstream must answer, take
/// the credential, have the bucket, and be another store. Takes the right `operator`.
#[utoipa::path(
    put,
    path = "/v1/admin/upstreams/{namespace}/{tenant}",
    operation_id = "admin_set_upstream",
    tag = "admin",
    params(UpstreamPath),
    request_body = SetUpstreamBody,
    responses((status = 200, description = "As it is now", body = UpstreamBody), Names, Conflicts, TakesJson),
)]
pub(crate) async fn set(
    State(app): State<App>,
    call: Call,
    path: PathNames,
    body: Body,
) -> Result<Json<UpstreamBody>, Failure> {
    let (who, body) = caller_with::<SetUpstreamBody>(&app, &call, body).await?;
    let address = address(&path)?;
    Ok(Json(UpstreamBody::of(&app.api.admin.set_upstream(&who, &address, &body.read()?).await?)))
}

/// Forget the upstream of a space
///
/// And what was removed here and is there still. Only in the modes `observe` and `detached`. Takes the right `operator`.
#[utoipa::path(
    delete,
    path = "/v1/admin/upstreams/{namespace}/{tenant}",
    operation_id = "admin_forget_upstream",
    tag = "admin",
    params(UpstreamPath),
    responses((status = 204, description = "Forgotten"), Names, Conflicts),
)]
pub(crate) async fn forget(State(app): State<App>, call: Call, path: PathNames) -> Result<Response, Failure> {
    let who = caller(&app, &call).await?;
    app.api.admin.forget_upstream(&who, &address(&path)?).await?;
    Ok(no_content())
}

/// Begin work over an upstream
///
/// `work`: `survey` counts what is there and says what moves; `backfill` fetches what is not here; `mirror` finds what the
/// upstream does not have as it is here, and sends it, in the mode of that name; `refresh` lets go, in the mode
/// `observe`, what the upstream has replaced while its clients were there, and `refresh-and-remove` also what was removed there; `verify` compares both sides; `detach` leaves the upstream, which takes a comparison without findings. Work that is under way goes on. Takes
/// the right `operator`.
#[utoipa::path(
    post,
    path = "/v1/admin/upstreams/{namespace}/{tenant}/{work}",
    operation_id = "admin_work_on_upstream",
    tag = "admin",
    params(UpstreamPath, ("work" = String, Path, description = "What to begin")),
    responses((status = 200, description = "As it is now", body = UpstreamBody), Names, Conflicts),
)]
pub(crate) async fn work(
    State(app): State<App>,
    call: Call,
    path: PathNames,
) -> Result<Json<UpstreamBody>, Failure> {
    let who = caller(&app, &call).await?;
    let (admin, address, work) = (&app.api.admin, address(&path)?, path.get("work")?);
    let status = match PassKind::ALL.into_iter().find(|kind| kind.as_str() == work) {
        Some(kind) => admin.begin_pass(&who, &address, kind).await?,
        None if work == "refresh-and-remove" => admin.refresh_and_remove(&who, &address).await?,
        None if work == "detach" => admin.detach(&who, &address).await?,
        None => {
            let detail = "work is survey, backfill, mirror, refresh, refresh-and-remove, verify or detach";
            return Err(Problem::new(StatusCode::NOT_FOUND, "path_not_found", detail).into());
        }
    };
    Ok(Json(UpstreamBody::of(&status)))
}

fn address(path: &PathNames) -> Result<SpaceAddress, Invalid> {
    Ok(SpaceAddress::new(Namespace::new(path.get("namespace")?)?, Tenant::new(path.get("tenant")?)?))
}

/// What a body of `PUT /v1/admin/upstreams/{namespace}/{tenant}` asks for.
pub fn upstream_change(body: &Value) -> Result<UpstreamChange, String> {
    let body: SetUpstreamBody = serde_json::from_value(body.clone()).map_err(|error| error.to_string())?;
    body.read().map_err(|invalid| invalid.to_string())
}

/// The answer of `GET /v1/admin/upstreams/{namespace}/{tenant}`.
pub fn upstream_document(status: &UpstreamStatus) -> Result<Value, serde_json::Error> {
    serde_json::to_value(UpstreamBody::of(status))
}
