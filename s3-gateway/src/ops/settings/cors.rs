//! The CORS configuration of a bucket. [`crate::preflight`] applies it.

use http::StatusCode;
use juststorage_core::domain::cors::{CorsConfig, CorsRule};
use juststorage_core::domain::settings::{Setting, SettingKind};
use s3s::dto::{
    CORSRule, DeleteBucketCorsInput, DeleteBucketCorsOutput, GetBucketCorsInput, GetBucketCorsOutput,
    PutBucketCorsInput, PutBucketCorsOutput,
};
use s3s::{S3Request, S3Response, S3Result};

use crate::api::Api;
use crate::auth::who;
use crate::dto::address;
use crate::errors::{fail, invalid_argument, malformed_xml, translate, writable};
use crate::ops::buckets::settings_of;

pub(crate) async fn get(
    api: &Api,
    request: S3Request<GetBucketCorsInput>,
) -> S3Result<S3Response<GetBucketCorsOutput>> {
    let (_, settings) = settings_of(api, &request, &request.input.bucket).await?;
    let cors = settings.cors.as_ref().ok_or_else(|| {
        fail(StatusCode::NOT_FOUND, "NoSuchCORSConfiguration", "The CORS configuration does not exist")
    })?;
    let rules = cors.rules.iter().map(write).collect();
    Ok(S3Response::new(GetBucketCorsOutput { cors_rules: Some(rules) }))
}

fn write(rule: &CorsRule) -> CORSRule {
    let list = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone());
    CORSRule {
        allowed_headers: list(&rule.headers),
        allowed_methods: rule.methods.clone(),
        allowed_origins: rule.origins.clone(),
        expose_headers: list(&rule.expose),
        id: rule.id.clone().map(writable),
        max_age_seconds: rule.max_age_seconds.map(|seconds| i32::try_from(seconds).unwrap_or(i32::MAX)),
    }
}

fn read(rule: CORSRule) -> S3Result<CorsRule> {
    let max_age_seconds = rule
        .max_age_seconds
        .map(|seconds| {
            u32::try_from(seconds).map_err(|_| invalid_argument("MaxAgeSeconds must not be negative."))
        })
        .transpose()?;
    Ok(CorsRule {
        id: rule.id,
        origins: rule.allowed_origins,
        methods: rule.allowed_methods,
        headers: rule.allowed_headers.unwrap_or_default(),
        expose: rule.expose_headers.unwrap_or_default(),
        max_age_seconds,
    })
}

pub(crate) async fn put(
    api: &Api,
    mut request: S3Request<PutBucketCorsInput>,
) -> S3Result<S3Response<PutBucketCorsOutput>> {
    let bucket = address::bucket(&request.input.bucket)?;
    let rules = std::mem::take(&mut request.input.cors_configuration.cors_rules);
    if rules.is_empty() {
        return Err(malformed_xml("at least one CORSRule is expected"));
    }
    let rules = rules.into_iter().map(read).collect::<S3Result<_>>()?;
    let setting = Setting::Cors(CorsConfig { rules });
    api.store.put_setting(who(&request)?, &bucket, setting).await.map_err(translate)?;
    Ok(S3Response::new(PutBucketCorsOutput::default()))
}

pub(crate) async fn delete(
    api: &Api,
    request: S3Request<DeleteBucketCorsInput>,
) -> S3Result<S3Response<DeleteBucketCorsOutput>> {
    let bucket = address::bucket(&request.input.bucket)?;
    api.store.delete_setting(who(&request)?, &bucket, SettingKind::Cors).await.map_err(translate)?;
    Ok(S3Response::new(DeleteBucketCorsOutput::default()))
}
