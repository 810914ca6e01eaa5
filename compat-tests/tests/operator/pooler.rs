//! PgBouncer between the store and PostgreSQL.
