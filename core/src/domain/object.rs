//! Objects: one version of a key, its states, and what it carries.

use std::collections::BTreeMap;
use std::fmt;

use uuid::Uuid;

use super::acl::CannedAcl;
use super::address::{Key, SpaceAddress};
use super::blob::{BlobId, Hash};
use super::checksum::Checksum;
use super::etag::Etag;
use super::invalid::Invalid;
use super::naming::{ContentName, Layout, PartCount};
use super::object_lock::ObjectLock;
use super::space::{SettingsRevision, SpaceId, Versioning};
use super::storage_class::{ClassName, StorageClass};
use super::timestamp::Timestamp;
use super::upstream::Mode;

/// Most bytes of user metadata, names and values together (S3 User Guide, "User-defined object
/// metadata": 2 KB).
pub const USER_METADATA_BYTES_MAX: usize = 2048;

/// Most bytes of one standard header's value.
pub const HEADER_BYTES_MAX: usize = 4096;

/// Most tags of one object (S3 User Guide, "Categorizing your storage using tags").
pub const TAGS_MAX: usize = 10;

/// An object's id: a `UUIDv7`, also its S3 version id. Later versions of a key have larger ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(pub Uuid);

impl ObjectId {
    /// Reads a UUID in any of its forms.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Uuid::try_parse(text).map(Self).map_err(|_| Invalid::new("id", "must be a UUID"))
    }

    /// A fresh id of this moment.
    pub fn fresh(now: Timestamp) -> Self {
        let millis = u64::try_from(now.millis()).unwrap_or_default();
        let context = uuid::ContextV7::new();
        let stamp = uuid::Timestamp::from_unix(&context, millis / 1000, (millis % 1000) as u32 * 1_000_000);
        Self(Uuid::new_v7(stamp))
    }

    /// This id if it is larger than `previous`, otherwise the next one after it: versions of a key are
    /// ordered by id even when clocks disagree.
    #[must_use]
    pub fn after(self, previous: Option<Self>) -> Self {
        match previous {
            Some(previous) if previous >= self => Self(Uuid::from_u128(previous.0.as_u128().wrapping_add(1))),
            _ => self,
        }
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The standard headers that are stored with an object and sent back with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Headers {
    /// `Content-Type`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// `Content-Encoding`, without `aws-chunked`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    /// `Content-Language`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_language: Option<String>,
    /// `Content-Disposition`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_disposition: Option<String>,
    /// `Cache-Control`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<String>,
    /// `Expires`, verbatim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// `x-amz-website-redirect-location`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub website_redirect: Option<String>,
}

/// User metadata by lower-case name, without its header prefix.
pub type UserMetadata = BTreeMap<String, String>;

/// Tags by key.
pub type Tags = BTreeMap<String, String>;

/// What an object carries beside its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// The standard headers.
    pub headers: Headers,
    /// The user's own metadata.
    pub metadata: UserMetadata,
    /// The user's tags.
    pub tags: Tags,
    /// Where its bytes should lie; `None` for the space's default.
    pub class: Option<StorageClass>,
    /// The name by which the class was asked for, if it is not the usual one.
    pub class_name: Option<ClassName>,
    /// What holds it, beside its space's default retention. Only where objects can be locked.
    pub lock: ObjectLock,
    /// What it grants to strangers, where ACLs count.
    pub acl: CannedAcl,
}

impl Attributes {
    /// What a move takes along: as a copy, neither what holds the source nor what it grants to strangers.
    pub fn carried(source: &Object) -> Self {
        Self {
            headers: source.headers.clone(),
            metadata: source.metadata.clone(),
            tags: source.tags.clone(),
            class: Some(source.class),
            class_name: source.class_name,
            lock: ObjectLock::default(),
            acl: CannedAcl::Private,
        }
    }

    /// Checks sizes and characters: everything that would not survive an HTTP header or S3's limits.
    pub fn validate(&self) -> Result<(), Invalid> {
        let headers = [
            ("content_type", &self.headers.content_type),
            ("content_encoding", &self.headers.content_encoding),
            ("content_language", &self.headers.content_language),
            ("content_disposition", &self.headers.content_disposition),
            ("cache_control", &self.headers.cache_control),
            ("expires", &self.headers.expires),
            ("website_redirect", &self.headers.website_redirect),
        ];
        for (field, value) in headers {
            let Some(value) = value else { continue };
            if value.len() > HEADER_BYTES_MAX {
                return Err(Invalid::new(field, "must be at most 4096 bytes"));
            }
            if value.chars().any(char::is_control) {
                return Err(Invalid::new(field, "must not contain control characters"));
            }
        }
        let bytes: usize = self.metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > USER_METADATA_BYTES_MAX {
            let reason = "must be at most 2048 bytes, names and values together";
            return Err(Invalid::too_long("metadata", reason));
        }
        for (name, value) in &self.metadata {
            // RFC 9110 section 5.6.2: a field name is a token.
            let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            if name.is_empty() || !name.bytes().all(token) || name.bytes().any(|b| b.is_ascii_uppercase()) {
                return Err(Invalid::new("metadata", "names must be lower-case header tokens"));
            }
            if value.chars().any(char::is_control) {
                return Err(Invalid::new("metadata", "values must not contain control characters"));
            }
        }
        if self.tags.len() > TAGS_MAX {
            return Err(Invalid::new("tags", "must be at most 10"));
        }
        for (name, value) in &self.tags {
            if name.is_empty() || name.chars().count() > 128 || value.chars().count() > 256 {
                return Err(Invalid::new("tags", "keys must be 1 to 128 and values at most 256 characters"));
            }
        }
        Ok(())
    }
}

/// An object's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// The blob that holds them.
    pub blob: BlobId,
    /// Their name.
    pub name: ContentName,
    /// How they are laid out.
    pub layout: Layout,
    /// How S3 counts their parts.
    pub parts: PartCount,
    /// In bytes.
    pub size: u64,
}

impl Content {
    /// A leaf that was put whole.
    pub fn leaf(blob: BlobId, hash: Hash, size: u64) -> Self {
        Self { blob, name: ContentName::Bytes(hash), layout: Layout::Leaf, parts: PartCount::NONE, size }
    }
}

/// A visible version of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its id and version id.
    pub id: ObjectId,
    /// The number of the space it is in.
    pub space: SpaceId,
    /// The address of that space.
    pub address: SpaceAddress,
    /// Whether that space keeps versions: decides whether a version id is shown.
    pub versioning: Versioning,
    /// How often that space's settings have changed: whether any might concern the object.
    pub settings: SettingsRevision,
    /// How far that space has left its upstream, if it has one.
    pub upstream: Option<Mode>,
    /// Its key; `None` for a native object addressed by id only.
    pub key: Option<Key>,
    /// Its bytes; `None` for a delete marker.
    pub content: Option<Content>,
    /// Compared by conditional requests.
    pub etag: Etag,
    /// What it asked for, or its space's default.
    pub class: StorageClass,
    /// The name by which the class was asked for, if it is not the usual one.
    pub class_name: Option<ClassName>,
    /// Standard headers.
    pub headers: Headers,
    /// User metadata.
    pub metadata: UserMetadata,
    /// Tags.
    pub tags: Tags,
    /// The checksum stored for S3 clients.
    pub checksum: Option<Checksum>,
    /// What keeps it from being removed.
    pub lock: ObjectLock,
    /// What it grants to strangers, where ACLs count.
    pub acl: CannedAcl,
    /// Whether it is the latest version of its key.
    pub is_latest: bool,
    /// Whether S3 shows its version id as `null`: written while versioning was off or suspended.
    pub is_null_version: bool,
    /// When it was committed: also its last modification.
    pub created_at: Timestamp,
}

impl Object {
    /// Its size in bytes; 0 for a delete marker.
    pub fn size(&self) -> u64 {
        self.content.map_or(0, |content| content.size)
    }

    /// How S3 counts its parts.
    pub fn parts(&self) -> PartCount {
        self.content.map_or(PartCount::NONE, |content| content.parts)
    }

    /// Whether it marks its key as deleted.
    pub fn is_delete_marker(&self) -> bool {
        self.content.is_none()
    }

    /// The version id S3 shows: none in a space that never had versioning.
    pub fn s3_version_id(&self) -> Option<String> {
        match (self.versioning, self.is_null_version) {
            (Versioning::Off, _) => None,
            (_, true) => Some("null".to_owned()),
            (_, false) => Some(self.id.to_string()),
        }
    }
}

/// What a listing shows of the latest version of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: Key,
    /// Its size in bytes.
    pub size: u64,
    /// Compared by conditional requests.
    pub etag: Etag,
    /// What it asked for, or its space's default.
    pub class: StorageClass,
    /// The name by which the class was asked for, if it is not the usual one.
    pub class_name: Option<ClassName>,
    /// The checksum stored for S3 clients.
    pub checksum: Option<Checksum>,
    /// When it was committed: also its last modification.
    pub created_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_versions_have_larger_ids_whatever_the_clock_says() {
        let (early, late) = (ObjectId::fresh(Timestamp(1_000)), ObjectId::fresh(Timestamp(2_000)));
        assert!(early < late);
        assert_eq!(late.after(Some(early)), late);
        assert!(early.after(Some(late)) > late);
        assert_eq!(early.after(None), early);
    }

    #[test]
    fn attributes_are_bounded() {
        let with = |name: &str, value: &str| Attributes {
            metadata: [(name.to_owned(), value.to_owned())].into(),
            ..Attributes::default()
        };
        assert_eq!(with("a", &"v".repeat(2047)).validate(), Ok(()));
        assert!(with("a", &"v".repeat(2048)).validate().is_err());
        assert!(with("a b", "v").validate().is_err());
        assert!(with("A", "v").validate().is_err());
        assert!(with("a", "v\r\nset-cookie: x").validate().is_err());
        assert_eq!(with("a", "größe").validate(), Ok(()));
        let headers = Headers { content_type: Some("text/plain\n".into()), ..Headers::default() };
        assert!(Attributes { headers, ..Attributes::default() }.validate().is_err());
    }
}
