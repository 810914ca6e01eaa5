-- Items of background work that failed, SQLite. Its twin is ../postgres/0012_stuck.sql.

-- One row an item, until it succeeds or is gone. The worker leaves the item alone until `next_at`, and works on.
CREATE TABLE stuck (
    worker   TEXT NOT NULL,
    item     TEXT NOT NULL,
    error    TEXT NOT NULL,
    failures INTEGER NOT NULL,
    since    INTEGER NOT NULL,
    next_at  INTEGER NOT NULL,
    PRIMARY KEY (worker, item)
) STRICT, WITHOUT ROWID;
