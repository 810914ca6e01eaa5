-- Of a pulled key its object says what the upstream said of it; only what proved its bytes is kept beside it, PostgreSQL. Its
-- twin is ../sqlite/0031_upstream_proofs.sql.
ALTER TABLE upstream_keys DROP COLUMN etag;
ALTER TABLE upstream_keys DROP COLUMN modified;
