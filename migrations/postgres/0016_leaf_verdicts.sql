-- What a start on an older database may not destroy, PostgreSQL. Its twin is ../sqlite/0016_leaf_verdicts.sql.

-- How many transactions of each server have committed. The tiers hold a note of it: a database that counts less than
-- the note says has lost some of them.
CREATE TABLE commit_counts (
    writer  uuid NOT NULL PRIMARY KEY,
    commits BIGINT NOT NULL DEFAULT 0
);

-- Segments that may hold acknowledged bytes of which this database does not know: never condemned, never compacted.
-- `records` and `bytes` say what was found in them; NULL until they were looked at.
CREATE TABLE kept_segments (
    segment_id uuid NOT NULL PRIMARY KEY,
    records    BIGINT,
    bytes      BIGINT,
    kept_at    BIGINT NOT NULL
);
