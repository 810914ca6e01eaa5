//! Retention and legal hold of a version.

use axum::body::Body;
use axum::extract::State;
use juststorage_core::application::error::Error;
use juststorage_core::application::objects::ObjectRef;
use juststorage_core::application::objects::update::Change;
use juststorage_core::domain::action::Action;
use juststorage_core::domain::invalid::Invalid;
use juststorage_core::domain::object::Object;
use juststorage_core::domain::object_lock::{LockChange, LockMode, Retention};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::extract::{Call, IdPath, Named, moment, patched, preconditions};
use crate::json::Json;
use crate::openapi::{Names, TakesJson};
use crate::problem::{Failure, ProblemBody};
use crate::render;

/// Retention and legal hold of a version.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ObjectLockBody {
    /// Its retention, run out or not; `null` without one.
    #[schema(required)]
    retention: Option<ObjectRetentionBody>,
    /// Whether a legal hold is on.
    legal_hold: bool,
}

/// Until when a version may not be removed.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ObjectRetentionBody {
    /// `governance`: `bypass_governance` may shorten it; `compliance`: nothing may.
    #[schema(pattern = "^(governance|compliance)$")]
    mode: String,
    /// Until when.
    #[schema(format = DateTime)]
    until: String,
}

/// A change of what holds a version: exactly one of `retention` and `legal_hold`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[allow(clippy::option_option)] // absent, removed, set
pub(crate) struct ChangeLockBody {
    /// The new retention; `null` removes it.
    #[serde(deserialize_with = "patched")]
    #[schema(value_type = Option<ObjectRetentionBody>)]
    retention: Option<Option<ObjectRetentionBody>>,
    /// Turns the legal hold on or off.
    legal_hold: Option<bool>,
    /// Shortens or removes a governance retention, for a caller with the right `admin`.
    bypass_governance: bool,
}

impl ObjectLockBody {
    fn of(object: &Object) -> Self {
        let retention = object.lock.retention.map(|retention| ObjectRetentionBody {
            mode: retention.mode.as_str().to_owned(),
            until: render::rfc3339(retention.until),
        });
        Self { retention, legal_hold: object.lock.legal_hold == Some(true) }
    }
}

impl ObjectRetentionBody {
    fn read(&self) -> Result<Retention, Invalid> {
        Ok(Retention { mode: LockMode::parse(&self.mode)?, until: moment("until", &self.until)? })
    }
}

impl ChangeLockBody {
    /// The change, and the action that it is.
    fn read(self) -> Result<(Action, LockChange), Invalid> {
        match (self.retention, self.legal_hold) {
            (Some(retention), None) => {
                let retention = retention.as_ref().map(ObjectRetentionBody::read).transpose()?;
                let change = LockChange::Retention { retention, bypass: self.bypass_governance };
                Ok((Action::PutObjectRetention, change))
            }
            (None, Some(on)) if !self.bypass_governance => {
                Ok((Action::PutObjectLegalHold, LockChange::LegalHold(on)))
            }
            _ => Err(Invalid::new("lock", "must have either retention or legal_hold")),
        }
    }
}

/// Read an object's lock
///
/// The retention and the legal hold of exactly this version.
#[utoipa::path(
    get,
    path = "/v1/objects/{id}/lock",
    operation_id = "get_object_lock",
    tag = "objects",
    params(("id" = String, Path, description = "The object's id", format = Uuid)),
    responses((status = 200, description = "What holds it", body = ObjectLockBody), Names),
)]
pub(crate) async fn get(
    State(app): State<App>,
    call: Call,
    id: IdPath,
) -> Result<Json<ObjectLockBody>, Failure> {
    let who = call.caller(&app.api, Named::ById(Error::NoSuchObject)).await?;
    let (store, object) = (&app.api.store, ObjectRef::Id(id.0));
    store.lockable(&who, Action::GetObjectRetention, &object).await?;
    let found = store.lockable(&who, Action::GetObjectLegalHold, &object).await?;
    call.about(&found.address.namespace);
    Ok(Json(ObjectLockBody::of(&found)))
}

/// Lock an object
///
/// Sets or removes the retention of exactly this version, or turns its legal hold on or off. Takes a space with object lock.
#[utoipa::path(
    put,
    path = "/v1/objects/{id}/lock",
    operation_id = "set_object_lock",
    tag = "objects",
    params(
        ("id" = String, Path, description = "The object's id", format = Uuid),
        ("If-Match" = Option<String>, Header, description = "Change only if the object has one of these tags"),
    ),
    request_body = ChangeLockBody,
    responses(
        (status = 200, description = "What holds it now", body = ObjectLockBody),
        Names,
        (status = 412, response = ProblemBody),
        TakesJson,
    ),
)]
pub(crate) async fn set(
    State(app): State<App>,
    call: Call,
    id: IdPath,
    body: Body,
) -> Result<Json<ObjectLockBody>, Failure> {
    let proven = call.prove(&app.api).await?;
    let who = call.caller_of(&app.api, &proven, Named::ById(Error::NoSuchObject)).await?;
    let body: ChangeLockBody = call.json(&app.api, &proven, body).await?;
    let (action, lock) = body.read()?;
    let preconditions = preconditions(&call.headers)?;
    let change = Change { lock: Some(lock), preconditions, ..Change::default() };
    let changed = app.api.store.update(&who, action, &ObjectRef::Id(id.0), change).await?;
    call.about(&changed.address.namespace);
    Ok(Json(ObjectLockBody::of(&changed)))
}
