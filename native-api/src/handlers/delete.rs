//! Deleting many objects in one request.

use std::borrow::Cow;

use crate::json::Json;
use axum::body::Body;
use axum::extract::State;
use juststorage_core::application::error::{Error, Result as CoreResult};
use juststorage_core::application::objects::ObjectRef;
use juststorage_core::application::objects::delete::Deletion;
use juststorage_core::application::objects::delete_many::{
    DELETIONS_MAX, PREVIEW_MAX, PrefixRequest, Removal,
};
use juststorage_core::application::objects::list::Cursor;
use juststorage_core::application::ports::metadata::SpaceRef;
use juststorage_core::application::request;
use juststorage_core::domain::address::{KEY_BYTES_MAX, Key};
use juststorage_core::domain::invalid::Invalid;
use juststorage_core::domain::object::ObjectId;
use juststorage_core::domain::precondition::Preconditions;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::extract::{Address, Call, LIST_BYTES_MAX, Named, Proven, bounded};
use crate::openapi::{Names, TakesJson};
use crate::problem::{Failure, Problem};

/// The objects to delete: `ids`, or `keys` of one space, or every key of one space that begins with `prefix`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeleteBody {
    /// The service or collection, of `keys` or `prefix`.
    namespace: Option<String>,
    /// The tenant of `keys` or `prefix`; default: `X-Tenant`, or the only one of the credentials.
    #[serde(alias = "tenant_id")]
    tenant: Option<String>,
    /// Ids: each names exactly one version, which goes without a delete marker.
    #[serde(default, deserialize_with = "bounded::<DELETIONS_MAX, _, _>")]
    #[schema(min_items = 1, max_items = 1000)]
    ids: Option<Vec<String>>,
    /// Keys: of each the latest version goes, or a delete marker hides it where versions are kept.
    #[serde(default, deserialize_with = "bounded::<DELETIONS_MAX, _, _>")]
    #[schema(min_items = 1, max_items = 1000)]
    keys: Option<Vec<String>>,
    /// Every key that begins with this; `""` for every key. Objects without a key stay.
    prefix: Option<String>,
    /// With `prefix`: most keys of this call: default and maximum 1000, in a dry run 10,000.
    #[schema(minimum = 1, maximum = 10_000)]
    max: Option<u32>,
    /// With `prefix`: `next` of the call before.
    cursor: Option<String>,
    /// With `prefix`: only counts what would be deleted.
    dry_run: Option<bool>,
}

/// The result of one entry.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeletedEntryBody {
    /// The id, as it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// The key.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// `deleted`, `not_found` or `refused`.
    #[schema(pattern = "^(deleted|not_found|refused)$")]
    outcome: &'static str,
    /// The id of the delete marker that hides the key now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = Uuid)]
    delete_marker: Option<String>,
    /// Why it was refused: the code that a delete of it alone would have answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    code: Option<Cow<'static, str>>,
    /// The same, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// The deleted objects.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct DeletedBody {
    /// Of `ids` and `keys`, every entry in the order of the request; of a `prefix`, those that were refused.
    results: Vec<DeletedEntryBody>,
    /// How many were deleted; in a dry run, how many would be.
    deleted: u64,
    /// How many were not there.
    not_found: u64,
    /// How many were refused.
    refused: u64,
    /// How many of those deleted got a delete marker, and keep their bytes.
    delete_markers: u64,
    /// Of a `prefix`: the size of the deleted objects together.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    /// Whether nothing was changed, because it was a dry run.
    dry_run: bool,
    /// Whether keys with the `prefix` are left behind those of this call.
    more: bool,
    /// The `cursor` of the next call; `null` if there is none.
    #[schema(required)]
    next: Option<String>,
}

/// The object that an entry names.
enum Entry {
    Id(String),
    Key(Key),
}

impl DeletedBody {
    fn add(&mut self, entry: Entry, result: CoreResult<Deletion>) {
        let (id, key) = match entry {
            Entry::Id(id) => (Some(id), None),
            Entry::Key(key) => (None, Some(key.to_string())),
        };
        let mut body =
            DeletedEntryBody { id, key, outcome: "deleted", delete_marker: None, code: None, detail: None };
        match result {
            Ok(Deletion { object: Some(object), marker_made }) => {
                self.deleted += 1;
                self.delete_markers += u64::from(marker_made);
                body.delete_marker = marker_made.then(|| object.id.to_string());
            }
            Ok(Deletion { object: None, .. }) | Err(Error::NoSuchObject) => {
                self.not_found += 1;
                body.outcome = "not_found";
            }
            Err(error) => {
                self.refused += 1;
                body.outcome = "refused";
                let (code, detail) = Problem::of(&error).into_words();
                (body.code, body.detail) = (Some(code), Some(detail));
            }
        }
        self.results.push(body);
    }
}

/// Delete many objects
///
/// Up to 1000 `ids` or `keys`, with an answer for each; or the keys that begin with a `prefix`, up to 1000 in one call:
/// repeat it with `cursor` while `more` is true. `dry_run` counts what a prefix would delete. Each entry is decided by
/// itself, as a delete of it alone; those that are refused do not keep the others.
#[utoipa::path(
    post,
    path = "/v1/objects/delete",
    operation_id = "delete_objects",
    tag = "objects",
    params(("X-Tenant" = Option<String>, Header, description = "The tenant, where it follows from neither body nor credentials: an id of another tenant counts as missing")),
    request_body = DeleteBody,
    responses((status = 200, description = "An answer for each entry", body = DeletedBody), Names, TakesJson),
)]
pub(crate) async fn delete(
    State(app): State<App>,
    call: Call,
    body: Body,
) -> Result<Json<DeletedBody>, Failure> {
    let proven = call.prove(&app.api).await?;
    let mut body: DeleteBody = call.json_up_to(&app.api, &proven, body, LIST_BYTES_MAX).await?;
    if body.prefix.is_none() && (body.max.is_some() || body.cursor.is_some() || body.dry_run.is_some()) {
        return Err(Invalid::new("prefix", "is required with max, cursor and dry_run").into());
    }
    match (body.ids.take(), body.keys.take(), body.prefix.take()) {
        (Some(ids), None, None) if body.namespace.is_none() && body.tenant.is_none() => {
            request::operation("delete_objects");
            by_id(&app, &call, &proven, ids).await
        }
        (None, Some(keys), None) => {
            request::operation("delete_objects");
            by_key(&app, &call, &proven, &body, keys).await
        }
        (None, None, Some(prefix)) => {
            request::operation("delete_prefix");
            by_prefix(&app, &call, &proven, &body, prefix).await
        }
        _ => {
            let rule = "must be ids alone, or namespace, tenant and either keys or prefix";
            Err(Invalid::new("target", rule).into())
        }
    }
    .map(Json)
}

fn counted(field: &'static str, entries: usize) -> Result<(), Invalid> {
    match entries {
        1..=DELETIONS_MAX => Ok(()),
        _ => Err(Invalid::new(field, "must be 1 to 1000")),
    }
}

async fn by_id(app: &App, call: &Call, proven: &Proven, ids: Vec<String>) -> Result<DeletedBody, Failure> {
    counted("ids", ids.len())?;
    let parsed: Result<Vec<_>, _> =
        ids.iter().map(|id| ObjectId::parse(id).map_err(|_| Invalid::new("ids", "must be UUIDs"))).collect();
    let removals = parsed?.into_iter().map(|id| removal(ObjectRef::Id(id))).collect();
    let who = call.caller_of(&app.api, proven, Named::ById(Error::NoSuchObject)).await?;
    let results = app.api.store.delete_many(&who, removals).await;
    let mut body = DeletedBody::default();
    for (id, result) in ids.into_iter().zip(results) {
        if let Ok(Deletion { object: Some(object), .. }) = &result {
            call.about(&object.address.namespace);
        }
        body.add(Entry::Id(id), result);
    }
    Ok(body)
}

async fn by_key(
    app: &App,
    call: &Call,
    proven: &Proven,
    body: &DeleteBody,
    keys: Vec<String>,
) -> Result<DeletedBody, Failure> {
    counted("keys", keys.len())?;
    let address = place(call, proven, body)?;
    let keys: Result<Vec<_>, _> = keys.iter().map(|key| Key::new(key)).collect();
    let keys = keys.map_err(|Invalid { reason, .. }| Invalid::new("keys", reason))?;
    let who = call.caller_of(&app.api, proven, Named::InAddress(&address.space.tenant)).await?;
    // A caller without the right is told once.
    app.api.store.face_deletion(&who, &address.space)?;
    call.about(&address.space.namespace);
    let removals = keys.iter().map(|key| {
        let place = SpaceRef::Space(address.space.clone());
        removal(ObjectRef::latest(place, key.clone()))
    });
    let results = app.api.store.delete_many(&who, removals.collect()).await;
    let mut body = DeletedBody::default();
    for (key, result) in keys.into_iter().zip(results) {
        body.add(Entry::Key(key), result);
    }
    Ok(body)
}

async fn by_prefix(
    app: &App,
    call: &Call,
    proven: &Proven,
    body: &DeleteBody,
    prefix: String,
) -> Result<DeletedBody, Failure> {
    let address = place(call, proven, body)?;
    let dry_run = body.dry_run.unwrap_or(false);
    let most = if dry_run { PREVIEW_MAX } else { u32::try_from(DELETIONS_MAX).unwrap_or(u32::MAX) };
    let max = body.max.unwrap_or(most);
    if max == 0 || max > most {
        return Err(Invalid::new("max", "must be 1 to 1000, or 1 to 10000 in a dry run").into());
    }
    if prefix.len() > KEY_BYTES_MAX {
        return Err(Invalid::new("prefix", "must be at most 1024 bytes").into());
    }
    let after = body.cursor.as_deref().map(Cursor::decode).transpose()?;
    let who = call.caller_of(&app.api, proven, Named::InAddress(&address.space.tenant)).await?;
    let asked = PrefixRequest { space: address.space.clone(), prefix, after, max, dry_run };
    let done = app.api.store.delete_prefix(&who, &asked).await?;
    call.about(&address.space.namespace);
    let mut body = DeletedBody {
        deleted: done.deleted,
        delete_markers: done.markers,
        bytes: Some(done.bytes),
        dry_run,
        more: done.next.is_some(),
        next: done.next.as_ref().map(Cursor::encode),
        ..DeletedBody::default()
    };
    for (key, error) in done.refused {
        body.add(Entry::Key(key), Err(error));
    }
    Ok(body)
}

/// The space of keys or a prefix.
fn place(call: &Call, proven: &Proven, body: &DeleteBody) -> Result<Address, Failure> {
    let namespace = body.namespace.as_deref();
    let namespace = namespace.ok_or_else(|| Invalid::new("namespace", "is required with keys and prefix"))?;
    Address::from_members(call, proven, namespace, body.tenant.as_deref(), None)
}

fn removal(object: ObjectRef) -> Removal {
    Removal { object, preconditions: Preconditions::default(), bypass: false }
}
