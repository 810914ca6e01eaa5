-- The scrubber's place, PostgreSQL. Its twin is ../sqlite/0005_scrub.sql.

-- One row: the pass under way, or the last one. `after_blob` is the last leaf that was read; before the first,
-- the nil UUID, which no blob has. `finished_at` is NULL while a pass is under way.
CREATE TABLE scrub (
    name        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    pass        BIGINT NOT NULL,
    after_blob  uuid NOT NULL,
    begun_at    BIGINT NOT NULL,
    finished_at BIGINT,
    blobs       BIGINT NOT NULL DEFAULT 0,
    bytes       BIGINT NOT NULL DEFAULT 0,
    damaged     BIGINT NOT NULL DEFAULT 0
);

-- What was found damaged, without a look at what was not.
CREATE INDEX blobs_quarantined ON blobs (id) WHERE quarantined;
