//! The two databases that every test runs on.

use std::path::Path;
use std::sync::Arc;

use juststorage_core::testing::postgres::{Cluster, shared};
use tempfile::TempDir;

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
    cluster: Option<Arc<Cluster>>,
}

/// The metadata as they were at a moment.
pub struct MetadataCopy {
    files: TempDir,
    /// The copy's own database, on PostgreSQL.
    url: Option<String>,
}

/// What SQLite keeps a database in.
const FILES: [&str; 3] = ["metadata.db", "metadata.db-wal", "metadata.db-shm"];

impl Provided {
    /// Copies the database of a server that does not run, whose data directory is `data`.
    pub(crate) fn copy(&self, data: &Path) -> MetadataCopy {
        let files = tempfile::tempdir().unwrap();
        let url = self.url.as_ref().map(|url| {
            let copy = self.cluster().create_database();
            self.cluster().copy_database(url, &copy);
            copy
        });
        for name in FILES {
            let _ = std::fs::copy(data.join(name), files.path().join(name));
        }
        MetadataCopy { files, url }
    }

    /// Puts a copy in the place of the database of a server that does not run; with none, an empty database.
    pub(crate) fn put_back(&self, data: &Path, copy: Option<&MetadataCopy>) {
        if let Some(url) = &self.url {
            let empty = || self.cluster().create_database();
            let of = copy.and_then(|copy| copy.url.clone()).unwrap_or_else(empty);
            self.cluster().copy_database(&of, url);
            return;
        }
        for name in FILES {
            let _ = std::fs::remove_file(data.join(name));
            if let Some(copy) = copy {
                let _ = std::fs::copy(copy.files.path().join(name), data.join(name));
            }
        }
    }

    fn cluster(&self) -> &Cluster {
        self.cluster.as_deref().unwrap_or_else(|| shared())
    }

    /// A database of this kind, on `cluster`, or on the one that the process shares.
    pub(crate) fn new(database: Database, cluster: Option<Arc<Cluster>>) -> Self {
        match database {
            Database::Sqlite => Self { url: None, cluster: None },
            Database::Postgres => {
                let url = cluster.as_deref().unwrap_or_else(|| shared()).create_database();
                Self { url: Some(url), cluster }
            }
        }
    }
}
