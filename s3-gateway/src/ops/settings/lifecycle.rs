//! Lifecycle rules of a bucket.

use http::StatusCode;
use juststorage_core::domain::object::Object;
use juststorage_core::domain::settings::{Setting, SettingKind};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::{
    DeleteBucketLifecycleInput, DeleteBucketLifecycleOutput, GetBucketLifecycleConfigurationInput,
    GetBucketLifecycleConfigurationOutput, PutBucketLifecycleConfigurationInput,
    PutBucketLifecycleConfigurationOutput,
};
use s3s::{S3Request, S3Response, S3Result};

use crate::api::Api;
use crate::auth::who;
use crate::dto::{address, lifecycle};
use crate::errors::{fail, malformed_xml, translate};
use crate::ops::buckets::settings_of;

pub(crate) async fn get(
    api: &Api,
    request: S3Request<GetBucketLifecycleConfigurationInput>,
) -> S3Result<S3Response<GetBucketLifecycleConfigurationOutput>> {
    let (_, settings) = settings_of(api, &request, &request.input.bucket).await?;
    let lifecycle = settings.lifecycle.as_ref().ok_or_else(|| {
        fail(
            StatusCode::NOT_FOUND,
            "NoSuchLifecycleConfiguration",
            "The lifecycle configuration does not exist",
        )
    })?;
    Ok(S3Response::new(lifecycle::write(lifecycle)))
}

pub(crate) async fn put(
    api: &Api,
    mut request: S3Request<PutBucketLifecycleConfigurationInput>,
) -> S3Result<S3Response<PutBucketLifecycleConfigurationOutput>> {
    let bucket = address::bucket(&request.input.bucket)?;
    let minimum = request.input.transition_default_minimum_object_size.take();
    let sent = request.input.lifecycle_configuration.take();
    let rules = sent.ok_or_else(|| malformed_xml("a LifecycleConfiguration is expected"))?.rules;
    let lifecycle = lifecycle::read(rules, minimum.as_ref())?;
    let output = PutBucketLifecycleConfigurationOutput {
        transition_default_minimum_object_size: lifecycle::write(&lifecycle)
            .transition_default_minimum_object_size,
    };
    api.store.put_setting(who(&request)?, &bucket, Setting::Lifecycle(lifecycle)).await.map_err(translate)?;
    Ok(S3Response::new(output))
}

pub(crate) async fn delete(
    api: &Api,
    request: S3Request<DeleteBucketLifecycleInput>,
) -> S3Result<S3Response<DeleteBucketLifecycleOutput>> {
    let bucket = address::bucket(&request.input.bucket)?;
    api.store.delete_setting(who(&request)?, &bucket, SettingKind::Lifecycle).await.map_err(translate)?;
    Ok(S3Response::new(DeleteBucketLifecycleOutput::default()))
}

/// `x-amz-expiration`: the rule that removes an object, and when.
pub(crate) async fn expiration(api: &Api, object: &Object) -> S3Result<Option<String>> {
    let expiry = api.store.expiry(object).await.map_err(translate)?;
    Ok(expiry.map(|(at, rule)| {
        let rule = utf8_percent_encode(&rule, NON_ALPHANUMERIC_BUT_PLAIN);
        format!("expiry-date=\"{}\", rule-id=\"{rule}\"", httpdate::fmt_http_date(at.into()))
    }))
}

/// A rule's id is sent URL-encoded (S3 `HeadObject`, "x-amz-expiration").
const NON_ALPHANUMERIC_BUT_PLAIN: &percent_encoding::AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
