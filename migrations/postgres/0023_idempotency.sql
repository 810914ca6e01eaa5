-- Which object a request with an idempotency key made, PostgreSQL. Its twin is ../sqlite/0023_idempotency.sql.
--
-- Written in the transaction that makes the object: a client that lost the answer repeats the request, and gets the same
-- object. `fingerprint` is the SHA-256 of all that the request asked for. No foreign key: the object may be deleted since.
CREATE TABLE idempotency_keys (
    tenant      TEXT COLLATE "C" NOT NULL,
    key         TEXT COLLATE "C" NOT NULL,
    fingerprint BYTEA NOT NULL,
    object_id   UUID NOT NULL,
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
