-- What open uploads hold, and what completed ones were asked for, PostgreSQL. Its twin is ../sqlite/0013_upload_usage.sql.

-- Bytes of the parts of open uploads (by the upload's class, hot where it has none), and delete markers: a quota
-- counts both. Maintained with every commit; `validate` counts again.
ALTER TABLE usage ADD COLUMN upload_bytes BIGINT NOT NULL DEFAULT 0;
ALTER TABLE usage ADD COLUMN markers BIGINT NOT NULL DEFAULT 0;

-- How many extents an object of all parts would have, and how often the parts have changed: a completion reads them
-- outside its transaction, and sees inside whether they still are what it read.
ALTER TABLE uploads ADD COLUMN pieces BIGINT NOT NULL DEFAULT 0;
ALTER TABLE uploads ADD COLUMN revision BIGINT NOT NULL DEFAULT 0;

-- What an object was completed of, for as long as there is the object: number, size, tag and checksum of each part, a
-- line each. `conditions` are those it was asked under. No foreign key: an upload is gone once it is completed.
CREATE TABLE completions (
    upload_id  UUID NOT NULL PRIMARY KEY,
    parts      TEXT COLLATE "C" NOT NULL,
    left_out   BOOLEAN NOT NULL,
    conditions TEXT COLLATE "C" NOT NULL
);

-- Delete markers, to be counted without a look at what is none.
CREATE INDEX objects_markers ON objects (space_id, class) WHERE state = 2 AND blob_id IS NULL;

INSERT INTO usage (space_id, class, upload_bytes)
    SELECT u.space_id, COALESCE(u.class, 2), SUM(p.size)
    FROM uploads u JOIN upload_parts p ON p.upload_id = u.id WHERE TRUE GROUP BY u.space_id, COALESCE(u.class, 2)
    ON CONFLICT (space_id, class) DO UPDATE SET upload_bytes = excluded.upload_bytes;
INSERT INTO usage (space_id, class, markers)
    SELECT space_id, class, COUNT(*) FROM objects WHERE state = 2 AND blob_id IS NULL GROUP BY space_id, class
    ON CONFLICT (space_id, class) DO UPDATE SET markers = excluded.markers;
UPDATE uploads SET pieces = (
    SELECT COALESCE(SUM(CASE WHEN b.parts = 0 THEN 1
        ELSE (SELECT COUNT(*) FROM extents e WHERE e.parent_id = b.id) END), 0)
    FROM upload_parts p JOIN blobs b ON b.id = p.blob_id WHERE p.upload_id = uploads.id);
