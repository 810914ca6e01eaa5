-- The keys that a credential is bound to, PostgreSQL. Its twin is ../sqlite/0028_key_prefixes.sql.
--
-- `prefixes` is a JSON array, NULL for all keys. `rights` of a bound credential begins with `bound,`: a release that does not
-- know prefixes cannot read such a row, and so refuses the credential.
ALTER TABLE credentials ADD COLUMN prefixes TEXT COLLATE "C";
