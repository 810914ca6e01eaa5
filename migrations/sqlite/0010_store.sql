-- Whose database this is, SQLite. Its twin is ../postgres/0010_store.sql.
--
-- One row: the store's id, which the roots of its tiers carry too, and a constant that the master key sealed.
CREATE TABLE store (
    one        INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    id         BLOB NOT NULL,
    sealed     BLOB,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The id that the root of each tier was marked with.
CREATE TABLE store_tiers (
    tier        INTEGER NOT NULL PRIMARY KEY,
    id          BLOB NOT NULL,
    recorded_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The last start of a server under each writer's name: which, and in which data directory.
CREATE TABLE incarnations (
    writer     BLOB NOT NULL PRIMARY KEY,
    generation INTEGER NOT NULL,
    token      BLOB NOT NULL,
    host       TEXT NOT NULL,
    boot       TEXT NOT NULL,
    device     INTEGER NOT NULL,
    inode      INTEGER NOT NULL,
    path       TEXT NOT NULL,
    started_at INTEGER NOT NULL
) STRICT;
