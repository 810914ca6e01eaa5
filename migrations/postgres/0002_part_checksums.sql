-- The checksums of a completed upload's parts, which S3 answers in GetObjectAttributes and when one part is
-- read. They follow from the composite's bytes and the algorithm alone, so objects that share it share them.
-- `checksums` holds the parts' digests in order, base64, separated by commas.
CREATE TABLE part_checksums (
    blob_id   UUID NOT NULL REFERENCES blobs (id),
    algorithm TEXT COLLATE "C" NOT NULL,
    checksums TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (blob_id, algorithm)
);
