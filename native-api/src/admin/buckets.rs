//! Buckets: S3 names of spaces.

use crate::json::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::LOCATION;
use juststorage_core::domain::address::{BucketName, Namespace, Tenant};
use juststorage_core::domain::space::Bucket;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::request::{PAGE, caller, caller_about, caller_with, cut, no_content, page};
use crate::app::App;
use crate::extract::{Call, Params, PathNames};
use crate::openapi::{Conflicts, Names, TakesJson};
use crate::problem::Failure;
use crate::render;

/// The buckets to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct BucketsParams {
    /// Only of this tenant.
    tenant: Option<String>,
    /// Only names with this beginning.
    #[serde(default)]
    prefix: String,
    /// Most entries: default 100, maximum 1000.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next_cursor` of the previous page.
    cursor: Option<String>,
}

/// A bucket.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BucketBody {
    /// Its name.
    name: String,
    /// The namespace of the space that it names.
    namespace: String,
    /// The tenant of that space.
    tenant: String,
    /// When the name was made.
    #[schema(format = DateTime)]
    created_at: String,
}

impl BucketBody {
    fn of(bucket: &Bucket) -> Self {
        Self {
            name: bucket.name.to_string(),
            namespace: bucket.space.address.namespace.to_string(),
            tenant: bucket.space.address.tenant.to_string(),
            created_at: render::rfc3339(bucket.created_at),
        }
    }
}

/// A page of buckets.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BucketsBody {
    /// In order of name.
    buckets: Vec<BucketBody>,
    /// For the next page; `null` on the last one.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// A new bucket.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateBucketBody {
    /// Its name.
    #[schema(pattern = "^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
    name: String,
    /// The namespace of the space that it names; default: its name.
    namespace: Option<String>,
    /// The tenant of that space; default: the caller's.
    tenant: Option<String>,
    /// Whether versions in it can be locked, for good. Enables versioning.
    #[serde(default)]
    object_lock: bool,
}

/// List buckets
///
/// The buckets that the caller sees. Takes the right `read`, `admin` or `operator`.
#[utoipa::path(
    get,
    path = "/v1/admin/buckets",
    operation_id = "admin_list_buckets",
    tag = "admin",
    params(BucketsParams),
    responses((status = 200, description = "A page", body = BucketsBody)),
)]
pub(crate) async fn list(
    State(app): State<App>,
    call: Call,
    Params(params): Params<BucketsParams>,
) -> Result<Json<BucketsBody>, Failure> {
    let limit = page(params.limit, PAGE)?;
    let (who, tenant) = caller_about(&app, &call, params.tenant.as_deref()).await?;
    let after = params.cursor.as_deref();
    let found = app.api.admin.buckets(&who, tenant.as_ref(), &params.prefix, after, limit + 1).await?;
    let (buckets, next_cursor) = cut(found, limit, |bucket| bucket.name.to_string());
    Ok(Json(BucketsBody { buckets: buckets.iter().map(BucketBody::of).collect(), next_cursor }))
}

/// Create a bucket
///
/// Gives a space an S3 name; the space may exist already. Takes the right `admin` over the space, or `operator`.
#[utoipa::path(
    post,
    path = "/v1/admin/buckets",
    operation_id = "admin_create_bucket",
    tag = "admin",
    request_body = CreateBucketBody,
    responses((status = 201, description = "Created", body = BucketBody), Conflicts, TakesJson),
)]
pub(crate) async fn create(State(app): State<App>, call: Call, body: Body) -> Result<Response, Failure> {
    let (who, body) = caller_with::<CreateBucketBody>(&app, &call, body).await?;
    let name = BucketName::new(&body.name)?;
    let namespace = body.namespace.as_deref().map(Namespace::new).transpose()?;
    let tenant = body.tenant.as_deref().map(Tenant::new).transpose()?;
    let made = app.api.admin.create_bucket(&who, &name, namespace, tenant, body.object_lock).await?;
    call.about(&made.space.address.namespace);
    let location = [(LOCATION, format!("/v1/admin/buckets/{name}"))];
    Ok((StatusCode::CREATED, location, Json(BucketBody::of(&made))).into_response())
}

/// One bucket
///
/// Takes the right `read`, `admin` or `operator`.
#[utoipa::path(
    get,
    path = "/v1/admin/buckets/{bucket}",
    operation_id = "admin_get_bucket",
    tag = "admin",
    params(("bucket" = String, Path, description = "Its name")),
    responses((status = 200, description = "The bucket", body = BucketBody), Names),
)]
pub(crate) async fn get(
    State(app): State<App>,
    call: Call,
    path: PathNames,
) -> Result<Json<BucketBody>, Failure> {
    let who = caller(&app, &call).await?;
    let name = BucketName::new(path.get("bucket")?)?;
    Ok(Json(BucketBody::of(&app.api.admin.bucket(&who, &name).await?)))
}

/// Delete a bucket
///
/// One that holds nothing; uploads under way there are aborted. Takes the right `admin` over its space, or `operator`.
#[utoipa::path(
    delete,
    path = "/v1/admin/buckets/{bucket}",
    operation_id = "admin_delete_bucket",
    tag = "admin",
    params(("bucket" = String, Path, description = "Its name")),
    responses((status = 204, description = "It is gone"), Names, Conflicts),
)]
pub(crate) async fn delete(State(app): State<App>, call: Call, path: PathNames) -> Result<Response, Failure> {
    let who = caller(&app, &call).await?;
    let name = BucketName::new(path.get("bucket")?)?;
    app.api.admin.delete_bucket(&who, &name).await?;
    Ok(no_content())
}
