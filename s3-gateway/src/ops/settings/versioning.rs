//! Versioning of a bucket.

use juststorage_core::domain::space::Versioning;
use s3s::dto::{
    BucketVersioningStatus, GetBucketVersioningInput, GetBucketVersioningOutput, MFADelete,
    PutBucketVersioningInput, PutBucketVersioningOutput,
};
use s3s::{S3Request, S3Response, S3Result};

use crate::api::Api;
use crate::auth::{note_namespace, who};
use crate::dto::address;
use crate::errors::{bad_request, malformed_xml, not_implemented, translate};
use crate::ops::buckets::space_of;

pub(crate) async fn get(
    api: &Api,
    request: S3Request<GetBucketVersioningInput>,
) -> S3Result<S3Response<GetBucketVersioningOutput>> {
    let status = match space_of(api, &request, &request.input.bucket).await?.versioning {
        Versioning::Off => None,
        Versioning::Enabled => Some(BucketVersioningStatus::from_static(BucketVersioningStatus::ENABLED)),
        Versioning::Suspended => Some(BucketVersioningStatus::from_static(BucketVersioningStatus::SUSPENDED)),
    };
    Ok(S3Response::new(GetBucketVersioningOutput { status, ..GetBucketVersioningOutput::default() }))
}

pub(crate) async fn put(
    api: &Api,
    request: S3Request<PutBucketVersioningInput>,
) -> S3Result<S3Response<PutBucketVersioningOutput>> {
    let asked = &request.input.versioning_configuration;
    if asked.mfa_delete.as_ref().is_some_and(|mfa| mfa.as_str() == MFADelete::ENABLED) {
        return Err(not_implemented("MFA delete is not implemented."));
    }
    let versioning = match asked.status.as_ref().map(BucketVersioningStatus::as_str) {
        Some(BucketVersioningStatus::ENABLED) => Versioning::Enabled,
        Some(BucketVersioningStatus::SUSPENDED) => Versioning::Suspended,
        Some(_) => return Err(malformed_xml("Status must be Enabled or Suspended")),
        None => {
            return Err(bad_request(
                "IllegalVersioningConfigurationException",
                "The Versioning element must be specified: Enabled or Suspended.",
            ));
        }
    };
    let name = address::bucket(&request.input.bucket)?;
    let space = api.store.set_versioning(who(&request)?, &name, versioning).await.map_err(translate)?;
    note_namespace(space.address.namespace.as_str());
    Ok(S3Response::new(PutBucketVersioningOutput {}))
}
