-- Which start of a server commits, and whether its tiers show it, PostgreSQL. Its twin is ../sqlite/0020_fenced_commits.sql.
--
-- The row that every commit of a server updates: one that another start has taken the place of finds another token there,
-- and commits nothing more. NULL: no start was entered since this column is there.
ALTER TABLE commit_counts ADD COLUMN token uuid;

-- When the start had noted itself in both tiers, in milliseconds; NULL before.
ALTER TABLE incarnations ADD COLUMN noted_at BIGINT;
