-- Versions that a mirror has sent to an upstream that keeps versions, SQLite. Its twin is ../postgres/0034_mirror_versions.sql.
--
-- `there` is the version's id upstream, NULL until it is known. `sending`: it is about to be sent; the entity tag that it will
-- have there, '' for a delete marker, '?' where only the upstream can tell it. `below`: the id of what was the latest there
-- before. `stale`: the id under which it was sent before, and which is to be removed. A row goes once its version is gone here
-- and there. Of what a mirror without versions has sent there is no row.
CREATE TABLE upstream_versions (
    space_id  INTEGER NOT NULL REFERENCES spaces (id),
    key       TEXT NOT NULL,
    object_id BLOB NOT NULL,
    there     TEXT,
    sending   TEXT,
    below     TEXT,
    stale     TEXT,
    PRIMARY KEY (space_id, key, object_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX upstream_versions_open ON upstream_versions (space_id, key, object_id)
    WHERE sending IS NOT NULL OR stale IS NOT NULL;
