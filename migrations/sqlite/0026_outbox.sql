-- What must be told to the world after a commit, and to whom, SQLite. Its twin is ../postgres/0026_outbox.sql.

-- A target: kind 1 webhook, 2 NATS, 3 mirror. `settings` is JSON; `secret` is sealed with the master key. No more than
-- `rows_max` rows wait for it; what is over is refused (overflow 1) or dropped (2). Delivered rows are kept for `keep_ms`, to be
-- delivered again on request. `epoch` counts the processes that took over its delivery: only the last one acknowledges.
CREATE TABLE outbox_targets (
    name       TEXT NOT NULL PRIMARY KEY,
    kind       INTEGER NOT NULL,
    settings   TEXT NOT NULL,
    secret     BLOB,
    rows_max   INTEGER NOT NULL,
    overflow   INTEGER NOT NULL,
    keep_ms    INTEGER NOT NULL,
    epoch      INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
) STRICT;

-- Which spaces name a target in their settings: it stays while one does.
CREATE TABLE outbox_routes (
    space_id INTEGER NOT NULL REFERENCES spaces (id),
    target   TEXT NOT NULL REFERENCES outbox_targets (name),
    kind     INTEGER NOT NULL,
    PRIMARY KEY (space_id, kind, target)
) STRICT, WITHOUT ROWID;
CREATE INDEX outbox_routes_by_target ON outbox_routes (target);

-- One row an event and target, written in the transaction that made the change. Rows of one key ascend in `seq` as their
-- transactions were committed. `coalesced`: a later row of the key takes the place of this one. `facts` is JSON.
CREATE TABLE outbox (
    seq          INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    target       TEXT NOT NULL REFERENCES outbox_targets (name) ON DELETE CASCADE,
    space_id     INTEGER NOT NULL REFERENCES spaces (id) ON DELETE CASCADE,
    key          TEXT NOT NULL,
    event        INTEGER NOT NULL,
    event_id     BLOB NOT NULL,
    coalesced    INTEGER NOT NULL,
    facts        TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    delivered_at INTEGER
) STRICT;
CREATE INDEX outbox_waiting ON outbox (target, seq) WHERE delivered_at IS NULL;
CREATE INDEX outbox_delivered ON outbox (target, delivered_at) WHERE delivered_at IS NOT NULL;
CREATE INDEX outbox_coalesced ON outbox (target, space_id, key) WHERE coalesced;
