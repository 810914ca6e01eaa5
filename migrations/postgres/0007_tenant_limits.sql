-- Limits of tenants, PostgreSQL. Its twin is ../sqlite/0007_tenant_limits.sql.
--
-- NULL is the default of the configuration, -1 no limit. A row of nothing but NULL is there to be locked by
-- transactions that add to what a tenant with a quota holds.

CREATE TABLE tenant_limits (
    tenant                    TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    requests_per_second       BIGINT,
    concurrent_requests       BIGINT,
    upload_bytes_per_second   BIGINT,
    download_bytes_per_second BIGINT,
    quota_bytes               BIGINT,
    quota_objects             BIGINT,
    updated_at                BIGINT NOT NULL
);

-- What a tenant holds is the sum over its spaces.
CREATE INDEX spaces_by_tenant ON spaces (tenant);
