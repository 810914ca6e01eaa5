-- Removal that waits, PostgreSQL. Its twin is ../sqlite/0011_retention.sql.

-- When the segment's last blob went. A backup of the database made before that names the segment, so its file is kept
-- for the retention. 0: no backup can name it (no blob of it was ever committed), or an older version condemned it.
ALTER TABLE segments ADD COLUMN condemned_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX segments_condemned_at ON segments (condemned_at, id, size) WHERE state = 3;

-- A backup that is being made: while it holds, no condemned segment is removed. It ends at `expires_at` by itself.
CREATE TABLE backup_holds (
    id         uuid NOT NULL PRIMARY KEY,
    begun_at   BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
