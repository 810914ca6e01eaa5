//! `juststorage limits`.

use juststorage_core::domain::address::Tenant;
use juststorage_core::domain::limits::{Limits, Overrides, Setting};
use serde_json::{Map, Value, json};

use super::output::{Output, table};
use crate::cli::{LimitsCommand, LimitsSet};
use crate::compose::Parts;
use crate::config::{Settings, StorageConfig};
use crate::failure::Failure;

/// Sets or lists limits.
pub(super) async fn run(settings: &Settings, command: LimitsCommand, output: Output) -> Result<(), Failure> {
    let parts = Parts::open_known(StorageConfig::new(settings)?).await?;
    let result = match command {
        LimitsCommand::Set(said) => set(&parts, said, output).await,
        LimitsCommand::List => list(&parts, output).await,
    };
    parts.metadata.close().await;
    result
}

async fn set(parts: &Parts, said: LimitsSet, output: Output) -> Result<(), Failure> {
    let before = parts.metadata.tenant_limits(&said.tenant).await?.unwrap_or_default();
    let now = Overrides {
        requests_per_second: said.requests_per_second.unwrap_or(before.requests_per_second),
        concurrent_requests: said.concurrent_requests.unwrap_or(before.concurrent_requests),
        upload_bytes_per_second: said.upload_bytes_per_second.unwrap_or(before.upload_bytes_per_second),
        download_bytes_per_second: said.download_bytes_per_second.unwrap_or(before.download_bytes_per_second),
        quota_bytes: said.bytes.unwrap_or(before.quota_bytes),
        quota_objects: said.objects.unwrap_or(before.quota_objects),
    };
    now.over(&Limits::default()).validate().map_err(|invalid| Failure::No(invalid.to_string()))?;
    parts.metadata.set_tenant_limits(&said.tenant, &now, parts.clock.now()).await?;
    output.print(&shown(&said.tenant, &now), || {
        let lines = columns(&now).map(|(name, setting)| format!("  {name}: {}\n", text(setting)));
        format!("limits of {}:\n{}", said.tenant, lines.concat())
    })
}

async fn list(parts: &Parts, output: Output) -> Result<(), Failure> {
    let all = parts.metadata.list_tenant_limits().await?;
    output.print(&all.iter().map(|(tenant, said)| shown(tenant, said)).collect(), || {
        let rows: Vec<_> = all
            .iter()
            .map(|(tenant, said)| {
                let [rate, concurrent, up, down, bytes, objects] = columns(said).map(|(_, s)| text(s));
                [tenant.to_string(), rate, concurrent, up, down, bytes, objects]
            })
            .collect();
        table(["TENANT", "REQUESTS/S", "CONCURRENT", "UP B/S", "DOWN B/S", "BYTES", "OBJECTS"], &rows)
    })
}

fn columns(said: &Overrides) -> [(&'static str, Setting); 6] {
    [
        ("requests_per_second", said.requests_per_second),
        ("concurrent_requests", said.concurrent_requests),
        ("upload_bytes_per_second", said.upload_bytes_per_second),
        ("download_bytes_per_second", said.download_bytes_per_second),
        ("quota_bytes", said.quota_bytes),
        ("quota_objects", said.quota_objects),
    ]
}

fn text(setting: Setting) -> String {
    match setting {
        Setting::Default => "default".to_owned(),
        Setting::Unlimited => "unlimited".to_owned(),
        Setting::At(limit) => limit.to_string(),
    }
}

/// A number, or `"unlimited"`, or `null` for the default.
fn shown(tenant: &Tenant, said: &Overrides) -> Value {
    let mut shown = Map::from_iter([("tenant".to_owned(), json!(tenant.as_str()))]);
    for (name, setting) in columns(said) {
        let value = match setting {
            Setting::Default => Value::Null,
            Setting::Unlimited => json!("unlimited"),
            Setting::At(limit) => json!(limit),
        };
        shown.insert(name.to_owned(), value);
    }
    Value::Object(shown)
}
