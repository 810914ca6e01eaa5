//! Why the metadata store could not do what it was asked.

/// Why the metadata store could not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MetadataError {
    /// It cannot be reached, or is shutting down: try again later. Whether a write that got this answer
    /// took place is unknown; it was not acknowledged.
    #[error("the metadata store is unavailable: {0}")]
    Unavailable(String),
    /// Concurrent transactions kept colliding: try again.
    #[error("the transaction kept colliding with others: {0}")]
    Contended(String),
    /// The disk under it is full.
    #[error("the metadata store has no room: {0}")]
    Full(String),
    /// A row holds what no version of this program wrote.
    #[error("unreadable {table}.{column} in row {row}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// Which row, as its key.
        row: String,
    },
    /// The schema is newer than this program.
    #[error("the database has schema version {found}, newer than {known}, the newest this binary knows")]
    NewerSchema {
        /// As found.
        found: i64,
        /// As known.
        known: i64,
    },
    /// Another server has started under this writer's name: this one may write nothing more.
    #[error("another server has started from a copy of this server's data directory")]
    Superseded,
    /// Another process does the work of this name by now: what was planned is not done.
    #[error("another server does the work of {0} by now")]
    LeaseLost(&'static str),
    /// Anything else: a bug, or a database that breaks its word.
    #[error("the metadata store failed: {0}")]
    Failed(String),
}
