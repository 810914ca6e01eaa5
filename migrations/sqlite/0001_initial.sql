-- The first schema, SQLite. Its twin is ../postgres/0001_initial.sql; a test compares what they end in.
--
-- Times are milliseconds since the epoch, sizes and offsets bytes, ids UUIDs.
-- UUIDs and digests are BLOBs, booleans 0 and 1; text compares by its bytes (BINARY), as keys must.
-- Codes: class and tier 1 cold, 2 hot; versioning 0 off, 1 enabled, 2 suspended.

CREATE TABLE spaces (
    id            INTEGER PRIMARY KEY,
    namespace     TEXT NOT NULL,
    tenant        TEXT NOT NULL,
    versioning    INTEGER NOT NULL DEFAULT 0,
    default_class INTEGER NOT NULL DEFAULT 2,
    created_at    INTEGER NOT NULL,
    UNIQUE (namespace, tenant)
) STRICT;

-- `tenant` repeats the space's, so that a tenant's buckets are one range of an index.
CREATE TABLE buckets (
    name       TEXT NOT NULL PRIMARY KEY,
    space_id   INTEGER NOT NULL REFERENCES spaces (id),
    tenant     TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX buckets_by_space ON buckets (space_id);
CREATE UNIQUE INDEX buckets_by_tenant ON buckets (tenant, name);

-- kind: 1 single, 2 pack. state: 1 open, 2 sealed, 3 condemned, 4 orphaned (open, its writer dead).
-- `writer` is set exactly while the segment is open or orphaned.
CREATE TABLE segments (
    id         BLOB NOT NULL PRIMARY KEY,
    tier       INTEGER NOT NULL,
    kind       INTEGER NOT NULL,
    state      INTEGER NOT NULL,
    writer     BLOB,
    size       INTEGER NOT NULL DEFAULT 0,
    live_bytes INTEGER NOT NULL DEFAULT 0,
    dead_bytes INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX segments_by_writer ON segments (writer) WHERE writer IS NOT NULL;
CREATE INDEX segments_condemned ON segments (id) WHERE state = 3;
CREATE INDEX segments_sparse ON segments (live_bytes) WHERE kind = 2 AND state = 2 AND live_bytes < dead_bytes;

-- A leaf has parts = 0 and a place in a segment; a composite has parts >= 1 and extents instead.
-- `space_id` is the space that first brought the bytes, to whose physical usage they count.
CREATE TABLE blobs (
    id          BLOB NOT NULL PRIMARY KEY,
    domain      TEXT NOT NULL,
    hash        BLOB NOT NULL,
    parts       INTEGER NOT NULL,
    size        INTEGER NOT NULL,
    segment_id  BLOB REFERENCES segments (id),
    seg_offset  INTEGER,
    space_id    INTEGER NOT NULL REFERENCES spaces (id),
    quarantined INTEGER NOT NULL DEFAULT FALSE,
    created_at  INTEGER NOT NULL,
    UNIQUE (domain, hash, parts)
) STRICT;
CREATE INDEX blobs_by_segment ON blobs (segment_id) WHERE segment_id IS NOT NULL;

-- What a composite consists of: stretches of leaves, `start` being the offset in the composite. Every part
-- has at least one row; a row of length 0 stands for an empty part and nothing else.
CREATE TABLE extents (
    parent_id    BLOB NOT NULL REFERENCES blobs (id),
    start        INTEGER NOT NULL,
    part         INTEGER NOT NULL,
    child_id     BLOB NOT NULL REFERENCES blobs (id),
    child_offset INTEGER NOT NULL,
    length       INTEGER NOT NULL,
    PRIMARY KEY (parent_id, start, part)
) STRICT, WITHOUT ROWID;
CREATE INDEX extents_by_child ON extents (child_id);
CREATE INDEX extents_by_part ON extents (parent_id, part, start);

-- One version of a key ('' for an object without one). state: 1 writing, 2 committed, 3 deleting.
-- blob_id is NULL for a delete marker and while writing. Versions of a key are ordered by id.
-- `writer` and `segment_id` say who is writing what, and are NULL afterwards.
CREATE TABLE objects (
    space_id        INTEGER NOT NULL REFERENCES spaces (id),
    key             TEXT NOT NULL,
    id              BLOB NOT NULL,
    state           INTEGER NOT NULL,
    is_latest       INTEGER NOT NULL,
    is_null_version INTEGER NOT NULL,
    blob_id         BLOB REFERENCES blobs (id),
    size            INTEGER NOT NULL,
    etag            TEXT NOT NULL,
    class           INTEGER NOT NULL,
    headers         TEXT,
    metadata        TEXT,
    tags            TEXT,
    checksum        TEXT,
    upload_id       BLOB,
    writer          BLOB,
    segment_id      BLOB,
    created_at      INTEGER NOT NULL,
    -- Clustered on what listings scan: bytes of the key, then newest first.
    PRIMARY KEY (space_id, key, id DESC)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX objects_by_id ON objects (id);
CREATE UNIQUE INDEX objects_latest ON objects (space_id, key) WHERE is_latest AND key <> '';
CREATE INDEX objects_by_blob ON objects (blob_id) WHERE blob_id IS NOT NULL;
CREATE INDEX objects_by_upload ON objects (upload_id) WHERE upload_id IS NOT NULL;
CREATE INDEX objects_writing ON objects (writer) WHERE state = 1;
CREATE INDEX objects_deleting ON objects (id) WHERE state = 3;

CREATE TABLE uploads (
    id                 BLOB NOT NULL PRIMARY KEY,
    space_id           INTEGER NOT NULL REFERENCES spaces (id),
    key                TEXT NOT NULL,
    class              INTEGER,
    headers            TEXT,
    metadata           TEXT,
    tags               TEXT,
    checksum_algorithm TEXT,
    checksum_kind      TEXT,
    created_at         INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX uploads_by_key ON uploads (space_id, key, created_at, id);
CREATE INDEX uploads_by_age ON uploads (created_at, id);

CREATE TABLE upload_parts (
    upload_id  BLOB NOT NULL REFERENCES uploads (id),
    number     INTEGER NOT NULL,
    blob_id    BLOB NOT NULL REFERENCES blobs (id),
    size       INTEGER NOT NULL,
    etag       TEXT NOT NULL,
    md5        BLOB,
    checksum   TEXT,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (upload_id, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX upload_parts_by_blob ON upload_parts (blob_id);

-- Blobs that may have lost their last reference, and leaves that may lie on the wrong tier: looked at by
-- background work, which then forgets them. No foreign key: a queue must not keep a blob alive.
CREATE TABLE gc_candidates (
    blob_id BLOB NOT NULL PRIMARY KEY
) STRICT;

CREATE TABLE move_candidates (
    blob_id BLOB NOT NULL PRIMARY KEY
) STRICT;

-- Maintained with every commit; `validate` counts again.
CREATE TABLE usage (
    space_id       INTEGER NOT NULL REFERENCES spaces (id),
    class          INTEGER NOT NULL,
    objects        INTEGER NOT NULL DEFAULT 0,
    logical_bytes  INTEGER NOT NULL DEFAULT 0,
    physical_bytes INTEGER NOT NULL DEFAULT 0,
    deleting       INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (space_id, class)
) STRICT;

-- kind: 1 API token, 2 S3 key. `secret` is a digest or a ciphertext, never the secret.
-- `namespaces` is a JSON array, NULL for all; `rights` as in `read,write`.
CREATE TABLE credentials (
    id          BLOB NOT NULL PRIMARY KEY,
    kind        INTEGER NOT NULL,
    lookup      TEXT NOT NULL,
    secret      BLOB NOT NULL,
    tenant      TEXT NOT NULL,
    namespaces  TEXT,
    rights      TEXT NOT NULL,
    description TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER,
    revoked_at  INTEGER,
    UNIQUE (lookup)
) STRICT;
CREATE INDEX credentials_by_tenant ON credentials (tenant);

CREATE TABLE leases (
    name       TEXT NOT NULL PRIMARY KEY,
    holder     BLOB NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE TABLE writers (
    id         BLOB NOT NULL PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT;
