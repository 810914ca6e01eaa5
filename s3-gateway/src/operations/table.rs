//! The rows: every operation that AWS's own model knows, offered or refused by name. `every_operation.py` of
//! `compat-tests` compares them with botocore.

use http::{Method, StatusCode};
use juststorage_core::domain::action::Action;

use super::BodyKind::{Bytes, Form, Json, Unread, Xml};
use super::Digest::{IfDeclared, OnlyMd5, Required};
use super::Level::{Bucket, Object, Service};
use super::{Hoists, NamedBucket, NotOffered, Operation, Raw, ReadBy, documents};

/// The rows of what is offered, and the enumeration of them: an operation has one row, and a row all its columns.
macro_rules! offered {
    ($($op:ident: $method:ident $level:ident [$($selector:literal),*] [$($param:literal),*] $body:expr,
        $status:ident [$($action:ident),*] $(, $fact:ident $value:expr)*;)*) => {
        /// An operation that is offered.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Op {
            $($op,)*
        }

        /// Every operation that is offered. Of those with one method and level, the one with the most selectors stands
        /// first.
        pub(crate) static OFFERED: &[Operation] = &[$(
            Operation::new(
                (Op::$op, stringify!($op)),
                Method::$method,
                $level,
                (&[$($selector),*], &[$($param),*]),
                $body,
                (StatusCode::$status, &[$(Action::$action),*]),
            )$(.$fact($value))*,
        )*];
    };
}

macro_rules! refused {
    ($($name:ident: $method:ident $level:ident [$($selector:literal),*];)*) => {
        /// Every operation that is refused by its name. What has the most selectors stands first.
        pub(crate) static REFUSED: &[NotOffered] = &[$(
            NotOffered {
                name: stringify!($name),
                method: Method::$method,
                level: $level,
                selectors: &[$($selector),*],
            },
        )*];
    };
}

/// The header that makes a copy of a put.
const COPY_SOURCE: &str = "x-amz-copy-source";
const OBJECT_LOCK: &[&str] =
    &["x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date", "x-amz-object-lock-legal-hold"];
/// S3 then does not ask whether the target may be sent to; here that was decided when it was declared.
const SKIP_VALIDATION: &[&str] = &["x-amz-skip-destination-validation"];
const BUCKET_LOCK: &[&str] = &["x-amz-bucket-object-lock-enabled"];
/// Conditions that S3 has on one operation.
const DELETE_CONDITIONS: &[&str] = &["x-amz-if-match-last-modified-time", "x-amz-if-match-size"];

/// Longest document of an operation that has no longer one of its own, in bytes. A policy of more than 20 KiB is
/// refused by its own limit, up to here.
const SMALL: u64 = 64 << 10;
/// A thousand keys of 1024 bytes, each byte escaped.
const KEYS: u64 = 8 << 20;
/// Ten thousand parts with their tags and checksums.
const PARTS: u64 = 4 << 20;
/// A thousand rules.
const RULES: u64 = 2 << 20;
/// A hundred rules.
const CORS_RULES: u64 = 256 << 10;
/// A hundred rules, with every event, and filters of 1024 bytes each.
const NOTIFICATIONS: u64 = 1 << 20;

/// An XML document whose declared digests are compared.
const fn xml(document: &'static documents::Document, bytes_max: u64) -> super::BodyKind {
    Xml { document, digest: IfDeclared, bytes_max }
}

// Columns: what selects it (method, level, query keys), further query keys, body, status, actions, and what else is
// particular.
offered! {
    ListBuckets: GET Service [] ["prefix", "max-buckets", "continuation-token", "bucket-region"] Unread, OK [],
        reader ReadBy::Raw(Raw::ListBuckets);

    // Buckets: read.
    GetBucketLocation: GET Bucket ["location"] [] Unread, OK [GetBucketLocation];
    GetBucketVersioning: GET Bucket ["versioning"] [] Unread, OK [GetBucketVersioning];
    ListMultipartUploads: GET Bucket ["uploads"]
        ["prefix", "delimiter", "encoding-type", "key-marker", "upload-id-marker", "max-uploads"]
        Unread, OK [ListBucketMultipartUploads];
    ListObjectVersions: GET Bucket ["versions"]
        ["prefix", "delimiter", "encoding-type", "key-marker", "version-id-marker", "max-keys"]
        Unread, OK [ListBucketVersions];
    ListObjectsV2: GET Bucket ["list-type"]
        ["prefix", "delimiter", "encoding-type", "continuation-token", "start-after", "fetch-owner", "max-keys"]
        Unread, OK [ListBucket];
    GetBucketAcl: GET Bucket ["acl"] [] Unread, OK [GetBucketAcl];
    GetBucketOwnershipControls: GET Bucket ["ownershipControls"] [] Unread, OK [GetBucketOwnershipControls];
    GetPublicAccessBlock: GET Bucket ["publicAccessBlock"] [] Unread, OK [GetBucketPublicAccessBlock];
    GetBucketPolicy: GET Bucket ["policy"] [] Unread, OK [GetBucketPolicy];
    GetBucketPolicyStatus: GET Bucket ["policyStatus"] [] Unread, OK [GetBucketPolicyStatus];
    GetBucketCors: GET Bucket ["cors"] [] Unread, OK [GetBucketCORS];
    GetBucketLifecycleConfiguration: GET Bucket ["lifecycle"] [] Unread, OK [GetLifecycleConfiguration];
    GetBucketTagging: GET Bucket ["tagging"] [] Unread, OK [GetBucketTagging];
    GetObjectLockConfiguration: GET Bucket ["object-lock"] [] Unread, OK [GetBucketObjectLockConfiguration];
    GetBucketNotificationConfiguration: GET Bucket ["notification"] [] Unread, OK [GetBucketNotification];
    // Configurations that cannot exist here: what S3 answers when none is set.
    GetBucketEncryption: GET Bucket ["encryption"] [] Unread, OK [GetEncryptionConfiguration];
    GetBucketWebsite: GET Bucket ["website"] [] Unread, OK [GetBucketWebsite];
    GetBucketReplication: GET Bucket ["replication"] [] Unread, OK [GetReplicationConfiguration];
    GetBucketLogging: GET Bucket ["logging"] [] Unread, OK [GetBucketLogging];
    GetBucketAccelerateConfiguration: GET Bucket ["accelerate"] [] Unread, OK [GetAccelerateConfiguration];
    GetBucketRequestPayment: GET Bucket ["requestPayment"] [] Unread, OK [GetBucketRequestPayment];
    ListObjects: GET Bucket [] ["prefix", "delimiter", "encoding-type", "marker", "max-keys"]
        Unread, OK [ListBucket];
    HeadBucket: HEAD Bucket [] [] Unread, OK [ListBucket];

    // Buckets: write.
    PutBucketVersioning: PUT Bucket ["versioning"] [] xml(&documents::VERSIONING, SMALL), OK [PutBucketVersioning];
    PutBucketAcl: PUT Bucket ["acl"] [] xml(&documents::ACL, SMALL), OK [PutBucketAcl];
    PutBucketCors: PUT Bucket ["cors"] [] xml(&documents::CORS, CORS_RULES), OK [PutBucketCORS];
    PutBucketLifecycleConfiguration: PUT Bucket ["lifecycle"] [] xml(&documents::LIFECYCLE, RULES),
        OK [PutLifecycleConfiguration];
    // S3 answers this one put with 204.
    PutBucketTagging: PUT Bucket ["tagging"] [] xml(&documents::TAGGING, SMALL), NO_CONTENT [PutBucketTagging];
    PutBucketPolicy: PUT Bucket ["policy"] [] Json { digest: IfDeclared, bytes_max: SMALL },
        NO_CONTENT [PutBucketPolicy], reader ReadBy::Raw(Raw::PutBucketPolicy);
    PutBucketNotificationConfiguration: PUT Bucket ["notification"] [] xml(&documents::NOTIFICATION, NOTIFICATIONS),
        OK [PutBucketNotification], headers SKIP_VALIDATION;
    PutBucketOwnershipControls: PUT Bucket ["ownershipControls"] [] xml(&documents::OWNERSHIP, SMALL),
        OK [PutBucketOwnershipControls];
    PutPublicAccessBlock: PUT Bucket ["publicAccessBlock"] [] xml(&documents::PUBLIC_ACCESS, SMALL),
        OK [PutBucketPublicAccessBlock];
    PutObjectLockConfiguration: PUT Bucket ["object-lock"] [] xml(&documents::OBJECT_LOCK, SMALL),
        OK [PutBucketObjectLockConfiguration];
    CreateBucket: PUT Bucket [] [] xml(&documents::CREATE_BUCKET, SMALL), OK [],
        headers BUCKET_LOCK, bucket NamedBucket::New;
    DeleteObjects: POST Bucket ["delete"] []
        Xml { document: &documents::DELETE, digest: Required, bytes_max: KEYS }, OK [DeleteObject];
    PostObject: POST Bucket [] [] Form, NO_CONTENT [PutObject];
    DeleteBucketCors: DELETE Bucket ["cors"] [] Unread, NO_CONTENT [PutBucketCORS];
    DeleteBucketLifecycle: DELETE Bucket ["lifecycle"] [] Unread, NO_CONTENT [PutLifecycleConfiguration];
    DeleteBucketTagging: DELETE Bucket ["tagging"] [] Unread, NO_CONTENT [PutBucketTagging];
    DeleteBucketPolicy: DELETE Bucket ["policy"] [] Unread, NO_CONTENT [DeleteBucketPolicy];
    DeleteBucketOwnershipControls: DELETE Bucket ["ownershipControls"] [] Unread,
        NO_CONTENT [PutBucketOwnershipControls];
    DeletePublicAccessBlock: DELETE Bucket ["publicAccessBlock"] [] Unread,
        NO_CONTENT [PutBucketPublicAccessBlock];
    DeleteBucket: DELETE Bucket [] [] Unread, NO_CONTENT [DeleteBucket];

    // Objects: read.
    ListParts: GET Object ["uploadId"] ["max-parts", "part-number-marker", "encoding-type"]
        Unread, OK [ListMultipartUploadParts];
    GetObjectTagging: GET Object ["tagging"] ["versionId"] Unread, OK [GetObjectTagging];
    GetObjectAcl: GET Object ["acl"] ["versionId"] Unread, OK [GetObjectAcl];
    GetObjectAttributes: GET Object ["attributes"] ["versionId"] Unread, OK [GetObjectAttributes, GetObject];
    GetObjectRetention: GET Object ["retention"] ["versionId"] Unread, OK [GetObjectRetention];
    GetObjectLegalHold: GET Object ["legal-hold"] ["versionId"] Unread, OK [GetObjectLegalHold];
    GetObject: GET Object []
        ["versionId", "partNumber", "response-cache-control", "response-content-disposition",
            "response-content-encoding", "response-content-language", "response-content-type", "response-expires"]
        Unread, OK [GetObject], hoists Hoists::Amz, reader ReadBy::Raw(Raw::GetObject);
    HeadObject: HEAD Object []
        ["versionId", "partNumber", "response-cache-control", "response-content-disposition",
            "response-content-encoding", "response-content-language", "response-content-type", "response-expires"]
        Unread, OK [GetObject], hoists Hoists::Amz, reader ReadBy::Raw(Raw::HeadObject);

    // Objects: write.
    UploadPartCopy: PUT Object ["uploadId", "partNumber"] [] Unread, OK [PutObject, GetObject],
        header COPY_SOURCE, hoists Hoists::All, reader ReadBy::Conditions;
    UploadPart: PUT Object ["uploadId", "partNumber"] [] Bytes, OK [PutObject], hoists Hoists::All;
    PutObjectTagging: PUT Object ["tagging"] ["versionId"] xml(&documents::TAGGING, SMALL), OK [PutObjectTagging];
    PutObjectAcl: PUT Object ["acl"] ["versionId"] xml(&documents::ACL, SMALL), OK [PutObjectAcl];
    PutObjectRetention: PUT Object ["retention"] ["versionId"] xml(&documents::RETENTION, SMALL),
        OK [PutObjectRetention];
    PutObjectLegalHold: PUT Object ["legal-hold"] ["versionId"] xml(&documents::LEGAL_HOLD, SMALL),
        OK [PutObjectLegalHold];
    CopyObject: PUT Object [] [] Unread, OK [PutObject, GetObject],
        header COPY_SOURCE, headers OBJECT_LOCK, hoists Hoists::All, reader ReadBy::Conditions;
    PutObject: PUT Object [] [] Bytes, OK [PutObject], headers OBJECT_LOCK, hoists Hoists::All;
    CreateMultipartUpload: POST Object ["uploads"] [] Unread, OK [PutObject],
        headers OBJECT_LOCK, hoists Hoists::All;
    // The checksum headers of this operation are the object's.
    CompleteMultipartUpload: POST Object ["uploadId"] []
        Xml { document: &documents::COMPLETE, digest: OnlyMd5, bytes_max: PARTS }, OK [PutObject];
    AbortMultipartUpload: DELETE Object ["uploadId"] [] Unread, NO_CONTENT [AbortMultipartUpload];
    DeleteObjectTagging: DELETE Object ["tagging"] ["versionId"] Unread, NO_CONTENT [DeleteObjectTagging];
    DeleteObject: DELETE Object [] ["versionId"] Unread, NO_CONTENT [DeleteObject],
        headers DELETE_CONDITIONS, reader ReadBy::Conditions;
}

refused! {
    ListDirectoryBuckets: GET Service ["max-directory-buckets"];
    GetBucketInventoryConfiguration: GET Bucket ["inventory", "id"];
    ListBucketInventoryConfigurations: GET Bucket ["inventory"];
    GetBucketAnalyticsConfiguration: GET Bucket ["analytics", "id"];
    ListBucketAnalyticsConfigurations: GET Bucket ["analytics"];
    GetBucketMetricsConfiguration: GET Bucket ["metrics", "id"];
    ListBucketMetricsConfigurations: GET Bucket ["metrics"];
    GetBucketIntelligentTieringConfiguration: GET Bucket ["intelligent-tiering", "id"];
    ListBucketIntelligentTieringConfigurations: GET Bucket ["intelligent-tiering"];
    GetBucketMetadataConfiguration: GET Bucket ["metadataConfiguration"];
    GetBucketMetadataTableConfiguration: GET Bucket ["metadataTable"];
    GetBucketAbac: GET Bucket ["abac"];
    CreateSession: GET Bucket ["session"];
    PutBucketWebsite: PUT Bucket ["website"];
    PutBucketLogging: PUT Bucket ["logging"];
    PutBucketReplication: PUT Bucket ["replication"];
    PutBucketEncryption: PUT Bucket ["encryption"];
    PutBucketAccelerateConfiguration: PUT Bucket ["accelerate"];
    PutBucketRequestPayment: PUT Bucket ["requestPayment"];
    PutBucketInventoryConfiguration: PUT Bucket ["inventory"];
    PutBucketAnalyticsConfiguration: PUT Bucket ["analytics"];
    PutBucketMetricsConfiguration: PUT Bucket ["metrics"];
    PutBucketIntelligentTieringConfiguration: PUT Bucket ["intelligent-tiering"];
    PutBucketAbac: PUT Bucket ["abac"];
    UpdateBucketMetadataAnnotationTableConfiguration: PUT Bucket ["metadataAnnotationTable"];
    UpdateBucketMetadataInventoryTableConfiguration: PUT Bucket ["metadataInventoryTable"];
    UpdateBucketMetadataJournalTableConfiguration: PUT Bucket ["metadataJournalTable"];
    CreateBucketMetadataConfiguration: POST Bucket ["metadataConfiguration"];
    CreateBucketMetadataTableConfiguration: POST Bucket ["metadataTable"];
    DeleteBucketWebsite: DELETE Bucket ["website"];
    DeleteBucketReplication: DELETE Bucket ["replication"];
    DeleteBucketEncryption: DELETE Bucket ["encryption"];
    DeleteBucketInventoryConfiguration: DELETE Bucket ["inventory"];
    DeleteBucketAnalyticsConfiguration: DELETE Bucket ["analytics"];
    DeleteBucketMetricsConfiguration: DELETE Bucket ["metrics"];
    DeleteBucketIntelligentTieringConfiguration: DELETE Bucket ["intelligent-tiering"];
    DeleteBucketMetadataConfiguration: DELETE Bucket ["metadataConfiguration"];
    DeleteBucketMetadataTableConfiguration: DELETE Bucket ["metadataTable"];
    GetObjectTorrent: GET Object ["torrent"];
    GetObjectAnnotation: GET Object ["annotation", "annotationName"];
    ListObjectAnnotations: GET Object ["annotation"];
    RenameObject: PUT Object ["renameObject"];
    PutObjectAnnotation: PUT Object ["annotation"];
    UpdateObjectEncryption: PUT Object ["encryption"];
    RestoreObject: POST Object ["restore"];
    SelectObjectContent: POST Object ["select"];
    DeleteObjectAnnotation: DELETE Object ["annotation"];
}
