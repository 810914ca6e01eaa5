-- Replicas: who has which work as of when, and who is about to leave, SQLite. Its twin is ../postgres/0032_replicas.sql.
--
-- Goes up whenever a lease goes to another holder, or to the same one after it ran out. Each transaction of a worker
-- looks for the number that its lease was taken with: a server that was paused finds another one, and changes nothing.
ALTER TABLE leases ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;

-- Whether the server was told to stop: it finishes requests and takes no share of a limit any more.
ALTER TABLE writers ADD COLUMN draining INTEGER NOT NULL DEFAULT 0;

-- The version of the program that the start runs; NULL for releases before this column.
ALTER TABLE incarnations ADD COLUMN version TEXT;
