//! Object lock: a bucket's configuration, and retention and legal hold of one version.

use http::StatusCode;
use juststorage_core::application::objects::ObjectRef;
use juststorage_core::application::objects::update::Change;
use juststorage_core::domain::object::Object;
use juststorage_core::domain::object_lock::{DefaultRetention, LockChange, LockConfig, Period, Retention};
use s3s::dto::{
    self, GetObjectLegalHoldInput, GetObjectLegalHoldOutput, GetObjectLockConfigurationInput,
    GetObjectLockConfigurationOutput, GetObjectRetentionInput, GetObjectRetentionOutput,
    ObjectLockConfiguration, ObjectLockEnabled, ObjectLockLegalHold, ObjectLockLegalHoldStatus,
    ObjectLockRetention, ObjectLockRetentionMode, PutObjectLegalHoldInput, PutObjectLegalHoldOutput,
    PutObjectLockConfigurationInput, PutObjectLockConfigurationOutput, PutObjectRetentionInput,
    PutObjectRetentionOutput,
};
use s3s::{S3Error, S3Request, S3Response, S3Result};

use super::buckets::space_of;
use crate::api::Api;
use crate::auth::{action, note_namespace, who};
use crate::dto::{address, lock, values};
use crate::errors::{bad_request, fail, malformed_xml, translate};

pub(crate) async fn get_config(
    api: &Api,
    request: S3Request<GetObjectLockConfigurationInput>,
) -> S3Result<S3Response<GetObjectLockConfigurationOutput>> {
    let space = space_of(api, &request, &request.input.bucket).await?;
    let config = space.object_lock.ok_or_else(|| {
        fail(
            StatusCode::NOT_FOUND,
            "ObjectLockConfigurationNotFoundError",
            "Object Lock configuration does not exist for this bucket",
        )
    })?;
    let rule = config.default_retention.map(|default| {
        let (days, years) = match default.period {
            Period::Days(days) => (Some(number(days)), None),
            Period::Years(years) => (None, Some(number(years))),
        };
        let mode = Some(ObjectLockRetentionMode::from_static(lock::mode_name(default.mode)));
        dto::ObjectLockRule { default_retention: Some(dto::DefaultRetention { days, mode, years }) }
    });
    let object_lock_enabled = Some(ObjectLockEnabled::from_static(ObjectLockEnabled::ENABLED));
    let object_lock_configuration = Some(ObjectLockConfiguration { object_lock_enabled, rule });
    Ok(S3Response::new(GetObjectLockConfigurationOutput { object_lock_configuration }))
}

fn number(of: u32) -> i32 {
    i32::try_from(of).unwrap_or(i32::MAX)
}

pub(crate) async fn put_config(
    api: &Api,
    mut request: S3Request<PutObjectLockConfigurationInput>,
) -> S3Result<S3Response<PutObjectLockConfigurationOutput>> {
    let bucket = address::bucket(&request.input.bucket)?;
    let sent = request
        .input
        .object_lock_configuration
        .take()
        .ok_or_else(|| bad_request("MissingRequestBodyError", "Request Body is empty"))?;
    let lock = read_config(sent)?;
    api.store.set_object_lock(who(&request)?, &bucket, lock).await.map_err(translate)?;
    Ok(S3Response::new(PutObjectLockConfigurationOutput::default()))
}

/// What a document of `PutObjectLockConfiguration` asks for.
pub(crate) fn read_config(sent: ObjectLockConfiguration) -> S3Result<LockConfig> {
    if sent.object_lock_enabled.as_ref().map(ObjectLockEnabled::as_str) != Some(ObjectLockEnabled::ENABLED) {
        return Err(malformed_xml("ObjectLockEnabled must be Enabled"));
    }
    let default_retention = sent
        .rule
        .map(|rule| rule.default_retention.ok_or_else(|| malformed_xml("a Rule has a DefaultRetention")))
        .transpose()?
        .map(|default| read_default(&default))
        .transpose()?;
    Ok(LockConfig { default_retention })
}

fn read_default(default: &dto::DefaultRetention) -> S3Result<DefaultRetention> {
    let mode = default.mode.as_ref().and_then(|mode| lock::mode(mode.as_str()));
    let mode = mode.ok_or_else(|| malformed_xml("Mode must be GOVERNANCE or COMPLIANCE"))?;
    // A negative number is as wrong as none.
    let count = |number: i32| u32::try_from(number).unwrap_or_default();
    let period = match (default.days, default.years) {
        (Some(days), None) => Period::Days(count(days)),
        (None, Some(years)) => Period::Years(count(years)),
        _ => return Err(malformed_xml("a DefaultRetention has either Days or Years")),
    };
    DefaultRetention::new(mode, period).map_err(|invalid| translate(invalid.into()))
}

/// The object, if its bucket allows locks.
async fn lockable<T>(api: &Api, request: &S3Request<T>, reference: &ObjectRef) -> S3Result<Object> {
    let object = api.store.lockable(who(request)?, action(request)?, reference).await.map_err(translate)?;
    note_namespace(object.address.namespace.as_str());
    Ok(object)
}

fn unset() -> S3Error {
    fail(
        StatusCode::NOT_FOUND,
        "NoSuchObjectLockConfiguration",
        "The specified object does not have a ObjectLock configuration",
    )
}

pub(crate) async fn get_retention(
    api: &Api,
    request: S3Request<GetObjectRetentionInput>,
) -> S3Result<S3Response<GetObjectRetentionOutput>> {
    let input = &request.input;
    let reference = address::object(&input.bucket, &input.key, input.version_id.as_deref())?;
    let object = lockable(api, &request, &reference).await?;
    let retention = object.lock.retention.ok_or_else(unset)?;
    let retention = Some(ObjectLockRetention {
        mode: Some(ObjectLockRetentionMode::from_static(lock::mode_name(retention.mode))),
        retain_until_date: Some(values::timestamp(retention.until)),
    });
    Ok(S3Response::new(GetObjectRetentionOutput { retention }))
}

pub(crate) async fn put_retention(
    api: &Api,
    mut request: S3Request<PutObjectRetentionInput>,
) -> S3Result<S3Response<PutObjectRetentionOutput>> {
    // Without a document nothing is asked for, least of all that the retention goes.
    let sent = request.input.retention.take().ok_or_else(|| malformed_xml("it is empty"))?;
    let retention = match (sent.mode, sent.retain_until_date) {
        // An empty element takes the retention away.
        (None, None) => None,
        (Some(mode), Some(until)) => {
            let mode = lock::mode(mode.as_str())
                .ok_or_else(|| malformed_xml("Mode must be GOVERNANCE or COMPLIANCE"))?;
            Some(Retention { mode, until: values::moment(&until) })
        }
        _ => return Err(malformed_xml("a Retention has both Mode and RetainUntilDate")),
    };
    let input = &request.input;
    let reference = address::object(&input.bucket, &input.key, input.version_id.as_deref())?;
    let bypass = lock::bypass(&request.headers);
    change(api, &request, reference, LockChange::Retention { retention, bypass }).await?;
    Ok(S3Response::new(PutObjectRetentionOutput::default()))
}

pub(crate) async fn get_hold(
    api: &Api,
    request: S3Request<GetObjectLegalHoldInput>,
) -> S3Result<S3Response<GetObjectLegalHoldOutput>> {
    let input = &request.input;
    let reference = address::object(&input.bucket, &input.key, input.version_id.as_deref())?;
    let object = lockable(api, &request, &reference).await?;
    let status = if object.lock.legal_hold.ok_or_else(unset)? {
        ObjectLockLegalHoldStatus::ON
    } else {
        ObjectLockLegalHoldStatus::OFF
    };
    let status = Some(ObjectLockLegalHoldStatus::from_static(status));
    Ok(S3Response::new(GetObjectLegalHoldOutput { legal_hold: Some(ObjectLockLegalHold { status }) }))
}

pub(crate) async fn put_hold(
    api: &Api,
    mut request: S3Request<PutObjectLegalHoldInput>,
) -> S3Result<S3Response<PutObjectLegalHoldOutput>> {
    let sent = request.input.legal_hold.take().ok_or_else(|| malformed_xml("it is empty"))?.status;
    let on = match sent.as_ref().map(ObjectLockLegalHoldStatus::as_str) {
        Some(ObjectLockLegalHoldStatus::ON) => true,
        Some(ObjectLockLegalHoldStatus::OFF) => false,
        _ => return Err(malformed_xml("Status must be ON or OFF")),
    };
    let input = &request.input;
    let reference = address::object(&input.bucket, &input.key, input.version_id.as_deref())?;
    change(api, &request, reference, LockChange::LegalHold(on)).await?;
    Ok(S3Response::new(PutObjectLegalHoldOutput::default()))
}

async fn change<T>(
    api: &Api,
    request: &S3Request<T>,
    reference: ObjectRef,
    change: LockChange,
) -> S3Result<()> {
    lockable(api, request, &reference).await?;
    let change = Change { lock: Some(change), ..Change::default() };
    api.store.update(who(request)?, action(request)?, &reference, change).await.map(drop).map_err(translate)
}
