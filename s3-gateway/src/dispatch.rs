//! The functions of the operations that s3s reads.

#[allow(clippy::wildcard_imports)] // a table over nearly all of it
use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result};

use crate::api::Api;
use crate::operations::Op;
use crate::ops::settings::{access, cors, lifecycle, notification, policy, unset, versioning};
use crate::ops::{
    attributes, buckets, copy, delete, listing, multipart, object_lock, objects, tagging, uploads,
};

macro_rules! operations {
    ($($op:ident $name:ident: $input:ty => $output:ty, $function:path;)*) => {
        #[async_trait::async_trait]
        impl S3 for Api {
            $(
                async fn $name(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                    $function(self, request).await
                }
            )*
        }

        /// Checks at compile time that each offered operation has a function: one of this table, or one that
        /// [`crate::route`] or [`crate::post`] calls.
        const _: fn(Op) = |op| match op {
            $(Op::$op)|* => {}
            Op::GetObject | Op::HeadObject | Op::PutBucketPolicy | Op::PostObject => {}
        };
    };
}

operations! {
    ListBuckets list_buckets: ListBucketsInput => ListBucketsOutput, buckets::list;
    CreateBucket create_bucket: CreateBucketInput => CreateBucketOutput, buckets::create;
    HeadBucket head_bucket: HeadBucketInput => HeadBucketOutput, buckets::head;
    DeleteBucket delete_bucket: DeleteBucketInput => DeleteBucketOutput, buckets::delete;
    GetBucketLocation get_bucket_location: GetBucketLocationInput => GetBucketLocationOutput, buckets::location;
    GetBucketVersioning get_bucket_versioning: GetBucketVersioningInput => GetBucketVersioningOutput, versioning::get;
    PutBucketVersioning put_bucket_versioning: PutBucketVersioningInput => PutBucketVersioningOutput, versioning::put;
    GetBucketAcl get_bucket_acl: GetBucketAclInput => GetBucketAclOutput, access::bucket_acl;
    GetBucketOwnershipControls get_bucket_ownership_controls: GetBucketOwnershipControlsInput => GetBucketOwnershipControlsOutput,
        access::ownership;
    GetPublicAccessBlock get_public_access_block: GetPublicAccessBlockInput => GetPublicAccessBlockOutput, access::public_access;

    PutBucketAcl put_bucket_acl: PutBucketAclInput => PutBucketAclOutput, access::put_bucket_acl;
    PutBucketOwnershipControls put_bucket_ownership_controls: PutBucketOwnershipControlsInput => PutBucketOwnershipControlsOutput,
        access::put_ownership;
    DeleteBucketOwnershipControls delete_bucket_ownership_controls: DeleteBucketOwnershipControlsInput =>
        DeleteBucketOwnershipControlsOutput, access::delete_ownership;
    PutPublicAccessBlock put_public_access_block: PutPublicAccessBlockInput => PutPublicAccessBlockOutput,
        access::put_public_access;
    DeletePublicAccessBlock delete_public_access_block: DeletePublicAccessBlockInput => DeletePublicAccessBlockOutput,
        access::delete_public_access;

    GetBucketCors get_bucket_cors: GetBucketCorsInput => GetBucketCorsOutput, cors::get;
    PutBucketCors put_bucket_cors: PutBucketCorsInput => PutBucketCorsOutput, cors::put;
    DeleteBucketCors delete_bucket_cors: DeleteBucketCorsInput => DeleteBucketCorsOutput, cors::delete;
    GetBucketLifecycleConfiguration get_bucket_lifecycle_configuration: GetBucketLifecycleConfigurationInput =>
        GetBucketLifecycleConfigurationOutput, lifecycle::get;
    PutBucketLifecycleConfiguration put_bucket_lifecycle_configuration: PutBucketLifecycleConfigurationInput =>
        PutBucketLifecycleConfigurationOutput, lifecycle::put;
    DeleteBucketLifecycle delete_bucket_lifecycle: DeleteBucketLifecycleInput => DeleteBucketLifecycleOutput, lifecycle::delete;
    GetBucketTagging get_bucket_tagging: GetBucketTaggingInput => GetBucketTaggingOutput, tagging::get_bucket;
    PutBucketTagging put_bucket_tagging: PutBucketTaggingInput => PutBucketTaggingOutput, tagging::put_bucket;
    DeleteBucketTagging delete_bucket_tagging: DeleteBucketTaggingInput => DeleteBucketTaggingOutput, tagging::delete_bucket;
    GetObjectLockConfiguration get_object_lock_configuration: GetObjectLockConfigurationInput => GetObjectLockConfigurationOutput,
        object_lock::get_config;
    PutObjectLockConfiguration put_object_lock_configuration: PutObjectLockConfigurationInput => PutObjectLockConfigurationOutput,
        object_lock::put_config;
    GetObjectRetention get_object_retention: GetObjectRetentionInput => GetObjectRetentionOutput, object_lock::get_retention;
    PutObjectRetention put_object_retention: PutObjectRetentionInput => PutObjectRetentionOutput, object_lock::put_retention;
    GetObjectLegalHold get_object_legal_hold: GetObjectLegalHoldInput => GetObjectLegalHoldOutput, object_lock::get_hold;
    PutObjectLegalHold put_object_legal_hold: PutObjectLegalHoldInput => PutObjectLegalHoldOutput, object_lock::put_hold;

    GetBucketPolicy get_bucket_policy: GetBucketPolicyInput => GetBucketPolicyOutput, policy::get;
    DeleteBucketPolicy delete_bucket_policy: DeleteBucketPolicyInput => DeleteBucketPolicyOutput, policy::delete;
    GetBucketPolicyStatus get_bucket_policy_status: GetBucketPolicyStatusInput => GetBucketPolicyStatusOutput, policy::status;
    GetBucketEncryption get_bucket_encryption: GetBucketEncryptionInput => GetBucketEncryptionOutput, unset::encryption;
    GetBucketWebsite get_bucket_website: GetBucketWebsiteInput => GetBucketWebsiteOutput, unset::website;
    GetBucketReplication get_bucket_replication: GetBucketReplicationInput => GetBucketReplicationOutput, unset::replication;
    GetBucketLogging get_bucket_logging: GetBucketLoggingInput => GetBucketLoggingOutput, unset::logging;
    GetBucketNotificationConfiguration get_bucket_notification_configuration: GetBucketNotificationConfigurationInput =>
        GetBucketNotificationConfigurationOutput, notification::get;
    PutBucketNotificationConfiguration put_bucket_notification_configuration: PutBucketNotificationConfigurationInput =>
        PutBucketNotificationConfigurationOutput, notification::put;
    GetBucketAccelerateConfiguration get_bucket_accelerate_configuration: GetBucketAccelerateConfigurationInput =>
        GetBucketAccelerateConfigurationOutput, unset::accelerate;
    GetBucketRequestPayment get_bucket_request_payment: GetBucketRequestPaymentInput => GetBucketRequestPaymentOutput,
        unset::request_payment;

    ListObjects list_objects: ListObjectsInput => ListObjectsOutput, listing::v1;
    ListObjectsV2 list_objects_v2: ListObjectsV2Input => ListObjectsV2Output, listing::v2;
    ListObjectVersions list_object_versions: ListObjectVersionsInput => ListObjectVersionsOutput, listing::versions;

    PutObject put_object: PutObjectInput => PutObjectOutput, objects::put;
    GetObjectAttributes get_object_attributes: GetObjectAttributesInput => GetObjectAttributesOutput, attributes::get;
    GetObjectAcl get_object_acl: GetObjectAclInput => GetObjectAclOutput, access::object_acl;
    PutObjectAcl put_object_acl: PutObjectAclInput => PutObjectAclOutput, access::put_object_acl;
    CopyObject copy_object: CopyObjectInput => CopyObjectOutput, copy::object;
    DeleteObject delete_object: DeleteObjectInput => DeleteObjectOutput, delete::one;
    DeleteObjects delete_objects: DeleteObjectsInput => DeleteObjectsOutput, delete::many;
    GetObjectTagging get_object_tagging: GetObjectTaggingInput => GetObjectTaggingOutput, tagging::get;
    PutObjectTagging put_object_tagging: PutObjectTaggingInput => PutObjectTaggingOutput, tagging::put;
    DeleteObjectTagging delete_object_tagging: DeleteObjectTaggingInput => DeleteObjectTaggingOutput, tagging::delete;

    CreateMultipartUpload create_multipart_upload: CreateMultipartUploadInput => CreateMultipartUploadOutput, multipart::create;
    UploadPart upload_part: UploadPartInput => UploadPartOutput, multipart::part;
    UploadPartCopy upload_part_copy: UploadPartCopyInput => UploadPartCopyOutput, copy::part;
    CompleteMultipartUpload complete_multipart_upload: CompleteMultipartUploadInput => CompleteMultipartUploadOutput,
        multipart::complete;
    AbortMultipartUpload abort_multipart_upload: AbortMultipartUploadInput => AbortMultipartUploadOutput, multipart::abort;
    ListParts list_parts: ListPartsInput => ListPartsOutput, uploads::parts;
    ListMultipartUploads list_multipart_uploads: ListMultipartUploadsInput => ListMultipartUploadsOutput, uploads::list;
}
