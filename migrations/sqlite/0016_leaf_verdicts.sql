-- What a start on an older database may not destroy, SQLite. Its twin is ../postgres/0016_leaf_verdicts.sql.

-- How many transactions of each server have committed. The tiers hold a note of it: a database that counts less than
-- the note says has lost some of them.
CREATE TABLE commit_counts (
    writer  BLOB NOT NULL PRIMARY KEY,
    commits INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Segments that may hold acknowledged bytes of which this database does not know: never condemned, never compacted.
-- `records` and `bytes` say what was found in them; NULL until they were looked at.
CREATE TABLE kept_segments (
    segment_id BLOB NOT NULL PRIMARY KEY,
    records    INTEGER,
    bytes      INTEGER,
    kept_at    INTEGER NOT NULL
) STRICT;
