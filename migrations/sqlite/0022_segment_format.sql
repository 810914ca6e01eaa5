-- The newest format of segments that the tiers may hold, SQLite. Its twin is ../postgres/0022_segment_format.sql.
--
-- A program that does not know this version of the schema does not know format 2 either, and would take such segments for
-- damage: it refuses to start.
ALTER TABLE store ADD COLUMN segment_format INTEGER NOT NULL DEFAULT 2;
