-- What owners grant to strangers, PostgreSQL. Its twin is ../sqlite/0009_acls.sql.
--
-- acl: NULL private, 1 public-read, 2 public-read-write, 3 authenticated-read. A space's own is a document of
-- `space_settings`, of kind 6.
ALTER TABLE objects ADD COLUMN acl SMALLINT;
ALTER TABLE uploads ADD COLUMN acl SMALLINT;
