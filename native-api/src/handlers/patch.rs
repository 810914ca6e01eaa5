//! Changes of an object's attributes.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;
use http::header::ETAG;
use juststorage_core::application::error::Error;
use juststorage_core::application::objects::ObjectRef;
use juststorage_core::application::objects::update::Change;
use juststorage_core::domain::action::Action;
use juststorage_core::domain::patch::{AttributesPatch, Patch};
use juststorage_core::domain::storage_class::StorageClass;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::extract::{Call, IdPath, Named, patched, preconditions};
use crate::json::Json;
use crate::openapi::{Names, TakesJson};
use crate::problem::{Failure, ProblemBody};
use crate::render::{self, ObjectBody};

/// Changes of an object as a merge patch (RFC 7396): absent members stay, `null` removes a member.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[allow(clippy::option_option)] // the three cases of a merge patch
pub(crate) struct PatchBody {
    /// `hot` or `cold`. The bytes move in the background; reads continue.
    #[schema(pattern = "^(hot|cold)$")]
    storage_class: Option<String>,
    /// Names to set, or to remove with `null`. `null` for the whole member removes all.
    #[serde(deserialize_with = "patched")]
    #[schema(value_type = Option<BTreeMap<String, Option<String>>>)]
    metadata: Option<Option<BTreeMap<String, Option<String>>>>,
    /// The header with this name, like the fields below.
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
    /// Whether anything except the storage class changes.
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

    /// The change in core's types.
    fn attributes(self) -> AttributesPatch {
        let value = |patch: Option<Option<String>>| match patch {
            None => Patch::Keep,
            Some(Some(value)) => Patch::Set(value),
            Some(None) => Patch::Clear,
        };
        let changes = self.metadata.as_ref().and_then(Option::as_ref).into_iter().flatten();
        AttributesPatch {
            // Of S3 only: see decision 0013.
            acl: None,
            content_type: value(self.content_type),
            content_encoding: value(self.content_encoding),
            content_language: value(self.content_language),
            content_disposition: value(self.content_disposition),
            cache_control: value(self.cache_control),
            expires: value(self.expires),
            clear_metadata: self.metadata == Some(None),
            // Header names have no case; metadata is kept in lower case.
            metadata: changes.map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect(),
            tags: None,
        }
    }
}

/// Change an object
///
/// In place: id, bytes and tag stay. No concurrent change is lost: each is merged into the result of the one before
/// it.
#[utoipa::path(
    patch,
    path = "/v1/objects/{id}",
    operation_id = "patch_object",
    tag = "objects",
    params(
        ("id" = String, Path, description = "The object's id", format = Uuid),
        ("If-Match" = Option<String>, Header, description = "Change only if the object has one of these tags"),
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
    body: Body,
) -> Result<Response, Failure> {
    let proven = call.prove(&app.api).await?;
    let who = call.caller_of(&app.api, &proven, Named::ById(Error::NoSuchObject)).await?;
    let patch: PatchBody = call.json(&app.api, &proven, body).await?;
    let object = ObjectRef::Id(id.0);
    let class = patch.storage_class.as_deref().map(StorageClass::parse).transpose()?;
    let shown = patch.changes_attributes();
    let attributes = shown.then(|| patch.attributes());
    let preconditions = preconditions(&call.headers)?;
    let change = Change { class, attributes, preconditions, shown, ..Change::default() };
    let changed = app.api.store.update(&who, Action::PutObject, &object, change).await?;
    call.about(&changed.address.namespace);
    let mut headers = HeaderMap::new();
    render::put(&mut headers, ETAG, changed.etag.to_string());
    Ok((headers, Json(ObjectBody::of(changed))).into_response())
}
