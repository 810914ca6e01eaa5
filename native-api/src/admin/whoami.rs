//! The caller's identity and rights.

use crate::json::Json;
use axum::extract::State;
use juststorage_core::application::access::AuthMode;
use juststorage_core::domain::principal::{Proof, Tenants};
use serde::Serialize;
use utoipa::ToSchema;

use super::request::{caller, rights};
use crate::app::App;
use crate::extract::Call;
use crate::problem::Failure;
use crate::render;

/// The caller.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WhoamiBody {
    /// For logs: a credential's id, `jwt:` and a subject, or `anonymous`.
    principal: String,
    /// Its proof: `credential`, `jwt`, or `none` where authentication is disabled.
    #[schema(pattern = "^(credential|jwt|none)$")]
    proof: &'static str,
    /// The credential, if it is one.
    #[schema(required)]
    credential_id: Option<String>,
    /// The tenant where it is at home.
    tenant: String,
    /// The tenants that it reaches; `null`: every one.
    #[schema(required)]
    tenants: Option<Vec<String>>,
    /// The namespaces that it is bound to, or prefixes of some (`team-*`); `null`: none.
    #[schema(required)]
    namespaces: Option<Vec<String>>,
    /// The beginnings of the keys that it is bound to; `null`: none.
    #[schema(required)]
    prefixes: Option<Vec<String>>,
    /// Its rights: of `read`, `write`, `delete`, `admin`, `metrics`, `operator`.
    rights: Vec<&'static str>,
    /// When its credential or token ends.
    #[schema(required, format = DateTime)]
    expires_at: Option<String>,
    /// Its permissions.
    may: MayBody,
    /// The program that answers.
    server: BuildBody,
    /// Where its S3 front is.
    #[schema(required)]
    s3: Option<S3Body>,
    /// `required` or `disabled`.
    #[schema(pattern = "^(required|disabled)$")]
    authentication: &'static str,
}

/// Permissions of a caller.
#[derive(Debug, Serialize, ToSchema)]
#[allow(clippy::struct_excessive_bools)] // one for each group of calls
pub(crate) struct MayBody {
    /// Read objects of its tenant.
    read: bool,
    /// Write objects of its tenant.
    write: bool,
    /// Delete objects of its tenant.
    delete: bool,
    /// Administer settings, buckets and credentials of its tenant, as far as its namespaces.
    administer: bool,
    /// See the events of its tenant.
    events: bool,
    /// See the limits of its tenant.
    limits: bool,
    /// Administer the whole store.
    operate: bool,
}

/// The source that a program is built from.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BuildBody {
    /// The version.
    version: &'static str,
    /// The commit, if the build knew it.
    #[schema(required)]
    commit: Option<&'static str>,
    /// The commit's date, if the build knew it.
    #[schema(required)]
    date: Option<String>,
}

/// Where the S3 front is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct S3Body {
    /// Its URL; `null` where it listens on every address and `JUSTSTORAGE_S3_PUBLIC_URL` is not set: then it is the host that
    /// answers, at the port.
    #[schema(required)]
    url: Option<String>,
    /// The port that it listens on.
    port: u16,
    /// Whether it speaks TLS.
    tls: bool,
    /// The region of signatures.
    region: String,
}

/// Who is calling
///
/// The caller's identity, its rights, and what it may do; and the version of the server. Takes no right.
#[utoipa::path(
    get,
    path = "/v1/admin/whoami",
    operation_id = "admin_whoami",
    tag = "admin",
    responses((status = 200, description = "The caller", body = WhoamiBody)),
)]
pub(crate) async fn whoami(State(app): State<App>, call: Call) -> Result<Json<WhoamiBody>, Failure> {
    let who = caller(&app, &call).await?;
    let admin = &app.api.admin;
    let (may, expires_at) = (admin.may(&who), admin.expires_at(&who).await?);
    let (proof, credential) = match &who.proof {
        Proof::Key { id, .. } => ("credential", Some(id.to_string())),
        Proof::Jwt { .. } => ("jwt", None),
        _ => ("none", None),
    };
    let tenants = match &who.tenants {
        Tenants::Own => Some(vec![who.tenant.to_string()]),
        Tenants::These(tenants) => Some(tenants.iter().map(ToString::to_string).collect()),
        Tenants::Any => None,
    };
    let (namespaces, prefixes) = (who.namespaces.as_ref(), who.prefixes.as_ref());
    let build = &app.api.build;
    Ok(Json(WhoamiBody {
        proof,
        credential_id: credential,
        tenant: who.tenant.to_string(),
        tenants,
        namespaces: namespaces.map(|names| names.iter().map(ToString::to_string).collect()),
        prefixes: prefixes.map(|all| all.iter().map(ToString::to_string).collect()),
        rights: rights(who.rights.iter()),
        expires_at: expires_at.map(render::rfc3339),
        may: MayBody {
            read: may.read,
            write: may.write,
            delete: may.delete,
            administer: may.administer,
            events: may.oversee,
            limits: may.oversee,
            operate: may.operate,
        },
        server: BuildBody { version: build.version, commit: build.commit, date: build.date.clone() },
        s3: app.api.s3.as_ref().map(|s3| S3Body {
            url: s3.url.clone(),
            port: s3.port,
            tls: s3.tls,
            region: s3.region.clone(),
        }),
        authentication: match app.api.access.mode() {
            AuthMode::Disabled => "disabled",
            AuthMode::Required => "required",
        },
        principal: who.name,
    }))
}
