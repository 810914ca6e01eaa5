//! `juststorage limits`.

use axum::http::Method;
use juststorage_core::domain::address::Tenant;
use juststorage_core::domain::limits::{LimitSetting, Limits, Overrides};
use serde_json::{Map, Value, json};

use super::output::{Output, cell, table};
use crate::cli::{LimitsCommand, LimitsSet};
use crate::compose::Parts;
use crate::config::{Settings, StorageConfig};
use crate::exit_error::ExitError;
use crate::remote::Remote;

/// Sets or lists limits.
pub(super) async fn run(
    settings: &Settings,
    command: LimitsCommand,
    output: Output,
) -> Result<(), ExitError> {
    let parts = Parts::open_known(StorageConfig::new(settings)?).await?;
    let result = match command {
        LimitsCommand::Set(said) => set(&parts, said, output).await,
        LimitsCommand::List => list(&parts, output).await,
    };
    parts.metadata.close().await;
    result
}

/// As [`run`], on the store of a server.
pub(super) async fn run_remote(
    remote: &Remote,
    command: LimitsCommand,
    output: Output,
) -> Result<(), ExitError> {
    const PATH: &str = "/v1/admin/limits";
    match command {
        LimitsCommand::Set(said) => {
            let settings = [
                said.requests_per_second,
                said.concurrent_requests,
                said.upload_bytes_per_second,
                said.download_bytes_per_second,
                said.bytes,
                said.objects,
            ];
            let named = NAMES.into_iter().zip(settings);
            let body: Map<_, _> =
                named.filter_map(|(name, setting)| Some((name.to_owned(), value(setting?)))).collect();
            let path = format!("{PATH}/{}", said.tenant);
            let now = remote.call(Method::PUT, &path, Some(&Value::Object(body))).await?;
            let now = said_of(&now);
            output.print(&now, || described(&said.tenant, &now))
        }
        LimitsCommand::List => {
            let all = remote.all(PATH, "limits").await?;
            // Those of which something is said, as the database has it.
            let own = |one: &Value| NAMES.iter().any(|name| !one[*name].is_null());
            let all: Vec<_> = all.iter().filter(|one| own(one)).map(said_of).collect();
            output.print(&Value::Array(all.clone()), || listed(&all))
        }
    }
}

/// The tenant and what is said of it, without what holds and what is used.
fn said_of(answer: &Value) -> Value {
    let kept = std::iter::once("tenant").chain(NAMES);
    Value::Object(kept.map(|name| (name.to_owned(), answer[name].clone())).collect())
}

async fn set(parts: &Parts, said: LimitsSet, output: Output) -> Result<(), ExitError> {
    let before = parts.metadata.tenant_limits(&said.tenant).await?.unwrap_or_default();
    let now = Overrides {
        requests_per_second: said.requests_per_second.unwrap_or(before.requests_per_second),
        concurrent_requests: said.concurrent_requests.unwrap_or(before.concurrent_requests),
        upload_bytes_per_second: said.upload_bytes_per_second.unwrap_or(before.upload_bytes_per_second),
        download_bytes_per_second: said.download_bytes_per_second.unwrap_or(before.download_bytes_per_second),
        quota_bytes: said.bytes.unwrap_or(before.quota_bytes),
        quota_objects: said.objects.unwrap_or(before.quota_objects),
    };
    now.over(&Limits::default()).validate().map_err(|invalid| ExitError::No(invalid.to_string()))?;
    if !parts.metadata.set_tenant_limits(&said.tenant, &before, &now, parts.clock.now()).await? {
        return Err(ExitError::Unable("the limits were changed at the same time: run it again".to_owned()));
    }
    let now = shown(&said.tenant, &now);
    output.print(&now, || described(&said.tenant, &now))
}

fn described(tenant: &Tenant, now: &Value) -> String {
    let lines = NAMES.map(|name| format!("  {name}: {}\n", text(&now[name])));
    format!("limits of {tenant}:\n{}", lines.concat())
}

fn listed(all: &[Value]) -> String {
    let row = |one: &Value| {
        let [rate, concurrent, up, down, bytes, objects] = NAMES.map(|name| text(&one[name]));
        [cell(&one["tenant"]), rate, concurrent, up, down, bytes, objects]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    table(["TENANT", "REQUESTS/S", "CONCURRENT", "UP B/S", "DOWN B/S", "BYTES", "OBJECTS"], &rows)
}

async fn list(parts: &Parts, output: Output) -> Result<(), ExitError> {
    let all = parts.metadata.list_tenant_limits().await?;
    let all: Vec<_> = all.iter().map(|(tenant, said)| shown(tenant, said)).collect();
    output.print(&Value::Array(all.clone()), || listed(&all))
}

/// The limits, as they are called.
const NAMES: [&str; 6] = [
    "requests_per_second",
    "concurrent_requests",
    "upload_bytes_per_second",
    "download_bytes_per_second",
    "quota_bytes",
    "quota_objects",
];

fn settings(said: &Overrides) -> [LimitSetting; 6] {
    [
        said.requests_per_second,
        said.concurrent_requests,
        said.upload_bytes_per_second,
        said.download_bytes_per_second,
        said.quota_bytes,
        said.quota_objects,
    ]
}

fn text(value: &Value) -> String {
    if value.is_null() { "default".to_owned() } else { cell(value) }
}

/// A number, or `"unlimited"`, or `null` for the default.
fn value(setting: LimitSetting) -> Value {
    match setting {
        LimitSetting::Default => Value::Null,
        LimitSetting::Unlimited => json!("unlimited"),
        LimitSetting::At(limit) => json!(limit),
    }
}

fn shown(tenant: &Tenant, said: &Overrides) -> Value {
    let mut shown = Map::from_iter([("tenant".to_owned(), json!(tenant.as_str()))]);
    shown.extend(
        NAMES.into_iter().zip(settings(said)).map(|(name, setting)| (name.to_owned(), value(setting))),
    );
    Value::Object(shown)
}
