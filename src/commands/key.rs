//! `juststorage key`.

use juststorage_core::application::access::{Access, AuthMode, NewKey, NewKeyRequest};
use juststorage_core::application::ports::metadata::{Credential, CredentialKind};
use juststorage_core::domain::address::Tenant;
use juststorage_core::domain::principal::Right;
use serde_json::{Value, json};
use uuid::Uuid;

use super::output::{Output, rfc3339, table};
use super::snippets;
use crate::cli::{KeyCommand, KeyCreate, KeyKind};
use crate::compose::Parts;
use crate::config::{ListenConfig, MasterKeySource, Settings, StorageConfig};
use crate::data_dir::DataDir;
use crate::failure::Failure;
use crate::serve::home_tenant;

/// Makes, lists, replaces or revokes.
pub(super) async fn run(settings: &Settings, command: KeyCommand, output: Output) -> Result<(), Failure> {
    let storage = StorageConfig::new(settings)?;
    let listen = ListenConfig::new(settings)?;
    let source = MasterKeySource::new(settings, &storage)?;
    let data_dir = DataDir::open(&storage.data_dir)?;
    let replaces = matches!((&command, &source), (KeyCommand::RotateMaster, MasterKeySource::Kept));
    // A server knows the kept key as it was when it started.
    let _held = if replaces { Some(data_dir.hold()?) } else { None };
    if replaces {
        data_dir.replace_master_key()?;
    }
    let master_keys = data_dir.master_keys(&source)?;
    let parts = Parts::open_in(data_dir, storage).await?;
    let (metadata, clock) = (parts.metadata.clone(), parts.clock.clone());
    let access = Access::new(metadata, clock, master_keys, AuthMode::Required, None, home_tenant()?);
    let result = match command {
        KeyCommand::Create(request) => create(&parts, &access, &listen, request, output).await,
        KeyCommand::List { tenant } => list(&access, tenant.as_ref(), output).await,
        KeyCommand::Revoke { id } => match access.revoke_key(id).await {
            Ok(()) => output.print(&json!({ "id": id, "revoked": true }), || format!("key {id} is revoked")),
            Err(error) => Err(error.into()),
        },
        KeyCommand::Rotate { id, grace } => {
            let rotated = access.rotate_key(id, grace.unwrap_or_default()).await;
            rotated
                .map_err(Failure::from)
                .and_then(|(key, made)| show(&listen, &key.tenant, Some(id), &made, output))
        }
        KeyCommand::RotateMaster => rotate_master(&access, output).await,
    };
    if replaces && result.is_ok() {
        parts.data_dir.forget_previous_master_key()?;
    }
    parts.metadata.close().await;
    result
}

async fn rotate_master(access: &Access, output: Output) -> Result<(), Failure> {
    let (resealed, lost) = access.reseal_keys().await?;
    output.print(&json!({ "resealed": resealed, "lost": lost }), || {
        format!("S3 keys that are now sealed with the new master key: {resealed}")
    })?;
    if lost.is_empty() {
        return Ok(());
    }
    let lost: Vec<_> = lost.iter().map(ToString::to_string).collect();
    Err(Failure::No(format!("neither master key opens the secrets of: {}", lost.join(", "))))
}

async fn create(
    parts: &Parts,
    access: &Access,
    listen: &ListenConfig,
    request: KeyCreate,
    output: Output,
) -> Result<(), Failure> {
    let tenant = request.tenant.clone();
    let made = access
        .create_key(NewKeyRequest {
            kind: match request.kind {
                KeyKind::Api => CredentialKind::Api,
                KeyKind::S3 => CredentialKind::S3,
            },
            tenant: request.tenant,
            namespaces: (!request.namespaces.is_empty()).then_some(request.namespaces),
            rights: request.rights,
            description: request.description,
            expires_at: request.expires.map(|age| parts.clock.now().plus(age)),
        })
        .await?;
    show(listen, &tenant, None, &made, output)
}

/// Shows a key that was just made, the only time its secret is seen, and what to paste where.
fn show(
    listen: &ListenConfig,
    tenant: &Tenant,
    replaces: Option<Uuid>,
    made: &NewKey,
    output: Output,
) -> Result<(), Failure> {
    let (mut shown, text) = match made {
        NewKey::Api { id, token } => (
            json!({ "id": id, "kind": "api", "tenant": tenant.as_str(), "token": token }),
            format!(
                "API key {id} of tenant {tenant}. The token is not shown again:\n\n{}",
                snippets::api(listen, tenant, token)
            ),
        ),
        NewKey::S3 { id, access_key, secret_key } => (
            json!({
                "id": id, "kind": "s3", "tenant": tenant.as_str(),
                "access_key": access_key, "secret_key": secret_key,
            }),
            format!(
                "S3 key {id} of tenant {tenant}. The secret is not shown again:\n\n{}",
                snippets::s3(listen, access_key, secret_key)
            ),
        ),
    };
    if let Some(replaced) = replaces {
        shown["replaces"] = json!(replaced);
    }
    output.print(&shown, || text)
}

async fn list(access: &Access, tenant: Option<&Tenant>, output: Output) -> Result<(), Failure> {
    let keys = access.list_keys(tenant).await?;
    output.print(&keys.iter().map(json).collect(), || {
        let rows: Vec<_> = keys
            .iter()
            .map(|key| {
                let until = match (key.revoked_at, key.expires_at) {
                    (Some(revoked), _) => format!("revoked {}", rfc3339(revoked)),
                    (None, Some(expires)) => format!("until {}", rfc3339(expires)),
                    (None, None) => "until revoked".to_owned(),
                };
                let namespaces = key.namespaces.as_ref().map_or_else(
                    || "all".to_owned(),
                    |names| names.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
                );
                [
                    key.id.to_string(),
                    kind(key).to_owned(),
                    key.tenant.to_string(),
                    namespaces,
                    key.rights.to_string(),
                    until,
                    key.description.clone(),
                ]
            })
            .collect();
        table(["ID", "KIND", "TENANT", "NAMESPACES", "RIGHTS", "HOLDS", "DESCRIPTION"], &rows)
    })
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
    let mut shown = json!({
        "id": key.id,
        "kind": kind(key),
        "tenant": key.tenant.as_str(),
        "namespaces": namespaces,
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
