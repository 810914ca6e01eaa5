//! Tags of an object.

use axum::body::Body;
use axum::extract::State;
use http::StatusCode;
use juststorage_core::application::error::Error;
use juststorage_core::application::objects::ObjectRef;
use juststorage_core::application::objects::update::Change;
use juststorage_core::domain::action::Action;
use juststorage_core::domain::invalid::Invalid;
use juststorage_core::domain::object::{TAGS_MAX, Tags};
use juststorage_core::domain::patch::AttributesPatch;
use juststorage_core::domain::principal::Principal;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::extract::{Call, IdPath, Named, preconditions};
use crate::json::Json;
use crate::openapi::{Names, TakesJson};
use crate::problem::{Failure, ProblemBody};

/// The tags of an object.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TagsBody {
    /// At most 10: names of 1 to 128 characters, values of at most 256.
    #[schema(value_type = BTreeMap<String, String>)]
    tags: Tags,
}

/// Reads the parameter `tag` of a listing: `name=value`, several joined by `&`; in names and values, what would be read as
/// something else is percent-encoded (the form of S3's `x-amz-tagging`).
pub(super) fn wanted(text: &str) -> Result<Tags, Invalid> {
    let refused = |rule| Invalid::new("tag", rule);
    let mut tags = Tags::new();
    for pair in text.split('&') {
        let (name, value) = pair.split_once('=').ok_or_else(|| refused("must be name=value"))?;
        let decoded = |text| {
            let decoded = percent_decode_str(text).decode_utf8();
            decoded.map(String::from).map_err(|_| refused("must be percent-encoded UTF-8"))
        };
        if name.is_empty() || tags.insert(decoded(name)?, decoded(value)?).is_some() {
            return Err(refused("must name each tag once"));
        }
    }
    if tags.len() > TAGS_MAX { Err(refused("must be at most 10 tags")) } else { Ok(tags) }
}

/// Read an object's tags
#[utoipa::path(
    get,
    path = "/v1/objects/{id}/tags",
    operation_id = "get_tags",
    tag = "objects",
    params(("id" = String, Path, description = "The object's id", format = Uuid)),
    responses((status = 200, description = "Its tags", body = TagsBody), Names),
)]
pub(crate) async fn get(State(app): State<App>, call: Call, id: IdPath) -> Result<Json<TagsBody>, Failure> {
    let who = call.caller(&app.api, Named::ById(Error::NoSuchObject)).await?;
    let object = app.api.store.object(&who, Action::GetObjectTagging, &ObjectRef::Id(id.0)).await?;
    call.about(&object.address.namespace);
    Ok(Json(TagsBody { tags: object.tags }))
}

/// Set an object's tags
///
/// All of them: those that are not sent go. In place: id, bytes and tag (`ETag`) stay.
#[utoipa::path(
    put,
    path = "/v1/objects/{id}/tags",
    operation_id = "put_tags",
    tag = "objects",
    params(
        ("id" = String, Path, description = "The object's id", format = Uuid),
        ("If-Match" = Option<String>, Header, description = "Set only if the object has one of these entity tags"),
    ),
    request_body = TagsBody,
    responses(
        (status = 200, description = "The tags that it has now", body = TagsBody),
        Names,
        (status = 412, response = ProblemBody),
        TakesJson,
    ),
)]
pub(crate) async fn put(
    State(app): State<App>,
    call: Call,
    id: IdPath,
    body: Body,
) -> Result<Json<TagsBody>, Failure> {
    let proven = call.prove(&app.api).await?;
    let who = call.caller_of(&app.api, &proven, Named::ById(Error::NoSuchObject)).await?;
    let body: TagsBody = call.json(&app.api, &proven, body).await?;
    let tags = replace(&app, &call, &who, Action::PutObjectTagging, &ObjectRef::Id(id.0), body.tags).await?;
    Ok(Json(TagsBody { tags }))
}

/// Remove an object's tags
#[utoipa::path(
    delete,
    path = "/v1/objects/{id}/tags",
    operation_id = "delete_tags",
    tag = "objects",
    params(
        ("id" = String, Path, description = "The object's id", format = Uuid),
        ("If-Match" = Option<String>, Header, description = "Remove only if the object has one of these entity tags"),
    ),
    responses((status = 204, description = "It has none now"), Names, (status = 412, response = ProblemBody)),
)]
pub(crate) async fn delete(State(app): State<App>, call: Call, id: IdPath) -> Result<StatusCode, Failure> {
    let who = call.caller(&app.api, Named::ById(Error::NoSuchObject)).await?;
    let object = ObjectRef::Id(id.0);
    replace(&app, &call, &who, Action::DeleteObjectTagging, &object, Tags::new()).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn replace(
    app: &App,
    call: &Call,
    who: &Principal,
    action: Action,
    object: &ObjectRef,
    tags: Tags,
) -> Result<Tags, Failure> {
    let preconditions = preconditions(&call.headers)?;
    let attributes = Some(AttributesPatch::tags(tags));
    let change = Change { attributes, preconditions, ..Change::default() };
    let changed = app.api.store.update(who, action, object, change).await?;
    call.about(&changed.address.namespace);
    Ok(changed.tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_read_as_s3_writes_tags() {
        let tags = |pairs: &[(&str, &str)]| {
            Ok(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
        };
        assert_eq!(wanted("team=search"), tags(&[("team", "search")]));
        assert_eq!(wanted("a=b=c&d="), tags(&[("a", "b=c"), ("d", "")]));
        assert_eq!(wanted("a%3Db=%26%25"), tags(&[("a=b", "&%")]));
        for refused in ["", "team", "=x", "a=1&a=2", "a=%FF", "a=1&"] {
            assert!(wanted(refused).is_err(), "{refused}");
        }
        let many: Vec<_> = (0..11).map(|number| format!("{number}=x")).collect();
        assert!(wanted(&many.join("&")).is_err());
    }
}
