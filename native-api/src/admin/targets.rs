//! Event targets: declared, tested, and told again.

use axum::body::Body;
use axum::extract::State;
use juststorage_core::application::admin::{SecretChange, TargetReport};
use juststorage_core::application::ports::metadata::ReplayFrom;
use juststorage_core::domain::event::{
    Arn, Overflow, PayloadFormat, TakenBy, TargetKind, TargetName, TargetSettings,
};
use juststorage_core::domain::invalid::Invalid;
use juststorage_core::domain::timestamp::Timestamp;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::{IntoParams, ToSchema};

use super::request::{caller, caller_with};
use crate::app::App;
use crate::extract::{Call, Params, PathNames};
use crate::json::Json;
use crate::openapi::{Conflicts, Names, TakesJson};
use crate::problem::Failure;
use crate::render;

/// Every target.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TargetsBody {
    /// By name.
    targets: Vec<TargetBody>,
}

/// A target, and how it is told.
#[derive(Debug, Serialize, ToSchema)]
#[allow(clippy::struct_excessive_bools)] // each is a fact of its own
pub(crate) struct TargetBody {
    /// Its name.
    name: String,
    /// As a notification configuration names it.
    arn: String,
    /// `webhook` or `nats`.
    kind: &'static str,
    /// Where it is.
    url: String,
    /// `s3` or `cloudevents`.
    format: &'static str,
    /// The NATS subject.
    #[schema(required)]
    subject: Option<String>,
    /// What shows that a NATS server has taken an event: `stream` or `server`.
    #[schema(required)]
    taken_by: Option<&'static str>,
    /// Whether there is a secret: events are signed with it, or the store proves itself to a NATS server.
    signed: bool,
    /// Tenants whose spaces may name it; `null` for all.
    #[schema(required)]
    tenants: Option<Vec<String>>,
    /// Whether private and loopback addresses are reached.
    allow_private: bool,
    /// Further ranges that are reached.
    allow_networks: Vec<String>,
    /// Seconds that a delivery may take.
    timeout_seconds: u32,
    /// Deliveries at once, each of another key.
    concurrency: u32,
    /// Events that may wait.
    rows_max: u64,
    /// What becomes of an event over that: `drop`, or `refuse` for the change itself.
    overflow: &'static str,
    /// Seconds that delivered events are kept for a replay.
    keep_seconds: u64,
    /// Whether nothing is delivered for now.
    paused: bool,
    /// Events that wait.
    waiting: u64,
    /// Seconds that the oldest of them has waited.
    lag_seconds: f64,
    /// Spaces that name it, as NAMESPACE/TENANT.
    spaces: Vec<String>,
    /// Whether the server that answers is the one that delivers. Only that one knows the fields below.
    delivers_here: bool,
    /// Failures since the last delivery.
    failures: u32,
    /// Why the last one failed.
    #[schema(required)]
    last_error: Option<String>,
    /// When something was last delivered.
    #[schema(required, format = DateTime)]
    delivered_at: Option<String>,
    /// When it was declared.
    #[schema(format = DateTime)]
    created_at: String,
}

impl TargetBody {
    fn of(report: TargetReport) -> Self {
        let TargetReport { name, kind, settings, status, .. } = report;
        Self {
            arn: Arn { target: name.clone(), kind }.to_string(),
            name: name.as_str().to_owned(),
            kind: kind.as_str(),
            url: settings.url,
            format: match settings.format {
                PayloadFormat::S3 => "s3",
                PayloadFormat::CloudEvents => "cloudevents",
            },
            subject: settings.subject,
            taken_by: (kind == TargetKind::Nats).then(|| match settings.taken_by.unwrap_or_default() {
                TakenBy::Stream => "stream",
                TakenBy::Server => "server",
            }),
            signed: report.signed,
            tenants: settings.tenants,
            allow_private: settings.allow_private,
            allow_networks: settings.allow_networks,
            timeout_seconds: settings.timeout_seconds,
            concurrency: settings.concurrency,
            rows_max: settings.rows_max,
            overflow: match settings.overflow {
                Overflow::Refuse => "refuse",
                Overflow::Drop => "drop",
            },
            keep_seconds: settings.keep_seconds,
            paused: settings.paused,
            waiting: report.waiting,
            lag_seconds: report.lag.as_secs_f64(),
            spaces: report.spaces.iter().map(ToString::to_string).collect(),
            delivers_here: status.here,
            failures: status.failures,
            last_error: status.last_error,
            delivered_at: status.delivered_at.map(render::rfc3339),
            created_at: render::rfc3339(report.created_at),
        }
    }
}

/// A target to declare. What is left out has its default, but for the secret.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(clippy::option_option)] // absent, null, a value
pub(crate) struct DeclareTargetBody {
    /// `webhook` or `nats`.
    #[schema(value_type = String, pattern = "^(webhook|nats)$")]
    kind: TargetKind,
    /// Where it is: `https://…`, or `http://…` inside of a network that is trusted; of NATS `tls://…` or `nats://…`. A name is looked
    /// up for each connection.
    url: String,
    /// `s3`, unless said otherwise, or `cloudevents`.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^(s3|cloudevents)$")]
    format: PayloadFormat,
    /// The NATS subject that events are published on.
    #[serde(default)]
    subject: Option<String>,
    /// What shows that a NATS server has taken an event: `stream`, unless said otherwise (a stream of JetStream acknowledges it), or
    /// `server` (the server has read it).
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^(stream|server)$")]
    taken_by: Option<TakenBy>,
    /// What events are signed with, 16 to 1024 bytes; of NATS a token, `user:password`, the seed of a user's nkey, or the text of a
    /// credentials file. Left out: as before. `null`: none.
    #[serde(default, deserialize_with = "said")]
    secret: Option<Option<String>>,
    /// Tenants whose spaces may name it; all, unless said otherwise.
    #[serde(default)]
    tenants: Option<Vec<String>>,
    /// Whether private and loopback addresses are reached: not, unless said otherwise.
    #[serde(default)]
    allow_private: bool,
    /// Further addresses and ranges that are reached. A metadata address of a cloud only if it is named by itself.
    #[serde(default)]
    allow_networks: Vec<String>,
    /// Seconds that a delivery may take, 1 to 20: 10, unless said otherwise.
    #[serde(default)]
    timeout_seconds: Option<u32>,
    /// Deliveries at once, each of another key, 1 to 64: 8, unless said otherwise.
    #[serde(default)]
    concurrency: Option<u32>,
    /// Events that may wait: 1000000, unless said otherwise.
    #[serde(default)]
    rows_max: Option<u64>,
    /// `drop` the events over that, unless said otherwise, or `refuse` the changes.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^(drop|refuse)$")]
    overflow: Overflow,
    /// Seconds that delivered events are kept for a replay: 3600, unless said otherwise.
    #[serde(default)]
    keep_seconds: Option<u64>,
    /// Whether nothing is delivered for now; events wait.
    #[serde(default)]
    paused: bool,
}

/// Tells what is left out from what is `null`.
#[allow(clippy::option_option)] // absent, null, a value
fn said<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(value).map(Some)
}

impl DeclareTargetBody {
    fn read(self) -> (TargetKind, TargetSettings, SecretChange) {
        let default = TargetSettings::default();
        let secret = match self.secret {
            None => SecretChange::Keep,
            Some(None) => SecretChange::Remove,
            Some(Some(text)) => SecretChange::Set(text),
        };
        let settings = TargetSettings {
            url: self.url,
            format: self.format,
            subject: self.subject,
            taken_by: self.taken_by,
            tenants: self.tenants,
            allow_private: self.allow_private,
            allow_networks: self.allow_networks,
            timeout_seconds: self.timeout_seconds.unwrap_or(default.timeout_seconds),
            concurrency: self.concurrency.unwrap_or(default.concurrency),
            rows_max: self.rows_max.unwrap_or(default.rows_max),
            overflow: self.overflow,
            keep_seconds: self.keep_seconds.unwrap_or(default.keep_seconds),
            paused: self.paused,
        };
        (self.kind, settings, secret)
    }
}

/// How to remove a target.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RemoveParams {
    /// Whether events that wait for it are discarded.
    #[serde(default)]
    discard: bool,
}

/// What was discarded.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RemovedBody {
    /// Events that waited.
    discarded: u64,
}

/// What a target answered.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TestedBody {
    /// Whether it took the test event.
    delivered: bool,
    /// Why not.
    #[schema(required)]
    error: Option<String>,
}

/// Where to begin.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplayBody {
    /// At the event whose sequencer this is, in hexadecimal.
    #[serde(default)]
    from_sequencer: Option<String>,
    /// At events of this time.
    #[serde(default)]
    #[schema(format = DateTime)]
    from_time: Option<String>,
}

impl ReplayBody {
    fn read(&self) -> Result<ReplayFrom, Invalid> {
        match (&self.from_sequencer, &self.from_time) {
            (Some(text), None) => i64::from_str_radix(text, 16)
                .map(ReplayFrom::Sequence)
                .map_err(|_| Invalid::new("from_sequencer", "must be a sequencer of an event")),
            (None, Some(text)) => OffsetDateTime::parse(text, &Rfc3339)
                .map(|time| ReplayFrom::Time(Timestamp(time.unix_timestamp() * 1000)))
                .map_err(|_| Invalid::new("from_time", "must be a time such as 2027-01-01T00:00:00Z")),
            _ => {
                Err(Invalid::new("from_sequencer", "exactly one of from_sequencer and from_time is required"))
            }
        }
    }
}

/// What is told again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReplayedBody {
    /// Events that wait again.
    replayed: u64,
}

fn name(path: &PathNames) -> Result<TargetName, Invalid> {
    TargetName::new(path.get("target")?)
}

/// Event targets
///
/// Where events of spaces may go, and how that goes. Takes the right `operator`.
#[utoipa::path(
    get,
    path = "/v1/admin/targets",
    operation_id = "admin_list_targets",
    tag = "admin",
    responses((status = 200, description = "The targets", body = TargetsBody)),
)]
pub(crate) async fn list(State(app): State<App>, call: Call) -> Result<Json<TargetsBody>, Failure> {
    let who = caller(&app, &call).await?;
    let targets = app.api.admin.targets(&who).await?;
    Ok(Json(TargetsBody { targets: targets.into_iter().map(TargetBody::of).collect() }))
}

/// An event target
///
/// Takes the right `operator`.
#[utoipa::path(
    get,
    path = "/v1/admin/targets/{target}",
    operation_id = "admin_get_target",
    tag = "admin",
    params(("target" = String, Path, description = "Its name")),
    responses((status = 200, description = "The target", body = TargetBody), Names),
)]
pub(crate) async fn get(
    State(app): State<App>,
    call: Call,
    path: PathNames,
) -> Result<Json<TargetBody>, Failure> {
    let who = caller(&app, &call).await?;
    Ok(Json(TargetBody::of(app.api.admin.target(&who, &name(&path)?).await?)))
}

/// Declare an event target
///
/// Or change one, but for its kind. The owners of buckets then name it in notification configurations, by its ARN. Takes the right
/// `operator`, since the server connects to what it names.
#[utoipa::path(
    put,
    path = "/v1/admin/targets/{target}",
    operation_id = "admin_put_target",
    tag = "admin",
    params(("target" = String, Path, description = "Its name")),
    request_body = DeclareTargetBody,
    responses((status = 200, description = "The target", body = TargetBody), Names, TakesJson),
)]
pub(crate) async fn put(
    State(app): State<App>,
    call: Call,
    path: PathNames,
    body: Body,
) -> Result<Json<TargetBody>, Failure> {
    let name = name(&path)?;
    let (who, body) = caller_with::<DeclareTargetBody>(&app, &call, body).await?;
    let (kind, settings, secret) = body.read();
    app.api.admin.put_target(&who, &name, kind, &settings, secret).await?;
    Ok(Json(TargetBody::of(app.api.admin.target(&who, &name).await?)))
}

/// Remove an event target
///
/// Refused while a space names it, and, without `discard`, while events wait for it. Takes the right `operator`.
#[utoipa::path(
    delete,
    path = "/v1/admin/targets/{target}",
    operation_id = "admin_remove_target",
    tag = "admin",
    params(("target" = String, Path, description = "Its name"), RemoveParams),
    responses((status = 200, description = "It is gone", body = RemovedBody), Names, Conflicts),
)]
pub(crate) async fn remove(
    State(app): State<App>,
    call: Call,
    path: PathNames,
    Params(params): Params<RemoveParams>,
) -> Result<Json<RemovedBody>, Failure> {
    let who = caller(&app, &call).await?;
    let discarded = app.api.admin.remove_target(&who, &name(&path)?, params.discard).await?;
    Ok(Json(RemovedBody { discarded }))
}

/// Test an event target
///
/// Sends `s3:TestEvent` now and tells what came of it. Takes the right `operator`.
#[utoipa::path(
    post,
    path = "/v1/admin/targets/{target}/test",
    operation_id = "admin_test_target",
    tag = "admin",
    params(("target" = String, Path, description = "Its name")),
    responses((status = 200, description = "What came of it", body = TestedBody), Names),
)]
pub(crate) async fn test(
    State(app): State<App>,
    call: Call,
    path: PathNames,
) -> Result<Json<TestedBody>, Failure> {
    let who = caller(&app, &call).await?;
    let error = app.api.admin.test_target(&who, &name(&path)?).await?.err();
    Ok(Json(TestedBody { delivered: error.is_none(), error }))
}

/// Replay events
///
/// Delivered events that are kept are delivered again, from a place on, with the ids that they had. Takes the right `operator`.
#[utoipa::path(
    post,
    path = "/v1/admin/targets/{target}/replay",
    operation_id = "admin_replay_target",
    tag = "admin",
    params(("target" = String, Path, description = "Its name")),
    request_body = ReplayBody,
    responses((status = 200, description = "How many wait again", body = ReplayedBody), Names, TakesJson),
)]
pub(crate) async fn replay(
    State(app): State<App>,
    call: Call,
    path: PathNames,
    body: Body,
) -> Result<Json<ReplayedBody>, Failure> {
    let name = name(&path)?;
    let (who, body) = caller_with::<ReplayBody>(&app, &call, body).await?;
    let replayed = app.api.admin.replay_target(&who, &name, body.read()?).await?;
    Ok(Json(ReplayedBody { replayed }))
}
