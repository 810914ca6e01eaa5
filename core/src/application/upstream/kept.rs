//! What an upstream says of an object, as this store keeps and shows it.

use crate::application::ports::upstream::UpstreamObject;
use crate::domain::acl::CannedAcl;
use crate::domain::address::Key;
use crate::domain::blob::{BlobId, Hash};
use crate::domain::checksum::{Checksum, ChecksumKind};
use crate::domain::etag::Etag;
use crate::domain::naming::PartCount;
use crate::domain::object::{Attributes, Content, Object, ObjectId, Tags};
use crate::domain::object_lock::ObjectLock;
use crate::domain::space::Space;
use crate::domain::storage_class::{ClassName, StorageClass};
use crate::domain::timestamp::Timestamp;
use crate::domain::upstream::proof::Said;

/// The entity tag that clients know, or one of its own if that has another form.
pub(crate) fn etag(object: &UpstreamObject) -> Etag {
    etag_of(&object.etag)
}

/// The same of a tag as the upstream says it.
pub(crate) fn etag_of(told: &str) -> Etag {
    Etag::parse(told).unwrap_or_else(|_| Etag::of_content(Hash::of(told.as_bytes()), PartCount::NONE))
}

/// The class, and the name by which it was asked for there.
pub(crate) fn class(name: Option<&str>) -> (StorageClass, Option<ClassName>) {
    match name {
        Some("STANDARD_IA" | "ONEZONE_IA" | "GLACIER" | "DEEP_ARCHIVE") => (StorageClass::Cold, None),
        Some("GLACIER_IR") => (StorageClass::Cold, Some(ClassName::GlacierInstant)),
        Some("REDUCED_REDUNDANCY") => (StorageClass::Hot, Some(ClassName::ReducedRedundancy)),
        _ => (StorageClass::Hot, None),
    }
}

/// The checksum that clients may ask for: one of the whole object.
pub(crate) fn checksum(object: &UpstreamObject) -> Option<Checksum> {
    object.checksum.clone().filter(|checksum| checksum.kind == ChecksumKind::FullObject)
}

/// What it carries. Where versions cannot be locked here, nothing holds it.
pub(crate) fn attributes(space: &Space, object: &UpstreamObject, tags: Tags) -> Attributes {
    let (class, class_name) = class(object.class.as_deref());
    Attributes {
        headers: object.headers.clone(),
        metadata: object.metadata.clone(),
        tags,
        class: Some(class),
        class_name,
        lock: if space.object_lock.is_some() { object.lock } else { ObjectLock::default() },
        acl: CannedAcl::Private,
    }
}

/// What proves its bytes is chosen by this.
pub(crate) fn said(object: &UpstreamObject) -> Said {
    Said {
        size: object.size,
        etag: object.etag.clone(),
        opaque_etag: object.opaque_etag,
        checksum: object.checksum.clone(),
        parts: None,
        first_part: None,
    }
}

/// It, as a request about it sees it before it is here: its key's null version. Its blob is named by no row.
pub(crate) fn object(space: &Space, key: &Key, said: &UpstreamObject, tags: Tags) -> Object {
    let Attributes { headers, metadata, tags, class_name, lock, acl, .. } = attributes(space, said, tags);
    let content = Content::leaf(BlobId(uuid::Uuid::nil()), Hash::of(b""), said.size);
    Object {
        id: ObjectId(uuid::Uuid::nil()),
        space: space.id,
        address: space.address.clone(),
        versioning: space.versioning,
        settings: space.settings,
        upstream: space.upstream,
        key: Some(key.clone()),
        content: Some(content),
        etag: etag(said),
        class: class(said.class.as_deref()).0,
        class_name,
        headers,
        metadata,
        tags,
        checksum: checksum(said),
        lock,
        acl,
        is_latest: true,
        is_null_version: true,
        created_at: modified(said),
    }
}

/// When it was last modified; a time that no date shows is the earliest.
pub(crate) fn modified(said: &UpstreamObject) -> Timestamp {
    said.modified.max(Timestamp(0))
}
