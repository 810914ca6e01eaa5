-- Sealed packs in order of how much of their payload is live, the sparsest first. Below which share a pack is rewritten
-- is the program's to say: an index that knows the answer has to be built again when it changes.
DROP INDEX segments_sparse;
CREATE INDEX segments_by_live_share
    ON segments ((COALESCE(live_bytes * 1000 / NULLIF(live_bytes + dead_bytes, 0), 1000)), id)
    WHERE kind = 2 AND state = 2;
