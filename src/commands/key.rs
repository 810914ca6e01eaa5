//! `juststorage key`.

use std::time::Duration;

use axum::http::Method;
use juststorage_core::application::access::{Access, AuthMode, MasterKeys, NewKey, NewKeyRequest};
use juststorage_core::application::error::Error;
use juststorage_core::application::ports::metadata::{Credential, CredentialKind};
use juststorage_core::domain::address::Tenant;
use juststorage_core::domain::principal::Right;
use serde_json::{Value, json};
use uuid::Uuid;

use super::output::{Output, cell, rfc3339, table};
use super::snippets;
use crate::cli::{KeyCommand, KeyCreate, KeyKind};
use crate::compose::Parts;
use crate::config::{ConfigError, ListenConfig, MasterKeySource, Settings, StorageConfig};
use crate::exit_error::ExitError;
use crate::master_key;
use crate::remote::Remote;
use crate::serve::home_tenant;

/// Creates, lists, replaces or revokes credentials.
pub(super) async fn run(settings: &Settings, command: KeyCommand, output: Output) -> Result<(), ExitError> {
    let storage = StorageConfig::new(settings)?;
    let listen = ListenConfig::new(settings)?;
    let source = MasterKeySource::new(settings, &storage)?;
    let parts = Parts::open_known(storage).await?;
    let result = on(&parts, &listen, &source, command, output).await;
    parts.metadata.close().await;
    result
}

/// As [`run`], on the store of a server.
pub(super) async fn run_remote(
    remote: &Remote,
    command: KeyCommand,
    output: Output,
) -> Result<(), ExitError> {
    const PATH: &str = "/v1/admin/credentials";
    match command {
        KeyCommand::List { tenant } => {
            let only = tenant.map_or_else(String::new, |tenant| format!("?tenant={tenant}"));
            let found = remote.all(&format!("{PATH}{only}"), "credentials").await?;
            output.print(&Value::Array(found.clone()), || listed(&found))
        }
        KeyCommand::Revoke { id } => {
            remote.call(Method::DELETE, &format!("{PATH}/{id}"), None).await?;
            revoked(id, output)
        }
        KeyCommand::Create(request) => {
            let namespaces: Vec<_> = request.namespaces.iter().map(ToString::to_string).collect();
            let prefixes: Vec<_> = request.prefixes.iter().map(ToString::to_string).collect();
            let rights: Vec<_> = request.rights.iter().map(Right::as_str).collect();
            let new = json!({
                "kind": match request.kind { KeyKind::Api => "api", KeyKind::S3 => "s3" },
                "tenant": request.tenant.as_str(),
                "namespaces": (!namespaces.is_empty()).then_some(namespaces),
                "prefixes": (!prefixes.is_empty()).then_some(prefixes),
                "rights": rights,
                "description": request.description,
                "expires_in_seconds": request.expires.map(|age| age.as_secs()),
            });
            show_remote(remote, &remote.call(Method::POST, PATH, Some(&new)).await?, output)
        }
        KeyCommand::Rotate { id, grace } => {
            let body = json!({ "grace_seconds": grace.map_or(0, |grace: Duration| grace.as_secs()) });
            let path = format!("{PATH}/{id}/rotate");
            show_remote(remote, &remote.call(Method::POST, &path, Some(&body)).await?, output)
        }
        KeyCommand::RotateMaster { .. } => Err(ExitError::Config(ConfigError::new(
            "JUSTSTORAGE_URL",
            "is set, and the master key is never sent: run this command beside the database, without the URL",
        ))),
    }
}

/// Shows a credential that a server has just made, with its secret.
fn show_remote(remote: &Remote, made: &Value, output: Output) -> Result<(), ExitError> {
    let text = |field: &str| made[field].as_str().unwrap_or_default();
    let mut shown = json!({ "id": made["id"], "kind": made["kind"], "tenant": made["tenant"] });
    for field in ["token", "access_key", "secret_key", "replaces"] {
        if made[field].is_string() {
            shown[field] = made[field].clone();
        }
    }
    output.print(&shown, || {
        let (id, tenant) = (text("id"), text("tenant"));
        if text("kind") == "api" {
            let token = text("token");
            let url = remote.url();
            return format!(
                "API credential {id} of tenant {tenant}. The token is not shown again:\n\n\
                 export JUSTSTORAGE_URL={url} JUSTSTORAGE_TOKEN={token}"
            );
        }
        let (access_key, secret_key) = (text("access_key"), text("secret_key"));
        format!(
            "S3 credential {id} of tenant {tenant}. The secret is not shown again:\n\n\
             export AWS_ACCESS_KEY_ID={access_key}\nexport AWS_SECRET_ACCESS_KEY={secret_key}"
        )
    })
}

fn revoked(id: Uuid, output: Output) -> Result<(), ExitError> {
    output.print(&json!({ "id": id, "revoked": true }), || format!("credential {id} is revoked"))
}

async fn on(
    parts: &Parts,
    listen: &ListenConfig,
    source: &MasterKeySource,
    command: KeyCommand,
    output: Output,
) -> Result<(), ExitError> {
    match command {
        // A command that seals nothing needs no master key: without it, credentials can be listed and revoked.
        KeyCommand::List { tenant } => list(parts, tenant.as_ref(), output).await,
        KeyCommand::Revoke { id } => {
            if !parts.metadata.revoke_credential(id, parts.clock.now()).await? {
                return Err(Error::NoSuchCredential.into());
            }
            revoked(id, output)
        }
        KeyCommand::Create(request) => {
            let access = access(parts, master_key::open(parts, source).await?)?;
            create(parts, &access, listen, request, output).await
        }
        KeyCommand::Rotate { id, grace } => {
            let access = access(parts, master_key::open(parts, source).await?)?;
            let (key, made) = access.rotate_key(id, grace.unwrap_or_default()).await?;
            show(listen, &key, Some(id), &made, output)
        }
        KeyCommand::RotateMaster { revoke_lost } => rotate_master(parts, source, revoke_lost, output).await,
    }
}

fn access(parts: &Parts, keys: MasterKeys) -> Result<Access, ExitError> {
    let (metadata, clock) = (parts.metadata.clone(), parts.clock.clone());
    Ok(Access::new(metadata, clock, keys, AuthMode::Required, None, home_tenant()?))
}

async fn rotate_master(
    parts: &Parts,
    source: &MasterKeySource,
    revoke_lost: bool,
    output: Output,
) -> Result<(), ExitError> {
    let replaces = matches!(source, MasterKeySource::Kept);
    // A server knows the kept key as it was when it started.
    let _held = if replaces { Some(parts.data_dir.hold()?) } else { None };
    // Before it is replaced: a key that is not the store's must not become the previous one.
    let keys = if revoke_lost {
        master_key::open_anyway(parts, source)?
    } else {
        master_key::open(parts, source).await?
    };
    let keys = if replaces {
        parts.data_dir.replace_master_key()?;
        parts.data_dir.master_keys(source)?.unwrap_or(keys)
    } else {
        keys
    };
    let (resealed, lost) = access(parts, keys)?.reseal_keys(revoke_lost).await?;
    output.print(&json!({ "resealed": resealed, "lost": lost }), || {
        format!("S3 keys that are now sealed with the new master key: {resealed}")
    })?;
    if lost.is_empty() || revoke_lost {
        return if replaces { parts.data_dir.forget_previous_master_key() } else { Ok(()) };
    }
    let lost: Vec<_> = lost.iter().map(ToString::to_string).collect();
    Err(ExitError::No(format!("neither master key opens the secrets of: {}", lost.join(", "))))
}

async fn create(
    parts: &Parts,
    access: &Access,
    listen: &ListenConfig,
    request: KeyCreate,
    output: Output,
) -> Result<(), ExitError> {
    let request = NewKeyRequest {
        kind: match request.kind {
            KeyKind::Api => CredentialKind::Api,
            KeyKind::S3 => CredentialKind::S3,
        },
        tenant: request.tenant,
        namespaces: (!request.namespaces.is_empty()).then_some(request.namespaces),
        prefixes: (!request.prefixes.is_empty()).then_some(request.prefixes),
        rights: request.rights,
        description: request.description,
        expires_at: request.expires.map(|age| parts.clock.now().plus(age)),
    };
    request.validate().map_err(|invalid| ConfigError::new(invalid.field, invalid.reason))?;
    let (credential, made) = access.issue(request).await?;
    show(listen, &credential, None, &made, output)
}

/// Shows a new credential with its secret, the only time it is shown, and examples to paste.
fn show(
    listen: &ListenConfig,
    credential: &Credential,
    replaces: Option<Uuid>,
    made: &NewKey,
    output: Output,
) -> Result<(), ExitError> {
    let tenant = &credential.tenant;
    let (mut shown, text) = match made {
        NewKey::Api { id, token } => (
            json!({ "id": id, "kind": "api", "tenant": tenant.as_str(), "token": token }),
            format!(
                "API credential {id} of tenant {tenant}. The token is not shown again:\n\n{}",
                snippets::api(listen, credential, token)
            ),
        ),
        NewKey::S3 { id, access_key, secret_key } => (
            json!({
                "id": id, "kind": "s3", "tenant": tenant.as_str(),
                "access_key": access_key, "secret_key": secret_key,
            }),
            format!(
                "S3 credential {id} of tenant {tenant}. The secret is not shown again:\n\n{}",
                snippets::s3(listen, credential, access_key, secret_key)
            ),
        ),
    };
    if let Some(replaced) = replaces {
        shown["replaces"] = json!(replaced);
    }
    output.print(&shown, || text)
}

async fn list(parts: &Parts, tenant: Option<&Tenant>, output: Output) -> Result<(), ExitError> {
    let keys = parts.metadata.list_credentials(tenant).await?;
    let shown: Vec<_> = keys.iter().map(json).collect();
    output.print(&Value::Array(shown.clone()), || listed(&shown))
}

fn listed(keys: &[Value]) -> String {
    let row = |key: &Value| {
        let until = match (key["revoked_at"].as_str(), key["expires_at"].as_str()) {
            (Some(revoked), _) => format!("revoked {revoked}"),
            (None, Some(expires)) => format!("until {expires}"),
            (None, None) => "until revoked".to_owned(),
        };
        let namespaces =
            if key["namespaces"].is_null() { "all".to_owned() } else { cell(&key["namespaces"]) };
        let keys = if key["prefixes"].is_null() { "all".to_owned() } else { cell(&key["prefixes"]) };
        let [id, kind, tenant, rights, description] =
            ["id", "kind", "tenant", "rights", "description"].map(|field| cell(&key[field]));
        [id, kind, tenant, namespaces, keys, rights, until, description]
    };
    let rows: Vec<_> = keys.iter().map(row).collect();
    table(["ID", "KIND", "TENANT", "NAMESPACES", "KEYS", "RIGHTS", "HOLDS", "DESCRIPTION"], &rows)
}

fn kind(key: &Credential) -> &'static str {
    match key.kind {
        CredentialKind::Api => "api",
        CredentialKind::S3 => "s3",
    }
}

fn json(key: &Credential) -> Value {
    let rights: Vec<_> = Right::ALL.into_iter().filter(|r| key.rights.has(*r)).map(Right::as_str).collect();
    let namespaces =
        key.namespaces.as_ref().map(|names| names.iter().map(ToString::to_string).collect::<Vec<_>>());
    let prefixes = key.prefixes.as_ref().map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>());
    let mut shown = json!({
        "id": key.id,
        "kind": kind(key),
        "tenant": key.tenant.as_str(),
        "namespaces": namespaces,
        "prefixes": prefixes,
        "rights": rights,
        "description": key.description,
        "created_at": rfc3339(key.created_at),
        "expires_at": key.expires_at.map(rfc3339),
        "revoked_at": key.revoked_at.map(rfc3339),
    });
    if key.kind == CredentialKind::S3 {
        shown["access_key"] = json!(key.lookup);
    }
    shown
}
