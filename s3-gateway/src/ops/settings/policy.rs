//! A bucket's policy. It is JSON, and read whole before anything of it counts.

use std::sync::Arc;

use http::StatusCode;
use juststorage_core::domain::policy::Policy;
use juststorage_core::domain::settings::SettingKind;
use s3s::dto::{
    DeleteBucketPolicyInput, DeleteBucketPolicyOutput, GetBucketPolicyInput, GetBucketPolicyOutput,
    GetBucketPolicyStatusInput, GetBucketPolicyStatusOutput, PolicyStatus,
};
use s3s::{Body, S3Request, S3Response, S3Result};

use crate::api::Api;
use crate::auth::{note_namespace, who};
use crate::dto::address;
use crate::errors::{bad_request, fail, translate};
use crate::operations::Digest;
use crate::ops::buckets::settings_of;
use crate::wire::documents;

pub(crate) async fn put(
    api: &Api,
    mut request: S3Request<Body>,
    bucket: &str,
    digest: Digest,
) -> S3Result<S3Response<Body>> {
    let name = address::bucket(bucket)?;
    let body = std::mem::take(&mut request.input);
    let document = documents::read(body, &request.headers, digest).await?;
    let document = std::str::from_utf8(&document)
        .map_err(|_| bad_request("MalformedPolicy", "This policy contains invalid Json: it is no UTF-8."))?;
    let space = api.store.put_policy(who(&request)?, &name, document).await.map_err(translate)?;
    note_namespace(space.namespace.as_str());
    Ok(S3Response::new(Body::empty()))
}

/// The policy of a bucket, if there is one.
async fn policy_of<T>(api: &Api, request: &S3Request<T>, bucket: &str) -> S3Result<Arc<Policy>> {
    let (_, settings) = settings_of(api, request, bucket).await?;
    let missing = || fail(StatusCode::NOT_FOUND, "NoSuchBucketPolicy", "The bucket policy does not exist");
    settings.policy.clone().ok_or_else(missing)
}

pub(crate) async fn get(
    api: &Api,
    request: S3Request<GetBucketPolicyInput>,
) -> S3Result<S3Response<GetBucketPolicyOutput>> {
    let policy = policy_of(api, &request, &request.input.bucket).await?;
    Ok(S3Response::new(GetBucketPolicyOutput { policy: Some(policy.text().to_owned()) }))
}

pub(crate) async fn delete(
    api: &Api,
    request: S3Request<DeleteBucketPolicyInput>,
) -> S3Result<S3Response<DeleteBucketPolicyOutput>> {
    let bucket = address::bucket(&request.input.bucket)?;
    api.store.delete_setting(who(&request)?, &bucket, SettingKind::Policy).await.map_err(translate)?;
    Ok(S3Response::new(DeleteBucketPolicyOutput::default()))
}

pub(crate) async fn status(
    api: &Api,
    request: S3Request<GetBucketPolicyStatusInput>,
) -> S3Result<S3Response<GetBucketPolicyStatusOutput>> {
    let policy = policy_of(api, &request, &request.input.bucket).await?;
    let policy_status = Some(PolicyStatus { is_public: Some(policy.is_public()) });
    Ok(S3Response::new(GetBucketPolicyStatusOutput { policy_status }))
}
