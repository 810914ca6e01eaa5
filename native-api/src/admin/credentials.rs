//! Credentials. A secret is in the answer that made it, and nowhere else.

use std::time::Duration;

use crate::json::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use juststorage_core::application::access::{NewKey, NewKeyRequest};
use juststorage_core::application::admin::CredentialState;
use juststorage_core::application::ports::metadata::{Credential, CredentialKind};
use juststorage_core::domain::address::{KeyPrefix, Tenant};
use juststorage_core::domain::invalid::Invalid;
use juststorage_core::domain::principal::{NamespacePattern, Rights};
use juststorage_core::domain::timestamp::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::request::{
    PAGE, bad_cursor, caller, caller_about, caller_with, caller_with_any, cut, no_content, page, rights,
    unkept, uuid,
};
use crate::app::App;
use crate::extract::{Call, Params, PathNames, moment};
use crate::openapi::{Names, TakesJson};
use crate::problem::Failure;
use crate::render;

/// The credentials to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CredentialsParams {
    /// Only of this tenant.
    tenant: Option<String>,
    /// Only those that are `valid`, `expired` or `revoked`.
    #[param(pattern = "^(valid|expired|revoked)$")]
    state: Option<String>,
    /// `true`: only valid ones that end within 14 days, of those made for longer than a day.
    #[serde(default)]
    ending: bool,
    /// Most entries: default 100, maximum 1000.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next_cursor` of the previous page.
    cursor: Option<String>,
}

/// A credential, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CredentialBody {
    /// Its id.
    #[schema(format = Uuid)]
    id: String,
    /// `api`: a bearer token; `s3`: an access key and a secret key.
    #[schema(pattern = "^(api|s3)$")]
    kind: &'static str,
    /// The access key, of `s3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    access_key: Option<String>,
    /// The tenant whose data it opens.
    tenant: String,
    /// The namespaces that it is bound to, or prefixes of some (`team-*`); `null`: all.
    #[schema(required)]
    namespaces: Option<Vec<String>>,
    /// The beginnings of the keys that it may use, such as `reports/`; `null`: all keys.
    #[schema(required)]
    prefixes: Option<Vec<String>>,
    /// Its rights: of `read`, `write`, `delete`, `admin`, `metrics`, `operator`.
    rights: Vec<&'static str>,
    /// Its purpose.
    description: String,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it ends.
    #[schema(required, format = DateTime)]
    expires_at: Option<String>,
    /// When it was revoked.
    #[schema(required, format = DateTime)]
    revoked_at: Option<String>,
}

impl CredentialBody {
    fn of(credential: &Credential) -> Self {
        let (kind, access_key) = match credential.kind {
            CredentialKind::Api => ("api", None),
            CredentialKind::S3 => ("s3", Some(credential.lookup.clone())),
        };
        let (namespaces, prefixes) = (credential.namespaces.as_ref(), credential.prefixes.as_ref());
        Self {
            id: credential.id.to_string(),
            kind,
            access_key,
            tenant: credential.tenant.to_string(),
            namespaces: namespaces.map(|names| names.iter().map(ToString::to_string).collect()),
            prefixes: prefixes.map(|all| all.iter().map(ToString::to_string).collect()),
            rights: rights(credential.rights.iter()),
            description: credential.description.clone(),
            created_at: render::rfc3339(credential.created_at),
            expires_at: credential.expires_at.map(render::rfc3339),
            revoked_at: credential.revoked_at.map(render::rfc3339),
        }
    }
}

/// A page of credentials.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CredentialsBody {
    /// The oldest first.
    credentials: Vec<CredentialBody>,
    /// For the next page; `null` on the last one.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// A credential that was just made.
#[derive(Serialize, ToSchema)]
pub(crate) struct MadeCredentialBody {
    #[serde(flatten)]
    credential: CredentialBody,
    /// The bearer token, of `api`. Not shown again.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// The secret key, of `s3`. Not shown again.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_key: Option<String>,
    /// The credential that it replaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = Uuid)]
    replaces: Option<String>,
}

impl MadeCredentialBody {
    fn answer(credential: &Credential, made: NewKey, replaces: Option<Uuid>) -> Response {
        let (token, secret_key) = match made {
            NewKey::Api { token, .. } => (Some(token), None),
            NewKey::S3 { secret_key, .. } => (None, Some(secret_key)),
        };
        let replaces = replaces.map(|id| id.to_string());
        let body = Self { credential: CredentialBody::of(credential), token, secret_key, replaces };
        unkept((StatusCode::CREATED, Json(body)).into_response())
    }
}

/// A new credential.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateCredentialBody {
    /// `api`: a bearer token; `s3`: an access key and a secret key.
    #[schema(pattern = "^(api|s3)$")]
    kind: String,
    /// The tenant whose data it opens; default: the caller's.
    tenant: Option<String>,
    /// The namespaces that it is bound to, or prefixes of some (`team-*`); absent or `null`: all.
    namespaces: Option<Vec<String>>,
    /// The beginnings of the keys that it may use, such as `reports/`, at most 16; absent or `null`: all keys. Its rights are
    /// then of `read`, `write` and `delete`.
    prefixes: Option<Vec<String>>,
    /// Its rights: of `read`, `write`, `delete`, `admin`, `metrics`, `operator`; default: the first three.
    rights: Option<Vec<String>>,
    /// Its purpose.
    #[serde(default)]
    description: String,
    /// When it ends; absent or `null`: not before it is revoked.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// After how many seconds it ends, in place of `expires_at`.
    expires_in_seconds: Option<u32>,
}

/// How a credential is replaced.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RotateBody {
    /// For how many seconds the old credential goes on; default: it ends at once.
    grace_seconds: u64,
}

/// List credentials
///
/// Revoked and expired ones too, without their secrets: those that the caller administers.
#[utoipa::path(
    get,
    path = "/v1/admin/credentials",
    operation_id = "admin_list_credentials",
    tag = "admin",
    params(CredentialsParams),
    responses((status = 200, description = "A page", body = CredentialsBody)),
)]
pub(crate) async fn list(
    State(app): State<App>,
    call: Call,
    Params(params): Params<CredentialsParams>,
) -> Result<Json<CredentialsBody>, Failure> {
    let limit = page(params.limit, PAGE)?;
    let (who, tenant) = caller_about(&app, &call, params.tenant.as_deref()).await?;
    let named = |name: &str| CredentialState::ALL.into_iter().find(|state| state.as_str() == name);
    let state = params
        .state
        .as_deref()
        .map(|name| named(name).ok_or_else(|| Invalid::new("state", "must be valid, expired or revoked")));
    let after = params.cursor.as_deref().map(|text| cursor(text).ok_or_else(bad_cursor)).transpose()?;
    let admin = &app.api.admin;
    let found = admin
        .credentials(&who, tenant.as_ref(), state.transpose()?, params.ending, after, limit as usize + 1)
        .await?;
    let (page, next_cursor) = cut(found, limit, |one| format!("{}.{}", one.created_at.millis(), one.id));
    Ok(Json(CredentialsBody { credentials: page.iter().map(CredentialBody::of).collect(), next_cursor }))
}

fn cursor(text: &str) -> Option<(Timestamp, Uuid)> {
    let (made, id) = text.split_once('.')?;
    Some((Timestamp(made.parse().ok()?), id.parse().ok()?))
}

/// Create a credential
///
/// Its secret is in this answer, and never shown again. Takes the right `admin` over the tenant, as far as the namespaces,
/// or `operator`; only an operator gives the rights `metrics` and `operator`.
#[utoipa::path(
    post,
    path = "/v1/admin/credentials",
    operation_id = "admin_create_credential",
    tag = "admin",
    request_body = CreateCredentialBody,
    responses((status = 201, description = "Created, with its secret", body = MadeCredentialBody), TakesJson),
)]
pub(crate) async fn create(State(app): State<App>, call: Call, body: Body) -> Result<Response, Failure> {
    let (who, body) = caller_with::<CreateCredentialBody>(&app, &call, body).await?;
    let kind = match body.kind.as_str() {
        "api" => CredentialKind::Api,
        "s3" => CredentialKind::S3,
        _ => return Err(Invalid::new("kind", "must be api or s3").into()),
    };
    let namespaces = body
        .namespaces
        .map(|names| names.iter().map(|name| NamespacePattern::parse(name)).collect::<Result<Vec<_>, _>>());
    let prefixes = body
        .prefixes
        .map(|all| all.iter().map(|prefix| KeyPrefix::new(prefix)).collect::<Result<Vec<_>, _>>());
    let rights = match &body.rights {
        None => Rights::parse("read,write,delete")?,
        Some(names) if names.is_empty() => Rights::default(),
        Some(names) => Rights::parse(&names.join(","))?,
    };
    let expires_at = match (&body.expires_at, body.expires_in_seconds) {
        (Some(_), Some(_)) => {
            return Err(Invalid::new("expires_at", "must not be sent with expires_in_seconds").into());
        }
        (Some(text), None) => Some(moment("expires_at", text)?),
        (None, Some(seconds)) => Some(app.api.admin.now().plus(Duration::from_secs(seconds.into()))),
        (None, None) => None,
    };
    let request = NewKeyRequest {
        kind,
        tenant: match &body.tenant {
            Some(tenant) => Tenant::new(tenant)?,
            None => who.tenant.clone(),
        },
        namespaces: namespaces.transpose()?,
        prefixes: prefixes.transpose()?,
        rights,
        description: body.description,
        expires_at,
    };
    let (credential, made) = app.api.admin.create_credential(&who, request).await?;
    Ok(MadeCredentialBody::answer(&credential, made, None))
}

/// One credential
///
/// Without its secret.
#[utoipa::path(
    get,
    path = "/v1/admin/credentials/{credential}",
    operation_id = "admin_get_credential",
    tag = "admin",
    params(("credential" = String, Path, description = "Its id", format = Uuid)),
    responses((status = 200, description = "The credential", body = CredentialBody), Names),
)]
pub(crate) async fn get(
    State(app): State<App>,
    call: Call,
    path: PathNames,
) -> Result<Json<CredentialBody>, Failure> {
    let who = caller(&app, &call).await?;
    let id = uuid("credential", path.get("credential")?)?;
    Ok(Json(CredentialBody::of(&app.api.admin.credential(&who, id).await?)))
}

/// Replace a credential
///
/// By a new one with the same rights, whose secret is in this answer. The old one ends at once, or after
/// `grace_seconds`.
#[utoipa::path(
    post,
    path = "/v1/admin/credentials/{credential}/rotate",
    operation_id = "admin_rotate_credential",
    tag = "admin",
    params(("credential" = String, Path, description = "The id of the one that ends", format = Uuid)),
    request_body = Option<RotateBody>,
    responses((status = 201, description = "The new one, with its secret", body = MadeCredentialBody), Names, TakesJson),
)]
pub(crate) async fn rotate(
    State(app): State<App>,
    call: Call,
    path: PathNames,
    body: Body,
) -> Result<Response, Failure> {
    let (who, body) = caller_with_any::<RotateBody>(&app, &call, body).await?;
    let id = uuid("credential", path.get("credential")?)?;
    let grace = Duration::from_secs(body.grace_seconds);
    let (credential, made) = app.api.admin.rotate_credential(&who, id, grace).await?;
    Ok(MadeCredentialBody::answer(&credential, made, Some(id)))
}

/// Revoke a credential
///
/// Within a second on every server of the store.
#[utoipa::path(
    delete,
    path = "/v1/admin/credentials/{credential}",
    operation_id = "admin_revoke_credential",
    tag = "admin",
    params(("credential" = String, Path, description = "Its id", format = Uuid)),
    responses((status = 204, description = "It opens nothing any more"), Names),
)]
pub(crate) async fn revoke(State(app): State<App>, call: Call, path: PathNames) -> Result<Response, Failure> {
    let who = caller(&app, &call).await?;
    let id = uuid("credential", path.get("credential")?)?;
    app.api.admin.revoke_credential(&who, id).await?;
    Ok(no_content())
}
