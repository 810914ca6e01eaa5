-- Spaces that are mirrored to their upstream, SQLite. Its twin is ../postgres/0033_mirror.sql.
--
-- fate 3: written here, and brought to the upstream. `there` is the entity tag of what was last seen under the key upstream
-- before something was sent, or of what was fetched, and `here` the tag that the same bytes have here, where that is another
-- one; `sending` that of what was sent since, `?` where only the upstream can tell it; `upload` an upload in parts that is under way there. What has neither tag was changed by somebody else: `changed`
-- is the tag of such an object, which a change from here has replaced or removed. `edited`: what the object carries was
-- changed here after it was fetched or brought.
ALTER TABLE upstream_keys ADD COLUMN there TEXT;
ALTER TABLE upstream_keys ADD COLUMN here TEXT;
ALTER TABLE upstream_keys ADD COLUMN sending TEXT;
ALTER TABLE upstream_keys ADD COLUMN upload TEXT;
ALTER TABLE upstream_keys ADD COLUMN edited INTEGER NOT NULL DEFAULT 0;
ALTER TABLE upstream_keys ADD COLUMN changed TEXT;
ALTER TABLE upstream_keys ADD COLUMN changed_at INTEGER;
CREATE INDEX upstream_keys_changed ON upstream_keys (space_id, changed_at) WHERE changed IS NOT NULL;
UPDATE upstream_keys SET there = (SELECT o.etag FROM objects o WHERE o.id = upstream_keys.object_id) WHERE fate = 1;

-- Changes that the mirror was not told of as too much waited, since a pass over all keys last made that good.
ALTER TABLE upstreams ADD COLUMN dropped INTEGER NOT NULL DEFAULT 0;
ALTER TABLE upstreams ADD COLUMN dropped_at INTEGER NOT NULL DEFAULT 0;
