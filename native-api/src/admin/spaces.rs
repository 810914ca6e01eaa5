//! Spaces and what is set on them.

use crate::json::Json;
use axum::body::Body;
use axum::extract::State;
use http::StatusCode;
use juststorage_core::application::admin::SpaceChange;
use juststorage_core::application::ports::metadata::SpaceEntry;
use juststorage_core::domain::address::{Namespace, SpaceAddress, Tenant};
use juststorage_core::domain::invalid::Invalid;
use juststorage_core::domain::object::Tags;
use juststorage_core::domain::principal::Principal;
use juststorage_core::domain::settings::{Declared, Setting, SettingKind, SpaceSettings};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::documents::{
    ClassBody, CorsBody, LifecycleBody, LockBody, NotificationsBody, PublicAccessBody, VersioningBody,
};
use super::request::{PAGE, bad_cursor, caller_about, cut, page};
use crate::app::App;
use crate::extract::{Call, Named, Params, PathNames};
use crate::handlers::usage::UsageTotal;
use crate::openapi::{Conflicts, Names, TakesJson};
use crate::problem::{Failure, Problem};
use crate::render;

/// The spaces to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SpacesParams {
    /// Only of this tenant.
    tenant: Option<String>,
    /// Only namespaces with this beginning.
    #[serde(default)]
    prefix: String,
    /// Most entries: default 100, maximum 1000.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next_cursor` of the previous page.
    cursor: Option<String>,
}

/// The path of a space, as the description of the API names it; [`address`] reads it.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code)]
struct SpacePath {
    /// The service or collection
    namespace: String,
    /// The tenant
    tenant: String,
}

/// A space.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SpaceEntryBody {
    /// The service or collection.
    namespace: String,
    /// The tenant.
    tenant: String,
    /// When the first write made it.
    #[schema(format = DateTime)]
    created_at: String,
    /// The buckets that name it.
    buckets: Vec<String>,
    /// Whether keys keep versions.
    #[schema(pattern = "^(off|enabled|suspended)$")]
    versioning: &'static str,
    /// The class of an object whose writer names none.
    #[schema(pattern = "^(hot|cold)$")]
    default_class: &'static str,
    /// Whether versions can be locked.
    object_lock: bool,
    #[serde(flatten)]
    figures: UsageTotal,
}

impl SpaceEntryBody {
    fn of(entry: &SpaceEntry) -> Self {
        let space = &entry.space;
        Self {
            namespace: space.address.namespace.to_string(),
            tenant: space.address.tenant.to_string(),
            created_at: render::rfc3339(space.created_at),
            buckets: entry.buckets.iter().map(ToString::to_string).collect(),
            versioning: VersioningBody::name(space.versioning),
            default_class: space.default_class.as_str(),
            object_lock: space.object_lock.is_some(),
            figures: UsageTotal::of(&entry.figures),
        }
    }
}

/// A page of spaces.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SpacesBody {
    /// In order of namespace and tenant.
    spaces: Vec<SpaceEntryBody>,
    /// For the next page; `null` on the last one.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// A space, and what is set on it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SpaceSettingsBody {
    #[serde(flatten)]
    space: SpaceEntryBody,
    /// Its settings; `null`: none of that kind.
    settings: SettingsBody,
}

/// What is set on a space.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SettingsBody {
    /// Whether keys keep versions.
    versioning: VersioningBody,
    /// The class of an object whose writer names none.
    default_class: ClassBody,
    /// Lifecycle rules.
    #[schema(required)]
    lifecycle: Option<LifecycleBody>,
    /// Which origins may ask.
    #[schema(required)]
    cors: Option<CorsBody>,
    /// Its tags.
    #[schema(required, value_type = Option<BTreeMap<String, String>>)]
    tags: Option<Tags>,
    /// That versions can be locked, and what new ones get.
    #[schema(required)]
    object_lock: Option<LockBody>,
    /// The policy of its bucket.
    #[schema(required, value_type = Option<Object>)]
    policy: Option<Value>,
    /// The public access block.
    #[schema(required)]
    public_access: Option<PublicAccessBody>,
    /// Who is told of changes.
    #[schema(required)]
    notifications: Option<NotificationsBody>,
}

impl SpaceSettingsBody {
    fn of(entry: &SpaceEntry, settings: &SpaceSettings) -> Self {
        let public_access = match &settings.public_access {
            Some(Declared::Set(access)) => Some(PublicAccessBody::of(*access)),
            Some(Declared::Removed) | None => None,
        };
        Self {
            space: SpaceEntryBody::of(entry),
            settings: SettingsBody {
                versioning: VersioningBody::of(entry.space.versioning),
                default_class: ClassBody::of(entry.space.default_class),
                lifecycle: settings.lifecycle.as_ref().map(LifecycleBody::of),
                cors: settings.cors.as_ref().map(CorsBody::of),
                tags: settings.tags.clone(),
                object_lock: entry.space.object_lock.as_ref().map(LockBody::of),
                policy: settings.policy.as_ref().and_then(|policy| serde_json::from_str(policy.text()).ok()),
                public_access,
                notifications: settings.notifications.as_ref().map(NotificationsBody::of),
            },
        }
    }
}

/// List spaces
///
/// The spaces that the caller sees, with their figures. Takes the right `read`, `admin` or `operator`.
#[utoipa::path(
    get,
    path = "/v1/admin/spaces",
    operation_id = "admin_list_spaces",
    tag = "admin",
    params(SpacesParams),
    responses((status = 200, description = "A page", body = SpacesBody)),
)]
pub(crate) async fn list(
    State(app): State<App>,
    call: Call,
    Params(params): Params<SpacesParams>,
) -> Result<Json<SpacesBody>, Failure> {
    let limit = page(params.limit, PAGE)?;
    let after = params.cursor.as_deref().map(|text| cursor(text).ok_or_else(bad_cursor)).transpose()?;
    let (who, tenant) = caller_about(&app, &call, params.tenant.as_deref()).await?;
    let admin = &app.api.admin;
    let found = admin.spaces(&who, tenant.as_ref(), &params.prefix, after.as_ref(), limit + 1).await?;
    let (page, next_cursor) = cut(found, limit, |entry| entry.space.address.to_string());
    Ok(Json(SpacesBody { spaces: page.iter().map(SpaceEntryBody::of).collect(), next_cursor }))
}

fn cursor(text: &str) -> Option<SpaceAddress> {
    let (namespace, tenant) = text.split_once('/')?;
    Some(SpaceAddress::new(Namespace::new(namespace).ok()?, Tenant::new(tenant).ok()?))
}

/// One space
///
/// And what is set on it. Takes the right `admin` over it, or `operator`.
#[utoipa::path(
    get,
    path = "/v1/admin/spaces/{namespace}/{tenant}",
    operation_id = "admin_get_space",
    tag = "admin",
    params(SpacePath),
    responses((status = 200, description = "The space", body = SpaceSettingsBody), Names),
)]
pub(crate) async fn get(
    State(app): State<App>,
    call: Call,
    path: PathNames,
) -> Result<Json<SpaceSettingsBody>, Failure> {
    let address = address(&path)?;
    let who = call.caller(&app.api, Named::InAddress(&address.tenant)).await?;
    shown(&app, &who, &address).await
}

/// Set a setting
///
/// In place of what was set before; the space is made if it does not exist. `setting` and its body:
///
/// - `versioning`: `VersioningBody`
/// - `default-class`: `ClassBody`
/// - `lifecycle`: `LifecycleBody`
/// - `cors`: `CorsBody`
/// - `tags`: names and values
/// - `object-lock`: `LockBody`; cannot be undone, and needs versioning
/// - `policy`: a policy document whose resources name a bucket of this space
/// - `public-access`: `PublicAccessBody`
///
/// Takes the right `admin` over the space, or `operator`; a policy can deny it.
#[utoipa::path(
    put,
    path = "/v1/admin/spaces/{namespace}/{tenant}/{setting}",
    operation_id = "admin_set_space_setting",
    tag = "admin",
    params(SpacePath, ("setting" = String, Path, description = "What is set")),
    request_body(content = Object, description = "As `setting` says", content_type = "application/json"),
    responses((status = 200, description = "The space as it is now", body = SpaceSettingsBody), Names, Conflicts, TakesJson),
)]
pub(crate) async fn set(
    State(app): State<App>,
    call: Call,
    path: PathNames,
    body: Body,
) -> Result<Json<SpaceSettingsBody>, Failure> {
    let address = address(&path)?;
    call.tenant()?;
    let proven = call.prove(&app.api).await?;
    let (text, _room) = call.json_text(&app.api, &proven, body).await?;
    let who = call.caller_of(&app.api, &proven, Named::InAddress(&address.tenant)).await?;
    let change = space_change(path.get("setting")?, &text)?;
    app.api.admin.change_space(&who, &address, change).await?;
    shown(&app, &who, &address).await
}

/// Remove a setting
///
/// `lifecycle`, `cors`, `tags`, `policy`, `public-access` or `notifications`; there need be none. Takes the right `admin` over the space, or
/// `operator`.
#[utoipa::path(
    delete,
    path = "/v1/admin/spaces/{namespace}/{tenant}/{setting}",
    operation_id = "admin_remove_space_setting",
    tag = "admin",
    params(SpacePath, ("setting" = String, Path, description = "What is removed")),
    responses((status = 200, description = "The space as it is now", body = SpaceSettingsBody), Names, Conflicts),
)]
pub(crate) async fn remove(
    State(app): State<App>,
    call: Call,
    path: PathNames,
) -> Result<Json<SpaceSettingsBody>, Failure> {
    let address = address(&path)?;
    let who = call.caller(&app.api, Named::InAddress(&address.tenant)).await?;
    let change = space_removal(path.get("setting")?)?;
    app.api.admin.change_space(&who, &address, change).await?;
    shown(&app, &who, &address).await
}

fn address(path: &PathNames) -> Result<SpaceAddress, Invalid> {
    Ok(SpaceAddress::new(Namespace::new(path.get("namespace")?)?, Tenant::new(path.get("tenant")?)?))
}

async fn shown(
    app: &App,
    who: &Principal,
    address: &SpaceAddress,
) -> Result<Json<SpaceSettingsBody>, Failure> {
    let (entry, settings) = app.api.admin.space(who, address).await?;
    Ok(Json(SpaceSettingsBody::of(&entry, &settings)))
}

/// The change that a body of `PUT /v1/admin/spaces/{namespace}/{tenant}/{setting}` asks for.
pub fn space_change(setting: &str, body: &[u8]) -> Result<SpaceChange, Unset> {
    Ok(match setting {
        "versioning" => SpaceChange::Versioning(read::<VersioningBody>(body)?.read()?),
        "default-class" => SpaceChange::DefaultClass(read::<ClassBody>(body)?.read()?),
        "lifecycle" => SpaceChange::Set(Setting::Lifecycle(read::<LifecycleBody>(body)?.read()?)),
        "cors" => SpaceChange::Set(Setting::Cors(read::<CorsBody>(body)?.read())),
        "tags" => SpaceChange::Set(Setting::Tags(read(body)?)),
        "object-lock" => SpaceChange::ObjectLock(read::<LockBody>(body)?.read()?),
        "notifications" => SpaceChange::Set(Setting::Notifications(read::<NotificationsBody>(body)?.read()?)),
        "public-access" => {
            let access = read::<PublicAccessBody>(body)?.read();
            SpaceChange::Set(Setting::PublicAccess(Declared::Set(access)))
        }
        "policy" => {
            let text = String::from_utf8(body.to_vec());
            SpaceChange::Policy(text.map_err(|_| Invalid::new("policy", "must be UTF-8"))?)
        }
        _ => return Err(Unset::Unknown),
    })
}

/// The change that `DELETE /v1/admin/spaces/{namespace}/{tenant}/{setting}` asks for.
pub fn space_removal(setting: &str) -> Result<SpaceChange, Unset> {
    Ok(SpaceChange::Remove(match setting {
        "lifecycle" => SettingKind::Lifecycle,
        "cors" => SettingKind::Cors,
        "tags" => SettingKind::Tags,
        "policy" => SettingKind::Policy,
        "public-access" => SettingKind::PublicAccess,
        "notifications" => SettingKind::Notifications,
        "versioning" | "default-class" | "object-lock" => return Err(Unset::Permanent),
        _ => return Err(Unset::Unknown),
    }))
}

/// The answer of `GET /v1/admin/spaces/{namespace}/{tenant}`.
pub fn space_document(entry: &SpaceEntry, settings: &SpaceSettings) -> Result<Value, serde_json::Error> {
    serde_json::to_value(SpaceSettingsBody::of(entry, settings))
}

/// Why a setting of a space can be neither set nor removed.
#[derive(Debug)]
pub enum Unset {
    /// There is none of that name.
    Unknown,
    /// It cannot be removed.
    Permanent,
    /// The body is not a document of this setting.
    Json(serde_json::Error),
    /// The document breaks a rule.
    Invalid(Invalid),
}

impl std::fmt::Display for Unset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown => f.write_str("a space has no such setting"),
            Self::Permanent => f.write_str("this setting always has a value: set another one"),
            Self::Json(error) => error.fmt(f),
            Self::Invalid(invalid) => invalid.fmt(f),
        }
    }
}

impl From<serde_json::Error> for Unset {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error)
    }
}

impl From<Invalid> for Unset {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl From<Unset> for Failure {
    fn from(unset: Unset) -> Self {
        let detail = unset.to_string();
        match unset {
            Unset::Unknown => Problem::new(StatusCode::NOT_FOUND, "path_not_found", detail).into(),
            Unset::Permanent => {
                Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail).into()
            }
            Unset::Json(_) => Problem::new(StatusCode::BAD_REQUEST, "invalid_json", detail).into(),
            Unset::Invalid(invalid) => invalid.into(),
        }
    }
}

fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(text)
}
