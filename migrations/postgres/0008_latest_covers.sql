-- Nothing changes: its twin, ../sqlite/0008_latest_covers.sql, says in other words what PostgreSQL understands from
-- these. Both engines have the same versions.
SELECT 1;
