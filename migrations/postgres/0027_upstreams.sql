-- Spaces that are leaving another S3 store, PostgreSQL. Its twin is ../sqlite/0027_upstreams.sql.
--
-- upstream: 0 none, 1 observe, 2 read-through, 3 mirror, 4 detached.
ALTER TABLE spaces ADD COLUMN upstream SMALLINT NOT NULL DEFAULT 0;

-- Where a space's upstream is (JSON), and its secret key, which the master key sealed.
CREATE TABLE upstreams (
    space_id   BIGINT NOT NULL PRIMARY KEY REFERENCES spaces (id),
    document   TEXT NOT NULL,
    secret     BYTEA NOT NULL,
    changed_at BIGINT NOT NULL
);

-- What became of a key of such a space. fate: 1 pulled (what the upstream said of the object, and what proved its bytes),
-- 2 owned (removed or replaced here: the upstream is not asked for it any more). Of a key that was only ever written here there
-- is no row.
CREATE TABLE upstream_keys (
    space_id  BIGINT NOT NULL REFERENCES spaces (id),
    key       TEXT COLLATE "C" NOT NULL,
    fate      SMALLINT NOT NULL,
    object_id UUID,
    etag      TEXT,
    modified  BIGINT,
    proof     TEXT,
    at        BIGINT NOT NULL,
    PRIMARY KEY (space_id, key)
);
CREATE INDEX upstream_keys_owned ON upstream_keys (space_id, key) WHERE fate = 2;

-- The last pass of each kind of work over an upstream. kind: 1 survey, 2 backfill, 3 verify. `place` is where it goes on, NULL
-- once it is done; `report` what it has found so far (JSON); `revision` the `settings` of the space that it works by.
CREATE TABLE upstream_passes (
    space_id    BIGINT NOT NULL REFERENCES spaces (id),
    kind        SMALLINT NOT NULL,
    revision    BIGINT NOT NULL,
    begun_at    BIGINT NOT NULL,
    touched_at  BIGINT NOT NULL,
    finished_at BIGINT,
    place       TEXT,
    report      TEXT NOT NULL,
    PRIMARY KEY (space_id, kind)
);
