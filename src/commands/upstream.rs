//! `juststorage upstream`.

mod report;

use std::path::PathBuf;
use std::time::Duration;

use axum::http::Method;
use indicatif::HumanBytes;
use juststorage_core::application::access::{Access, AuthMode};
use juststorage_core::application::admin::{Admin, UpstreamStatus};
use juststorage_core::application::ports::metadata::{PassKind, WriterId};
use juststorage_core::application::workers::{
    Heartbeat, TakeOver, UpstreamWorker, WorkDone, Worker as _, step_under_lease,
};
use juststorage_core::domain::address::{Namespace, SpaceAddress, Tenant};
use juststorage_core::domain::principal::Principal;
use juststorage_native_api::{clients_document, upstream_change, upstream_document};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::output::{Output, cell, progress, table};
use super::validate::verdict;
use crate::cli::{SpaceNamed, UpstreamCommand, UpstreamReport, UpstreamSet};
use crate::compose::Parts;
use crate::config::{ConfigError, MasterKeySource, Settings, StorageConfig};
use crate::exit_error::ExitError;
use crate::master_key;
use crate::remote::{Remote, escaped};
use crate::serve::home_tenant;

/// A refresh that also removes here what was removed upstream, as the admin API names it.
const REMOVING: &str = "refresh-and-remove";

const PATH: &str = "/v1/admin/upstreams";

/// How often it is looked how far a server's work has come.
const LOOK: Duration = Duration::from_millis(500);

/// What is asked, of which space.
enum Asked {
    Set(Value),
    Status,
    /// A pass, how it is asked for, and the files that its report is written to.
    Work(PassKind, &'static str, Vec<PathBuf>),
    /// The report of the last comparison, and where it is written to.
    Report(Vec<PathBuf>),
    Clients,
    Detach,
    Forget,
}

fn read(command: UpstreamCommand) -> Result<(Option<SpaceNamed>, Asked), ExitError> {
    Ok(match command {
        UpstreamCommand::Set(set) => {
            let (space, body) = body(*set)?;
            (Some(space), Asked::Set(body))
        }
        UpstreamCommand::Status { bucket: None, namespace: None, .. } => (None, Asked::Status),
        UpstreamCommand::Status { bucket, namespace, tenant } => {
            (Some(SpaceNamed { bucket, namespace, tenant }), Asked::Status)
        }
        UpstreamCommand::Backfill { space } => {
            (Some(space), Asked::Work(PassKind::Backfill, "backfill", Vec::new()))
        }
        UpstreamCommand::Verify { space, reports } => {
            (Some(space), Asked::Work(PassKind::Verify, "verify", reports))
        }
        UpstreamCommand::Refresh { space, remove } => {
            let work = if remove { REMOVING } else { "refresh" };
            (Some(space), Asked::Work(PassKind::Refresh, work, Vec::new()))
        }
        UpstreamCommand::Report(report) => {
            let UpstreamReport { bucket, namespace, tenant, out, .. } = *report;
            (Some(SpaceNamed { bucket, namespace, tenant }), Asked::Report(out))
        }
        UpstreamCommand::Clients { space } => (Some(space), Asked::Clients),
        UpstreamCommand::Detach { space, forget: false } => (Some(space), Asked::Detach),
        UpstreamCommand::Detach { space, forget: true } => (Some(space), Asked::Forget),
    })
}

fn body(set: UpstreamSet) -> Result<(SpaceNamed, Value), ExitError> {
    let secret = match (set.secret_key, set.secret_key_file) {
        (Some(secret), _) => Some(secret),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(&path);
            let text = text.map_err(|error| ExitError::unable(format!("read {}", path.display()), error))?;
            Some(text.trim_end_matches(['\r', '\n']).to_owned())
        }
        (None, None) => None,
    };
    let bound = |number: u64| if number == 0 { Value::Null } else { json!(number) };
    let fields = [
        ("endpoint", set.endpoint.map(Value::from)),
        ("upstream_bucket", set.upstream_bucket.map(Value::from)),
        ("prefix", set.prefix.map(Value::from)),
        ("region", set.upstream_region.map(Value::from)),
        ("addressing", set.addressing.map(Value::from)),
        ("access_key", set.access_key.map(Value::from)),
        ("secret_key", secret.map(Value::from)),
        ("mode", set.mode.map(Value::from)),
        ("allow_private", set.allow_private.map(Value::from)),
        ("requests_per_second", set.upstream_requests_per_second.map(|n| bound(n.into()))),
        ("bytes_per_second", set.upstream_bytes_per_second.map(bound)),
        ("mirror_rows_max", set.mirror_rows_max.map(Value::from)),
        ("mirror_overflow", set.mirror_overflow.map(Value::from)),
        ("keep_here", set.keep_here.then_some(Value::Bool(true))),
        ("mirror_wait_seconds", set.mirror_wait.map(|n| bound(n.into()))),
    ];
    let body: Map<String, Value> =
        fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    if body.is_empty() {
        let why = "nothing to set: name something, such as --mode read-through";
        return Err(ExitError::Config(ConfigError::new("upstream set", why)));
    }
    Ok((set.space, Value::Object(body)))
}

/// On the store itself.
pub(super) async fn run(
    settings: &Settings,
    command: UpstreamCommand,
    output: Output,
) -> Result<(), ExitError> {
    let storage = StorageConfig::new(settings)?;
    if let Some(asked) = report::Keyed::of(&command)? {
        return asked.run(storage, settings, output).await;
    }
    let (named, asked) = read(command)?;
    let source = MasterKeySource::new(settings, &storage)?;
    let parts = Parts::open_known(storage).await?;
    // Its own writer: what a pull stages is cleaned up behind it as behind any other.
    let writer = WriterId(Uuid::new_v4());
    let result = on(&parts, writer, &source, named, asked, output).await;
    let given_up =
        TakeOver::new(parts.metadata.clone(), parts.tiers.clone(), parts.clock.clone()).from(writer).await;
    parts.metadata.close().await;
    result?;
    given_up.map(drop).map_err(ExitError::from)
}

async fn on(
    parts: &Parts,
    writer: WriterId,
    source: &MasterKeySource,
    named: Option<SpaceNamed>,
    asked: Asked,
    output: Output,
) -> Result<(), ExitError> {
    let keys = master_key::open(parts, source).await?;
    let heartbeat = Heartbeat::new(parts.metadata.clone(), parts.clock.clone(), writer);
    heartbeat.step().await?;
    let (store, commits) = parts.store(writer, juststorage_core::application::pools::Pools::default());
    let store = store.with_upstreams(parts.upstreams(keys.clone()).await?);
    let access = Access::new(
        parts.metadata.clone(),
        parts.clock.clone(),
        keys,
        AuthMode::Required,
        None,
        home_tenant()?,
    );
    let admin = Admin::new(store.clone(), access);
    let who = Principal::unrestricted("operator", home_tenant()?);
    let beats = async {
        loop {
            tokio::time::sleep(heartbeat.rest()).await;
            if let Err(error) = heartbeat.step().await {
                tracing::warn!(%error, "heartbeat failed; it will be tried again");
            }
        }
    };
    let work = async {
        let Some(named) = named else {
            let mut all = Vec::new();
            for status in admin.upstreams(&who, None, 1000).await? {
                all.push(shown(&status)?);
            }
            return output
                .print(&Value::Array(all.clone()), || all.iter().map(text).collect::<Vec<_>>().join("\n\n"));
        };
        let address = match named {
            SpaceNamed { bucket: Some(bucket), .. } => admin.bucket(&who, &bucket).await?.space.address,
            SpaceNamed { namespace, tenant, .. } => address(namespace, tenant)?,
        };
        let status = match asked {
            Asked::Set(body) => {
                let change = upstream_change(&body).map_err(ExitError::No)?;
                admin.set_upstream(&who, &address, &change).await?
            }
            Asked::Status => admin.upstream(&who, &address).await?,
            Asked::Detach => admin.detach(&who, &address).await?,
            Asked::Forget => {
                admin.forget_upstream(&who, &address).await?;
                return output
                    .print(&json!({"forgotten": address.to_string()}), || format!("forgotten: {address}"));
            }
            Asked::Clients => {
                let seen = clients_document(admin.upstream_clients(&who, &address).await?)
                    .map_err(|error| ExitError::unable("show the clients", error))?;
                return show_clients(&seen, output);
            }
            Asked::Report(files) => {
                return report::put(&admin.comparison(&who, &address).await?, &files);
            }
            Asked::Work(kind, work, reports) => {
                if work == REMOVING {
                    admin.refresh_and_remove(&who, &address).await?;
                } else {
                    admin.begin_pass(&who, &address, kind).await?;
                }
                let worker = UpstreamWorker::new(store.clone()).under_lease();
                let bar = progress();
                let done = loop {
                    let status = admin.upstream(&who, &address).await?;
                    let now = shown(&status)?;
                    bar.set_message(line(kind, &now));
                    if !now[kind.as_str()]["finished_at"].is_null() {
                        break now;
                    }
                    step(parts, writer, &worker).await?;
                };
                bar.finish_and_clear();
                parts.metadata.release_lease(worker.name(), writer.0).await?;
                if !reports.is_empty() {
                    report::put(&admin.comparison(&who, &address).await?, &reports)?;
                }
                return conclude(kind, &done, output);
            }
        };
        let shown = shown(&status)?;
        output.print(&shown, || text(&shown))
    };
    let result = tokio::select! {
        result = work => result,
        () = beats => Err(ExitError::Unable("the heartbeat ended".to_owned())),
    };
    commits.shut_down().await;
    result
}

/// Takes a step of the work, or waits a little where a server does it.
async fn step(parts: &Parts, writer: WriterId, worker: &UpstreamWorker) -> Result<(), ExitError> {
    let now = parts.metadata.lease_time(parts.clock.now()).await?;
    if !parts.metadata.acquire_lease(worker.name(), writer.0, now, now.plus(worker.lease())).await? {
        tokio::time::sleep(LOOK).await;
        return Ok(());
    }
    let (metadata, clock) = (parts.metadata.as_ref(), parts.clock.as_ref());
    match step_under_lease(worker, metadata, clock, writer.0).await? {
        WorkDone::Did(_) => {}
        WorkDone::Paced(_, rest) => tokio::time::sleep(rest).await,
        WorkDone::Idle => tokio::time::sleep(LOOK).await,
    }
    Ok(())
}

/// On the store of a server.
pub(super) async fn run_remote(
    remote: &Remote,
    command: UpstreamCommand,
    output: Output,
) -> Result<(), ExitError> {
    if let Some(asked) = report::Keyed::of(&command)? {
        return asked.run_remote(remote, output).await;
    }
    let (named, asked) = read(command)?;
    let Some(named) = named else {
        let all = remote.all(PATH, "upstreams").await?;
        return output
            .print(&Value::Array(all.clone()), || all.iter().map(text).collect::<Vec<_>>().join("\n\n"));
    };
    let (namespace, tenant) = match named {
        SpaceNamed { bucket: Some(bucket), .. } => {
            let found = remote.get(&format!("/v1/admin/buckets/{}", escaped(bucket.as_str()))).await?;
            let field = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
            (field("namespace"), field("tenant"))
        }
        SpaceNamed { namespace, tenant, .. } => {
            let address = address(namespace, tenant)?;
            (address.namespace.to_string(), address.tenant.to_string())
        }
    };
    let path = format!("{PATH}/{}/{}", escaped(&namespace), escaped(&tenant));
    let now = match asked {
        Asked::Set(body) => remote.call(Method::PUT, &path, Some(&body)).await?,
        Asked::Status => remote.get(&path).await?,
        Asked::Detach => remote.call(Method::POST, &format!("{path}/detach"), None).await?,
        Asked::Forget => {
            remote.call(Method::DELETE, &path, None).await?;
            let name = format!("{namespace}/{tenant}");
            return output.print(&json!({"forgotten": name}), || format!("forgotten: {name}"));
        }
        Asked::Clients => return show_clients(&remote.get(&format!("{path}/clients")).await?, output),
        Asked::Report(files) => return report::put(&remote.get(&format!("{path}/report")).await?, &files),
        Asked::Work(kind, work, reports) => {
            let mut now = remote.call(Method::POST, &format!("{path}/{work}"), None).await?;
            let bar = progress();
            while now[kind.as_str()]["finished_at"].is_null() {
                bar.set_message(line(kind, &now));
                tokio::time::sleep(LOOK).await;
                now = remote.get(&path).await?;
            }
            bar.finish_and_clear();
            if !reports.is_empty() {
                report::put(&remote.get(&format!("{path}/report")).await?, &reports)?;
            }
            return conclude(kind, &now, output);
        }
    };
    output.print(&now, || text(&now))
}

fn address(namespace: Option<Namespace>, tenant: Option<Tenant>) -> Result<SpaceAddress, ExitError> {
    let tenant = tenant.map_or_else(home_tenant, Ok)?;
    let namespace =
        namespace.ok_or_else(|| ExitError::No("a bucket or a namespace is required".to_owned()))?;
    Ok(SpaceAddress::new(namespace, tenant))
}

fn shown(status: &UpstreamStatus) -> Result<Value, ExitError> {
    upstream_document(status).map_err(|error| ExitError::unable("show the upstream", error))
}

/// How far a pass has come.
fn line(kind: PassKind, shown: &Value) -> String {
    let report = &shown[kind.as_str()]["report"];
    let count = |name: &str| report[name].as_u64().unwrap_or_default();
    let bytes = HumanBytes(count("bytes"));
    match kind {
        PassKind::Survey => format!("{} objects ({bytes}) counted", count("objects")),
        PassKind::Backfill => {
            format!(
                "{} of {} objects fetched ({bytes}), {} failed",
                count("fetched"),
                count("objects"),
                count("failed")
            )
        }
        PassKind::Mirror => format!("{} keys looked at, {} sent", count("keys"), count("queued")),
        PassKind::Refresh => format!(
            "{} keys looked at, {} replaced there, {} removed there, {} left to decide",
            count("keys"),
            count("replaced"),
            count("removed"),
            count("found")
        ),
        PassKind::Verify => format!("{} objects match, {} findings", count("matched"), count("found")),
    }
}

/// Prints what a pass came to; exit code 1 unless it is clean.
fn conclude(kind: PassKind, shown: &Value, output: Output) -> Result<(), ExitError> {
    let report = &shown[kind.as_str()]["report"];
    output.print(report, || {
        let mut lines = Vec::new();
        for (name, value) in report.as_object().into_iter().flatten() {
            match value {
                Value::Array(all) => lines.extend(all.iter().map(finding)),
                Value::Object(of) if name == "versions" => {
                    lines.extend(of.iter().map(|(name, value)| {
                        format!("{:<16} {}", format!("versions: {}", name.replace('_', " ")), cell(value))
                    }));
                }
                Value::Object(_) | Value::Null => {}
                value => lines.push(format!("{:<16} {}", name.replace('_', " "), cell(value))),
            }
        }
        lines.join("\n")
    })?;
    if report["clean"] != false {
        return Ok(());
    }
    let found = report["found"].as_u64().or(report["failed"].as_u64()).unwrap_or_default();
    verdict(usize::try_from(found).unwrap_or(usize::MAX).max(1))
}

fn show_clients(seen: &Value, output: Output) -> Result<(), ExitError> {
    let clients = &seen["clients"];
    output.print(clients, || {
        let rows: Vec<_> = clients
            .as_array()
            .into_iter()
            .flatten()
            .map(|one| {
                ["credential", "user_agent", "last_at", "local", "pulled", "upstream", "changes", "other"]
                    .map(|name| cell(&one[name]))
            })
            .collect();
        table(
            ["CREDENTIAL", "USER AGENT", "LAST SEEN", "LOCAL", "PULLED", "UPSTREAM", "CHANGES", "OTHER"],
            &rows,
        )
    })
}

fn finding(finding: &Value) -> String {
    match finding {
        Value::Object(fields) => {
            let cells: Vec<_> = fields.values().map(cell).collect();
            format!("  {}", cells.join("  "))
        }
        other => format!("  {}", cell(other)),
    }
}

fn text(shown: &Value) -> String {
    let mut lines = Vec::new();
    for (name, value) in shown.as_object().into_iter().flatten() {
        let value = match value {
            Value::Null => continue,
            Value::Object(mirror) if name == "mirror" => {
                let count = |name: &str| cell(&mirror[name]);
                format!(
                    "{} wait, for {} s; {} put aside, {} dropped, {} changed there",
                    count("waiting"),
                    count("lag_seconds"),
                    count("aside"),
                    count("dropped"),
                    count("changed_there")
                )
            }
            Value::Object(pass) => {
                let done = if pass["finished_at"].is_null() { "under way" } else { "done" };
                let kind = PassKind::ALL.into_iter().find(|kind| kind.as_str() == name);
                kind.map_or_else(String::new, |kind| format!("{done}: {}", line(kind, shown)))
            }
            other => cell(other),
        };
        lines.push(format!("{:<20} {value}", name.replace('_', " ")));
    }
    lines.join("\n")
}
