//! Reads of configurations that cannot be set here. They answer what S3 answers when none is set, so that tools that
//! read every configuration (Terraform, s3cmd) work.

use http::StatusCode;
#[allow(clippy::wildcard_imports)] // a table over nearly all of it
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result};

use crate::api::Api;
use crate::errors::fail;
use crate::ops::buckets::space_of;

/// An operation that answers 404 with a code of its own.
macro_rules! absent {
    ($($name:ident: $input:ty => $output:ty, $code:literal, $message:literal;)*) => {$(
        pub(crate) async fn $name(api: &Api, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
            space_of(api, &request, &request.input.bucket).await?;
            Err(fail(StatusCode::NOT_FOUND, $code, $message))
        }
    )*};
}

absent! {
    encryption: GetBucketEncryptionInput => GetBucketEncryptionOutput,
        "ServerSideEncryptionConfigurationNotFoundError",
        "The server side encryption configuration was not found";
    website: GetBucketWebsiteInput => GetBucketWebsiteOutput,
        "NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration";
    replication: GetBucketReplicationInput => GetBucketReplicationOutput,
        "ReplicationConfigurationNotFoundError", "The replication configuration was not found";
}

/// An operation that answers an empty configuration.
macro_rules! empty {
    ($($name:ident: $input:ty => $output:expr, $type:ty;)*) => {$(
        pub(crate) async fn $name(api: &Api, request: S3Request<$input>) -> S3Result<S3Response<$type>> {
            space_of(api, &request, &request.input.bucket).await?;
            Ok(S3Response::new($output))
        }
    )*};
}

empty! {
    logging: GetBucketLoggingInput => GetBucketLoggingOutput::default(), GetBucketLoggingOutput;
    accelerate: GetBucketAccelerateConfigurationInput =>
        GetBucketAccelerateConfigurationOutput::default(), GetBucketAccelerateConfigurationOutput;
    request_payment: GetBucketRequestPaymentInput =>
        GetBucketRequestPaymentOutput { payer: Some(Payer::from_static(Payer::BUCKET_OWNER)) },
        GetBucketRequestPaymentOutput;
}
