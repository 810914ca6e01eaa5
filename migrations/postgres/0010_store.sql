-- Whose database this is, PostgreSQL. Its twin is ../sqlite/0010_store.sql.
--
-- One row: the store's id, which the roots of its tiers carry too, and a constant that the master key sealed.
CREATE TABLE store (
    one        SMALLINT NOT NULL PRIMARY KEY CHECK (one = 1),
    id         UUID NOT NULL,
    sealed     BYTEA,
    created_at BIGINT NOT NULL
);

-- The id that the root of each tier was marked with.
CREATE TABLE store_tiers (
    tier        SMALLINT NOT NULL PRIMARY KEY,
    id          UUID NOT NULL,
    recorded_at BIGINT NOT NULL
);

-- The last start of a server under each writer's name: which, and in which data directory.
CREATE TABLE incarnations (
    writer     UUID NOT NULL PRIMARY KEY,
    generation BIGINT NOT NULL,
    token      UUID NOT NULL,
    host       TEXT NOT NULL,
    boot       TEXT NOT NULL,
    device     BIGINT NOT NULL,
    inode      BIGINT NOT NULL,
    path       TEXT NOT NULL,
    started_at BIGINT NOT NULL
);
