//! Reads of objects: one of them, a page of a space, and where a composite's bytes lie.

use std::ops::Bound;

use uuid::Uuid;

use super::rows::{self, LatestRow};
use crate::application::ports::metadata::{Found, ListQuery, VersionRef};
use crate::domain::address::{KEY_BYTES_MAX, Key, SpaceAddress, after_prefix};
use crate::domain::blob::{BlobId, Extent};
use crate::domain::checksum::{Checksum, ChecksumAlgorithm, ChecksumKind};
use crate::domain::multipart::UploadId;
use crate::domain::object::{Listed, Object, ObjectId};
use crate::domain::range::Span;
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::page;
use crate::infrastructure::metadata::session::statement::PageRows;

pub(crate) async fn find_by_id(db: &Database, id: ObjectId) -> Result<Option<Found>, Fault> {
    db.read(sql!(found, " WHERE o.id = $1 AND o.state = ", committed)).bind(id.0).find(rows::found).await
}

pub(crate) async fn find_version(
    db: &Database,
    space: &SpaceAddress,
    key: &Key,
    version: VersionRef,
) -> Result<Option<Found>, Fault> {
    let statement = match version {
        VersionRef::Id(id) => db
            .read(sql!(
                found,
                " WHERE s.namespace = $1 AND s.tenant = $2 AND o.key = $3 AND o.id = $4 AND o.state = ",
                committed
            ))
            .bind(space.namespace.as_str())
            .bind(space.tenant.as_str())
            .bind(key.as_str())
            .bind(id.0),
        VersionRef::Null => db
            .read(sql!(
                found,
                " WHERE s.namespace = $1 AND s.tenant = $2 AND o.key = $3 AND o.is_null_version \
                 AND o.state = ",
                committed,
                " ORDER BY o.id DESC LIMIT 1"
            ))
            .bind(space.namespace.as_str())
            .bind(space.tenant.as_str())
            .bind(key.as_str()),
    };
    statement.find(rows::found).await
}

pub(crate) async fn completed_by(db: &Database, id: UploadId) -> Result<Option<Object>, Fault> {
    db.read(sql!(object, " WHERE o.upload_id = $1 AND o.state = ", committed, " ORDER BY o.id DESC LIMIT 1"))
        .bind(id.0)
        .find(rows::object)
        .await
}

/// A page: what is left of one key (keyless objects are the key ''), then the keys strictly after it. Both
/// are ranges of one index, however deep in the space they begin.
pub(crate) async fn list(db: &Database, query: &ListQuery) -> Result<Vec<Object>, Fault> {
    let (first, rest) = first_key(query);
    let mut page = Vec::new();
    if let Some((key, after)) = first {
        page = rest_of_key(db, query, key, after).await?;
    }
    let left = i64::from(query.limit).saturating_sub(i64::try_from(page.len()).unwrap_or(i64::MAX));
    if left > 0 {
        let end = after_prefix(&query.prefix);
        page.extend(later_keys(db, query, rest, end.as_deref(), left).await?);
    }
    Ok(page)
}

/// The key whose own versions come first, and the version of it after which they begin; and the key after
/// which the others begin.
fn first_key(query: &ListQuery) -> (Option<(&str, Uuid)>, &str) {
    let prefix = query.prefix.as_str();
    let whole = |key| (Some((key, Uuid::max())), key);
    let (first, rest) = match &query.from {
        Bound::Included(from) if from.as_str() > prefix => whole(from.as_str()),
        Bound::Excluded(from) if from.as_str() >= prefix => {
            (query.from_version.map(|version| (from.as_str(), version.0)), from.as_str())
        }
        _ => whole(prefix),
    };
    let wanted = |key: &str| {
        let shown = if key.is_empty() { query.keyless } else { true };
        shown && key.starts_with(prefix)
    };
    (first.filter(|(key, _)| wanted(key)), rest)
}

async fn rest_of_key(db: &Database, query: &ListQuery, key: &str, after: Uuid) -> Result<Vec<Object>, Fault> {
    let page = if query.versions {
        sql!(
            page_of_objects,
            listed,
            " WHERE o.space_id = $1 AND o.key = $2 AND o.id < $3 AND o.state = ",
            committed,
            " ORDER BY o.id DESC LIMIT $4",
            end_of_page
        )
    } else if query.versioned && !key.is_empty() {
        sql!(
            page_of_objects,
            listed_live,
            " WHERE o.space_id = $1 AND o.key = $2 AND o.key <> '' AND o.id < $3 AND o.is_latest \
             AND o.blob_id IS NOT NULL ORDER BY o.id DESC LIMIT $4",
            end_of_page
        )
    } else {
        sql!(
            page_of_objects,
            listed,
            " WHERE o.space_id = $1 AND o.key = $2 AND o.id < $3 AND o.is_latest AND o.blob_id IS NOT NULL \
             ORDER BY o.id DESC LIMIT $4",
            end_of_page
        )
    };
    db.read(page)
        .bind(query.space.0)
        .bind(key)
        .bind(after)
        .bind(i64::from(query.limit))
        .paged()
        .await?
        .iter()
        .map(rows::object)
        .collect()
}

async fn later_keys(
    db: &Database,
    query: &ListQuery,
    after: &str,
    end: Option<&str>,
    limit: i64,
) -> Result<Vec<Object>, Fault> {
    let page = match (query.versions, end) {
        (false, Some(_)) if query.versioned => sql!(
            page_of_objects,
            listed_live,
            " WHERE o.space_id = $1 AND o.key > $2 AND o.key < $4 AND o.key <> '' AND o.is_latest \
             AND o.blob_id IS NOT NULL ORDER BY o.key LIMIT $3",
            end_of_page
        ),
        (false, None) if query.versioned => sql!(
            page_of_objects,
            listed_live,
            " WHERE o.space_id = $1 AND o.key > $2 AND o.key <> '' AND o.is_latest \
             AND o.blob_id IS NOT NULL ORDER BY o.key LIMIT $3",
            end_of_page
        ),
        (false, Some(_)) => sql!(
            page_of_objects,
            listed,
            " WHERE o.space_id = $1 AND o.key > $2 AND o.key < $4 AND o.key <> '' AND o.is_latest \
             AND o.blob_id IS NOT NULL ORDER BY o.key LIMIT $3",
            end_of_page
        ),
        (false, None) => sql!(
            page_of_objects,
            listed,
            " WHERE o.space_id = $1 AND o.key > $2 AND o.key <> '' AND o.is_latest \
             AND o.blob_id IS NOT NULL ORDER BY o.key LIMIT $3",
            end_of_page
        ),
        (true, Some(_)) => sql!(
            page_of_objects,
            listed,
            " WHERE o.space_id = $1 AND o.key > $2 AND o.key < $4 AND o.state = ",
            committed,
            " ORDER BY o.key, o.id DESC LIMIT $3",
            end_of_page
        ),
        (true, None) => sql!(
            page_of_objects,
            listed,
            " WHERE o.space_id = $1 AND o.key > $2 AND o.state = ",
            committed,
            " ORDER BY o.key, o.id DESC LIMIT $3",
            end_of_page
        ),
    };
    let statement = db.read(page).bind(query.space.0).bind(after).bind(limit);
    let statement = match end {
        Some(end) => statement.bind(end),
        None => statement,
    };
    statement.paged().await?.iter().map(rows::object).collect()
}

/// Latest versions that have a key, in one seek: keys hold no NUL, so that nothing lies between a key and the same
/// followed by U+0001, and any bound can be written as the first key that is wanted.
pub(crate) async fn list_latest(db: &Database, query: &ListQuery) -> Result<Vec<Listed>, Fault> {
    let from = match &query.from {
        Bound::Included(from) => from.clone(),
        Bound::Excluded(from) => format!("{from}\u{1}"),
        Bound::Unbounded => String::new(),
    };
    let page = if query.versioned {
        sql!(
            page_of_latest,
            "SELECT o.key, o.size, o.etag, o.class, o.checksum, o.created_at, o.class_name FROM ",
            live_objects,
            " WHERE o.space_id = $1 AND o.key >= $2 AND o.key < $3 AND o.key <> '' AND o.is_latest \
             AND o.blob_id IS NOT NULL ORDER BY o.key LIMIT $4",
            end_of_page
        )
    } else {
        sql!(
            page_of_latest,
            "SELECT o.key, o.size, o.etag, o.class, o.checksum, o.created_at, o.class_name FROM objects o \
             WHERE o.space_id = $1 AND o.key >= $2 AND o.key < $3 AND o.key <> '' AND o.is_latest \
             AND o.blob_id IS NOT NULL ORDER BY o.key LIMIT $4",
            end_of_page
        )
    };
    let statement = db
        .read(page)
        .bind(query.space.0)
        .bind(from.max(query.prefix.clone()))
        .bind(end_of(&query.prefix))
        .bind(i64::from(query.limit));
    match statement.page().await? {
        PageRows::Text(text) => {
            let rows: Vec<LatestRow<'_>> = page::parse(&text)?;
            rows.into_iter().map(rows::latest).collect()
        }
        PageRows::Rows(rows) => rows.iter().map(|row| rows::latest(rows::latest_row(row)?)).collect(),
    }
}

/// Larger than every key that begins with `prefix`.
fn end_of(prefix: &str) -> String {
    after_prefix(prefix).unwrap_or_else(|| MAX_KEY.repeat(KEY_BYTES_MAX / MAX_KEY.len() + 1))
}

/// From one common prefix to the next, each a seek in the index that a listing reads.
pub(crate) async fn walk(db: &Database, query: &ListQuery, delimiter: &str) -> Result<Vec<String>, Fault> {
    let Bound::Included(from) = &query.from else { return Err(Fault::failed("a walk begins at a key")) };
    // What a common prefix ends with, made larger, is where the keys behind it begin.
    let (behind, limit) = match after_prefix(delimiter) {
        Some(behind) => (behind, i32::try_from(query.limit).unwrap_or(i32::MAX)),
        None => (String::new(), 1),
    };
    let end = end_of(&query.prefix);
    // Behind a key without the delimiter nothing is looked for: a position of 0 becomes a bound of NULL, which no key
    // reaches. What is looked at is in an index alone, except where delete markers have to be passed over.
    let statement = match (query.versions, query.versioned) {
        (true, _) => sql!(
            page_of_keys,
            walk_begins_in,
            "objects o",
            walk_first,
            "o.state = ",
            committed,
            walk_goes_on_in,
            "objects o",
            walk_next,
            "o.state = ",
            committed,
            walk_ends,
            end_of_page
        ),
        (false, true) => sql!(
            page_of_keys,
            walk_begins_in,
            live_objects,
            walk_first,
            "o.key <> '' AND o.is_latest AND o.blob_id IS NOT NULL",
            walk_goes_on_in,
            live_objects,
            walk_next,
            "o.key <> '' AND o.is_latest AND o.blob_id IS NOT NULL",
            walk_ends,
            end_of_page
        ),
        // Without versioning there are no delete markers.
        (false, false) => sql!(
            page_of_keys,
            walk_begins_in,
            latest_objects,
            walk_first,
            "o.key <> '' AND o.is_latest = TRUE",
            walk_goes_on_in,
            latest_objects,
            walk_next,
            "o.key <> '' AND o.is_latest = TRUE",
            walk_ends,
            end_of_page
        ),
    };
    let statement = db
        .read(statement)
        .bind(query.space.0)
        .bind(from.as_str())
        .bind(end)
        .bind(i32::try_from(query.prefix.chars().count()).unwrap_or(i32::MAX))
        .bind(delimiter)
        .bind(behind)
        .bind(limit);
    match statement.page().await? {
        PageRows::Text(text) => page::parse(&text),
        PageRows::Rows(rows) => {
            rows.iter().map(crate::infrastructure::metadata::session::statement::Row::first).collect()
        }
    }
}

/// The largest character: no key is larger than as many of these as fit.
const MAX_KEY: &str = "\u{10ffff}";

pub(crate) async fn extents(db: &Database, blob: BlobId, span: Span) -> Result<Vec<Extent>, Fault> {
    let read = db
        .read(sql!(
            "SELECT e.start, e.child_id, e.child_offset, e.length, b.hash, b.size, b.segment_id, \
             b.seg_offset, g.tier FROM extents e JOIN blobs b ON b.id = e.child_id \
             JOIN segments g ON g.id = b.segment_id \
             WHERE e.parent_id = $1 AND e.start < $3 AND e.start >= \
             (SELECT MAX(f.start) FROM extents f WHERE f.parent_id = $1 AND f.start <= $2) \
             ORDER BY e.start, e.part"
        ))
        .bind(blob.0)
        .bind(rows::signed(span.start)?)
        .bind(rows::signed(span.end)?)
        .map(|row| Ok((rows::count(row, "start")?, rows::extent(row)?)))
        .await?;
    let begin = read.first().map_or(span.start, |(start, _)| *start);
    let extents: Vec<_> = read.into_iter().map(|(_, extent)| extent).collect();
    Ok(Extent::clip(&extents, span.start.saturating_sub(begin), span.end.saturating_sub(begin)))
}

pub(crate) async fn part_span(
    db: &Database,
    blob: BlobId,
    number: u32,
) -> Result<Option<(Span, u32)>, Fault> {
    db.read(sql!(
        "SELECT MIN(e.start) AS first, MAX(e.start + e.length) AS past, COALESCE(b.part_count, b.parts) AS parts \
         FROM blobs b JOIN extents e ON e.parent_id = b.id WHERE b.id = $1 AND e.part = $2 \
         GROUP BY b.part_count, b.parts"
    ))
    .bind(blob.0)
    .bind(i64::from(number))
    .find(|row| {
        let span = Span { start: rows::count(row, "first")?, end: rows::count(row, "past")? };
        let parts = u32::try_from(rows::count(row, "parts")?).unwrap_or(u32::MAX);
        Ok((span, parts))
    })
    .await
}

/// The parts of a composite behind `after`: number and size.
pub(crate) async fn part_sizes(
    db: &Database,
    blob: BlobId,
    after: u32,
    limit: u32,
) -> Result<Vec<(u32, u64)>, Fault> {
    db.read(sql!(
        "SELECT e.part AS part, MIN(e.start) AS first, MAX(e.start + e.length) AS past FROM extents e \
         WHERE e.parent_id = $1 AND e.part > $2 GROUP BY e.part ORDER BY e.part LIMIT $3"
    ))
    .bind(blob.0)
    .bind(i64::from(after))
    .bind(i64::from(limit))
    .map(|row| {
        let span = Span { start: rows::count(row, "first")?, end: rows::count(row, "past")? };
        let number = u32::try_from(rows::count(row, "part")?).unwrap_or(u32::MAX);
        Ok((number, span.length()))
    })
    .await
}

/// The checksums of a composite's parts, in order, if they are known in this algorithm.
pub(crate) async fn part_checksums(
    db: &Database,
    blob: BlobId,
    algorithm: ChecksumAlgorithm,
) -> Result<Vec<Checksum>, Fault> {
    let stored = db
        .read(sql!("SELECT checksums FROM part_checksums WHERE blob_id = $1 AND algorithm = $2"))
        .bind(blob.0)
        .bind(algorithm.as_str())
        .find(crate::infrastructure::metadata::session::statement::Row::first::<String>)
        .await?;
    let of_part =
        |value: &str| Checksum { algorithm, kind: ChecksumKind::FullObject, value: value.to_owned() };
    Ok(stored.iter().flat_map(|values| values.split(',')).map(of_part).collect())
}
