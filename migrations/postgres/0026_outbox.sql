-- What must be told to the world after a commit, and to whom, PostgreSQL. Its twin is ../sqlite/0026_outbox.sql.

-- A target: kind 1 webhook, 2 NATS, 3 mirror. `settings` is JSON; `secret` is sealed with the master key. No more than
-- `rows_max` rows wait for it; what is over is refused (overflow 1) or dropped (2). Delivered rows are kept for `keep_ms`, to be
-- delivered again on request. `epoch` counts the processes that took over its delivery: only the last one acknowledges.
CREATE TABLE outbox_targets (
    name       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    kind       SMALLINT NOT NULL,
    settings   TEXT COLLATE "C" NOT NULL,
    secret     BYTEA,
    rows_max   BIGINT NOT NULL,
    overflow   SMALLINT NOT NULL,
    keep_ms    BIGINT NOT NULL,
    epoch      BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL
);

-- Which spaces name a target in their settings: it stays while one does.
CREATE TABLE outbox_routes (
    space_id BIGINT NOT NULL REFERENCES spaces (id),
    target   TEXT COLLATE "C" NOT NULL REFERENCES outbox_targets (name),
    kind     SMALLINT NOT NULL,
    PRIMARY KEY (space_id, kind, target)
);
CREATE INDEX outbox_routes_by_target ON outbox_routes (target);

-- One row an event and target, written in the transaction that made the change. Rows of one key ascend in `seq` as their
-- transactions were committed. `coalesced`: a later row of the key takes the place of this one. `facts` is JSON.
CREATE TABLE outbox (
    seq          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    target       TEXT COLLATE "C" NOT NULL REFERENCES outbox_targets (name) ON DELETE CASCADE,
    space_id     BIGINT NOT NULL REFERENCES spaces (id) ON DELETE CASCADE,
    key          TEXT COLLATE "C" NOT NULL,
    event        SMALLINT NOT NULL,
    event_id     UUID NOT NULL,
    coalesced    BOOLEAN NOT NULL,
    facts        TEXT COLLATE "C" NOT NULL,
    created_at   BIGINT NOT NULL,
    delivered_at BIGINT
);
CREATE INDEX outbox_waiting ON outbox (target, seq) WHERE delivered_at IS NULL;
CREATE INDEX outbox_delivered ON outbox (target, delivered_at) WHERE delivered_at IS NOT NULL;
CREATE INDEX outbox_coalesced ON outbox (target, space_id, key) WHERE coalesced;
