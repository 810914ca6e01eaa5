//! Buckets.

use std::sync::Arc;

use http::HeaderValue;
use http::header::CONTENT_TYPE;
use juststorage_core::application::error::Error;
use juststorage_core::application::objects::list::Cursor;
use juststorage_core::application::spaces::NewBucket;
use juststorage_core::domain::settings::{Setting, SpaceSettings};
use juststorage_core::domain::space::Space;
use s3s::dto::{
    Bucket, BucketLocationConstraint, CreateBucketInput, CreateBucketOutput, DeleteBucketInput,
    DeleteBucketOutput, GetBucketLocationInput, GetBucketLocationOutput, HeadBucketInput, HeadBucketOutput,
    ListBucketsInput, ListBucketsOutput,
};
use s3s::{Body, S3Request, S3Response, S3Result};

use crate::api::Api;
use crate::auth::{action, note_namespace, who};
use crate::dto::{acl, address, attributes, values};
use crate::errors::{internal, translate, writable, wrong_argument};
use crate::query::owned_pairs;

/// Most buckets of one answer (S3 `ListBuckets`).
const BUCKETS_MAX: u32 = 10_000;

/// The space of a bucket where the caller may do what the request asks.
pub(crate) async fn space_of<T>(api: &Api, request: &S3Request<T>, bucket: &str) -> S3Result<Space> {
    let name = address::bucket(bucket)?;
    let space = api.store.bucket_for(who(request)?, action(request)?, &name).await.map_err(translate)?;
    note_namespace(space.address.namespace.as_str());
    Ok(space)
}

/// The space of a bucket where the caller may do what the request asks, and its settings.
pub(crate) async fn settings_of<T>(
    api: &Api,
    request: &S3Request<T>,
    bucket: &str,
) -> S3Result<(Space, Arc<SpaceSettings>)> {
    let name = address::bucket(bucket)?;
    let (space, settings) =
        api.store.bucket_settings(who(request)?, action(request)?, &name).await.map_err(translate)?;
    note_namespace(space.address.namespace.as_str());
    Ok((space, settings))
}

pub(crate) async fn list(
    api: &Api,
    request: S3Request<ListBucketsInput>,
) -> S3Result<S3Response<ListBucketsOutput>> {
    page(api, &request, &request.input).await.map(S3Response::new)
}

/// `GET //`: `ListBuckets` outside of s3s's routes.
pub(crate) async fn list_plain(api: &Api, request: &S3Request<Body>) -> S3Result<S3Response<Body>> {
    let mut input = ListBucketsInput::default();
    for (key, value) in request.uri.query().map(owned_pairs).unwrap_or_default() {
        match key.as_str() {
            "prefix" => input.prefix = Some(value),
            "continuation-token" => input.continuation_token = Some(value),
            "bucket-region" => input.bucket_region = Some(value),
            "max-buckets" => {
                let number = value
                    .parse()
                    .map_err(|_| wrong_argument("max-buckets", &value, "max-buckets must be an integer."))?;
                input.max_buckets = Some(number);
            }
            _ => {}
        }
    }
    let output = page(api, request, &input).await?;
    let mut xml = Vec::with_capacity(1024);
    let mut serializer = s3s::xml::Serializer::new(&mut xml);
    serializer
        .decl()
        .and_then(|()| s3s::xml::Serialize::serialize(&output, &mut serializer))
        .map_err(|_| internal())?;
    let mut response = S3Response::new(Body::from(xml));
    response.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    Ok(response)
}

async fn page<T>(api: &Api, request: &S3Request<T>, input: &ListBucketsInput) -> S3Result<ListBucketsOutput> {
    let who = who(request)?;
    let owner = Some(values::owner(&who.tenant));
    let prefix = input.prefix.clone().unwrap_or_default();
    if input.bucket_region.as_ref().is_some_and(|region| *region != api.region) {
        return Ok(ListBucketsOutput { buckets: Some(Vec::new()), owner, ..ListBucketsOutput::default() });
    }
    let limit = match input.max_buckets {
        None => BUCKETS_MAX,
        Some(asked) => {
            u32::try_from(asked).ok().filter(|asked| (1..=BUCKETS_MAX).contains(asked)).ok_or_else(|| {
                let why = "Argument max-buckets must be an integer between 1 and 10000";
                wrong_argument("max-buckets", &asked.to_string(), why)
            })?
        }
    };
    let after = match input.continuation_token.as_deref().filter(|token| !token.is_empty()) {
        None => None,
        Some(token) => Some(
            Cursor::decode(token)
                .map_err(|_| {
                    let why = "The continuation token provided is incorrect";
                    wrong_argument("continuation-token", token, why)
                })?
                .key()
                .to_owned(),
        ),
    };
    let mut buckets =
        api.store.list_buckets(who, &prefix, after.as_deref(), limit + 1).await.map_err(translate)?;
    let more = buckets.len() > limit as usize;
    buckets.truncate(limit as usize);
    let next = buckets.last().filter(|_| more).map(|last| Cursor::Key(last.name.to_string()).encode());
    let buckets = buckets.into_iter().map(|bucket| Bucket {
        name: Some(bucket.name.to_string()),
        creation_date: Some(values::timestamp(bucket.created_at)),
        bucket_region: Some(api.region.clone()),
        ..Bucket::default()
    });
    Ok(ListBucketsOutput {
        buckets: Some(buckets.collect()),
        owner,
        continuation_token: next,
        prefix: input.prefix.clone().map(writable),
    })
}

/// Accepts any location constraint, since clients send the region that they sign for; later answers name the store's
/// one region.
pub(crate) async fn create(
    api: &Api,
    request: S3Request<CreateBucketInput>,
) -> S3Result<S3Response<CreateBucketOutput>> {
    let name = address::bucket(&request.input.bucket)?;
    let who = who(&request)?;
    let locking = request.input.object_lock_enabled_for_bucket == Some(true);
    let acl = acl::asked(&request.headers);
    // The allow-list lets no other ownership pass.
    let owner_enforced = request.input.object_ownership.is_some();
    let asked = request.input.create_bucket_configuration.clone().unwrap_or_default();
    let tags = attributes::tag_set(asked.tags.unwrap_or_default())?;
    let new = NewBucket { space: None, locking, acl, owner_enforced, tags: tags.clone() };
    match api.store.create_bucket(who, &name, new).await {
        Ok(bucket) => note_namespace(bucket.space.address.namespace.as_str()),
        // S3 answers 200 in its first region only, where old clients rely on it (S3 `CreateBucket`). Not to one
        // who asks for locks, which the bucket may not have.
        Err(Error::BucketExists { own: true, .. }) if api.region == "us-east-1" && !locking => {
            if acl::says_anything(&request.headers) && api.store.heeds_acls() {
                api.store.put_bucket_acl(who, &name, acl).await.map_err(translate)?;
            }
            if !tags.is_empty() {
                api.store.put_setting(who, &name, Setting::Tags(tags)).await.map_err(translate)?;
            }
        }
        Err(error) => return Err(translate(error)),
    }
    let location = Some(format!("/{name}"));
    Ok(S3Response::new(CreateBucketOutput { location, ..CreateBucketOutput::default() }))
}

pub(crate) async fn head(
    api: &Api,
    request: S3Request<HeadBucketInput>,
) -> S3Result<S3Response<HeadBucketOutput>> {
    let name = address::bucket(&request.input.bucket)?;
    let space = api.store.visit_bucket(who(&request)?, &name).await.map_err(translate)?;
    note_namespace(space.address.namespace.as_str());
    let bucket_region = Some(api.region.clone());
    Ok(S3Response::new(HeadBucketOutput { bucket_region, ..HeadBucketOutput::default() }))
}

pub(crate) async fn delete(
    api: &Api,
    request: S3Request<DeleteBucketInput>,
) -> S3Result<S3Response<DeleteBucketOutput>> {
    let name = address::bucket(&request.input.bucket)?;
    api.store.delete_bucket(who(&request)?, &name).await.map_err(translate)?;
    Ok(S3Response::new(DeleteBucketOutput::default()))
}

/// `us-east-1` is written as an empty value, as on S3.
pub(crate) async fn location(
    api: &Api,
    request: S3Request<GetBucketLocationInput>,
) -> S3Result<S3Response<GetBucketLocationOutput>> {
    space_of(api, &request, &request.input.bucket).await?;
    let region = (api.region != "us-east-1").then(|| BucketLocationConstraint::from(api.region.clone()));
    Ok(S3Response::new(GetBucketLocationOutput { location_constraint: region }))
}
