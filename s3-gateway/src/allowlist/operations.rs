//! The operations of the S3 API, offered or not: all that AWS's own model knows. `every_operation.py` of
//! `compat-tests` compares.

use http::Method;

use super::Level::{self, Bucket, Object, Service};

/// An operation of the S3 API: how a request selects it, and which further query keys it knows.
#[derive(Debug)]
pub(crate) struct Operation {
    /// S3's name for it.
    pub(crate) name: &'static str,
    pub(super) method: Method,
    pub(super) level: Level,
    /// Keys that must all be there.
    pub(super) selectors: &'static [&'static str],
    /// Keys that may be there.
    pub(super) params: &'static [&'static str],
    /// Whether the gateway carries it out; else it answers 501 with the name.
    pub(super) offered: bool,
}

const fn offered(
    name: &'static str,
    method: Method,
    level: Level,
    selectors: &'static [&'static str],
    params: &'static [&'static str],
) -> Operation {
    Operation { name, method, level, selectors, params, offered: true }
}

const fn refused(
    name: &'static str,
    method: Method,
    level: Level,
    selectors: &'static [&'static str],
) -> Operation {
    Operation { name, method, level, selectors, params: &[], offered: false }
}

const RESPONSE_PARAMS: &[&str] = &[
    "versionId",
    "partNumber",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
];
const UPLOADS_PARAMS: &[&str] =
    &["prefix", "delimiter", "encoding-type", "key-marker", "upload-id-marker", "max-uploads"];
const VERSIONS_PARAMS: &[&str] =
    &["prefix", "delimiter", "encoding-type", "key-marker", "version-id-marker", "max-keys"];
const V1_PARAMS: &[&str] = &["prefix", "delimiter", "encoding-type", "marker", "max-keys"];
const V2_PARAMS: &[&str] =
    &["prefix", "delimiter", "encoding-type", "continuation-token", "start-after", "fetch-owner", "max-keys"];
const LIST_BUCKETS_PARAMS: &[&str] = &["prefix", "max-buckets", "continuation-token", "bucket-region"];

/// Every operation that is told apart, most particular first for each method and level.
pub(super) static OPERATIONS: &[Operation] = &[
    refused("ListDirectoryBuckets", Method::GET, Service, &["max-directory-buckets"]),
    offered("ListBuckets", Method::GET, Service, &[], LIST_BUCKETS_PARAMS),
    // Buckets: read.
    offered("GetBucketLocation", Method::GET, Bucket, &["location"], &[]),
    offered("GetBucketVersioning", Method::GET, Bucket, &["versioning"], &[]),
    offered("ListMultipartUploads", Method::GET, Bucket, &["uploads"], UPLOADS_PARAMS),
    offered("ListObjectVersions", Method::GET, Bucket, &["versions"], VERSIONS_PARAMS),
    offered("ListObjectsV2", Method::GET, Bucket, &["list-type"], V2_PARAMS),
    offered("GetBucketAcl", Method::GET, Bucket, &["acl"], &[]),
    offered("GetBucketOwnershipControls", Method::GET, Bucket, &["ownershipControls"], &[]),
    offered("GetPublicAccessBlock", Method::GET, Bucket, &["publicAccessBlock"], &[]),
    offered("GetBucketPolicy", Method::GET, Bucket, &["policy"], &[]),
    offered("GetBucketPolicyStatus", Method::GET, Bucket, &["policyStatus"], &[]),
    // Configurations that cannot exist here: what S3 answers when none is set.
    offered("GetBucketEncryption", Method::GET, Bucket, &["encryption"], &[]),
    offered("GetBucketWebsite", Method::GET, Bucket, &["website"], &[]),
    offered("GetBucketReplication", Method::GET, Bucket, &["replication"], &[]),
    offered("GetBucketLogging", Method::GET, Bucket, &["logging"], &[]),
    offered("GetBucketNotificationConfiguration", Method::GET, Bucket, &["notification"], &[]),
    offered("GetBucketAccelerateConfiguration", Method::GET, Bucket, &["accelerate"], &[]),
    offered("GetBucketRequestPayment", Method::GET, Bucket, &["requestPayment"], &[]),
    offered("GetBucketCors", Method::GET, Bucket, &["cors"], &[]),
    offered("GetBucketLifecycleConfiguration", Method::GET, Bucket, &["lifecycle"], &[]),
    offered("GetBucketTagging", Method::GET, Bucket, &["tagging"], &[]),
    offered("GetObjectLockConfiguration", Method::GET, Bucket, &["object-lock"], &[]),
    refused("GetBucketInventoryConfiguration", Method::GET, Bucket, &["inventory", "id"]),
    refused("ListBucketInventoryConfigurations", Method::GET, Bucket, &["inventory"]),
    refused("GetBucketAnalyticsConfiguration", Method::GET, Bucket, &["analytics", "id"]),
    refused("ListBucketAnalyticsConfigurations", Method::GET, Bucket, &["analytics"]),
    refused("GetBucketMetricsConfiguration", Method::GET, Bucket, &["metrics", "id"]),
    refused("ListBucketMetricsConfigurations", Method::GET, Bucket, &["metrics"]),
    refused("GetBucketIntelligentTieringConfiguration", Method::GET, Bucket, &["intelligent-tiering", "id"]),
    refused("ListBucketIntelligentTieringConfigurations", Method::GET, Bucket, &["intelligent-tiering"]),
    refused("GetBucketMetadataConfiguration", Method::GET, Bucket, &["metadataConfiguration"]),
    refused("GetBucketMetadataTableConfiguration", Method::GET, Bucket, &["metadataTable"]),
    refused("GetBucketAbac", Method::GET, Bucket, &["abac"]),
    refused("CreateSession", Method::GET, Bucket, &["session"]),
    offered("ListObjects", Method::GET, Bucket, &[], V1_PARAMS),
    offered("HeadBucket", Method::HEAD, Bucket, &[], &[]),
    // Buckets: write.
    offered("PutBucketVersioning", Method::PUT, Bucket, &["versioning"], &[]),
    offered("PutBucketAcl", Method::PUT, Bucket, &["acl"], &[]),
    offered("PutBucketCors", Method::PUT, Bucket, &["cors"], &[]),
    offered("PutBucketLifecycleConfiguration", Method::PUT, Bucket, &["lifecycle"], &[]),
    offered("PutBucketTagging", Method::PUT, Bucket, &["tagging"], &[]),
    offered("PutBucketPolicy", Method::PUT, Bucket, &["policy"], &[]),
    refused("PutBucketWebsite", Method::PUT, Bucket, &["website"]),
    refused("PutBucketLogging", Method::PUT, Bucket, &["logging"]),
    refused("PutBucketNotificationConfiguration", Method::PUT, Bucket, &["notification"]),
    refused("PutBucketReplication", Method::PUT, Bucket, &["replication"]),
    refused("PutBucketEncryption", Method::PUT, Bucket, &["encryption"]),
    refused("PutBucketAccelerateConfiguration", Method::PUT, Bucket, &["accelerate"]),
    refused("PutBucketRequestPayment", Method::PUT, Bucket, &["requestPayment"]),
    refused("PutBucketInventoryConfiguration", Method::PUT, Bucket, &["inventory"]),
    refused("PutBucketAnalyticsConfiguration", Method::PUT, Bucket, &["analytics"]),
    refused("PutBucketMetricsConfiguration", Method::PUT, Bucket, &["metrics"]),
    refused("PutBucketIntelligentTieringConfiguration", Method::PUT, Bucket, &["intelligent-tiering"]),
    offered("PutBucketOwnershipControls", Method::PUT, Bucket, &["ownershipControls"], &[]),
    offered("PutPublicAccessBlock", Method::PUT, Bucket, &["publicAccessBlock"], &[]),
    offered("PutObjectLockConfiguration", Method::PUT, Bucket, &["object-lock"], &[]),
    refused("PutBucketAbac", Method::PUT, Bucket, &["abac"]),
    refused(
        "UpdateBucketMetadataAnnotationTableConfiguration",
        Method::PUT,
        Bucket,
        &["metadataAnnotationTable"],
    ),
    refused(
        "UpdateBucketMetadataInventoryTableConfiguration",
        Method::PUT,
        Bucket,
        &["metadataInventoryTable"],
    ),
    refused("UpdateBucketMetadataJournalTableConfiguration", Method::PUT, Bucket, &["metadataJournalTable"]),
    offered("CreateBucket", Method::PUT, Bucket, &[], &[]),
    offered("DeleteObjects", Method::POST, Bucket, &["delete"], &[]),
    refused("CreateBucketMetadataConfiguration", Method::POST, Bucket, &["metadataConfiguration"]),
    refused("CreateBucketMetadataTableConfiguration", Method::POST, Bucket, &["metadataTable"]),
    offered("PostObject", Method::POST, Bucket, &[], &[]),
    offered("DeleteBucketCors", Method::DELETE, Bucket, &["cors"], &[]),
    offered("DeleteBucketLifecycle", Method::DELETE, Bucket, &["lifecycle"], &[]),
    offered("DeleteBucketTagging", Method::DELETE, Bucket, &["tagging"], &[]),
    offered("DeleteBucketPolicy", Method::DELETE, Bucket, &["policy"], &[]),
    refused("DeleteBucketWebsite", Method::DELETE, Bucket, &["website"]),
    refused("DeleteBucketReplication", Method::DELETE, Bucket, &["replication"]),
    refused("DeleteBucketEncryption", Method::DELETE, Bucket, &["encryption"]),
    offered("DeleteBucketOwnershipControls", Method::DELETE, Bucket, &["ownershipControls"], &[]),
    offered("DeletePublicAccessBlock", Method::DELETE, Bucket, &["publicAccessBlock"], &[]),
    refused("DeleteBucketInventoryConfiguration", Method::DELETE, Bucket, &["inventory"]),
    refused("DeleteBucketAnalyticsConfiguration", Method::DELETE, Bucket, &["analytics"]),
    refused("DeleteBucketMetricsConfiguration", Method::DELETE, Bucket, &["metrics"]),
    refused("DeleteBucketIntelligentTieringConfiguration", Method::DELETE, Bucket, &["intelligent-tiering"]),
    refused("DeleteBucketMetadataConfiguration", Method::DELETE, Bucket, &["metadataConfiguration"]),
    refused("DeleteBucketMetadataTableConfiguration", Method::DELETE, Bucket, &["metadataTable"]),
    offered("DeleteBucket", Method::DELETE, Bucket, &[], &[]),
    // Objects: read.
    offered(
        "ListParts",
        Method::GET,
        Object,
        &["uploadId"],
        &["max-parts", "part-number-marker", "encoding-type"],
    ),
    offered("GetObjectTagging", Method::GET, Object, &["tagging"], &["versionId"]),
    offered("GetObjectAcl", Method::GET, Object, &["acl"], &["versionId"]),
    offered("GetObjectAttributes", Method::GET, Object, &["attributes"], &["versionId"]),
    offered("GetObjectRetention", Method::GET, Object, &["retention"], &["versionId"]),
    offered("GetObjectLegalHold", Method::GET, Object, &["legal-hold"], &["versionId"]),
    refused("GetObjectTorrent", Method::GET, Object, &["torrent"]),
    refused("GetObjectAnnotation", Method::GET, Object, &["annotation", "annotationName"]),
    refused("ListObjectAnnotations", Method::GET, Object, &["annotation"]),
    offered("GetObject", Method::GET, Object, &[], RESPONSE_PARAMS),
    offered("HeadObject", Method::HEAD, Object, &[], RESPONSE_PARAMS),
    // Objects: write.
    offered("UploadPart", Method::PUT, Object, &["uploadId", "partNumber"], &[]),
    offered("PutObjectTagging", Method::PUT, Object, &["tagging"], &["versionId"]),
    offered("PutObjectAcl", Method::PUT, Object, &["acl"], &["versionId"]),
    offered("PutObjectRetention", Method::PUT, Object, &["retention"], &["versionId"]),
    offered("PutObjectLegalHold", Method::PUT, Object, &["legal-hold"], &["versionId"]),
    refused("RenameObject", Method::PUT, Object, &["renameObject"]),
    refused("PutObjectAnnotation", Method::PUT, Object, &["annotation"]),
    refused("UpdateObjectEncryption", Method::PUT, Object, &["encryption"]),
    offered("PutObject", Method::PUT, Object, &[], &[]),
    offered("CreateMultipartUpload", Method::POST, Object, &["uploads"], &[]),
    offered("CompleteMultipartUpload", Method::POST, Object, &["uploadId"], &[]),
    refused("RestoreObject", Method::POST, Object, &["restore"]),
    refused("SelectObjectContent", Method::POST, Object, &["select"]),
    offered("AbortMultipartUpload", Method::DELETE, Object, &["uploadId"], &[]),
    offered("DeleteObjectTagging", Method::DELETE, Object, &["tagging"], &["versionId"]),
    refused("DeleteObjectAnnotation", Method::DELETE, Object, &["annotation"]),
    offered("DeleteObject", Method::DELETE, Object, &[], &["versionId"]),
];
