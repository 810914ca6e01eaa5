-- Who asks for the objects of a space that has an upstream, SQLite. Its twin is ../postgres/0035_upstream_clients.sql.
--
-- One row for each credential and user agent, bounded; answers counted by where they came from.
CREATE TABLE upstream_clients (
    space_id INTEGER NOT NULL REFERENCES spaces (id),
    who      TEXT NOT NULL,
    agent    TEXT NOT NULL,
    first_at INTEGER NOT NULL,
    last_at  INTEGER NOT NULL,
    local    INTEGER NOT NULL,
    upstream INTEGER NOT NULL,
    pulled   INTEGER NOT NULL,
    changes  INTEGER NOT NULL,
    other    INTEGER NOT NULL,
    PRIMARY KEY (space_id, who, agent)
) STRICT, WITHOUT ROWID;
