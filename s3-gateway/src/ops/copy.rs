//! Copies: of objects, and of parts of uploads.

use http::HeaderMap;
use juststorage_core::application::error::Error;
use juststorage_core::application::objects::copy::{CopyRequest, SOURCE_DIFFERS};
use juststorage_core::application::uploads::CopyPartRequest;
use juststorage_core::domain::action::Action;
use juststorage_core::domain::principal::Principal;
use juststorage_core::domain::range::ByteRange;
use s3s::dto::{
    CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopyPartResult, UploadPartCopyInput,
    UploadPartCopyOutput,
};
use s3s::{S3Error, S3Request, S3Response, S3Result};

use super::multipart::{part_number, upload};
use super::settings::lifecycle::expiration;
use crate::api::Api;
use crate::auth::{check_owner, note_namespace, who};
use crate::dto::address::{CopyFrom, copy_source, source_of};
use crate::dto::checksums::{self, set_checksum};
use crate::dto::{acl, address, attributes, conditions, fields::text, lock, values};
use crate::errors::{bad_request, not_implemented, translate, with_member, wrong_argument};

async fn check_source_owner(
    api: &Api,
    who: &Principal,
    source: &CopyFrom<'_>,
    headers: &HeaderMap,
) -> S3Result<()> {
    match text(headers, "x-amz-source-expected-bucket-owner") {
        None => Ok(()),
        Some(expected) => check_owner(&api.store, who, source.bucket, expected).await,
    }
}

/// An error of a copy, which names its side: the source or the destination.
async fn uncopied(
    api: &Api,
    who: &Principal,
    source: &CopyFrom<'_>,
    headers: &HeaderMap,
    error: Error,
) -> S3Error {
    match error {
        Error::DeleteMarker { addressed: true, .. } => bad_request(
            "InvalidRequest",
            "The source of a copy request may not specifically refer to a delete marker by version id.",
        ),
        Error::NoSuchVersion => {
            let error = with_member(translate(error), "Key", source.key);
            with_member(error, "VersionId", source.version.unwrap_or("null"))
        }
        Error::DeleteMarker { .. } => with_member(translate(error), "Key", source.key),
        // The target may be missing too: its bucket, or the object that If-Match names.
        Error::NoSuchObject => match source.reference() {
            Ok(reference) if api.store.object(who, Action::GetObject, &reference).await.is_err() => {
                with_member(translate(error), "Key", source.key)
            }
            _ => translate(error),
        },
        Error::NoSuchBucket => match address::bucket(source.bucket) {
            Ok(bucket) if api.store.visit_bucket(who, &bucket).await.is_err() => {
                with_member(translate(error), "BucketName", source.bucket)
            }
            _ => translate(error),
        },
        Error::PreconditionFailed(SOURCE_DIFFERS) => {
            let failed = SOURCE_CONDITIONS.iter().find(|name| headers.contains_key(**name));
            match failed {
                Some(name) => with_member(translate(error), "Condition", name),
                None => translate(error),
            }
        }
        error => translate(error),
    }
}

/// The conditions on a copy's source, in the order of their decision.
const SOURCE_CONDITIONS: [&str; 4] = [
    "x-amz-copy-source-if-match",
    "x-amz-copy-source-if-none-match",
    "x-amz-copy-source-if-unmodified-since",
    "x-amz-copy-source-if-modified-since",
];

pub(crate) async fn object(
    api: &Api,
    mut request: S3Request<CopyObjectInput>,
) -> S3Result<S3Response<CopyObjectOutput>> {
    let metadata = request.input.metadata.take();
    let (headers, input) = (&request.headers, &request.input);
    let named = copy_source(headers)?;
    let source = source_of(&named)?;
    let replaces = attributes::replaces(headers, "x-amz-metadata-directive")?;
    let replaces_tags = attributes::replaces(headers, "x-amz-tagging-directive")?;
    let (class, class_name) = attributes::storage_class(headers)?.unzip();
    attributes::check_redirect(headers)?;
    let redirect = text(headers, "x-amz-website-redirect-location").is_some();
    let itself = source.bucket == input.bucket && source.key == input.key && source.version.is_none();
    if itself && !replaces && class.is_none() && !redirect {
        return Err(bad_request(
            "InvalidRequest",
            "This copy request is illegal because it is trying to copy an object to itself without changing \
             the object's metadata, storage class, website redirect location or encryption attributes.",
        ));
    }
    if redirect && !replaces {
        return Err(not_implemented(
            "x-amz-website-redirect-location on a copy that keeps the source's metadata is not implemented.",
        ));
    }
    let tags = text(headers, "x-amz-tagging").map(attributes::tags).transpose()?.unwrap_or_default();
    let checksum = text(headers, "x-amz-checksum-algorithm").map(checksums::parse_algorithm).transpose()?;
    let copy = CopyRequest {
        source: source.reference()?,
        source_preconditions: conditions::of_copy_source(headers)?,
        place: address::place(&input.bucket)?,
        key: Some(address::key(&input.key)?),
        replace: replaces
            .then(|| (attributes::stored_headers(headers), attributes::user_metadata(headers, metadata))),
        replace_tags: replaces_tags.then_some(tags),
        lock: lock::asked(headers)?,
        acl: acl::asked(headers),
        class,
        class_name: class_name.flatten(),
        preconditions: conditions::of_write(headers)?,
        checksum,
    };
    let who = who(&request)?;
    check_source_owner(api, who, &source, headers).await?;
    let (from, object) = match api.store.copy(who, copy).await {
        Ok(copied) => copied,
        Err(error) => return Err(uncopied(api, who, &source, headers, error).await),
    };
    note_namespace(object.address.namespace.as_str());
    let mut result = CopyObjectResult {
        e_tag: Some(values::etag(&object.etag)),
        last_modified: Some(values::timestamp(object.created_at)),
        ..CopyObjectResult::default()
    };
    set_checksum!(result, &object.checksum);
    result.checksum_type = object.checksum.as_ref().map(|checksum| checksums::kind_out(checksum.kind));
    let output = CopyObjectOutput {
        copy_object_result: Some(result),
        copy_source_version_id: from.s3_version_id(),
        version_id: values::written_version(&object),
        expiration: expiration(api, &object).await?,
        ..CopyObjectOutput::default()
    };
    Ok(S3Response::new(output))
}

pub(crate) async fn part(
    api: &Api,
    request: S3Request<UploadPartCopyInput>,
) -> S3Result<S3Response<UploadPartCopyOutput>> {
    let (headers, input) = (&request.headers, &request.input);
    let named = copy_source(headers)?;
    let source = source_of(&named)?;
    let upload = upload(&input.bucket, &input.key, &input.upload_id)?;
    let number = part_number(input.part_number)?;
    let range = input
        .copy_source_range
        .as_deref()
        .map(|range| match ByteRange::parse(range) {
            Ok(range @ ByteRange::From { last: Some(_), .. }) => Ok(range),
            _ => Err(wrong_argument(
                "x-amz-copy-source-range",
                range,
                "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last \
                 are the zero-based offsets of the first and last bytes to copy",
            )),
        })
        .transpose()?;
    let copy = CopyPartRequest {
        source: source.reference()?,
        source_preconditions: conditions::of_copy_source(headers)?,
        range,
    };
    let who = who(&request)?;
    check_source_owner(api, who, &source, headers).await?;
    let (from, part) = match api.store.copy_part(who, &upload, number, &copy).await {
        Ok(copied) => copied,
        Err(error) => return Err(uncopied(api, who, &source, headers, error).await),
    };
    let mut result = CopyPartResult {
        e_tag: Some(values::etag(&part.etag)),
        last_modified: Some(values::timestamp(part.created_at)),
        ..CopyPartResult::default()
    };
    set_checksum!(result, &part.checksum);
    let output = UploadPartCopyOutput {
        copy_part_result: Some(result),
        copy_source_version_id: from.s3_version_id(),
        ..UploadPartCopyOutput::default()
    };
    Ok(S3Response::new(output))
}
