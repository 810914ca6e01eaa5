//! The two databases that every test runs on.

use std::sync::Arc;

use juststorage_core::testing::postgres::{Cluster, shared};

/// Which database a server keeps its metadata in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// Embedded, in the data directory.
    Sqlite,
    /// A database of its own on a throw-away cluster.
    Postgres,
}

/// A database made for one server.
pub(crate) struct Provided {
    /// The value of `DATABASE_URL`; none leaves the default in force.
    pub(crate) url: Option<String>,
    /// The server's own cluster, kept running as long as this.
    _cluster: Option<Arc<Cluster>>,
}

impl Provided {
    /// A database of this kind, on `cluster`, or on the one that the process shares.
    pub(crate) fn new(database: Database, cluster: Option<Arc<Cluster>>) -> Self {
        match database {
            Database::Sqlite => Self { url: None, _cluster: None },
            Database::Postgres => {
                let url = cluster.as_deref().unwrap_or_else(|| shared()).create_database();
                Self { url: Some(url), _cluster: cluster }
            }
        }
    }
}
