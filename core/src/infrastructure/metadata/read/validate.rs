//! Maintained figures and redundant columns against what they stand for.
//!
//! Each rule is one statement that lists what breaks it, as one column of text: which row, and how. All of
//! them look at one state of the database.

use sqlx::Row as _;

use crate::application::ports::metadata::Inconsistency;
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::{Sql, sql};
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::transaction::Transaction;

pub(crate) async fn inconsistencies(db: &Database) -> Result<Vec<Inconsistency>, Fault> {
    let mut tx = db.snapshot().await?;
    let mut found = integrity(&mut tx).await?;
    if found.iter().any(|finding| finding.code == DAMAGED) {
        // Further checks of a damaged file prove nothing.
        return Ok(found);
    }
    for (code, rule) in rules() {
        found.extend(check(&mut tx, code, rule).await?);
    }
    tx.commit().await?;
    Ok(found)
}

/// The code of a finding about the database file itself.
const DAMAGED: &str = "database-damaged";

/// Findings of one kind that SQLite lists at most.
const FINDINGS_MAX: usize = 100;

/// SQLite's check of its own file: pages, indices and constraints, and references that lead nowhere, which it does not
/// look for unless a row changes. PostgreSQL has no such question; its checksums are the server's.
async fn integrity(tx: &mut Transaction) -> Result<Vec<Inconsistency>, Fault> {
    let Transaction::Sqlite(tx) = tx else { return Ok(Vec::new()) };
    let connection = tx.connection().await?;
    let damaged = |detail| Inconsistency { code: DAMAGED, detail };
    let advice = "restore the database from its backup";
    match sqlx::query("PRAGMA integrity_check(100)").fetch_all(&mut *connection).await {
        Ok(rows) => {
            let mut found = Vec::new();
            for row in rows {
                let said: String = row.try_get(0)?;
                found.extend((said != "ok").then(|| damaged(format!("{said}; {advice}"))));
            }
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Err(sqlx::Error::Database(error)) if is_damage(error.code().as_deref()) => {
            return Ok(vec![damaged(format!("{error}; {advice}"))]);
        }
        Err(error) => return Err(error.into()),
    }
    let rows = sqlx::query("PRAGMA foreign_key_check").fetch_all(connection).await?;
    let mut found = Vec::new();
    for row in rows.iter().take(FINDINGS_MAX) {
        let (table, id, parent): (String, Option<i64>, String) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let id = id.map_or_else(String::new, |id| format!(" {id}"));
        let detail = format!("row{id} of {table} refers to a row of {parent} that is not there");
        found.push(Inconsistency { code: "reference-broken", detail });
    }
    Ok(found)
}

/// `CORRUPT` and `NOTADB` (sqlite.org/rescode.html).
fn is_damage(code: Option<&str>) -> bool {
    code.and_then(|code| code.parse::<u32>().ok()).is_some_and(|code| matches!(code & 0xff, 11 | 26))
}

async fn check(tx: &mut Transaction, code: &'static str, rule: Sql) -> Result<Vec<Inconsistency>, Fault> {
    tx.query(rule).map(|row| Ok(Inconsistency { code, detail: row.first()? })).await
}

fn rules() -> Vec<(&'static str, Sql)> {
    let mut rules = figures();
    rules.extend(versions());
    rules.extend(contents());
    rules.extend(garbage());
    rules
}

fn figures() -> Vec<(&'static str, Sql)> {
    vec![
        (
            "usage-mismatch",
            sql!(
                "SELECT 'space ' || CAST(t.space_id AS TEXT) || ' class ' || CAST(t.class AS TEXT) \
                 || ': objects, logical, physical, deleting are off by ' \
                 || CAST(SUM(t.objects) AS TEXT) || ', ' || CAST(SUM(t.logical) AS TEXT) || ', ' \
                 || CAST(SUM(t.physical) AS TEXT) || ', ' || CAST(SUM(t.deleting) AS TEXT) FROM (\
                 SELECT space_id, class, objects, logical_bytes AS logical, physical_bytes AS physical, \
                 deleting FROM usage \
                 UNION ALL SELECT space_id, class, \
                 CASE WHEN state = ",
                committed,
                " AND blob_id IS NOT NULL THEN -1 ELSE 0 END, \
                 CASE WHEN state = ",
                committed,
                " THEN -size ELSE 0 END, 0, CASE WHEN state = ",
                deleting,
                " THEN -1 ELSE 0 END \
                 FROM objects \
                 UNION ALL SELECT b.space_id, g.tier, 0, 0, -b.size, 0 \
                 FROM blobs b JOIN segments g ON g.id = b.segment_id) t \
                 GROUP BY t.space_id, t.class HAVING SUM(t.objects) <> 0 OR SUM(t.logical) <> 0 \
                 OR SUM(t.physical) <> 0 OR SUM(t.deleting) <> 0"
            ),
        ),
        (
            "quota-mismatch",
            sql!(
                "SELECT 'space ' || CAST(t.space_id AS TEXT) || ' class ' || CAST(t.class AS TEXT) \
                 || ': bytes of open uploads, delete markers are off by ' \
                 || CAST(SUM(t.bytes) AS TEXT) || ', ' || CAST(SUM(t.markers) AS TEXT) FROM (\
                 SELECT space_id, class, upload_bytes AS bytes, markers FROM usage \
                 UNION ALL SELECT u.space_id, COALESCE(u.class, ",
                hot,
                "), -p.size, 0 \
                 FROM uploads u JOIN upload_parts p ON p.upload_id = u.id \
                 UNION ALL SELECT space_id, class, 0, -1 FROM objects WHERE state = ",
                committed,
                " AND blob_id IS NULL) t \
                 GROUP BY t.space_id, t.class HAVING SUM(t.bytes) <> 0 OR SUM(t.markers) <> 0"
            ),
        ),
        (
            "live-bytes-mismatch",
            sql!(
                "SELECT 'a segment counts ' || CAST(g.live_bytes AS TEXT) || ' live bytes, its blobs have ' \
                 || CAST(COALESCE(SUM(b.size), 0) AS TEXT) FROM segments g \
                 LEFT JOIN blobs b ON b.segment_id = g.id GROUP BY g.id, g.live_bytes \
                 HAVING g.live_bytes <> COALESCE(SUM(b.size), 0)"
            ),
        ),
    ]
}

fn versions() -> Vec<(&'static str, Sql)> {
    vec![
        (
            "latest-missing",
            sql!(
                "SELECT 'space ' || CAST(o.space_id AS TEXT) || ' key ' || o.key FROM objects o \
                 WHERE o.state = ",
                committed,
                " AND o.key <> '' GROUP BY o.space_id, o.key \
                 HAVING SUM(CASE WHEN o.is_latest THEN 1 ELSE 0 END) <> 1"
            ),
        ),
        (
            "latest-not-newest",
            sql!(
                "SELECT 'space ' || CAST(o.space_id AS TEXT) || ' key ' || o.key FROM objects o \
                 WHERE o.is_latest AND o.key <> '' AND EXISTS (SELECT 1 FROM objects n \
                 WHERE n.space_id = o.space_id AND n.key = o.key AND n.id > o.id AND n.state = ",
                committed,
                ")"
            ),
        ),
        (
            "latest-not-committed",
            sql!(
                "SELECT 'space ' || CAST(o.space_id AS TEXT) || ' key ' || o.key FROM objects o \
                 WHERE o.is_latest AND o.state <> ",
                committed
            ),
        ),
        (
            "null-versions",
            sql!(
                "SELECT 'space ' || CAST(o.space_id AS TEXT) || ' key ' || o.key || ' has several' \
                 FROM objects o WHERE o.state = ",
                committed,
                " AND o.key <> '' AND o.is_null_version \
                 GROUP BY o.space_id, o.key HAVING COUNT(*) > 1"
            ),
        ),
        (
            "versions-without-versioning",
            sql!(
                "SELECT 'space ' || CAST(o.space_id AS TEXT) || ' key ' || o.key FROM objects o \
                 JOIN spaces s ON s.id = o.space_id WHERE s.versioning = ",
                unversioned,
                " AND o.state = ",
                committed,
                " AND o.key <> '' \
                 GROUP BY o.space_id, o.key HAVING COUNT(*) > 1"
            ),
        ),
    ]
}

fn contents() -> Vec<(&'static str, Sql)> {
    vec![
        (
            "object-size",
            sql!(
                "SELECT 'space ' || CAST(o.space_id AS TEXT) || ' key ' || o.key || ': ' \
                 || CAST(o.size AS TEXT) || ' bytes, its blob has ' || CAST(b.size AS TEXT) \
                 FROM objects o JOIN blobs b ON b.id = o.blob_id WHERE o.size <> b.size"
            ),
        ),
        (
            "blob-shape",
            sql!(
                "SELECT 'a blob of ' || CAST(b.size AS TEXT) || ' bytes in domain ' || b.domain \
                 || ' is neither leaf nor composite' FROM blobs b \
                 WHERE (b.segment_id IS NULL) <> EXISTS (SELECT 1 FROM extents e WHERE e.parent_id = b.id)"
            ),
        ),
        // But for those that are being removed: see `upkeep::garbage::GOING`.
        (
            "composite-length",
            sql!(
                "SELECT 'a composite of ' || CAST(x.size AS TEXT) || ' bytes and ' || CAST(x.count AS TEXT) \
                 || ' parts in domain ' || x.domain FROM (SELECT b.id, b.size, b.domain, \
                 COALESCE(b.part_count, b.parts) AS count, SUM(e.length) AS length, COUNT(DISTINCT e.part) AS parts, \
                 MIN(e.part) AS first, MAX(e.part) AS last FROM blobs b JOIN extents e ON e.parent_id = b.id \
                 WHERE b.domain NOT LIKE 'going:%' \
                 GROUP BY b.id, b.size, b.part_count, b.parts, b.domain) x \
                 WHERE x.length <> x.size OR x.last <> x.count \
                 OR (x.count > 0 AND (x.first <> 1 OR x.parts <> x.count)) OR (x.count = 0 AND x.first <> 0)"
            ),
        ),
        (
            "composite-gap",
            sql!(
                "SELECT 'part ' || CAST(x.part AS TEXT) || ' at ' || CAST(x.start AS TEXT) \
                 || ' does not begin where the stretch before ends' FROM (SELECT e.part, e.start, \
                 SUM(e.length) OVER (PARTITION BY e.parent_id ORDER BY e.start, e.part) - e.length AS due \
                 FROM extents e) x WHERE x.start <> x.due"
            ),
        ),
        (
            "extent-outside-leaf",
            sql!(
                "SELECT 'part ' || CAST(e.part AS TEXT) || ' at ' || CAST(e.start AS TEXT) \
                 FROM extents e JOIN blobs b ON b.id = e.child_id \
                 WHERE b.segment_id IS NULL OR e.child_offset < 0 OR e.length < 0 OR e.child_offset + e.length > b.size"
            ),
        ),
        (
            "leaf-outside-segment",
            sql!(
                "SELECT 'a leaf of domain ' || b.domain || ' ends at ' \
                 || CAST(b.seg_offset + b.size AS TEXT) || ' of ' || CAST(g.size AS TEXT) \
                 FROM blobs b JOIN segments g ON g.id = b.segment_id WHERE b.seg_offset + b.size > g.size"
            ),
        ),
    ]
}

fn garbage() -> Vec<(&'static str, Sql)> {
    vec![
        (
            "blob-in-condemned-segment",
            sql!(
                "SELECT 'a leaf of domain ' || b.domain || ' and ' || CAST(b.size AS TEXT) || ' bytes' \
                 FROM blobs b JOIN segments g ON g.id = b.segment_id WHERE g.state = ",
                condemned
            ),
        ),
        (
            "segment-forgotten",
            sql!(
                "SELECT 'a sealed segment of ' || CAST(g.size AS TEXT) || ' bytes holds nothing' \
                 FROM segments g WHERE g.state = ",
                sealed,
                " AND NOT EXISTS (SELECT 1 FROM blobs b WHERE b.segment_id = g.id) \
                 AND NOT EXISTS (SELECT 1 FROM kept_segments k WHERE k.segment_id = g.id)"
            ),
        ),
        (
            "segment-writer",
            sql!(
                "SELECT 'a segment in state ' || CAST(g.state AS TEXT) FROM segments g \
                 WHERE (g.writer IS NOT NULL) <> (g.state IN (",
                open,
                ", ",
                orphaned,
                "))"
            ),
        ),
        (
            "outbox-route",
            sql!(
                "SELECT 'target ' || r.target || ' is named by space ' || CAST(r.space_id AS TEXT) \
                 || ', which has no such setting' FROM outbox_routes r LEFT JOIN space_settings t \
                 ON t.space_id = r.space_id AND t.kind = r.kind WHERE t.space_id IS NULL"
            ),
        ),
        (
            "blob-forgotten",
            sql!(
                "SELECT 'a blob of domain ' || b.domain || ' and ' || CAST(b.size AS TEXT) \
                 || ' bytes is neither referred to nor a candidate' FROM blobs b \
                 WHERE NOT EXISTS (SELECT 1 FROM objects o WHERE o.blob_id = b.id) \
                 AND NOT EXISTS (SELECT 1 FROM extents e WHERE e.child_id = b.id) \
                 AND NOT EXISTS (SELECT 1 FROM upload_parts p WHERE p.blob_id = b.id) \
                 AND NOT EXISTS (SELECT 1 FROM uploads u WHERE u.draft_id = b.id) \
                 AND NOT EXISTS (SELECT 1 FROM gc_candidates c WHERE c.blob_id = b.id)"
            ),
        ),
    ]
}
