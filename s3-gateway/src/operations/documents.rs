//! S3's request documents: their elements and the content of each. An element that is not in the table is refused by
//! name, because it could change the outcome.

/// The content of an element.
#[derive(Debug)]
pub(crate) enum Kind {
    /// Text with its white space: keys, prefixes, tags.
    Text,
    /// Text without surrounding white space: names, entity tags, dates.
    Word,
    /// An integer.
    Number,
    /// `true` or `false`, in any case; `1` and `0` as XML Schema has them.
    Boolean,
    /// Child elements.
    Node(&'static [Element]),
    /// Ignored, as on S3.
    Ignored,
    /// S3 has it and the gateway does not: 501 with this name.
    Refused(&'static str),
}

/// An element of a document.
#[derive(Debug)]
pub(crate) struct Element {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Whether it may occur more than once.
    pub(crate) many: bool,
}

/// A request document.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) root: Element,
    /// An alternative name of its root.
    pub(crate) alias: Option<&'static str>,
    /// Whether it may contain characters that XML 1.0 forbids: keys may, and clients have no other way to write them.
    pub(crate) any_character: bool,
}

impl Element {
    const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, many: false }
    }

    const fn many(self) -> Self {
        Self { many: true, ..self }
    }
}

const fn text(name: &'static str) -> Element {
    Element::new(name, Kind::Text)
}

const fn word(name: &'static str) -> Element {
    Element::new(name, Kind::Word)
}

const fn number(name: &'static str) -> Element {
    Element::new(name, Kind::Number)
}

const fn boolean(name: &'static str) -> Element {
    Element::new(name, Kind::Boolean)
}

const fn node(name: &'static str, content: &'static [Element]) -> Element {
    Element::new(name, Kind::Node(content))
}

const fn refused(name: &'static str, what: &'static str) -> Element {
    Element::new(name, Kind::Refused(what))
}

const fn document(root: &'static str, content: &'static [Element]) -> Document {
    Document { root: node(root, content), alias: None, any_character: false }
}

const TAG: &[Element] = &[text("Key"), text("Value")];
const TAG_SET: &[Element] = &[node("Tag", TAG).many()];

/// Tags of an object or a bucket.
pub(crate) static TAGGING: Document = document("Tagging", &[node("TagSet", TAG_SET)]);

const DIRECTORY: &str = "A directory bucket";

/// Of `CreateBucket`.
pub(crate) static CREATE_BUCKET: Document = document(
    "CreateBucketConfiguration",
    &[
        word("LocationConstraint"),
        refused("Location", DIRECTORY),
        refused("Bucket", DIRECTORY),
        node("Tags", TAG_SET),
    ],
);

const OWNER: &[Element] = &[word("ID"), Element::new("DisplayName", Kind::Ignored)];
const GRANTEE: &[Element] = &[
    word("ID"),
    Element::new("DisplayName", Kind::Ignored),
    word("EmailAddress"),
    word("URI"),
    // S3's answers have the attribute only; some clients send the element as well.
    Element::new("Type", Kind::Ignored),
];
const GRANT: &[Element] = &[node("Grantee", GRANTEE), word("Permission")];

/// The ACL of an object or a bucket.
pub(crate) static ACL: Document = document(
    "AccessControlPolicy",
    &[node("Owner", OWNER), node("AccessControlList", &[node("Grant", GRANT).many()])],
);

const MINIO: &str = "Versioning that leaves out some keys (an extension of MinIO)";

/// Of `PutBucketVersioning`.
pub(crate) static VERSIONING: Document = document(
    "VersioningConfiguration",
    &[
        word("Status"),
        word("MfaDelete"),
        refused("ExcludedPrefixes", MINIO),
        refused("ExcludeFolders", MINIO),
    ],
);

const CORS_RULE: &[Element] = &[
    text("ID"),
    word("AllowedOrigin").many(),
    word("AllowedMethod").many(),
    word("AllowedHeader").many(),
    word("ExposeHeader").many(),
    number("MaxAgeSeconds"),
];

/// Of `PutBucketCors`.
pub(crate) static CORS: Document = document("CORSConfiguration", &[node("CORSRule", CORS_RULE).many()]);

const FILTER_AND: &[Element] =
    &[text("Prefix"), node("Tag", TAG).many(), number("ObjectSizeGreaterThan"), number("ObjectSizeLessThan")];
const FILTER: &[Element] = &[
    text("Prefix"),
    node("Tag", TAG),
    number("ObjectSizeGreaterThan"),
    number("ObjectSizeLessThan"),
    node("And", FILTER_AND),
];
const EXPIRATION: &[Element] = &[
    word("Date"),
    number("Days"),
    boolean("ExpiredObjectDeleteMarker"),
    refused("ExpiredObjectAllVersions", "Expiration of all versions (an extension of MinIO)"),
];
const TRANSITION: &[Element] = &[word("Date"), number("Days"), word("StorageClass")];
const NONCURRENT_TRANSITION: &[Element] =
    &[number("NoncurrentDays"), number("NewerNoncurrentVersions"), word("StorageClass")];
const LIFECYCLE_RULE: &[Element] = &[
    text("ID"),
    word("Status"),
    text("Prefix"),
    node("Filter", FILTER),
    node("Expiration", EXPIRATION),
    node("Transition", TRANSITION).many(),
    node("NoncurrentVersionExpiration", &[number("NoncurrentDays"), number("NewerNoncurrentVersions")]),
    node("NoncurrentVersionTransition", NONCURRENT_TRANSITION).many(),
    node("AbortIncompleteMultipartUpload", &[number("DaysAfterInitiation")]),
    refused("DelMarkerExpiration", "Expiration of delete markers by age (an extension of MinIO)"),
];

/// Of `PutBucketLifecycleConfiguration`.
pub(crate) static LIFECYCLE: Document = Document {
    alias: Some("BucketLifecycleConfiguration"),
    ..document(
        "LifecycleConfiguration",
        &[
            node("Rule", LIFECYCLE_RULE).many(),
            // MinIO's own bookkeeping, in documents that were read from it.
            Element::new("ExpiryUpdatedAt", Kind::Ignored),
        ],
    )
};

/// Of `PutPublicAccessBlock`.
pub(crate) static PUBLIC_ACCESS: Document = document(
    "PublicAccessBlockConfiguration",
    &[
        boolean("BlockPublicAcls"),
        boolean("IgnorePublicAcls"),
        boolean("BlockPublicPolicy"),
        boolean("RestrictPublicBuckets"),
    ],
);

/// Of `PutBucketOwnershipControls`.
pub(crate) static OWNERSHIP: Document =
    document("OwnershipControls", &[node("Rule", &[word("ObjectOwnership")]).many()]);

const KEY_FILTER: &[Element] = &[node("FilterRule", &[word("Name"), text("Value")]).many()];
const QUEUE: &[Element] =
    &[text("Id"), word("Queue"), word("Event").many(), node("Filter", &[node("S3Key", KEY_FILTER)])];

/// Of `PutBucketNotificationConfiguration`. Targets are declared by the operator and named as queues.
pub(crate) static NOTIFICATION: Document = document(
    "NotificationConfiguration",
    &[
        node("QueueConfiguration", QUEUE).many(),
        refused("TopicConfiguration", "Notification of SNS topics"),
        refused("CloudFunctionConfiguration", "Notification of Lambda functions"),
        refused("EventBridgeConfiguration", "Notification of EventBridge"),
    ],
);

const DEFAULT_RETENTION: &[Element] = &[word("Mode"), number("Days"), number("Years")];

/// Of `PutObjectLockConfiguration`.
pub(crate) static OBJECT_LOCK: Document = document(
    "ObjectLockConfiguration",
    &[word("ObjectLockEnabled"), node("Rule", &[node("DefaultRetention", DEFAULT_RETENTION)])],
);

/// Of `PutObjectRetention`.
pub(crate) static RETENTION: Document = document("Retention", &[word("Mode"), word("RetainUntilDate")]);

/// Of `PutObjectLegalHold`.
pub(crate) static LEGAL_HOLD: Document = document("LegalHold", &[word("Status")]);

const DELETE_OBJECT: &[Element] =
    &[text("Key"), word("VersionId"), word("ETag"), word("LastModifiedTime"), number("Size")];

/// Of `DeleteObjects`.
pub(crate) static DELETE: Document = Document {
    any_character: true,
    ..document("Delete", &[boolean("Quiet"), node("Object", DELETE_OBJECT).many()])
};

const PART: &[Element] = &[
    number("PartNumber"),
    word("ETag"),
    word("ChecksumCRC32"),
    word("ChecksumCRC32C"),
    word("ChecksumCRC64NVME"),
    word("ChecksumSHA1"),
    word("ChecksumSHA256"),
    word("ChecksumSHA512"),
    word("ChecksumMD5"),
    word("ChecksumXXHASH64"),
    word("ChecksumXXHASH3"),
    word("ChecksumXXHASH128"),
];

/// Of `CompleteMultipartUpload`.
pub(crate) static COMPLETE: Document = document("CompleteMultipartUpload", &[node("Part", PART).many()]);
