-- The scrubber's place, SQLite. Its twin is ../postgres/0005_scrub.sql.

-- One row: the pass under way, or the last one. `after_blob` is the last leaf that was read; before the first,
-- the nil UUID, which no blob has. `finished_at` is NULL while a pass is under way.
CREATE TABLE scrub (
    name        TEXT NOT NULL PRIMARY KEY,
    pass        INTEGER NOT NULL,
    after_blob  BLOB NOT NULL,
    begun_at    INTEGER NOT NULL,
    finished_at INTEGER,
    blobs       INTEGER NOT NULL DEFAULT 0,
    bytes       INTEGER NOT NULL DEFAULT 0,
    damaged     INTEGER NOT NULL DEFAULT 0
) STRICT;

-- What was found damaged, without a look at what was not.
CREATE INDEX blobs_quarantined ON blobs (id) WHERE quarantined;
