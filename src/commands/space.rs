//! `juststorage space`.

use std::path::Path;

use axum::http::Method;
use juststorage_core::application::access::{Access, AuthMode};
use juststorage_core::application::admin::{Admin, SpaceChange};
use juststorage_core::domain::address::{Namespace, SpaceAddress, Tenant};
use juststorage_native_api::{space_change, space_document, space_removal};
use serde_json::{Value, json};

use super::output::{Output, cell};
use super::session::Session;
use crate::cli::{SpaceCommand, SpaceNamed, SpaceSet};
use crate::config::{ConfigError, MasterKeySource, Settings, StorageConfig};
use crate::exit_error::ExitError;
use crate::master_key;
use crate::remote::{Remote, escaped};
use crate::serve::home_tenant;

/// Largest file of a document, in bytes; the admin API takes no larger body.
const DOCUMENT_BYTES_MAX: u64 = 1 << 20;

/// One setting, and its document; `None` removes it.
type Change = (&'static str, Option<String>);

/// Shows or changes what is set on a space.
pub(super) async fn run(settings: &Settings, command: SpaceCommand, output: Output) -> Result<(), ExitError> {
    let (named, changes) = parts(command)?;
    let storage = StorageConfig::new(settings)?;
    let source = MasterKeySource::new(settings, &storage)?;
    let session = Session::open(storage).await?;
    let result = on(&session, &source, named, changes, output).await;
    session.close().await;
    result
}

/// As [`run`], on the store of a server.
pub(super) async fn run_remote(
    remote: &Remote,
    command: SpaceCommand,
    output: Output,
) -> Result<(), ExitError> {
    let (named, changes) = parts(command)?;
    let (namespace, tenant) = match named {
        SpaceNamed { bucket: Some(bucket), .. } => {
            let found = remote.get(&format!("/v1/admin/buckets/{}", escaped(bucket.as_str()))).await?;
            let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
            (text("namespace"), text("tenant"))
        }
        SpaceNamed { namespace, tenant, .. } => {
            let namespace = namespace.map(|namespace| namespace.to_string()).unwrap_or_default();
            (
                namespace,
                tenant.map_or_else(|| home_tenant().map(|home| home.to_string()), |t| Ok(t.to_string()))?,
            )
        }
    };
    let path = format!("/v1/admin/spaces/{}/{}", escaped(&namespace), escaped(&tenant));
    for (setting, document) in changes {
        let path = format!("{path}/{setting}");
        match document {
            None => remote.call(Method::DELETE, &path, None).await?,
            Some(text) => {
                let body: Value = serde_json::from_str(&text)
                    .map_err(|error| ExitError::No(format!("{setting}: {error}")))?;
                remote.call(Method::PUT, &path, Some(&body)).await?
            }
        };
    }
    let shown = remote.get(&path).await?;
    output.print(&shown, || text(&shown))
}

async fn on(
    session: &Session,
    source: &MasterKeySource,
    named: SpaceNamed,
    changes: Vec<Change>,
    output: Output,
) -> Result<(), ExitError> {
    let parts = &session.parts;
    let keys = master_key::open(parts, source).await?;
    let (metadata, clock) = (parts.metadata.clone(), parts.clock.clone());
    let access = Access::new(metadata, clock, keys, AuthMode::Required, None, home_tenant()?);
    let (admin, who) = (Admin::new(session.store.clone(), access), &session.operator);
    let address = match named {
        SpaceNamed { bucket: Some(bucket), .. } => admin.bucket(who, &bucket).await?.space.address,
        SpaceNamed { namespace, tenant, .. } => address(namespace, tenant)?,
    };
    let changes = changes.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    for change in changes {
        admin.change_space(who, &address, change).await?;
    }
    let (entry, settings) = admin.space(who, &address).await?;
    let shown =
        space_document(&entry, &settings).map_err(|error| ExitError::unable("show the space", error))?;
    output.print(&shown, || text(&shown))
}

fn read((setting, document): &Change) -> Result<SpaceChange, ExitError> {
    match document {
        None => space_removal(setting),
        Some(text) => space_change(setting, text.as_bytes()),
    }
    .map_err(|unset| ExitError::No(format!("{setting}: {unset}")))
}

fn address(namespace: Option<Namespace>, tenant: Option<Tenant>) -> Result<SpaceAddress, ExitError> {
    let tenant = tenant.map_or_else(home_tenant, Ok)?;
    // The command line asks for it where no bucket is named.
    let namespace =
        namespace.ok_or_else(|| ExitError::No("a bucket or a namespace is required".to_owned()))?;
    Ok(SpaceAddress::new(namespace, tenant))
}

fn parts(command: SpaceCommand) -> Result<(SpaceNamed, Vec<Change>), ExitError> {
    let set = match command {
        SpaceCommand::Get { space } => return Ok((space, Vec::new())),
        SpaceCommand::Set(set) => *set,
    };
    let SpaceSet {
        space,
        versioning,
        default_class,
        lifecycle,
        cors,
        tags,
        object_lock,
        policy,
        public_access,
    } = set;
    let simple = |name, field: &str, value: Option<String>| {
        value.map(|value| (name, Some(json!({ field: value }).to_string())))
    };
    // Versioning first: an object lock needs it.
    let mut changes: Vec<Change> =
        [simple("versioning", "status", versioning), simple("default-class", "class", default_class)]
            .into_iter()
            .flatten()
            .collect();
    for (name, value) in [
        ("lifecycle", lifecycle),
        ("cors", cors),
        ("tags", tags),
        ("object-lock", object_lock),
        ("public-access", public_access),
        ("policy", policy),
    ] {
        match value.as_deref() {
            None => {}
            Some("none") => changes.push((name, None)),
            Some(text) if text.trim_start().starts_with('{') => changes.push((name, Some(text.to_owned()))),
            Some(path) => changes.push((name, Some(file(name, Path::new(path))?))),
        }
    }
    if changes.is_empty() {
        return Err(ExitError::Config(ConfigError::new(
            "space set",
            "nothing to set: name a setting, such as --versioning enabled",
        )));
    }
    // All of them can be read before the first is set, here or over a server.
    for change in &changes {
        read(change)?;
    }
    Ok((space, changes))
}

fn file(setting: &'static str, path: &Path) -> Result<String, ExitError> {
    use std::io::Read as _;
    let mut text = String::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(DOCUMENT_BYTES_MAX + 1).read_to_string(&mut text));
    match read {
        Ok(_) if text.len() as u64 <= DOCUMENT_BYTES_MAX => Ok(text),
        Ok(_) => Err(ExitError::No(format!("{setting}: {} has more than 1 MiB", path.display()))),
        Err(error) => Err(ExitError::No(format!("{setting}: cannot read {}: {error}", path.display()))),
    }
}

fn text(shown: &Value) -> String {
    let mut lines = vec![
        format!("namespace      {}", cell(&shown["namespace"])),
        format!("tenant         {}", cell(&shown["tenant"])),
        format!("buckets        {}", cell(&shown["buckets"])),
    ];
    for (name, value) in shown["settings"].as_object().into_iter().flatten() {
        let value = match value {
            Value::Null => "none".to_owned(),
            Value::Object(fields) if fields.len() == 1 && fields.values().all(Value::is_string) => {
                fields.values().map(cell).collect()
            }
            other => other.to_string(),
        };
        lines.push(format!("{:<14} {value}", name.replace('_', " ")));
    }
    lines.join("\n")
}
