-- The name of content, its layout and its count of parts, each for itself, SQLite. Its twin is ../postgres/0021_part_counts.sql.
--
-- A blob's name is (hash, parts): the SHA-256 of its bytes where parts is 0, else of so many digests. It is a leaf where
-- segment_id is set, else it consists of extents. S3 counts part_count parts of it; NULL: as many as parts, which is so for
-- every blob of an earlier release.
ALTER TABLE blobs ADD COLUMN part_count INTEGER;
