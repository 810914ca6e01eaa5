-- Composites that completions draft, PostgreSQL. Its twin is ../sqlite/0017_drafts.sql.

-- The stretches of a long composite are written in portions, before the transaction that completes its upload. Until
-- then the upload refers to it.
ALTER TABLE uploads ADD COLUMN draft_id UUID REFERENCES blobs (id);
CREATE INDEX uploads_by_draft ON uploads (draft_id) WHERE draft_id IS NOT NULL;
