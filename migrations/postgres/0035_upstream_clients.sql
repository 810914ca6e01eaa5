-- Who asks for the objects of a space that has an upstream, PostgreSQL. Its twin is ../sqlite/0035_upstream_clients.sql.
--
-- One row for each credential and user agent, bounded; answers counted by where they came from.
CREATE TABLE upstream_clients (
    space_id BIGINT NOT NULL REFERENCES spaces (id),
    who      TEXT COLLATE "C" NOT NULL,
    agent    TEXT COLLATE "C" NOT NULL,
    first_at BIGINT NOT NULL,
    last_at  BIGINT NOT NULL,
    local    BIGINT NOT NULL,
    upstream BIGINT NOT NULL,
    pulled   BIGINT NOT NULL,
    changes  BIGINT NOT NULL,
    other    BIGINT NOT NULL,
    PRIMARY KEY (space_id, who, agent)
);
