//! S3's request documents: their elements and the content of each. An element that is not in the table is refused by
//! name, because it could change the outcome.

use super::reader::Digest;

/// The content of an element.
#[derive(Debug)]
pub(super) enum Kind {
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
pub(super) struct Element {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Whether it may occur more than once.
    pub(super) many: bool,
}

/// A request document.
#[derive(Debug)]
pub(super) struct Document {
    /// S3's name of the operation.
    pub(super) operation: &'static str,
    pub(super) root: Element,
    /// An alternative name of its root.
    pub(super) alias: Option<&'static str>,
    /// Whether it may contain characters that XML 1.0 forbids: keys may, and clients have no other way to write them.
    pub(super) any_character: bool,
    /// The digests that are compared.
    pub(super) digest: Digest,
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

const fn document(operation: &'static str, root: &'static str, content: &'static [Element]) -> Document {
    let root = node(root, content);
    Document { operation, root, alias: None, any_character: false, digest: Digest::IfDeclared }
}

const TAG: &[Element] = &[text("Key"), text("Value")];
const TAG_SET: &[Element] = &[node("Tag", TAG).many()];
const TAGGING_CONTENT: &[Element] = &[node("TagSet", TAG_SET)];
const TAGGING_ROOT: &str = "Tagging";

/// The document of `PutObjectTagging`.
pub(super) static TAGGING: Document = document("PutObjectTagging", TAGGING_ROOT, TAGGING_CONTENT);

const DIRECTORY: &str = "A directory bucket";

const CREATE_BUCKET: &[Element] = &[
    word("LocationConstraint"),
    refused("Location", DIRECTORY),
    refused("Bucket", DIRECTORY),
    node("Tags", TAG_SET),
];

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
const ACL: &[Element] = &[node("Owner", OWNER), node("AccessControlList", &[node("Grant", GRANT).many()])];
const ACL_ROOT: &str = "AccessControlPolicy";

const MINIO: &str = "Versioning that leaves out some keys (an extension of MinIO)";

const VERSIONING: &[Element] = &[
    word("Status"),
    word("MfaDelete"),
    refused("ExcludedPrefixes", MINIO),
    refused("ExcludeFolders", MINIO),
];

const CORS_RULE: &[Element] = &[
    text("ID"),
    word("AllowedOrigin").many(),
    word("AllowedMethod").many(),
    word("AllowedHeader").many(),
    word("ExposeHeader").many(),
    number("MaxAgeSeconds"),
];

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
const LIFECYCLE: &[Element] = &[
    node("Rule", LIFECYCLE_RULE).many(),
    // MinIO's own bookkeeping, in documents that were read from it.
    Element::new("ExpiryUpdatedAt", Kind::Ignored),
];

const PUBLIC_ACCESS: &[Element] = &[
    boolean("BlockPublicAcls"),
    boolean("IgnorePublicAcls"),
    boolean("BlockPublicPolicy"),
    boolean("RestrictPublicBuckets"),
];

const DEFAULT_RETENTION: &[Element] = &[word("Mode"), number("Days"), number("Years")];
const OBJECT_LOCK: &[Element] =
    &[word("ObjectLockEnabled"), node("Rule", &[node("DefaultRetention", DEFAULT_RETENTION)])];

const DELETE_OBJECT: &[Element] =
    &[text("Key"), word("VersionId"), word("ETag"), word("LastModifiedTime"), number("Size")];
const DELETE: &[Element] = &[boolean("Quiet"), node("Object", DELETE_OBJECT).many()];

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

/// Every request document that an operation takes.
pub(super) static DOCUMENTS: &[Document] = &[
    document("CreateBucket", "CreateBucketConfiguration", CREATE_BUCKET),
    Document { any_character: true, digest: Digest::Required, ..document("DeleteObjects", "Delete", DELETE) },
    Document {
        // The checksum headers of this operation are the object's.
        digest: Digest::OnlyMd5,
        ..document("CompleteMultipartUpload", "CompleteMultipartUpload", &[node("Part", PART).many()])
    },
    document("PutObjectTagging", TAGGING_ROOT, TAGGING_CONTENT),
    document("PutBucketTagging", TAGGING_ROOT, TAGGING_CONTENT),
    document("PutObjectAcl", ACL_ROOT, ACL),
    document("PutBucketAcl", ACL_ROOT, ACL),
    document("PutObjectRetention", "Retention", &[word("Mode"), word("RetainUntilDate")]),
    document("PutObjectLegalHold", "LegalHold", &[word("Status")]),
    document("PutBucketVersioning", "VersioningConfiguration", VERSIONING),
    document("PutBucketCors", "CORSConfiguration", &[node("CORSRule", CORS_RULE).many()]),
    Document {
        alias: Some("BucketLifecycleConfiguration"),
        ..document("PutBucketLifecycleConfiguration", "LifecycleConfiguration", LIFECYCLE)
    },
    document(
        "PutBucketOwnershipControls",
        "OwnershipControls",
        &[node("Rule", &[word("ObjectOwnership")]).many()],
    ),
    document("PutPublicAccessBlock", "PublicAccessBlockConfiguration", PUBLIC_ACCESS),
    document("PutObjectLockConfiguration", "ObjectLockConfiguration", OBJECT_LOCK),
];

/// The document of an operation, if it has one.
pub(super) fn of(operation: &str) -> Option<&'static Document> {
    DOCUMENTS.iter().find(|document| document.operation == operation)
}
