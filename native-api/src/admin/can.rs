//! May X do Y on Z, and why.

use crate::json::Json;
use axum::extract::State;
use juststorage_core::application::admin::Subject;
use juststorage_core::application::ports::metadata::SpaceRef;
use juststorage_core::domain::action::Action;
use juststorage_core::domain::address::{BucketName, Key, Namespace, SpaceAddress, Tenant};
use juststorage_core::domain::invalid::Invalid;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::request::{caller, uuid};
use crate::app::App;
use crate::extract::{Call, Params};
use crate::openapi::Names;
use crate::problem::Failure;

/// The prefix of a bucket's name in policies.
const ARN: &str = "arn:aws:s3:::";

/// The question.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CanParams {
    /// `me` (the default), `anonymous`, or a credential's id.
    principal: Option<String>,
    /// An action as in policies, with or without `s3:`.
    #[param(example = "s3:GetObject")]
    action: String,
    /// `arn:aws:s3:::BUCKET` or `arn:aws:s3:::BUCKET/KEY`; through the native API `NAMESPACE/TENANT` or
    /// `NAMESPACE/TENANT/KEY`.
    #[param(example = "arn:aws:s3:::demo/hello.txt")]
    resource: String,
}

/// The answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CanBody {
    /// Whether it is allowed.
    allowed: bool,
    /// The principal of the question.
    principal: String,
    /// For what.
    #[schema(example = "s3:GetObject")]
    action: String,
    /// Of what.
    resource: String,
    /// The source that allows it: `rights`, `policy` or `acl`.
    #[schema(required)]
    by: Option<&'static str>,
    /// The reason of a refusal: `right`, `policy`, `prefix`, `out_of_sight`, `revoked` or `expired`.
    #[schema(required)]
    because: Option<&'static str>,
    /// The right of a credential that the action takes.
    right: &'static str,
    /// The space that it is about.
    space: SpaceBody,
    /// All of it for people. May change.
    text: String,
}

/// A space's address.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SpaceBody {
    /// The service or collection.
    namespace: String,
    /// The tenant.
    tenant: String,
}

/// Explain a decision
///
/// Whether a principal may do an action on a resource, and what decides it: rights, the bucket's policy, or an ACL. About
/// itself every caller may ask; about others, an administrator of both the space and the credential. Object lock, quotas and
/// request limits are no part of it.
#[utoipa::path(
    get,
    path = "/v1/admin/can",
    operation_id = "admin_can",
    tag = "admin",
    params(CanParams),
    responses((status = 200, description = "The decision", body = CanBody), Names),
)]
pub(crate) async fn can(
    State(app): State<App>,
    call: Call,
    Params(params): Params<CanParams>,
) -> Result<Json<CanBody>, Failure> {
    let who = caller(&app, &call).await?;
    let subject = match params.principal.as_deref() {
        None | Some("me") => Subject::Me,
        Some("anonymous") => Subject::Anonymous,
        Some(id) => Subject::Credential(uuid("principal", id)?),
    };
    let name = params.action.strip_prefix("s3:").unwrap_or(&params.action);
    let action = Action::ALL.iter().find(|action| action.name().eq_ignore_ascii_case(name));
    let action = *action
        .ok_or_else(|| Invalid::new("action", "must be an action of policies, such as s3:GetObject"))?;
    let (place, key) = resource(&params.resource)?;
    let explained = app.api.admin.explain(&who, subject, action, &place, key.as_ref()).await?;
    Ok(Json(CanBody {
        allowed: explained.is_allowed(),
        principal: match subject {
            Subject::Me => who.name,
            other => other.to_string(),
        },
        action: action.to_string(),
        resource: params.resource,
        by: explained.by(),
        because: explained.because(),
        right: explained.right().as_str(),
        space: SpaceBody {
            namespace: explained.space.namespace.to_string(),
            tenant: explained.space.tenant.to_string(),
        },
        text: explained.to_string(),
    }))
}

fn resource(text: &str) -> Result<(SpaceRef, Option<Key>), Invalid> {
    let refused = || {
        let rule = "must be arn:aws:s3:::BUCKET[/KEY] or NAMESPACE/TENANT[/KEY]";
        Invalid::new("resource", rule)
    };
    let (place, key) = if let Some(rest) = text.strip_prefix(ARN) {
        let (bucket, key) = rest.split_once('/').map_or((rest, None), |(bucket, key)| (bucket, Some(key)));
        (SpaceRef::Bucket(BucketName::new(bucket).map_err(|_| refused())?), key)
    } else {
        let mut pieces = text.splitn(3, '/');
        let namespace = Namespace::new(pieces.next().unwrap_or_default()).map_err(|_| refused())?;
        let tenant = Tenant::new(pieces.next().unwrap_or_default()).map_err(|_| refused())?;
        (SpaceRef::Space(SpaceAddress::new(namespace, tenant)), pieces.next())
    };
    // A trailing slash names the bucket, as in a policy.
    let key = key.filter(|key| !key.is_empty());
    Ok((place, key.map(Key::new).transpose().map_err(|_| refused())?))
}
