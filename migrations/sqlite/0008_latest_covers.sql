-- The index of latest versions, SQLite. Its twin is ../postgres/0008_latest_covers.sql.
--
-- Said as an equation, the predicate tells the value of is_latest, so that SQLite need not look it up: what asks for
-- keys alone, from one common prefix to the next, is answered from the index.
DROP INDEX objects_latest;
CREATE UNIQUE INDEX objects_latest ON objects (space_id, key) WHERE is_latest = TRUE AND key <> '';
