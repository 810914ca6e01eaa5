//! Listing a space.

use crate::json::Json;
use axum::extract::State;
use juststorage_core::application::objects::list::{Cursor, Entry, ListRequest, PAGE_MAX};
use juststorage_core::domain::invalid::Invalid;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::app::App;
use crate::extract::{Address, Call, Named, Params, page_limit};
use crate::problem::Failure;
use crate::render::{ListBody, ObjectBody};

/// The objects to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParams {
    /// The service or collection.
    namespace: String,
    /// The tenant; default: `X-Tenant`, or the only one of the credentials.
    tenant: Option<String>,
    /// Only keys with this prefix.
    #[serde(default)]
    prefix: String,
    /// Keys that contain this after the prefix are grouped into one entry of `prefixes`.
    delimiter: Option<String>,
    /// Most objects and prefixes together: default and maximum 1000.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next_cursor` of the previous page.
    cursor: Option<String>,
    /// All versions and delete markers, newest first within a key.
    #[serde(default)]
    versions: bool,
    /// Only objects with this tag: `name=value`; several are joined by `&`, and `&`, `=` and `%` in them are
    /// percent-encoded. A page looks at 10,000 objects at most, so that it may be short or empty, and have a
    /// `next_cursor` nevertheless. Not with `delimiter`.
    tag: Option<String>,
}

/// List objects
///
/// Objects come in byte order of their keys. Writes between two pages neither repeat nor skip an object that stays.
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
    let proven = call.prove(&app.api).await?;
    let address = Address::from_members(&call, &proven, &params.namespace, params.tenant.as_deref(), None)?;
    let who = call.caller_of(&app.api, &proven, Named::InAddress(&address.space.tenant)).await?;
    let request = ListRequest {
        place: address.place(),
        prefix: params.prefix,
        delimiter: params.delimiter,
        after: params.cursor.as_deref().map(Cursor::decode).transpose()?,
        versions: params.versions,
        keyless: true,
        limit: page_limit(params.limit, PAGE_MAX, PAGE_MAX)?,
    };
    let page = match params.tag.as_deref().map(super::tags::wanted).transpose()? {
        Some(_) if request.delimiter.is_some() => {
            return Err(Invalid::new("tag", "must not be sent with delimiter").into());
        }
        Some(tags) => app.api.store.list_tagged(&who, &request, &tags).await?,
        None => app.api.store.list(&who, &request).await?,
    };
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
