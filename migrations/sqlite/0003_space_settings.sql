-- What owners set on spaces, and what holds versions against removal.

-- `settings` counts changes of the space's documents; 0: nothing was ever set, and nothing need be read.
-- `object_lock` is set where versions can be locked (JSON: the default retention).
ALTER TABLE spaces ADD COLUMN settings INTEGER NOT NULL DEFAULT 0;
ALTER TABLE spaces ADD COLUMN object_lock TEXT;

-- What holds one version (JSON: retention and legal hold), NULL for nothing.
ALTER TABLE objects ADD COLUMN object_lock TEXT;
ALTER TABLE uploads ADD COLUMN object_lock TEXT;

-- kind: 1 CORS, 2 lifecycle, 3 tags, 4 public access, 5 ownership. `document` is JSON, validated when set.
CREATE TABLE space_settings (
    space_id INTEGER NOT NULL REFERENCES spaces (id),
    kind     INTEGER NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (space_id, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX space_settings_by_kind ON space_settings (kind, space_id);

-- How far the lifecycle worker is in a space: `revision` is the `settings` that the pass applies, `place`
-- where it goes on (JSON), NULL once the pass is done.
CREATE TABLE lifecycle_passes (
    space_id   INTEGER NOT NULL REFERENCES spaces (id),
    revision   INTEGER NOT NULL,
    begun_at   INTEGER NOT NULL,
    touched_at INTEGER NOT NULL,
    place      TEXT,
    PRIMARY KEY (space_id)
) STRICT, WITHOUT ROWID;
