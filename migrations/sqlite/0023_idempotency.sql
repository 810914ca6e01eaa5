-- Which object a request with an idempotency key made, SQLite. Its twin is ../postgres/0023_idempotency.sql.
--
-- Written in the transaction that makes the object: a client that lost the answer repeats the request, and gets the same
-- object. `fingerprint` is the SHA-256 of all that the request asked for. No foreign key: the object may be deleted since.
CREATE TABLE idempotency_keys (
    tenant      TEXT NOT NULL,
    key         TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    object_id   BLOB NOT NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
