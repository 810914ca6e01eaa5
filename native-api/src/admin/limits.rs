//! Limits of tenants, and what counts in them.

use crate::json::Json;
use axum::body::Body;
use axum::extract::State;
use juststorage_core::application::admin::TenantUse;
use juststorage_core::domain::address::Tenant;
use juststorage_core::domain::invalid::Invalid;
use juststorage_core::domain::limits::{LimitSetting, Limits, Overrides};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::request::{PAGE, caller, caller_about, caller_with, cut, page};
use crate::app::App;
use crate::extract::{Call, Params, PathNames, patched};
use crate::openapi::TakesJson;
use crate::problem::Failure;

/// The tenants to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LimitsParams {
    /// Only this tenant.
    tenant: Option<String>,
    /// Most entries: default 100, maximum 1000.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next_cursor` of the previous page.
    cursor: Option<String>,
}

/// A number, or `unlimited`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum LimitBody {
    /// The limit.
    At(u64),
    /// `unlimited`.
    Word(String),
}

const UNLIMITED: &str = "unlimited";

fn shown(setting: LimitSetting) -> Option<LimitBody> {
    match setting {
        LimitSetting::Default => None,
        LimitSetting::Unlimited => Some(LimitBody::Word(UNLIMITED.to_owned())),
        LimitSetting::At(limit) => Some(LimitBody::At(limit)),
    }
}

#[allow(clippy::option_option)] // absent, null, a value
fn read(
    field: &'static str,
    said: Option<Option<LimitBody>>,
    before: LimitSetting,
) -> Result<LimitSetting, Invalid> {
    match said {
        None => Ok(before),
        Some(None) => Ok(LimitSetting::Default),
        Some(Some(LimitBody::At(limit))) if i64::try_from(limit).is_ok() => Ok(LimitSetting::At(limit)),
        Some(Some(LimitBody::Word(word))) if word == UNLIMITED => Ok(LimitSetting::Unlimited),
        Some(Some(_)) => Err(Invalid::new(field, "must be a number, unlimited, or null for the default")),
    }
}

/// Limits set for a tenant, limits in force, and its use.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TenantLimitsBody {
    /// The tenant.
    tenant: String,
    /// Requests per second; `null`: the default.
    #[schema(required)]
    requests_per_second: Option<LimitBody>,
    /// Concurrent requests.
    #[schema(required)]
    concurrent_requests: Option<LimitBody>,
    /// Bytes sent per second.
    #[schema(required)]
    upload_bytes_per_second: Option<LimitBody>,
    /// Bytes received per second.
    #[schema(required)]
    download_bytes_per_second: Option<LimitBody>,
    /// Stored bytes, in all versions.
    #[schema(required)]
    quota_bytes: Option<LimitBody>,
    /// Stored objects, versions included.
    #[schema(required)]
    quota_objects: Option<LimitBody>,
    /// The limits in force.
    effective: EffectiveBody,
    /// The use that counts in the quota.
    r#use: UseBody,
}

/// Limits that hold; `null`: none.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EffectiveBody {
    /// Requests per second.
    #[schema(required)]
    requests_per_second: Option<u64>,
    /// Concurrent requests.
    #[schema(required)]
    concurrent_requests: Option<u64>,
    /// Bytes sent per second.
    #[schema(required)]
    upload_bytes_per_second: Option<u64>,
    /// Bytes received per second.
    #[schema(required)]
    download_bytes_per_second: Option<u64>,
    /// Stored bytes, in all versions.
    #[schema(required)]
    quota_bytes: Option<u64>,
    /// Stored objects, versions included.
    #[schema(required)]
    quota_objects: Option<u64>,
}

impl EffectiveBody {
    fn of(limits: &Limits) -> Self {
        Self {
            requests_per_second: limits.requests_per_second,
            concurrent_requests: limits.concurrent_requests,
            upload_bytes_per_second: limits.upload_bytes_per_second,
            download_bytes_per_second: limits.download_bytes_per_second,
            quota_bytes: limits.quota.bytes,
            quota_objects: limits.quota.objects,
        }
    }
}

/// The use that counts in a quota.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UseBody {
    /// Logical bytes of every version, and of the parts of open uploads.
    bytes: u64,
    /// Versions and delete markers.
    objects: u64,
}

impl TenantLimitsBody {
    fn of(found: &TenantUse) -> Self {
        let said = &found.said;
        Self {
            tenant: found.tenant.to_string(),
            requests_per_second: shown(said.requests_per_second),
            concurrent_requests: shown(said.concurrent_requests),
            upload_bytes_per_second: shown(said.upload_bytes_per_second),
            download_bytes_per_second: shown(said.download_bytes_per_second),
            quota_bytes: shown(said.quota_bytes),
            quota_objects: shown(said.quota_objects),
            effective: EffectiveBody::of(&found.effective),
            r#use: UseBody { bytes: found.held.bytes, objects: found.held.objects },
        }
    }
}

/// A page of tenants.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LimitsBody {
    /// By tenant.
    limits: Vec<TenantLimitsBody>,
    /// The limits of tenants without limits of their own.
    defaults: EffectiveBody,
    /// For the next page; `null` on the last one.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// Limits to set; those that are absent stay, `null` is the default.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(clippy::option_option)] // absent, null, a value
pub(crate) struct SetLimitsBody {
    /// Requests per second.
    #[serde(default, deserialize_with = "patched")]
    #[schema(value_type = Option<LimitBody>)]
    requests_per_second: Option<Option<LimitBody>>,
    /// Concurrent requests.
    #[serde(default, deserialize_with = "patched")]
    #[schema(value_type = Option<LimitBody>)]
    concurrent_requests: Option<Option<LimitBody>>,
    /// Bytes sent per second.
    #[serde(default, deserialize_with = "patched")]
    #[schema(value_type = Option<LimitBody>)]
    upload_bytes_per_second: Option<Option<LimitBody>>,
    /// Bytes received per second.
    #[serde(default, deserialize_with = "patched")]
    #[schema(value_type = Option<LimitBody>)]
    download_bytes_per_second: Option<Option<LimitBody>>,
    /// Stored bytes, in all versions.
    #[serde(default, deserialize_with = "patched")]
    #[schema(value_type = Option<LimitBody>)]
    quota_bytes: Option<Option<LimitBody>>,
    /// Stored objects, versions included.
    #[serde(default, deserialize_with = "patched")]
    #[schema(value_type = Option<LimitBody>)]
    quota_objects: Option<Option<LimitBody>>,
}

impl SetLimitsBody {
    fn over(self, before: Overrides) -> Result<Overrides, Invalid> {
        Ok(Overrides {
            requests_per_second: read(
                "requests_per_second",
                self.requests_per_second,
                before.requests_per_second,
            )?,
            concurrent_requests: read(
                "concurrent_requests",
                self.concurrent_requests,
                before.concurrent_requests,
            )?,
            upload_bytes_per_second: read(
                "upload_bytes_per_second",
                self.upload_bytes_per_second,
                before.upload_bytes_per_second,
            )?,
            download_bytes_per_second: read(
                "download_bytes_per_second",
                self.download_bytes_per_second,
                before.download_bytes_per_second,
            )?,
            quota_bytes: read("quota_bytes", self.quota_bytes, before.quota_bytes)?,
            quota_objects: read("quota_objects", self.quota_objects, before.quota_objects)?,
        })
    }
}

/// List limits
///
/// Of the caller's tenant; for an operator, of every tenant that has limits, keeps anything or has a credential. Takes the
/// right `admin` without being bound to namespaces, or `operator`.
#[utoipa::path(
    get,
    path = "/v1/admin/limits",
    operation_id = "admin_list_limits",
    tag = "admin",
    params(LimitsParams),
    responses((status = 200, description = "A page", body = LimitsBody)),
)]
pub(crate) async fn list(
    State(app): State<App>,
    call: Call,
    Params(params): Params<LimitsParams>,
) -> Result<Json<LimitsBody>, Failure> {
    let limit = page(params.limit, PAGE)?;
    let (who, tenant) = caller_about(&app, &call, params.tenant.as_deref()).await?;
    let (admin, after) = (&app.api.admin, params.cursor.as_deref());
    let found = admin.limits(&who, tenant.as_ref(), after, limit as usize + 1).await?;
    let (page, next_cursor) = cut(found, limit, |one| one.tenant.to_string());
    let limits = page.iter().map(TenantLimitsBody::of).collect();
    Ok(Json(LimitsBody { limits, defaults: EffectiveBody::of(&admin.default_limits()), next_cursor }))
}

/// Limits of a tenant
///
/// Also of one of which nothing is said.
#[utoipa::path(
    get,
    path = "/v1/admin/limits/{tenant}",
    operation_id = "admin_get_limits",
    tag = "admin",
    params(("tenant" = String, Path, description = "The tenant")),
    responses((status = 200, description = "What is said, what holds, and what it takes up", body = TenantLimitsBody)),
)]
pub(crate) async fn get(
    State(app): State<App>,
    call: Call,
    path: PathNames,
) -> Result<Json<TenantLimitsBody>, Failure> {
    let who = caller(&app, &call).await?;
    let tenant = Tenant::new(path.get("tenant")?)?;
    Ok(Json(TenantLimitsBody::of(&app.api.admin.limits_of(&who, &tenant).await?)))
}

/// Set limits of a tenant
///
/// In force within a second on every server. Takes the right `operator`.
#[utoipa::path(
    put,
    path = "/v1/admin/limits/{tenant}",
    operation_id = "admin_set_limits",
    tag = "admin",
    params(("tenant" = String, Path, description = "The tenant")),
    request_body = SetLimitsBody,
    responses((status = 200, description = "As it is now", body = TenantLimitsBody), TakesJson),
)]
pub(crate) async fn set(
    State(app): State<App>,
    call: Call,
    path: PathNames,
    body: Body,
) -> Result<Json<TenantLimitsBody>, Failure> {
    let (who, body) = caller_with::<SetLimitsBody>(&app, &call, body).await?;
    let tenant = Tenant::new(path.get("tenant")?)?;
    let found = app.api.admin.set_limits(&who, &tenant, |before| body.clone().over(before)).await?;
    Ok(Json(TenantLimitsBody::of(&found)))
}
