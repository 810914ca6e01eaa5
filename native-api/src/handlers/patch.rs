//! Changing what an object carries.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;
use http::header::ETAG;
use juststorage_core::application::error::Error;
use juststorage_core::application::objects::ObjectRef;
use juststorage_core::application::objects::get::ReadOptions;
use juststorage_core::application::objects::update::Change;
use juststorage_core::domain::object::{Attributes, Object};
use juststorage_core::domain::storage_class::StorageClass;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::extract::{Call, IdPath, Json, Named, patched, preconditions};
use crate::openapi::{Names, TakesJson};
use crate::problem::{Failure, ProblemBody};
use crate::render::{self, ObjectBody};
use crate::router::App;

/// What to change of an object, as a merge patch (RFC 7396): what is absent stays, what is `null` goes.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[allow(clippy::option_option)] // the three cases of a merge patch
pub(crate) struct PatchBody {
    /// `hot` or `cold`. The bytes follow in the background; reads never notice.
    #[schema(pattern = "^(hot|cold)$")]
    storage_class: Option<String>,
    /// Names to set, or to remove with `null`; `null` as a whole removes all.
    #[serde(deserialize_with = "patched")]
    #[schema(value_type = Option<BTreeMap<String, Option<String>>>)]
    metadata: Option<Option<BTreeMap<String, Option<String>>>>,
    /// The header of that name, as are the fields below.
    #[serde(deserialize_with = "patched")]
    #[schema(value_type = Option<String>)]
    content_type: Option<Option<String>>,
    #[serde(deserialize_with = "patched")]
    #[schema(value_type = Option<String>)]
    content_encoding: Option<Option<String>>,
    #[serde(deserialize_with = "patched")]
    #[schema(value_type = Option<String>)]
    content_language: Option<Option<String>>,
    #[serde(deserialize_with = "patched")]
    #[schema(value_type = Option<String>)]
    content_disposition: Option<Option<String>>,
    #[serde(deserialize_with = "patched")]
    #[schema(value_type = Option<String>)]
    cache_control: Option<Option<String>>,
    #[serde(deserialize_with = "patched")]
    #[schema(value_type = Option<String>)]
    expires: Option<Option<String>>,
}

impl PatchBody {
    /// Whether anything beside the storage class changes.
    fn changes_attributes(&self) -> bool {
        self.metadata.is_some()
            || [
                &self.content_type,
                &self.content_encoding,
                &self.content_language,
                &self.content_disposition,
                &self.cache_control,
                &self.expires,
            ]
            .into_iter()
            .any(Option::is_some)
    }

    /// What `object` carries once the patch is merged into it.
    fn merged(self, object: Object) -> Attributes {
        let Object { mut headers, mut metadata, tags, .. } = object;
        match self.metadata {
            None => {}
            Some(None) => metadata.clear(),
            Some(Some(changes)) => {
                for (name, value) in changes {
                    // Header names have no case; metadata is kept in lower case.
                    let name = name.to_ascii_lowercase();
                    match value {
                        Some(value) => metadata.insert(name, value),
                        None => metadata.remove(&name),
                    };
                }
            }
        }
        let replace = |stored: &mut Option<String>, patch: Option<Option<String>>| {
            if let Some(value) = patch {
                *stored = value;
            }
        };
        replace(&mut headers.content_type, self.content_type);
        replace(&mut headers.content_encoding, self.content_encoding);
        replace(&mut headers.content_language, self.content_language);
        replace(&mut headers.content_disposition, self.content_disposition);
        replace(&mut headers.cache_control, self.cache_control);
        replace(&mut headers.expires, self.expires);
        Attributes { headers, metadata, tags, ..Attributes::default() }
    }
}

/// Change an object
///
/// In place: same id, same bytes, same tag. Of two concurrent changes to metadata and headers the later wins
/// whole.
#[utoipa::path(
    patch,
    path = "/v1/objects/{id}",
    operation_id = "patch_object",
    tag = "objects",
    params(
        ("id" = String, Path, description = "The object's id", format = Uuid),
        ("If-Match" = Option<String>, Header, description = "Only if it has one of these tags"),
    ),
    request_body = PatchBody,
    responses(
        (status = 200, description = "Changed", body = ObjectBody),
        Names,
        (status = 412, response = ProblemBody),
        TakesJson,
    ),
)]
pub(crate) async fn patch(
    State(app): State<App>,
    call: Call,
    id: IdPath,
    Json(patch): Json<PatchBody>,
) -> Result<Response, Failure> {
    let who = call.caller(&app.api, Named::ById(Error::NoSuchObject)).await?;
    let object = ObjectRef::Id(id.0);
    let class = patch.storage_class.as_deref().map(StorageClass::parse).transpose()?;
    let attributes = if patch.changes_attributes() {
        let current = app.api.store.head(&who, &object, &ReadOptions::default()).await?;
        Some(patch.merged(current.object))
    } else {
        None
    };
    let preconditions = preconditions(&call.headers)?;
    let changed =
        app.api.store.update(&who, &object, Change { class, attributes, preconditions, lock: None }).await?;
    call.about(&changed.address.namespace);
    let mut headers = HeaderMap::new();
    render::put(&mut headers, ETAG, changed.etag.to_string());
    Ok((headers, axum::Json(ObjectBody::of(changed))).into_response())
}
