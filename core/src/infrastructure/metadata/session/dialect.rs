//! Where the two engines differ: fragments of SQL, and how they are put together.

/// One statement in both engines' words. Made by [`sql!`] only, so that the test which prepares every
/// statement finds every statement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sql {
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
}

/// A statement: string literals and names of fragments, put together at compile time.
///
/// `rows` stands for the list of a multi-row `VALUES`, `list` for the values of an `IN`; both are filled in at
/// run time.
macro_rules! sql {
    ($($piece:tt),+ $(,)?) => {
        $crate::infrastructure::metadata::session::dialect::Sql {
            sqlite: $crate::infrastructure::metadata::session::dialect::joined!(sqlite: $($piece),+),
            postgres: $crate::infrastructure::metadata::session::dialect::joined!(postgres: $($piece),+),
        }
    };
}

/// Pieces as one text, in one engine's words.
macro_rules! joined {
    ($engine:ident: $($piece:tt),+) => {
        concat!($($crate::infrastructure::metadata::session::dialect::piece!($engine $piece)),+)
    };
}

/// A piece of a statement, put together of others by [`joined!`] where they share a text. (By its path, since it is
/// looked for where the statement stands.) SQLite has one writer at a time, which holds the whole database from its
/// `BEGIN IMMEDIATE`: there is nothing to lock row by row.
macro_rules! piece {
    ($engine:ident $text:literal) => {
        $text
    };
    // Keeps others from changing the row, or from referring to it, until the end of the transaction.
    (postgres for_update) => {
        " FOR UPDATE"
    };
    // The same for `objects o` of a join.
    (postgres for_update_of_object) => {
        " FOR UPDATE OF o"
    };
    // The same, and keeps others from changing its space, `spaces s`.
    (postgres for_update_of_object_in_space) => {
        " FOR UPDATE OF o FOR SHARE OF s"
    };
    (sqlite for_update_of_object_in_space) => {
        ""
    };
    // For `buckets u` joined with its `spaces s`: keeps others from removing the one and from changing the other.
    (postgres for_share_of_bucket) => {
        " FOR KEY SHARE OF u FOR SHARE OF s"
    };
    (sqlite for_share_of_bucket) => {
        ""
    };
    // For `buckets u` joined with its `spaces s`: keeps others from being in the one and from relying on what the other
    // is like, but not from referring to that.
    (postgres for_update_of_bucket) => {
        " FOR UPDATE OF u FOR NO KEY UPDATE OF s"
    };
    (sqlite for_update_of_bucket) => {
        ""
    };
    // Leaves rows that others hold for another time.
    (postgres for_update_skip_locked) => {
        " FOR UPDATE SKIP LOCKED"
    };
    // Keeps others from changing the row; does not delay transactions that refer to it.
    (postgres for_share) => {
        " FOR SHARE"
    };
    // Keeps others from changing the row and from relying on what it is like, but not from referring to it.
    (postgres for_no_key_update) => {
        " FOR NO KEY UPDATE"
    };
    (sqlite for_no_key_update) => {
        ""
    };
    // Keeps others from removing the row.
    (postgres for_key_share) => {
        " FOR KEY SHARE"
    };
    (sqlite for_update) => {
        ""
    };
    (sqlite for_update_of_object) => {
        ""
    };
    (sqlite for_update_skip_locked) => {
        ""
    };
    (sqlite for_share) => {
        ""
    };
    (sqlite for_key_share) => {
        ""
    };
    // The numbers that the domain gives to states, kinds and settings; a test holds each to its constant. They stand in
    // the text, not among its values: PostgreSQL uses a partial index only if the text implies its condition ("Partial
    // Indexes" in its manual), SQLite would prepare the statement again for each value.
    // `ObjectState`:
    ($engine:ident writing) => {
        "1"
    };
    ($engine:ident committed) => {
        "2"
    };
    ($engine:ident deleting) => {
        "3"
    };
    // `SegmentState`:
    ($engine:ident open) => {
        "1"
    };
    ($engine:ident sealed) => {
        "2"
    };
    ($engine:ident condemned) => {
        "3"
    };
    ($engine:ident orphaned) => {
        "4"
    };
    // `SegmentKind`:
    ($engine:ident single) => {
        "1"
    };
    ($engine:ident pack) => {
        "2"
    };
    // `Versioning::Off`:
    ($engine:ident unversioned) => {
        "0"
    };
    // `StorageClass`; under the hot one the parts of an upload count that has no class:
    ($engine:ident cold) => {
        "1"
    };
    // `upstream::Fate`:
    ($engine:ident pulled) => {
        "1"
    };
    ($engine:ident owned) => {
        "2"
    };
    ($engine:ident hot) => {
        "2"
    };
    ($engine:ident rows) => {
        "{rows}"
    };
    ($engine:ident list) => {
        "{list}"
    };
    // A version but for its id and its space, and its content.
    ($engine:ident version_columns) => {
        "o.key, o.blob_id, o.size, o.etag, o.class, o.headers, o.metadata, o.tags, o.checksum, o.object_lock, \
         o.acl, o.class_name, o.is_latest, o.is_null_version, o.created_at, \
         b.hash, b.parts, b.segment_id IS NULL AS in_pieces, COALESCE(b.part_count, b.parts) AS part_count"
    };
    // What `rows::content` reads of a blob beside its id. Rows of earlier releases have no `part_count`: theirs is in the name.
    ($engine:ident content) => {
        "b.hash, b.parts, b.segment_id IS NULL AS in_pieces, COALESCE(b.part_count, b.parts) AS part_count, b.size"
    };
    ($engine:ident object_columns) => {
        $crate::infrastructure::metadata::session::dialect::joined!($engine:
            "o.id, o.space_id, s.namespace, s.tenant, s.versioning, s.settings, s.upstream, ",
            version_columns
        )
    };
    ($engine:ident object_joins) => {
        " JOIN spaces s ON s.id = o.space_id LEFT JOIN blobs b ON b.id = o.blob_id"
    };
    // What `rows::object` reads.
    ($engine:ident object) => {
        $crate::infrastructure::metadata::session::dialect::joined!($engine:
            "SELECT ",
            object_columns,
            " FROM objects o",
            object_joins
        )
    };
    // Around a select of `listed`, of the space that the first value names: its rows as one value (SQLite's),
    // in the order of `page::COLUMNS`, behind the space's.
    (sqlite page_of_objects) => {
        "SELECT (SELECT json_array(id, namespace, tenant, versioning, settings, upstream) FROM spaces WHERE id = $1), \
         json_group_array(json_array(hex(id), key, hex(blob_id), size, etag, class, headers, metadata, tags, \
         checksum, object_lock, acl, class_name, is_latest, is_null_version, created_at, hex(hash), parts, \
         in_pieces, part_count)) FROM ("
    };
    // What `rows::object` reads, for one page of one space.
    (sqlite listed) => {
        $crate::infrastructure::metadata::session::dialect::joined!(sqlite:
            "SELECT o.id, ",
            version_columns,
            " FROM objects o LEFT JOIN blobs b ON b.id = o.blob_id"
        )
    };
    (postgres listed) => {
        $crate::infrastructure::metadata::session::dialect::joined!(postgres: object)
    };
    // The same through the index of what a listing shows, which the planner would not choose for itself: one
    // seek over a million delete markers, and a second one for every row.
    (sqlite listed_live) => {
        $crate::infrastructure::metadata::session::dialect::joined!(sqlite:
            "SELECT o.id, ",
            version_columns,
            " FROM ",
            live_objects,
            " LEFT JOIN blobs b ON b.id = o.blob_id"
        )
    };
    (postgres listed_live) => {
        $crate::infrastructure::metadata::session::dialect::joined!(postgres: object)
    };
    // `objects o`, of which only keys are read that a listing shows.
    (sqlite live_objects) => {
        "objects o INDEXED BY objects_live"
    };
    (postgres live_objects) => {
        "objects o"
    };
    // `objects o`, of which only keys are read, in a space without delete markers.
    (sqlite latest_objects) => {
        "objects o INDEXED BY objects_latest"
    };
    (postgres latest_objects) => {
        "objects o"
    };
    // The same around a select of what `objects::list_latest` reads.
    (sqlite page_of_latest) => {
        "SELECT json_group_array(json_array(key, size, etag, class, checksum, created_at, class_name)) FROM ("
    };
    (postgres page_of_latest) => {
        ""
    };
    // The same around a select of keys.
    (sqlite page_of_keys) => {
        "SELECT json_group_array(key) FROM ("
    };
    (postgres page_of_keys) => {
        ""
    };
    // From one common prefix to the next (`objects::walk`): which objects, twice, and which of them count, twice.
    ($engine:ident walk_begins_in) => {
        "WITH RECURSIVE walk (key, n) AS (SELECT (SELECT o.key FROM "
    };
    ($engine:ident walk_first) => {
        " WHERE o.space_id = $1 AND o.key >= $2 AND o.key < $3 AND "
    };
    ($engine:ident walk_goes_on_in) => {
        " ORDER BY o.key LIMIT 1), 1 UNION ALL SELECT (SELECT o.key FROM "
    };
    ($engine:ident walk_next) => {
        $crate::infrastructure::metadata::session::dialect::joined!($engine:
            " WHERE o.space_id = $1 AND o.key >= substr(w.key, 1, $4 + NULLIF(",
            position_in,
            "(substr(w.key, $4 + 1), $5), 0) - 1) || $6 AND o.key < $3 AND "
        )
    };
    ($engine:ident walk_ends) => {
        " ORDER BY o.key LIMIT 1), w.n + 1 FROM walk w WHERE w.n < $7 AND w.key IS NOT NULL) \
         SELECT key FROM walk WHERE key IS NOT NULL"
    };
    // Where a text holds another, in characters from 1; 0 if it does not.
    (sqlite position_in) => {
        "instr"
    };
    (postgres position_in) => {
        "strpos"
    };
    (sqlite end_of_page) => {
        ")"
    };
    (postgres page_of_objects) => {
        ""
    };
    (postgres end_of_page) => {
        ""
    };
    // What `rows::found` reads.
    ($engine:ident found) => {
        $crate::infrastructure::metadata::session::dialect::joined!($engine:
            "SELECT ",
            object_columns,
            ", b.segment_id, b.seg_offset, g.tier FROM objects o",
            object_joins,
            " LEFT JOIN segments g ON g.id = b.segment_id"
        )
    };
    ($engine:ident space_columns) => {
        "s.id, s.namespace, s.tenant, s.versioning, s.default_class, s.settings, s.object_lock, s.upstream, s.created_at"
    };
    // What `rows::space` reads.
    ($engine:ident space) => {
        $crate::infrastructure::metadata::session::dialect::joined!($engine:
            "SELECT ",
            space_columns,
            " FROM spaces s"
        )
    };
    // What `rows::bucket` reads.
    ($engine:ident bucket) => {
        $crate::infrastructure::metadata::session::dialect::joined!($engine:
            "SELECT ",
            space_columns,
            ", u.name, u.created_at AS named_at FROM buckets u JOIN spaces s ON s.id = u.space_id"
        )
    };
    // What `rows::upload` reads.
    ($engine:ident upload) => {
        $crate::infrastructure::metadata::session::dialect::joined!($engine:
            "SELECT ",
            space_columns,
            ", u.id AS upload_id, u.key, u.class, u.headers, u.metadata, u.tags, u.object_lock AS \
             upload_lock, u.acl, u.class_name, u.checksum_algorithm, u.checksum_kind, u.created_at AS begun_at FROM uploads u \
             JOIN spaces s ON s.id = u.space_id"
        )
    };
    // What `rows::part` reads.
    ($engine:ident part) => {
        $crate::infrastructure::metadata::session::dialect::joined!($engine:
            "SELECT p.number, p.blob_id, ",
            content,
            ", p.etag, p.md5, p.checksum, p.created_at FROM upload_parts p JOIN blobs b ON b.id = p.blob_id"
        )
    };
    // Of how many extents each part of an upload consists that was copied from a composite.
    ($engine:ident pieces_of_parts) => {
        "SELECT p.number, COUNT(*) AS pieces FROM upload_parts p JOIN extents e ON e.parent_id = p.blob_id \
         WHERE p.upload_id = $1 GROUP BY p.number"
    };
    // What `rows::segment` reads.
    ($engine:ident segment) => {
        "SELECT g.id, g.tier, g.kind, g.state, g.size, g.live_bytes FROM segments g"
    };
    // What `segments::sparse_packs` reads.
    ($engine:ident segment_with_dead_bytes) => {
        "SELECT g.id, g.tier, g.kind, g.state, g.size, g.live_bytes, g.dead_bytes FROM segments g"
    };
    // The thousandths of a segment's payload that are live, as `placement::live_share` has it and the index
    // `segments_by_live_share` is ordered by.
    ($engine:ident live_share) => {
        "COALESCE(g.live_bytes * 1000 / NULLIF(g.live_bytes + g.dead_bytes, 0), 1000)"
    };
    // What `kept::kept` reads.
    ($engine:ident kept) => {
        "SELECT g.id, g.tier, g.kind, g.state, g.size, g.live_bytes, k.records FROM kept_segments k \
         JOIN segments g ON g.id = k.segment_id"
    };
    // What `rows::leaf` reads.
    ($engine:ident leaf) => {
        "SELECT b.id, b.domain, b.hash, b.size, b.segment_id, b.seg_offset, b.quarantined, g.tier \
         FROM blobs b JOIN segments g ON g.id = b.segment_id"
    };
    // Milliseconds since 1970 by the database's clock.
    (postgres database_now) => {
        "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"
    };
    (sqlite database_now) => {
        "CAST(unixepoch('subsec') * 1000 AS INTEGER)"
    };
    // What a tenant keeps, given as $1.
    ($engine:ident holdings) => {
        "SELECT CAST(COALESCE(SUM(u.logical_bytes + CASE WHEN u.upload_bytes > 0 THEN u.upload_bytes ELSE 0 END), 0) \
         AS BIGINT) AS bytes, \
         CAST(COALESCE(SUM(u.objects + CASE WHEN u.markers > 0 THEN u.markers ELSE 0 END), 0) AS BIGINT) AS objects \
         FROM spaces s JOIN usage u ON u.space_id = s.id WHERE s.tenant = $1"
    };
    // What `limits::overrides` reads.
    ($engine:ident tenant_limits) => {
        "SELECT tenant, requests_per_second, concurrent_requests, upload_bytes_per_second, \
         download_bytes_per_second, quota_bytes, quota_objects FROM tenant_limits"
    };
    // What `rows::credential` reads.
    // The bytes of the database as a whole. SQLite's log is not among them.
    (sqlite database_bytes) => {
        "page_count * page_size"
    };
    (sqlite database_pages) => {
        " FROM pragma_page_count(), pragma_page_size()"
    };
    (postgres database_bytes) => {
        "pg_database_size(current_database())"
    };
    (postgres database_pages) => {
        ""
    };
    ($engine:ident credential) => {
        "SELECT id, kind, lookup, secret, tenant, namespaces, rights, description, created_at, expires_at, \
         revoked_at, prefixes FROM credentials"
    };
}

pub(crate) use {joined, piece, sql};

#[cfg(test)]
mod tests {
    use crate::application::ports::segments::SegmentKind;
    use crate::domain::space::Versioning;
    use crate::domain::state::{ObjectState, SegmentState};
    use crate::domain::storage_class::StorageClass;
    use crate::domain::upstream::Fate;
    use crate::infrastructure::metadata::read::rows::kind_code;

    #[test]
    fn numbers_in_statements_are_those_of_the_domain() {
        for (number, code) in [
            (joined!(sqlite: writing), ObjectState::Writing.code()),
            (joined!(sqlite: committed), ObjectState::Committed.code()),
            (joined!(sqlite: deleting), ObjectState::Deleting.code()),
            (joined!(sqlite: open), SegmentState::Open.code()),
            (joined!(sqlite: sealed), SegmentState::Sealed.code()),
            (joined!(sqlite: condemned), SegmentState::Condemned.code()),
            (joined!(sqlite: orphaned), SegmentState::Orphaned.code()),
            (joined!(sqlite: single), kind_code(SegmentKind::Single)),
            (joined!(sqlite: pack), kind_code(SegmentKind::Pack)),
            (joined!(sqlite: unversioned), Versioning::Off.code()),
            (joined!(sqlite: pulled), Fate::Pulled.code()),
            (joined!(sqlite: owned), Fate::Owned.code()),
            (joined!(sqlite: cold), StorageClass::Cold.code()),
            (joined!(sqlite: hot), StorageClass::Hot.code()),
        ] {
            assert_eq!(number, code.to_string());
        }
    }
}
