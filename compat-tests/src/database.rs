//! The two databases that every test runs on.

use std::sync::Arc;

use crate::cluster::Cluster;

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
    /// Kept running as long as this.
    _cluster: Option<Arc<Cluster>>,
}

impl Provided {
    /// A database of this kind, on `cluster` or on the one that the process shares.
    pub(crate) fn new(database: Database, cluster: Option<Arc<Cluster>>) -> Self {
        match database {
            Database::Sqlite => Self { url: None, _cluster: None },
            Database::Postgres => {
                let cluster = cluster.unwrap_or_else(Cluster::shared);
                Self { url: Some(cluster.database()), _cluster: Some(cluster) }
            }
        }
    }
}
