//! Listing a space.

use axum::Json;
use axum::extract::State;
use juststorage_core::application::objects::list::{Cursor, Entry, ListRequest, PAGE_MAX};
use juststorage_core::application::ports::metadata::Place;
use juststorage_core::domain::address::{Namespace, SpaceAddress, Tenant};
use juststorage_core::domain::invalid::Invalid;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::extract::{Call, Named, Params};
use crate::problem::Failure;
use crate::render::{ListBody, ObjectBody};
use crate::router::App;

/// Which objects to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParams {
    /// Which service or collection.
    namespace: String,
    /// Whose data; `X-Tenant` otherwise.
    tenant: Option<String>,
    /// Only keys that begin with this.
    #[serde(default)]
    prefix: String,
    /// Keys that hold this behind the prefix are rolled up into one entry of `prefixes`.
    delimiter: Option<String>,
    /// At most this many objects and prefixes together: 1000 unless given, and never more.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// All versions and delete markers, newest first within a key.
    #[serde(default)]
    versions: bool,
}

/// The number of lines of a page that a request asks for.
pub(super) fn page_limit(asked: Option<u32>) -> Result<u32, Invalid> {
    match asked.unwrap_or(PAGE_MAX) {
        0 => Err(Invalid::new("limit", "must be at least 1")),
        limit => Ok(limit.min(PAGE_MAX)),
    }
}

/// List objects
///
/// In byte order of keys. Writes between two pages neither repeat nor skip an object that stays.
#[utoipa::path(
    get,
    path = "/v1/objects",
    operation_id = "list_objects",
    tag = "objects",
    params(ListParams),
    responses((status = 200, description = "A page", body = ListBody)),
)]
pub(crate) async fn list(
    State(app): State<App>,
    call: Call,
    Params(params): Params<ListParams>,
) -> Result<Json<ListBody>, Failure> {
    let tenant = match &params.tenant {
        Some(tenant) => Tenant::new(tenant)?,
        None => {
            call.tenant()?.ok_or_else(|| Invalid::new("tenant", "is required, or the header X-Tenant"))?
        }
    };
    let who = call.caller(&app.api, Named::InAddress(&tenant)).await?;
    let address = SpaceAddress::new(Namespace::new(&params.namespace)?, tenant);
    let request = ListRequest {
        place: Place::Space(address),
        prefix: params.prefix,
        delimiter: params.delimiter,
        after: params.cursor.as_deref().map(Cursor::decode).transpose()?,
        versions: params.versions,
        keyless: true,
        limit: page_limit(params.limit)?,
    };
    let page = app.api.store.list(&who, &request).await?;
    if let Some(space) = &page.space {
        call.about(&space.address.namespace);
    }
    let mut body = ListBody {
        objects: Vec::with_capacity(page.entries.len()),
        prefixes: Vec::new(),
        next_cursor: page.next.as_ref().map(Cursor::encode),
    };
    for entry in page.entries {
        match entry {
            Entry::Object(object) => body.objects.push(ObjectBody::of(*object)),
            Entry::Prefix(prefix) => body.prefixes.push(prefix),
        }
    }
    Ok(Json(body))
}
