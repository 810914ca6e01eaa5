//! The table from s3s's operations to ours. What is not listed answers 501; the allow-list names it before.

use juststorage_core::application::store::Store;
#[allow(clippy::wildcard_imports)] // a table over nearly all of it
use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result};

use crate::location::Locations;
use crate::ops::{
    access, attributes, buckets, copy, cors, delete, lifecycle, listing, multipart, object_lock, objects,
    policy, tagging, unset, uploads, versioning,
};

/// What every operation works with.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) store: Store,
    pub(crate) region: String,
    pub(crate) locations: Locations,
}

macro_rules! operations {
    ($($name:ident: $input:ty => $output:ty, $function:path;)*) => {
        #[async_trait::async_trait]
        impl S3 for Api {
            $(
                async fn $name(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                    $function(self, request).await
                }
            )*
        }
    };
}

operations! {
    list_buckets: ListBucketsInput => ListBucketsOutput, buckets::list;
    create_bucket: CreateBucketInput => CreateBucketOutput, buckets::create;
    head_bucket: HeadBucketInput => HeadBucketOutput, buckets::head;
    delete_bucket: DeleteBucketInput => DeleteBucketOutput, buckets::delete;
    get_bucket_location: GetBucketLocationInput => GetBucketLocationOutput, buckets::location;
    get_bucket_versioning: GetBucketVersioningInput => GetBucketVersioningOutput, versioning::get;
    put_bucket_versioning: PutBucketVersioningInput => PutBucketVersioningOutput, versioning::put;
    get_bucket_acl: GetBucketAclInput => GetBucketAclOutput, access::bucket_acl;
    get_bucket_ownership_controls: GetBucketOwnershipControlsInput => GetBucketOwnershipControlsOutput,
        access::ownership;
    get_public_access_block: GetPublicAccessBlockInput => GetPublicAccessBlockOutput, access::public_access;

    put_bucket_acl: PutBucketAclInput => PutBucketAclOutput, access::put_bucket_acl;
    put_bucket_ownership_controls: PutBucketOwnershipControlsInput => PutBucketOwnershipControlsOutput,
        access::put_ownership;
    delete_bucket_ownership_controls: DeleteBucketOwnershipControlsInput =>
        DeleteBucketOwnershipControlsOutput, access::delete_ownership;
    put_public_access_block: PutPublicAccessBlockInput => PutPublicAccessBlockOutput,
        access::put_public_access;
    delete_public_access_block: DeletePublicAccessBlockInput => DeletePublicAccessBlockOutput,
        access::delete_public_access;

    get_bucket_cors: GetBucketCorsInput => GetBucketCorsOutput, cors::get;
    put_bucket_cors: PutBucketCorsInput => PutBucketCorsOutput, cors::put;
    delete_bucket_cors: DeleteBucketCorsInput => DeleteBucketCorsOutput, cors::delete;
    get_bucket_lifecycle_configuration: GetBucketLifecycleConfigurationInput =>
        GetBucketLifecycleConfigurationOutput, lifecycle::get;
    put_bucket_lifecycle_configuration: PutBucketLifecycleConfigurationInput =>
        PutBucketLifecycleConfigurationOutput, lifecycle::put;
    delete_bucket_lifecycle: DeleteBucketLifecycleInput => DeleteBucketLifecycleOutput, lifecycle::delete;
    get_bucket_tagging: GetBucketTaggingInput => GetBucketTaggingOutput, tagging::get_bucket;
    put_bucket_tagging: PutBucketTaggingInput => PutBucketTaggingOutput, tagging::put_bucket;
    delete_bucket_tagging: DeleteBucketTaggingInput => DeleteBucketTaggingOutput, tagging::delete_bucket;
    get_object_lock_configuration: GetObjectLockConfigurationInput => GetObjectLockConfigurationOutput,
        object_lock::get_config;
    put_object_lock_configuration: PutObjectLockConfigurationInput => PutObjectLockConfigurationOutput,
        object_lock::put_config;
    get_object_retention: GetObjectRetentionInput => GetObjectRetentionOutput, object_lock::get_retention;
    put_object_retention: PutObjectRetentionInput => PutObjectRetentionOutput, object_lock::put_retention;
    get_object_legal_hold: GetObjectLegalHoldInput => GetObjectLegalHoldOutput, object_lock::get_hold;
    put_object_legal_hold: PutObjectLegalHoldInput => PutObjectLegalHoldOutput, object_lock::put_hold;

    get_bucket_policy: GetBucketPolicyInput => GetBucketPolicyOutput, policy::get;
    delete_bucket_policy: DeleteBucketPolicyInput => DeleteBucketPolicyOutput, policy::delete;
    get_bucket_policy_status: GetBucketPolicyStatusInput => GetBucketPolicyStatusOutput, policy::status;
    get_bucket_encryption: GetBucketEncryptionInput => GetBucketEncryptionOutput, unset::encryption;
    get_bucket_website: GetBucketWebsiteInput => GetBucketWebsiteOutput, unset::website;
    get_bucket_replication: GetBucketReplicationInput => GetBucketReplicationOutput, unset::replication;
    get_bucket_logging: GetBucketLoggingInput => GetBucketLoggingOutput, unset::logging;
    get_bucket_notification_configuration: GetBucketNotificationConfigurationInput =>
        GetBucketNotificationConfigurationOutput, unset::notification;
    get_bucket_accelerate_configuration: GetBucketAccelerateConfigurationInput =>
        GetBucketAccelerateConfigurationOutput, unset::accelerate;
    get_bucket_request_payment: GetBucketRequestPaymentInput => GetBucketRequestPaymentOutput,
        unset::request_payment;

    list_objects: ListObjectsInput => ListObjectsOutput, listing::v1;
    list_objects_v2: ListObjectsV2Input => ListObjectsV2Output, listing::v2;
    list_object_versions: ListObjectVersionsInput => ListObjectVersionsOutput, listing::versions;

    put_object: PutObjectInput => PutObjectOutput, objects::put;
    get_object_attributes: GetObjectAttributesInput => GetObjectAttributesOutput, attributes::get;
    get_object_acl: GetObjectAclInput => GetObjectAclOutput, access::object_acl;
    put_object_acl: PutObjectAclInput => PutObjectAclOutput, access::put_object_acl;
    copy_object: CopyObjectInput => CopyObjectOutput, copy::object;
    delete_object: DeleteObjectInput => DeleteObjectOutput, delete::one;
    delete_objects: DeleteObjectsInput => DeleteObjectsOutput, delete::many;
    get_object_tagging: GetObjectTaggingInput => GetObjectTaggingOutput, tagging::get;
    put_object_tagging: PutObjectTaggingInput => PutObjectTaggingOutput, tagging::put;
    delete_object_tagging: DeleteObjectTaggingInput => DeleteObjectTaggingOutput, tagging::delete;

    create_multipart_upload: CreateMultipartUploadInput => CreateMultipartUploadOutput, multipart::create;
    upload_part: UploadPartInput => UploadPartOutput, multipart::part;
    upload_part_copy: UploadPartCopyInput => UploadPartCopyOutput, copy::part;
    complete_multipart_upload: CompleteMultipartUploadInput => CompleteMultipartUploadOutput,
        multipart::complete;
    abort_multipart_upload: AbortMultipartUploadInput => AbortMultipartUploadOutput, multipart::abort;
    list_parts: ListPartsInput => ListPartsOutput, uploads::parts;
    list_multipart_uploads: ListMultipartUploadsInput => ListMultipartUploadsOutput, uploads::list;
}
