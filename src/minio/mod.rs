//! What MinIO exports of its buckets and identities (docs/leaving-minio.md#buckets-users-and-policies), as declarations for this
//! store.
//!
//! A credential never may more here than it might there, but for what is said: where a policy cannot be expressed, its user is
//! left out and named. No secret is in a message.

mod buckets;
mod grant;
mod identities;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use juststorage_core::application::admin::Declared;
use juststorage_core::domain::address::Tenant;
use juststorage_core::domain::timestamp::Timestamp;

/// Largest file of an export, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// The folder of identities in an export.
const IDENTITIES: &str = "iam-assets";

/// What an export comes to.
#[derive(Default)]
pub struct Import {
    /// What the store is to have.
    pub declared: Declared,
    /// What is not taken over, or not as it was.
    pub left: Vec<Left>,
}

/// Something that is not taken over, or not as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Whose it is: `bucket photos`, `user alice`.
    pub of: String,
    /// What it is.
    pub what: &'static str,
    /// Why, and what to do.
    pub why: String,
}

impl Import {
    fn leave(&mut self, of: &str, what: &'static str, why: impl Into<String>) {
        self.left.push(Left { of: of.to_owned(), what, why: why.into() });
    }
}

/// Reads unpacked exports: `BUCKET/versioning.xml` and the like, and `iam-assets/users.json` and the like. Everything goes to
/// one tenant. The error names the file.
pub fn read(folders: &[PathBuf], tenant: &Tenant, now: Timestamp) -> Result<Import, String> {
    let mut import = Import::default();
    let mut found = false;
    for folder in folders {
        let unreadable = |error: std::io::Error| format!("cannot read {}: {error}", folder.display());
        let mut inside: Vec<PathBuf> = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.is_dir() {
                inside.push(path);
            }
        }
        inside.sort();
        for path in inside {
            found = true;
            if path.file_name().is_some_and(|name| name == IDENTITIES) {
                identities::read(&path, tenant, now, &mut import)?;
            } else {
                buckets::read(&path, tenant, &mut import)?;
            }
        }
    }
    if found {
        Ok(import)
    } else {
        Err("there is no export: unpack the files that mc has written".to_owned())
    }
}

/// A file of an export; `None` if it was not written.
fn file(folder: &Path, name: &str) -> Result<Option<Vec<u8>>, String> {
    let path = folder.join(name);
    let unreadable = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let file = match File::open(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(unreadable)?,
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("{} has more than 64 MiB", path.display()));
    }
    Ok(Some(bytes))
}
