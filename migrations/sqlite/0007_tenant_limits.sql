-- Limits of tenants, SQLite. Its twin is ../postgres/0007_tenant_limits.sql.
--
-- NULL is the default of the configuration, -1 no limit. A row of nothing but NULL is there to be locked by
-- transactions that add to what a tenant with a quota holds.

CREATE TABLE tenant_limits (
    tenant                    TEXT NOT NULL PRIMARY KEY,
    requests_per_second       INTEGER,
    concurrent_requests       INTEGER,
    upload_bytes_per_second   INTEGER,
    download_bytes_per_second INTEGER,
    quota_bytes               INTEGER,
    quota_objects             INTEGER,
    updated_at                INTEGER NOT NULL
) STRICT;

-- What a tenant holds is the sum over its spaces.
CREATE INDEX spaces_by_tenant ON spaces (tenant);
