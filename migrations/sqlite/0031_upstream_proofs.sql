-- Of a pulled key its object says what the upstream said of it; only what proved its bytes is kept beside it, SQLite. Its
-- twin is ../postgres/0031_upstream_proofs.sql.
ALTER TABLE upstream_keys DROP COLUMN etag;
ALTER TABLE upstream_keys DROP COLUMN modified;
