-- Items of background work that failed, PostgreSQL. Its twin is ../sqlite/0012_stuck.sql.

-- One row an item, until it succeeds or is gone. The worker leaves the item alone until `next_at`, and works on.
CREATE TABLE stuck (
    worker   TEXT COLLATE "C" NOT NULL,
    item     TEXT COLLATE "C" NOT NULL,
    error    TEXT COLLATE "C" NOT NULL,
    failures BIGINT NOT NULL,
    since    BIGINT NOT NULL,
    next_at  BIGINT NOT NULL,
    PRIMARY KEY (worker, item)
);
