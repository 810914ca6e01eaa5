-- Tiers in object stores, SQLite. Its twin is ../postgres/0029_small_packs.sql.
--
-- Sealed packs of a tier in order of their size: small ones are merged. Which ones is the program's to say.
CREATE INDEX segments_by_size ON segments (tier, size, id) WHERE kind = 2 AND state = 2;

-- Names of segments whose write was never acknowledged and which are removed: a request that somebody on the way held back
-- may still create the object. It is removed once more at `due_at`, and the row with it.
CREATE TABLE late_segments (
    id     BLOB NOT NULL PRIMARY KEY,
    tier   INTEGER NOT NULL,
    due_at INTEGER NOT NULL
) STRICT;
CREATE INDEX late_segments_due ON late_segments (due_at);
