//! Tags of an object, which are replaced in place, and of a bucket.

use http::StatusCode;
use juststorage_core::application::objects::ObjectRef;
use juststorage_core::application::objects::update::Change;
use juststorage_core::domain::object::{Object, Tags};
use juststorage_core::domain::patch::AttributesPatch;
use juststorage_core::domain::settings::{Setting, SettingKind};
use s3s::dto::{
    DeleteBucketTaggingInput, DeleteBucketTaggingOutput, DeleteObjectTaggingInput, DeleteObjectTaggingOutput,
    GetBucketTaggingInput, GetBucketTaggingOutput, GetObjectTaggingInput, GetObjectTaggingOutput,
    PutBucketTaggingInput, PutBucketTaggingOutput, PutObjectTaggingInput, PutObjectTaggingOutput,
};
use s3s::{S3Request, S3Response, S3Result};

use super::buckets::settings_of;
use super::found::find;
use crate::api::Api;
use crate::auth::{action, who};
use crate::dto::{address, attributes};
use crate::errors::{fail, translate};

pub(crate) async fn get(
    api: &Api,
    request: S3Request<GetObjectTaggingInput>,
) -> S3Result<S3Response<GetObjectTaggingOutput>> {
    let input = &request.input;
    let reference = address::object(&input.bucket, &input.key, input.version_id.as_deref())?;
    let object = find(api, &request, &reference).await?;
    let version_id = object.s3_version_id();
    Ok(S3Response::new(GetObjectTaggingOutput { tag_set: attributes::write_tags(&object.tags), version_id }))
}

pub(crate) async fn get_bucket(
    api: &Api,
    request: S3Request<GetBucketTaggingInput>,
) -> S3Result<S3Response<GetBucketTaggingOutput>> {
    let (_, settings) = settings_of(api, &request, &request.input.bucket).await?;
    let tags = settings.tags.as_ref().filter(|tags| !tags.is_empty());
    let tags =
        tags.ok_or_else(|| fail(StatusCode::NOT_FOUND, "NoSuchTagSet", "The TagSet does not exist"))?;
    Ok(S3Response::new(GetBucketTaggingOutput { tag_set: attributes::write_tags(tags) }))
}

pub(crate) async fn put_bucket(
    api: &Api,
    mut request: S3Request<PutBucketTaggingInput>,
) -> S3Result<S3Response<PutBucketTaggingOutput>> {
    let bucket = address::bucket(&request.input.bucket)?;
    let tags = attributes::tag_set(std::mem::take(&mut request.input.tagging.tag_set))?;
    api.store.put_setting(who(&request)?, &bucket, Setting::Tags(tags)).await.map_err(translate)?;
    Ok(S3Response::new(PutBucketTaggingOutput::default()))
}

pub(crate) async fn delete_bucket(
    api: &Api,
    request: S3Request<DeleteBucketTaggingInput>,
) -> S3Result<S3Response<DeleteBucketTaggingOutput>> {
    let bucket = address::bucket(&request.input.bucket)?;
    api.store.delete_setting(who(&request)?, &bucket, SettingKind::Tags).await.map_err(translate)?;
    Ok(S3Response::new(DeleteBucketTaggingOutput::default()))
}

pub(crate) async fn put(
    api: &Api,
    mut request: S3Request<PutObjectTaggingInput>,
) -> S3Result<S3Response<PutObjectTaggingOutput>> {
    let tags = attributes::tag_set(std::mem::take(&mut request.input.tagging.tag_set))?;
    let input = &request.input;
    let reference = address::object(&input.bucket, &input.key, input.version_id.as_deref())?;
    let version_id = replace(api, &request, &reference, tags).await?.s3_version_id();
    Ok(S3Response::new(PutObjectTaggingOutput { version_id }))
}

pub(crate) async fn delete(
    api: &Api,
    request: S3Request<DeleteObjectTaggingInput>,
) -> S3Result<S3Response<DeleteObjectTaggingOutput>> {
    let input = &request.input;
    let reference = address::object(&input.bucket, &input.key, input.version_id.as_deref())?;
    let version_id = replace(api, &request, &reference, Tags::new()).await?.s3_version_id();
    let output = DeleteObjectTaggingOutput { version_id };
    Ok(S3Response::new(output))
}

/// Replaces the tags of the named version, or of the version that is current at the change.
async fn replace<T>(
    api: &Api,
    request: &S3Request<T>,
    reference: &ObjectRef,
    tags: Tags,
) -> S3Result<Object> {
    let change = Change { attributes: Some(AttributesPatch::tags(tags)), ..Change::default() };
    api.store.update(who(request)?, action(request)?, reference, change).await.map_err(translate)
}
