//! `juststorage key`.

use juststorage_core::application::access::{Access, AuthMode, NewKey, NewKeyRequest};
use juststorage_core::application::ports::metadata::{Credential, CredentialKind};
use juststorage_core::domain::address::{Namespace, Tenant};
use juststorage_core::domain::principal::Right;
use serde_json::{Value, json};

use super::output::{Output, rfc3339, table};
use crate::cli::{KeyCommand, KeyCreate, KeyKind};
use crate::compose::Parts;
use crate::config::{ListenConfig, MasterKeySource, Settings, StorageConfig};
use crate::failure::Failure;
use crate::serve::home_tenant;

/// Makes, lists or revokes.
pub(super) async fn run(settings: &Settings, command: KeyCommand, output: Output) -> Result<(), Failure> {
    let storage = StorageConfig::new(settings)?;
    let listen = ListenConfig::new(settings)?;
    let master_key = MasterKeySource::new(settings, &storage)?;
    let parts = Parts::open(storage).await?;
    let access = Access::new(
        parts.metadata.clone(),
        parts.clock.clone(),
        parts.data_dir.master_key(&master_key)?,
        AuthMode::Required,
        None,
        home_tenant()?,
    );
    let result = match command {
        KeyCommand::Create(request) => create(&parts, &access, &listen, request, output).await,
        KeyCommand::List { tenant } => list(&access, tenant.as_ref(), output).await,
        KeyCommand::Revoke { id } => match access.revoke_key(id).await {
            Ok(()) => output.print(&json!({ "id": id, "revoked": true }), || format!("key {id} is revoked")),
            Err(error) => Err(error.into()),
        },
    };
    parts.metadata.close().await;
    result
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
    let tenant = tenant.as_str();
    match made {
        NewKey::Api { id, token } => {
            output.print(&json!({ "id": id, "kind": "api", "tenant": tenant, "token": token }), || {
                format!(
                    "API key {id} of tenant {tenant}. The token is not shown again:\n\n  export TOKEN={token}\n  \
                     curl -H \"Authorization: Bearer $TOKEN\" 'http://{}/v1/usage'",
                    listen.native
                )
            })
        }
        NewKey::S3 { id, access_key, secret_key } => output.print(
            &json!({
                "id": id, "kind": "s3", "tenant": tenant,
                "access_key": access_key, "secret_key": secret_key,
            }),
            || {
                format!(
                    "S3 key {id} of tenant {tenant}. The secret is not shown again:\n\n  \
                     export AWS_ACCESS_KEY_ID={access_key}\n  export AWS_SECRET_ACCESS_KEY={secret_key}\n  \
                     aws --endpoint-url http://{} --region {} s3 ls",
                    listen.s3, listen.region
                )
            },
        ),
    }
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
        key.namespaces.as_ref().map(|names| names.iter().map(Namespace::as_str).collect::<Vec<_>>());
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
