-- What a listing shows: latest versions that are no delete markers. Without it a page reads over every marker
-- before the first live key, and there may be a million.
CREATE UNIQUE INDEX objects_live ON objects (space_id, key) WHERE is_latest AND key <> '' AND blob_id IS NOT NULL;
