-- A replay goes through the delivered rows of a target in the order of their numbers, PostgreSQL. Its twin is
-- ../sqlite/0030_outbox_kept.sql.
CREATE INDEX outbox_kept ON outbox (target, seq) WHERE delivered_at IS NOT NULL;
