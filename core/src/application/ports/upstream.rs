//! A store that a space's data is leaving: listed, looked at, read, and kept as it is here, whatever speaks S3.
//!
//! What an answer says is taken down as it came; what proves an object's bytes is decided by
//! [`domain::upstream::proof`](crate::domain::upstream::proof).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::domain::address::Key;
use crate::domain::blob::Hash;
use crate::domain::checksum::Checksum;
use crate::domain::etag::Md5Digest;
use crate::domain::mirror::versions::Listed;
use crate::domain::object::{Headers, Tags, UserMetadata};
use crate::domain::object_lock::ObjectLock;
use crate::domain::range::Span;
use crate::domain::timestamp::Timestamp;
use crate::domain::upstream::Target;

/// Why an upstream gave no answer that counts. Each names what the operator should look at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// It cannot be reached, is too slow, or answers that it cannot just now: the same may well succeed later.
    #[error("the upstream is away: {0}")]
    Away(String),
    /// It was not asked: it failed several times in a row, and is left alone for so long.
    #[error("the upstream is away: it failed several times in a row, and is left alone for a while")]
    LeftAlone(Duration),
    /// It refuses the credential, or what the credential may do.
    #[error("the upstream refuses: {0}")]
    Refused(String),
    /// There is no such bucket.
    #[error("the upstream has no such bucket: {0}")]
    NoSuchBucket(String),
    /// The bucket is in another region or at another endpoint.
    #[error("the bucket is elsewhere: {0}")]
    Elsewhere(String),
    /// The object is not the one that was looked at: it was replaced or removed meanwhile.
    #[error("the object was changed while it was read")]
    Changed,
    /// The bytes that came are not the object.
    #[error("the bytes that came are not the object: {0}")]
    NotProved(String),
    /// The request ended at this store itself.
    #[error("the upstream is this store itself")]
    Ourselves,
    /// Its address may not be used.
    #[error("the address of the upstream is not allowed: {0}")]
    Forbidden(String),
    /// It answers what cannot be understood.
    #[error("the upstream answered what cannot be used: {0}")]
    Unusable(String),
}

impl UpstreamError {
    /// Whether the upstream as a whole is in trouble, and not one object or request.
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Away(_) | Self::LeftAlone(_))
    }
}

/// The answer of an upstream.
pub type Answer<T> = Result<T, UpstreamError>;

/// What an upstream says of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamObject {
    /// In bytes.
    pub size: u64,
    /// Entity tag without quotes; empty if it has none.
    pub etag: String,
    /// Whether the tag says nothing of the bytes, as with encryption by a key service.
    pub opaque_etag: bool,
    /// When it was last modified.
    pub modified: Timestamp,
    /// Standard headers.
    pub headers: Headers,
    /// The user's own metadata.
    pub metadata: UserMetadata,
    /// How many tags it has, where that is said.
    pub tag_count: u32,
    /// The name of its storage class; `None` for the usual one.
    pub class: Option<String>,
    /// A checksum of its bytes or of its parts.
    pub checksum: Option<Checksum>,
    /// What holds it there.
    pub lock: ObjectLock,
    /// The id of this version, where versions are kept.
    pub version: Option<String>,
}

/// Bytes that an upstream sends.
pub struct UpstreamBody {
    /// What it says of the object.
    pub object: UpstreamObject,
    /// The bytes that were asked for. An error ends them.
    pub stream: BoxStream<'static, Answer<Bytes>>,
}

/// What to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamQuery {
    /// Only keys that begin with this.
    pub prefix: String,
    /// Keys that hold this behind the prefix are rolled up.
    pub delimiter: Option<String>,
    /// Only keys behind this.
    pub after: Option<String>,
    /// Where the page before ended, in the upstream's words; then `after` does not count.
    pub token: Option<String>,
    /// At most this many lines, up to 1,000.
    pub limit: u32,
}

/// One line of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamLine {
    /// An object.
    Object(UpstreamListed),
    /// Keys rolled up.
    Prefix(String),
}

impl UpstreamLine {
    /// The key, or the common prefix.
    pub fn key(&self) -> &str {
        match self {
            Self::Object(object) => object.key.as_str(),
            Self::Prefix(prefix) => prefix,
        }
    }
}

/// What a listing says of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamListed {
    /// Its key, without the binding's prefix.
    pub key: Key,
    /// In bytes.
    pub size: u64,
    /// Entity tag without quotes.
    pub etag: String,
    /// When it was last modified.
    pub modified: Timestamp,
    /// The name of its storage class; `None` for the usual one.
    pub class: Option<String>,
}

/// A page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamPage {
    /// In the upstream's order, which should be that of the keys' bytes.
    pub lines: Vec<UpstreamLine>,
    /// Keys that this store cannot hold (longer than 1,024 bytes, or not text), as far as they can be shown.
    pub unusable: Vec<String>,
    /// Where the next page begins; `None` if this is the last.
    pub next: Option<String>,
}

/// What versions to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionsQuery {
    /// Behind this.
    pub after: VersionsAfter,
    /// At most this many versions and delete markers, up to 1,000.
    pub limit: u32,
}

/// Where a page of versions begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum VersionsAfter {
    /// At the beginning; where the next page would begin: there is none.
    #[default]
    Nothing,
    /// Behind all versions of a key.
    Key(String),
    /// Behind a version of a key, in the upstream's words.
    Version(String, String),
}

/// A page of the versions of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionsPage {
    /// By the bytes of their keys; of a key its versions, the newest first, and then its delete markers, the newest first. The
    /// versions of the last key may go on behind the page.
    pub lines: Vec<(String, Listed)>,
    /// Where the next page begins.
    pub next: VersionsAfter,
}

/// What is set on an upstream's bucket, as far as it says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // one for each setting
pub struct UpstreamFacts {
    /// Whether versions are kept: `Enabled`, `Suspended`, or nothing.
    pub versioning: Option<String>,
    /// Whether versions can be locked.
    pub object_lock: bool,
    /// Whether the bucket has a default encryption, and which.
    pub encryption: Option<String>,
    /// Whether a policy is set.
    pub policy: bool,
    /// Whether the bucket's ACL grants something to others.
    pub shared_acl: bool,
    /// Whether lifecycle rules are set.
    pub lifecycle: bool,
    /// Whether CORS rules are set.
    pub cors: bool,
    /// Whether notifications are set.
    pub notifications: bool,
    /// What could not be found out, and why.
    pub unknown: Vec<String>,
}

/// An upstream that is connected.
#[async_trait]
pub trait Upstream: Send + Sync + 'static {
    /// Whether the bucket is there and can be listed with this credential, and is not one of this store.
    async fn probe(&self) -> Answer<()>;

    /// What is set on the bucket.
    async fn facts(&self) -> Answer<UpstreamFacts>;

    /// What is said of an object; `None` if there is none.
    async fn head(&self, key: &Key) -> Answer<Option<UpstreamObject>>;

    /// Reads an object, or a part of it; `None` if there is none. With `etag`, only the object with this tag:
    /// [`UpstreamError::Changed`] for another.
    async fn get(&self, key: &Key, span: Option<Span>, etag: Option<&str>) -> Answer<Option<UpstreamBody>>;

    /// An object's tags.
    async fn tags(&self, key: &Key) -> Answer<Tags>;

    /// Sizes of the parts of an object, in order; `None` if the upstream does not tell them.
    async fn part_sizes(&self, key: &Key) -> Answer<Option<Vec<u64>>>;

    /// The size of an object's first part; `None` if the upstream does not tell it.
    async fn first_part(&self, key: &Key) -> Answer<Option<u64>>;

    /// A page of a listing.
    async fn list(&self, query: &UpstreamQuery) -> Answer<UpstreamPage>;

    /// Writes an object by one request. The upstream checks the bytes by the digests of `sent`, where it can.
    async fn put(&self, key: &Key, carried: &UpstreamCarried, sent: UpstreamSent) -> Answer<UpstreamTold>;

    /// Begins an upload in parts; its id.
    async fn begin_upload(&self, key: &Key, carried: &UpstreamCarried) -> Answer<String>;

    /// Sends a part of an upload; its number is from 1.
    async fn put_part(
        &self,
        key: &Key,
        upload: &str,
        number: u32,
        sent: UpstreamSent,
    ) -> Answer<UpstreamTold>;

    /// Makes the object of the parts, in order, each under the tag that the upstream told of it.
    async fn complete_upload(&self, key: &Key, upload: &str, parts: &[String]) -> Answer<UpstreamTold>;

    /// Gives up an upload in parts; there need be none.
    async fn abort_upload(&self, key: &Key, upload: &str) -> Answer<()>;

    /// Replaces an object's tags.
    async fn set_tags(&self, key: &Key, tags: &Tags) -> Answer<()>;

    /// Removes an object; there need be none. The id of the delete marker that is its latest version then, where versions are kept.
    ///
    /// A store may answer with a marker that was there already (`MinIO` does), or make none where it has nothing: [`Self::add_marker`].
    async fn remove(&self, key: &Key) -> Answer<Option<String>>;

    /// Makes a delete marker on top of another one, by a request of the kind that removes many objects; its id. `None` if none was
    /// made, or the store does not offer that.
    async fn add_marker(&self, key: &Key) -> Answer<Option<String>>;

    /// Whether the bucket keeps versions: of one that does so no more, or does not tell, not.
    async fn keeps_versions(&self) -> Answer<bool>;

    /// The newest versions of a key, in descending order; up to 1,000.
    async fn versions(&self, key: &Key) -> Answer<Vec<Listed>>;

    /// A page of the versions of all keys.
    async fn list_versions(&self, query: &VersionsQuery) -> Answer<VersionsPage>;

    /// Removes a version for good; there need be none.
    async fn remove_version(&self, key: &Key, version: &str) -> Answer<()>;
}

/// What an object carries that is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamCarried {
    /// Standard headers.
    pub headers: Headers,
    /// The user's own metadata.
    pub metadata: UserMetadata,
    /// Tags.
    pub tags: Tags,
    /// The name of its storage class; `None` for the usual one.
    pub class: Option<String>,
}

/// Bytes that are sent.
pub struct UpstreamSent {
    /// How many they are.
    pub length: u64,
    /// Their MD5, where it is known.
    pub md5: Option<Md5Digest>,
    /// Their SHA-256, where it is known.
    pub sha256: Option<Hash>,
    /// They themselves. An error ends the request, and nothing is written.
    pub stream: BoxStream<'static, Answer<Bytes>>,
}

/// What an upstream says of what was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamTold {
    /// Entity tag without quotes.
    pub etag: String,
    /// Whether the tag says nothing of the bytes.
    pub opaque: bool,
    /// The id of the version that was made, where versions are kept.
    pub version: Option<String>,
}

/// Connects upstreams.
pub trait UpstreamConnector: Send + Sync + 'static {
    /// A client of an upstream; nothing is sent yet.
    fn connect(&self, target: &Target, secret: &str) -> Answer<Arc<dyn Upstream>>;
}
