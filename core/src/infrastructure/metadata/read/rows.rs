//! Rows read as values of the domain. A row that cannot be read is damage, and says which it is.

use std::borrow::Cow;
use std::fmt::Display;

use uuid::Uuid;

use crate::application::ports::metadata::{
    Credential, CredentialKind, Found, LeafRecord, MetadataError, SegmentRecord,
};
use crate::application::ports::segments::SegmentKind;
use crate::domain::acl::CannedAcl;
use crate::domain::address::{BucketName, Key, KeyPrefix, Namespace, SpaceAddress, Tenant};
use crate::domain::blob::{BlobId, Extent, Hash, Location, SegmentId};
use crate::domain::checksum::{Checksum, ChecksumAlgorithm, ChecksumKind};
use crate::domain::etag::Etag;
use crate::domain::multipart::{Part, PartNumber, Upload, UploadId};
use crate::domain::naming::{ContentName, Layout, PartCount};
use crate::domain::object::{Attributes, Content, Headers, Listed, Object, ObjectId};
use crate::domain::principal::{NamespacePattern, Rights};
use crate::domain::space::SettingsRevision;
use crate::domain::space::{Bucket, DedupDomain, Space, SpaceId, Versioning};
use crate::domain::state::SegmentState;
use crate::domain::storage_class::{ClassName, StorageClass};
use crate::domain::timestamp::Timestamp;
use crate::domain::upstream::Mode;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::page::Text;
use crate::infrastructure::metadata::session::statement::Row;

/// A reader of one row, which knows what to name when a value makes no sense.
struct Reader<'r, I> {
    row: &'r Row,
    table: &'static str,
    id: I,
}

impl<'r, I: Display> Reader<'r, I> {
    fn new(row: &'r Row, table: &'static str, id: I) -> Self {
        Self { row, table, id }
    }

    fn corrupt(&self, column: &'static str) -> Fault {
        MetadataError::Corrupt { table: self.table, column, row: self.id.to_string() }.into()
    }

    fn get<T: crate::infrastructure::metadata::session::statement::Field>(
        &self,
        column: &'static str,
    ) -> Result<T, Fault> {
        self.row.get(column)
    }

    /// A column whose value `read` understands.
    fn parse<T: crate::infrastructure::metadata::session::statement::Field, U>(
        &self,
        column: &'static str,
        read: impl FnOnce(T) -> Option<U>,
    ) -> Result<U, Fault> {
        read(self.row.get(column)?).ok_or_else(|| self.corrupt(column))
    }

    /// The same for a column that may be NULL.
    fn maybe<T, U>(&self, column: &'static str, read: impl FnOnce(T) -> Option<U>) -> Result<Option<U>, Fault>
    where
        Option<T>: crate::infrastructure::metadata::session::statement::Field,
    {
        self.row
            .get::<Option<T>>(column)?
            .map(|value| read(value).ok_or_else(|| self.corrupt(column)))
            .transpose()
    }

    fn count(&self, column: &'static str) -> Result<u64, Fault> {
        self.parse(column, |n: i64| u64::try_from(n).ok())
    }

    fn class(&self, column: &'static str) -> Result<StorageClass, Fault> {
        self.parse(column, StorageClass::from_code)
    }

    fn acl(&self, column: &'static str) -> Result<CannedAcl, Fault> {
        Ok(self.maybe(column, CannedAcl::from_code)?.unwrap_or_default())
    }

    fn time(&self, column: &'static str) -> Result<Timestamp, Fault> {
        self.get(column).map(Timestamp)
    }

    fn json<T: serde::de::DeserializeOwned + Default>(&self, column: &'static str) -> Result<T, Fault> {
        let text = self.maybe(column, |text: String| serde_json::from_str(&text).ok())?;
        Ok(text.unwrap_or_default())
    }

    fn address(&self) -> Result<SpaceAddress, Fault> {
        let namespace = self.parse("namespace", |text: String| Namespace::new(&text).ok())?;
        let tenant = self.parse("tenant", |text: String| Tenant::new(&text).ok())?;
        Ok(SpaceAddress::new(namespace, tenant))
    }

    fn key(&self) -> Result<Option<Key>, Fault> {
        self.parse(
            "key",
            |text: String| {
                if text.is_empty() { Some(None) } else { Key::new(&text).ok().map(Some) }
            },
        )
    }

    fn hash(&self) -> Result<Hash, Fault> {
        self.parse("hash", |bytes: Vec<u8>| Hash::from_slice(&bytes))
    }

    fn name(&self) -> Result<ContentName, Fault> {
        let count = self.parse("parts", |n: i64| u32::try_from(n).ok())?;
        Ok(ContentName::from_stored(self.hash()?, count))
    }

    fn layout(&self) -> Result<Layout, Fault> {
        Ok(if self.get("in_pieces")? { Layout::Pieces } else { Layout::Leaf })
    }

    /// From the columns `hash`, `parts`, `in_pieces`, `part_count` and `size`.
    fn content(&self, blob: BlobId) -> Result<Content, Fault> {
        Ok(Content {
            blob,
            name: self.name()?,
            layout: self.layout()?,
            parts: self.parse("part_count", |n: i64| u32::try_from(n).ok().map(PartCount))?,
            size: self.count("size")?,
        })
    }
}

/// A stored number from a size.
pub(crate) fn signed(size: u64) -> Result<i64, Fault> {
    i64::try_from(size).map_err(|_| Fault::failed("a size does not fit 63 bits"))
}

/// JSON for the database, NULL where there is nothing to keep.
pub(crate) fn json<T: serde::Serialize + Default + PartialEq>(value: &T) -> Result<Option<String>, Fault> {
    if *value == T::default() {
        return Ok(None);
    }
    serde_json::to_string(value).map(Some).map_err(|error| Fault::failed(error.to_string()))
}

/// A bucket's name and the address of its space.
pub(crate) fn named_space(row: &Row) -> Result<(BucketName, SpaceAddress), Fault> {
    let name: String = row.get("name")?;
    let reader = Reader::new(row, "buckets", &name);
    let bucket = reader.parse("name", |text: String| BucketName::new(&text).ok())?;
    Ok((bucket, reader.address()?))
}

pub(crate) fn object(row: &Row) -> Result<Object, Fault> {
    let id: Uuid = row.get("id")?;
    let reader = Reader::new(row, "objects", id);
    let blob = reader.get::<Option<Uuid>>("blob_id")?;
    let content = match blob {
        Some(blob) => Some(reader.content(BlobId(blob))?),
        None => None,
    };
    Ok(Object {
        id: ObjectId(id),
        space: SpaceId(reader.get("space_id")?),
        address: reader.address()?,
        versioning: reader.parse("versioning", Versioning::from_code)?,
        settings: SettingsRevision(reader.get("settings")?),
        upstream: reader.parse("upstream", Mode::from_code)?,
        key: reader.key()?,
        content,
        etag: reader.parse("etag", |text: String| Etag::parse(&text).ok())?,
        class: reader.class("class")?,
        class_name: ClassName::of(reader.class("class")?, reader.get("class_name")?),
        headers: reader.json::<Headers>("headers")?,
        metadata: reader.json("metadata")?,
        tags: reader.json("tags")?,
        checksum: reader.maybe("checksum", |text: String| Checksum::from_stored(&text))?,
        lock: reader.json("object_lock")?,
        acl: reader.acl("acl")?,
        is_latest: reader.get("is_latest")?,
        is_null_version: reader.get("is_null_version")?,
        created_at: reader.time("created_at")?,
    })
}

/// The columns of a row of `objects::list_latest`, in order.
pub(crate) type LatestRow<'t> = (Text<'t>, i64, Text<'t>, i16, Option<Text<'t>>, i64, Option<i16>);

pub(crate) fn latest_row(row: &Row) -> Result<LatestRow<'static>, Fault> {
    let text = |text: String| Text(Cow::Owned(text));
    let checksum = row.at::<Option<String>>(4)?.map(text);
    Ok((text(row.at(0)?), row.at(1)?, text(row.at(2)?), row.at(3)?, checksum, row.at(5)?, row.at(6)?))
}

pub(crate) fn latest(
    (Text(key), size, Text(etag), class, checksum, created_at, class_name): LatestRow<'_>,
) -> Result<Listed, Fault> {
    let corrupt =
        |column| MetadataError::Corrupt { table: "objects", column, row: format!("with the key {key:?}") };
    let class = StorageClass::from_code(class).ok_or_else(|| corrupt("class"))?;
    Ok(Listed {
        size: u64::try_from(size).map_err(|_| corrupt("size"))?,
        etag: Etag::parse(&etag).map_err(|_| corrupt("etag"))?,
        class,
        class_name: ClassName::of(class, class_name),
        checksum: match &checksum {
            Some(Text(text)) => Some(Checksum::from_stored(text).ok_or_else(|| corrupt("checksum"))?),
            None => None,
        },
        created_at: Timestamp(created_at),
        key: Key::new(&key).map_err(|_| corrupt("key"))?,
    })
}

pub(crate) fn found(row: &Row) -> Result<Found, Fault> {
    let object = object(row)?;
    let reader = Reader::new(row, "blobs", object.id);
    let leaf = match (&object.content, reader.get::<Option<Uuid>>("segment_id")?) {
        (Some(content), Some(segment)) => Some(Extent {
            blob: content.blob,
            hash: content.name.digest(),
            location: Location {
                tier: reader.class("tier")?,
                segment: SegmentId(segment),
                offset: reader.count("seg_offset")?,
                length: content.size,
            },
            offset: 0,
            length: content.size,
        }),
        _ => None,
    };
    Ok(Found { object, leaf })
}

pub(crate) fn space(row: &Row) -> Result<Space, Fault> {
    let id: i64 = row.get("id")?;
    let reader = Reader::new(row, "spaces", id);
    Ok(Space {
        id: SpaceId(id),
        address: reader.address()?,
        versioning: reader.parse("versioning", Versioning::from_code)?,
        default_class: reader.class("default_class")?,
        object_lock: reader.maybe("object_lock", |text: String| serde_json::from_str(&text).ok())?,
        settings: SettingsRevision(reader.get("settings")?),
        upstream: reader.parse("upstream", Mode::from_code)?,
        created_at: reader.time("created_at")?,
    })
}

pub(crate) fn bucket(row: &Row) -> Result<Bucket, Fault> {
    let reader = Reader::new(row, "buckets", row.get::<String>("name")?);
    Ok(Bucket {
        name: reader.parse("name", |text: String| BucketName::new(&text).ok())?,
        space: space(row)?,
        created_at: reader.time("named_at")?,
    })
}

pub(crate) fn upload(row: &Row) -> Result<Upload, Fault> {
    let id: Uuid = row.get("upload_id")?;
    let reader = Reader::new(row, "uploads", id);
    let algorithm = reader.maybe("checksum_algorithm", |text: String| ChecksumAlgorithm::parse(&text))?;
    let kind = reader.maybe("checksum_kind", |text: String| ChecksumKind::parse(&text))?;
    let class = reader.maybe("class", StorageClass::from_code)?;
    let class_name = reader.get("class_name")?;
    Ok(Upload {
        id: UploadId(id),
        space: space(row)?,
        key: reader.key()?,
        attributes: Attributes {
            headers: reader.json("headers")?,
            metadata: reader.json("metadata")?,
            tags: reader.json("tags")?,
            class,
            class_name: class.and_then(|class| ClassName::of(class, class_name)),
            lock: reader.json("upload_lock")?,
            acl: reader.acl("acl")?,
        },
        checksum: algorithm.zip(kind),
        created_at: reader.time("begun_at")?,
    })
}

pub(crate) fn part(row: &Row) -> Result<Part, Fault> {
    let number: i16 = row.get("number")?;
    let blob: Uuid = row.get("blob_id")?;
    let reader = Reader::new(row, "upload_parts", number);
    Ok(Part {
        number: reader.parse("number", |n: i16| PartNumber::new(i64::from(n)).ok())?,
        blob: BlobId(blob),
        name: reader.name()?,
        layout: reader.layout()?,
        size: reader.count("size")?,
        etag: reader.parse("etag", |text: String| Etag::parse(&text).ok())?,
        md5: reader.maybe("md5", |bytes: Vec<u8>| bytes.try_into().ok())?,
        checksum: reader.maybe("checksum", |text: String| Checksum::from_stored(&text))?,
        created_at: reader.time("created_at")?,
    })
}

const KINDS: [SegmentKind; 2] = [SegmentKind::Single, SegmentKind::Pack];

/// A segment's kind as a number.
pub(crate) fn kind_code(kind: SegmentKind) -> i16 {
    match kind {
        SegmentKind::Single => 1,
        SegmentKind::Pack => 2,
    }
}

pub(crate) fn segment(row: &Row) -> Result<SegmentRecord, Fault> {
    let id: Uuid = row.get("id")?;
    let reader = Reader::new(row, "segments", id);
    Ok(SegmentRecord {
        id: SegmentId(id),
        tier: reader.class("tier")?,
        kind: reader.parse("kind", |code: i16| KINDS.into_iter().find(|kind| kind_code(*kind) == code))?,
        state: reader.parse("state", SegmentState::from_code)?,
        size: reader.count("size")?,
        live_bytes: reader.count("live_bytes")?,
    })
}

pub(crate) fn leaf(row: &Row) -> Result<LeafRecord, Fault> {
    let id: Uuid = row.get("id")?;
    let reader = Reader::new(row, "blobs", id);
    Ok(LeafRecord {
        id: BlobId(id),
        domain: DedupDomain(reader.get("domain")?),
        hash: reader.hash()?,
        location: location(row)?,
        quarantined: reader.get("quarantined")?,
    })
}

/// Where a leaf lies, from the columns `tier`, `segment_id`, `seg_offset` and `size`.
pub(crate) fn location(row: &Row) -> Result<Location, Fault> {
    let segment: Uuid = row.get("segment_id")?;
    let reader = Reader::new(row, "blobs", segment);
    Ok(Location {
        tier: reader.class("tier")?,
        segment: SegmentId(segment),
        offset: reader.count("seg_offset")?,
        length: reader.count("size")?,
    })
}

/// A stretch of a leaf, from the columns of [`location`] and `child_id`, `hash`, `child_offset`, `length`.
pub(crate) fn extent(row: &Row) -> Result<Extent, Fault> {
    let child: Uuid = row.get("child_id")?;
    let reader = Reader::new(row, "extents", child);
    Ok(Extent {
        blob: BlobId(child),
        hash: reader.hash()?,
        location: location(row)?,
        offset: reader.count("child_offset")?,
        length: reader.count("length")?,
    })
}

/// Precedes the rights of a credential that is bound to prefixes of keys. A release that does not know prefixes does not
/// know this word either: it cannot read the row and refuses the credential, where it would open every key otherwise.
pub(crate) const BOUND: &str = "bound,";

pub(crate) fn credential(row: &Row) -> Result<Credential, Fault> {
    let id: Uuid = row.get("id")?;
    let reader = Reader::new(row, "credentials", id);
    let prefixes = reader.maybe("prefixes", |text: String| {
        let prefixes: Vec<String> = serde_json::from_str(&text).ok()?;
        prefixes.iter().map(|prefix| KeyPrefix::new(prefix).ok()).collect::<Option<Vec<_>>>()
    })?;
    Ok(Credential {
        id,
        kind: reader.parse("kind", |code: i16| match code {
            1 => Some(CredentialKind::Api),
            2 => Some(CredentialKind::S3),
            _ => None,
        })?,
        lookup: reader.get("lookup")?,
        secret: reader.get("secret")?,
        tenant: reader.parse("tenant", |text: String| Tenant::new(&text).ok())?,
        namespaces: reader.maybe("namespaces", |text: String| {
            let names: Vec<String> = serde_json::from_str(&text).ok()?;
            names.iter().map(|name| NamespacePattern::parse(name).ok()).collect::<Option<Vec<_>>>()
        })?,
        rights: reader.parse("rights", |text: String| {
            let text = if prefixes.is_some() { text.strip_prefix(BOUND)? } else { &text };
            if text.is_empty() { Some(Rights::default()) } else { Rights::parse(text).ok() }
        })?,
        prefixes,
        description: reader.get("description")?,
        created_at: reader.time("created_at")?,
        expires_at: reader.get::<Option<i64>>("expires_at")?.map(Timestamp),
        revoked_at: reader.get::<Option<i64>>("revoked_at")?.map(Timestamp),
    })
}

/// A count that an aggregate computed.
pub(crate) fn count(row: &Row, column: &'static str) -> Result<u64, Fault> {
    Reader::new(row, "aggregate", column).count(column)
}

/// The address that the columns `namespace` and `tenant` make.
pub(crate) fn address(row: &Row) -> Result<SpaceAddress, Fault> {
    Reader::new(row, "spaces", "").address()
}

/// The class in a column.
pub(crate) fn class(row: &Row, column: &'static str) -> Result<StorageClass, Fault> {
    Reader::new(row, "aggregate", column).class(column)
}

/// The same where there may be none.
pub(crate) fn maybe_class(row: &Row, column: &'static str) -> Result<Option<StorageClass>, Fault> {
    Reader::new(row, "aggregate", column).maybe(column, StorageClass::from_code)
}

/// A blob's content, from the columns `hash`, `parts`, `in_pieces`, `part_count` and `size`.
pub(crate) fn content(row: &Row, blob: BlobId) -> Result<Content, Fault> {
    Reader::new(row, "blobs", blob.0).content(blob)
}
